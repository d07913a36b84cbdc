"""The planner's home: what no one has looked at yet, the most urgent first, with verdict, evidence and a suggestion."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Annotated

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.responses import Response

from andon.access.roles import Right
from andon.clock import pace_of
from andon.database import reading
from andon.events import MINUTE_NS, Family
from api.pages import render
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.charts import Chart, charts_of
from api.web.clock_rows import ClockRow, next_due
from api.web.evidence import evidence_of
from api.web.reader import Reader
from api.web.rows import Row, row_of
from api.web.surroundings import around, moment_of
from api.web.wording import asset_name, limit_sources, person_name, score_text, verdict, why_this_person
from ticketing import sla, store, triage
from ticketing.states import OUTCOMES, Step
from ticketing.ticket import UNRESOLVED, Ticket, TicketState
from ticketing.triage import UNDO_NS, Away

router = APIRouter()
MOST = 200
ALIKE = 6
"""Other tickets that one can be merged into, as many as are offered at once."""
MORNING = 7
"""The hour of the plant's day to which a ticket is put off over night."""


@dataclass(frozen=True, slots=True)
class Suggested:
    """Whom routing names and why."""

    id: str
    name: str
    reasons: list[str]
    rule: str
    backup_id: str
    backup: str


@dataclass(frozen=True, slots=True)
class Chosen:
    """The ticket that is looked at; `alike` are open tickets that it may belong to, `here` the likeliest."""

    ticket: Ticket
    asset_name: str
    what: str
    verdict: Markup
    confidence: str
    sources: list[str]
    charts: list[Chart]
    due: ClockRow | None
    suggested: Suggested | None
    alike: Sequence[Row]
    here: Row | None
    away: "Waiting | None"


@dataclass(frozen=True, slots=True)
class Waiting:
    """A ticket that is out of sight: what is about to be done, or until when it was put off, and by whom."""

    ticket: int
    said: str
    until_ns: int
    who: str
    put_off: bool
    undoable: bool
    elapsed_s: int


@dataclass(frozen=True, slots=True)
class Looked:
    """What the list holds in this moment."""

    waiting: Sequence[Ticket]
    put_off: Sequence[Ticket]
    away: Mapping[int, Waiting]
    dues: Mapping[int, ClockRow | None]


@router.get("/", dependencies=[needs(Right.READ)])
def inbox(
    request: Request,
    visit: VisitOf,
    ticket: Annotated[int | None, Query()] = None,
    shown: Annotated[int | None, Query()] = None,
    alike: Annotated[str, Query(max_length=100)] = "",
) -> Response:
    """The list, and beside it the chosen ticket: the one asked for, else the first.

    `shown` is how a page refreshes itself: a new ticket must not take the place of the one being read. `alike` looks
    for another ticket to merge into.
    """
    with reading(visit.context.database) as conn:
        found = _look(conn, visit)
        wished = [one for one in (*found.waiting, *found.put_off) if one.id in {ticket, shown}]
        looked_at = next(iter([*wished, *found.waiting]), None)
        chosen = _chosen(conn, looked_at, visit, found, alike) if looked_at else None
    return render(
        request,
        visit,
        "inbox.html",
        "inbox",
        items=[row_of(one, visit) for one in found.waiting],
        put_off=[row_of(one, visit) for one in found.put_off],
        away=found.away,
        undo=[one for one in found.away.values() if one.undoable],
        dues=found.dues,
        chosen=chosen,
        explicit=chosen is not None and chosen.ticket.id == ticket,
        next_id=_next(found.waiting, looked_at),
        sought=alike,
        later=_later(visit),
        actor_name=person_name(visit.actor, visit.plant),
        outcomes=OUTCOMES[Step.FALSE_ALARM],
    )


def _look(conn: Connection, visit: Visit) -> Looked:
    page = store.tickets(
        conn, store.Filter(states=(TicketState.PENDING_DISPATCH,), machines=visit.sight.assets), limit=MOST
    )
    away = triage.away(conn, visit.sight.assets)
    clocks = sla.clocks_of(conn, [one.id for one in page.tickets])
    return Looked(
        waiting=[one for one in page.tickets if one.id not in away],
        put_off=[one for one in page.tickets if one.id in away and away[one.id].step is None],
        away={one.id: _waiting(away[one.id], one, visit) for one in page.tickets if one.id in away},
        dues={n: next_due(known, visit) for n, known in clocks.items()},
    )


def undo_of(visit: Visit) -> int:
    """Ten seconds of the person who looks, in the time of the plant: a demo's runs faster."""
    return round(UNDO_NS * pace_of(visit.context.now))


