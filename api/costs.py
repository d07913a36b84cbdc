"""What tickets cost and who agrees to it: estimates, hours, payments, downtime, requests of levels, delegations."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.events import HOUR_NS, Json, nanoseconds
from api.answers import plain
from api.closing import doer
from api.moments import Told
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.steps import Name, Text
from api.visit import Visit, VisitOf
from ticketing import store
from ticketing.approving import costs, deeds, delegations, requests, spending, standstill
from ticketing.approving.requests import RequestState, Verdict, Waiting
from ticketing.safety import signoff

router = APIRouter(tags=["costs and approvals"])
MOST_CENTS = costs.MOST_CENTS
Cents = Annotated[int, Field(ge=0, le=MOST_CENTS, description="Of the plant's currency.")]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Thought(_Body):
    """What it will cost, and why one thinks so."""

    cents: Cents
    reason: Text = ""


class Worked(_Body):
    """A person's work: minutes, or from when until when. Without a person one's own."""

    person: Name = ""
    minutes: Annotated[int, Field(ge=1, le=costs.LONGEST_MIN)] | None = None
    from_at: Told | None = None
    until_at: Told | None = None
    note: Text = ""


class Paid(_Body):
    """What was paid besides hours and parts, and for what."""

    cents: Cents
    note: Text = ""


class Reason(_Body):
    """Why."""

    reason: Text = ""


class Stood(Reason):
    """From when until when the machine stood."""

    from_at: Told
    until_at: Told


class Said(_Body):
    """What a level says; the level is named, so that a slower click decides nothing else."""

    level: Annotated[str, Field(max_length=32)]
    note: Text = ""


class Given(_Body):
    """Who decides for whom (without a giver: for oneself), from when until when, and why."""

    giver: Name = ""
    taker: Name
    from_at: Told
    until_at: Told
    reason: Text = ""


class Ticked(_Body):
    """The items that are ticked, by their place from 0, and a note such as the number of the lock."""

    ticked: Annotated[list[int], Field(max_length=40)]
    note: Text = ""


def money_of(visit: Visit, ticket_id: int) -> Json:
    """How a ticket stands with its costs, its approvals and its downtime."""
    with visit.context.tickets.looking() as conn:
        ticket = store.ticket(conn, ticket_id, limit=1).ticket
        how = requests.standing(conn, visit.plant, ticket)
        stood = standstill.of_ticket(conn, ticket_id, visit.context.now())
        lines = costs.lines(conn, ticket_id)
    return {
        "currency": visit.plant.currency,
        **plain(how.sums),
        "actual_cents": how.sums.actual_cents,
        "amount_cents": how.sums.amount_cents,
        "approved_cents": how.approved_cents,
        "needed": list(how.needed),
        "lacking": list(how.lacking),
        "request": plain(how.request) if how.request else None,
        "decisions": plain(how.decisions),
        "lines": plain(lines),
        "downtime": plain(stood) if stood else None,
    }


@router.get("/tickets/{ticket_id}/costs", dependencies=[needs(Right.READ)])
def ticket_costs(visit: VisitOf, ticket_id: int) -> Response:
    """What a ticket costs: estimate, hours, parts, payments, downtime, and who agreed to how much of it."""
    return JSONResponse(money_of(visit, ticket_id))


@router.post("/tickets/{ticket_id}/estimate", dependencies=[needs(Right.WORK)])
def think(visit: VisitOf, ticket_id: int, thought: Thought) -> Response:
    """State what it will cost; the levels that this needs are asked."""
    deeds.think(doer(visit), visit.plant, ticket_id, cents=thought.cents, reason=thought.reason)
    return JSONResponse(money_of(visit, ticket_id))


@router.post("/tickets/{ticket_id}/labour", status_code=201, dependencies=[needs(Right.WORK)])
def work(visit: VisitOf, ticket_id: int, worked: Worked) -> Response:
    """Put hours down, at the rate of the person's role."""
    both = worked.from_at is not None and worked.until_at is not None
    span_ns = (nanoseconds(worked.from_at or ""), nanoseconds(worked.until_at or "")) if both else None
    line = deeds.work(
        doer(visit),
        visit.plant,
        ticket_id,
        person=worked.person,
        minutes=worked.minutes,
        span_ns=span_ns,
        note=worked.note,
    )
    return JSONResponse(plain(line), 201)


