"""The list of tickets, and one ticket with everything that belongs to it."""

from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from andon import declarations
from andon.database import reading
from api.pages import render
from api.tickets import Wanted, filter_of
from api.visit import ContextOf, VisitOf
from api.web import history
from api.web.charts import charts_of
from api.web.clock_rows import next_due, shown
from api.web.evidence import evidence_of
from api.web.explained import grounds, number_row
from api.web.next_step import suggested_of, what_next
from api.web.reader import Reader
from api.web.report_page import about
from api.web.rows import row_of
from api.web.sources import forecast_of
from api.web.surroundings import around, moment_of
from api.web.weighed import why_of
from api.web.wording import asset_name, component_name, condition_name, limit_sources, score_text, verdict
from api.web.work import work_of
from ticketing import dispatch, findings, offers, reports, sla, store
from ticketing.clocks import readings
from ticketing.photos import MIME
from ticketing.states import OUTCOMES
from ticketing.suppressing import InForce
from ticketing.ticket import SubState, TicketState

router = APIRouter()
PER_PAGE = 50
SHOWN = 20  # occurrences on a page at first
MOST = 2000


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
    with reading(visit.context.database) as conn:
        detail = store.ticket(conn, ticket_id, limit=MOST if everything else SHOWN)
        evidence = evidence_of(conn, detail)
        head = findings.finding(conn, detail.ticket.headline.finding)
        own = store.evidence(conn, detail.ticket.headline.finding) or {}
        reported = reports.told(conn, ticket_id)
        decided, offered = dispatch.decisions(conn, ticket_id), offers.of(conn, ticket_id)
        began = declarations.maintained(conn, detail.ticket.asset).get(detail.ticket.asset)
        machine = visit.plant.asset(detail.ticket.asset)
        held = InForce(conn, visit.plant, visit.context.now()).on(machine) if machine else []
    found, words = detail.ticket, visit.words
    steps = what_next(detail, visit)
    reader = Reader.of(visit)
    rows = [number_row(one, words, visit.time) for one in found.headline.numbers]
    return render(
        request,
        visit,
        "ticket.html",
        "tickets",
        ticket=found,
        what=condition_name(found.headline.condition, words),
        asset_name=asset_name(visit.plant.asset(found.asset), found.asset, words),
        verdict=verdict(found.headline, words, visit.time),
        confidence=score_text(found.headline.confidence),
        sources=limit_sources(found.headline.numbers, words),
        states=list(TicketState),
        reached=list(TicketState).index(found.state),
        head=head,
        forecast=forecast_of(evidence, words, visit.time),
        limits=[row for row in rows if row.limit],
        grounds=grounds(head, own, reader) if head else [],
        charts=charts_of(
            evidence, found.headline.condition, words, visit.time, head.onset_ns if head else None
        )
        or around(moment_of(found), reader),
        occurrences=[history.folded(one, visit) for one in detail.occurrences],
        occurrences_left=max(0, found.occurrence_count - len(detail.occurrences)),
        clocks=shown(readings(found, detail.events, visit.plant, visit.context.now()), visit),
        activity=history.activity(detail.events, visit),
        chain=history.chain(detail, visit),
        solution=history.solution(found, visit),
        photos=[history.picture(photo, visit) for photo in detail.photos],
        related=history.related(detail, visit),
        main=steps.main,
        others=steps.others,
        suggested=suggested_of(found),
        **why_of(found, decided, offered, visit),
        sub_states=list(SubState),
        outcomes=OUTCOMES,
        proposal=detail.proposal,
        component=component_name(found.headline.component, words),
        maintenance=began,
        held=held,
        work=work_of(detail, visit),
        **about(found, reported, visit),
    )


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
