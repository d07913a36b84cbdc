"""Root-cause tasks: which machines failed again within 72 hours, and what each task rests on."""

from dataclasses import dataclass

from fastapi import APIRouter, Request
from sqlalchemy import Connection
from starlette.exceptions import HTTPException
from starlette.responses import Response

from andon.database import reading
from andon.events import SECOND_NS
from api.pages import render
from api.visit import Visit, VisitOf
from api.web.rows import row_of
from api.web.wording import asset_name
from ticketing import store
from ticketing.problem import Problem, ProblemLink, ProblemState

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Link:
    """One failure of a task: `gap` says how long after the one before, empty for the first."""

    at_ns: int
    gap: str
    same_fault: bool
    ticket: int
    number: str
    what: str


@dataclass(frozen=True, slots=True)
class Task:
    """A task in the visitor's words."""

    id: int
    number: str
    asset: str
    asset_name: str
    state: ProblemState
    sentence: str
    opened_ns: int
    due_ns: int
    overdue: bool
    review: str
    links: list[Link]


@router.get("/problems")
def problems(request: Request, visit: VisitOf) -> Response:
    """All tasks, newest first."""
    with reading(visit.context.database) as conn:
        tasks = [_task(found, [], visit) for found in store.problems(conn)]
    return render(request, visit, "problems.html", "problems", problems=tasks)


@router.get("/problems/{problem_id}")
def problem(request: Request, visit: VisitOf, problem_id: int) -> Response:
    """One task with its failures, the oldest first."""
    with reading(visit.context.database) as conn:
        found = store.problem(conn, problem_id)
        if found is None:
            raise HTTPException(404)
        task = _task(found, [_link(conn, link, visit) for link in found.links], visit)
    return render(request, visit, "problem.html", "problems", problem=task)


def _task(problem: Problem, links: list[Link], visit: Visit) -> Task:
    name = asset_name(visit.plant.asset(problem.asset), problem.asset, visit.words)
    gaps = [link.interval_ns for link in problem.links if link.interval_ns is not None]
    said = {"asset": name, "n": len(problem.links)}
    sentence = (
        visit.words("problems.sentence", **said, shortest=visit.time.span(min(gaps) / SECOND_NS))
        if gaps
        else visit.words("problems.sentence_plain", **said)
    )
    return Task(
        id=problem.id,
        number=problem.number,
        asset=problem.asset,
        asset_name=name,
        state=problem.state,
        sentence=sentence,
        opened_ns=problem.opened_ns,
        due_ns=problem.due_ns,
        overdue=problem.state is ProblemState.OPEN and visit.time.now_ns > problem.due_ns,
        review=problem.review,
        links=links,
    )


def _link(conn: Connection, link: ProblemLink, visit: Visit) -> Link:
    row = row_of(store.ticket(conn, link.ticket, limit=1).ticket, visit)
    gap = ""
    if link.interval_ns is not None:
        span = visit.time.span(link.interval_ns / SECOND_NS)
        gap = visit.words(f"problems.gap_{link.counted_from}", span=span)
    return Link(link.at_ns, gap, link.same_fault, link.ticket, row.number, row.what)
