"""The list of tickets, and one ticket with everything that belongs to it."""

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.pages import render
from api.rights import needs
from api.tickets import Wanted, filter_of
from api.visit import ContextOf, VisitOf
from api.web.board import filters, query_of
from api.web.clock_rows import next_due
from api.web.rows import row_of
from api.web.ticket_view import closer, show
from ticketing import sla, store
from ticketing.photos import MIME

router = APIRouter()
PER_PAGE = 50
Milliseconds = Annotated[int, Field(ge=0, le=4_000_000_000_000)]


class Part(BaseModel):
    """The stretch of a course that is looked at, within the whole, in milliseconds of the chart's axis."""

    from_ms: Milliseconds
    until_ms: Milliseconds
    seen_from_ms: Milliseconds
    seen_until_ms: Milliseconds


@router.get("/tickets", dependencies=[needs(Right.READ)])
def tickets(request: Request, visit: VisitOf, wanted: Annotated[Wanted, Query()]) -> Response:
    """All tickets that fit the filters in the address."""
    with reading(visit.context.database) as conn:
        page = store.tickets(
            conn, filter_of(wanted, visit), sort=wanted.sort, limit=PER_PAGE, offset=wanted.offset
        )
        clocks = sla.clocks_of(conn, [one.id for one in page.tickets])
    return render(
        request,
        visit,
        "tickets.html",
        "tickets",
        items=[row_of(ticket, visit) for ticket in page.tickets],
        dues={ticket: next_due(known, visit) for ticket, known in clocks.items()},
        sorts=list(store.Sort),
        total=page.total,
        capped=page.capped,
        **filters(wanted, visit),
        newer=_page(wanted, wanted.offset - PER_PAGE) if wanted.offset else "",
        older=_page(wanted, wanted.offset + PER_PAGE) if wanted.offset + PER_PAGE < page.total else "",
    )


def _page(wanted: Wanted, offset: int) -> str:
    return f"/tickets?{query_of(wanted, offset=max(0, offset))}"


@router.get("/tickets/{ticket_id}", dependencies=[needs(Right.READ)])
def ticket(
    request: Request,
    visit: VisitOf,
    ticket_id: int,
    everything: Annotated[bool, Query(alias="all")] = False,
) -> Response:
    """One ticket."""
    return show(request, visit, ticket_id, everything=everything)


@router.get("/tickets/{ticket_id}/course", dependencies=[needs(Right.READ)])
def course(visit: VisitOf, ticket_id: int, part: Annotated[Part, Query()]) -> Response:
    """The ticket's course as its page draws it, finer where it is looked at more closely."""
    if not part.from_ms <= part.seen_from_ms < part.seen_until_ms <= part.until_ms:
        raise HTTPException(422, "a stretch inside the whole is asked for")
    seen, whole = (part.seen_from_ms, part.seen_until_ms), (part.from_ms, part.until_ms)
    return JSONResponse(closer(visit, ticket_id, seen, whole))


@router.get("/tickets/{ticket_id}/photos/{sha256}", dependencies=[needs(Right.READ)])
def photo(context: ContextOf, ticket_id: int, sha256: str) -> Response:
    """A photo of that ticket: shown in our pages, and nothing but a file to whoever opens its address."""
    with reading(context.database) as conn:
        found = store.ticket(conn, ticket_id, limit=1)
    path = context.photos / sha256
    if sha256 not in {one.sha256 for one in found.photos} or not path.is_file():
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    name = f"{found.ticket.number}-{sha256[:8]}.jpg"
    return FileResponse(path, media_type=MIME, headers=headers, filename=name)
