"""How improbable a number is beside its own past: -log10 of the share of the past that was as large."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from andon.events import Float64
from detectors.thinned import Thinned

LEARN = 150
"""Readings from which the first quantiles and tails are taken; from then on a number is judged."""

MOST = 30.0  # decades: beyond it all is equally impossible
_HIGH = 0.9  # quantile from which a tail is fitted
_LEVELS = np.linspace(0, _HIGH, 46)[1:]
_FIT_EACH, _FIT_SHARE = 10, 40  # fitted again after as many, or this part of all so far
_FEWEST = 20
_MOST_SHAPE = 0.6
_FLAT = 0.1  # mean excess where the past has none, in units of the number
_SPANS_HALF = 2.0  # spans seen from which half of what was said counts
_LN10 = float(np.log(10.0))
_DECADES = np.append(0.0, -np.log10(1 - _LEVELS))


@dataclass(slots=True)
class Past:
    """The past of all numbers, NaN where one did not exist: 100 KB; and the quantiles and tails taken from it."""

    kept: Thinned = field(default_factory=Thinned)
    fit_at: int = LEARN
    seen: Float64 = field(default_factory=lambda: np.zeros(0))
    levels: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    tail: Float64 = field(default_factory=lambda: np.zeros((0, 0)))


def decades(past: Past, now: Float64, spans: Float64) -> Float64:
    """Decades of improbability of each number, NaN before reading `LEARN` and where there is none; then they are learned.

    `spans` are the readings that each number is taken over: numbers nearer to each other say much the same, so
    that a past of a few spans proves little, and its decades count for less.

    Up to the 0.9 quantile by steps between quantiles, beyond it the tail of a generalised Pareto
    distribution fitted by moments, its shape kept within 0 .. 0.6.
    Source: Hosking and Wallis, Technometrics 29 (1987) 339-349.
    """
    count = past.kept.count
    if count >= past.fit_at:
        _fit(past)
        past.fit_at = count + max(_FIT_EACH, count // _FIT_SHARE)
    said = _judge(past, now) if past.tail.size else np.full(now.size, np.nan)
    if past.seen.size == 0:
        past.seen = np.zeros(now.size)
    past.seen += np.isfinite(now)
    past.kept.add(now.astype(np.float32))
    return said * (past.seen / (past.seen + _SPANS_HALF * spans))


def _fit(past: Past) -> None:
    """Quantiles, and shape and scale of the tail by its moments, of every number that was seen often enough."""
    rows = np.sort(past.kept.rows[: past.kept.held], axis=0)
    seen = np.count_nonzero(np.isfinite(rows), axis=0)
    past.levels = np.full((_LEVELS.size, seen.size), np.nan)
    past.tail = np.full((2, seen.size), np.nan)
    for many in set(seen[seen >= _FEWEST].tolist()):
        of = seen == many
        _fit_alike(past, of, rows[:many, of].astype(np.float64))


def _fit_alike(past: Past, of: NDArray[np.bool_], rows: Float64) -> None:
    places = (_LEVELS * len(rows)).astype(np.int64)
    past.levels[:, of] = rows[places]
    beyond = rows[places[-1] :] - rows[places[-1]]
    mean, variance = beyond.mean(axis=0), beyond.var(axis=0)
    flat = mean <= 1e-12
    mean = np.where(flat, np.maximum(_FLAT, 1e-3 * np.abs(rows[places[-1]])), mean)
    variance = np.where(flat, mean * mean, np.maximum(variance, 1e-30))
    shape = np.clip(0.5 * (1 - mean * mean / variance), 1e-6, _MOST_SHAPE)
    past.tail[:, of] = np.stack([shape, mean * (1 - shape)])


def _judge(past: Past, now: Float64) -> Float64:
    shape, scale = past.tail
    body = _DECADES[np.count_nonzero(past.levels < now, axis=0)]
    tail = np.log1p(shape * np.maximum(now - past.levels[-1], 0) / scale) / (shape * _LN10)
    said: Float64 = np.minimum(body + tail, MOST)
    return said
