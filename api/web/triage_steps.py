"""What the inbox's forms do: a decision that can be taken back for ten seconds, a ticket put off, and both undone."""

from collections.abc import Mapping

from fastapi import APIRouter
from pydantic import ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.events import Json, nanoseconds
from api.pages import say
from api.places import must_see_ticket
from api.rights import needs
from api.steps import DEEDS, Assign, Duplicate, FalseAlarm
from api.visit import Visit, VisitOf
from api.web.forms import Form, field_of, texts_of, whole_number_of
from api.web.inbox import undo_of
from api.web.ticket_steps import ticket_of, why_not, with_master
from ticketing import triage
from ticketing.errors import Missing, StaleVersion, StepRefused, TicketingError
from ticketing.service import By
from ticketing.states import Step
from ticketing.ticket import Ticket
from ticketing.triage import Decision

router = APIRouter(prefix="/inbox", dependencies=[needs(Right.PLAN)])
_NOT_OF_THE_DEED = frozenset({"next", "version"})


@router.post("/{ticket_id}/undo")
def undo(visit: VisitOf, ticket_id: int) -> Response:
    """Take back what has not been carried out yet, or bring back what was put off; the ticket comes up again."""
    answer, before = RedirectResponse(f"/?ticket={ticket_id}", 303), ticket_of(visit, ticket_id)
    try:
        triage.take_back(visit.context.tickets, ticket_id, actor=visit.actor, now_ns=visit.context.now())
    except TicketingError as error:
        say(
            answer,
            "flash.refused",
            f"/tickets/{ticket_id}",
            number=before.number,
            why=why_not(error, visit.words),
        )
    else:
        say(answer, "flash.undone", number=before.number)
    return answer


@router.post("/{ticket_id}/snooze")
def snooze(visit: VisitOf, ticket_id: int, form: Form) -> Response:
    """Put a ticket off: until one of the moments offered, or one of the planner's own."""
    before = ticket_of(visit, ticket_id)
    try:
        until_ns = _moment(visit, form)
        reason = field_of(form, "reason")[:500]
        triage.snooze(visit.context.tickets, ticket_id, until_ns=until_ns, reason=reason, **_by(visit, form))
    except TicketingError as error:
        return _not_done(visit, before, error)
    return _next(form)


@router.post("/{ticket_id}/{step}")
def decide(visit: VisitOf, ticket_id: int, step: Step, form: Form) -> Response:
    """A decision; it is carried out in ten seconds, and the next ticket comes up by itself."""
    if step not in triage.DEEDS:
        raise HTTPException(404)
    before = ticket_of(visit, ticket_id)
    fields = texts_of(form) | ({} if step is Step.ASSIGN else {"approver": visit.actor})
    given = {name: value for name, value in fields.items() if name not in _NOT_OF_THE_DEED and value != ""}
    try:
        deed = DEEDS[step].model_validate(with_master(visit, given))
        if isinstance(deed, Duplicate):
            must_see_ticket(visit.context, visit.sight, deed.master)
        what = Decision(step, _said(deed))
        undo_ns = undo_of(visit)
        triage.decide(visit.context.tickets, ticket_id, what, visit.plant, undo_ns, **_by(visit, form))
    except (ValidationError, TicketingError) as error:
        return _not_done(visit, before, error)
    return _next(form)


def _said(deed: object) -> Mapping[str, Json]:
    if isinstance(deed, Assign):
        return {"person": deed.person, "backup": deed.backup, "reason": deed.reason}
    if isinstance(deed, Duplicate):
        return {"master": deed.master, "reason": deed.reason}
    assert isinstance(deed, FalseAlarm)  # noqa: S101 - `triage.DEEDS` has no other
    return {"outcome": str(deed.outcome), "reason": deed.reason}


def _by(visit: Visit, form: Form) -> By:
    version = whole_number_of(form, "version") or 0
    return By(actor=visit.actor, now_ns=visit.context.now(), expected_version=version)


def _moment(visit: Visit, form: Form) -> int:
    """The moment that was pressed, else the one that was filled in; StepRefused if that is none."""
    until = field_of(form, "until")
    if until.isdecimal() and len(until) < 20:  # nanoseconds of our time have 19 digits
        return int(until)
    try:
        return nanoseconds(visit.time.with_offset(field_of(form, "at")))
    except ValueError:
        raise StepRefused("snooze", "pending_dispatch", [Missing("until")]) from None


def _next(form: Form) -> Response:
    following = field_of(form, "next")
    return RedirectResponse(f"/?ticket={following}" if following.isdecimal() else "/", 303)


def _not_done(visit: Visit, before: Ticket, error: Exception) -> Response:
    answer = RedirectResponse(f"/?ticket={before.id}", 303)
    key = "flash.stale" if isinstance(error, StaleVersion) else "flash.refused"
    say(answer, key, number=before.number, why=why_not(error, visit.words))
    return answer
