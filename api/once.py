"""`Idempotency-Key`: a POST that is sent again under its key is not done again, but answered as it was the first time.

Kept for 24 hours, for each account by itself. Reports keep their keys themselves, for ever (`ticketing.reports`).
"""

import json
from hashlib import sha256

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from andon import once
from api.auth import PERSON_HEADER, SIGNED, speaker_of
from api.context import Context
from api.described import API
from api.problems import code_of, problem

HEADER, AGAIN = "idempotency-key", "Idempotency-Replayed"
LONGEST_KEY = 200
OWN_KEYS = f"{API}/reports"
"""What has keys of its own; files of a report, below it, are the same by what is in them, and are not held in memory."""
_KEPT_HEADERS = ("content-type", "etag", "location")


class Once:
    """ASGI middleware behind the gate, for POSTs to the API that carry a key."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Do it, or answer as before: 409 while the first is being done, 422 for another request under the same key."""
        if scope["type"] != "http" or not _concerned(request := Request(scope, receive)):
            await self._app(scope, receive, send)
            return
        given = request.headers[HEADER]
        if not 0 < len(given) <= LONGEST_KEY:
            said = f"Idempotency-Key: 1 to {LONGEST_KEY} characters"
            await problem(422, "invalid_request", said)(scope, receive, send)
            return
        try:
            body = await request.body()
        except HTTPException as error:  # too long, or it does not come
            await problem(error.status_code, code_of(error.status_code), error.detail)(scope, receive, send)
            return
        context: Context = _context(request)
        key, asked = _digest(request, given.encode("utf-8", "replace")), _asked(request, body)
        before = await run_in_threadpool(once.begin, context.database, key, asked, context.now())
        if before is not None:
            await _told(before, asked, context.now())(scope, receive, send)
            return
        answer = _Kept(send)
        try:
            await self._app(scope, _again(body, receive), answer)
        finally:
            await run_in_threadpool(once.finish, context.database, key, answer.done(asked, context.now()))


class _Kept:
    """An answer on its way out, and what of it is kept."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._status = 0
        self._headers: list[tuple[str, str]] = []
        self._body = bytearray()
        self._whole = False

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            headers = MutableHeaders(scope=message)
            self._headers = [(name, headers[name]) for name in _KEPT_HEADERS if name in headers]
        else:
            self._body += message.get("body", b"")
            self._whole = not message.get("more_body", False)
        await self._send(message)

    def done(self, asked: str, now_ns: int) -> once.Done | None:
        """What is kept of it; None if nothing was done."""
        if not (self._whole and 200 <= self._status < 300):
            return None
        return once.Done(asked, now_ns, self._status, json.dumps(self._headers), bytes(self._body))


def _concerned(request: Request) -> bool:
    path = request.url.path
    mine = request.method == "POST" and path.startswith(f"{API}/") and not path.startswith(OWN_KEYS)
    return mine and not SIGNED.fullmatch(path) and HEADER in request.headers


def _context(request: Request) -> Context:
    app: FastAPI = request.app
    context: Context = app.state.context
    return context


def _digest(request: Request, given: bytes) -> str:
    """The key as it is kept: of the account or API key that asks, so that nobody meets another's.

    An API key is one by itself: it may have fewer rights than its account, and is not shown what those did.
    """
    actor = f"{speaker_of(request).subject}\0{request.headers.get(PERSON_HEADER, '')}\0".encode()
    return sha256(actor + given).hexdigest()


def _asked(request: Request, body: bytes) -> str:
    """What was asked; a form's boundary is drawn anew with each try, and says nothing."""
    _, _, boundary = request.headers.get("content-type", "").partition("boundary=")
    if boundary:
        body = body.replace(boundary.strip('"').encode("utf-8", "replace"), b"")
    said = f"{request.url.path}?{request.url.query}\0{request.headers.get('if-match', '')}\0".encode()
    return sha256(said + body).hexdigest()


def _told(before: once.Done, asked: str, now_ns: int) -> Response:
    if before.asked != asked:
        said = "this key was used for another request: take a new one for each"
        return problem(422, "idempotency_key_reused", said)
    if before.status is None and now_ns - before.at_ns < once.LONGEST_NS:
        answer = problem(409, "idempotency_key_in_use", "the request with this key is being done: ask again")
        answer.headers["Retry-After"] = "1"
        return answer
    if before.status is None:
        said = "the request with this key was cut off: look whether it was done, then take a new key"
        return problem(409, "idempotency_outcome_unknown", said)
    answer = Response(before.body, before.status, dict(json.loads(before.headers)))
    answer.headers[AGAIN] = "true"
    return answer


def _again(body: bytes, receive: Receive) -> Receive:
    """The body once more, for whoever does the request; then what the connection says."""
    given = False

    async def replay() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay
