"""What the forms of the pages do: one step each, then back to the page, which says how it went."""

from collections.abc import Callable, Mapping

from fastapi import APIRouter, Request
from pydantic import ValidationError
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.catalogue import Words
from api.pages import say
from api.places import must_see_ticket
from api.rights import needs
from api.steps import DEEDS, RIGHT_OF, Target
from api.visit import Visit, VisitOf
from api.web.forms import Form, texts_of
from api.web.refused import refusal
from api.web.ticket_view import show
from api.web.wording import demand_sentence, person_name
from ticketing import store
from ticketing.errors import PhotoRefused, StaleVersion, StepRefused, TicketingError
from ticketing.photos import MAX_BYTES
from ticketing.service import By
from ticketing.states import Step
from ticketing.ticket import Ticket

router = APIRouter()


_NOT_OF_THE_STEP = frozenset({"next"})


@router.post("/tickets/{ticket_id}/photos", dependencies=[needs(Right.WORK)])
def add_photo(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Keep a photo of the work."""
    answer = RedirectResponse(f"/tickets/{ticket_id}", 303)
    upload = form.get("photo")
    body = upload.file.read(MAX_BYTES + 1) if isinstance(upload, UploadFile) else b""
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


@router.post("/tickets/{ticket_id}/comment", dependencies=[needs(Right.REPORT)])
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


def _from_ticket(request: Request, visit: Visit, ticket_id: int, step: Step, form: FormData) -> Response:
    """A step from the ticket's own page; what is missing is said there, beside its field."""
    fields, here = texts_of(form), f"/tickets/{ticket_id}"
    before = ticket_of(visit, ticket_id)
    try:
        after = _taken(visit, ticket_id, step, fields)
    except (ValidationError, StepRefused) as error:
        return show(request, visit, ticket_id, refused=refusal(step, fields, error, visit.words, visit.plant))
    except TicketingError as error:
        return _not_done(visit, before, here, error)
    return _done(visit, after, step, here)


def _route(step: Step) -> Callable[..., Response]:
    def take(request: Request, visit: VisitOf, ticket_id: int, form: Form) -> Response:
        return _from_ticket(request, visit, ticket_id, step, form)

    return take


for _step in DEEDS:
    router.add_api_route(
        f"/tickets/{{ticket_id}}/{_step}",
        _route(_step),
        methods=["POST"],
        dependencies=[needs(RIGHT_OF[_step])],
    )


def _taken(visit: Visit, ticket_id: int, step: Step, fields: Mapping[str, str]) -> Ticket:
    given = {name: value for name, value in fields.items() if name not in _NOT_OF_THE_STEP and value != ""}
    deed = DEEDS[step].model_validate(with_master(visit, given))
    by = By(actor=visit.actor, now_ns=visit.context.now(), expected_version=deed.version or 0)
    return deed.to(Target(visit.context.tickets, ticket_id, visit.plant, by))


def _done(visit: Visit, after: Ticket, step: Step, following: str) -> Response:
    """The page that follows says in its corner what was done."""
    answer, own = RedirectResponse(following, 303), f"/tickets/{after.id}"
    link = "" if following == own else own
    key = f"flash.{step}" if step in {Step.ASSIGN, Step.FALSE_ALARM} else "flash.done"
    name = person_name(after.assignee, visit.plant)
    say(answer, key, link, number=after.number, name=name, step=visit.words(f"step.{step}"))
    return answer


def _not_done(visit: Visit, before: Ticket, where: str, error: Exception) -> Response:
    answer = RedirectResponse(where, 303)
    key = "flash.stale" if isinstance(error, StaleVersion) else "flash.refused"
    say(answer, key, number=before.number, why=why_not(error, visit.words))
    return answer


def ticket_of(visit: Visit, ticket_id: int) -> Ticket:
    """The ticket as it is now."""
    with reading(visit.context.database) as conn:
        return store.ticket(conn, ticket_id, limit=1).ticket


def with_master(visit: Visit, fields: Mapping[str, str]) -> dict[str, str]:
    """The other ticket is named by its number on the page, by its id to the service."""
    number = fields.get("master", "")
    if number.isdecimal():
        must_see_ticket(visit.context, visit.sight, int(number))
    if not number or number.isdecimal():
        return dict(fields)
    wanted = store.Filter(text=number, machines=visit.sight.assets)
    with reading(visit.context.database) as conn:
        found = store.tickets(conn, wanted, limit=10).tickets
    exact = [str(ticket.id) for ticket in found if ticket.number.lower() == number.lower()]
    return {**fields, "master": exact[0] if exact else "0"}


def why_not(error: Exception, words: Words) -> str:
    """Why something was refused, in words."""
    if isinstance(error, StepRefused):
        return words("list.and").join(demand_sentence(missing, words) for missing in error.missing)
    key = f"error.{getattr(error, 'code', 'invalid_request')}"
    return words(key) if key in words else words("error.invalid_request")
