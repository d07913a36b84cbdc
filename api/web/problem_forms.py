"""The forms of a problem's page: for each step that can be taken now its fields, and what it still needs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from api.problem_deeds import RIGHT_OF
from api.visit import Visit
from api.web.refused import Refused
from ticketing.causes import causes_of
from ticketing.errors import Missing, StepRefused
from ticketing.problem import ActionKind, ActionState, Category, CauseKind, EightD, Problem, ProblemKind
from ticketing.problem_states import ProblemDemand, ProblemGiven, ProblemStep, lacks, owners, possible

Input = Literal["line", "lines", "number", "date", "tick", "choice", "many"]
_STEP = ProblemStep
_STATEMENT: Mapping[str, Input] = {
    **dict.fromkeys(("what", "where", "when", "who", "how_found", "how_many"), "line"),
    **dict.fromkeys(("failure_mode", "failure_mechanism", "failure_cause"), "line"),
    **dict.fromkeys(("downtime_min", "cost"), "number"),
    "safety": "line",
}
_EIGHT_D: Mapping[str, Input] = {
    "team": "many",
    **dict.fromkeys(("emergency", "chosen_because", "standards", "recognition"), "lines"),
}
_CAUSE: Mapping[str, Input] = {
    "text": "lines",
    "code": "choice",
    "category": "choice",
    "why": "choice",
    "parent": "choice",
    "root": "tick",
}
_ACTION: Mapping[str, Input] = {"kind": "choice", "text": "lines", "owner": "choice", "due_at": "date"}
_BACK: Mapping[str, Input] = {"reason": "line"}
FIELDS: Mapping[ProblemStep, Mapping[str, Input]] = {
    _STEP.START: {"leader": "choice"},
    _STEP.DESCRIBE: _STATEMENT,
    _STEP.EIGHT_D: _EIGHT_D,
    _STEP.ADD_CAUSE: _CAUSE,
    _STEP.JUDGE_CAUSE: {"cause": "choice", "verified": "choice", "root": "tick", "evidence": "line"},
    _STEP.DECIDE: {},
    _STEP.ADD_ACTION: _ACTION,
    _STEP.MOVE_ACTION: {"action": "choice", "owner": "choice", "due_at": "date", "reason": "line"},
    _STEP.FINISH_ACTION: {"action": "choice", "evidence": "line", "approver": "choice"},
    _STEP.DROP_ACTION: {"action": "choice", "reason": "line"},
    _STEP.PLAN_CHECK: {"metric": "line", "target": "line", "checker": "choice"},
    _STEP.PASS_CHECK: {"measured": "lines"},
    _STEP.FAIL_CHECK: {"measured": "lines"},
    _STEP.REVISE: _BACK,
    _STEP.CLOSE: {},
    _STEP.WITHDRAW: {"reason": "line", "approver": "choice"},
    _STEP.REOPEN: {"reason": "line", "evidence": "line", "approver": "choice"},
    _STEP.REVIEW: _BACK,
}
"""What each step's form asks for, and how."""

_OPTIONAL = frozenset({*_STATEMENT, *_EIGHT_D, "category", "why", "parent", "root"}) - {"what", "team"}
_MADE_HERE = frozenset(
    {
        *(ProblemDemand.ROOT_CAUSE, ProblemDemand.ACTION_DONE, ProblemDemand.ACTIONS_SETTLED),
        *(ProblemDemand.EFFECTIVE, ProblemDemand.WINDOW_OVER, ProblemDemand.ACTOR_CHECKS),
        *(ProblemDemand.ESCAPE_CAUSE, ProblemDemand.DISCIPLINES),
        ProblemDemand.FLAGGED,
    }
)
"""Demands that no field of the form can meet: with one of them open the form is not offered, but what is missing."""
_LEADS_ON = (
    *(_STEP.CLOSE, _STEP.PASS_CHECK, _STEP.PLAN_CHECK, _STEP.DECIDE, _STEP.START),
    *(_STEP.REOPEN, _STEP.REVIEW),
)


@dataclass(frozen=True, slots=True)
class Field:
    """One field: `options` are its choices, as (value, text); of many the `chosen`."""

    name: str
    kind: Input
    needed: bool
    value: str
    options: tuple[tuple[str, str], ...]
    chosen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Form:
    """One step that can be taken; `missing` says in words what has to happen before."""

    step: ProblemStep
    fields: tuple[Field, ...]
    missing: tuple[str, ...]


