"""The drift list of a day as a page (责任漂移预警清单): what was not taken in time, and whose it was."""

from dataclasses import dataclass
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from api.pages import render
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.wording import asset_name, person_name
from ticketing import drift

router = APIRouter()


@dataclass(frozen=True, slots=True)
class DriftRow:
    """A ticket on the list, in the visitor's words."""

    id: int
    number: str
    priority: str
    state: str
    asset_name: str
    line: str
    who: str
    missed_by: str
    misses: int
    reasons: list[str]
    update_due_ns: int | None


@router.get("/drift", dependencies=[needs(Right.READ)])
def drift_list(request: Request, visit: VisitOf, day: Annotated[date | None, Query()] = None) -> Response:
    """The list of that day, or the newest."""
    with reading(visit.context.database) as conn:
        found, days = drift.kept(conn, day, visit.sight.assets), drift.days(conn, machines=visit.sight.assets)
    return render(
        request,
        visit,
        "drift.html",
        "tickets",
        found=found,
        rows=[_row(one, visit) for one in found.items] if found else [],
        days=list(days),
        day=found.day if found else day,
    )


def _row(one: drift.Drifting, visit: Visit) -> DriftRow:
    words, plant = visit.words, visit.plant
    return DriftRow(
        id=one.ticket,
        number=one.number,
        priority=one.priority,
        state=one.state,
        asset_name=asset_name(plant.asset(one.asset), one.asset, words),
        line=one.line,
        who=person_name(one.person or None, plant),
        missed_by=words("list.and").join(person_name(who, plant) for who in dict.fromkeys(one.missed_by)),
        misses=one.misses,
        reasons=[words(f"drift.why_{reason}") for reason in one.reasons],
        update_due_ns=one.update_due_ns,
    )
