"""What is usual for a scalar at each hour of the day or week: learned once, tried on itself, and frozen.

The learning period judges itself: each half is foreseen from the other, with no shape, a daily or a weekly one. The
plainest that foresees about as well as the best is kept, and what it failed to foresee is the unit of all that comes
after (a spread taken around a fitted shape would be too small, and blind to how far a healthy channel wanders).
"""

import math
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Float32, Float64, Json
from detectors.baseline import shape
from detectors.scalar_bins import Span
from detectors.scalar_channels import ChannelParameters

DAY_S, WEEK_S = 86_400, 604_800
LEAST_STEPS = 2.5  # of its resolution that a value has to be off to count
_AS_GOOD = 1.1  # of the smallest mean error: a plainer shape is taken
_FEWEST = 12  # spans with readings, or there is nothing to learn from
_MOST_STILL = 0.8  # of the spans: beyond it a channel is a setting, not a measurement
_SELDOM_STILL = (
    0.1  # of the spans: below it one that stands still is a stuck sensor's, not this one's to judge
)
_ALIKE = 4.0  # times what a weekly shape misses: two days of one shape differ by no more
_TO_SIGMA = 1.4826


class UsualParameters(ChannelParameters):
    """How the baseline is learned."""

    span_s: float = Field(
        default=3600.0, ge=1, le=86_400, description="Seconds whose mean is one value of the channel."
    )
    learn_s: float = Field(
        default=14 * 86_400.0,
        ge=60,
        le=60 * 86_400,
        description="Seconds that the frozen baseline is learned from; two weeks hold the shape of a week.",
    )
    filled: float = Field(
        default=0.2,
        gt=0,
        le=1,
        description="Share of these spans that must hold readings; else the learning period moves on.",
    )

    def least(self, level: float, finest: float) -> float:  # noqa: ARG002 - kinds have their own
        """The smallest change that counts at this level, of values that are resolved to `finest`."""
        return 0.0

    @property
    def span_ns(self) -> int:
        """Length of a span."""
        return round(self.span_s * 1e9)

    @property
    def spans(self) -> int:
        """Spans in the learning period: at most 1,000, so that the state stays small."""
        return max(_FEWEST, min(1000, int(self.learn_s / self.span_s)))


@dataclass(slots=True)
class Usual:
    """The baseline of one channel. `learned` holds the values of the spans from `first` on until it is frozen.

    `shape` is what is usual by the number of the span modulo its length; `unit` how far a healthy value strays.
    """

    version: int = 1
    since_ns: int = 0
    first: int = -1
    last: int = -1
    seen: int = 0
    still: int = 0
    finest: float = 0.0
    learned: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    shape: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    level: float = 0.0
    unit: float = 0.0

    @property
    def frozen(self) -> bool:
        """Whether the baseline stands."""
        return self.shape.size > 0


def learn(usual: Usual, span: Span, value: float, p: UsualParameters) -> Float64:
    """Take a span of the learning period; when it is over, freeze and give what was not foreseen in it, in units.

    (n,) with NaN where nothing was read; empty while learning goes on.
    """
    if usual.first < 0 or span.number - usual.first >= 2 * p.spans:
        usual.first, usual.seen, usual.still = span.number, 0, 0
        usual.learned = np.full(p.spans, np.nan, np.float32)
    if span.number - usual.first >= p.spans:
        known, half = np.isfinite(usual.learned), p.spans // 2
        least = max(_FEWEST, p.filled * p.spans) / 2
        if known[:half].sum() >= least and known[half:].sum() >= least:
            return _freeze(usual, p)
        _move_on(usual, span.number - p.spans + 1)
    usual.learned[span.number - usual.first] = value
    usual.last = span.number
    usual.seen += 1
    usual.still += not span.moved
    if math.isfinite(span.finest):
        usual.finest = min(usual.finest or span.finest, span.finest)
    return np.zeros(0)


def anew(usual: Usual, at_ns: int) -> Usual:
    """The next baseline, of what comes after a declaration."""
    return Usual(version=usual.version + 1, since_ns=at_ns)


