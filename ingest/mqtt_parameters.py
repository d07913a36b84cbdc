"""What a subscribing collector is told, and what of it a connection needs: secrets are read anew for each."""

import os
import random
import ssl
from pathlib import Path
from typing import Literal, Self

from paho.mqtt.enums import MQTTProtocolVersion
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from ingest.broker_drops import DEFAULT_COUNTERS
from ingest.mqtt_connection import Address
from ingest.mqtt_subscriptions import filter_problem
from ingest.sparkplug_voice import HostRole, Said

_MIB = 1024 * 1024
_DAY_S = 86_400


class Tls(BaseModel):
    """How the broker proves itself, and we to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    ca: Path | None = Field(
        default=None, description="PEM file of the broker's CA; none: those of the system"
    )
    certificate: Path | None = Field(
        default=None, description="PEM file with our certificate, if the broker asks"
    )
    key: Path | None = Field(default=None, description="PEM file with its private key")


class Parameters(BaseModel):
    """Which broker, and what to take from it."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(min_length=1, description="name or address of the broker")
    port: int = Field(default=1883, ge=1, le=65535, description="TCP port; 8883 is usual with tls")
    client_id: str = Field(
        min_length=1,
        max_length=256,
        description="name of our session at the broker: keep it, and give no other client the same",
    )
    topics: tuple[str, ...] = Field(
        default=("andon/v1/#",), min_length=1, description="topic filters to subscribe to"
    )
    shared_group: str | None = Field(
        default=None,
        pattern="^[^/+#\\x00]{1,200}$",
        description="share the topics with the other subscribers of this group; what a member holds waits for it",
    )
    drop_counters: tuple[str, ...] = Field(
        default=DEFAULT_COUNTERS,
        description="topics under $SYS/ on which the broker counts what it dropped; empty: do not look",
    )
    qos: Literal[0, 1] = Field(
        default=1, description="1: nothing is lost; 0: no acknowledgement, bounded loss"
    )
    protocol: Literal["3.1.1", "5"] = Field(default="3.1.1", description="version of MQTT")
    user: str | None = Field(default=None, description="user name")
    password_file: Path | None = Field(default=None, description="file that holds the password")
    password_env: str | None = Field(default=None, description="environment variable that holds the password")
    tls: Tls | None = Field(default=None, description="encryption; there is no falling back to plain text")
    sparkplug: HostRole = Field(default=HostRole(), description="what we are for Sparkplug edge nodes")
    keep_alive_s: int = Field(
        default=15, ge=1, le=3600, description="seconds of silence after which the connection is tried"
    )
    connect_timeout_s: float = Field(
        default=5.0, gt=0, le=60, description="seconds that connecting and each answer may take"
    )
    session_expiry_s: int = Field(
        default=7 * _DAY_S, ge=1, le=0xFFFF_FFFF, description="MQTT 5: seconds the broker keeps our session"
    )
    receive_maximum: int = Field(
        default=500, ge=1, le=65535, description="MQTT 5: messages on their way to us unacknowledged"
    )
    retry_min_s: float = Field(
        default=0.5, gt=0, le=60, description="first wait before connecting anew, seconds"
    )
    retry_max_s: float = Field(default=30.0, gt=0, le=600, description="longest wait, seconds")
    payload_max_bytes: int = Field(
        default=_MIB,
        ge=64,
        le=64 * _MIB,
        description="largest payload, in bytes; beyond it a message is refused",
    )
    waveform_max_bytes: int = Field(
        default=8 * _MIB, ge=64, le=64 * _MIB, description="largest payload on /_wave/ topics, in bytes"
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

    @property
    def claim(self) -> str:
        """What no other source can have: a broker ends a session when another of the same name begins."""
        return f"the client_id {self.client_id!r} at {self.host}:{self.port}"

    @field_validator("topics", "drop_counters")
    @classmethod
    def _are_filters(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        if problems := [problem for topic in topics if (problem := filter_problem(topic))]:
            raise ValueError("; ".join(problems))
        return tuple(dict.fromkeys(topics))

    @field_validator("drop_counters")
    @classmethod
    def _are_counters(cls, topics: tuple[str, ...]) -> tuple[str, ...]:
        if strangers := [topic for topic in topics if not topic.startswith("$SYS/")]:
            raise ValueError(f"a broker counts under $SYS/, not on {', '.join(strangers)}")
        return topics

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.password_file is not None and self.password_env is not None:
            raise ValueError("give password_file or password_env, not both")
        if self.user is None and (self.password_file is not None or self.password_env is not None):
            raise ValueError("a password needs a user")
        if self.tls is not None and (self.tls.certificate is None) != (self.tls.key is None):
            raise ValueError("tls.certificate and tls.key belong together")
        return self


def wait_s(parameters: Parameters, failures: int) -> float:
    """How long to wait after so many failures: doubling up to the longest, with jitter so that not all come at once."""
    longest = min(parameters.retry_max_s, parameters.retry_min_s * 2.0 ** min(failures - 1, 30))
    return longest * random.SystemRandom().uniform(0.5, 1.0)


def address(parameters: Parameters, will: Said | None = None) -> Address:
    """Where to connect and how, its files read anew. OSError if the password or a certificate cannot be read."""
    return Address(
        host=parameters.host,
        port=parameters.port,
        client_id=parameters.client_id,
        version=MQTTProtocolVersion.MQTTv5 if parameters.protocol == "5" else MQTTProtocolVersion.MQTTv311,
        keep_alive_s=parameters.keep_alive_s,
        timeout_s=parameters.connect_timeout_s,
        session_expiry_s=parameters.session_expiry_s,
        receive_maximum=parameters.receive_maximum,
        user=parameters.user,
        password=_password(parameters),
        tls=_tls(parameters.tls),
        will=will,
    )


def _password(parameters: Parameters) -> str | None:
    """The password, read anew for each connection so that it can be changed."""
    if parameters.password_file is not None:
        return parameters.password_file.read_text("utf-8").rstrip("\r\n")
    if parameters.password_env is not None:
        if parameters.password_env not in os.environ:
            raise OSError(f"the environment variable {parameters.password_env} (password_env) is not set")
        return os.environ[parameters.password_env]
    return None


def _tls(parameters: Tls | None) -> ssl.SSLContext | None:
    if parameters is None:
        return None
    context = ssl.create_default_context(cafile=parameters.ca)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if parameters.certificate is not None:
        context.load_cert_chain(parameters.certificate, parameters.key)
    return context