@router.post("/tickets/{ticket_id}/costs", status_code=201, dependencies=[needs(Right.WORK)])
def pay(visit: VisitOf, ticket_id: int, paid: Paid) -> Response:
    """Put down what was paid besides: a contractor's bill, a crane."""
    line = deeds.pay(doer(visit), visit.plant, ticket_id, cents=paid.cents, note=paid.note)
    return JSONResponse(plain(line), 201)


@router.post("/tickets/{ticket_id}/costs/{line}/take-back", status_code=201, dependencies=[needs(Right.WORK)])
def take_back(visit: VisitOf, ticket_id: int, line: int, why: Reason) -> Response:
    """A line was wrong: its negative is put down."""
    back = deeds.take_back(doer(visit), visit.plant, ticket_id, line, reason=why.reason)
    return JSONResponse(plain(back))


@router.post("/tickets/{ticket_id}/downtime", dependencies=[needs(Right.WORK)])
def stood(visit: VisitOf, ticket_id: int, said: Stood) -> Response:
    """Say how long the machine stood, in place of what its stop alarms say."""
    span_ns = nanoseconds(said.from_at), nanoseconds(said.until_at)
    deeds.stood(doer(visit), ticket_id, span_ns=span_ns, reason=said.reason)
    return JSONResponse(money_of(visit, ticket_id))


@router.post("/tickets/{ticket_id}/cost-requests", dependencies=[needs(Right.WORK)])
def ask(visit: VisitOf, ticket_id: int, why: Reason) -> Response:
    """Ask whom the costs need as they are now: after a refusal, or where parts have made them dearer."""
    deeds.ask(doer(visit), visit.plant, ticket_id, reason=why.reason)
    return JSONResponse(money_of(visit, ticket_id))


@router.get("/cost-requests", dependencies=[needs(Right.READ)])
def cost_requests(
    visit: VisitOf, sight: SightOf, page: PagingOf, state: RequestState = RequestState.PENDING
) -> Response:
    """Requests in a state, the oldest first; those that wait say who may decide."""
    with visit.context.tickets.looking() as conn:
        found = requests.in_state(
            conn, state, machines=sight.assets, limit=page.probe, after=page.behind(int)
        )
        waiting = requests.waiting(conn, visit.plant, found, visit.context.now())
    return page.answer(waiting, _waiting, lambda one: (one.request.id,))


@router.get("/cost-requests/mine", dependencies=[needs(Right.READ)])
def mine(visit: VisitOf, page: PagingOf) -> Response:
    """What waits for oneself, the oldest first."""
    return page.cut(waiting_for(visit), _waiting)


def waiting_for(visit: Visit) -> list[Waiting]:
    """What the visitor may decide now."""
    with visit.context.tickets.looking() as conn:
        found = requests.in_state(conn, RequestState.PENDING, machines=visit.sight.assets, limit=1000)
        waiting = requests.waiting(conn, visit.plant, found, visit.context.now())
    return [one for one in waiting if one.is_for(visit.actor)]


def _waiting(one: Waiting) -> Json:
    waits = one.request.state is RequestState.PENDING
    who = sorted(one.may) if waits and one.may is not None else []
    return {**plain(one.request), "number": one.number, "asset": one.asset, "deciders": who}


@router.post("/cost-requests/{cost_request_id}/grant", dependencies=[needs(Right.LEAD)])
def grant(visit: VisitOf, cost_request_id: int, said: Said) -> Response:
    """Agree for a level; the plant document says whose it is. The next level is asked, or the cost is approved."""
    done = deeds.decide(
        doer(visit), visit.plant, cost_request_id, Verdict.GRANTED, level=said.level, note=said.note
    )
    return JSONResponse(plain(done))


