"""Root-cause and improvement tasks: what each rests on, its causes and actions, the check, and a form for every step."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, datetime, time

from fastapi import APIRouter, Request
from pydantic import ValidationError
from sqlalchemy import Connection
from starlette.datastructures import FormData
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import SECOND_NS
from api.pages import render, say
from api.problem_deeds import DEEDS, RIGHT_OF, do
from api.rights import needs
from api.visit import Visit, VisitOf, zone_named
from api.web.forms import Form, texts_of
from api.web.history import actor_name
from api.web.measures import measures_of
from api.web.problem_forms import forms, refusal, shown
from api.web.refused import Refused
from api.web.rows import row_of
from api.web.wording import asset_name, person_name
from ticketing import store
from ticketing.causes import causes_of
from ticketing.errors import StaleVersion, StepRefused, TicketingError
from ticketing.problem import ActionState, Problem, ProblemEvent, ProblemKind, ProblemState
from ticketing.problem_states import ProblemStep
from ticketing.problem_store import events, look
from ticketing.quality.whys import fishbone, tree

router = APIRouter()
MOST = 30
"""Tickets that a task counts are shown up to here, the newest."""


@dataclass(frozen=True, slots=True)
class Link:
    """A failure or ticket that a task rests on; `gap` says how long after the one before, empty for the first."""

    at_ns: int
    gap: str
    same_fault: bool
    left: bool
    ticket: int
    number: str
    what: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task in the visitor's words."""

    problem: Problem
    about: str
    sentence: str
    leader: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class Line:
    """One line of what was done."""

    at_ns: int
    who: str
    what: str
    reason: str


@router.get("/problems", dependencies=[needs(Right.READ)])
def problems(request: Request, visit: VisitOf) -> Response:
    """All tasks, newest first."""
    with reading(visit.context.database) as conn:
        tasks = [_task(found, visit) for found in store.problems(conn, machines=visit.sight.assets)]
    return render(request, visit, "problems.html", "problems", tasks=tasks)


@router.get("/problems/{problem_id}", dependencies=[needs(Right.READ)])
def problem(request: Request, visit: VisitOf, problem_id: int) -> Response:
    """One task with all that belongs to it."""
    return _show(request, visit, problem_id)


def _show(request: Request, visit: Visit, problem_id: int, refused: Refused | None = None) -> Response:
    """The page; what was `refused` stands in its form again, with what is wrong beside its field."""
    here = f"/problems/{problem_id}"
    with reading(visit.context.database) as conn:
        found = look(conn, problem_id)
        rests_on = [*_links(conn, found, visit), *_counted(conn, found, visit)]
        led_to = measures_of(conn, found, visit)
        done = events(conn, problem_id)
    labels = {one.code: getattr(one, visit.words.language) for one in causes_of(visit.plant).values()}
    answer = render(
        request,
        visit,
        "problem.html",
        "problems",
        here=here if refused else None,
        refused=refused,
        task=_task(found, visit),
        problem=found,
        links=rests_on,
        more=max(0, len(found.counted) - MOST),
        whys=tree(found),
        bones=fishbone(found),
        measures=led_to,
        labels=labels,
        statement=[(name, value) for name, value in _said(found) if value],
        names={person.id: person.name for person in visit.plant.people},
        forms=forms(found, visit),
        overdue=[
            one.id
            for one in found.actions
            if one.state is ActionState.OPEN and one.due_ns < visit.time.now_ns
        ],
        done=[_line(one, visit) for one in reversed(done)],
    )
    if refused:
        answer.status_code = 422
        answer.headers["HX-Replace-Url"] = here
    return answer


def _take(request: Request, visit: Visit, problem_id: int, step: ProblemStep, form: FormData) -> Response:
    """A step from the page; back to it, with how it went in the corner, or beside the field that lacks something."""
    answer = RedirectResponse(f"/problems/{problem_id}", 303)
    with reading(visit.context.database) as conn:
        number = look(conn, problem_id).number
    try:
        deed = DEEDS[step].model_validate(_given(form, visit))
        do(visit, problem_id, step, deed.given(), version=deed.version or 0, channel="console")
    except StepRefused as error:
        return _show(request, visit, problem_id, refusal(step, texts_of(form), error, visit))
    except (ValidationError, TicketingError) as error:
        key = "flash.stale" if isinstance(error, StaleVersion) else "flash.refused"
        say(answer, key, number=number, why=_why(error, visit))
    else:
        say(answer, "flash.done", number=number, step=visit.words(f"problem_step.{step}"))
    return answer


def _route(step: ProblemStep) -> Callable[..., Response]:
    def take(request: Request, visit: VisitOf, problem_id: int, form: Form) -> Response:
        return _take(request, visit, problem_id, step, form)

    return take


