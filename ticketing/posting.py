"""One HTTP request to another system, with limits that hold: time, size, and where it may go.

The name is looked up once and the address that was judged is the one that is connected to, so that a name cannot
answer differently the second time; the certificate is still that of the name. Redirects are answers, never
followed; no proxy is taken from the environment. Source: OWASP, Server Side Request Forgery Prevention.
"""

import asyncio
import ipaddress
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import httpx
from pydantic import BaseModel, ConfigDict, Field, field_validator

from andon.ports import NotifyError

HEAD_BYTES = 4096
"""So much of an answer is read: enough for an error code, no more than fits a line of the record."""
Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Reach(BaseModel):
    """What every channel over HTTP can be told of how it gets there."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    timeout_s: float = Field(default=10.0, gt=0, le=120, description="s; one whole request, answer included")
    allow_private: tuple[str, ...] = Field(
        default=(), description="addresses or networks inside, that it may go to"
    )
    ca: Path | None = Field(default=None, description="PEM file: who signed the server's certificate")

    @field_validator("allow_private")
    @classmethod
    def _networks(cls, given: tuple[str, ...]) -> tuple[str, ...]:
        for one in given:
            ipaddress.ip_network(one)  # its ValueError says what is wrong with it
        return given

    def may_go_to(self, address: Address) -> bool:
        """Whether that is an address of the wide world, or one inside that is named."""
        if any(address in ipaddress.ip_network(one) for one in self.allow_private):
            return True
        mapped = getattr(address, "ipv4_mapped", None)
        return (mapped or address).is_global and not address.is_multicast


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the status, the beginning of the body, how long to wait if the server says so.

    `body` is what was read of it, up to as much as was asked for.
    """

    status: int
    head: str
    retry_after_s: float | None
    body: bytes = b""

    def __str__(self) -> str:
        return f"{self.status} {self.head}".strip()


def post(
    reach: Reach,
    url: str,
    body: bytes,
    headers: Mapping[str, str],
    method: str = "POST",
    *,
    most: int = HEAD_BYTES,
) -> Answer:
    """Send one request and read so many bytes of its answer; NotifyError if there is none in time.

    The text of an error never holds the address: with some services it is the secret.
    """
    try:
        return asyncio.run(_within(reach, httpx.URL(url), body, headers, method, most=most))
    except TimeoutError as error:
        raise NotifyError(f"no answer within {reach.timeout_s:g} s", permanent=False) from error
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotifyError("the address is none that can be sent to", permanent=False) from error
    except (httpx.HTTPError, OSError) as error:
        raise NotifyError(f"{type(error).__name__}: {_without(str(error), url)}", permanent=False) from error


def judged(answer: Answer) -> str:
    """The answer of a server that speaks in status codes: 2xx, or NotifyError."""
    if 200 <= answer.status < 300:
        return str(answer)
    if answer.status in {425, 429, 503} and answer.retry_after_s is not None:
        raise NotifyError(str(answer), permanent=False, wait_s=answer.retry_after_s)
    at_fault = answer.status in {400, 413, 415, 422}  # the message: all else may be mended at the other end
    raise NotifyError(str(answer), permanent=at_fault)


async def _within(
    reach: Reach, url: httpx.URL, body: bytes, headers: Mapping[str, str], method: str, *, most: int
) -> Answer:
    if url.scheme not in {"http", "https"} or not url.host:
        raise httpx.UnsupportedProtocol("http or https")
    async with asyncio.timeout(reach.timeout_s):
        address = await _address(reach, url)
        there = url.copy_with(host=str(address), username=None, password=None)
        sent = {**headers, "Host": url.netloc.decode("ascii"), "User-Agent": "andon"}
        client = httpx.AsyncClient(
            verify=_trust(reach.ca), trust_env=False, follow_redirects=False, timeout=reach.timeout_s
        )
        more = {"sni_hostname": url.host} if url.scheme == "https" else {}
        async with (
            client,
            client.stream(method, there, content=body, headers=sent, extensions=more) as response,
        ):
            came = await _body(response, most)
            head = came[:HEAD_BYTES].decode("utf-8", "replace")
            return Answer(response.status_code, head, _retry_after(response), came)


async def _address(reach: Reach, url: httpx.URL) -> Address:
    """The first address of the host that may be gone to; NotifyError if there is none."""
    loop = asyncio.get_running_loop()
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await loop.getaddrinfo(url.host, port, type=socket.SOCK_STREAM)
    addresses = [ipaddress.ip_address(row[4][0]) for row in found]
    for address in addresses:
        if reach.may_go_to(address):
            return address
    inside = ", ".join(dict.fromkeys(map(str, addresses)))
    raise NotifyError(
        f"{inside} is an address inside; name it in allow_private if it is meant", permanent=False
    )


async def _body(response: httpx.Response, most: int) -> bytes:
    body = bytearray()
    async for part in response.aiter_raw():
        body += part
        if len(body) >= most:
            break
    return bytes(body[:most])


def _retry_after(response: httpx.Response) -> float | None:
    asked = response.headers.get("retry-after", "")
    return min(float(asked), 3600.0) if asked.isdecimal() else None


def _without(text: str, url: str) -> str:
    return text.replace(url, "…")


@cache
def _trust(ca: Path | None) -> ssl.SSLContext:
    """Whose certificates are believed; read once, for it takes 20 ms."""
    return ssl.create_default_context(cafile=str(ca) if ca else None)


def field_of(body: Mapping[str, object], path: Sequence[str]) -> object:
    """A value deep in an answer, None if it is not there."""
    value: object = body
    for name in path:
        value = value.get(name) if isinstance(value, Mapping) else None
    return value
