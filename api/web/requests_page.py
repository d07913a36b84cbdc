"""All requests in one list (rule 6): by which channel, by whom, in which words, and what became of each; and talks that wait."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json
from api.pages import render
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.report_page import CHANNELS, KNOWN, channel_name
from api.web.wording import person_name
from ticketing import reports
from ticketing.reports import Intake
from ticketing.requests import attachments, talks
from ticketing.requests.talks import Talk

router = APIRouter()
SHOWN = 100
LOOKED_AT = 400
_SAID = 160


@dataclass(frozen=True, slots=True)
class Row:
    """One request as the list shows it."""

    id: int
    at_ns: int
    channel: str
    who: str
    phone: str
    words: str
    files: int
    ticket: int | None
    refusal: str
    again: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A talk whose person was asked something and has not answered; `href` is where a person of ours goes on."""

    began_ns: int
    channel: str
    who: str
    words: str
    href: str


@router.get("/reports", dependencies=[needs(Right.READ)])
def requests(
    request: Request, visit: VisitOf, channel: Annotated[str, Query(max_length=32)] = ""
) -> Response:
    """The newest requests; those that became no ticket are shown to whoever sees the whole plant."""
    whole = visit.sight.assets is None
    with reading(visit.context.database) as conn:
        found = reports.newest(conn, machines=visit.sight.assets, limit=LOOKED_AT if channel else SHOWN)
        said = [(one, _body(one)) for one in found]
        chosen = [(one, body) for one, body in said if channel in {"", body.get("channel", "")}][:SHOWN]
        counted = attachments.counts(conn, [one.id for one, _ in chosen])
        waiting = talks.talks(conn) if whole else ()
    return render(
        request,
        visit,
        "requests.html",
        "report",
        items=[_row(one, body, counted.get(one.id, 0), visit) for one, body in chosen],
        unanswered=[_waiting(one, visit) for one in waiting],
        channels=sorted(KNOWN | {*CHANNELS}),
        channel=channel,
    )


def _row(one: Intake, body: Mapping[str, Json], files: int, visit: Visit) -> Row:
    words = visit.words
    again = {name: str(value) for name, value in body.items() if isinstance(value, str) and value}
    return Row(
        id=one.id,
        at_ns=one.at_ns,
        channel=channel_name(str(body.get("channel", one.came_by)), words),
        who=person_name(str(body.get("reporter") or one.actor), visit.plant),
        phone=str(body.get("phone", "")),
        words=_short(str(body.get("description", ""))),
        files=files,
        ticket=one.ticket,
        refusal=words(f"requests.refused_{one.refusal}") if one.refusal else "",
        again=f"/report?{urlencode({**again, 'carried': one.id})}",
    )


def _waiting(one: Talk, visit: Visit) -> Waiting:
    draft = one.draft
    known = {
        "channel": one.channel,
        "reporter": one.peer,
        "description": draft.description,
        "asset": draft.asset,
        "serial": draft.serial,
        "order_number": draft.order_number,
        "phone": draft.phone,
        "talk": f"{one.channel} {one.peer}",
    }
    return Waiting(
        began_ns=one.began_ns,
        channel=channel_name(one.channel, visit.words),
        who=person_name(one.peer, visit.plant),
        words=_short(draft.description),
        href=f"/report?{urlencode({name: value for name, value in known.items() if value})}",
    )


def _body(one: Intake) -> dict[str, Json]:
    """What was said, as far as it can be read."""
    try:
        said = json.loads(one.body)
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _short(words: str) -> str:
    line = " ".join(words.split())
    return line if len(line) <= _SAID else f"{line[: _SAID - 1]}…"
