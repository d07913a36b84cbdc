"""ADWIN on many channels at once: a window that drops its oldest part once that has another mean; as river's."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from andon.events import Float64, Int64


@dataclass(slots=True)
class Adwin:
    """Windows of all channels. Buckets are (levels, buckets, channels), oldest first; the rest is (channels,).

    A bucket of level k holds 2^k values; levels are added as windows grow.
    """

    total_in: Float64
    square_in: Float64
    held: Int64
    width: Float64
    total: Float64
    square: Float64
    ticks: Int64
    found: NDArray[np.bool_]


def adwin(channels: int, *, max_buckets: int = 5) -> Adwin:
    """Windows before their first value."""
    buckets, zero = np.zeros((1, max_buckets + 1, channels)), np.zeros(channels)
    held, ticks = np.zeros((1, channels), np.int64), np.zeros(channels, np.int64)
    none = np.zeros(channels, np.bool_)
    return Adwin(buckets, buckets.copy(), held, zero, zero.copy(), zero.copy(), ticks, none)


def step(
    windows: Adwin,
    value: Float64,
    *,
    delta: float = 0.002,
    clock: int = 32,
    min_window_length: int = 5,
    grace_period: int = 10,
) -> NDArray[np.bool_]:
    """Take a value of each channel, NaN where it has none, and say where the window was cut.

    A channel that was found begins anew with its next value, as `river.drift.ADWIN` does; sums are taken in its
    order, so widths, totals and variances equal it exactly. Only the logarithm in the bound may differ, in its last bit.
    Source: Bifet and Gavalda, SIAM International Conference on Data Mining 2007, 443-448 (ADWIN2).

    >>> windows = adwin(2)
    >>> said = [step(windows, np.array([0.5, i >= 100])) for i in range(200)]
    >>> [int(np.argmax(one)) for one in np.transpose(said)], np.any(said, axis=0)
    ([0, 127], array([False,  True]))
    """
    here = np.isfinite(value)
    if windows.found.any():
        _begin_anew(windows, windows.found & here)
    _insert(windows, value, here)
    windows.ticks += here
    look = here & (windows.ticks % clock == 0) & (windows.width > grace_period)
    if not look.any():
        return np.zeros(here.size, np.bool_)
    found = np.zeros(here.size, np.bool_)
    while look.any():
        look = _cut(windows, look, delta, min_window_length)
        found |= look
        _drop_oldest(windows, look)
    windows.found = np.where(here, found, windows.found)
    return found


def _begin_anew(windows: Adwin, anew: NDArray[np.bool_]) -> None:
    for sums in (windows.total_in, windows.square_in, windows.width, windows.total, windows.square):
        sums[..., anew] = 0
    for counts in (windows.held, windows.ticks):
        counts[..., anew] = 0
    windows.found[anew] = False


def _insert(windows: Adwin, value: Float64, here: NDArray[np.bool_]) -> None:
    who = np.flatnonzero(here)
    x, before = value[who], windows.width[who]
    windows.total_in[0, windows.held[0, who], who] = x
    windows.square_in[0, windows.held[0, who], who] = 0.0
    windows.held[0, who] += 1
    off = x - np.divide(windows.total[who], before, out=x.copy(), where=before > 0)
    windows.width[who] += 1
    windows.square[who] += before * off * off / windows.width[who]
    windows.total[who] += x
    _merge(windows, who)


def _merge(windows: Adwin, who: Int64) -> None:
    """Where a level is over-full, its two oldest buckets become one of the next level."""
    total, square, held = windows.total_in, windows.square_in, windows.held
    most = total.shape[1]
    level = 0
    while (who := who[held[level, who] == most]).size:
        if level + 1 == held.shape[0]:
            total, square, held = _higher(windows)
        size = float(1 << level)
        one, two = total[level, 0, who], total[level, 1, who]
        apart = one / size - two / size
        at = held[level + 1, who]
        total[level + 1, at, who] = one + two
        square[level + 1, at, who] = (
            square[level, 0, who] + square[level, 1, who] + size * 0.5 * apart * apart
        )
        held[level + 1, who] += 1
        _shift(windows, level, who, 2)
        level += 1


def _higher(windows: Adwin) -> tuple[Float64, Float64, Int64]:
    windows.total_in = np.concatenate([windows.total_in, np.zeros_like(windows.total_in[:1])])
    windows.square_in = np.concatenate([windows.square_in, np.zeros_like(windows.square_in[:1])])
    windows.held = np.concatenate([windows.held, np.zeros_like(windows.held[:1])])
    return windows.total_in, windows.square_in, windows.held


def _shift(windows: Adwin, level: int, who: Int64, by: int) -> None:
    for array in (windows.total_in, windows.square_in):
        array[level, :-by, who] = array[level, by:, who]
        array[level, -by:, who] = 0.0
    windows.held[level, who] -= by


def _cut(windows: Adwin, look: NDArray[np.bool_], delta: float, least: int) -> NDArray[np.bool_]:
    """Where any cut leaves two parts whose means differ by more than chance allows."""
    who = np.flatnonzero(look)
    levels, most = windows.total_in.shape[:2]
    order = np.arange(levels)[::-1]
    there = np.arange(most)[None, :, None] < windows.held[order][:, None, who]
    sizes = np.where(there, (2.0**order)[:, None, None], 0.0).reshape(-1, who.size)
    totals = np.where(there, windows.total_in[order][:, :, who], 0.0).reshape(-1, who.size)
    width = windows.width[who]
    n0, u0 = np.cumsum(sizes, axis=0), np.cumsum(totals, axis=0)
    n1 = width - n0
    u1 = np.cumsum(np.concatenate([windows.total[None, who], -totals]), axis=0)[1:]
    may = (sizes > 0) & (n0 >= least) & (n1 >= max(least, 1))
    with np.errstate(divide="ignore", invalid="ignore"):
        apart = np.abs(u0 / n0 - u1 / n1)
        sure = np.log(2 * np.log(width) / delta)
        parts = 1 / (n0 - least + 1) + 1 / (n1 - least + 1)
        chance = np.sqrt(2 * parts * (windows.square[who] / width) * sure) + 2 / 3 * sure * parts
        cut = (may & (apart > chance)).any(axis=0)
    said = np.zeros(look.size, np.bool_)
    said[who[cut]] = True
    return said


def _drop_oldest(windows: Adwin, where: NDArray[np.bool_]) -> None:
    who = np.flatnonzero(where)
    top = windows.held.shape[0] - 1 - np.argmax(windows.held[::-1, who] > 0, axis=0)
    for level in np.unique(top).tolist():
        those, size = who[top == level], float(1 << level)
        total, square = windows.total_in[level, 0, those], windows.square_in[level, 0, those]
        windows.width[those] -= size
        windows.total[those] -= total
        width = windows.width[those]
        apart = total / size - windows.total[those] / width
        windows.square[those] -= square + size * width * apart * apart / (size + width)
        _shift(windows, level, those, 1)
