"""Tickets over REST: lists, one ticket, its evidence, and a POST for every step."""

import re
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Header, Query, Request, UploadFile
from pydantic import BaseModel, BeforeValidator, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Priority
from api import steps
from api.answers import plain
from api.paging import MOST, Paging, PagingOf
from api.places import SightOf, must_see_ticket
from api.rights import needs
from api.sla import clock_json
from api.visit import ContextOf, Visit, VisitOf
from ticketing import findings, store
from ticketing.clocks import readings
from ticketing.listing import STUCK_NS
from ticketing.photos import MAX_BYTES
from ticketing.service import By
from ticketing.ticket import Ticket, TicketState

router = APIRouter(tags=["tickets"])
OPEN = tuple(state for state in TicketState if state is not TicketState.CLOSED)
CHANNEL = "api"


class Wanted(BaseModel):
    """The filters of a list of tickets, as they stand in an address; what is empty does not restrict."""

    state: TicketState | Literal["open", ""] = ""
    asset: str = ""
    line: str = ""
    text: str = Field(default="", max_length=200)
    priority: Priority | None = None
    person: str = ""
    overdue: bool = False
    area: str = ""
    type: str = ""
    mine: bool = False
    """Only those of whoever asks."""
    stuck: bool = False
    """Only open ones that have been in their state for more than two hours."""
    sort: Annotated[store.Sort, BeforeValidator(lambda given: given or store.Sort.URGENCY)] = (
        store.Sort.URGENCY
    )
    offset: int = Field(default=0, ge=0, le=2**63 - 1)


def filter_of(wanted: Wanted, visit: Visit) -> store.Filter:
    """The store's filter for them, as `visit` means it: whose are mine, what is where, what time it is."""
    state = wanted.state
    states = OPEN if state == "open" else (TicketState(state),) if state else ()
    return store.Filter(
        states=states,
        asset=wanted.asset,
        line=wanted.line,
        text=wanted.text,
        priority=wanted.priority,
        person=visit.actor if wanted.mine else wanted.person,
        overdue=wanted.overdue,
        type=wanted.type,
        area=frozenset(one.id for one in visit.plant.assets if one.area == wanted.area)
        if wanted.area
        else None,
        stuck_ns=visit.context.now() - STUCK_NS if wanted.stuck else None,
        machines=visit.sight.assets,
    )


class Page(Wanted):
    """The filters with the size of a page; `after` (a page's `next`) goes before `offset`."""

    limit: int = Field(default=50, ge=1, le=MOST)
    after: str = Field(default="", max_length=500)


@router.get("/tickets", dependencies=[needs(Right.READ)])
def tickets(request: Request, visit: VisitOf, wanted: Annotated[Page, Query()]) -> Response:
    """One page of tickets, and how many fit in each state."""
    asked = Paging(request, wanted.limit, wanted.after)
    after = asked.behind(*store.place_kinds(wanted.sort))
    with reading(visit.context.database) as conn:
        page = store.tickets(
            conn,
            filter_of(wanted, visit),
            sort=wanted.sort,
            limit=wanted.limit,
            offset=0 if after else wanted.offset,
            after=after,
        )
    return asked.page(
        plain(page.tickets),
        page.last,
        total=page.total,
        counts=plain(page.counts),
        capped=page.capped,
        offset=wanted.offset,
    )


@router.get("/tickets/{ticket_id}", dependencies=[needs(Right.READ)])
def ticket(context: ContextOf, sight: SightOf, ticket_id: int) -> Response:
    """One ticket with its newest occurrences, drawings, audit, photos, root-cause tasks, clocks and what can be done next."""
    with reading(context.database) as conn:
        detail = sight.of_detail(store.ticket(conn, ticket_id))
    clocks = readings(detail.ticket, detail.events, context.plant(), context.now())
    found = plain(detail) | {"clocks": [clock_json(one) for one in clocks]}
    return JSONResponse(found, headers={"ETag": _tag(detail.ticket)})


@router.get("/tickets/{ticket_id}/occurrences", dependencies=[needs(Right.READ)])
def occurrences(context: ContextOf, ticket_id: int, page: PagingOf) -> Response:
    """What was folded into a ticket, newest first, each with the rule that put it there."""
    with reading(context.database) as conn:
        store.ticket(conn, ticket_id, limit=1)
        found = store.occurrences(conn, ticket_id, limit=page.probe, after=page.behind(int, str))
    return page.answer(found, plain, lambda one: (one.at_ns, one.finding))


@router.get("/findings/{finding}", dependencies=[needs(Right.READ)])
def finding(context: ContextOf, finding: str) -> Response:
    """One finding as it was folded: its numbers with their limits, its detector and version, its trace id."""
    with reading(context.database) as conn:
        found = findings.finding(conn, finding)
    if found is None:
        raise HTTPException(404, "there is no such finding")
    return JSONResponse(plain(found))


@router.get("/findings/{finding}/evidence", dependencies=[needs(Right.READ)])
def evidence(context: ContextOf, finding: str) -> Response:
    """The evidence of one finding as its detector gave it: trend, spectrum, envelope, baseline."""
    with reading(context.database) as conn:
        found = store.evidence(conn, finding)
    if found is None:
        raise HTTPException(404, "this finding has no evidence")
    return JSONResponse(found)


