"""What the forms of the pages do: one step each, then back to the page, which says how it went."""

from collections.abc import AsyncIterator, Mapping
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from andon.database import reading
from api.catalogue import Words
from api.pages import say
from api.steps import DEEDS, Target
from api.visit import Visit, VisitOf
from api.web.wording import demand_sentence, person_name
from ticketing import store
from ticketing.errors import PhotoRefused, StaleVersion, StepRefused, TicketingError
from ticketing.service import By
from ticketing.states import Step
from ticketing.ticket import Ticket

router = APIRouter()


async def _form(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=1, max_fields=40) as form:
        yield form


Form = Annotated[FormData, Depends(_form)]
_NOT_OF_THE_STEP = frozenset({"next"})
MOST = 1_000_000
"""Characters of one field that are looked at."""
_DIGITS = 16


@router.post("/inbox/{ticket_id}/{step}")
def from_inbox(visit: VisitOf, ticket_id: int, step: Step, form: Form) -> Response:
    """A step from the inbox; the next ticket comes up by itself."""
    following = str(form.get("next", ""))
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    if step is Step.FALSE_ALARM:
        fields["approver"] = visit.actor
    done = f"/?ticket={following}" if following.isdecimal() else "/"
    return _take(visit, ticket_id, step, fields, done=done, failed=f"/?ticket={ticket_id}")


@router.post("/tickets/{ticket_id}/photos")
def add_photo(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Keep a photo of the work."""
    answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
    upload = form.get("photo")
    body = upload.file.read() if isinstance(upload, UploadFile) else b""
    ticket = ticket_of(visit, ticket_id)
    try:
        visit.context.tickets.add_photo(
            ticket_id, body=body, stage=str(ticket.state), actor=visit.actor, now_ns=visit.context.now()
        )
    except PhotoRefused as error:
        say(answer, "flash.refused", number=ticket.number, why=visit.words(f"error.{error.code}"))
    else:
        say(answer, "flash.photo", number=ticket.number)
    return answer


@router.post("/tickets/{ticket_id}/comment")
def comment(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Put a remark on record."""
    answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
    try:
        visit.context.tickets.comment(
            ticket_id, text=str(form.get("text", ""))[:4000], actor=visit.actor, now_ns=visit.context.now()
        )
    except StepRefused:
        say(
            answer,
            "flash.refused",
            number=ticket_of(visit, ticket_id).number,
            why=visit.words("error.no_text"),
        )
    return answer


@router.post("/tickets/{ticket_id}/{step}")
def fromticket_of(visit: VisitOf, ticket_id: int, step: Step, form: Form) -> Response:
    """A step from the ticket's own page."""
    fields = {name: value for name, value in form.items() if isinstance(value, str)}
    here = f"/tickets/{ticket_id}"
    return _take(visit, ticket_id, step, fields, done=here, failed=here)


def _take(
    visit: Visit, ticket_id: int, step: Step, fields: Mapping[str, str], *, done: str, failed: str
) -> Response:
    """One step: checked, done, and said in the corner of the next page."""
    before = ticket_of(visit, ticket_id)
    if step not in DEEDS:
        raise HTTPException(404)
    try:
        given = {
            name: value for name, value in fields.items() if name not in _NOT_OF_THE_STEP and value != ""
        }
        deed = DEEDS[step].model_validate(_with_master(visit, given))
        by = By(actor=visit.actor, now_ns=visit.context.now(), expected_version=deed.version or 0)
        after = deed.to(Target(visit.context.tickets, ticket_id, visit.plant, by))
    except (ValidationError, TicketingError) as error:
        answer = RedirectResponse(failed, 303)
        key = "flash.stale" if isinstance(error, StaleVersion) else "flash.refused"
        say(answer, key, number=before.number, why=why_not(error, visit.words))
        return answer
    answer = RedirectResponse(done, 303)
    link = "" if done == f"/tickets/{ticket_id}" else f"/tickets/{ticket_id}"
    key = f"flash.{step}" if step in {Step.ASSIGN, Step.FALSE_ALARM} else "flash.done"
    name = person_name(after.assignee, visit.plant)
    say(answer, key, link, number=after.number, name=name, step=visit.words(f"step.{step}"))
    return answer


def field_of(form: FormData, name: str) -> str:
    """A field of a form as text; empty where there is none. A drawn signature is the longest."""
    value = form.get(name, "")
    return value[:MOST] if isinstance(value, str) else ""


def whole_number_of(form: FormData, name: str) -> int | None:
    """A field of a form as a whole number, None if it is none."""
    value = field_of(form, name).strip()
    return int(value) if value.isdecimal() and len(value) < _DIGITS else None


def ticket_of(visit: Visit, ticket_id: int) -> Ticket:
    """The ticket as it is now."""
    with reading(visit.context.database) as conn:
        return store.ticket(conn, ticket_id, limit=1).ticket


def _with_master(visit: Visit, fields: Mapping[str, str]) -> dict[str, str]:
    """The other ticket is named by its number on the page, by its id to the service."""
    number = fields.get("master", "")
    if not number or number.isdecimal():
        return dict(fields)
    with reading(visit.context.database) as conn:
        found = store.tickets(conn, store.Filter(text=number), limit=10).tickets
    exact = [str(ticket.id) for ticket in found if ticket.number.lower() == number.lower()]
    return {**fields, "master": exact[0] if exact else "0"}


def why_not(error: Exception, words: Words) -> str:
    """Why something was refused, in words."""
    if isinstance(error, StepRefused):
        return words("list.and").join(demand_sentence(missing, words) for missing in error.missing)
    key = f"error.{getattr(error, 'code', 'invalid_request')}"
    return words(key) if key in words else words("error.invalid_request")
