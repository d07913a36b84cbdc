"""What the forms about costs and safety on a ticket's page do."""

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from andon.access.roles import Right
from andon.events import nanoseconds
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.closing_steps import TicketPage, doer
from api.web.forms import Form, field_of, whole_number_of
from api.web.money import cents_in
from ticketing.approving import deeds
from ticketing.approving.requests import Verdict, numbered
from ticketing.approving.standstill import Span

router = APIRouter()
APPROVALS = "/approvals"
NO_AMOUNT = -1
"""What is no amount at all is refused where an amount too small is."""


@router.post("/tickets/{ticket_id}/estimate", dependencies=[needs(Right.WORK)])
def think(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """State what it will cost."""
    return TicketPage(request, visit, ticket_id, "estimate", "costs.think", form).after(
        lambda: deeds.think(
            doer(visit), visit.plant, ticket_id, cents=_amount(form), reason=field_of(form, "reason")
        )
    )


@router.post("/tickets/{ticket_id}/labour", dependencies=[needs(Right.WORK)])
def work(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Put hours down."""
    return TicketPage(request, visit, ticket_id, "labour", "costs.work", form).after(
        lambda: deeds.work(
            doer(visit),
            visit.plant,
            ticket_id,
            person=field_of(form, "person"),
            minutes=whole_number_of(form, "minutes"),
            span_ns=None,
            note=field_of(form, "note"),
        )
    )


@router.post("/tickets/{ticket_id}/costs", dependencies=[needs(Right.WORK)])
def pay(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Put down what was paid besides."""
    return TicketPage(request, visit, ticket_id, "cost", "costs.pay", form).after(
        lambda: deeds.pay(
            doer(visit), visit.plant, ticket_id, cents=_amount(form), note=field_of(form, "note")
        )
    )


@router.post("/tickets/{ticket_id}/costs/{line}/take-back", dependencies=[needs(Right.WORK)])
def take_back(request: Request, visit: VisitOf, ticket_id: int, line: int, form: Form) -> Response:
    """A line was wrong."""
    reason = field_of(form, "reason")
    return TicketPage(request, visit, ticket_id, f"take-back-{line}", "costs.take_back", form).after(
        lambda: deeds.take_back(doer(visit), visit.plant, ticket_id, line, reason=reason)
    )


@router.post("/tickets/{ticket_id}/downtime", dependencies=[needs(Right.WORK)])
def stood(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Say how long the machine stood."""
    reason = field_of(form, "reason")
    return TicketPage(request, visit, ticket_id, "downtime", "costs.stood", form).after(
        lambda: deeds.stood(doer(visit), ticket_id, span_ns=_span(visit, form), reason=reason)
    )


@router.post("/tickets/{ticket_id}/cost-requests", dependencies=[needs(Right.WORK)])
def ask(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Ask whom the costs need as they are now."""
    reason = field_of(form, "reason")
    return TicketPage(request, visit, ticket_id, "costs-ask", "costs.ask", form).after(
        lambda: deeds.ask(doer(visit), visit.plant, ticket_id, reason=reason)
    )


@router.post("/tickets/{ticket_id}/safety/{checklist}", dependencies=[needs(Right.WORK)])
def sign_safety(request: Request, visit: VisitOf, ticket_id: int, checklist: str, form: Form) -> Response:
    """Sign a checklist."""
    ticked = [int(name[5:]) for name in form if name.startswith("item-") and name[5:].isdecimal()]
    return TicketPage(request, visit, ticket_id, f"safety-{checklist}", "safety.sign", form).after(
        lambda: deeds.sign_safety(
            doer(visit), visit.plant, ticket_id, checklist, ticked=ticked, note=field_of(form, "note")
        )
    )


@router.post("/cost-requests/{cost_request_id}/decide", dependencies=[needs(Right.LEAD)])
def decide(request: Request, visit: VisitOf, cost_request_id: int, form: Form) -> Response:
    """Agree or not, as the level whose turn it is."""
    verdict = Verdict.GRANTED if field_of(form, "verdict") == Verdict.GRANTED else Verdict.REFUSED
    level, note = field_of(form, "level"), field_of(form, "note")
    with visit.context.tickets.looking() as conn:
        ticket_id = numbered(conn, cost_request_id).ticket
    back = APPROVALS if field_of(form, "back") == APPROVALS else ""
    return TicketPage(request, visit, ticket_id, "decide", f"costs.did_{verdict}", form, back).after(
        lambda: deeds.decide(doer(visit), visit.plant, cost_request_id, verdict, level=level, note=note)
    )


def _amount(form: FormData) -> int:
    cents = cents_in(field_of(form, "amount"))
    return NO_AMOUNT if cents is None else cents


def _span(visit: Visit, form: FormData) -> Span:
    """From when until when by the plant's clock; what is no time is refused as a span that ends where it begins."""
    try:
        ends = [nanoseconds(visit.time.with_offset(field_of(form, name))) for name in ("from", "until")]
    except ValueError:
        return 0, 0
    return ends[0], ends[1]
