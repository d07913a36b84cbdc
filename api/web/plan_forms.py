"""The forms of preventive maintenance: a plan put in or changed by a planner, a meter that somebody has read."""

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Annotated

from fastapi import APIRouter, Depends, Request
from pydantic import ValidationError
from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.calendars import WEEKDAYS
from andon.database import reading
from andon.events import Json, nanoseconds
from andon.rules.plans import Plan, Unit
from api.pages import render, say
from api.plans import asked
from api.refused import Refused
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.forms import Form, field_of, number_of, texts_of
from api.web.plan_pages import HERE, show_meters
from api.web.ticket_operations import named
from api.web.wording import asset_name
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, FieldsRefused
from ticketing.plans.counting import Kind, valid
from ticketing.plans.readings import tell
from ticketing.plans.review import plan_of
from ticketing.plans.store import readings_of

router = APIRouter()
NEW = "new"
UNITS: tuple[Unit, ...] = ("day", "working_day", "week", "month", "year")
_MOST = 1000
_PLAIN = ("zh", "en", "based_on", "priority", "instructions", "lead_days", "late_days")
_OPTIONAL = ("early_days", "calendar", "fault_type", "operations")
_RHYTHM = ("every", "unit", "starts", "day", "nth", "at", "non_working")


async def _wide(request: Request) -> AsyncIterator[FormData]:
    """A form in which many machines are chosen."""
    async with request.form(max_files=0, max_fields=_MOST) as form:
        yield form


@router.post(f"{HERE}/meters", dependencies=[needs(Right.WORK)])
def read(request: Request, visit: VisitOf, form: Form) -> Response:
    """Somebody has read a meter; `replaces` says that the last reading was wrong."""
    asset, _, meter = field_of(form, "of").rpartition("/")
    visit.sight.must_see(asset)
    by, words = Doer(visit.context.tickets, visit.actor, visit.context.now()), visit.words
    value, at = number_of(form, "value"), field_of(form, "at")
    with reading(visit.context.database) as conn:
        known = valid(readings_of(conn, asset, meter))
    last = known[-1] if known and field_of(form, "replaces") else None
    try:
        at_ns = nanoseconds(visit.time.with_offset(at)) if at else last.at_ns if last else by.now_ns
        tell(
            by,
            visit.plant,
            asset=asset,
            meter=meter,
            value=float("nan") if value is None else value,
            at_ns=at_ns,
            kind=Kind.RESET if field_of(form, "reset") else Kind.READING,
            replaces=last.id if last else None,
            note=field_of(form, "note")[:500],
        )
    except FieldsRefused as refused:
        wrong = [words(f"plans.wrong_{one.demand}_{one.why}") for one in refused.missing]
        return show_meters(request, visit, wrong, texts_of(form))
    except (DeedRefused, ValueError, OverflowError) as refused:
        key = f"error.{getattr(refused, 'code', 'invalid_request')}"
        return show_meters(request, visit, [words(key)], texts_of(form))
    answer = RedirectResponse(f"{HERE}/meters", 303)
    say(answer, "plans.kept")
    return answer


@router.get(f"{HERE}/{{plan}}/edit", dependencies=[needs(Right.PLAN, whole=True)])
def edit(request: Request, visit: VisitOf, plan: str) -> Response:
    """The form of a plan as it is, or of a new one."""
    found = plan_of(visit.plant, plan)
    if found is None and plan != NEW:
        raise HTTPException(404)
    return _form(request, visit, plan, said_by(found) if found else {})


@router.post(f"{HERE}/{{plan}}/edit", dependencies=[needs(Right.PLAN, whole=True)])
def save(request: Request, visit: VisitOf, plan: str, form: Annotated[FormData, Depends(_wide)]) -> Response:
    """Put the plan in, or change it; the engine brings the plant document into force."""
    said = {name: form.getlist(name) for name in form}
    code = str(said.get("code", [""])[0]) if plan == NEW else plan
    given = {name: [str(one) for one in values] for name, values in said.items()}
    if plan == NEW and plan_of(visit.plant, code) is not None:
        return _form(request, visit, plan, given, [visit.words("plans.wrong_code_taken")])
    try:
        asked(visit, Plan.model_validate(document_of(code, given)))
    except ValidationError as error:
        return _form(request, visit, plan, given, [_why(one["loc"], one["msg"]) for one in error.errors()])
    except Refused as refused:
        return _form(request, visit, plan, given, [str(refused.detail)])
    answer = RedirectResponse(HERE, 303)
    say(answer, "plans.asked", name=code)
    return answer


