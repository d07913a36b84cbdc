"""Limits over REST: what every clock of a ticket shows, the shift leader's board, the drift list, steps that failed."""

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import SECOND_NS, Json, rfc3339
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.visit import ContextOf
from ticketing import drift, sla, store, timers
from ticketing.clocks import ClockReading, readings
from ticketing.timers import Timer

router = APIRouter(tags=["limits"])


def clock_json(clock: ClockReading) -> Mapping[str, Json]:
    """A clock as JSON; `taken_s` and `left_s` are by its own time: the calendar's, or all time where it names none."""
    return {
        "kind": str(clock.kind),
        "state": str(clock.state),
        "late": clock.late,
        "policy": clock.policy,
        "calendar": clock.calendar,
        "from_at": rfc3339(clock.from_ns),
        "due_at": None if clock.due_ns is None else rfc3339(clock.due_ns),
        "ended_at": None if clock.ended_ns is None else rfc3339(clock.ended_ns),
        "limit_s": clock.limit_ns / SECOND_NS,
        "taken_s": clock.taken_ns / SECOND_NS,
        "left_s": clock.left_ns / SECOND_NS,
    }


@router.get("/tickets/{ticket_id}/clocks", dependencies=[needs(Right.READ)])
def clocks(context: ContextOf, ticket_id: int, page: PagingOf) -> Response:
    """Every clock of a ticket as it stands now, computed from its audit and the limits in force."""
    with reading(context.database) as conn:
        ticket = store.ticket(conn, ticket_id, limit=1).ticket
        found = readings(ticket, sla.lines_of(conn, ticket_id), context.plant(), context.now())
    return page.cut(found, clock_json)


@router.get("/board", dependencies=[needs(Right.READ)])
def board(
    context: ContextOf, sight: SightOf, asked: PagingOf, line: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """The shift leader's board: tickets with a limit that has passed, the longest overdue first."""
    wanted, sort = store.Filter(line=line, overdue=True, machines=sight.assets), store.Sort.DUE
    after = asked.behind(*store.place_kinds(sort))
    with reading(context.database) as conn:
        page = store.tickets(conn, wanted, sort=sort, limit=asked.limit, after=after)
        known = sla.clocks_of(conn, [one.id for one in page.tickets])
    items = [
        {
            "ticket": plain(one),
            "clocks": [clock_json(clock) for clock in known.get(one.id, ()) if clock.late],
        }
        for one in page.tickets
    ]
    return asked.page(items, page.last, total=page.total)


@router.get("/drift", dependencies=[needs(Right.READ)])
def drift_list(
    context: ContextOf, sight: SightOf, page: PagingOf, day: Annotated[date | None, Query()] = None
) -> Response:
    """The drift list of a day, or the newest; and the days that have one."""
    with reading(context.database) as conn:
        found, days = drift.kept(conn, day, sight.assets), drift.days(conn, machines=sight.assets)
    if found is None:
        raise HTTPException(
            404, "there is no drift list of that day" if day else "there is no drift list yet"
        )
    return page.cut(
        found.items,
        lambda one: {**plain(one), "reasons": list(one.reasons)},
        day=found.day.isoformat(),
        at=rfc3339(found.at_ns),
        days=[{"day": one.isoformat(), "tickets": n} for one, n in days.items()],
    )


@router.get("/timers/failed", dependencies=[needs(Right.REDRIVE, whole=True)])
def failed(context: ContextOf, page: PagingOf) -> Response:
    """Steps that were due and failed too often, with their last error: each waits to be tried again."""
    with reading(context.database) as conn:
        found = timers.given_up(conn)
    return page.cut(found, plain)


class Again(BaseModel):
    """A step that was given up."""

    kind: str = Field(max_length=32, examples=["routing"])
    subject: str = Field(max_length=200)
    step: int = 0
    cycle: int = 0


@router.post("/timers/failed/again", status_code=202, dependencies=[needs(Right.REDRIVE, whole=True)])
def again(context: ContextOf, which: Again) -> Response:
    """Have a step that was given up tried once more, at once."""
    with context.tickets.transaction(context.now()) as book:
        found = timers.again(book, Timer(which.kind, which.subject, 0, which.step, which.cycle))
    if not found:
        raise HTTPException(404, "there is no such step that was given up")
    return JSONResponse({"tried": True}, 202)
