"""What the forms of quality work do: investigate, mend elsewhere, freeze and release, audit, ask for a field."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.events import SECOND_NS
from api.pages import say
from api.quality import doer, span_of
from api.rights import needs
from api.visit import Visit, VisitOf, zone_named
from api.web.forms import field_of, whole_number_of
from api.web.ticket_steps import why_not
from ticketing.errors import TicketingError
from ticketing.parts.suppliers import Grade
from ticketing.quality import deeds
from ticketing.quality.audits import Result
from ticketing.quality.batches import Deed, Lot
from ticketing.quality.deeds import Seen
from ticketing.quality.mandatory import RESOLVING

router = APIRouter()
CONSOLE = "console"
_FIELDS = 600
"""Machines that can be ticked at once."""


async def _form(request: Request) -> AsyncIterator[FormData]:
    async with request.form(max_files=0, max_fields=_FIELDS) as form:
        yield form


WideForm = Annotated[FormData, Depends(_form)]


@dataclass(frozen=True, slots=True)
class _Page:
    """Where a form stood: after the deed one is there again, and told how it went."""

    visit: Visit
    back: str
    what: str

    def after(self, deed: Callable[[], object]) -> Response:
        """Do it; in the corner of the next page stands what was done, or what it lacked."""
        words, answer = self.visit.words, RedirectResponse(self.back, 303)
        try:
            deed()
        except TicketingError as error:
            say(answer, "flash.not_done", why=why_not(error, words))
        else:
            say(answer, "flash.quality_done", what=words(f"quality.{self.what}"))
        return answer


def _many(form: FormData, name: str) -> list[str]:
    return [one[:200] for one in form.getlist(name) if isinstance(one, str) and one]


def _shown(form: FormData) -> Sequence[str]:
    return [field_of(form, "evidence")[:4000]]


def _text(form: FormData, name: str) -> str:
    return field_of(form, name)[:4000]


@router.post("/investigations", dependencies=[needs(Right.ANALYSE, whole=True)])
def investigate(visit: VisitOf, form: WideForm) -> Response:
    """Open a root-cause task on the tickets behind a share, and go there."""
    model, fault = field_of(form, "model") or None, field_of(form, "fault")
    days = float(whole_number_of(form, "days") or 90)
    seen = Seen(fault, span_of(visit.context.now(), min(days, 3660.0)), model)
    try:
        task = deeds.investigate(doer(visit, CONSOLE), visit.plant, seen, reason=_text(form, "reason"))
    except TicketingError as error:
        answer = RedirectResponse("/failures", 303)
        say(answer, "flash.not_done", why=why_not(error, visit.words))
        return answer
    return RedirectResponse(f"/problems/{task.id}", 303)


@router.post("/tickets/{ticket_id}/sisters", dependencies=[needs(Right.PLAN)])
def deploy_ticket(visit: VisitOf, ticket_id: int, form: WideForm) -> Response:
    """Give it to the machines that are ticked; with none ticked it is not needed elsewhere."""
    assets = _many(form, "assets")
    for asset in assets:
        visit.sight.must_see(asset)
    return _Page(visit, f"/tickets/{ticket_id}", "decided_elsewhere").after(
        lambda: deeds.deploy_ticket(
            doer(visit, CONSOLE), visit.plant, ticket_id, text=_text(form, "text"), assets=assets
        )
    )


@router.post("/problems/{problem_id}/sisters", dependencies=[needs(Right.ANALYSE)])
def deploy_problem(visit: VisitOf, problem_id: int, form: WideForm) -> Response:
    """Give what ends the cause to the machines that are ticked."""
    assets = _many(form, "assets")
    for asset in assets:
        visit.sight.must_see(asset)
    return _Page(visit, f"/problems/{problem_id}", "decided_elsewhere").after(
        lambda: deeds.deploy_problem(
            doer(visit, CONSOLE), visit.plant, problem_id, text=_text(form, "text"), assets=assets
        )
    )


@router.post("/sisters/{sister_id}/finish", dependencies=[needs(Right.WORK)])
def finish_sister(visit: VisitOf, sister_id: int, form: WideForm) -> Response:
    """It is done on that machine."""
    return _Page(visit, "/measures", "sister_done").after(
        lambda: deeds.finish_sister(doer(visit, CONSOLE), sister_id, evidence=_shown(form))
    )


@router.post("/sisters/{sister_id}/drop", dependencies=[needs(Right.PLAN)])
def drop_sister(visit: VisitOf, sister_id: int, form: WideForm) -> Response:
    """It is not needed there after all."""
    return _Page(visit, "/measures", "sister_dropped").after(
        lambda: deeds.drop_sister(doer(visit, CONSOLE), sister_id, reason=_text(form, "reason"))
    )


@router.post("/problems/{problem_id}/batches", dependencies=[needs(Right.ANALYSE, whole=True)])
def ask_freeze(visit: VisitOf, problem_id: int, form: WideForm) -> Response:
    """Ask for a batch to be frozen."""
    lots = [Lot(part, lot) for part, _, lot in (one.partition("\x1f") for one in _many(form, "lots"))]
    return _Page(visit, f"/problems/{problem_id}", "ask_freeze").after(
        lambda: deeds.ask_freeze(
            doer(visit, CONSOLE),
            visit.plant,
            problem_id,
            code=field_of(form, "code")[:64],
            lots=lots,
            reason=_text(form, "reason"),
        )
    )


@router.post("/batches/{batch_id}/{deed}", dependencies=[needs(Right.ANALYSE, whole=True)])
def decide(visit: VisitOf, batch_id: int, deed: Deed, form: WideForm) -> Response:
    """Freeze, release, refuse, or ask for the release."""
    return _Page(visit, "/measures", str(deed)).after(
        lambda: deeds.decide(
            doer(visit, CONSOLE),
            visit.plant,
            batch_id,
            deed,
            version=whole_number_of(form, "version") or 0,
            reason=_text(form, "reason"),
        )
    )


@router.post("/problems/{problem_id}/audits", dependencies=[needs(Right.ANALYSE, whole=True)])
def begin_audit(visit: VisitOf, problem_id: int, form: WideForm) -> Response:
    """Have a supplier audited."""
    return _Page(visit, f"/problems/{problem_id}", "audit_begun").after(
        lambda: deeds.begin_audit(
            doer(visit, CONSOLE),
            visit.plant,
            problem_id,
            supplier=field_of(form, "supplier")[:64],
            auditor=field_of(form, "auditor")[:64],
            reason=_text(form, "reason"),
            due_ns=_end_of_day(field_of(form, "due_at"), visit),
        )
    )


@router.post("/audits/{audit_id}/finish", dependencies=[needs(Right.ANALYSE, whole=True)])
def finish_audit(visit: VisitOf, audit_id: int, form: WideForm) -> Response:
    """What an audit came to."""
    result, grade = field_of(form, "result"), field_of(form, "grade")
    return _Page(visit, "/measures", "audit_done").after(
        lambda: deeds.finish_audit(
            doer(visit, CONSOLE),
            audit_id,
            result=Result(result) if result in set(Result) else Result.CONDITIONAL,
            findings=_text(form, "findings"),
            grade=Grade(grade) if grade in set(Grade) else None,
            evidence=_shown(form),
        )
    )


@router.post("/problems/{problem_id}/mandatory-fields", dependencies=[needs(Right.PLAN, whole=True)])
def make_mandatory(visit: VisitOf, problem_id: int, form: WideForm) -> Response:
    """Have a field asked for from now on."""
    choices = [one.strip() for one in field_of(form, "choices").replace("，", ",").split(",") if one.strip()]
    return _Page(visit, f"/problems/{problem_id}", "made_mandatory").after(
        lambda: deeds.make_mandatory(
            doer(visit, CONSOLE),
            visit.plant,
            problem_id,
            type_code=field_of(form, "type")[:64],
            name=field_of(form, "name")[:64].strip(),
            zh=field_of(form, "zh")[:100],
            en=field_of(form, "en")[:100],
            choices=choices,
            moments=_many(form, "moments") or (RESOLVING,),
        )
    )


def _end_of_day(day: str, visit: Visit) -> int | None:
    """The end of a day in the plant; None for no day."""
    try:
        end = datetime.combine(date.fromisoformat(day), time(23, 59, 59), zone_named(visit.plant.time_zone))
    except ValueError:
        return None
    return int(end.timestamp()) * SECOND_NS
