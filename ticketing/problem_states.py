"""A problem's states are a contract as a ticket's are: which step leads where, and what each of them demands (4.7).

`EDGES` is the whole of it. An effect is checked by someone who owns none of the actions; what comes back while that
is watched reopens the problem by itself.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ticketing.causes import CAUSES, Cause, refuses
from ticketing.errors import Missing, NoEdge, StepRefused
from ticketing.problem import (
    ActionKind,
    ActionState,
    Category,
    CauseKind,
    EightD,
    Problem,
    ProblemAction,
    ProblemKind,
    ProblemState,
    RootCause,
)
from ticketing.quality.eight_d import has_root, undone
from ticketing.quality.whys import MOST, depth_of

OPEN, ANALYSING, ACTIONS, VERIFYING, REOPENED, CLOSED = ProblemState


class ProblemStep(StrEnum):
    """What can be done to a problem. RECUR is the machine's own, the rest are people's."""

    START = "start"
    DESCRIBE = "describe"
    EIGHT_D = "eight_d"
    ADD_CAUSE = "add_cause"
    JUDGE_CAUSE = "judge_cause"
    ADD_ACTION = "add_action"
    MOVE_ACTION = "move_action"
    FINISH_ACTION = "finish_action"
    DROP_ACTION = "drop_action"
    DECIDE = "decide"
    PLAN_CHECK = "plan_check"
    PASS_CHECK = "pass_check"  # noqa: S105 - no secret
    FAIL_CHECK = "fail_check"
    RECUR = "recur"
    REVISE = "revise"
    CLOSE = "close"
    WITHDRAW = "withdraw"
    REOPEN = "reopen"
    REVIEW = "review"


class ProblemDemand(StrEnum):
    """What a step is refused without."""

    LEADER = "leader"
    WHAT = "what"
    TEAM = "team"
    CAUSE_TEXT = "cause_text"
    CODE = "code"
    PARENT = "parent"
    CAUSE = "cause"
    VERDICT = "verdict"
    ACTION_KIND = "action_kind"
    ACTION_TEXT = "action_text"
    OWNER = "owner"
    DUE = "due"
    ACTION = "action"
    ROOT_CAUSE = "root_cause"
    ESCAPE_CAUSE = "escape_cause"
    ACTION_DONE = "action_done"
    ACTIONS_SETTLED = "actions_settled"
    METRIC = "metric"
    TARGET = "target"
    CHECKER = "checker"
    ACTOR_CHECKS = "actor_checks"
    WINDOW_OVER = "window_over"
    MEASURED = "measured"
    EFFECTIVE = "effective"
    DISCIPLINES = "disciplines"
    REASON = "reason"
    EVIDENCE = "evidence"
    APPROVER = "approver"
    FLAGGED = "flagged"


@dataclass(frozen=True, slots=True)
class ProblemGiven:
    """What comes with a step; `known_people` and `codes` of causes are the plant's. Times are the server's."""

    actor: str = ""
    now_ns: int = 0
    known_people: frozenset[str] | None = None
    codes: Mapping[str, Cause] = field(default_factory=lambda: CAUSES)
    leader: str = ""
    statement: Mapping[str, str | float | None] = field(default_factory=dict)
    eight_d: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict)
    text: str = ""
    code: str = ""
    category: Category | None = None
    why: CauseKind | None = None
    parent: int | None = None
    root: bool = False
    cause: int | None = None
    verified: bool | None = None
    kind: ActionKind | None = None
    owner: str = ""
    due_ns: int | None = None
    action: int | None = None
    metric: str = ""
    target: str = ""
    checker: str = ""
    measured: str = ""
    reason: str = ""
    evidence: tuple[str, ...] = ()
    approver: str = ""


_D, _S = ProblemDemand, ProblemStep
Steps = Mapping[ProblemStep, frozenset[ProblemDemand]]
_WORK: Steps = {
    _S.DESCRIBE: frozenset({_D.WHAT}),
    _S.EIGHT_D: frozenset({_D.TEAM}),
    _S.ADD_CAUSE: frozenset({_D.CAUSE_TEXT, _D.CODE, _D.PARENT}),
    _S.JUDGE_CAUSE: frozenset({_D.CAUSE, _D.VERDICT, _D.EVIDENCE}),
    _S.ADD_ACTION: frozenset({_D.ACTION_KIND, _D.ACTION_TEXT, _D.OWNER, _D.DUE}),
    _S.MOVE_ACTION: frozenset({_D.ACTION, _D.OWNER, _D.DUE, _D.REASON}),
    _S.FINISH_ACTION: frozenset({_D.ACTION, _D.EVIDENCE, _D.APPROVER}),
    _S.DROP_ACTION: frozenset({_D.ACTION, _D.REASON}),
    _S.REVIEW: frozenset({_D.FLAGGED, _D.REASON}),
}
_LEFT: Steps = {
    step: _WORK[step] for step in (_S.EIGHT_D, _S.MOVE_ACTION, _S.FINISH_ACTION, _S.DROP_ACTION, _S.REVIEW)
}
_WITHDRAW: Steps = {_S.WITHDRAW: frozenset({_D.FLAGGED, _D.REASON, _D.APPROVER})}
_START: Steps = {_S.START: frozenset({_D.LEADER})}
_CHECKED = frozenset({_D.ACTOR_CHECKS, _D.MEASURED})

EDGES: Mapping[tuple[ProblemState, ProblemState], Steps] = {
    (OPEN, OPEN): _WORK,
    (OPEN, ANALYSING): _START,
    (OPEN, CLOSED): _WITHDRAW,
    (ANALYSING, ANALYSING): _WORK,
    (ANALYSING, ACTIONS): {_S.DECIDE: frozenset({_D.WHAT, _D.ROOT_CAUSE, _D.ESCAPE_CAUSE})},
    (ANALYSING, CLOSED): _WITHDRAW,
    (ACTIONS, ACTIONS): _WORK,
    (ACTIONS, ANALYSING): {_S.REVISE: frozenset({_D.REASON})},
    (ACTIONS, VERIFYING): {
        _S.PLAN_CHECK: frozenset({_D.ROOT_CAUSE, _D.ACTION_DONE, _D.METRIC, _D.TARGET, _D.CHECKER})
    },
    (ACTIONS, CLOSED): _WITHDRAW,
    (VERIFYING, VERIFYING): {**_LEFT, _S.PASS_CHECK: _CHECKED | {_D.WINDOW_OVER}},
    (VERIFYING, ACTIONS): {_S.REVISE: frozenset({_D.REASON})},
    (VERIFYING, REOPENED): {_S.FAIL_CHECK: _CHECKED, _S.RECUR: frozenset({_D.EVIDENCE})},
    (VERIFYING, CLOSED): {
        _S.CLOSE: frozenset(
            {_D.ROOT_CAUSE, _D.ACTION_DONE, _D.ACTIONS_SETTLED, _D.EFFECTIVE, _D.DISCIPLINES}
        ),
        **_WITHDRAW,
    },
    (REOPENED, REOPENED): _WORK,
    (REOPENED, ANALYSING): _START,
    (REOPENED, CLOSED): _WITHDRAW,
    (CLOSED, CLOSED): {_S.REVIEW: _WORK[_S.REVIEW]},
    (CLOSED, REOPENED): {_S.REOPEN: frozenset({_D.REASON, _D.EVIDENCE, _D.APPROVER})},
}
"""(from, to) -> step -> demands. A pair that is not here is no edge; no step has two targets from one state."""


def cause_of(problem: Problem, wanted: int | None) -> RootCause | None:
    """The cause of that id, if there is one."""
    return next((one for one in problem.causes if one.id == wanted), None)


def action_of(problem: Problem, wanted: int | None) -> ProblemAction | None:
    """The action of that id, if there is one."""
    return next((one for one in problem.actions if one.id == wanted), None)


def owners(problem: Problem) -> frozenset[str]:
    """Who owns an action, dropped ones left out: none of them may judge the effect."""
    return frozenset(one.owner for one in problem.actions if one.state is not ActionState.DROPPED)


def _unless(met: object) -> str | None:
    return None if met else "absent"


def _person(who: str, given: ProblemGiven) -> str | None:
    if not who.strip():
        return "absent"
    return "unknown" if given.known_people is not None and who not in given.known_people else None


def _parent(problem: Problem, given: ProblemGiven) -> str | None:
    """A cause that there is, and one more why after it is not one too many."""
    if given.parent is not None and cause_of(problem, given.parent) is None:
        return "unknown"
    return "too_deep" if depth_of(problem.causes, given.parent) >= MOST else None


def _team(problem: Problem, given: ProblemGiven) -> str | None:
    """Whoever is named is one of the plant; the first word of an 8D names somebody."""
    team = given.eight_d.get("team") or (problem.eight_d or EightD()).team
    wrong = (_person(one, given) for one in team)
    return next((why for why in wrong if why is not None), None) if team else "absent"


def _due(_problem: Problem, given: ProblemGiven) -> str | None:
    if given.due_ns is None:
        return "absent"
    return "is_past" if given.due_ns <= given.now_ns else None


def _action(problem: Problem, given: ProblemGiven) -> str | None:
    found = action_of(problem, given.action)
    if found is None:
        return "absent"
    return None if found.state is ActionState.OPEN else f"is_{found.state}"


def _approver(problem: Problem, given: ProblemGiven) -> str | None:
    action = action_of(problem, given.action)
    if action is not None and given.approver == action.owner:
        return "is_owner"
    return _person(given.approver, given)


def _root_cause(problem: Problem, _given: ProblemGiven) -> str | None:
    return _unless(has_root(problem, CauseKind.OCCURRENCE))


def _escape_cause(problem: Problem, _given: ProblemGiven) -> str | None:
    """Worked as an 8D it is also known why nobody noticed."""
    return _unless(problem.eight_d is None or has_root(problem, CauseKind.ESCAPE))


def _action_done(problem: Problem, _given: ProblemGiven) -> str | None:
    """Of this round, and not of containment alone, which ends no cause."""
    return _unless(
        any(
            one.state is ActionState.DONE
            and one.kind is not ActionKind.CONTAINMENT
            and one.cycle == problem.cycle
            for one in problem.actions
        )
    )


def _is_open(action: ProblemAction) -> bool:
    return action.state is ActionState.OPEN


def _checker(problem: Problem, given: ProblemGiven) -> str | None:
    return "owns_an_action" if given.checker in owners(problem) else _person(given.checker, given)


def _actor_checks(problem: Problem, given: ProblemGiven) -> str | None:
    if problem.check is None or given.actor != problem.check.checker:
        return "not_the_checker"
    return "owns_an_action" if given.actor in owners(problem) else None


def _window_over(problem: Problem, given: ProblemGiven) -> str | None:
    return None if problem.check is not None and given.now_ns >= problem.check.due_ns else "too_early"


CHECKS: Mapping[ProblemDemand, Callable[[Problem, ProblemGiven], str | None]] = {
    _D.LEADER: lambda _, given: _person(given.leader, given),
    _D.WHAT: lambda problem, given: _unless(
        str(given.statement.get("what") or problem.statement.what).strip()
    ),
    _D.TEAM: _team,
    _D.CAUSE_TEXT: lambda _, given: _unless(given.text.strip()),
    _D.CODE: lambda _, given: refuses(given.code, given.codes),
    _D.PARENT: _parent,
    _D.CAUSE: lambda problem, given: _unless(cause_of(problem, given.cause)),
    _D.VERDICT: lambda _, given: _unless(given.verified is not None),
    _D.ACTION_KIND: lambda _, given: _unless(given.kind),
    _D.ACTION_TEXT: lambda _, given: _unless(given.text.strip()),
    _D.OWNER: lambda _, given: _person(given.owner, given),
    _D.DUE: _due,
    _D.ACTION: _action,
    _D.ROOT_CAUSE: _root_cause,
    _D.ESCAPE_CAUSE: _escape_cause,
    _D.ACTION_DONE: _action_done,
    _D.ACTIONS_SETTLED: lambda problem, _: "still_open" if any(map(_is_open, problem.actions)) else None,
    _D.METRIC: lambda _, given: _unless(given.metric.strip()),
    _D.TARGET: lambda _, given: _unless(given.target.strip()),
    _D.CHECKER: _checker,
    _D.ACTOR_CHECKS: _actor_checks,
    _D.WINDOW_OVER: _window_over,
    _D.MEASURED: lambda _, given: _unless(given.measured.strip()),
    _D.EFFECTIVE: lambda problem, _: _unless(problem.check is not None and problem.check.passed),
    _D.DISCIPLINES: lambda problem, _: undone(problem),
    _D.REASON: lambda _, given: _unless(given.reason.strip()),
    _D.EVIDENCE: lambda _, given: _unless(any(one.strip() for one in given.evidence)),
    _D.APPROVER: _approver,
    _D.FLAGGED: lambda problem, _: _unless(
        problem.review
        or problem.kind is ProblemKind.INVESTIGATION  # what a person opened, a person may give up
    ),
}
"""What each demand looks at; None if it is met, else why not."""


def target(problem: Problem, step: ProblemStep) -> ProblemState:
    """Where a step leads from the problem's state; NoEdge if it cannot be taken there."""
    steps = possible(problem)
    if step not in steps:
        raise NoEdge(problem.state, step, [str(one) for one in steps])
    return steps[step]


def possible(problem: Problem) -> Mapping[ProblemStep, ProblemState]:
    """Every step that can be taken from here, with where it leads."""
    return {step: to for (source, to), steps in EDGES.items() if source is problem.state for step in steps}


def lacks(problem: Problem, step: ProblemStep, given: ProblemGiven) -> tuple[Missing, ...]:
    """The demands of the step that are not met, in the order of `ProblemDemand`."""
    demands = EDGES[problem.state, target(problem, step)][step]
    unmet = ((one, CHECKS[one](problem, given)) for one in ProblemDemand if one in demands)
    return tuple(Missing(demand, why) for demand, why in unmet if why is not None)


def check(problem: Problem, step: ProblemStep, given: ProblemGiven) -> ProblemState:
    """The state that the step leads to; NoEdge or StepRefused with all that is missing."""
    missing = lacks(problem, step, given)
    if missing:
        raise StepRefused(step, problem.state, missing)
    return target(problem, step)