def document_of(code: str, given: Mapping[str, Sequence[str]]) -> dict[str, Json]:
    """The plan that a form says, as a document; what is empty is left out.

    >>> document_of("p", {"zh": ["润滑"], "unit": ["week"], "starts": ["2026-01-05"], "on": ["mon"], "meter": [""]})
    {'code': 'p', 'zh': '润滑', 'machines': {}, 'rhythm': {'unit': 'week', 'starts': '2026-01-05', 'on': ['mon']}}
    """

    def some(names: Sequence[str]) -> dict[str, Json]:
        return {name: given[name][0] for name in names if given.get(name, [""])[0].strip()}

    document: dict[str, Json] = {"code": code, **some(_PLAIN), **some(_OPTIONAL)}
    machines = {
        name: [one for one in given.get(name, []) if one] for name in ("assets", "models", "classes", "under")
    }
    document["machines"] = {name: values for name, values in machines.items() if values}
    if some(["unit"]):
        on = {"on": list(given["on"])} if given.get("on") else {}
        document["rhythm"] = some(_RHYTHM) | on
    if some(["meter"]):
        document["usage"] = some(["meter", "each", "last", "ahead"])
    if some(["begins"]) or some(["ends"]):
        document["pauses"] = [some(["begins", "ends"])]
    if some(["retired"]):
        document["retired"] = True
    return document


def said_by(plan: Plan) -> dict[str, list[str]]:
    """A plan as its form says it: the inverse of `document_of`."""
    document = plan.model_dump(mode="json")
    flat = {name: document[name] for name in (*_PLAIN, *_OPTIONAL, "code")}
    flat |= document["rhythm"] or {}
    flat |= document["usage"] or {}
    flat |= document["machines"]
    flat |= document["pauses"][0] if document["pauses"] else {}
    flat["retired"] = "1" if plan.retired else ""
    return {
        name: [str(one) for one in value]
        if isinstance(value, list)
        else ["" if value is None else str(value)]
        for name, value in flat.items()
    }


def _why(where: Sequence[int | str], text: str) -> str:
    named_ = ".".join(str(one) for one in where)
    said = text.removeprefix("Value error, ")
    return f"{named_}: {said}" if named_ else said


def _form(
    request: Request,
    visit: Visit,
    plan: str,
    given: Mapping[str, Sequence[str]],
    wrong: Sequence[str] = (),
) -> Response:
    plant, words = visit.plant, visit.words
    choices = {
        "assets": [(one.id, asset_name(one, one.id, words)) for one in plant.assets],
        "models": [(one, one) for one in sorted({a.model for a in plant.assets if a.model})],
        "classes": [(one, one) for one in sorted({a.asset_class for a in plant.assets})],
        "under": [(one, one) for one in sorted({a.path.rpartition("/")[0] for a in plant.assets})],
        "meter": [(one.code, named(one, words)) for one in plant.meters],
        "calendar": [(one, one) for one in plant.calendars],
        "fault_type": [(one.code, named(one, words)) for one in plant.fault_types if not one.retired],
        "operations": [(one.code, named(one, words)) for one in plant.operations if not one.retired],
    }
    answer = render(
        request,
        visit,
        "plan_form.html",
        "plans",
        here=f"{HERE}/{plan}/edit",
        code=plan,
        is_new=plan == NEW,
        given=given,
        wrong=wrong,
        choices=choices,
        units=UNITS,
        weekdays=list(enumerate(WEEKDAYS)),
    )
    answer.status_code = 422 if wrong else 200
    return answer
