"""The eight disciplines of a task and what each of them still lacks: D0 to D8, with why it happened and why it escaped.

Source: Ford Global 8D; VDA, "8D - Problem Solving in 8 Disciplines", 2018.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from ticketing.problem import ActionKind, ActionState, CauseKind, EightD, Problem


@dataclass(frozen=True, slots=True)
class Discipline:
    """One of the nine, by its code ("d0" to "d8"); `missing` names what it lacks, nothing if it is done."""

    code: str
    missing: tuple[str, ...] = ()

    @property
    def done(self) -> bool:
        """Whether nothing of it is missing."""
        return not self.missing


def disciplines(problem: Problem) -> tuple[Discipline, ...]:
    """D0 to D8 as they stand."""
    said = problem.eight_d or EightD()
    about = problem.statement
    lacks: dict[str, tuple[tuple[str, object], ...]] = {
        "d0": (("emergency", said.emergency),),
        "d1": (("leader", problem.leader), ("team", said.team)),
        "d2": (
            ("what", about.what),
            ("where", about.where),
            ("when", about.when),
            ("how_many", about.how_many),
        ),
        "d3": (("containment", _done(problem, ActionKind.CONTAINMENT)),),
        "d4": (
            ("occurrence", has_root(problem, CauseKind.OCCURRENCE)),
            ("escape", has_root(problem, CauseKind.ESCAPE)),
        ),
        "d5": (("corrective", _planned(problem)), ("chosen_because", said.chosen_because)),
        "d6": (
            ("corrective_done", _done(problem, ActionKind.CORRECTIVE)),
            ("effect", problem.check is not None and problem.check.passed),
        ),
        "d7": (("preventive", _done(problem, ActionKind.PREVENTIVE) or said.standards),),
        "d8": (("recognition", said.recognition),),
    }
    return tuple(
        Discipline(code, tuple(name for name, there in some if not there)) for code, some in lacks.items()
    )


def has_root(problem: Problem, kind: CauseKind) -> bool:
    """Whether a root cause of that kind was verified."""
    return any(one.root and one.verified and one.kind is kind for one in problem.causes)


def undone(problem: Problem) -> str | None:
    """The disciplines that are not done, as "d3,d7"; None if all are, or it is not worked as an 8D."""
    if problem.eight_d is None:
        return None
    return ",".join(one.code for one in disciplines(problem) if not one.done) or None


def _of(problem: Problem, kind: ActionKind) -> Iterator[ActionState]:
    return (one.state for one in problem.actions if one.kind is kind)


def _done(problem: Problem, kind: ActionKind) -> bool:
    return ActionState.DONE in _of(problem, kind)


def _planned(problem: Problem) -> bool:
    return any(state is not ActionState.DROPPED for state in _of(problem, ActionKind.CORRECTIVE))
