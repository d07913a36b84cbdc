"""The pages by which people come in, go out, and change their password. They work without scripts."""

from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from andon.access.audit import By
from andon.access.errors import AccessRefused, SignInRefused
from andon.access.passwords import SHORTEST
from andon.access.roles import Right
from andon.access.signing_in import Desk
from andon.events import SECOND_NS
from api.auth import CHANGE, SIGN_IN, SIGN_OUT, address_of, keep_session, session_cookie, speaker_of
from api.catalogue import LANGUAGES, Words, negotiate, words_of
from api.context import Context
from api.pages import environment
from api.preferences import A_YEAR_S, inside
from api.rights import needs
from api.visit import LANGUAGE, THEME, THEMES, ContextOf, zone_named
from api.web.formats import PlantTime
from api.web.forms import Form, field_of

router = APIRouter()
NAME_MAX = 64


@router.get(SIGN_IN)
def ask(request: Request, context: ContextOf, back: str = "/") -> Response:
    """The page to sign in; who is signed in already is sent on."""
    _desk(context)
    if speaker_of(request).account:
        return RedirectResponse(inside(back), 303)
    return _page(request, context, "sign_in.html", back=inside(back), name="")


@router.post(SIGN_IN)
def sign_in(request: Request, context: ContextOf, form: Form) -> Response:
    """Sign in and go to the page that was asked for; or choose how this page looks."""
    back = inside(field_of(form, "back") or "/")
    chosen = {key: field_of(form, field) for key, field in ((LANGUAGE, "language"), (THEME, "theme"))}
    if any(chosen.values()):
        answer: Response = RedirectResponse(f"{SIGN_IN}?back={quote(back)}", 303)
        for key, value in chosen.items():
            if value in {*LANGUAGES, *THEMES}:
                answer.set_cookie(key, value, max_age=A_YEAR_S, httponly=True, samesite="strict")
        return answer
    name, password = field_of(form, "name")[:NAME_MAX], field_of(form, "password")
    try:
        token = _desk(context).sign_in(
            name, password, now_ns=context.now(), address=address_of(request), agent=_agent(request)
        )
    except SignInRefused as refused:
        return _again(request, context, "sign_in.html", refused, back=back, name=name)
    answer = RedirectResponse(back, 303)
    keep_session(request, answer, token)
    return answer


@router.post(SIGN_OUT, dependencies=[needs(Right.SELF)])
def sign_out(request: Request, context: ContextOf) -> Response:
    """End this session and show the page to sign in."""
    speaker = speaker_of(request)
    answer = RedirectResponse(SIGN_IN, 303)
    if speaker.session is not None:
        _desk(context).sign_out(speaker.session, speaker.account, by_of(request, context))
        answer.delete_cookie(session_cookie(request), path="/", httponly=True, samesite="strict")
    return answer


@router.get(CHANGE, dependencies=[needs(Right.SELF)])
def ask_for_another(request: Request, context: ContextOf) -> Response:
    """The page to change one's password; the only one there is until the first was changed."""
    _desk(context)
    return _page(request, context, "password.html")


@router.post(CHANGE, dependencies=[needs(Right.SELF)])
def change(request: Request, context: ContextOf, form: Form) -> Response:
    """Change it, end every other session, and go to the inbox."""
    old, new, again = (field_of(form, name) for name in ("old", "new", "again"))
    try:
        _same(new, again)
        by, account = by_of(request, context), speaker_of(request).account
        token = _desk(context).change(account, old, new, by=by, agent=_agent(request))
    except AccessRefused as refused:
        return _again(request, context, "password.html", refused)
    answer = RedirectResponse("/", 303)
    keep_session(request, answer, token)
    return answer


def _same(new: str, again: str) -> None:
    if new != again:
        raise AccessRefused("password_differs", "the two new passwords are not the same")


def by_of(request: Request, context: Context) -> By:
    """Who does something on these pages, for the record."""
    return By(speaker_of(request).principal.actor, context.now(), "web", address_of(request))


def _again(
    request: Request, context: Context, template: str, refused: AccessRefused, **values: Any
) -> Response:
    """The page once more, with what was wrong and when the next try is heard."""
    until_ns = refused.until_ns if isinstance(refused, SignInRefused) else None
    page = _page(request, context, template, wrong=refused.code, until_ns=until_ns, **values)
    page.status_code = 422 if not isinstance(refused, SignInRefused) else 401
    if until_ns is not None:
        page.status_code = 429
        page.headers["Retry-After"] = str(max(1, (until_ns - context.now()) // SECOND_NS))
    return page


def _page(
    request: Request,
    context: Context,
    template: str,
    *,
    wrong: str | None = None,
    until_ns: int | None = None,
    **values: Any,
) -> HTMLResponse:
    words, theme = _words(request), request.cookies.get(THEME)
    theme = theme if theme in THEMES else "auto"
    time = PlantTime(zone_named(context.plant().time_zone), context.now(), words)
    speaker = speaker_of(request)
    return HTMLResponse(
        environment()
        .get_template(template)
        .render(
            t=words,
            theme=theme,
            next_theme=THEMES[(THEMES.index(theme) + 1) % len(THEMES)],
            other_language="en" if words.language == "zh" else "zh",
            wrong=wrong,
            until=time.short(until_ns) if until_ns is not None else "",
            minutes=-(-(until_ns - context.now()) // (60 * SECOND_NS)) if until_ns is not None else 0,
            shortest=SHORTEST,
            account=speaker.account,
            first=speaker.must_change,
            **values,
        )
    )


def _words(request: Request) -> Words:
    return words_of(negotiate(request.cookies.get(LANGUAGE), request.headers.get("accept-language", "")))


def _desk(context: Context) -> Desk:
    if context.desk is None:
        raise HTTPException(404)  # a demo has no accounts
    return context.desk


def _agent(request: Request) -> str:
    return request.headers.get("user-agent", "")
