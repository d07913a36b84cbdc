"""When a rising trend will reach its limit, with an interval; or that this cannot be said, and why.

A trend is taken for a Wiener process with drift. After a time h it has risen by mu h, give or take
z sigma sqrt(h + h^2 / T): the chance of the way itself, and a drift known only from the time T it was watched.
Where that meets the distance to the limit is a quadratic in h, whose two roots are the interval. It is asked of
the value (steady wear) and of its logarithm (wear that feeds itself), and the interval covers both.
Measured on five bearings run to failure (FEMTO-ST), asked 250 times for eight times the healthy level: 216 times
it did not know; of the 34 others 24 intervals held the time when that level was reached, and 18 the end of life.
Source: ISO 13381-1:2015 (estimated time to failure and its confidence); first passage of a Wiener process
(Chhikara and Folks 1989); the interval of a ratio (Fieller 1954).
"""

import math
from collections.abc import Mapping

import numpy as np

from andon.events import Float64, Int64, Json, Number
from detectors.evidence import significant

PARTS = 12  # equal spans whose means are the steps of the process
_T_90 = {11: 1.363, 7: 1.415}  # Student's t, 90 %, by steps: four intervals in five hold the truth
_FARTHEST = 3.0  # times as long as the rise was watched: beyond, a forecast is a guess
_LEAST_POINTS = 2 * PARTS
CONFIDENCE = 0.8


def forecast(at_ns: Int64, value: Float64, limit: float) -> dict[str, Json]:
    """When `value` reaches `limit`, as evidence: `at_ns` of low, median and high, or "unknown" and the reason.

    Parameters
    ----------
    at_ns, value
        (n,) the trend since the condition began; times rise, values are above 0.
    limit
        In the unit of the values.

    >>> hours = np.arange(0, 48) * 3_600_000_000_000
    >>> said = forecast(hours, 1 + np.arange(48) / 48, 3.0)["at_ns"]
    >>> [round(said[name] / 3.6e12) for name in ("low", "median", "high")]  # 96 if steady, sooner if it feeds itself
    [72, 84, 96]
    >>> forecast(hours, np.ones(48), 4.0)
    {'limit': 4.0, 'confidence': 0.8, 'at_ns': 'unknown', 'reason': 'no clear rise'}
    """
    said: dict[str, Json] = {"limit": significant(limit), "confidence": CONFIDENCE}
    reason = _reason(at_ns, value, limit)
    if reason:
        return said | {"at_ns": "unknown", "reason": reason}
    parts = np.array_split(np.arange(at_ns.size), PARTS)
    middle_s = np.array([at_ns[part].mean() - at_ns[0] for part in parts]) / 1e9
    level = np.array([value[part].mean() for part in parts])
    ways = [_reached(middle_s, level, limit), _reached(middle_s, np.log(level), math.log(limit))]
    known = [way for way in ways if way is not None]
    if len(known) < len(ways):
        return said | {"at_ns": "unknown", "reason": "no clear rise"}
    if not (_held(middle_s, level) or _held(middle_s, np.log(level))):
        return said | {"at_ns": "unknown", "reason": "the rise is uneven: it was not foreseeable so far"}
    median_s = math.sqrt(known[0][1] * known[1][1])
    if median_s > _FARTHEST * (middle_s[-1] - middle_s[0]):
        return said | {"at_ns": "unknown", "reason": "too far ahead for what was seen so far"}
    after_s = (min(way[0] for way in known), median_s, max(way[2] for way in known))
    last_ns = int(at_ns[0]) + round(middle_s[-1] * 1e9)
    times = [max(int(at_ns[-1]), last_ns + round(s * 1e9)) for s in after_s]
    return said | {"at_ns": dict(zip(("low", "median", "high"), times, strict=True))}


def ahead(at_ns: Int64, value: Float64, usual: float, limit: float | None) -> dict[str, Json]:
    """`forecast` of a trend that may also fall: to a limit below what is usual it is turned over there.

    >>> hours = np.arange(0, 48) * 3_600_000_000_000
    >>> said = ahead(hours, 5 - np.arange(48) / 48, 5.0, 3.0)["at_ns"]
    >>> round(said["low"] / 3.6e12) <= 96 <= round(said["high"] / 3.6e12) + 1
    True
    >>> ahead(hours, np.ones(48), 1.0, None)["reason"]
    'no limit is known for this channel'
    """
    if limit is None:
        reason = "no limit is known for this channel"
        return {"limit": None, "confidence": CONFIDENCE, "at_ns": "unknown", "reason": reason}
    if limit >= usual:
        return forecast(at_ns, value, limit)
    return forecast(at_ns, 2 * usual - value, 2 * usual - limit) | {"limit": significant(limit)}


def reached(said: Mapping[str, Json], now_ns: int) -> tuple[Number, ...]:
    """A forecast that knows, as numbers: from when to when the limit is reached, in seconds from now."""
    if said["at_ns"] == "unknown":
        return ()
    low, high = ((said["at_ns"][name] - now_ns) / 1e9 for name in ("low", "high"))
    return Number("reached_low_s", significant(low), "s"), Number("reached_high_s", significant(high), "s")


def _reason(at_ns: Int64, value: Float64, limit: float) -> str:
    if at_ns.size < _LEAST_POINTS:
        return "too few values since it began"
    if not (np.isfinite(value).all() and (value > 0).all() and limit > 0):
        return "values that are not above 0"
    if not (np.diff(at_ns) > 0).all():
        return "times that do not rise"
    return "the limit has been reached" if float(value[-3:].mean()) >= limit else ""


def _held(at_s: Float64, level: Float64) -> bool:
    """Whether a forecast from the first two thirds would have met what followed."""
    early = 2 * PARTS // 3
    drift, wide = _drift(at_s[:early], level[:early])
    watched_s, ahead_s = float(at_s[early - 1] - at_s[0]), float(at_s[-1] - at_s[early - 1])
    off = float(level[-1] - level[early - 1]) - drift * ahead_s
    return off * off <= wide * (ahead_s + ahead_s**2 / watched_s)


def _reached(at_s: Float64, level: Float64, limit: float) -> tuple[float, float, float] | None:
    """Seconds from the last step until the limit: low, median, high; None if the drift is not surely upward."""
    rest = limit - float(level[-1])
    drift, wide = _drift(at_s, level)
    a, b = drift**2 - wide / float(at_s[-1] - at_s[0]), 2 * rest * drift + wide
    if rest <= 0 or drift <= 0 or a <= 1e-12 * drift**2:
        return None
    root = math.sqrt(max(0.0, b * b - 4 * a * rest * rest))
    return 2 * rest * rest / (b + root), rest / drift, (b + root) / (2 * a)


def _drift(at_s: Float64, level: Float64) -> tuple[float, float]:
    """Rise per second, and (t sigma)^2 per second: what chance adds to it."""
    spans = np.diff(at_s)
    drift = float(level[-1] - level[0]) / float(at_s[-1] - at_s[0])
    strays = np.diff(level) - drift * spans
    return drift, _T_90[spans.size] ** 2 * float((strays**2 / spans).sum()) / (spans.size - 1)
