"""Files that came with requests: as a ticket's page shows them, how they are handed out, and how more are added."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.plant import Plant
from api.context import Context
from api.pages import say
from api.rights import needs
from api.visit import ContextOf, Visit, VisitOf
from api.web.forms import files_form
from api.web.wording import person_name
from ticketing import reports
from ticketing.errors import AttachmentRefused, PhotoRefused, TicketingError
from ticketing.requests import attachments
from ticketing.requests.attachments import Attachment, Kept
from ticketing.requests.containers import SUFFIXES

router = APIRouter()
FIELD, CARRIED = "files", "carried"
"""The field of files in a form, and the report whose files a form that was refused takes along."""
Files = Annotated[FormData, Depends(files_form)]


@dataclass(frozen=True, slots=True)
class File:
    """A file as a page shows it: `kind` is image, video or audio."""

    href: str
    kind: str
    suffix: str
    mib: float
    who: str
    at_ns: int


def shown(ticket: int, found: Iterable[Attachment], visit: Visit) -> list[File]:
    """The files of a ticket's reports."""
    return [
        File(
            href=f"/tickets/{ticket}/attachments/{one.sha256}",
            kind=one.mime.partition("/")[0],
            suffix=SUFFIXES.get(one.mime, "bin"),
            mib=one.size / attachments.MIB,
            who=person_name(one.by, visit.plant),
            at_ns=one.at_ns,
        )
        for one in found
    ]


@router.get("/tickets/{ticket_id}/attachments/{sha256}", dependencies=[needs(Right.READ)])
def attachment(context: ContextOf, ticket_id: int, sha256: str) -> Response:
    """A file of a ticket's reports: nothing but a download to whoever opens its address; ranges of it can be asked for."""
    with reading(context.database) as conn:
        found = {one.sha256: one for one in attachments.of_ticket(conn, ticket_id)}
    kept, path = found.get(sha256), context.photos / sha256
    if kept is None or not path.is_file():
        raise HTTPException(404)
    headers = {
        "Content-Security-Policy": "sandbox; default-src 'none'",
        "Cache-Control": "private, max-age=86400, immutable",
    }
    name = f"A-{ticket_id}-{sha256[:8]}.{SUFFIXES.get(kept.mime, 'bin')}"
    return FileResponse(path, media_type=kept.mime, headers=headers, filename=name)


@router.post("/tickets/{ticket_id}/attachments", dependencies=[needs(Right.REPORT)])
def add(visit: VisitOf, ticket_id: int, form: Files) -> Response:
    """More files for the last report on the ticket."""
    answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
    context, number = visit.context, f"A-{ticket_id}"
    kept, refused = taken(form, context, visit.plant)
    with context.tickets.looking() as conn:
        newest = reports.newest(conn, ticket=ticket_id, limit=1)
    if not newest:
        raise HTTPException(404)
    try:
        attach(context, newest[0].id, kept, by=visit.actor, plant=visit.plant)
    except AttachmentRefused as error:
        refused = error
    if refused is None:
        say(answer, "attachment.added", number=number, n=len(kept))
    else:
        say(answer, "flash.refused", number=number, why=why(refused, visit))
    return answer


def attach(context: Context, report: int, kept: Sequence[Kept], *, by: str, plant: Plant) -> None:
    """Let these files belong to a report that is there already; the ticket that it lies on says so in its audit."""
    now_ns = context.now()
    with context.tickets.transaction(now_ns) as book:
        attachments.add_later(
            book, report, kept, by=by, at_ns=now_ns, rules=plant.requests, channel="console"
        )


def taken(form: FormData, context: Context, plant: Plant) -> tuple[list[Kept], TicketingError | None]:
    """The files of a form that are kept now, and why another was not."""
    kept, refused = [], None
    for upload in form.getlist(FIELD):
        if not isinstance(upload, UploadFile) or not upload.size:
            continue
        try:
            kept.append(attachments.keep(upload.file, context.photos, plant.requests))
        except (AttachmentRefused, PhotoRefused) as error:
            refused = error
    return kept, refused


def why(refused: TicketingError, visit: Visit) -> str:
    """Why a file was not taken, in the reader's words."""
    rules = visit.plant.requests
    return visit.words(
        f"error.{refused.code}", files=rules.files, video_mb=rules.video_mb, a_day_mb=rules.a_day_mb
    )