class Doer:
    """A request to do something to a ticket: who, and on which version."""

    def __init__(
        self,
        visit: VisitOf,
        ticket_id: int,
        if_match: Annotated[str | None, Header(description='the ticket\'s version, as `"7"`')] = None,
    ) -> None:
        self._visit: Visit = visit
        self._ticket_id = ticket_id
        self._if_match = if_match

    def do(self, deed: steps.Deed) -> Response:
        """One call of the service; the answer is the ticket as it then is."""
        visit = self._visit
        if isinstance(deed, steps.Duplicate):
            must_see_ticket(visit.context, visit.sight, deed.master)
        version = deed.version if deed.version is not None else self._version()
        by = By(actor=visit.actor, now_ns=visit.context.now(), expected_version=version, channel=CHANNEL)
        done = deed.to(steps.Target(visit.context.tickets, self._ticket_id, visit.plant, by))
        return JSONResponse(plain(done), headers={"ETag": _tag(done)})

    def _version(self) -> int:
        match = re.fullmatch(r'(?:W/)?"(\d{1,18})"', self._if_match or "")
        if match is None:
            raise HTTPException(
                428, 'name the version you decided on: "version" in the body, or If-Match: "7"'
            )
        return int(match[1])


On = Annotated[Doer, Depends()]


@router.post("/tickets/{ticket_id}/assign", dependencies=[needs(Right.PLAN)])
def assign(on: On, deed: steps.Assign) -> Response:
    """Pending dispatch → assigned."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/transfer", dependencies=[needs(Right.WORK)])
def transfer(on: On, deed: steps.Transfer) -> Response:
    """Assigned or in progress → assigned to someone else."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/decline", dependencies=[needs(Right.WORK)])
def decline(on: On, deed: steps.Decline) -> Response:
    """Assigned → pending dispatch."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/accept", dependencies=[needs(Right.WORK)])
def accept(on: On, deed: steps.Accept) -> Response:
    """Assigned → in progress, by the assignee."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/depart", dependencies=[needs(Right.WORK)])
def depart(on: On, deed: steps.Depart) -> Response:
    """In progress: who works on it is on the way."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/arrive", dependencies=[needs(Right.WORK)])
def arrive(on: On, deed: steps.Arrive) -> Response:
    """In progress: who works on it stands at the machine."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/hold", dependencies=[needs(Right.WORK)])
def hold(on: On, deed: steps.HoldIt) -> Response:
    """In progress: it waits, or cannot be solved for now."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/resume", dependencies=[needs(Right.WORK)])
def resume(on: On, deed: steps.Resume) -> Response:
    """In progress: what it waited for is there."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/substate", dependencies=[needs(Right.WORK)])
def substate(on: On, deed: steps.Substate) -> Response:
    """In progress: what the work is at now."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/resolve", dependencies=[needs(Right.WORK)])
def resolve(on: On, deed: steps.Resolve) -> Response:
    """In progress → resolved."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/sign", dependencies=[needs(Right.REPORT)])
def sign(on: On, deed: steps.Sign) -> Response:
    """Resolved → closed, by someone other than the handler."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/reject", dependencies=[needs(Right.REPORT)])
def reject(on: On, deed: steps.Reject) -> Response:
    """Resolved → in progress: the requester refuses to sign."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/close_unsigned", dependencies=[needs(Right.PLAN)])
def close_unsigned(on: On, deed: steps.CloseUnsigned) -> Response:
    """Resolved → closed without a signature."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/cancel", dependencies=[needs(Right.PLAN)])
def cancel(on: On, deed: steps.Cancel) -> Response:
    """Any state before resolved → closed: nothing needs to be done."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/false_alarm", dependencies=[needs(Right.PLAN)])
def false_alarm(on: On, deed: steps.FalseAlarm) -> Response:
    """Any state before resolved → closed: there was no fault."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/duplicate", dependencies=[needs(Right.PLAN)])
def duplicate(on: On, deed: steps.Duplicate) -> Response:
    """Any state before resolved → closed: another ticket holds the same cause."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/reopen", dependencies=[needs(Right.LEAD)])
def reopen(on: On, deed: steps.Reopen) -> Response:
    """Closed → in progress, or pending dispatch if nobody had it."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/archive", dependencies=[needs(Right.LEAD)])
def archive(on: On, deed: steps.Archive) -> Response:
    """Closed: laid in the archive, under its scene tag."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/relearn", dependencies=[needs(Right.TUNE)])
def relearn(on: On, deed: steps.Relearn) -> Response:
    """Closed: what the closure proposes is declared, and the component's baseline learned anew."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/keep_baseline", dependencies=[needs(Right.TUNE)])
def keep_baseline(on: On, deed: steps.KeepBaseline) -> Response:
    """Closed: what the closure proposes is declined."""
    return on.do(deed)


class Remark(BaseModel):
    """Words for the record."""

    text: steps.Text = Field(min_length=1)


@router.post("/tickets/{ticket_id}/comments", status_code=201, dependencies=[needs(Right.REPORT)])
def comment(visit: VisitOf, ticket_id: int, remark: Remark) -> Response:
    """Put a remark on record."""
    done = visit.context.tickets.comment(
        ticket_id, text=remark.text, actor=visit.actor, now_ns=visit.context.now(), channel=CHANNEL
    )
    return JSONResponse(plain(done), 201, headers={"ETag": _tag(done)})


@router.post("/tickets/{ticket_id}/photos", status_code=201, dependencies=[needs(Right.WORK)])
def add_photo(visit: VisitOf, ticket_id: int, photo: UploadFile) -> Response:
    """Keep a photo (JPEG, PNG or WebP, at most 10 MB and 40 megapixels); it is written anew without its EXIF data."""
    kept = visit.context.tickets.add_photo(
        ticket_id,
        body=photo.file.read(MAX_BYTES + 1),
        stage="api",
        actor=visit.actor,
        now_ns=visit.context.now(),
        channel=CHANNEL,
    )
    return JSONResponse(plain(kept), 201)


def _tag(ticket: Ticket) -> str:
    return f'"{ticket.version}"'