def _waiting(one: Away, ticket: Ticket, visit: Visit) -> Waiting:
    words, since_ns = visit.words, visit.context.now() - one.set_ns
    key = "inbox.put_off" if one.step is None else f"inbox.about_to_{one.step}"
    return Waiting(
        ticket=ticket.id,
        said=words(
            key,
            number=ticket.number,
            name=person_name(one.said.get("person"), visit.plant),
            at=visit.time.short(one.until_ns),
        ),
        until_ns=one.until_ns,
        who=person_name(one.actor, visit.plant),
        put_off=one.step is None,
        undoable=one.actor == visit.actor and (one.step is not None or since_ns < undo_of(visit)),
        elapsed_s=min(10, max(0, since_ns) * 10 // undo_of(visit)),
    )


def _chosen(conn: Connection, ticket: Ticket, visit: Visit, found: Looked, sought: str) -> Chosen:
    evidence = evidence_of(conn, store.ticket(conn, ticket.id, limit=1))
    headline, words = ticket.headline, visit.words
    alike = _alike(conn, ticket, visit, sought)
    return Chosen(
        ticket=ticket,
        asset_name=asset_name(visit.plant.asset(ticket.asset), ticket.asset, words),
        what=row_of(ticket, visit).what,
        verdict=verdict(headline, words, visit.time),
        confidence=score_text(headline.confidence),
        sources=limit_sources(headline.numbers, words),
        charts=charts_of(evidence, headline.condition, words, visit.time)
        or around(moment_of(ticket), Reader.of(visit)),
        due=found.dues.get(ticket.id),
        suggested=_suggested(ticket, visit),
        alike=[row_of(one, visit) for one in alike],
        here=next((row_of(one, visit) for one in alike if _is_of(one, ticket) and not sought), None),
        away=found.away.get(ticket.id),
    )


def _alike(conn: Connection, ticket: Ticket, visit: Visit, sought: str) -> Sequence[Ticket]:
    """Open tickets that this one may be the same as: its machine's, then its line's; or what was looked for."""
    states = tuple(state for state in TicketState if state in UNRESOLVED)
    seen = store.Filter(states, machines=visit.sight.assets)
    wanted = [replace(seen, text=sought)] if sought else []
    if not sought and ticket.asset:
        wanted = [replace(seen, asset=ticket.asset), replace(seen, line=ticket.line)]
    pages = (store.tickets(conn, one, limit=ALIKE + 1).tickets for one in wanted)
    found = {one.id: one for page in pages for one in page}
    found.pop(ticket.id, None)
    ordered = sorted(found.values(), key=lambda one: (one.asset != ticket.asset, one.opened_ns))
    return ordered[:ALIKE]


def _is_of(other: Ticket, ticket: Ticket) -> bool:
    """Whether the ticket may well be what another one of its machine is about: a stop, or the same component."""
    same = other.headline.component == ticket.headline.component
    return other.asset == ticket.asset and (same or ticket.headline.family is Family.STOP)


def _later(visit: Visit) -> list[tuple[str, int]]:
    """Until when a ticket can be put off with one press: in words, and the moment."""
    now_ns = visit.context.now()
    morning_ns = visit.time.next_ns(timedelta(hours=MORNING))
    spans = ((30, now_ns + 30 * MINUTE_NS), (120, now_ns + 120 * MINUTE_NS))
    soon = [(visit.words("inbox.for", span=visit.time.span(60 * minutes)), at_ns) for minutes, at_ns in spans]
    return [*soon, (visit.words("inbox.until", at=visit.time.short(morning_ns)), morning_ns)]


def _suggested(ticket: Ticket, visit: Visit) -> Suggested | None:
    suggestion = ticket.suggestion
    if suggestion is None or suggestion.person is None:
        return None
    weighed = {candidate.person: candidate for candidate in suggestion.candidates}
    candidate = weighed.get(suggestion.person)
    return Suggested(
        id=suggestion.person,
        name=person_name(suggestion.person, visit.plant),
        reasons=why_this_person(suggestion, candidate, visit.words) if candidate else [],
        rule=visit.words(f"routing.rule_{suggestion.rule}"),
        backup_id=suggestion.backup or "",
        backup=person_name(suggestion.backup, visit.plant) if suggestion.backup else "",
    )


def _next(waiting: Sequence[Ticket], looked_at: Ticket | None) -> int | None:
    """The ticket to look at once this one is dealt with: the one below it, else the one above."""
    ids = [one.id for one in waiting]
    if looked_at is None or looked_at.id not in ids:
        return ids[0] if ids else None
    if len(ids) < 2:
        return None
    place = ids.index(looked_at.id)
    return ids[place + 1] if place + 1 < len(ids) else ids[place - 1]
