"""Who may speak to the console: one random token per data directory, from this machine, from our own pages."""

import hashlib
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from andon.access.roles import Principal, Right

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = ("/healthz", "/readyz", "/static/")
"""Answered without the token: probes, and files that hold no data."""

NOBODY = Principal("", frozenset(), frozenset())
"""Who speaks where nobody is asked for: at a probe, or on the page to sign in."""

OPERATOR = Principal("", frozenset(), frozenset(Right), acts_for_anybody=True)
"""Whoever opened the link of a demo; whom they act as, `Visit.actor` says."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})


def cookie_name(token: str) -> str:
    """The session cookie's name: cookies ignore ports, so two data directories need two names."""
    return f"andon_session_{hashlib.sha256(token.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: an HTTP status and the code of the reason."""

    status: int
    code: str


Refuse = Callable[[HTTPConnection, Refusal], Response]
"""Words a refusal: as a page for people, as problem+json for programs."""


class Gate:
    """ASGI middleware that lets through what carries the token, names this machine, and comes from our pages.

    The order matters: a foreign Host (DNS rebinding) is refused before anything else is looked at, and a
    foreign Origin cannot write or open a WebSocket even with the cookie. Compared in constant time.
    """

    def __init__(self, app: ASGIApp, token: str | None, refuse: Refuse) -> None:
        self._app = app
        self._token = token
        self._refuse = refuse
        self._cookie = cookie_name(token or "")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, exchange a link's token for the cookie, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        answer = self._answer(request)
        if answer is None:
            is_open = request.url.path.startswith(OPEN_PATHS)
            scope.setdefault("state", {})["principal"] = NOBODY if is_open else OPERATOR
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await answer(scope, receive, send)

    def _answer(self, request: HTTPConnection) -> Response | None:
        given = request.query_params.get("token")
        if host_name(request.headers.get("host", "")) not in LOOPBACK:
            refusal: Refusal | None = Refusal(421, "foreign_host")
        elif request.url.path.startswith(OPEN_PATHS) or self._bearer(request.headers):
            refusal = None
        elif given is not None and _is_read(request):
            return self._exchange(request, given)
        else:
            refusal = self._judge(request)
        return self._refuse(request, refusal) if refusal else None

    def _judge(self, request: HTTPConnection) -> Refusal | None:
        if not self._same(request.cookies.get(self._cookie, "")):
            return Refusal(401, "no_token")
        if not _is_read(request) and not from_our_pages(request.headers):
            return Refusal(403, "foreign_origin")
        return None

    def _exchange(self, request: HTTPConnection, given: str) -> Response:
        if not self._same(given):
            return self._refuse(request, Refusal(401, "wrong_token"))
        rest = urlencode([pair for pair in parse_qsl(request.url.query) if pair[0] != "token"])
        path = "/" + request.url.path.lstrip("/")
        answer = RedirectResponse(path + ("?" + rest if rest else ""), status_code=303)
        answer.set_cookie(self._cookie, self._token, httponly=True, samesite="strict", path="/")
        return answer

    def _bearer(self, headers: Headers) -> bool:
        kind, _, given = headers.get("authorization", "").partition(" ")
        return kind.lower() == "bearer" and self._same(given.strip())

    def _same(self, given: str) -> bool:
        if self._token is None:
            return False
        return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), self._token.encode())


def host_name(host: str) -> str:
    """The name in a Host header without its port: `"[::1]:8080"` gives `"[::1]"`."""
    if host.startswith("["):
        return host.partition("]")[0].lower() + "]"
    return host.partition(":")[0].lower()


def from_our_pages(headers: Headers) -> bool:
    """Whether a browser says that one of our own pages sent this: by Origin, or by Sec-Fetch-Site where that is null.

    Our pages send no referrer, which makes browsers write `Origin: null` on form posts.
    """
    origin = headers.get("origin", "null")
    if origin != "null":
        return urlsplit(origin).netloc == headers.get("host")
    return headers.get("sec-fetch-site") == "same-origin"


def _is_read(request: HTTPConnection) -> bool:
    return request.scope["type"] == "http" and request.scope["method"] in _READS
