"""A channel made fit to draw: fewer rows, and of each stretch the lowest and the highest good value remain."""

from dataclasses import dataclass

import numpy as np

from andon.events import Float64, Int32, Int64, Quality, UInt32

Columns = tuple[Int64, Float64, UInt32]
"""(at_ns, value, quality), each (n,)."""


@dataclass(frozen=True, slots=True, eq=False)
class Stretches:
    """What is left of each stretch of time that holds rows, each (n,).

    `low` and `high` are row numbers: of the lowest and the highest good value, the earliest of equals; both are
    the first row where no value is good. `total` is the sum of the good values, `good` how many they are,
    `rows` how many rows there are in all.
    """

    from_ns: Int64
    low: Int64
    high: Int64
    total: Float64
    good: Int64
    rows: Int64


def thin(columns: Columns, points: int) -> Columns:
    """At most `points` rows that draw the same line: the ends, and of each stretch the lowest and highest good value.

    Rows of bad quality or without a number are left out unless their whole stretch is so. Fewer than 4 points
    are taken as 4.
    """
    at_ns, value, quality = columns
    if len(at_ns) <= points:
        return columns
    stretches = max((points - 2) // 2, 1)
    width = -(-len(at_ns) // stretches)
    filled = np.full(stretches * width, np.nan)
    filled[: len(value)] = np.where(good(value, quality), value, np.nan)
    grid = filled.reshape(stretches, width)
    starts = np.arange(stretches) * width
    low = starts + np.where(np.isnan(grid), np.inf, grid).argmin(axis=1)
    high = starts + np.where(np.isnan(grid), -np.inf, grid).argmax(axis=1)
    rows = np.unique(np.concatenate(([0], low, high, [len(at_ns) - 1])))
    rows = rows[rows < len(at_ns)]
    return at_ns[rows], value[rows], quality[rows]


def extremes(columns: Columns, width_ns: int) -> Columns:
    """The rows that `stretches` of `width_ns` keep. `columns` stand in time order.

    It may be done in parts: the extremes of what two parts keep are those of both together.
    """
    kept = stretches(columns, width_ns)
    at_ns = columns[0]
    falls = (
        at_ns[kept.high] < at_ns[kept.low]
    )  # of one moment, the lower comes first: files do not say who was
    rows = np.stack(
        (np.where(falls, kept.high, kept.low), np.where(falls, kept.low, kept.high)), axis=1
    ).ravel()
    rows = rows[np.append(True, rows[1:] != rows[:-1])] if len(rows) else rows
    return at_ns[rows], columns[1][rows], columns[2][rows]


def stretches(columns: Columns, width_ns: int, channel: Int32 | None = None) -> Stretches:
    """What each stretch of `width_ns`, counted from the epoch, holds; of each channel on its own.

    `columns` stand in the order of `channel` (n,), if that is given, then of time.
    """
    at_ns, value, quality = columns
    if not len(at_ns):
        none = np.zeros(0, np.int64)
        return Stretches(none, none, none, np.zeros(0), none, none)
    of = at_ns // width_ns
    new = np.ones(len(of), np.bool_)
    new[1:] = of[1:] != of[:-1]
    if channel is not None:
        new[1:] |= channel[1:] != channel[:-1]
    first = np.flatnonzero(new)
    group = np.cumsum(new) - 1
    usable = good(value, quality)
    return Stretches(
        of[first] * width_ns,
        _lowest(np.where(usable, value, np.inf), first, group),
        _lowest(np.where(usable, -value, np.inf), first, group),
        np.add.reduceat(np.where(usable, value, 0.0), first),
        np.add.reduceat(usable.astype(np.int64), first),
        np.diff(first, append=len(of)),
    )


def good(value: Float64, quality: UInt32) -> "np.ndarray[tuple[int], np.dtype[np.bool_]]":
    """Which values may be drawn: a number, and not of bad quality."""
    usable: np.ndarray[tuple[int], np.dtype[np.bool_]] = (quality < Quality.BAD) & np.isfinite(value)
    return usable


def in_order(columns: Columns) -> Columns:
    """The rows in time order; those of one moment in the order in which they stand."""
    order = np.argsort(columns[0], kind="stable")
    return columns[0][order], columns[1][order], columns[2][order]


def joined(parts: list[Columns]) -> Columns:
    """The rows of all parts, one after the other."""
    return (
        np.concatenate([part[0] for part in parts]),
        np.concatenate([part[1] for part in parts]),
        np.concatenate([part[2] for part in parts]),
    )


def within(columns: Columns, from_ns: int, to_ns: int) -> Columns:
    """The rows from `from_ns` up to and including `to_ns`."""
    rows = np.flatnonzero((columns[0] >= from_ns) & (columns[0] <= to_ns))
    return columns[0][rows], columns[1][rows], columns[2][rows]


def _lowest(key: Float64, first: Int64, group: Int64) -> Int64:
    """The number of the first row of each group with the group's lowest key."""
    found = np.flatnonzero(key == np.minimum.reduceat(key, first)[group])
    of = group[found]
    fresh = np.ones(len(of), np.bool_)
    fresh[1:] = of[1:] != of[:-1]
    return found[fresh]
