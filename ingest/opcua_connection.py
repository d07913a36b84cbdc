"""The connection to one OPC UA server: its settings, how it is secured, and that it is always closed."""

import asyncio
import contextlib
import ipaddress
import logging
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.ua.uaerrors import UaError
from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

CLOSE_S = 3.0
log = logging.getLogger(__name__)


class Server(BaseModel):
    """One OPC UA server and how to speak to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^opc\.tcp://.+$")
    security: Literal["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = "none"
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    allow_insecure: bool = Field(default=False, description="permits security none, to this machine only")
    certificate: Path | None = None
    private_key: Path | None = None
    server_certificate: Path | None = Field(default=None, description="the one certificate that is trusted")
    application_uri: str = Field(
        default="urn:andon:collector", description="as in our certificate's alternative names"
    )
    user: str | None = None
    password: SecretStr | None = None
    keepalive_s: float = Field(default=10, gt=0)
    timeout_s: float = Field(default=5, gt=0, description="for each call to the server")

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if self.security == "none":
            if not (self.allow_insecure and _is_loopback(self.url)):
                raise ValueError(
                    "security is none: set security (Basic256Sha256) with certificate, private_key and "
                    "server_certificate, or allow_insecure = true for a server on this machine (127.0.0.1)"
                )
            return self
        missing = [
            name
            for name in ("certificate", "private_key", "server_certificate")
            if getattr(self, name) is None
        ]
        if missing:
            raise ValueError(f"security {self.security} needs {', '.join(missing)}")
        return self


@contextlib.asynccontextmanager
async def connected(server: Server) -> AsyncIterator[Client]:
    """A client with an active session, closed on the way out with its subscriptions: controllers allow few."""
    client = Client(server.url, timeout=server.timeout_s, watchdog_intervall=2 * server.timeout_s)
    client.application_uri = server.application_uri
    client.session_timeout = 1000 * max(60, math.ceil(4 * server.keepalive_s))
    if server.user is not None:
        client.set_user(server.user)
        client.set_password(server.password.get_secret_value() if server.password else "")
    try:
        async with asyncio.timeout(4 * server.timeout_s):
            await _secure(client, server)
            await client.connect()
        yield client
    finally:
        await _close(client)


async def _secure(client: Client, server: Server) -> None:
    if server.security == "none":
        return
    policy: type[security_policies.SecurityPolicy] = getattr(
        security_policies, f"SecurityPolicy{server.security}"
    )
    await client.set_security(
        policy,
        certificate=str(server.certificate),
        private_key=str(server.private_key),
        server_certificate=str(server.server_certificate),
        mode=ua.MessageSecurityMode[server.mode],
    )


async def _close(client: Client) -> None:
    try:
        async with asyncio.timeout(CLOSE_S):
            if client.uaclient.has_session:
                await client.close_session()  # with its subscriptions
                await client.close_secure_channel()
    except (OSError, TimeoutError, UaError) as error:
        log.info("the session was not closed in order", extra={"reason": said(error)})
    finally:
        protocol = client.uaclient.protocol
        if protocol is not None and protocol.transport is not None:
            protocol.transport.abort()  # close() would wait for a peer that no longer reads
        client.disconnect_socket()


def said(error: Exception) -> str:
    """An error as one short line for people."""
    text = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return f"{type(error).__name__}: {text}"[:300]


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    with contextlib.suppress(ValueError):
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"
