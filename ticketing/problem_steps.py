"""A step on a problem inside a transaction: changed, put on record, its timers set, told."""

from collections.abc import Mapping

from andon.plant import Plant
from ticketing.book import MACHINE, Book
from ticketing.problem import Problem
from ticketing.problem_clock import arrange
from ticketing.problem_deeds import applied
from ticketing.problem_news import tell
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.problem_store import record

TOLD: Mapping[ProblemStep, str] = {
    ProblemStep.START: "problem.assigned",
    ProblemStep.ADD_ACTION: "action.given",
    ProblemStep.MOVE_ACTION: "action.given",
    ProblemStep.CLOSE: "problem.effective",
    ProblemStep.FAIL_CHECK: "problem.ineffective",
    ProblemStep.RECUR: "problem.ineffective",
    ProblemStep.REOPEN: "problem.ineffective",
}
"""The steps that somebody is told of."""


def step_on(
    book: Book,
    before: Problem,
    step: ProblemStep,
    given: ProblemGiven,
    plant: Plant,
    *,
    actor: str,
    channel: str = MACHINE,
) -> Problem:
    """Take the step; NoEdge or StepRefused with all that is missing."""
    after = record(
        book,
        applied(before, step, given, plant.repeats),
        before=before,
        action=step,
        actor=actor,
        channel=channel,
        reason=given.reason,
        evidence=given.evidence,
    )
    arrange(book, before, after, plant.repeats)
    if step in TOLD:
        tell(book, after, TOLD[step], _concerned(after, given), actor=actor, reason=given.reason)
    return after


def _concerned(problem: Problem, given: ProblemGiven) -> tuple[str | None, ...]:
    return given.owner or None, given.checker or None, problem.leader
