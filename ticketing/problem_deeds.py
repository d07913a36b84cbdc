"""What each step makes of a problem: a value in, a value out; whether it may be taken is decided before."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from andon.events import SECOND_NS
from andon.rules.repeats import Repeats
from ticketing.problem import (
    ActionKind,
    ActionState,
    CauseKind,
    Check,
    EightD,
    Problem,
    ProblemAction,
    ProblemOutcome,
    ProblemState,
    RootCause,
)
from ticketing.problem_states import ProblemGiven, ProblemStep, check

_DAY_S = 86400


def applied(problem: Problem, step: ProblemStep, given: ProblemGiven, rules: Repeats) -> Problem:
    """The problem after the step; NoEdge or StepRefused with all that is missing."""
    state = check(problem, step, given)
    after = DEEDS[step](problem, given, rules)
    if state is not problem.state:
        after = replace(after, state=state)
        if state is ProblemState.REOPENED:
            due_ns = due_after(given.now_ns, rules)
            after = replace(after, cycle=problem.cycle + 1, outcome=None, closed_ns=None, due_ns=due_ns)
    return after


def due_after(now_ns: int, rules: Repeats) -> int:
    """When a problem that is begun now is due, on the whole second."""
    return later(now_ns, rules.due_d)


def later(now_ns: int, days: float) -> int:
    """So many days later, on the whole second."""
    return (now_ns // SECOND_NS + round(days * _DAY_S)) * SECOND_NS


def _described(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    said = {name: value for name, value in given.statement.items() if value is not None}
    return replace(problem, statement=replace(problem.statement, **said))  # type: ignore[arg-type]


def _in_eight(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    return replace(problem, eight_d=replace(problem.eight_d or EightD(), **given.eight_d))  # type: ignore[arg-type]


def _with_cause(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    new = RootCause(
        id=len(problem.causes) + 1,
        text=given.text.strip(),
        code=given.code,
        category=given.category,
        parent=given.parent,
        root=given.root,
        by=given.actor,
        at_ns=given.now_ns,
        kind=given.why or _why_of(problem, given.parent),
    )
    return replace(problem, causes=(*problem.causes, new))


def _why_of(problem: Problem, parent: int | None) -> CauseKind:
    """What a cause is that does not say so: what the cause is that it is one of."""
    return next((one.kind for one in problem.causes if one.id == parent), CauseKind.OCCURRENCE)


def _judged(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    def judged(one: RootCause) -> RootCause:
        if one.id != given.cause:
            return one
        return replace(
            one,
            verified=given.verified,
            root=one.root or given.root,
            evidence=given.evidence,
            verified_by=given.actor,
            verified_ns=given.now_ns,
        )

    return replace(problem, causes=tuple(map(judged, problem.causes)))


def _with_action(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    new = ProblemAction(
        id=len(problem.actions) + 1,
        kind=given.kind or ActionKind.CORRECTIVE,
        text=given.text.strip(),
        owner=given.owner,
        due_ns=given.due_ns or given.now_ns,
        by=given.actor,
        at_ns=given.now_ns,
        cycle=problem.cycle,
    )
    return replace(problem, actions=(*problem.actions, new))


def _on_action(
    problem: Problem, given: ProblemGiven, change: Callable[[ProblemAction], ProblemAction]
) -> Problem:
    changed = (change(one) if one.id == given.action else one for one in problem.actions)
    return replace(problem, actions=tuple(changed))


def _moved(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    due_ns = given.due_ns or given.now_ns
    return _on_action(
        problem, given, lambda one: replace(one, owner=given.owner, due_ns=due_ns, moved=one.moved + 1)
    )


def _finished(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    def done(one: ProblemAction) -> ProblemAction:
        return replace(
            one,
            state=ActionState.DONE,
            evidence=given.evidence,
            approver=given.approver,
            done_ns=given.now_ns,
            cycle=problem.cycle,
        )

    return _on_action(problem, given, done)


def _dropped(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
    return _on_action(
        problem, given, lambda one: replace(one, state=ActionState.DROPPED, done_ns=given.now_ns)
    )


def _planned(problem: Problem, given: ProblemGiven, rules: Repeats) -> Problem:
    planned = Check(
        metric=given.metric.strip(),
        target=given.target.strip(),
        checker=given.checker,
        from_ns=given.now_ns,
        due_ns=later(given.now_ns, rules.check_d),
    )
    return replace(problem, check=planned)


def _checked(passed: bool) -> "Deed":
    def deed(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
        if problem.check is None:
            return problem
        result = replace(
            problem.check,
            passed=passed,
            measured=given.measured.strip(),
            checked_by=given.actor,
            checked_ns=given.now_ns,
        )
        return replace(problem, check=result)

    return deed


def _closed(outcome: ProblemOutcome) -> "Deed":
    def deed(problem: Problem, given: ProblemGiven, _rules: Repeats) -> Problem:
        return replace(problem, outcome=outcome, closed_ns=given.now_ns)

    return deed


def _as_it_is(problem: Problem, _given: ProblemGiven, _rules: Repeats) -> Problem:
    return problem


Deed = Callable[[Problem, ProblemGiven, Repeats], Problem]
DEEDS: Mapping[ProblemStep, Deed] = {
    ProblemStep.START: lambda problem, given, _: replace(problem, leader=given.leader),
    ProblemStep.DESCRIBE: _described,
    ProblemStep.EIGHT_D: _in_eight,
    ProblemStep.ADD_CAUSE: _with_cause,
    ProblemStep.JUDGE_CAUSE: _judged,
    ProblemStep.ADD_ACTION: _with_action,
    ProblemStep.MOVE_ACTION: _moved,
    ProblemStep.FINISH_ACTION: _finished,
    ProblemStep.DROP_ACTION: _dropped,
    ProblemStep.DECIDE: _as_it_is,
    ProblemStep.PLAN_CHECK: _planned,
    ProblemStep.PASS_CHECK: _checked(passed=True),
    ProblemStep.FAIL_CHECK: _checked(passed=False),
    ProblemStep.RECUR: _checked(passed=False),
    ProblemStep.REVISE: lambda problem, _given, _rules: replace(problem, check=None),
    ProblemStep.CLOSE: _closed(ProblemOutcome.EFFECTIVE),
    ProblemStep.WITHDRAW: _closed(ProblemOutcome.WITHDRAWN),
    ProblemStep.REOPEN: _as_it_is,
    ProblemStep.REVIEW: lambda problem, _given, _rules: replace(problem, review=""),
}
"""Step -> what it makes of the problem."""