def foreseen(usual: Usual, number: int) -> float:
    """What is usual in this span; NaN where the baseline never saw its like."""
    return float(usual.shape[number % usual.shape.size])


def described(usual: Usual, p: UsualParameters) -> dict[str, Json]:
    """The baseline as evidence."""
    first_ns, shape_s = usual.first * p.span_ns, usual.shape.size * p.span_s
    shown = "week" if shape_s >= WEEK_S else "day" if usual.shape.size > 1 else "none"
    to_ns = (usual.last + 1) * p.span_ns
    return shape(usual.version, max(first_ns, usual.since_ns), to_ns, usual.seen) | {"shape": shown}


def assessable(usual: Usual, span: Span) -> bool:
    """Whether a span of the frozen baseline's time may be judged: not one that stands still where none does.

    A channel that mostly stands still is a setting: what it does is decided, not measured.
    """
    still = usual.still / max(1, usual.seen)
    return still <= _MOST_STILL and (span.moved or still > _SELDOM_STILL)


def _move_on(usual: Usual, first: int) -> None:
    kept = usual.learned[first - usual.first :]
    usual.learned = np.full(usual.learned.size, np.nan, np.float32)
    usual.learned[: kept.size] = kept
    usual.first = first
    usual.seen = _known(kept.astype(np.float64))
    usual.still = min(usual.still, usual.seen)


def _freeze(usual: Usual, p: UsualParameters) -> Float64:
    values = usual.learned.astype(np.float64)
    periods = [1, *(n for s in (DAY_S, WEEK_S) if 2 * (n := round(s / p.span_s)) <= values.size and n > 1)]
    missed = [_missed(values, usual.first, period) for period in periods]
    mean = [float(np.nanmean(np.abs(one))) if _known(one) >= usual.seen / 2 else np.inf for one in missed]
    if len(mean) == 3 and not _like_the_day_before(values, periods[1], missed[2]):
        mean[2] = np.inf
    chosen = next(i for i, error in enumerate(mean) if error <= _AS_GOOD * min(mean))
    usual.shape = _shape(values, usual.first, periods[chosen]).astype(np.float32)
    usual.level = float(np.nanmedian(values))
    errors = missed[chosen]
    robust = _TO_SIGMA * float(np.nanmedian(np.abs(errors)))
    usual.unit = max(robust, 0.5 * mean[chosen], 0.2 * p.least(usual.level, usual.finest), 1e-9)
    usual.learned = np.zeros(0, np.float32)
    return errors / usual.unit


def _like_the_day_before(values: Float64, day: int, missed: Float64) -> bool:
    """Whether most hours of a weekly shape are as on the day before; else some other rhythm only seems weekly."""
    apart = float(np.nanmedian(np.abs(values[day:] - values[:-day])))
    return apart <= _ALIKE * float(np.nanmedian(np.abs(missed)))


def _missed(values: Float64, first: int, period: int) -> Float64:
    """Each half less what is foreseen from the other."""
    half = values.size // 2
    begun, ended = values[:half], values[half:]
    late = _shape(ended, first + half, period)[(first + np.arange(half)) % period]
    early = _shape(begun, first, period)[(first + half + np.arange(ended.size)) % period]
    missed: Float64 = np.concatenate([begun - late, ended - early])
    return missed


def _known(values: Float64) -> int:
    return int(np.isfinite(values).sum())


def _shape(values: Float64, first: int, period: int) -> Float64:
    """The median of each phase; (period,), NaN where a phase was not seen."""
    phases = np.full((-(-values.size // period) + 1) * period, np.nan)
    start = first % period
    phases[start : start + values.size] = values
    rows = np.sort(phases.reshape(-1, period), axis=0)  # NaN last
    known = np.isfinite(rows).sum(axis=0)
    low, high = np.maximum(known - 1, 0) // 2, known // 2
    at = np.arange(period)
    middle: Float64 = (rows[low, at] + rows[np.minimum(high, rows.shape[0] - 1), at]) / 2
    return np.where(known > 0, middle, np.nan)
