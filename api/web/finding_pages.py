"""One finding on a page of its own, whatever ticket it lies on."""

from fastapi import APIRouter, Request
from starlette.exceptions import HTTPException
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from api.originals import message_of
from api.pages import render
from api.rights import needs
from api.visit import VisitOf
from api.web.explained import explain
from api.web.reader import Reader
from api.web.wording import condition_name
from ingest.originals import original
from ticketing import findings

router = APIRouter()


@router.get("/findings/{finding_id}", dependencies=[needs(Right.READ)])
def finding(request: Request, visit: VisitOf, finding_id: str) -> Response:
    """The finding explained; what `andon explain` writes as a file."""
    with reading(visit.context.database) as conn:
        found = findings.finding(conn, finding_id)
        if found is None:
            raise HTTPException(404, "there is no such finding")
        it = explain(conn, found, Reader.of(visit))
    return render(request, visit, "finding.html", "tickets", it=it, live=True)


@router.get("/findings/{finding_id}/message", dependencies=[needs(Right.REDRIVE)])
def message(request: Request, visit: VisitOf, finding_id: str) -> Response:
    """The message that made the finding, as it arrived; where it is not kept any more, that."""
    with reading(visit.context.database) as conn:
        found = findings.finding(conn, finding_id)
    if found is None:
        raise HTTPException(404, "there is no such finding")
    journals = visit.context.journals
    kept = original(journals, found.trace_id) if journals else None
    return render(
        request,
        visit,
        "message.html",
        "tickets",
        it={
            "ticket": found.ticket,
            "finding": finding_id,
            "what": condition_name(found.condition, visit.words),
        },
        said=message_of(kept) if kept else None,
        received=visit.time.at(kept.record.received_ns) if kept else "",
    )
