"""Pages: Jinja templates rendered with the visitor's words and times, and static files under changing addresses."""

import json
from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup
from starlette.requests import HTTPConnection, Request
from starlette.responses import HTMLResponse, Response

from andon.access.roles import Right, roles_with
from andon.database import reading
from andon.events import Json
from api.auth import Refusal, address_asked, speaker_of
from api.catalogue import Words, negotiate, words_of
from api.visit import LANGUAGE, THEMES, Visit
from ticketing import store, tallies, triage

WEB = Path(__file__).parent / "web"
PLACES = (
    ("inbox", "/"),
    ("tickets", "/board"),
    ("alarms", "/alarms"),
    ("problems", "/problems"),
    ("assets", "/assets"),
    ("detectors", "/detectors"),
    ("pipeline", "/pipeline"),
    ("parts", "/parts"),
    ("plans", "/plans"),
    ("approvals", "/approvals"),
    ("knowledge", "/knowledge"),
    ("kpi", "/kpi"),
)
IN_THE_BAR, FURTHER = (tuple(name for name, _ in some) for some in (PLACES[:7], PLACES[7:]))
"""The places that stand in the bar of a wide screen, and those that are one click further."""
SCRIPT_WORDS = (
    *("js.live_on", "js.live_off", "js.offline", "js.new", "js.press_enter"),
    *("js.outbox_offline", "js.outbox_pending", "js.outbox_refused", "js.outbox_now", "js.outbox_discard"),
)
"""The words that our scripts say; see api/web/static/words.js."""

ON_PHONES = ("inbox", "tickets", "alarms", "assets")
"""The places that stand in the bar of a phone; the others are one tap further."""

SHEETS = (
    *("tokens", "base", "parts", "pages", "lists", "inbox", "board", "ticket", "detectors", "explained"),
    *("access", "approvals", "requests", "rootcause", "plans", "kpi", "narrow"),
)
"""The style sheets of every page, in their order."""

FLASH = "andon_flash"


@cache
def build_id() -> str:
    """Names this build of the static files: their addresses change when they do, so browsers may keep them."""
    digest = sha256()
    for folder in ("static", "vendor"):
        for path in sorted((WEB / folder).glob("*.*")):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()[:12]


def static(name: str) -> str:
    """The address of a static file."""
    return f"/static/{build_id()}/{name}"


@cache
def environment() -> Environment:
    """The templates, with what they are filled in by."""
    environment = Environment(
        loader=FileSystemLoader(WEB / "templates"),
        autoescape=True,
        auto_reload=False,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(static=static, sheets=SHEETS)
    environment.filters["json"] = _script_json
    return environment


def _script_json(value: Json) -> Markup:
    """JSON that can stand inside a script element: it cannot close it."""
    return Markup(json.dumps(value, ensure_ascii=False).replace("<", "\\u003c"))  # noqa: S704


def render(
    request: Request, visit: Visit, template: str, place: str, *, here: str | None = None, **values: Any
) -> HTMLResponse:
    """A page of the console. `place` is the entry of the navigation that it belongs to, `here` its address if not asked."""
    with reading(visit.context.database) as conn:
        seen = visit.sight.assets
        waiting = tallies.waiting(conn, seen) - len(triage.away(conn, seen))
        changed = store.change_number(conn)
    words = visit.words
    flash = _flash_of(request, words)
    body = (
        environment()
        .get_template(template)
        .render(
            t=words,
            th=words.html,
            time=visit.time,
            plant=visit.plant,
            theme=visit.theme,
            actor=visit.actor,
            signed_in=signed_in(request, visit),
            may=visit.may,
            roles_for=lambda right: who_may(Right(right), words),
            everywhere=visit.sight.assets is None,
            place=place,
            places=PLACES,
            on_phones=ON_PHONES,
            in_the_bar=IN_THE_BAR,
            further=FURTHER,
            here=here or address_asked(request),
            waiting=waiting,
            changed=changed,
            other_language="en" if words.language == "zh" else "zh",
            next_theme=THEMES[(THEMES.index(visit.theme) + 1) % len(THEMES)],
            script_words={key: words(key, what="{what}", why="{why}", n="{n}") for key in SCRIPT_WORDS},
            flash=flash,
            **values,
        )
    )
    answer = HTMLResponse(body)
    if flash is not None:
        answer.delete_cookie(FLASH)
    return answer


def signed_in(request: Request, visit: Visit) -> Mapping[str, Json] | None:
    """Who is signed in, for the menu; None for the operator of a demo, who chooses whom to act as."""
    account = speaker_of(request).account
    named = next((one.name for one in visit.plant.people if one.id == visit.actor), visit.actor)
    roles = sorted(visit.sight.principal.roles)
    return {"account": account, "name": named, "roles": roles} if account else None


def say(answer: Response, key: str, link: str = "", **arguments: str | int) -> None:
    """Have the next page say this once, in a corner."""
    text = json.dumps({"key": key, "link": link, "arguments": arguments})
    answer.set_cookie(FLASH, quote(text), max_age=60, httponly=True, samesite="strict")


def _flash_of(request: Request, words: Words) -> Mapping[str, str] | None:
    try:
        said = json.loads(unquote(request.cookies.get(FLASH, "")))
        return {"text": words(said["key"], **said["arguments"]), "link": said["link"]}
    except (ValueError, KeyError, TypeError):
        return None


def _lacking(right: Right | None, words: Words) -> Mapping[str, str]:
    """The right that was lacking, and the roles that have it, in words."""
    return {} if right is None else {"right": words(f"right.{right}"), "roles": who_may(right, words)}


def who_may(right: Right, words: Words) -> str:
    """The roles that have a right, in words."""
    return words("list.and").join(words(f"role.{role}") for role in roles_with(right))


def refusal_page(request: HTTPConnection, refusal: Refusal, right: Right | None = None) -> Response:
    """A refusal in words, with the cure where there is one, and who has the `right` that was lacking."""
    words = words_of(negotiate(request.cookies.get(LANGUAGE), request.headers.get("accept-language", "")))
    code = refusal.code if f"refused.{refusal.code}" in words else "broken"
    body = (
        environment()
        .get_template("refusal.html")
        .render(
            t=words,
            title=words(f"refused.{code}"),
            text=words(f"refused.{code}_text", **_lacking(right, words)),
            cure=words(f"refused.{code}_cure") if f"refused.{code}_cure" in words else "",
            home=refusal.status in {403, 404, 500},
        )
    )
    return HTMLResponse(body, refusal.status)
