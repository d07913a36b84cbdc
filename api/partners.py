"""Partners over REST: their signed events in, how the sync with each stands, and what was not confirmed sent again."""

from collections.abc import Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import HOUR_NS, Json
from andon.plant import Plant
from andon.rules.partners import Partner
from api.answers import plain
from api.context import Context
from api.paging import PagingOf
from api.problems import STATUS, problem
from api.rights import needs
from api.steps import DEEDS, Target
from api.visit import ContextOf, VisitOf
from ticketing.errors import Missing, StepRefused
from ticketing.partners import seeing
from ticketing.partners.hearing import Hearing, hear
from ticketing.partners.sending import send_again
from ticketing.partners.verifying import NotHeard, verified
from ticketing.service import By, Tickets
from ticketing.states import Step
from ticketing.ticket import Ticket

router = APIRouter(prefix="/partners", tags=["partners"])
COUNTED_NS = 30 * 24 * HOUR_NS
Outcome = Literal["applied", "already", "noted", "refused"]


def partner_of(plant: Plant, name: str) -> Partner:
    """The partner of that name; 404 if the plant document has none."""
    found = plant.partner(name)
    if found is None:
        raise HTTPException(404, "the plant document has no such partner")
    return found


@router.get("", dependencies=[needs(Right.READ, whole=True)])
def partners(context: ContextOf, page: PagingOf) -> Response:
    """How the sync with each partner stands; what is counted is counted over 30 days."""
    since_ns = context.now() - COUNTED_NS
    with reading(context.database) as conn:
        found = [seeing.state_of(conn, one, since_ns) for one in context.plant().partners]
    return page.cut(found, plain)


@router.get("/{name}/unconfirmed", dependencies=[needs(Right.READ, whole=True)])
def unconfirmed(context: ContextOf, name: str, page: PagingOf) -> Response:
    """The tickets whose state the partner has not confirmed, the longest waiting first."""
    partner_of(context.plant(), name)
    with reading(context.database) as conn:
        found = seeing.unconfirmed(conn, partner=name, limit=page.probe, after=page.behind(int, int, str))
    return page.answer(found, plain, lambda one: (one.changed_ns, one.ticket, one.partner))


@router.get("/{name}/events", dependencies=[needs(Right.READ, whole=True)])
def events(
    context: ContextOf, name: str, page: PagingOf, outcome: Annotated[Outcome | None, Query()] = None
) -> Response:
    """What the partner said and what became of it, the newest first."""
    partner_of(context.plant(), name)
    with reading(context.database) as conn:
        found = seeing.events(conn, partner=name, outcome=outcome, limit=page.probe, after=page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


@router.post("/{name}/send-again", dependencies=[needs(Right.REDRIVE, whole=True)])
def again(visit: VisitOf, name: str) -> Response:
    """Send all that the partner has not confirmed, now."""
    partner = partner_of(visit.plant, name)
    with visit.context.tickets.transaction(visit.context.now()) as book:
        return JSONResponse({"sent_again": send_again(book, visit.plant, partner)})


@router.post("/{name}/events")
async def event(request: Request, name: str) -> Response:
    """A partner's event: signed, so that nobody signs in for it. Twice is once; a refusal says why and what is true."""
    body = await request.body()
    return await run_in_threadpool(_heard, request.app.state.context, name, dict(request.headers), body)


def _heard(context: Context, name: str, headers: Mapping[str, str], body: bytes) -> Response:
    """Found out whose it is before anything is said of what there is."""
    plant, now_ns = context.plant(), context.now()
    partner = plant.partner(name)
    try:
        said = verified(context.partners.get(name, ()) if partner else (), headers, body, now_ns)
        assert partner is not None  # noqa: S101 - whom there is not has no key
        hearing = Hearing(context.tickets, plant, partner, deed, lambda code: STATUS.get(code, 422))
        status, answer = hear(hearing, said, now_ns)
    except NotHeard as error:
        answered = problem(error.status, error.code, str(error))
        if error.status == 425:
            answered.headers["Retry-After"] = "5"
        return answered
    return JSONResponse(answer, status)


def deed(  # noqa: PLR0917 - as `ticketing.partners.hearing.Deed` calls it
    tickets: Tickets, ticket_id: int, step: str, given: Mapping[str, Json], plant: Plant, by: By
) -> Ticket:
    """Take a step with what a console would send for it; StepRefused names what is wrong with that."""
    try:
        body = DEEDS[Step(step)].model_validate(given)
    except ValidationError as error:
        wrong = [Missing(".".join(map(str, one["loc"])) or "with", one["type"]) for one in error.errors()]
        raise StepRefused(step, "", wrong) from None
    return body.to(Target(tickets, ticket_id, plant, by))
