"""Who may speak to the console: a name of ours, one who is known, from our own pages, and not too often.

A demo has one random token per data directory, whose holder is the operator. Elsewhere people sign in, and programs
bring a key.
"""

import hashlib
import hmac
import re
from collections.abc import Callable
from dataclasses import dataclass
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import anyio.to_thread
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from andon.access import speaking
from andon.access.keys import PREFIX
from andon.access.roles import Principal, Right
from andon.access.speaking import Speaker
from api.context import Context

LOOPBACK = frozenset({"127.0.0.1", "localhost", "[::1]"})
OPEN_PATHS = ("/healthz", "/readyz", "/static/")
"""Answered to everybody: probes, and files that hold no data."""

SIGNED = re.compile(r"POST /api/v1/partners/[^/]+/events|(GET|POST) /wechat/[a-z][a-z0-9_]*")
"""What is sent with a proof of its own: signed callbacks, each of which checks that before anything else."""

SIGN_IN, SIGN_OUT, CHANGE = "/sign-in", "/sign-out", "/account/password"
BEFORE_CHANGE = frozenset({CHANGE, SIGN_IN, SIGN_OUT, "/preferences"})
"""What answers to somebody whose password is still the first."""

PERSON_HEADER = "X-Andon-Person"
"""How a program of a demo says who acts."""

NOBODY = Speaker(Principal("", frozenset(), frozenset()), "")
"""Who speaks where nobody is asked for: at a probe, or on the page to sign in."""

OPERATOR = Speaker(Principal("", frozenset(), frozenset(Right), acts_for_anybody=True), "operator")
"""Whoever opened the link of a demo; whom they act as, `Visit.actor` says."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_ONCE_MORE = (
    '<!doctype html><meta charset="utf-8"><meta http-equiv="refresh" content="0"><title>Andon</title>'
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request is not answered: an HTTP status, the code of the reason, and seconds after which to try again."""

    status: int
    code: str
    retry_after_s: int | None = None


Refuse = Callable[[HTTPConnection, Refusal], Response]
"""Words a refusal: as a page for people, as problem+json for programs."""


class Gate:
    """ASGI middleware that finds out who speaks, puts it into the request's state, and lets through what may pass.

    The order matters: a foreign Host (DNS rebinding) is refused before anything else is looked at, and a
    foreign Origin cannot write or open a WebSocket even with the cookie. Compared in constant time.
    """

    def __init__(self, app: ASGIApp, context: Callable[[], Context], refuse: Refuse) -> None:
        self._app = app
        self._context = context
        self._refuse = refuse

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, send its browser elsewhere, or refuse."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        request = HTTPConnection(scope)
        found = await self._look(request, self._context())
        if isinstance(found, Speaker):
            scope.setdefault("state", {}).update(speaker=found, principal=found.principal)
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            await found(scope, receive, send)

    async def _look(self, request: HTTPConnection, context: Context) -> Speaker | Response:
        """Who is let in, or what the others are answered."""
        if host_name(request.headers.get("host", "")) not in LOOPBACK | context.names:
            return self._refuse(request, Refusal(421, "foreign_host"))
        if request.url.path.startswith(OPEN_PATHS):
            return NOBODY
        if SIGNED.fullmatch(f"{request.scope.get('method')} {request.url.path}"):
            refusal = _too_often(request, context, None)
            return self._refuse(request, refusal) if refusal else NOBODY
        given = request.query_params.get("token")
        if given is not None and context.token is not None and _is_read(request) and not _bearer(request):
            return self._exchange(request, given, context.token)
        speaker = await _speaker(request, context)
        refusal = _too_often(request, context, speaker) or _foreign(request, speaker)
        return self._refuse(request, refusal) if refusal else self._admit(request, context, speaker)

    def _admit(
        self, request: HTTPConnection, context: Context, speaker: Speaker | None
    ) -> Speaker | Response:
        if speaker is None:
            return self._stranger(request, context)
        if speaker.must_change and request.url.path not in BEFORE_CHANGE:
            return self._elsewhere(request, CHANGE, Refusal(403, "must_change"))
        return speaker

    def _stranger(self, request: HTTPConnection, context: Context) -> Speaker | Response:
        """What somebody unknown is told: where to sign in, or that the link is needed."""
        if context.desk is None:
            return self._refuse(request, Refusal(401, "no_token"))
        if request.url.path == SIGN_IN:
            return NOBODY
        if (
            request.headers.get("sec-fetch-site") == "cross-site"
            and wants_page(request)
            and _is_read(request)
        ):
            return HTMLResponse(
                _ONCE_MORE
            )  # a link from elsewhere came without the strict cookie: it comes now
        back = address_asked(request) if _is_read(request) else "/"
        return self._elsewhere(request, f"{SIGN_IN}?back={quote(back)}", Refusal(401, "not_signed_in"))

    def _elsewhere(self, request: HTTPConnection, address: str, refusal: Refusal) -> Response:
        """A person is sent to that page, whoever else refused."""
        if request.headers.get("hx-request"):
            return Response(status_code=refusal.status, headers={"HX-Redirect": address})
        if wants_page(request):
            return RedirectResponse(address, 303)
        return self._refuse(request, refusal)

    def _exchange(self, request: HTTPConnection, given: str, token: str) -> Response:
        if not _same(given, token):
            return self._refuse(request, Refusal(401, "wrong_token"))
        rest = urlencode([pair for pair in parse_qsl(request.url.query) if pair[0] != "token"])
        path = "/" + request.url.path.lstrip("/")
        answer = RedirectResponse(path + ("?" + rest if rest else ""), status_code=303)
        answer.set_cookie(cookie_name(token), token, httponly=True, samesite="strict", path="/")
        return answer


