"""What changes all points of a machine at once is one ticket: which findings belong to an operating change.

A rise of a point is part of it if it began with it and went hardly farther than all of them. What names an element,
what has left its neighbours, and zone D belong to nothing but themselves.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from andon.events import HOUR_NS, MINUTE_NS, Number

OPERATING_CHANGE = "operating_change"
PARTS = frozenset({"band_energy_rise", "zone_c", "level_shift", "process_change", "unusual_course"})
"""Conditions that say how far something has moved, and not why."""

BEFORE_NS, AFTER_NS = 10 * MINUTE_NS, HOUR_NS
"""How long before or after the change was confirmed a part of it may have begun: ten-minute rows confirm in two hours."""
_FARTHER = 1.42
"""How many times as far as the common step one point may have gone: 0.35 in ln, as among like points."""


@dataclass(frozen=True, slots=True)
class Moved:
    """What a finding or a ticket's headline says of a movement: when it began, and the numbers by name."""

    condition: str
    began_ns: int
    numbers: Mapping[str, float]


def moved(condition: str, began_ns: int, numbers: Sequence[Number]) -> Moved:
    """The movement that a finding speaks of."""
    return Moved(condition, began_ns, {number.name: number.value for number in numbers})


def is_part(part: Moved, change: Moved) -> bool:
    """Whether a movement is part of an operating change.

    >>> change = Moved("operating_change", 0, {"step": 30.0})
    >>> alike, own = ({"ratio": 1.5}, {"ratio": 3.0})
    >>> [is_part(Moved("band_energy_rise", 0, numbers), change) for numbers in (alike, own)]
    [True, False]
    """
    if change.condition != OPERATING_CHANGE or part.condition not in PARTS:
        return False
    apart_ns = part.began_ns - change.began_ns
    if not -BEFORE_NS <= apart_ns <= AFTER_NS:
        return False
    common = 1 + change.numbers.get("step", 0.0) / 100
    return part.numbers.get("ratio", common) <= _FARTHER * max(common, 1.0)
