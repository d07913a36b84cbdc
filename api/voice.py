"""Those who wait, over REST: where is it, and what one department has asked another to acknowledge."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from api.answers import plain
from api.closing import doer
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.steps import Name, Text
from api.visit import ContextOf, VisitOf
from ticketing.voice import acknowledgements, enquiries

router = APIRouter(tags=["those who wait"])


class Question(BaseModel):
    """A question where a ticket stands: one's own, or that of a `caller`, by the channel that they used."""

    model_config = ConfigDict(extra="forbid")
    caller: Annotated[str, Field(max_length=128)] = ""
    channel: Literal["", "phone", "mail", "chat"] = ""
    note: Text = ""


@router.post("/tickets/{ticket_id}/enquiries", status_code=201, dependencies=[needs(Right.REPORT)])
def enquire(visit: VisitOf, ticket_id: int, asked: Question) -> Response:
    """Ask where a ticket stands: each time on record, counted and told once in ten minutes."""
    return JSONResponse(
        plain(enquiries.enquire(doer(visit), visit.plant, ticket_id, **asked.model_dump())), 201
    )


@router.get("/tickets/{ticket_id}/enquiries", dependencies=[needs(Right.READ)])
def of_ticket(context: ContextOf, page: PagingOf, ticket_id: int) -> Response:
    """Who asked where it stands, the newest first."""
    with context.tickets.looking() as conn:
        found = enquiries.of_ticket(conn, ticket_id)
    return page.cut(found, plain)


@router.post("/tickets/{ticket_id}/acknowledge", dependencies=[needs(Right.WORK)])
def acknowledge(visit: VisitOf, ticket_id: int) -> Response:
    """Your department has seen what another one handed to it."""
    return JSONResponse(plain(acknowledgements.acknowledge(doer(visit), visit.plant, ticket_id)))


@router.get("/tickets/{ticket_id}/acknowledgements", dependencies=[needs(Right.READ)])
def asked_on(context: ContextOf, page: PagingOf, ticket_id: int) -> Response:
    """What departments asked of others on a ticket, in order, and what answered it."""
    with context.tickets.looking() as conn:
        found = acknowledgements.of_ticket(conn, ticket_id)
    return page.cut(found, plain)


@router.get("/acknowledgements", dependencies=[needs(Right.READ)])
def waiting(
    context: ContextOf, sight: SightOf, page: PagingOf, department: Annotated[Name, Query()] = ""
) -> Response:
    """What is still to be acknowledged, by one department or by all, the next due first."""
    after = page.behind(int, int, int)
    with context.tickets.looking() as conn:
        found = acknowledgements.waiting(
            conn, department, machines=sight.assets, limit=page.probe, after=after
        )
    return page.answer(found, plain, lambda one: (one.due_ns, one.ticket, one.seq))
