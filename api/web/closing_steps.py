"""What the forms about a ticket's work and closing do, beside its steps: parts, approvals, signatures, ratings."""

import binascii
from base64 import b64decode
from collections.abc import Callable

from fastapi import APIRouter
from starlette.responses import RedirectResponse, Response

from api.pages import say
from api.visit import Visit, VisitOf
from api.web.ticket_steps import Form, field_of, ticket_of, whole_number_of, why_not
from ticketing import deeds
from ticketing.approvals import numbered
from ticketing.errors import TicketingError
from ticketing.obligations import Owed
from ticketing.requisitions import requisition_numbered
from ticketing.states import Step
from ticketing.stepping import SIGNATURE
from ticketing.ticket import Outcome

router = APIRouter()
_DRAWN = "data:image/png;base64,"


def _doer(visit: Visit) -> deeds.Doer:
    return deeds.Doer(visit.context.tickets, visit.actor, visit.context.now())


def _done(visit: Visit, ticket_id: int, what: str, deed: Callable[[], object]) -> Response:
    """Do it, and say on the ticket's page how it went; `what` is the key of what was done."""
    answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
    number = ticket_of(visit, ticket_id).number
    try:
        deed()
    except TicketingError as error:
        say(answer, "flash.refused", number=number, why=why_not(error, visit.words))
    else:
        say(answer, "flash.done", number=number, step=visit.words(what))
    return answer


@router.post("/tickets/{ticket_id}/requisitions")
def request_part(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Ask the store for a part."""
    return _done(
        visit,
        ticket_id,
        "parts.request",
        lambda: deeds.request_part(
            _doer(visit),
            ticket_id,
            part=field_of(form, "part"),
            quantity=float(whole_number_of(form, "quantity") or 0),
            reason=field_of(form, "reason"),
        ),
    )


@router.post("/requisitions/{requisition_id}/issue")
def issue_part(visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """The store hands a part out."""
    with visit.context.tickets.looking() as conn:
        ticket_id = requisition_numbered(conn, requisition_id).ticket
    lot = field_of(form, "lot")
    return _done(
        visit, ticket_id, "parts.issue", lambda: deeds.issue_part(_doer(visit), requisition_id, lot=lot)
    )


@router.post("/requisitions/{requisition_id}/withdraw")
def withdraw_part(visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """A part is not wanted any more."""
    with visit.context.tickets.looking() as conn:
        ticket_id = requisition_numbered(conn, requisition_id).ticket
    reason = field_of(form, "reason")
    return _done(
        visit,
        ticket_id,
        "parts.withdraw",
        lambda: deeds.withdraw_part(_doer(visit), requisition_id, reason=reason),
    )


@router.post("/tickets/{ticket_id}/sign-code")
def send_code(visit: VisitOf, ticket_id: int) -> Response:
    """Send the requester a code."""
    return _done(visit, ticket_id, "activity.sign_code", lambda: deeds.send_code(_doer(visit), ticket_id))


@router.post("/tickets/{ticket_id}/signature")
def add_signature(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Keep a drawn signature."""
    try:
        body = b64decode(field_of(form, "drawn").removeprefix(_DRAWN), validate=True)
    except (binascii.Error, ValueError):
        body = b""
    return _done(
        visit,
        ticket_id,
        "sign.drawn",
        lambda: visit.context.tickets.add_photo(
            ticket_id, body=body, stage=SIGNATURE, actor=visit.actor, now_ns=visit.context.now()
        ),
    )


@router.post("/tickets/{ticket_id}/ask/{step}")
def ask_approval(visit: VisitOf, ticket_id: int, step: Step, form: Form) -> Response:
    """Ask another person to close it without a repair or a signature."""
    outcome = field_of(form, "outcome")
    return _done(
        visit,
        ticket_id,
        "approval.ask",
        lambda: deeds.ask_approval(
            _doer(visit),
            ticket_id,
            step=step,
            reason=field_of(form, "reason"),
            outcome=Outcome(outcome) if outcome in list(Outcome) else None,
            master=whole_number_of(form, "master"),
        ),
    )


@router.post("/approvals/{approval_id}/grant")
def grant(visit: VisitOf, approval_id: int) -> Response:
    """Agree."""
    with visit.context.tickets.looking() as conn:
        ticket_id = numbered(conn, approval_id).ticket
    return _done(
        visit, ticket_id, "approval.grant", lambda: deeds.grant(_doer(visit), approval_id, visit.plant)
    )


@router.post("/approvals/{approval_id}/refuse")
def refuse(visit: VisitOf, approval_id: int, form: Form) -> Response:
    """Do not agree."""
    with visit.context.tickets.looking() as conn:
        ticket_id = numbered(conn, approval_id).ticket
    note = field_of(form, "reason")
    return _done(
        visit,
        ticket_id,
        "approval.refuse",
        lambda: deeds.refuse(_doer(visit), approval_id, visit.plant, note=note),
    )


@router.post("/tickets/{ticket_id}/rating")
def rate(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """The requester's stars."""
    return _done(
        visit,
        ticket_id,
        "rating.give",
        lambda: deeds.rate(
            _doer(visit),
            ticket_id,
            visit.plant,
            stars=whole_number_of(form, "stars") or 0,
            comment=field_of(form, "comment"),
        ),
    )


@router.post("/tickets/{ticket_id}/obligations/{kind}")
def fulfil(visit: VisitOf, ticket_id: int, kind: Owed, form: Form) -> Response:
    """What was owed is done."""
    note = field_of(form, "note")
    return _done(
        visit, ticket_id, f"owed.{kind}", lambda: deeds.fulfil(_doer(visit), ticket_id, kind, note=note)
    )
