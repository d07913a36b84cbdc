"""What a scalar looks like now beside all that it has been: levels, spreads, day and week, and what was foreseeable.

Every number is a recurrence over the readings so far, so that it costs the same however long a channel lives.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from andon.events import SECOND_NS, Float64, Int64
from detectors.nearest_course import COUNT as COURSES
from detectors.nearest_course import LENGTHS, Courses, strangeness

COUNT = 14 + COURSES + 6
"""How many numbers a reading has: level and spread, forecast, courses, day and week."""
SPANS = np.array([6, 24, 72] * 4 + [12, 24] + LENGTHS + [1, 6, 24] * 2, np.float64)
"""Readings that each is taken over."""

SETTLE = (
    100  # readings from which a channel's own zero and unit are taken, and before a spread means anything
)
_YOUNG = 50
_DAY_S, _WEEK_S = 86_400, 604_800
_DAY_BINS, _WEEK_BINS = 48, 84
_ORDER = 8
_FORGET = 0.9995  # of the least squares: two thousand readings
_SPANS = np.array([6, 24, 72, 6, 24, 6, 24, 12, 24])
_OF = np.array([0, 0, 0, 1, 1, 2, 2, 3, 3])  # which signal each span is of: value, day, week, forecast error
_LONGEST = 72
_FLOOR = 1e-3  # spreads below a thousandth of the channel's unit are resolution
_FAR = 1e3  # beyond so many units all values are alike
_NONE = (math.nan, math.nan, math.nan)


def _zeros(n: int) -> Float64:
    return np.zeros(n)


@dataclass(slots=True)
class Season:
    """What is usual at each phase of a day or week, and how often it was seen."""

    usual: Float64
    seen: Float64


@dataclass(slots=True)
class Shape:
    """What is remembered of one channel, most of it courses."""

    settling: int = 0
    count: int = 0
    first_ns: Int64 = field(default_factory=lambda: np.zeros(SETTLE, np.int64))
    first: Float64 = field(default_factory=lambda: _zeros(SETTLE))
    zero: float = 0.0
    unit: float = 0.0
    recent: Float64 = field(default_factory=lambda: np.zeros((_LONGEST, 4)))
    sums: Float64 = field(default_factory=lambda: np.zeros((2, _SPANS.size)))
    courses: Courses = field(default_factory=Courses)
    past_mean: Float64 = field(default_factory=lambda: _zeros(6))
    past_square: Float64 = field(default_factory=lambda: _zeros(6))
    day: Season = field(default_factory=lambda: Season(_zeros(_DAY_BINS), _zeros(_DAY_BINS)))
    week: Season = field(default_factory=lambda: Season(_zeros(_WEEK_BINS), _zeros(_WEEK_BINS)))
    lags: Float64 = field(default_factory=lambda: np.append(_zeros(_ORDER), 1.0))
    weights: Float64 = field(default_factory=lambda: _zeros(_ORDER + 1))
    inverse: Float64 = field(default_factory=lambda: 100 * np.eye(_ORDER + 1))


def look(shape: Shape, at_ns: int, value: float) -> list[Float64]:
    """Take the next value; gives its `COUNT` numbers, each larger the stranger, in no unit; NaN where there is none yet.

    The first `SETTLE` values give the channel its zero and its unit: theirs come all at once, with the last
    of them, without those of the first `_YOUNG`, which have no past to be beside.
    """
    if shape.settling < SETTLE:
        shape.first_ns[shape.settling], shape.first[shape.settling] = at_ns, value
        shape.settling += 1
        if shape.settling < SETTLE:
            return []
        _anchor(shape)
        return [
            _numbers(shape, *one) for one in zip(shape.first_ns.tolist(), shape.first.tolist(), strict=True)
        ]
    return [_numbers(shape, at_ns, value)]


def _numbers(shape: Shape, at_ns: int, value: float) -> Float64:
    shape.count += 1
    at_s = at_ns // SECOND_NS
    age_s = at_s - int(shape.first_ns[0]) // SECOND_NS
    y = min(max((value - shape.zero) / shape.unit, -_FAR), _FAR)
    day = _season(shape.day, at_s % _DAY_S * _DAY_BINS // _DAY_S, y)
    week = _season(shape.week, at_s % _WEEK_S * _WEEK_BINS // _WEEK_S, y)
    error = _foresee(shape, y)
    mean, variance = _roll(shape, np.array([y, day, week, error]))
    m = np.abs(mean[3:]).tolist()
    forecast = m[4], math.sqrt(variance[8])
    daily = abs(day), m[0], m[1]
    weekly = abs(week), m[2], m[3]
    return np.concatenate(
        [
            _beside_past(shape, mean, variance),
            forecast,
            strangeness(shape.courses, y),
            daily if age_s >= _DAY_S else _NONE,
            weekly if age_s >= 3 * _WEEK_S else _NONE,
        ]
    )


def _anchor(shape: Shape) -> None:
    """The channel's own zero and unit: median and mean deviation; a hundredth of the value where it stands still."""
    shape.zero = float(np.median(shape.first))
    spread = float(np.abs(shape.first - shape.zero).mean())
    shape.unit = max(spread, 0.01 * abs(shape.zero), 1e-9)


def _season(season: Season, phase: int, y: float) -> float:
    """How far a value lies from what is usual at this phase, before it is learned."""
    seen = float(season.seen[phase])
    distance = y - float(season.usual[phase]) if seen else 0.0
    season.seen[phase] = seen + 1
    season.usual[phase] += max(0.1, 1 / (seen + 1)) * (y - season.usual[phase])
    return distance


def _foresee(shape: Shape, y: float) -> float:
    """The error of the linear forecast from the last eight values, which then learns from it.

    Source: recursive least squares with forgetting; Ljung, System Identification, 2nd ed., 11.2.
    """
    lags, inverse = shape.lags, shape.inverse
    error = float(y - shape.weights @ lags)
    gain = inverse @ lags
    scale = _FORGET + float(lags @ gain)
    shape.weights += gain * (error / scale)
    inverse -= np.outer(gain, gain / scale)
    inverse /= _FORGET
    if (size := float(inverse.trace())) > 1e6:
        inverse *= 1e6 / size
    lags[:-2] = lags[1:-1]
    lags[-2] = y
    return min(max(error, -_FAR), _FAR)


def _roll(shape: Shape, signals: Float64) -> tuple[Float64, Float64]:
    """Mean and variance of each signal over its spans, up to now."""
    at = shape.count - 1
    leaves = shape.recent[(at - _SPANS) % _LONGEST, _OF]
    comes = signals[_OF]
    shape.sums[0] += comes - leaves
    shape.sums[1] += comes * comes - leaves * leaves
    shape.recent[at % _LONGEST] = signals
    mean, square = shape.sums / np.minimum(at + 1, _SPANS)
    return mean, np.maximum(square - mean * mean, 0)


def _beside_past(shape: Shape, mean: Float64, variance: Float64) -> Float64:
    """Level and spread over three spans, in standard deviations above and below all they have been (Welford)."""
    now = np.concatenate([mean[:3], np.log(np.sqrt(variance[:3]) + _FLOOR)])
    n = shape.count
    step = now - shape.past_mean
    deviation = step / (np.sqrt(shape.past_square / max(1, n - 1)) + _FLOOR)
    shape.past_mean += step / n
    shape.past_square += step * (now - shape.past_mean)
    if n <= _YOUNG:
        deviation[:] = np.nan
    return np.concatenate([np.maximum(deviation, 0), np.maximum(-deviation, 0)])
