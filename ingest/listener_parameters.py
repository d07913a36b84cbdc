"""How the listener listens: its address, who may come in, and its limits."""

import ipaddress
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ingest.credentials import User
from ingest.sparkplug_voice import HostRole

_MIB = 1024 * 1024


class Tls(BaseModel):
    """The listener's certificate, and whose certificates it asks of clients."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    certificate: Path = Field(description="PEM file with the certificate and its chain")
    key: Path = Field(description="PEM file with its private key")
    client_ca: Path | None = Field(
        default=None,
        description="PEM file; if given, clients must show a certificate of this CA, and its CN is the user name",
    )


class Parameters(BaseModel):
    """How the listener listens."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(default="127.0.0.1", description="address to listen on; not loopback only with tls")
    port: int = Field(default=1883, ge=0, le=65535, description="TCP port; 0 takes any free one")
    users: dict[str, User] = Field(
        default_factory=dict, description="who may publish, by user name or certificate CN"
    )
    anonymous: bool = Field(default=False, description="let clients in without a name; on loopback only")
    tls: Tls | None = Field(default=None, description="encryption and client certificates")
    sparkplug: HostRole = Field(default=HostRole(), description="what we are for Sparkplug edge nodes")
    payload_max_bytes: int = Field(
        default=_MIB,
        ge=64,
        le=64 * _MIB,
        description="largest payload, in bytes; beyond it a message is refused",
    )
    waveform_max_bytes: int = Field(
        default=8 * _MIB, ge=64, le=64 * _MIB, description="largest payload on /_wave/ topics, in bytes"
    )
    receive_maximum: int = Field(
        default=1000, ge=1, le=65535, description="messages one client may have unacknowledged"
    )
    connections_max: int = Field(default=1000, ge=1, le=100_000, description="clients at the same time")
    connecting_max: int = Field(
        default=100,
        ge=1,
        le=10_000,
        description="connections at the same time that have not said who they are",
    )
    connect_timeout_s: float = Field(
        default=10.0, gt=0, le=300, description="seconds in which a client has to say who it is"
    )
    queue_max_records: int = Field(
        default=20_000,
        ge=10,
        le=10_000_000,
        description="messages that may wait to be written before reading stops",
    )
    queue_max_bytes: int = Field(
        default=32 * _MIB, ge=1024, description="bytes that may wait to be written before reading stops"
    )
    unfinished_max_bytes: int = Field(
        default=64 * _MIB, ge=1024, description="bytes of messages still arriving, of all clients together"
    )

    @property
    def claim(self) -> str:
        """What no other source can have."""
        return f"port {self.port} of {self.host}" if self.port else ""

    @model_validator(mode="after")
    def _is_safe(self) -> Self:
        loopback = _is_loopback(self.host)
        if not loopback and self.tls is None:
            raise ValueError(
                f"{self.host} can be reached from other machines: give tls (certificate, key), or listen on 127.0.0.1"
            )
        if not loopback and self.anonymous:
            raise ValueError(f"anonymous clients are for loopback only, and {self.host} is not: give users")
        certified = self.tls is not None and self.tls.client_ca is not None
        bare = sorted(name for name, user in self.users.items() if user.password is None)
        if bare and not certified:
            raise ValueError(f"no way to know {', '.join(bare)}: give a password hash, or tls.client_ca")
        return self


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
