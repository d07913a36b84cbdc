"""What the forms about a ticket's operations do: take a template, do one, correct a value, take one back, leave one out."""

from collections.abc import Callable
from typing import Literal

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.pages import say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.forms import Form, field_of, number_of, texts_of
from api.web.refused import Refused
from api.web.ticket_operations import refused_texts
from api.web.ticket_steps import ticket_of, why_not
from api.web.ticket_view import show
from ticketing.deeds import Doer
from ticketing.errors import StepRefused, TicketingError
from ticketing.operations import deeds, work
from ticketing.operations.deeds import Said

router = APIRouter()
Deed = Literal["done", "correct", "take-back", "leave-out"]
VALUE, INSTRUMENT = "value-", "instrument-"
"""What the inputs of a measurement begin with."""


@router.post("/tickets/{ticket_id}/operations", dependencies=[needs(Right.WORK)])
def take(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """The ticket takes the operations of a template."""
    template = field_of(form, "template")
    return _after(
        request,
        visit,
        (ticket_id, 0),
        form,
        lambda by: deeds.take_template(by, ticket_id, visit.plant, template),
    )


@router.post("/tickets/{ticket_id}/operations/{seq}/{deed}", dependencies=[needs(Right.WORK)])
def do(  # noqa: PLR0917 - what FastAPI fills in by name
    request: Request, visit: VisitOf, ticket_id: int, seq: int, deed: Deed, form: Form
) -> Response:
    """One operation: done with what was measured, a value corrected, taken back, left out."""
    plant, reason = visit.plant, field_of(form, "reason")

    def to_do(by: Doer) -> object:
        if deed == "take-back":
            return deeds.take_back(by, ticket_id, seq, reason=reason)
        if deed == "leave-out":
            return deeds.leave_out(by, ticket_id, seq, reason=reason)
        if deed == "correct":
            said = Said(field_of(form, "name"), _number(form, "value"), field_of(form, "instrument"))
            return deeds.correct(by, ticket_id, seq, plant, said=said, reason=reason)
        return deeds.do(
            by,
            ticket_id,
            seq,
            plant,
            minutes=number_of(form, "minutes"),
            values=_values(form),
            note=field_of(form, "note")[:4000],
            done_by=field_of(form, "done_by"),
        )

    return _after(request, visit, (ticket_id, seq), form, to_do)


def _values(form: FormData) -> list[Said]:
    """The values that the form has; one that is left empty was not measured."""
    names = [name.removeprefix(VALUE) for name in form if name.startswith(VALUE)]
    return [
        Said(name, _number(form, VALUE + name), field_of(form, INSTRUMENT + name)[:64])
        for name in names
        if field_of(form, VALUE + name).strip()
    ]


def _number(form: FormData, name: str) -> float:
    value = number_of(form, name)
    return float("nan") if value is None else value


def _after(
    request: Request, visit: Visit, at: tuple[int, int], form: FormData, deed: Callable[[Doer], object]
) -> Response:
    """Do it, and say on the ticket's page how it went: in the corner, or above the form what it lacks.

    `at` are the ticket's id and the number of the operation on it.
    """
    ticket_id, seq = at
    here, words = f"/tickets/{ticket_id}", visit.words
    answer, ticket = RedirectResponse(f"{here}#operations", 303), ticket_of(visit, ticket_id)
    try:
        deed(Doer(visit.context.tickets, visit.actor, visit.context.now()))
    except StepRefused as error:
        with reading(visit.context.database) as conn:
            steps = work.of_ticket(conn, ticket_id)
        texts = refused_texts(error.missing, steps, seq, words)
        wrong = Refused(f"operation-{seq}", texts_of(form), {}, texts)
        return show(request, visit, ticket_id, refused=wrong)
    except TicketingError as error:
        say(answer, "flash.refused", number=ticket.number, why=why_not(error, words))
    else:
        say(answer, "operations.kept", number=ticket.number)
    return answer
