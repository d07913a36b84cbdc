"""One's own account: what it may do, where it is signed in, and the keys of one's programs."""

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from starlette.responses import RedirectResponse, Response

from andon.access import accounts, keys, sessions
from andon.access.errors import AccessRefused
from andon.access.roles import Right
from andon.database import reading, writing
from api.auth import SIGN_IN, speaker_of
from api.pages import render, say
from api.rights import needs
from api.visit import VisitOf
from api.web.sign_in_pages import by_of

router = APIRouter()
PAGE = "/account"
DAYS = (7, 30, 90, 366)
_BROWSERS = {
    "MicroMessenger": "WeChat",
    "Edg": "Edge",
    "Firefox": "Firefox",
    "Chrome": "Chrome",
    "Safari": "Safari",
}
_SYSTEMS = {
    "Windows": "Windows",
    "Android": "Android",
    "iPhone": "iPhone",
    "iPad": "iPad",
    "Mac OS": "macOS",
    "Linux": "Linux",
}
"""What a browser says of itself -> its name; the first that is said counts, since most claim to be others too."""


@router.get(PAGE, dependencies=[needs(Right.SELF)])
def show(request: Request, visit: VisitOf) -> Response:
    """The page."""
    return _page(request, visit)


@router.post(f"{PAGE}/sessions/{{session}}/end", dependencies=[needs(Right.SELF)])
def end_session(request: Request, visit: VisitOf, session: int) -> Response:
    """End one of one's sessions; one's own too, after which this browser is signed out."""
    desk, speaker = visit.context.desk, speaker_of(request)
    if desk is None or not desk.sign_out(session, speaker.account, by_of(request, visit.context)):
        raise HTTPException(404)
    answer = RedirectResponse(SIGN_IN if session == speaker.session else PAGE, 303)
    say(answer, "access.session_ended")
    return answer


@router.post(f"{PAGE}/keys", dependencies=[needs(Right.SELF)])
def add_key(
    request: Request,
    visit: VisitOf,
    name: Annotated[str, Form(max_length=80)] = "",
    days: Annotated[int, Form()] = DAYS[2],
    right: Annotated[list[Right] | None, Form()] = None,
) -> Response:
    """Make a key and show it, this once."""
    by = by_of(request, visit.context)
    try:
        with writing(visit.context.database) as conn:
            account = speaker_of(request).account
            key = keys.add(conn, account, name=name, rights=right or (), days=days, by=by)
    except AccessRefused as refused:
        return _page(request, visit, wrong=refused.code)
    return _page(request, visit, key=key)


@router.post(f"{PAGE}/keys/{{key}}/revoke", dependencies=[needs(Right.SELF)])
def revoke_key(request: Request, visit: VisitOf, key: int) -> Response:
    """Let one of one's keys work no more."""
    try:
        with writing(visit.context.database) as conn:
            keys.revoke(conn, key, by_of(request, visit.context), speaker_of(request).account)
    except AccessRefused as refused:
        raise HTTPException(404) from refused
    answer = RedirectResponse(PAGE, 303)
    say(answer, "access.key_revoked")
    return answer


def browser_of(agent: str) -> str:
    """A browser as a person knows it, from its User-Agent; the beginning of that if it is none of those.

    >>> browser_of("Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0 Mobile Safari/537.36")
    'Chrome · Android'
    """
    found = [
        next((name for said, name in known.items() if said in agent), "") for known in (_BROWSERS, _SYSTEMS)
    ]
    return " · ".join(filter(None, found)) or agent[:40]


def _page(request: Request, visit: VisitOf, *, key: str = "", wrong: str = "") -> Response:
    speaker, desk, now_ns = speaker_of(request), visit.context.desk, visit.context.now()
    if desk is None or not speaker.account:
        raise HTTPException(404)
    with reading(visit.context.database) as conn:
        account = accounts.find(conn, speaker.account, now_ns)
        signed_in = sessions.of(conn, speaker.account, now_ns, desk.lifetimes)
        mine = [one for one in keys.of(conn, speaker.account) if one.works(now_ns)]
    page = render(
        request,
        visit,
        "account.html",
        "account",
        here=PAGE,
        account=account,
        sessions=[(one, browser_of(one.agent)) for one in signed_in],
        this=speaker.session,
        keys=mine,
        grantable=sorted(keys.grantable(account.roles), key=list(Right).index),
        days=DAYS,
        key=key,
        wrong=wrong,
    )
    page.status_code = 422 if wrong else 200
    return page
