"""Reports as PDF over REST: which there are, one ordered, how far it is, and the file."""

from typing import Literal

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json
from api.paging import PagingOf
from api.places import OBJECTS, must_see_ticket
from api.refused import Refused
from api.reporting.order import Order
from api.reporting.papers import PAPERS, Asks
from api.reporting.printing import Occupied, Printed
from api.rights import needs
from api.visit import Visit, VisitOf

router = APIRouter(tags=["reports as PDF"])
PDF = "application/pdf"


class Ordered(BaseModel):
    """A report: which, about what, in which language."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    name: Literal["closing_quality", "heat_map", "top10", "drift", "dossier"] = Field(
        description="Which report."
    )
    about: str = Field(
        default="",
        pattern=r"^(rolling|\d{4}-\d{2}(-\d{2})?|\d{1,18})?$",
        description="A month (2026-10, or `rolling` for 30 days), a day, or a ticket's number; empty: the newest.",
    )
    language: Literal["zh", "en"] = Field(default="en", description="Its language.")


@router.get("/papers", dependencies=[needs(Right.READ)])
def all_papers(page: PagingOf) -> Response:
    """The reports that there are, and what each is about."""
    return page.cut([*PAPERS.values()], lambda one: {"name": one.name, "asks": str(one.asks)})


@router.post("/papers", status_code=202, dependencies=[needs(Right.READ)])
def order(visit: VisitOf, ordered: Ordered) -> Response:
    """Have a report made; 409 while another one is. A report of the whole plant needs an account without places."""
    name = ordered_by(visit, Order(ordered.name, ordered.about, ordered.language))
    return JSONResponse({"id": name}, 202)


@router.get("/papers/{paper_id}", dependencies=[needs(Right.READ)])
def paper(visit: VisitOf, paper_id: str) -> Response:
    """How far a report is; once it is done, `/papers/{paper_id}/pdf` gives it."""
    return JSONResponse(said(printed(visit, paper_id)))


@router.get(
    "/papers/{paper_id}/pdf",
    dependencies=[needs(Right.READ)],
    responses={200: {"content": {PDF: {"schema": {"type": "string", "format": "binary"}}}}},
    response_class=FileResponse,
)
def pdf(visit: VisitOf, paper_id: str) -> Response:
    """The report as PDF; 409 while it is not done."""
    return file_of(printed(visit, paper_id))


def ordered_by(visit: Visit, wanted: Order) -> str:
    """Start it for whoever visits, and give its id; Refused if it cannot be."""
    asks = PAPERS[wanted.name].asks
    if asks is Asks.TICKET:
        if not wanted.about.isdecimal():
            raise Refused(422, "no_such_report", "a dossier is about a ticket: give its number")
        must_see_ticket(visit.context, visit.sight, int(wanted.about))
    elif visit.sight.assets is not None:
        raise Refused(403, "no_right_everywhere", "this report is about the whole plant")
    printing = visit.context.printing
    if printing is None:
        raise Refused(409, "no_reports_here", "reports are made by an installation's own console")
    try:
        return printing.start(wanted, asks, visit.context.now())
    except Occupied:
        raise Refused(409, "report_running", "another report is being made; try again in a moment") from None


def printed(visit: Visit, paper_id: str) -> Printed:
    """That report; 404 if there is none. Whether it is seen, its route has asked."""
    printing = visit.context.printing
    found = None if printing is None else printing.get(paper_id)
    if found is None:
        raise HTTPException(404, "there is no such report")
    return found


def file_of(found: Printed) -> Response:
    """Its file, to be kept."""
    if found.file is None:
        raise Refused(409, "report_not_done", found.error or "the report is not done yet")
    about = f"-{found.order.about}" if found.order.about else ""
    return FileResponse(found.file, media_type=PDF, filename=f"andon-{found.order.name}{about}.pdf")


def said(found: Printed) -> Json:
    """A report as JSON."""
    return {
        "id": found.id,
        "name": found.order.name,
        "about": found.order.about,
        "language": found.order.language,
        "state": found.state,
        "percent": found.percent,
        "error": found.error,
    }


def recent(visit: Visit) -> list[Printed]:
    """What was made lately, as far as the visitor sees it; nothing where none can be made."""
    every = [] if visit.context.printing is None else visit.context.printing.recent()
    if visit.sight.assets is None:
        return every
    with reading(visit.context.database) as conn:
        return [one for one in every if OBJECTS["paper_id"].seen(conn, visit.sight, one.id)]
