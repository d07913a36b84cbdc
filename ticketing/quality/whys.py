"""Causes as they hang together: the tree of whys (Toyota's 5-why) and the six bones of a fishbone (Ishikawa)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ticketing.problem import Category, Problem, RootCause

FEWEST, MOST = 3, 7
"""Whys from what happened to a root: fewer are mostly a symptom still, more are another problem (rule 4.7)."""


@dataclass(frozen=True, slots=True)
class Why:
    """One cause with the causes of it. `depth` counts the whys that were asked, 1 for the first."""

    cause: RootCause
    depth: int
    because: tuple["Why", ...] = ()

    @property
    def shallow(self) -> bool:
        """Whether it is called a root after fewer whys than are usual."""
        return self.cause.root and self.depth < FEWEST


def tree(problem: Problem) -> tuple[Why, ...]:
    """The causes of the problem itself, each with its own below it."""
    return tuple(_why(problem.causes, one, 1) for one in problem.causes if one.parent is None)


def depth_of(causes: Sequence[RootCause], number: int | None) -> int:
    """How many whys lead to that cause; 0 for the problem itself.

    >>> first = RootCause(1, "the pump lost pressure", "3.4")
    >>> depth_of([first, RootCause(2, "the seal leaks", "3.4", parent=1)], 2)
    2
    """
    parents = {one.id: one.parent for one in causes}
    depth, at = 0, number
    while at in parents and depth <= len(parents):
        depth, at = depth + 1, parents[at]
    return depth


def fishbone(problem: Problem) -> Mapping[Category | None, tuple[Why, ...]]:
    """What hangs on each bone, all six in their order; under None what lies on none yet.

    A cause lies where it says, else where the cause lies that it is one of.
    """
    bones: dict[Category | None, list[Why]] = {category: [] for category in (*Category, None)}
    for one in tree(problem):
        _hang(one, None, bones)
    return {category: tuple(some) for category, some in bones.items()}


def _why(causes: Sequence[RootCause], cause: RootCause, depth: int) -> Why:
    return Why(cause, depth, tuple(_why(causes, one, depth + 1) for one in causes if one.parent == cause.id))


def _hang(why: Why, above: Category | None, bones: dict[Category | None, list[Why]]) -> None:
    """Hang it on its bone, and of what is below it what lies elsewhere on theirs."""
    here = why.cause.category or above
    bones[here].append(_on_bone(why, here))
    _hang_others(why, here, bones)


def _on_bone(why: Why, bone: Category | None) -> Why:
    same = (one for one in why.because if (one.cause.category or bone) is bone)
    return Why(why.cause, why.depth, tuple(_on_bone(one, bone) for one in same))


def _hang_others(why: Why, bone: Category | None, bones: dict[Category | None, list[Why]]) -> None:
    for one in why.because:
        if (one.cause.category or bone) is bone:
            _hang_others(one, bone, bones)
        else:
            _hang(one, bone, bones)