for _step in DEEDS:
    router.add_api_route(
        f"/problems/{{problem_id}}/{_step}",
        _route(_step),
        methods=["POST"],
        dependencies=[needs(RIGHT_OF[_step])],
    )


def _given(form: FormData, visit: Visit) -> dict[str, str | list[str]]:
    """The fields of a form; a date means the end of that day in the plant."""
    texts = {name: value for name, value in form.items() if isinstance(value, str) and value != ""}
    given: dict[str, str | list[str]] = {**texts}
    if "team" in given:
        given["team"] = [one for one in form.getlist("team") if isinstance(one, str)]
    if "due_at" in texts:
        try:
            day = date.fromisoformat(texts["due_at"])
        except ValueError:
            return given
        end = datetime.combine(day, time(23, 59, 59), zone_named(visit.plant.time_zone))
        given["due_at"] = end.isoformat()
    return given


def _why(error: Exception, visit: Visit) -> str:
    words = visit.words
    key = f"error.{getattr(error, 'code', 'invalid_request')}"
    return words(key) if key in words else words("error.invalid_request")


def _task(found: Problem, visit: Visit) -> Task:
    return Task(
        problem=found,
        about=_about(found, visit),
        sentence=_sentence(found, visit),
        leader=person_name(found.leader, visit.plant) if found.leader else "",
        overdue=found.state not in {ProblemState.CLOSED, ProblemState.VERIFYING}
        and visit.time.now_ns > found.due_ns,
    )


def _about(found: Problem, visit: Visit) -> str:
    """The machine, or what a cause befell."""
    if found.kind is ProblemKind.RCA:
        return asset_name(visit.plant.asset(found.asset), found.asset, visit.words)
    if found.kind is ProblemKind.INVESTIGATION:
        return _looked_into(found.scope, visit)
    return found.scope.partition("/")[2] or visit.words("problems.everywhere")


def _looked_into(scope: str, visit: Visit) -> str:
    """What an investigation is about: a model and its fault, or a metric and its month."""
    kind, _, rest = scope.partition("/")
    what, _, which = rest.rpartition("/")
    if kind != "model":
        return f"{what} · {which}"
    known = visit.plant.fault_type(which)
    fault = getattr(known, visit.words.language) if known else which
    return f"{fault} · {visit.words('problems.everywhere') if what == '*' else what}"


def _sentence(found: Problem, visit: Visit) -> str:
    words, about = visit.words, _about(found, visit)
    if found.kind is ProblemKind.IMPROVEMENT:
        code = found.scope.partition("/")[0]
        known = causes_of(visit.plant).get(code)
        cause = getattr(known, words.language) if known else code
        n = sum(one.left_ns is None for one in found.counted)
        return words("problems.sentence_improvement", cause=cause, what=about, n=n)
    if found.kind is ProblemKind.INVESTIGATION:
        return words("problems.sentence_investigation", what=about, n=len(found.counted))
    gaps = [link.interval_ns for link in found.links if link.interval_ns is not None]
    said = {"asset": about, "n": len(found.links)}
    if not gaps:
        return words("problems.sentence_plain", **said)
    return words("problems.sentence", **said, shortest=visit.time.span(min(gaps) / SECOND_NS))


def _links(conn: Connection, found: Problem, visit: Visit) -> list[Link]:
    return [
        _link(
            conn,
            visit,
            link.ticket,
            link.at_ns,
            gap=""
            if link.interval_ns is None
            else visit.words(
                f"problems.gap_{link.counted_from}", span=visit.time.span(link.interval_ns / SECOND_NS)
            ),
            same_fault=link.same_fault,
        )
        for link in found.links
    ]


def _counted(conn: Connection, found: Problem, visit: Visit) -> list[Link]:
    return [
        _link(conn, visit, one.ticket, one.resolved_ns, left=one.left_ns is not None)
        for one in found.counted[-MOST:]
    ]


def _link(
    conn: Connection,
    visit: Visit,
    ticket: int,
    at_ns: int,
    *,
    gap: str = "",
    same_fault: bool = True,
    left: bool = False,
) -> Link:
    row = row_of(store.ticket(conn, ticket, limit=1).ticket, visit)
    return Link(at_ns, gap, same_fault, left, ticket, row.number, row.what)


def _said(found: Problem) -> list[tuple[str, str]]:
    names = ("what", "where", "when", "who", "how_found", "how_many", "failure_mode", "failure_mechanism")
    more = ("failure_cause", "downtime_min", "cost", "safety")
    return [(name, shown(getattr(found.statement, name))) for name in (*names, *more)]


def _line(one: ProblemEvent, visit: Visit) -> Line:
    words, deed = visit.words, one.action.rpartition(".")[2]
    key = f"problem_step.{deed}"
    what = words(key) if key in words else words(f"problem_activity.{deed}")
    return Line(one.at_ns, actor_name(one.actor, visit), what, one.reason)
