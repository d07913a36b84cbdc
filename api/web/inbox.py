"""The planner's home: what no one has looked at yet, the most urgent first, with verdict, evidence and a suggestion."""

from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Query, Request
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.responses import Response

from andon.database import reading
from api.pages import render
from api.visit import Visit, VisitOf
from api.web.charts import Chart, charts_of
from api.web.evidence import evidence_of
from api.web.reader import Reader
from api.web.rows import row_of
from api.web.surroundings import around, moment_of
from api.web.wording import asset_name, limit_sources, person_name, score_text, verdict, why_this_person
from ticketing import store
from ticketing.states import OUTCOMES, Step
from ticketing.ticket import Ticket, TicketState

router = APIRouter()
MOST = 200


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
    """The ticket that is looked at."""

    ticket: Ticket
    asset_name: str
    verdict: Markup
    confidence: str
    sources: list[str]
    charts: list[Chart]
    suggested: Suggested | None


@router.get("/")
def inbox(
    request: Request,
    visit: VisitOf,
    ticket: Annotated[int | None, Query()] = None,
    shown: Annotated[int | None, Query()] = None,
) -> Response:
    """The list, and beside it the chosen ticket: the one asked for, else the first.

    `shown` is how a page refreshes itself: a new ticket must not take the place of the one being read.
    """
    wanted = store.Filter(states=(TicketState.PENDING_DISPATCH,))
    with reading(visit.context.database) as conn:
        waiting = store.tickets(conn, wanted, limit=MOST).tickets
        wished = [one for one in waiting if one.id in {ticket, shown}]
        looked_at = next(iter([*wished, *waiting]), None)
        chosen = _chosen(conn, looked_at, visit) if looked_at else None
    return render(
        request,
        visit,
        "inbox.html",
        "inbox",
        items=[row_of(one, visit) for one in waiting],
        chosen=chosen,
        explicit=chosen is not None and chosen.ticket.id == ticket,
        next_id=_next(waiting, looked_at),
        actor_name=person_name(visit.actor, visit.plant),
        outcomes=OUTCOMES[Step.FALSE_ALARM],
    )


def _chosen(conn: Connection, ticket: Ticket, visit: Visit) -> Chosen:
    evidence = evidence_of(conn, store.ticket(conn, ticket.id, limit=1))
    headline, words = ticket.headline, visit.words
    return Chosen(
        ticket=ticket,
        asset_name=asset_name(visit.plant.asset(ticket.asset), ticket.asset, words),
        verdict=verdict(headline, words, visit.time),
        confidence=score_text(headline.confidence),
        sources=limit_sources(headline.numbers, words),
        charts=charts_of(evidence, headline.condition, words, visit.time)
        or around(moment_of(ticket), Reader.of(visit)),
        suggested=_suggested(ticket, visit),
    )


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


def _next(waiting: tuple[Ticket, ...], looked_at: Ticket | None) -> int | None:
    """The ticket to look at once this one is dealt with: the one below it, else the one above."""
    ids = [one.id for one in waiting]
    if looked_at is None or len(ids) < 2:
        return None
    place = ids.index(looked_at.id)
    return ids[place + 1] if place + 1 < len(ids) else ids[place - 1]
