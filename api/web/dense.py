"""A stored channel as it is drawn: the readings themselves, or where they are too many, each stretch's ends and mean."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from andon.events import HOUR_NS, Float64, Int64, Quality
from ingest.series import SeriesStore
from ingest.series_tail import Kind

MOST = 360
"""Places on the axis."""
_RAW_NS = 36 * HOUR_NS
_MINUTES_NS = 20 * 24 * HOUR_NS
_RAW_ROWS = 60_000
_SILENT_STEPS = 6.0
"""After so many of its usual steps without a value a channel was silent: the line is broken there."""


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """`value` at `at_ns`, NaN where the line is broken; `low` and `high` are the band around it, None for single readings."""

    at_ns: Int64
    value: Float64
    low: Float64 | None = None
    high: Float64 | None = None


def drawn(series: SeriesStore, asset: str, channel: str, from_ns: int, to_ns: int) -> Drawn:
    """One channel from `from_ns` to `to_ns`: at most `MOST` readings as they are, else that many stretches.

    Out of readings up to a day and a half, out of what is kept of each minute or hour beyond.
    """
    if to_ns - from_ns > _RAW_NS:
        kind = Kind.MINUTE if to_ns - from_ns <= _MINUTES_NS else Kind.HOUR
        found = series.summary(asset, channel, from_ns, to_ns, kind)
        return _broken(_joined(found.from_ns, found.mean, found.low, found.high, found.count))
    at_ns, value, quality = series.read(asset, channel, from_ns, to_ns, _RAW_ROWS)
    good = (quality < Quality.BAD) & np.isfinite(value)
    if at_ns.size <= MOST:
        return _broken(Drawn(at_ns, np.where(good, value, np.nan)))
    at_ns, value = at_ns[good], value[good]
    return _broken(_joined(at_ns, value, value, value, np.ones(at_ns.size, np.int64)))


def _joined(at_ns: Int64, mean: Float64, low: Float64, high: Float64, count: NDArray[np.int64]) -> Drawn:
    """At most `MOST` stretches of equal length, each at its middle."""
    if at_ns.size == 0:
        return Drawn(at_ns, mean)
    width = max(1, -(-(int(at_ns[-1]) - int(at_ns[0]) + 1) // MOST))
    place = (at_ns - at_ns[0]) // width
    starts = np.flatnonzero(np.diff(place, prepend=-1))
    counts = np.add.reduceat(count, starts)
    middle = at_ns[0] + place[starts] * width + width // 2
    return Drawn(
        middle,
        np.add.reduceat(mean * count, starts) / counts,
        np.minimum.reduceat(low, starts),
        np.maximum.reduceat(high, starts),
    )


def _broken(line: Drawn) -> Drawn:
    """The same with a NaN in each silence, so that it is not drawn across."""
    steps = np.diff(line.at_ns)
    if steps.size < 3:
        return line
    silent = np.flatnonzero(steps > _SILENT_STEPS * np.median(steps)) + 1
    middle = (line.at_ns[silent - 1] + line.at_ns[silent]) // 2

    def broken(values: Float64 | None) -> Float64 | None:
        return None if values is None else np.insert(values, silent, np.nan)

    value = np.insert(line.value, silent, np.nan)
    return Drawn(np.insert(line.at_ns, silent, middle), value, broken(line.low), broken(line.high))
