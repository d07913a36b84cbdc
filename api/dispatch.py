"""Who does it, over REST: offers, claims, collaborators, where people are, why routing chose whom, and trying it out."""

from collections.abc import Iterable
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, StrictBool
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.events import SECOND_NS, Json, Priority
from andon.positions import Position
from api.answers import plain
from api.moments import Moment
from api.paging import PagingOf
from api.places import SightOf
from api.rights import NoRight, needs
from api.steps import Name, Text
from api.tickets import CHANNEL
from api.visit import ContextOf, Visit, VisitOf
from ticketing import collaborators, dispatch, offers, standing_in, store, taking
from ticketing.duty import Presence, Roster
from ticketing.errors import DeedRefused
from ticketing.presence import recall_presence
from ticketing.raci import Role
from ticketing.recall import recall_loads
from ticketing.routing import Case
from ticketing.standing_in import Reason
from ticketing.ticket import SubState, Ticket

router = APIRouter(tags=["dispatch"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Taking(_Body):
    """How the work begins."""

    sub_state: SubState = SubState.SITE_SURVEY


_AS_USUAL = Taking()


class Why(_Body):
    """The reason, for the record."""

    reason: Text = ""


class Collaborator(Why):
    """A person and what they are to the ticket (RACI)."""

    person: Name
    role: Role


class Whereabouts(_Body):
    """What is known of a person now; what is left out is unknown. `leave_until`: on leave until then."""

    online: StrictBool | None = None
    position: Position | None = None
    leave_until: Moment | None = None


class Hypothetical(_Body):
    """A ticket that might be, and when it comes (RFC 3339; left out: now)."""

    type: Name = "equipment_repair"
    asset: Name = ""
    priority: Priority = "medium"
    fault_type: Name | None = None
    urgent: bool = False
    kinds: Annotated[list[Name], Field(max_length=5)] = Field(
        default=[], description="category of the stop, condition, family: the nearest first"
    )
    line: Name = ""
    region: Name = ""
    at: Moment | None = None


def _answer(ticket: Ticket) -> Response:
    return JSONResponse(plain(ticket), headers={"ETag": f'"{ticket.version}"'})


def _taker(visit: Visit, taking_it: Taking) -> taking.Taker:
    return taking.Taker(visit.actor, visit.context.now(), taking_it.sub_state, CHANNEL)


def _reason(visit: Visit, why: Why) -> Reason:
    return Reason(why.reason, visit.actor, CHANNEL)


@router.post("/tickets/{ticket_id}/offers/accept", dependencies=[needs(Right.WORK)])
def accept_offer(visit: VisitOf, ticket_id: int, body: Taking = _AS_USUAL) -> Response:
    """Pending dispatch → in progress, for the first of those it was offered to; 409 offer_gone for who comes later."""
    context = visit.context
    return _answer(taking.accept_offer(context.tickets, ticket_id, visit.plant, _taker(visit, body)))


@router.post("/tickets/{ticket_id}/offers/decline", dependencies=[needs(Right.WORK)])
def decline_offer(visit: VisitOf, ticket_id: int, body: Why) -> Response:
    """One of those it was offered to does not take it."""
    context = visit.context
    done = taking.decline_offer(
        context.tickets,
        ticket_id,
        reason=body.reason,
        actor=visit.actor,
        now_ns=context.now(),
        channel=CHANNEL,
    )
    return _answer(done)


@router.post("/tickets/{ticket_id}/claim", dependencies=[needs(Right.WORK)])
def claim(visit: VisitOf, ticket_id: int, body: Taking = _AS_USUAL) -> Response:
    """Pending dispatch → in progress: a person with the skill takes it for themselves."""
    context = visit.context
    return _answer(taking.claim(context.tickets, ticket_id, visit.plant, _taker(visit, body)))


@router.post("/tickets/{ticket_id}/to_backup", dependencies=[needs(Right.WORK)])
def to_backup(visit: VisitOf, ticket_id: int, body: Why) -> Response:
    """Assigned or in progress → assigned to the backup, who gets one in turn."""
    context = visit.context
    done = standing_in.hand_to_backup(
        context.tickets, visit.plant, ticket_id, context.now(), _reason(visit, body)
    )
    return _answer(done)


@router.get("/tickets/{ticket_id}/routing", dependencies=[needs(Right.READ)])
def routing(context: ContextOf, ticket_id: int) -> Response:
    """Why this person: every decision about a ticket with all who were weighed, newest first, and its offers."""
    with context.tickets.looking() as conn:
        store.ticket(conn, ticket_id, limit=1)
        decided, offered = dispatch.decisions(conn, ticket_id), offers.of(conn, ticket_id)
    return JSONResponse({"decisions": plain(decided), "offers": plain(offered)})


@router.post("/tickets/{ticket_id}/collaborators", dependencies=[needs(Right.WORK)])
def collaborate(visit: VisitOf, ticket_id: int, body: Collaborator) -> Response:
    """Take a person in on a ticket, or give them another role; a second accountable takes over from the first."""
    context = visit.context
    done = collaborators.join(
        context.tickets,
        ticket_id,
        person=body.person,
        role=body.role,
        plant=visit.plant,
        reason=body.reason,
        actor=visit.actor,
        now_ns=context.now(),
        channel=CHANNEL,
    )
    return _answer(done)


@router.delete("/tickets/{ticket_id}/collaborators/{person}", dependencies=[needs(Right.WORK)])
def stop_collaborating(
    visit: VisitOf, ticket_id: int, person: str, reason: Annotated[str, Query(max_length=4000)]
) -> Response:
    """Let a person go who was in on a ticket."""
    context = visit.context
    done = collaborators.leave(
        context.tickets,
        ticket_id,
        person=person,
        reason=reason,
        actor=visit.actor,
        now_ns=context.now(),
        channel=CHANNEL,
    )
    return _answer(done)


@router.get("/people", dependencies=[needs(Right.WORK)])
def people(visit: VisitOf, page: PagingOf) -> Response:
    """Everyone who can be assigned: on shift, on leave, online, where, with how many open tickets, as of now."""
    with visit.context.tickets.looking() as conn:
        roster = Roster(visit.plant, visit.context.now(), recall_presence(conn))
        loads = recall_loads(conn).open_tickets
    return page.cut(
        visit.plant.people,
        lambda person: {
            **person.model_dump(mode="json"),
            **_standing(roster, person.id),
            "open_tickets": loads.get(person.id, 0),
        },
    )


@router.put("/people/{person}/presence", dependencies=[needs(Right.WORK)])
def presence(visit: VisitOf, person: str, body: Whereabouts) -> Response:
    """Where a person is now: oneself, or who plans says it of others. When leave begins, the backups take over: `moved` are those tickets."""
    context = visit.context
    if person != visit.actor and not visit.may(Right.PLAN):
        raise NoRight(Right.PLAN)
    until = body.leave_until
    said = Presence(
        person=person,
        at_ns=context.now(),
        online=body.online,
        position=body.position,
        leave_until_ns=None if until is None else int(until.timestamp()) * SECOND_NS,
    )
    moved = standing_in.report(context.tickets, visit.plant, said)
    with context.tickets.looking() as conn:
        roster = Roster(visit.plant, said.at_ns, recall_presence(conn))
    return JSONResponse({"person": person, **_standing(roster, person), "moved": _numbers(moved)})


@router.get("/people/{person}/offers", dependencies=[needs(Right.WORK)])
def offers_of(context: ContextOf, sight: SightOf, person: str, page: PagingOf) -> Response:
    """The tickets that are offered to a person now."""
    with context.tickets.looking() as conn:
        found = offers.open_for(conn, person, page.probe, page.behind(int, int), sight.assets)
    return page.answer(found, plain, lambda one: (one.at_ns, one.ticket))


@router.post("/people/{person}/reassign", dependencies=[needs(Right.PLAN, whole=True)])
def reassign(visit: VisitOf, person: str, body: Why) -> Response:
    """Give all that a person has or backs up to others, as when the person leaves."""
    context = visit.context
    moved = standing_in.reassign(context.tickets, visit.plant, person, context.now(), _reason(visit, body))
    return JSONResponse({"person": person, "moved": _numbers(moved)})


@router.post("/routing/test", dependencies=[needs(Right.PLAN)])
def try_routing(visit: VisitOf, body: Hypothetical) -> Response:
    """What routing would decide for such a ticket; nothing is written."""
    return JSONResponse(plain(tried(visit, body)))


def tried(visit: Visit, body: Hypothetical) -> dispatch.Decision:
    """The decision for a ticket that might be; DeedRefused (unknown_asset)."""
    asset = visit.plant.asset(body.asset) if visit.sight.sees(body.asset) else None
    if body.asset and asset is None:
        raise DeedRefused("unknown_asset", f"the plant has no machine {body.asset!r}")
    case = Case(
        type=body.type,
        asset=body.asset,
        priority=body.priority,
        fault_type=body.fault_type or None,
        urgent=body.urgent,
        kinds=tuple(body.kinds),
        line=body.line or (asset.line if asset else ""),
        region=body.region,
    )
    at_ns = visit.context.now() if body.at is None else int(body.at.timestamp()) * SECOND_NS
    with visit.context.tickets.looking() as conn:
        return dispatch.consider(conn, visit.plant, case, at_ns)


def _standing(roster: Roster, person: str) -> dict[str, Json]:
    standing = roster.of(roster.people[person])
    said = roster.presence.get(person)
    position = standing.position.model_dump(exclude_none=True) if standing.position else None
    return {
        "on_shift": standing.on_shift,
        "on_leave": standing.on_leave,
        "online": standing.online,
        "position": position,
        "known": standing.known,
        "age_s": None if said is None else (roster.at_ns - said.at_ns) / SECOND_NS,
    }


def _numbers(moved: Iterable[Ticket]) -> list[dict[str, Json]]:
    return [{"id": t.id, "number": t.number, "assignee": t.assignee, "backup": t.backup} for t in moved]
