"""The forms of a ticket's page about knowledge and those who wait: cite an article, ask where it is, acknowledge."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from andon.access.roles import Right
from api.places import must_see
from api.rights import needs
from api.visit import VisitOf
from api.web.closing_steps import TicketPage, doer
from api.web.forms import Form, field_of, whole_number_of
from ticketing.knowledge import pool
from ticketing.voice import acknowledgements, enquiries

router = APIRouter()


@router.post("/tickets/{ticket_id}/cite", dependencies=[needs(Right.WORK)])
def cite(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """An article helped on this ticket."""
    number = whole_number_of(form, "article") or 0
    must_see(visit.context, visit.sight, "article_id", number)
    return TicketPage(request, visit, ticket_id, "cite", "activity.cited").after(
        lambda: pool.cite(doer(visit), ticket_id, number)
    )


@router.post("/tickets/{ticket_id}/enquiries", dependencies=[needs(Right.REPORT)])
def enquire(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Somebody asks where it is; a call is taken down with the caller's name."""
    caller, note = field_of(form, "caller")[:128], field_of(form, "note")[:500]
    return TicketPage(request, visit, ticket_id, "enquiry", "activity.enquiry", form).after(
        lambda: enquiries.enquire(
            doer(visit),
            visit.plant,
            ticket_id,
            caller=caller,
            channel="phone" if caller.strip() else "",
            note=note,
        )
    )


@router.post("/tickets/{ticket_id}/acknowledge", dependencies=[needs(Right.WORK)])
def acknowledge(request: Request, visit: VisitOf, ticket_id: int) -> Response:
    """Your department has seen it."""
    return TicketPage(request, visit, ticket_id, "acknowledge", "activity.acknowledged").after(
        lambda: acknowledgements.acknowledge(doer(visit), visit.plant, ticket_id)
    )
