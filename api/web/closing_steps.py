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
from api.web.forms import Form, field_of, number_of, texts_of, whole_number_of
from api.web.refused import refusal
from api.web.ticket_steps import ticket_of, why_not, with_master
from api.web.ticket_view import show
from ticketing import deeds
from ticketing.approvals import numbered
from ticketing.errors import StepRefused, TicketingError
from ticketing.obligations import Owed
from ticketing.parts.scans import scanned
from ticketing.requisitions import requisition_numbered
from ticketing.states import Step
from ticketing.stepping import SIGNATURE
from ticketing.ticket import Outcome

router = APIRouter()
_DRAWN = "data:image/png;base64,"
STORE = "/parts"


def doer(visit: Visit) -> deeds.Doer:
    """Who acts on a page, and when."""
    return deeds.Doer(visit.context.tickets, visit.actor, visit.context.now())


@dataclass(frozen=True, slots=True)
class TicketPage:
    """The ticket's page that a form stands on; `form` is its name there, `what` the key of what it does.

    `back`: another page that the form stands on, where it is only said how it went.
    """

    request: Request
    visit: Visit
    ticket_id: int
    form: str
    what: str
    given: FormData | None = None
    back: str = ""

    def after(self, deed: Callable[[], object]) -> Response:
        """Do it, and say on the page how it went: in the corner, or in the form what it lacks."""
        words = self.visit.words
        answer = RedirectResponse(self.back or f"/tickets/{self.ticket_id}", 303)
        number = ticket_of(self.visit, self.ticket_id).number
        try:
            deed()
        except StepRefused as error:
            if self.back:
                say(answer, "flash.refused", number=number, why=why_not(error, words))
                return answer
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
    return TicketPage(request, visit, ticket_id, "requisition", "parts.request", form).after(
        lambda: deeds.request_part(
            doer(visit),
            ticket_id,
            part=field_of(form, "part"),
            quantity=number_of(form, "quantity") or 0.0,
            reason=field_of(form, "reason"),
        ),
    )


@router.post("/requisitions/{requisition_id}/issue", dependencies=[needs(Right.STOCK)])
def issue_part(request: Request, visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """The store hands a part out."""
    lot, part = field_of(form, "lot"), scanned(field_of(form, "part"))
    quantity = number_of(form, "quantity")
    page = _of_requisition(request, visit, requisition_id, "issue", form)
    return page.after(
        lambda: deeds.issue_part(
            doer(visit), requisition_id, lot=lot or part.lot, part=part.code, quantity=quantity
        )
    )


@router.post("/requisitions/{requisition_id}/return", dependencies=[needs(Right.STOCK)])
def return_part(request: Request, visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """What was not needed comes back."""
    quantity, lot = number_of(form, "quantity") or 0.0, field_of(form, "lot")
    page = _of_requisition(request, visit, requisition_id, "return", form)
    return page.after(lambda: deeds.return_part(doer(visit), requisition_id, quantity=quantity, lot=lot))


@router.post("/requisitions/{requisition_id}/withdraw", dependencies=[needs(Right.WORK)])
def withdraw_part(request: Request, visit: VisitOf, requisition_id: int, form: Form) -> Response:
    """A part is not wanted any more."""
    reason = field_of(form, "reason")
    page = _of_requisition(request, visit, requisition_id, "withdraw", form)
    return page.after(lambda: deeds.withdraw_part(doer(visit), requisition_id, reason=reason))


def _of_requisition(
    request: Request, visit: Visit, requisition_id: int, what: str, form: FormData
) -> TicketPage:
    """The page of the ticket that asked, or the store's if the form stands there."""
    with visit.context.tickets.looking() as conn:
        ticket_id = requisition_numbered(conn, requisition_id).ticket
    back = STORE if field_of(form, "back") == STORE else ""
    return TicketPage(request, visit, ticket_id, f"{what}-{requisition_id}", f"parts.{what}", form, back)


@router.post("/tickets/{ticket_id}/sign-code", dependencies=[needs(Right.REPORT)])
def send_code(request: Request, visit: VisitOf, ticket_id: int) -> Response:
    """Send the requester a code."""
    return TicketPage(request, visit, ticket_id, "code", "activity.sign_code").after(
        lambda: deeds.send_code(doer(visit), ticket_id)
    )


@router.post("/tickets/{ticket_id}/signature", dependencies=[needs(Right.REPORT)])
def add_signature(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Keep a drawn signature."""
    try:
        body = b64decode(field_of(form, "drawn").removeprefix(_DRAWN), validate=True)
    except (binascii.Error, ValueError):
        body = b""
    return TicketPage(request, visit, ticket_id, "drawn", "sign.drawn").after(
        lambda: visit.context.tickets.add_photo(
            ticket_id, body=body, stage=SIGNATURE, actor=visit.actor, now_ns=visit.context.now()
        ),
    )


@router.post("/tickets/{ticket_id}/ask/{step}", dependencies=[needs(Right.WORK)])
def ask_approval(request: Request, visit: VisitOf, ticket_id: int, step: Step, form: Form) -> Response:
    """Ask another person to close it without a repair or a signature."""
    outcome = field_of(form, "outcome")
    master = with_master(visit, texts_of(form)).get("master", "")
    return TicketPage(request, visit, ticket_id, step, "approval.ask", form).after(
        lambda: deeds.ask_approval(
            doer(visit),
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
    return TicketPage(request, visit, ticket_id, "grant", "approval.grant").after(
        lambda: deeds.grant(doer(visit), approval_id, visit.plant)
    )


@router.post("/approvals/{approval_id}/refuse", dependencies=[needs(Right.PLAN)])
def refuse(request: Request, visit: VisitOf, approval_id: int, form: Form) -> Response:
    """Do not agree."""
    with visit.context.tickets.looking() as conn:
        ticket_id = numbered(conn, approval_id).ticket
    note = field_of(form, "reason")
    return TicketPage(request, visit, ticket_id, "refuse", "approval.refuse", form).after(
        lambda: deeds.refuse(doer(visit), approval_id, visit.plant, note=note),
    )


@router.post("/tickets/{ticket_id}/rating", dependencies=[needs(Right.REPORT)])
def rate(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """The requester's stars."""
    return TicketPage(request, visit, ticket_id, "rating", "rating.give", form).after(
        lambda: deeds.rate(
            doer(visit),
            ticket_id,
            visit.plant,
            stars=whole_number_of(form, "stars") or 0,
            comment=field_of(form, "comment"),
            nps=whole_number_of(form, "nps"),
        ),
    )


@router.post("/tickets/{ticket_id}/obligations/{kind}", dependencies=[needs(Right.WORK)])
def fulfil(request: Request, visit: VisitOf, ticket_id: int, kind: Owed, form: Form) -> Response:
    """What was owed is done."""
    note = field_of(form, "note")
    return TicketPage(request, visit, ticket_id, f"owed-{kind}", f"owed.{kind}", form).after(
        lambda: deeds.fulfil(doer(visit), ticket_id, kind, note=note)
    )
