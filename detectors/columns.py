"""A long block of readings by channel, sorted out once however many detectors look at it; most of it is as ever.

A detector takes what says nothing at once, and row by row only what may: with the same findings and the same state.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from andon.events import Finding, Float64, Int64, Readings

FEW = 16
"""Up to so many readings of a channel are taken as quickly one by one."""

_NOT_GOOD = 0x4000_0000  # OPC 10000-4, 7.39: the severity is in the two highest bits; 0 is good

Calm = Callable[[Int64, Float64], int]
Take = Callable[[int, float], Sequence[Finding]]


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The readings of one channel in a block: where they stand in it, and what they say.

    `good` says which are of good quality and finite; None: all are.
    """

    index: int
    row: Int64
    at_ns: Int64
    value: Float64
    good: NDArray[np.bool_] | None

    def picked(self, wanted: NDArray[np.bool_]) -> "Column":
        """Some of the readings."""
        if wanted.all():
            return self
        good = None if self.good is None else self.good[wanted]
        return Column(self.index, self.row[wanted], self.at_ns[wanted], self.value[wanted], good)

    def sound(self) -> "Column":
        """The good ones."""
        return self if self.good is None else self.picked(self.good)


def is_long(readings: Readings) -> bool:
    """Whether there is enough of each channel to be taken at once, and each is named once."""
    many = len(readings.channels)
    return len(readings.at_ns) > FEW * many and len(set(readings.channels)) == many


@lru_cache(maxsize=2)
def columns(readings: Readings) -> tuple[Column, ...]:
    """The channels of a block, in the order in which they first speak."""
    order = np.argsort(readings.channel, kind="stable")
    channel, at_ns, value = readings.channel[order], readings.at_ns[order], readings.value[order]
    good = (readings.quality[order] < _NOT_GOOD) & np.isfinite(value)
    ends = [*np.flatnonzero(np.diff(channel)) + 1, channel.size]
    found, first = [], 0
    for end in map(int, ends):
        part = slice(first, end)
        all_good = bool(good[part].all())
        mask = None if all_good else good[part]
        found.append(Column(int(channel[first]), order[part], at_ns[part], value[part], mask))
        first = end
    return tuple(sorted(found, key=lambda column: int(column.row[0])))


def speaking(readings: Readings) -> list[int]:
    """The channels of a block that have a reading in it, in the order in which they first speak."""
    if is_long(readings):
        return [column.index for column in columns(readings)]
    return list(dict.fromkeys(readings.channel.tolist()))


def in_turn(column: Column, calm: Calm, take: Take) -> list[tuple[int, Finding]]:
    """What is said of a column, with the row that says it.

    `calm` takes the first readings at once, as many of them as surely say nothing, and gives how many; `take` takes
    the next one. Where `calm` gets nowhere, it is not asked again for a while.
    """
    said: list[tuple[int, Finding]] = []
    at, size = 0, column.at_ns.size
    while at < size:
        taken = calm(column.at_ns[at:], column.value[at:]) if size - at > FEW else 0
        at += taken
        upto = min(size, at + (1 if taken > FEW else FEW))
        for row, at_ns, value in zip(
            column.row[at:upto].tolist(),
            column.at_ns[at:upto].tolist(),
            column.value[at:upto].tolist(),
            strict=True,
        ):
            said += [(row, finding) for finding in take(at_ns, value)]
        at = upto
    return said


def in_order(said: list[tuple[int, Finding]]) -> list[Finding]:
    """The findings of all columns, in the order of the rows that say them."""
    return [finding for _, finding in sorted(said, key=lambda one: one[0])]
