"""The list of tickets, and one ticket with everything that belongs to it."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from andon.database import reading
from api.pages import render
from api.tickets import Wanted, filter_of
from api.visit import ContextOf, VisitOf
from api.web.clock_rows import next_due
from api.web.rows import row_of
from api.web.ticket_view import show
from api.web.wording import asset_name
from ticketing import sla, store
from ticketing.photos import MIME
from ticketing.ticket import TicketState

router = APIRouter()
PER_PAGE = 50


@router.get("/tickets")
def tickets(request: Request, visit: VisitOf, wanted: Annotated[Wanted, Query()]) -> Response:
    """All tickets that fit the filters in the address."""
    with reading(visit.context.database) as conn:
        page = store.tickets(conn, filter_of(wanted), sort=wanted.sort, limit=PER_PAGE, offset=wanted.offset)
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
        filters=wanted,
        states=list(TicketState),
        lines=sorted({asset.line for asset in visit.plant.assets}),
        assets=[
            {"id": asset.id, "name": asset_name(asset, asset.id, visit.words)} for asset in visit.plant.assets
        ],
        newer=_page(wanted, wanted.offset - PER_PAGE) if wanted.offset else "",
        older=_page(wanted, wanted.offset + PER_PAGE) if wanted.offset + PER_PAGE < page.total else "",
    )


def _page(wanted: Wanted, offset: int) -> str:
    query = {**wanted.model_dump(mode="json", exclude_defaults=True), "offset": max(0, offset)}
    return f"/tickets?{urlencode(query)}"


@router.get("/tickets/{ticket_id}")
def ticket(
    request: Request,
    visit: VisitOf,
    ticket_id: int,
    everything: Annotated[bool, Query(alias="all")] = False,
) -> Response:
    """One ticket."""
    return show(request, visit, ticket_id, everything=everything)


@router.get("/tickets/{ticket_id}/photos/{sha256}")
def photo(context: ContextOf, ticket_id: int, sha256: str) -> Response:
    """A photo of that ticket."""
    with reading(context.database) as conn:
        names = {one.sha256 for one in store.ticket(conn, ticket_id, limit=1).photos}
    path = context.photos / sha256
    if sha256 not in names or not path.is_file():
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=86400",
    }
    return FileResponse(path, media_type=MIME, headers=headers)
