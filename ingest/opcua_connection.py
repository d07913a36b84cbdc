"""The connection to one OPC UA server: its settings, how it is secured, and that it is always closed.

Secured means: the endpoint that offers the wanted policy is asked for, its certificate is looked at before a session
is opened, and the connection is made with that certificate and no other.
"""

import asyncio
import contextlib
import logging
import math
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from asyncua import ua
from asyncua.client.client import Client
from asyncua.crypto import security_policies
from asyncua.crypto.uacrypto import CertProperties
from asyncua.ua.uaerrors import UaError
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from andon.clock import Now
from andon.config import is_loopback
from andon.events import Json
from ingest.certificates import (
    application_uris,
    days_left,
    fingerprint,
    name_of,
    split_chain,
    verify,
    warned_at,
)
from ingest.errors import CertificateRefused
from ingest.notices import Notices
from ingest.pki import Own, Pki

CLOSE_S = 3.0
UNTRUSTED, INSECURE, EXPIRING = "untrusted_certificate", "insecure_source", "certificate_expiring"
_CRITICAL, _INSECURE = 950, 500
_EXPIRING = {30: 300, 14: 500, 7: 700, 1: _CRITICAL}
"""How severe it is that a certificate ends within so many days."""
log = logging.getLogger(__name__)


class Server(BaseModel):
    """One OPC UA server and how to speak to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    url: str = Field(pattern=r"^opc\.tcp://.+$")
    security: Literal["none", "Basic256Sha256", "Aes128Sha256RsaOaep", "Aes256Sha256RsaPss"] = (
        "Basic256Sha256"
    )
    mode: Literal["Sign", "SignAndEncrypt"] = "SignAndEncrypt"
    server_name: str | None = Field(
        default=None, description="the name in the server's certificate, if it is not the one in url"
    )
    allow_insecure: bool = Field(default=False, description="permits security none, to this machine only")
    allow_insecure_over_the_network: bool = Field(
        default=False, description="permits security none to any machine: all of it can be read and forged"
    )
    user: str | None = None
    password: SecretStr | None = None
    password_file: Path | None = Field(default=None, description="file that holds the password")
    user_certificate: Path | None = Field(
        default=None, description="sign in by certificate instead (PEM or DER)"
    )
    user_private_key: Path | None = Field(default=None, description="and its key (PEM)")
    keepalive_s: float = Field(default=10, gt=0)
    timeout_s: float = Field(default=5, gt=0, description="for each call to the server")

    @property
    def host(self) -> str:
        """The host that the address names."""
        return urlsplit(self.url).hostname or ""

    @property
    def is_exposed(self) -> bool:
        """Whether others can read and forge what is said: no security, over a network."""
        return self.security == "none" and not is_loopback(self.host)

    @field_validator("url")
    @classmethod
    def _holds_no_login(cls, url: str) -> str:
        """The address stands in logs, in the status and on pages."""
        if "@" in urlsplit(url).netloc:
            raise ValueError("url takes no user or password: give user, and password_file")
        return url

    @model_validator(mode="after")
    def _secure(self) -> Self:
        if self.is_exposed and not self.allow_insecure_over_the_network:
            raise ValueError(
                "security is none: set security (Basic256Sha256). If the server can do nothing else, "
                "allow_insecure_over_the_network = true takes the risk, and Andon keeps saying so"
            )
        if self.security == "none" and not (self.allow_insecure or self.allow_insecure_over_the_network):
            raise ValueError("security is none: that needs allow_insecure = true, even on this machine")
        return self

    @model_validator(mode="after")
    def _one_login(self) -> Self:
        by_name = [self.password is not None, self.password_file is not None]
        if any(by_name) and self.user is None:
            raise ValueError("a password needs a user")
        if all(by_name):
            raise ValueError("give password or password_file, not both")
        if (self.user_certificate is None) != (self.user_private_key is None):
            raise ValueError("user_certificate and user_private_key go together")
        if self.user is not None and self.user_certificate is not None:
            raise ValueError("sign in as user or by user_certificate, not both")
        if any(by_name) and self.mode == "Sign":
            raise ValueError("a password needs mode SignAndEncrypt: with Sign it could be read")
        if self.is_exposed and (any(by_name) or self.user_certificate is not None):
            raise ValueError("security is none: a login over the network would be given away")
        return self


@dataclass(slots=True)
class Door:
    """Lets through to one server, and says what a person has to know about that.

    `others` is the certificate that the server showed last.
    """

    server: Server
    pki: Pki
    now: Now
    notices: Notices
    others: x509.Certificate | None = None
    own: Own | None = field(default=None, init=False)

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """A client with an active session, closed on the way out with its subscriptions: controllers allow few.

        CertificateRefused if the server is not to be trusted, OSError, UaError or TimeoutError if it does not work.
        """
        server = self.server
        client = _client(server)
        client.session_timeout = 1000 * max(60, math.ceil(4 * server.keepalive_s))
        try:
            async with asyncio.timeout(4 * server.timeout_s):
                await self._secure(client)
                await self._sign_in(client)
                await client.connect()
            yield client
        finally:
            await _close(client)

    def look(self) -> dict[str, Json]:
        """Say what a person has to know of this door now; gives how it is secured, and its certificates' ends."""
        if self.server.is_exposed:
            self.notices.say(
                INSECURE, _INSECURE, f"{self.server.url}: whoever is on the network can read and forge it"
            )
        else:
            self.notices.over(INSECURE)
        shown = {
            "own": self.own.certificate if self.own else None,
            "server": self.others,
        }
        certificates = [_facts(whose, each, self.now()) for whose, each in shown.items() if each is not None]
        self._warn(certificates)
        secured = "none" if self.server.security == "none" else f"{self.server.security} {self.server.mode}"
        return {"security": secured, "exposed": self.server.is_exposed, "certificates": certificates}

    def _warn(self, certificates: Sequence[dict[str, Json]]) -> None:
        first = min(certificates, key=lambda facts: int(facts["days_left"]), default=None)
        step = warned_at(int(first["days_left"])) if first else None
        if first is None or step is None:
            if first is not None:
                self.notices.over(EXPIRING)
            return
        whose = "Andon's own certificate" if first["whose"] == "own" else f"the certificate {first['name']}"
        self.notices.say(EXPIRING, _EXPIRING[step], f"{whose} ends on {first['ends']}")

    async def _secure(self, client: Client) -> None:
        server = self.server
        if server.security == "none":
            self.notices.over(UNTRUSTED)
            return
        self.own = await asyncio.to_thread(self.pki.own, self.now())
        (client.application_uri,) = application_uris(self.own.certificate)[:1] or [client.application_uri]
        policy: type[security_policies.SecurityPolicy] = getattr(
            security_policies, f"SecurityPolicy{server.security}"
        )
        endpoint = await self._endpoint(policy.URI)
        chain = self._let_in(endpoint)
        await client.set_security(
            policy,
            certificate=CertProperties(self.own.certificate.public_bytes(Encoding.DER), "der"),
            private_key=CertProperties(self.own.key, "pem"),
            server_certificate=CertProperties(chain[0].public_bytes(Encoding.DER), "der"),
            mode=ua.MessageSecurityMode[server.mode],
        )

    async def _endpoint(self, policy_uri: str) -> ua.EndpointDescription:
        """The endpoint that offers exactly the wanted policy and mode; UaError names what there is instead."""
        asking = _client(self.server)
        try:
            offered = await asking.connect_and_get_server_endpoints()
        finally:
            asking.disconnect_socket()
        mode = ua.MessageSecurityMode[self.server.mode]
        for endpoint in offered:
            if endpoint.SecurityPolicyUri == policy_uri and endpoint.SecurityMode == mode:
                return endpoint
        there = sorted(
            {f"{_after_hash(each.SecurityPolicyUri)} {each.SecurityMode.name.strip('_')}" for each in offered}
        )
        raise UaError(
            f"the server does not offer {self.server.security} {self.server.mode}; it has {', '.join(there)}"
        )

    def _let_in(self, endpoint: ua.EndpointDescription) -> Sequence[x509.Certificate]:
        """The server's certificate and those sent with it; one that is refused is kept for a person to look at."""
        try:
            chain = split_chain(endpoint.ServerCertificate or b"")
        except ValueError as error:
            raise CertificateRefused(
                "unreadable", "the server shows no certificate that can be read"
            ) from error
        self.others = chain[0]
        try:
            verify(
                chain,
                self.pki.trust(),
                application_uri=str(endpoint.Server.ApplicationUri),
                host=self.server.server_name or self.server.host,
                now_ns=self.now(),
            )
        except CertificateRefused as refused:
            told = self._what_to_do(chain[0], refused)
            self.notices.say(UNTRUSTED, _CRITICAL, told)
            raise CertificateRefused(refused.reason, told) from refused
        self.notices.over(UNTRUSTED)
        return chain

    def _what_to_do(self, certificate: x509.Certificate, refused: CertificateRefused) -> str:
        told = f"the certificate {name_of(certificate)} of {self.server.url} is refused: {refused}"
        if refused.reason not in {"untrusted", "changed"}:
            return told
        path = self.pki.reject(certificate)
        digits = fingerprint(certificate)[:16]
        return (
            f"{told}. Compare its fingerprint {digits}… with the server's own, then: andon trust {path.stem}"
        )

    async def _sign_in(self, client: Client) -> None:
        server = self.server
        if server.user is not None:
            client.set_user(server.user)
            client.set_password(await asyncio.to_thread(_password, server))
        if server.user_certificate is not None and server.user_private_key is not None:
            await client.load_client_certificate(str(server.user_certificate))
            await client.load_private_key(server.user_private_key)


def said(error: Exception) -> str:
    """An error as one short line for people."""
    text = "no answer in time" if isinstance(error, TimeoutError) else str(error)
    return f"{type(error).__name__}: {text}"[:500]


def _client(server: Server) -> Client:
    return Client(server.url, timeout=server.timeout_s, watchdog_intervall=2 * server.timeout_s)


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


def _password(server: Server) -> str:
    """The password, read anew for each connection so that it can be changed."""
    if server.password_file is not None:
        return server.password_file.read_text("utf-8").rstrip("\r\n")
    return server.password.get_secret_value() if server.password else ""


def _facts(whose: str, certificate: x509.Certificate, now_ns: int) -> dict[str, Json]:
    return {
        "whose": whose,
        "name": name_of(certificate),
        "fingerprint": fingerprint(certificate),
        "ends": f"{certificate.not_valid_after_utc:%Y-%m-%d}",
        "days_left": days_left(certificate, now_ns),
    }


def _after_hash(uri: str | None) -> str:
    return (uri or "").rpartition("#")[2]