def cookie_name(token: str) -> str:
    """The name of a demo's cookie: cookies ignore ports, so two data directories need two names."""
    return f"andon_session_{hashlib.sha256(token.encode()).hexdigest()[:8]}"


def session_cookie(request: HTTPConnection) -> str:
    """The name of a session's cookie: of this port; under TLS with the prefix that keeps other hosts from setting it."""
    _, _, port = request.headers.get("host", "").rpartition(":")
    prefix = "__Host-" if request.url.scheme in {"https", "wss"} else ""
    return prefix + "andon_session" + (f"_{port}" if port.isdecimal() else "")


def keep_session(request: HTTPConnection, answer: Response, token: str) -> None:
    """Have the browser bring that session's token along until it is closed; under TLS `SafeHeaders` adds Secure."""
    secure = request.url.scheme == "https"
    answer.set_cookie(
        session_cookie(request), token, httponly=True, samesite="strict", path="/", secure=secure
    )


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


def wants_page(request: HTTPConnection) -> bool:
    """Whether a person is looking: a browser asks for text/html, and not below /api."""
    return "text/html" in request.headers.get("accept", "") and not request.url.path.startswith("/api/")


def address_asked(request: HTTPConnection) -> str:
    """What was asked for, without the host."""
    query = request.url.query
    return request.url.path + (f"?{query}" if query else "")


def speaker_of(request: HTTPConnection) -> Speaker:
    """Who speaks and how that is known."""
    speaker = request.state.speaker
    assert isinstance(speaker, Speaker)  # noqa: S101 - the gate put it there
    return speaker


def address_of(request: HTTPConnection) -> str:
    """The address that the request came from, empty where there is none."""
    return request.client.host if request.client else ""


async def _speaker(request: HTTPConnection, context: Context) -> Speaker | None:
    """Whoever the request's key or cookie speaks for, None if nobody is known by it."""
    bearer = _bearer(request)
    if context.token is not None:
        given = bearer or request.cookies.get(cookie_name(context.token), "")
        return OPERATOR if _same(given, context.token) else None
    if context.desk is None:
        return None
    at = context.database, bearer or request.cookies.get(session_cookie(request), ""), context.now()
    if bearer:
        found = speaking.by_key if bearer.startswith(PREFIX) else None
        return await anyio.to_thread.run_sync(found, *at) if found else None
    lifetimes = context.desk.lifetimes
    return await anyio.to_thread.run_sync(speaking.by_session, *at, lifetimes) if at[1] else None


def _too_often(request: HTTPConnection, context: Context, speaker: Speaker | None) -> Refusal | None:
    if context.pace is None:
        return None
    wait_s = context.pace.wait_s(speaker.subject if speaker else f"address {address_of(request)}")
    return Refusal(429, "too_many_requests", wait_s) if wait_s else None


def _foreign(request: HTTPConnection, speaker: Speaker | None) -> Refusal | None:
    """A write by cookie that did not come from our pages, or somebody who would act for somebody else."""
    by_cookie = speaker is not None and not _bearer(request)
    signs_in = speaker is None and request.url.path == SIGN_IN
    if (by_cookie or signs_in) and not _is_read(request) and not from_our_pages(request.headers):
        return Refusal(403, "foreign_origin")
    named = request.headers.get(PERSON_HEADER)
    if speaker is None or named is None or speaker.principal.acts_for_anybody:
        return None
    return None if named == speaker.principal.actor else Refusal(403, "acts_for_others")


def _bearer(request: HTTPConnection) -> str:
    kind, _, given = request.headers.get("authorization", "").partition(" ")
    return given.strip() if kind.lower() == "bearer" else ""


def _same(given: str, token: str) -> bool:
    return hmac.compare_digest(given.encode("utf-8", "surrogateescape"), token.encode())


def _is_read(request: HTTPConnection) -> bool:
    return request.scope["type"] == "http" and request.scope["method"] in _READS
