"""What waits for the visitor's approval, and for others': costs and closings; and who decides for whom."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy import select
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import nanoseconds
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.closing_steps import doer
from api.web.cost_steps import APPROVALS
from api.web.forms import Form, field_of
from api.web.money import money
from api.web.ticket_money import level_name
from api.web.ticket_steps import why_not
from api.web.wording import asset_name, person_name
from ticketing.approvals import Approval as Closing
from ticketing.approvals import ApprovalState
from ticketing.approvals import in_state as closings_in
from ticketing.approving import deeds, delegations, requests
from ticketing.approving.delegations import Delegation
from ticketing.approving.requests import RequestState, Waiting
from ticketing.errors import TicketingError
from ticketing.stepping import entitled
from ticketing.tables import ticket as tickets

router = APIRouter()
MOST = 200


@dataclass(frozen=True, slots=True)
class Row:
    """Something that waits. `decide` is where its forms are sent, `level` whose turn it is."""

    ticket: int
    number: str
    asset: str
    what: str
    reason: str
    amount: str
    level: str
    level_name: str
    asked_by: str
    asked_ns: int
    who: str
    decide: str
    mine: bool


@dataclass(frozen=True, slots=True)
class DelegationRow:
    """A delegation in the visitor's words."""

    id: int
    said: str
    span: str
    reason: str
    may_revoke: bool


@router.get("/approvals", dependencies=[needs(Right.READ)])
def approvals(request: Request, visit: VisitOf) -> Response:
    """The page: what waits for me first."""
    now_ns = visit.context.now()
    with reading(visit.context.database) as conn:
        found = requests.in_state(conn, RequestState.PENDING, machines=visit.sight.assets, limit=MOST)
        waiting = requests.waiting(conn, visit.plant, found, now_ns)
        closings = closings_in(conn, ApprovalState.PENDING, machines=visit.sight.assets, limit=MOST)
        numbers = [one.ticket for one in closings]
        c = tickets.c
        rows = conn.execute(select(c.id, c.number, c.asset).where(c.id.in_(numbers))).all()
        given = delegations.standing(conn, now_ns)
    where = {row.id: (row.number, row.asset) for row in rows}
    every = [_cost(one, visit) for one in waiting]
    every += [_closing(one, where[one.ticket], visit) for one in closings]
    every.sort(key=lambda one: one.asked_ns)
    return render(
        request,
        visit,
        "approvals.html",
        "approvals",
        mine=[one for one in every if one.mine],
        others=[one for one in every if not one.mine],
        delegations=[_delegation(one, visit) for one in given],
        takers=[person for person in visit.plant.people if person.id != visit.actor],
    )


@router.post("/delegations", dependencies=[needs(Right.LEAD)])
def delegate(visit: VisitOf, form: Form) -> Response:
    """Have somebody else decide for a time what one would be asked."""
    answer = RedirectResponse(APPROVALS, 303)
    name = person_name(field_of(form, "taker"), visit.plant)
    try:
        ends = [nanoseconds(visit.time.with_offset(field_of(form, one))) for one in ("from", "until")]
    except ValueError:
        ends = [0, 0]
    try:
        deeds.delegate(
            doer(visit),
            visit.plant,
            giver=visit.actor,
            taker=field_of(form, "taker"),
            span_ns=(ends[0], ends[1]),
            reason=field_of(form, "reason"),
        )
    except TicketingError as error:
        say(answer, "flash.refused", number=name, why=why_not(error, visit.words))
    else:
        say(answer, "flash.done", number=name, step=visit.words("approvals.delegated"))
    return answer


@router.post("/delegations/{delegation}/revoke", dependencies=[needs(Right.LEAD)])
def revoke(visit: VisitOf, delegation: int) -> Response:
    """Take it back."""
    answer = RedirectResponse(APPROVALS, 303)
    try:
        gone = deeds.revoke(doer(visit), visit.plant, delegation)
    except TicketingError as error:
        say(answer, "flash.refused", number=str(delegation), why=why_not(error, visit.words))
    else:
        name = person_name(gone.taker, visit.plant)
        say(answer, "flash.done", number=name, step=visit.words("approvals.revoked"))
    return answer


def _cost(one: Waiting, visit: Visit) -> Row:
    asked = one.request
    names = ", ".join(person_name(who, visit.plant) for who in sorted(one.may)) if one.may else ""
    return Row(
        ticket=asked.ticket,
        number=one.number,
        asset=asset_name(visit.plant.asset(one.asset), one.asset, visit.words),
        what=visit.words(f"approvals.cost_{asked.basis}"),
        reason=asked.reason,
        amount=money(asked.cents, visit.plant.currency),
        level=asked.level or "",
        level_name=level_name(asked.level or "", visit),
        asked_by=person_name(asked.asked_by, visit.plant),
        asked_ns=asked.since_ns,
        who=names,
        decide=f"/cost-requests/{asked.id}/decide",
        mine=visit.may(Right.LEAD) and one.is_for(visit.actor),
    )


def _closing(one: Closing, where: tuple[str, str], visit: Visit) -> Row:
    may = entitled(visit.plant, visit.plant.closing.approvers)
    others = sorted(who for who in may or () if who != one.asked_by)
    return Row(
        ticket=one.ticket,
        number=where[0],
        asset=asset_name(visit.plant.asset(where[1]), where[1], visit.words),
        what=visit.words("approvals.close", step=visit.words(f"step.{one.step}")),
        reason=one.reason,
        amount="",
        level="",
        level_name="",
        asked_by=person_name(one.asked_by, visit.plant),
        asked_ns=one.asked_ns,
        who=", ".join(person_name(who, visit.plant) for who in others),
        decide=f"/approvals/{one.id}",
        mine=visit.may(Right.PLAN) and visit.actor != one.asked_by and (may is None or visit.actor in may),
    )


def _delegation(one: Delegation, visit: Visit) -> DelegationRow:
    words, plant, time = visit.words, visit.plant, visit.time
    return DelegationRow(
        id=one.id,
        said=words(
            "approvals.delegation", giver=person_name(one.giver, plant), taker=person_name(one.taker, plant)
        ),
        span=words("approvals.span", from_=time.short(one.from_ns), until=time.short(one.until_ns)),
        reason=one.reason,
        may_revoke=visit.actor == one.giver,
    )
