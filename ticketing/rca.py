"""What people do to a problem: each deed one transaction, refused with what is missing, and on record."""

from dataclasses import dataclass, replace

from andon.plant import Plant
from ticketing.causes import causes_of
from ticketing.errors import ScopeTaken, StaleVersion
from ticketing.problem import Problem, ProblemState
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.problem_steps import step_on
from ticketing.problem_store import look, open_of
from ticketing.service import Tickets


@dataclass(frozen=True, slots=True)
class ProblemBy:
    """Who does it, when (server time), on which version of the problem, and where they sit."""

    actor: str
    now_ns: int
    expected_version: int
    channel: str = "console"


def take(
    tickets: Tickets,
    problem_id: int,
    step: ProblemStep,
    given: ProblemGiven,
    *,
    plant: Plant,
    by: ProblemBy,
) -> Problem:
    """Take one step on a problem; gives it as it then is. Who, when and what the plant knows is filled in.

    Raises
    ------
    ProblemNotFound, StaleVersion
        There is none of that id, or someone else was faster.
    NoEdge, StepRefused
        The step does not start here, or what it demands is missing.
    ScopeTaken
        A closed problem cannot be reopened beside an open one of its scope.
    """
    people = frozenset(person.id for person in plant.people)
    given = replace(given, actor=by.actor, now_ns=by.now_ns, known_people=people, codes=causes_of(plant))
    with tickets.transaction(by.now_ns) as book:
        before = look(book.conn, problem_id)
        if before.version != by.expected_version:
            raise StaleVersion(problem_id, expected=by.expected_version, actual=before.version)
        if step is ProblemStep.REOPEN and before.state is ProblemState.CLOSED:
            other = open_of(book.conn, before.kind, before.scope)
            if other is not None:
                raise ScopeTaken(problem_id, other.id)
        return step_on(book, before, step, given, plant, actor=by.actor, channel=by.channel)
