"""Requests over REST: files that go with a report, and those of a ticket."""

from fastapi import APIRouter, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json
from api.answers import plain
from api.rights import needs
from api.tickets import CHANNEL
from api.visit import ContextOf, VisitOf
from ticketing import reports
from ticketing.requests import attachments
from ticketing.requests.attachments import Attachment

router = APIRouter(tags=["reports"])


@router.post("/reports/{report_id}/attachments", status_code=201, dependencies=[needs(Right.REPORT)])
def add_attachment(visit: VisitOf, report_id: int, file: UploadFile) -> Response:
    """Keep a photo (JPEG, PNG, WebP), video (MP4, MOV, WebM) or recording (M4A, AMR) with a report and its ticket."""
    context, rules = visit.context, visit.plant.requests
    _report(visit.context, report_id)
    kept = attachments.keep(file.file, context.photos, rules)
    at_ns = context.now()
    with context.tickets.transaction(at_ns) as book:
        attachments.add_later(
            book, report_id, [kept], by=visit.actor, at_ns=at_ns, rules=rules, channel=CHANNEL
        )
    with reading(context.database) as conn:
        found = attachments.of_report(conn, report_id)
        ticket = attachments.ticket_of(conn, report_id)
    return JSONResponse(next(shown(one, ticket) for one in found if one.sha256 == kept.sha256), 201)


@router.get("/tickets/{ticket_id}/attachments", dependencies=[needs(Right.READ)])
def ticket_attachments(context: ContextOf, ticket_id: int) -> Response:
    """The files of all reports that lie on a ticket; `href` is where each is downloaded."""
    with reading(context.database) as conn:
        found = attachments.of_ticket(conn, ticket_id)
    return JSONResponse({"items": [shown(one, ticket_id) for one in found]})


def shown(one: Attachment, ticket: int | None) -> dict[str, Json]:
    """A file as JSON; one of a report without a ticket cannot be downloaded yet."""
    said: dict[str, Json] = plain(one)
    return {**said, "href": None if ticket is None else f"/tickets/{ticket}/attachments/{one.sha256}"}


def _report(context: ContextOf, report_id: int) -> None:
    """404 if there is no such report."""
    with reading(context.database) as conn:
        try:
            reports.one(conn, report_id)
        except KeyError:
            raise HTTPException(404, "there is no such report") from None