def forms(problem: Problem, visit: Visit) -> tuple[Form, ...]:
    """The steps of this moment: first those that lead on, then the others; what cannot be yet says why."""
    given = ProblemGiven(actor=visit.actor, now_ns=visit.time.now_ns)
    found = [
        Form(step, _fields(step, problem, visit), _missing(problem, step, given, visit))
        for step in possible(problem)
        if step in FIELDS and _applies(problem, step) and visit.may(RIGHT_OF[step])
    ]
    return tuple(sorted(found, key=lambda form: (bool(form.missing), _rank(form.step))))


def sentence(missing: Missing, visit: Visit) -> str:
    """What a step still needs, in words."""
    particular = f"problem_demand.{missing.demand}_{missing.why}"
    return visit.words(particular if particular in visit.words else f"problem_demand.{missing.demand}")


_FIELD_OF: Mapping[str, str] = {
    ProblemDemand.CAUSE_TEXT: "text",
    ProblemDemand.ACTION_TEXT: "text",
    ProblemDemand.ACTION_KIND: "kind",
    ProblemDemand.VERDICT: "verified",
    ProblemDemand.DUE: "due_at",
}
"""Demands whose field has another name."""


def refusal(step: ProblemStep, given: Mapping[str, str], error: StepRefused, visit: Visit) -> Refused:
    """What the form of a step shows after it was refused."""
    said = {_FIELD_OF.get(one.demand, one.demand): sentence(one, visit) for one in error.missing}
    return Refused(
        step=step,
        given=given,
        wrong={name: text for name, text in said.items() if name in FIELDS[step]},
        others=[text for name, text in said.items() if name not in FIELDS[step]],
    )


def _rank(step: ProblemStep) -> tuple[bool, int]:
    return step not in _LEADS_ON, list(FIELDS).index(step)


def _applies(problem: Problem, step: ProblemStep) -> bool:
    """Whether there is anything that the step could be taken on."""
    if step in {_STEP.MOVE_ACTION, _STEP.FINISH_ACTION, _STEP.DROP_ACTION}:
        return any(one.state is ActionState.OPEN for one in problem.actions)
    if step is _STEP.JUDGE_CAUSE:
        return bool(problem.causes)
    if step is _STEP.WITHDRAW:
        return bool(problem.review) or problem.kind is ProblemKind.INVESTIGATION
    return bool(problem.review) or step is not _STEP.REVIEW


def _missing(problem: Problem, step: ProblemStep, given: ProblemGiven, visit: Visit) -> tuple[str, ...]:
    unmet = (one for one in lacks(problem, step, given) if one.demand in _MADE_HERE)
    return tuple(sentence(one, visit) for one in unmet)


def _fields(step: ProblemStep, problem: Problem, visit: Visit) -> tuple[Field, ...]:
    holds: Mapping[ProblemStep, object] = {
        _STEP.DESCRIBE: problem.statement,
        _STEP.EIGHT_D: problem.eight_d or EightD(),
    }
    said = holds.get(step)
    return tuple(
        Field(
            name=name,
            kind=kind,
            needed=name not in _OPTIONAL,
            value=shown(getattr(said, name)) if said is not None and kind != "many" else "",
            options=_options(name, step, problem, visit) if kind in {"choice", "many"} else (),
            chosen=getattr(said, name) if kind == "many" else (),
        )
        for name, kind in FIELDS[step].items()
    )


def shown(value: str | float | None) -> str:
    """What was said, as text: a number without a point that says nothing."""
    return "" if value is None else f"{value:g}" if isinstance(value, float) else value


Options = tuple[tuple[str, str], ...]


def _options(name: str, step: ProblemStep, problem: Problem, visit: Visit) -> Options:
    words = visit.words
    causes = tuple((str(one.id), f"{one.id}. {one.text}") for one in problem.causes)
    actions = tuple(
        (str(one.id), f"{one.id}. {one.text}") for one in problem.actions if one.state is ActionState.OPEN
    )
    codes = tuple(
        (one.code, f"{one.code} {getattr(one, words.language)}")
        for one in causes_of(visit.plant).values()
        if not one.retired
    )
    named: Mapping[str, Options] = {
        "code": codes,
        "category": tuple((one, words(f"category.{one}")) for one in Category),
        "kind": tuple((one, words(f"action_kind.{one}")) for one in ActionKind),
        "why": tuple((one, words(f"cause_kind.{one}")) for one in CauseKind),
        "verified": (("true", words("field.yes")), ("false", words("field.no"))),
        "cause": causes,
        "parent": causes,
        "action": actions,
    }
    return named[name] if name in named else _people(step, problem, visit)


def _people(step: ProblemStep, problem: Problem, visit: Visit) -> Options:
    barred = owners(problem) if step is _STEP.PLAN_CHECK else frozenset()
    return tuple(
        (person.id, f"{person.name} · {person.role}")
        for person in visit.plant.people
        if person.id not in barred
    )
