"""What the forms about a ticket's work and closing do, beside its steps: parts, approvals, signatures, ratings."""

import binascii
from base64 import b64decode
from collections.abc import Callable
from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from api.pages import say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.forms import Form, field_of, texts_of, whole_number_of
from api.web.refused import refusal
from api.web.ticket_steps import ticket_of, why_not, with_master
from api.web.ticket_view import show
from ticketing import deeds
from ticketing.approvals import numbered
from ticketing.errors import StepRefused, TicketingError
from ticketing.obligations import Owed
from ticketing.requisitions import requisition_numbered
from ticketing.states import Step
from ticketing.stepping import SIGNATURE
from ticketing.ticket import Outcome

router = APIRouter()
_DRAWN = "data:image/png;base64,"


def _doer(visit: Visit) -> deeds.Doer:
    return deeds.Doer(visit.context.tickets, visit.actor, visit.context.now())


@dataclass(frozen=True, slots=True)
class _Page:
    """The ticket's page that a form stands on; `form` is its name there, `what` the key of what it does."""

    request: Request
    visit: Visit
    ticket_id: int
    form: str
    what: str
    given: FormData | None = None

    def after(self, deed: Callable[[], object]) -> Response:
        """Do it, and say on the page how it went: in the corner, or in the form what it lacks."""
        words, answer = self.visit.words, RedirectResponse(f"/tickets/{self.ticket_id}", 303)
        number = ticket_of(self.visit, self.ticket_id).number
        try:
            deed()
        except StepRefused as error:
            wrong = refusal(self.form, texts_of(self.given) if self.given else {}, error, words)
            return show(self.request, self.visit, self.ticket_id, refused=wrong)
        except TicketingError as error:
            say(answer, "flash.refused", number=number, why=why_not(error, words))
        else:
            say(answer, "flash.done", number=number, step=words(self.what))
        return answer


@router.post("/tickets/{ticket_id}/requisitions", dependencies=[needs(Right.WORK)])
def request_part(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Ask the store for a part."""
    return _Page(request, visit, ticket_id, "requisition", "parts.request", form).after(
        lambda: deeds.request_part(
            _doer(visit),
            ticket_id,
            part=field_of(form, "part"),
            quantity=float(whole_number_of(form, "quantity") or 0),
            reason=field_of(form, "reason"),
        ),
    )


@router.post("/requisitions/{requisition_id}/issue", dependencies=[needs(Right.STOCK)])
def issue_part(request: Request, visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """The store hands a part out."""
    with visit.context.tickets.looking() as conn:
        ticket_id = requisition_numbered(conn, requisition_id).ticket
    lot = field_of(form, "lot")
    return _Page(request, visit, ticket_id, f"issue-{requisition_id}", "parts.issue", form).after(
        lambda: deeds.issue_part(_doer(visit), requisition_id, lot=lot)
    )


@router.post("/requisitions/{requisition_id}/withdraw", dependencies=[needs(Right.WORK)])
def withdraw_part(request: Request, visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """A part is not wanted any more."""
    with visit.context.tickets.looking() as conn:
        ticket_id = requisition_numbered(conn, requisition_id).ticket
    reason = field_of(form, "reason")
    return _Page(request, visit, ticket_id, f"withdraw-{requisition_id}", "parts.withdraw", form).after(
        lambda: deeds.withdraw_part(_doer(visit), requisition_id, reason=reason),
    )


@router.post("/tickets/{ticket_id}/sign-code", dependencies=[needs(Right.REPORT)])
def send_code(request: Request, visit: VisitOf, ticket_id: int) -> Response:
    """Send the requester a code."""
    return _Page(request, visit, ticket_id, "code", "activity.sign_code").after(
        lambda: deeds.send_code(_doer(visit), ticket_id)
    )


@router.post("/tickets/{ticket_id}/signature", dependencies=[needs(Right.REPORT)])
def add_signature(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Keep a drawn signature."""
    try:
        body = b64decode(field_of(form, "drawn").removeprefix(_DRAWN), validate=True)
    except (binascii.Error, ValueError):
        body = b""
    return _Page(request, visit, ticket_id, "drawn", "sign.drawn").after(
        lambda: visit.context.tickets.add_photo(
            ticket_id, body=body, stage=SIGNATURE, actor=visit.actor, now_ns=visit.context.now()
        ),
    )


@router.post("/tickets/{ticket_id}/ask/{step}", dependencies=[needs(Right.WORK)])
def ask_approval(request: Request, visit: VisitOf, ticket_id: int, step: Step, form: Form) -> Response:
    """Ask another person to close it without a repair or a signature."""
    outcome = field_of(form, "outcome")
    master = with_master(visit, texts_of(form)).get("master", "")
    return _Page(request, visit, ticket_id, step, "approval.ask", form).after(
        lambda: deeds.ask_approval(
            _doer(visit),
            ticket_id,
            step=step,
            reason=field_of(form, "reason"),
            outcome=Outcome(outcome) if outcome in list(Outcome) else None,
            master=int(master) if master.isdecimal() else None,
        )
    )


@router.post("/approvals/{approval_id}/grant", dependencies=[needs(Right.PLAN)])
def grant(request: Request, visit: VisitOf, approval_id: int) -> Response:
    """Agree."""
    with visit.context.tickets.looking() as conn:
        ticket_id = numbered(conn, approval_id).ticket
    return _Page(request, visit, ticket_id, "grant", "approval.grant").after(
        lambda: deeds.grant(_doer(visit), approval_id, visit.plant)
    )


@router.post("/approvals/{approval_id}/refuse", dependencies=[needs(Right.PLAN)])
def refuse(request: Request, visit: VisitOf, approval_id: int, form: Form) -> Response:
    """Do not agree."""
    with visit.context.tickets.looking() as conn:
        ticket_id = numbered(conn, approval_id).ticket
    note = field_of(form, "reason")
    return _Page(request, visit, ticket_id, "refuse", "approval.refuse", form).after(
        lambda: deeds.refuse(_doer(visit), approval_id, visit.plant, note=note),
    )


@router.post("/tickets/{ticket_id}/rating", dependencies=[needs(Right.REPORT)])
def rate(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """The requester's stars."""
    return _Page(request, visit, ticket_id, "rating", "rating.give", form).after(
        lambda: deeds.rate(
            _doer(visit),
            ticket_id,
            visit.plant,
            stars=whole_number_of(form, "stars") or 0,
            comment=field_of(form, "comment"),
        ),
    )


@router.post("/tickets/{ticket_id}/obligations/{kind}", dependencies=[needs(Right.WORK)])
def fulfil(request: Request, visit: VisitOf, ticket_id: int, kind: Owed, form: Form) -> Response:
    """What was owed is done."""
    note = field_of(form, "note")
    return _Page(request, visit, ticket_id, f"owed-{kind}", f"owed.{kind}", form).after(
        lambda: deeds.fulfil(_doer(visit), ticket_id, kind, note=note)
    )
