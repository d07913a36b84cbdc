"""Routing tried out on a ticket that might be, with everyone weighed; and a ticket that a person takes from its page."""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, BeforeValidator
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.events import Priority
from api.catalogue import Words
from api.dispatch import Hypothetical, tried
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.ticket_steps import ticket_of, why_not
from api.web.weighed import PARTS, why
from api.web.wording import asset_name, condition_name, person_name
from ticketing import taking
from ticketing.errors import TicketingError
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


@router.get("/routing", dependencies=[needs(Right.PLAN)])
def routing(request: Request, visit: VisitOf, asked: Annotated[Asked, Query()]) -> Response:
    """The form, and the decision for what it says."""
    plant, words = visit.plant, visit.words
    types = [one for one in plant.ticket_types if not one.retired]
    asset = next((one for one in visit.machines if one.id == asked.asset), next(iter(visit.machines), None))
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
        assets=[(one.id, asset_name(one, one.id, words)) for one in visit.machines],
        types=[(one.code, getattr(one, words.language)) for one in types],
        faults=[(one.code, getattr(one, words.language)) for one in plant.fault_types if not one.retired],
        kinds=[(one, _kind_name(one, words)) for one in sorted(plant.skills)],
        priorities=ORDER[::-1],
    )


def _kind_name(kind: str, words: Words) -> str:
    """What machines report, a family or a condition, in words; a category as the machines say it."""
    return words(f"family.{kind}") if f"family.{kind}" in words else condition_name(kind, words)


@router.post("/tickets/{ticket_id}/taken/{how}", dependencies=[needs(Right.WORK)])
def take(visit: VisitOf, ticket_id: int, how: Literal["offer", "claim"]) -> Response:
    """The visitor accepts an offer, or claims a ticket that waits."""
    answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
    deed = taking.accept_offer if how == "offer" else taking.claim
    by = taking.Taker(visit.actor, visit.context.now())
    try:
        ticket = deed(visit.context.tickets, ticket_id, visit.plant, by)
    except TicketingError as error:
        number = ticket_of(visit, ticket_id).number
        say(answer, "flash.refused", number=number, why=why_not(error, visit.words))
    else:
        name = person_name(ticket.assignee, visit.plant)
        say(answer, "flash.assign", number=ticket.number, name=name)
    return answer


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
