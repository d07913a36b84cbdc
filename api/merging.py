"""Over REST: a cause split off a ticket, a merge taken back, and what tickets are to each other."""

from collections.abc import Sequence
from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.answers import plain
from api.context import Context
from api.paging import PagingOf
from api.places import Sight, SightOf, must_see_ticket
from api.rights import needs
from api.steps import Back, Deed, Name, Target, Text
from api.tickets import CHANNEL, On
from api.visit import ContextOf, VisitOf
from ticketing import links, store, unmerging
from ticketing.links import LinkKind
from ticketing.ticket import Ticket

router = APIRouter(tags=["tickets"])


class Split(Deed):
    """One cause (`key`, of the ticket's `keys`) becomes a ticket of its own, and why."""

    key: Name
    reason: Text = ""

    def _to(self, on: Target) -> Ticket:
        return on.tickets.split(on.ticket_id, key=self.key, plant=on.plant, reason=self.reason, **on.by)


class Unmerge(Back):
    """The ticket was no duplicate: it goes on by itself, with all that it had."""

    def _to(self, on: Target) -> Ticket:
        return unmerging.take_back(
            on.tickets, on.ticket_id, reason=self.reason, evidence=self.evidence, **on.by
        )


@router.post("/tickets/{ticket_id}/split", dependencies=[needs(Right.PLAN)])
def split(on: On, deed: Split) -> Response:
    """Any state before resolved: the answer is the new ticket, pending dispatch."""
    return on.do(deed)


@router.post("/tickets/{ticket_id}/unmerge", dependencies=[needs(Right.PLAN)])
def unmerge(on: On, deed: Unmerge) -> Response:
    """Closed as a duplicate → where it was before."""
    return on.do(deed)


class Link(BaseModel):
    """What the ticket is to another one."""

    model_config = ConfigDict(extra="forbid")
    kind: Literal[LinkKind.RELATED_TO, LinkKind.BLOCKS]
    ticket: int
    note: Text = ""


@router.get("/tickets/{ticket_id}/links", dependencies=[needs(Right.READ)])
def links_of(context: ContextOf, sight: SightOf, ticket_id: int, page: PagingOf) -> Response:
    """All links, whichever end the ticket stands at: `blocked_by` is what the other one says as `blocks`."""
    return page.cut(_links(context, sight, ticket_id), plain)


def _links(context: Context, sight: Sight, ticket_id: int) -> Sequence[links.Linked]:
    with reading(context.database) as conn:
        store.ticket(conn, ticket_id, limit=1)
        return [one for one in links.links(conn, ticket_id) if sight.sees(one.asset)]


@router.post("/tickets/{ticket_id}/links", status_code=201, dependencies=[needs(Right.PLAN)])
def link(visit: VisitOf, ticket_id: int, wanted: Link) -> Response:
    """Say that it is related to another ticket, or stands in its way."""
    must_see_ticket(visit.context, visit.sight, wanted.ticket)
    with visit.context.tickets.transaction(visit.context.now()) as book:
        kind = LinkKind(wanted.kind)
        links.link(book, ticket_id, kind, wanted.ticket, note=wanted.note, actor=visit.actor, channel=CHANNEL)
    return JSONResponse({"items": plain(_links(visit.context, visit.sight, ticket_id))}, 201)


@router.delete("/tickets/{ticket_id}/links/{kind}/{other}", dependencies=[needs(Right.PLAN)])
def unlink(visit: VisitOf, ticket_id: int, kind: LinkKind, other: int, note: Name = "") -> Response:
    """Take away what people have linked."""
    with visit.context.tickets.transaction(visit.context.now()) as book:
        links.unlink(book, ticket_id, kind, other, note=note, actor=visit.actor, channel=CHANNEL)
    return JSONResponse({"items": plain(_links(visit.context, visit.sight, ticket_id))})
