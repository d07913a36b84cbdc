"""Routing tried out: a ticket that might be, and whom it would go to, with everyone weighed; nothing is written."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator
from starlette.responses import Response

from andon.events import Priority
from api.dispatch import Hypothetical, tried
from api.pages import render
from api.visit import Visit, VisitOf
from api.web.weighed import PARTS, why
from api.web.wording import asset_name
from ticketing.urgency import ORDER

router = APIRouter()


class Asked(BaseModel):
    """What stands in the form. `at` is local time of the plant, empty for now."""

    asset: str = ""
    type: str = ""
    fault_type: str = ""
    kind: str = ""
    priority: Priority = "high"
    urgent: bool = False
    at: Annotated[datetime | None, BeforeValidator(lambda given: given or None)] = None


@router.get("/routing")
def routing(request: Request, visit: VisitOf, asked: Annotated[Asked, Query()]) -> Response:
    """The form, and the decision for what it says."""
    plant, words = visit.plant, visit.words
    types = [one for one in plant.ticket_types if not one.retired]
    asset = plant.asset(asked.asset) or next(iter(plant.assets), None)
    kind = asked.kind or next(iter(sorted(plant.skills)), "")
    chosen = asked.model_copy(
        update={"asset": asset.id if asset else "", "type": asked.type or types[0].code, "kind": kind}
    )
    return render(
        request,
        visit,
        "routing.html",
        "tickets",
        asked=chosen,
        decision=why(tried(visit, _hypothetical(chosen, visit)), visit),
        parts=PARTS,
        assets=[(one.id, asset_name(one, one.id, words)) for one in plant.assets],
        types=[(one.code, getattr(one, words.language)) for one in types],
        faults=[(one.code, getattr(one, words.language)) for one in plant.fault_types if not one.retired],
        kinds=sorted(plant.skills),
        priorities=ORDER[::-1],
    )


def _hypothetical(asked: Asked, visit: Visit) -> Hypothetical:
    return Hypothetical(
        type=asked.type,
        asset=asked.asset,
        priority=asked.priority,
        fault_type=asked.fault_type or None,
        urgent=asked.urgent,
        kinds=[asked.kind] if asked.kind else [],
        at=None if asked.at is None else asked.at.replace(tzinfo=visit.time.zone),
    )
