"""Alarm performance over REST: the measures of ISA-18.2 and IEC 62682, and the alarm occurrences behind each number."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import HOUR_NS, Json, Priority, nanoseconds, rfc3339
from api.answers import plain
from api.moments import Told as Moment
from api.paging import PagingOf
from api.refused import Refused
from api.rights import needs
from api.visit import VisitOf
from ticketing.analysis.alarm_kpis import BASE_NS, BOUNDS, WANTED, Performance, Stretch, performance, verdict
from ticketing.analysis.alarm_words import TEN_NS, Asked, Counts, Told, occurrences
from ticketing.metrics.periods import ROLLING, period_of
from ticketing.urgency import ORDER

router = APIRouter(tags=["alarms"])
LISTED = 20
"""Rows of each list beside the measures."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """The time that is asked about; `period` is what it is called."""

    period: str
    asked: Asked


def chosen(
    visit: VisitOf,
    *,
    period: Annotated[
        str, Query(max_length=10, description="A month (2026-03), or `rolling`: the last 30 days.")
    ] = ROLLING,
) -> Chosen:
    """The period, in whole intervals of ten minutes up to now; 422 for what there is none of."""
    now_ns, plant = visit.time.now_ns, visit.plant
    now_ns -= now_ns % TEN_NS
    try:
        span = period_of(period, now_ns, plant.time_zone)
    except ValueError as error:
        raise Refused(422, "no_such_period", str(error)) from None
    to_ns = max(span.from_ns, min(span.to_ns, now_ns))
    return Chosen(span.name or ROLLING, Asked(span.from_ns, to_ns, plant, visit.sight.assets))


ChosenOf = Annotated[Chosen, Depends(chosen)]


@dataclass(frozen=True, slots=True)
class Narrowed:
    """Which of its occurrences: of one alarm, priority or area, or of a part of the time."""

    asked: Asked
    alarm: str
    priority: int | None
    area: str | None


def narrowed(
    which: ChosenOf,
    *,
    alarm: Annotated[str, Query(max_length=200, description="An alarm's id.")] = "",
    priority: Annotated[Priority | None, Query(description="That its alarm has now.")] = None,
    area: Annotated[str | None, Query(max_length=400, description="The operating position.")] = None,
    from_: Annotated[Moment | None, Query(alias="from", description="From that moment on.")] = None,
    to: Annotated[Moment | None, Query(description="Before that moment.")] = None,
) -> Narrowed:
    """The parameters of a list of occurrences."""
    asked = replace(
        which.asked,
        from_ns=which.asked.from_ns if from_ is None else nanoseconds(from_),
        to_ns=which.asked.to_ns if to is None else nanoseconds(to),
    )
    return Narrowed(asked, alarm, None if priority is None else ORDER.index(priority), area)


NarrowedOf = Annotated[Narrowed, Depends(narrowed)]


@router.get("/alarms/performance", dependencies=[needs(Right.READ)])
def measures(visit: VisitOf, which: ChosenOf) -> Response:
    """Each measure with its bounds, and the alarms and times that it is made of: the worst of each list."""
    with reading(visit.context.database) as conn:
        found = performance(conn, which.asked)
    return JSONResponse(as_json(found, which.period))


@router.get("/alarms/performance/occurrences", dependencies=[needs(Right.READ)])
def behind(visit: VisitOf, which: NarrowedOf, page: PagingOf) -> Response:
    """The alarm occurrences that were counted, the oldest first."""
    with reading(visit.context.database) as conn:
        found = read(conn, which, page)
    return page.answer(found, plain, place_of)


def read(conn: Connection, which: Narrowed, page: PagingOf) -> Sequence[Told]:
    """A page of them, and one more if there is one."""
    after = page.behind(int, str)
    return occurrences(
        conn,
        which.asked,
        alarm=which.alarm,
        priority=which.priority,
        area=which.area,
        limit=page.probe,
        after=(int(after[0]), str(after[1])) if after else None,
    )


def place_of(one: Told) -> tuple[int | str, ...]:
    """Where an occurrence stands in the list."""
    return one.at_ns, one.finding


def as_json(found: Performance, period: str) -> dict[str, Json]:
    """A time's measures as JSON."""
    measured = [
        {
            "measure": str(one),
            "value": value,
            "acceptable": BOUNDS[one][0],
            "manageable": BOUNDS[one][1],
            "verdict": str(verdict(one, value)),
        }
        for one, value in found.values.items()
    ]
    return {
        "period": period,
        "from": rfc3339(found.asked.from_ns),
        "to": rfc3339(found.asked.to_ns),
        "base_h": found.base_ns / HOUR_NS,
        "base_wanted_h": BASE_NS / HOUR_NS,
        "positions": [*found.areas],
        "alarms": found.alarms,
        "measures": measured,
        "priorities": {
            name: {"alarms": n, "wanted_percent": WANTED[name]} for name, n in found.priorities.items()
        },
        "top": [_counts(one) for one in found.top],
        "chattering": [_counts(one) for one in found.chattering[:LISTED]],
        "fleeting": [_counts(one) for one in found.fleeting[:LISTED]],
        "stale": [
            {"alarm": alarm, "since": rfc3339(since), "until": None if until is None else rfc3339(until)}
            for alarm, since, until in found.stale[:LISTED]
        ],
        "busy": [_stretch(one) for one in found.busy[:LISTED]],
        "floods": [_stretch(one) for one in found.floods[:LISTED]],
        "unauthorised": [plain(one) for one in found.unauthorised[:LISTED]],
    }


def _counts(one: Counts) -> Json:
    return {**asdict(one), "priority": ORDER[one.priority]}


def _stretch(one: Stretch) -> Json:
    return {"area": one.area, "from": rfc3339(one.from_ns), "to": rfc3339(one.to_ns), "alarms": one.alarms}
