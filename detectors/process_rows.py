"""Channels of one machine as rows: what was read at one time stands in one row, however it was sent.

A row is done once every channel has spoken at its time or later, or when it has waited long enough for those
that have not. Readings are taken one by one, so that it does not matter how blocks were cut (law 4).
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np

from andon.events import Float64

_GAPS = 16  # of one channel, whose median is the sampling period
_WAIT = 5  # periods that a row waits for a channel that has not spoken
_HOLD = 10  # periods, or three times its own gap: so long a channel's last value stands for it


@dataclass(slots=True)
class Rows:
    """What has been read and not yet given as a row. Times in ns; `period_ns` 0: not yet found."""

    period_ns: int = 0
    first: list[tuple[int, int, float]] = field(default_factory=list)
    last_ns: list[int] = field(default_factory=list)
    gap_ns: list[int] = field(default_factory=list)
    held: Float64 = field(default_factory=lambda: np.zeros(0))
    open_ns: list[int] = field(default_factory=list)
    open: list[list[float | None]] = field(default_factory=list)
    done_ns: int = -1


def taken(rows: Rows, channels: int, at_ns: int, channel: int, value: float) -> Iterator[tuple[int, Float64]]:
    """Take a reading; give the rows that are done with it: time and (channels,) values, NaN where unknown.

    The sampling period is found first: the median gap of the first channel that has spoken 17 times. A
    reading that is not newer than its channel's last, or older than the last row given, is left out.

    >>> rows = Rows(period_ns=10)
    >>> [row for at, x in ((0, 1.0), (10, 2.0)) for row in taken(rows, 2, at, 0, x)]
    []
    >>> [(at, x.tolist()) for at, x in taken(rows, 2, 12, 1, 5.0)]
    [(0, [1.0, nan]), (10, [2.0, 5.0])]
    """
    if not rows.last_ns:
        rows.last_ns, rows.gap_ns = [-1] * channels, [0] * channels
        rows.held = np.full(channels, np.nan)
    last = rows.last_ns[channel]
    if at_ns <= last:
        return
    rows.last_ns[channel] = at_ns
    rows.gap_ns[channel] = at_ns - last if last >= 0 else 0
    if rows.period_ns:
        _put(rows, channels, at_ns, channel, value)
    else:
        rows.first.append((at_ns, channel, value))
        if not _find_period(rows, channel):
            return
        for one in sorted(rows.first):
            _put(rows, channels, *one)
        rows.first = []
    yield from _done(rows)


def _find_period(rows: Rows, channel: int) -> bool:
    times = [at for at, spoke, _ in rows.first if spoke == channel]
    if len(times) > _GAPS:
        rows.period_ns = max(1, round(float(np.median(np.diff(times)))))
    return bool(rows.period_ns)


def _put(rows: Rows, channels: int, at_ns: int, channel: int, value: float) -> None:
    """Into its row; two readings of a channel in one row: the later one."""
    start = at_ns // rows.period_ns * rows.period_ns
    if start <= rows.done_ns:
        return
    i = len(rows.open_ns)
    while i and rows.open_ns[i - 1] > start:
        i -= 1
    if not i or rows.open_ns[i - 1] != start:
        rows.open_ns.insert(i, start)
        rows.open.insert(i, [None] * channels)
        i += 1
    rows.open[i - 1][channel] = value


def _done(rows: Rows) -> Iterator[tuple[int, Float64]]:
    while rows.open_ns:
        start = rows.open_ns[0]
        waited = max(rows.last_ns) >= start + _WAIT * rows.period_ns
        if not waited and min(rows.last_ns) < start:
            return
        spoken = rows.open.pop(0)
        rows.done_ns = rows.open_ns.pop(0)
        yield start, _filled(rows, start, spoken)


def _filled(rows: Rows, start: int, spoken: list[float | None]) -> Float64:
    """The row's values; a channel that did not speak in it keeps its last one for a while."""
    if None not in spoken:
        rows.held = np.array(spoken, np.float64)
        return rows.held.copy()
    values = np.full(len(spoken), np.nan)
    for i, value in enumerate(spoken):
        if value is not None:
            rows.held[i] = value
        elif rows.last_ns[i] < 0 or start - rows.last_ns[i] > max(_HOLD * rows.period_ns, 3 * rows.gap_ns[i]):
            continue
        values[i] = rows.held[i]
    return values
