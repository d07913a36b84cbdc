"""What the forms about folded events do: a cause is split off for good, a merge is taken back."""

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from api.merging import Split, Unmerge
from api.pages import say
from api.rights import needs
from api.steps import Deed, Target
from api.visit import Visit, VisitOf
from api.web.forms import Form, texts_of
from api.web.refused import refusal
from api.web.ticket_steps import ticket_of, why_not
from api.web.ticket_view import show
from ticketing.errors import StepRefused, TicketingError
from ticketing.service import By

router = APIRouter()


@router.post("/tickets/{ticket_id}/split", dependencies=[needs(Right.PLAN)])
def split(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """One cause becomes a ticket of its own; the page of that one follows."""
    return _done(request, visit, ticket_id, Split, form)


@router.post("/tickets/{ticket_id}/unmerge", dependencies=[needs(Right.PLAN)])
def unmerge(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """The ticket was no duplicate: it goes on with all that it had."""
    return _done(request, visit, ticket_id, Unmerge, form)


def _done(request: Request, visit: Visit, ticket_id: int, kind: type[Deed], form: Form) -> Response:
    name, fields = kind.__name__.lower(), texts_of(form)
    before = ticket_of(visit, ticket_id)
    try:
        deed = kind.model_validate({key: value for key, value in fields.items() if value})
        by = By(actor=visit.actor, now_ns=visit.context.now(), expected_version=deed.version or 0)
        after = deed.to(Target(visit.context.tickets, ticket_id, visit.plant, by))
    except (ValidationError, StepRefused) as error:
        return show(request, visit, ticket_id, refused=refusal(name, fields, error, visit.words))
    except TicketingError as error:
        answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
        say(answer, "flash.refused", number=before.number, why=why_not(error, visit.words))
        return answer
    answer = RedirectResponse(f"/tickets/{after.id}", 303)
    say(answer, "flash.split" if kind is Split else "flash.unmerged", number=after.number)
    return answer
