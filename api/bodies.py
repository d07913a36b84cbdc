"""How large a request's body may be, by what it is for, and how long it may take to come."""

import asyncio
import re
import time

from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Message, Receive, Scope, Send

KIB, MIB = 1024, 1024**2
KINDS = (
    (re.compile(r"/sign-in|/sign-out|/preferences|/account(/.*)?"), 16 * KIB),
    (re.compile(r"/report|/tickets/\d+/attachments|/api/v1/reports/\d+/attachments"), 72 * MIB),
    (re.compile(r"/wechat/[^/]+"), 64 * KIB),
    (re.compile(r"(/api/v1)?/(tickets|problems)/\d+/.*"), 16 * MIB),
)
"""What is posted to an address of that form -> bytes at most: forms of a ticket carry a photo or a signature,
requests several photos or a video."""

OTHERS = 2 * MIB
PATIENCE_S = 20.0
SLOWEST_BYTES_S = 16 * KIB
"""A body has so many seconds, and more for each so many bytes of it: a phone at the edge of the radio is slow, too."""


class Bounded:
    """ASGI middleware that ends a request whose body is too large (413) or does not come (408)."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass on, with a body that is counted and timed."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        most = most_of(scope["path"])
        said = HTTPConnection(scope).headers.get("content-length", "0")
        body = _Body(receive, most, too_large=not said.isdecimal() or len(said) > 12 or int(said) > most)
        await self._app(scope, body, send)


class _Body:
    """A request's `receive`: raises what the app answers with."""

    def __init__(self, receive: Receive, most: int, *, too_large: bool) -> None:
        self._receive = receive
        self._most = most
        self._too_large = too_large
        self._heard = 0
        self._ends = False
        self._began_s = time.monotonic()

    async def __call__(self) -> Message:
        if self._ends:
            return await self._receive()
        if self._too_large:
            raise HTTPException(413, f"at most {self._most} bytes may be sent here")
        patience_s = PATIENCE_S + self._heard / SLOWEST_BYTES_S - (time.monotonic() - self._began_s)
        try:
            message = await asyncio.wait_for(self._receive(), patience_s)
        except TimeoutError:
            raise HTTPException(408, "the rest of the request did not come") from None
        self._heard += len(message.get("body", b""))
        self._too_large = self._heard > self._most
        self._ends = not message.get("more_body", False)
        if self._too_large:
            raise HTTPException(413, f"at most {self._most} bytes may be sent here")
        return message


def most_of(path: str) -> int:
    """Bytes that may be sent to that address.

    >>> most_of("/tickets/7/step"), most_of("/api/v1/reports"), most_of("/sign-in")
    (16777216, 2097152, 16384)
    """
    return next((most for form, most in KINDS if form.fullmatch(path)), OTHERS)