@router.post("/cost-requests/{cost_request_id}/refuse", dependencies=[needs(Right.LEAD)])
def refuse(visit: VisitOf, cost_request_id: int, said: Said) -> Response:
    """Do not agree, and say why."""
    done = deeds.decide(
        doer(visit), visit.plant, cost_request_id, Verdict.REFUSED, level=said.level, note=said.note
    )
    return JSONResponse(plain(done))


@router.get("/delegations", dependencies=[needs(Right.READ)])
def standing(visit: VisitOf, page: PagingOf) -> Response:
    """Who decides for whom, now or soon, the first to end first."""
    with visit.context.tickets.looking() as conn:
        found = delegations.standing(conn, visit.context.now())
    return page.cut(found, plain)


@router.post("/delegations", status_code=201, dependencies=[needs(Right.LEAD)])
def delegate(visit: VisitOf, given: Given) -> Response:
    """Have somebody else decide for a time what one would be asked."""
    made = deeds.delegate(
        doer(visit),
        visit.plant,
        giver=given.giver,
        taker=given.taker,
        span_ns=(nanoseconds(given.from_at), nanoseconds(given.until_at)),
        reason=given.reason,
    )
    return JSONResponse(plain(made), 201)


@router.post("/delegations/{delegation}/revoke", dependencies=[needs(Right.LEAD)])
def revoke(visit: VisitOf, delegation: int) -> Response:
    """Take it back."""
    return JSONResponse(plain(deeds.revoke(doer(visit), visit.plant, delegation)))


@router.get("/tickets/{ticket_id}/safety", dependencies=[needs(Right.READ)])
def safety(visit: VisitOf, ticket_id: int) -> Response:
    """The checklists of a ticket, and what was signed in this round of the work."""
    with visit.context.tickets.looking() as conn:
        ticket = store.ticket(conn, ticket_id, limit=1).ticket
        signed = signoff.of_ticket(conn, ticket)
        lacking = [
            *signoff.lacking(conn, visit.plant, ticket),
            *signoff.lacking(conn, visit.plant, ticket, "end"),
        ]
    asked = [one.model_dump(mode="json") for one in signoff.asked(visit.plant, ticket)]
    return JSONResponse({"asked": asked, "lacking": lacking, "signed": plain(signed)})


@router.post("/tickets/{ticket_id}/safety/{checklist}", dependencies=[needs(Right.WORK)])
def sign_safety(visit: VisitOf, ticket_id: int, checklist: str, ticked: Ticked) -> Response:
    """Sign a checklist of a ticket that one has: every item ticked."""
    done = deeds.sign_safety(
        doer(visit), visit.plant, ticket_id, checklist[:32], ticked=ticked.ticked, note=ticked.note
    )
    return JSONResponse(plain(done))


@router.get("/assets/{asset_id}/costs", dependencies=[needs(Right.READ)])
def asset_costs(
    visit: VisitOf, asset_id: str, days: Annotated[float, Query(gt=0, le=3660)] = 365.0
) -> Response:
    """What a machine cost: the tickets of the last days with hours, money and downtime, and their sums."""
    now_ns = visit.context.now()
    with visit.context.tickets.looking() as conn:
        found = spending.of_asset(
            conn, asset_id, from_ns=now_ns - round(days * 24 * HOUR_NS), until_ns=now_ns + 1, now_ns=now_ns
        )
    names = ("labour_minutes", "labour_cents", "parts_cents", "other_cents", "downtime_minutes")
    return JSONResponse(
        {
            "currency": visit.plant.currency,
            "days": days,
            **{name: sum(getattr(one, name) for one in found) for name in names},
            "cents": sum(one.cents for one in found),
            "tickets": [{**plain(one), "cents": one.cents} for one in found],
        }
    )
