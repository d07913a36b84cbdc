"""Readings at any rate, even or not, become one row per span of time: level, moves, and whether anything moved."""

import math
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from andon.events import Float64, Int64

_FAR = 3.0  # times the usual root that one move counts for at most
_SLOW = 0.002  # weight of a move in what is usual
_SAME = 1e-9  # relative: below it two values are one, whatever arithmetic they went through
_LONGEST = 1.5  # spans between two readings over which a move still is one


class Span(NamedTuple):
    """What was read in one span of time, by its number since 1970.

    `level` is the mean; `moves` how often a reading was another than the one before; `move` the typical move, the
    square of the mean root of all, where no jump counts for more than nine usual ones (0 if it was not asked for);
    `finest` the least, infinite without any; `silent` the longest silence, as a share of the span.
    """

    number: int
    level: float
    moves: int
    move: float
    finest: float
    moved: bool
    silent: float


@dataclass(slots=True)
class Bins:
    """The span that is being filled, and the latest reading."""

    number: int = -1
    readings: int = 0
    total: float = 0.0
    moves: int = 0
    real: int = 0
    moved: float = 0.0
    finest: float = 0.0
    usual: float = 0.0
    last: float = 0.0
    last_ns: int = -1
    silent_ns: int = 0


def take(bins: Bins, at_ns: int, value: float, span_ns: int, *, typical: bool = False) -> Span | None:
    """Take the next reading; gives the span before it, once that is over. `typical`: with its typical move.

    >>> bins = Bins()
    >>> [take(bins, at, x, 10, typical=True) for at, x in [(1, 2.0), (4, 5.0), (7, 2.0), (12, 2.0), (25, 2.0)]][3:]
    [Span(number=0, level=3.0, moves=2, move=3.0, finest=3.0, moved=True, silent=0.3), Span(number=1, level=2.0, moves=0, move=0.0, finest=inf, moved=False, silent=0.8)]
    """
    number, over = at_ns // span_ns, None
    if number != bins.number and bins.readings:
        move = (bins.moved / max(1, bins.moves)) ** 2
        moved = bins.real > 0 or not bins.moves
        finest = bins.finest or math.inf
        silent = max(bins.silent_ns, (bins.number + 1) * span_ns - bins.last_ns) / span_ns
        over = Span(bins.number, bins.total / bins.readings, bins.real, move, finest, moved, silent)
    if number != bins.number:
        bins.number, bins.readings, bins.total = number, 0, 0.0
        bins.moves, bins.real, bins.moved, bins.finest, bins.silent_ns = 0, 0, 0.0, 0.0, 0
    if bins.last_ns >= 0 and at_ns - bins.last_ns <= _LONGEST * span_ns:
        move = abs(value - bins.last)
        bins.moves += 1
        if move > _SAME * abs(value):
            bins.real += 1
            if typical:
                _add_roots(bins, [math.sqrt(move)])
            bins.finest = min(bins.finest or move, move)
    bins.readings += 1
    bins.total += value
    bins.silent_ns = max(bins.silent_ns, at_ns - max(bins.last_ns, number * span_ns))
    bins.last, bins.last_ns = value, at_ns
    return over


def fill(bins: Bins, at_ns: Int64, value: Float64, span_ns: int, *, typical: bool = False) -> int:
    """Take the first readings at once, those that lie in the span that is being filled; gives how many."""
    if not bins.readings or int(at_ns[0]) // span_ns != bins.number:
        return 0
    many = int(np.searchsorted(at_ns, (bins.number + 1) * span_ns))
    value = value[:many]
    move = np.abs(np.diff(value, prepend=bins.last))
    move = move[move > _SAME * np.abs(value)]
    bins.moves += many
    if move.size:
        bins.real += move.size
        bins.finest = min(bins.finest or math.inf, float(move.min()))
        if typical:
            _add_roots(bins, np.sqrt(move).tolist())
    bins.readings += many
    bins.total = float(np.add.accumulate(np.concatenate(([bins.total], value)))[-1])  # in the order they came
    longest_ns = int(np.diff(at_ns[:many], prepend=bins.last_ns).max())
    bins.silent_ns = max(bins.silent_ns, longest_ns)
    bins.last, bins.last_ns = float(value[-1]), int(at_ns[many - 1])
    return many


def _add_roots(bins: Bins, roots: list[float]) -> None:
    """The roots of moves, each bounded by what is usual so far."""
    usual, moved = bins.usual, bins.moved
    for each in roots:
        root = min(each, _FAR * usual) if usual else each
        usual += (root - usual) * (_SLOW if usual else 1.0)
        moved += root
    bins.usual, bins.moved = usual, moved
