"""How improbable a number is beside its own past: -log10 of the share of the past that was as large."""

from dataclasses import dataclass, field

import numpy as np

from andon.events import Float64

LEARN = 100
"""Values from which the first quantiles and tails are taken; from then on a number is judged."""

MOST = 30.0  # decades: beyond it all is equally impossible
_SCALE_FLOOR = 0.02  # of a tail, in units of the number: less is resolution
_FIT_EACH = 16
_LN10 = float(np.log(10.0))
_HALF = float(-np.log10(0.5))


@dataclass(slots=True)
class Past:
    """The past of a group of numbers that began together: median, 0.9 quantile, and moments of what lay beyond."""

    count: int = 0
    first: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    middle: Float64 = field(default_factory=lambda: np.zeros(0))
    high: Float64 = field(default_factory=lambda: np.zeros(0))
    spread: Float64 = field(default_factory=lambda: np.zeros(0))
    beyond: Float64 = field(default_factory=lambda: np.zeros((3, 0)))
    tail: Float64 = field(default_factory=lambda: np.zeros((2, 0)))


def decades(past: Past, now: Float64) -> Float64:
    """Decades of improbability of each number, 0 while there are no more than `LEARN`; then they are learned.

    Up to the 0.9 quantile interpolated between quantiles, beyond it the tail of a generalised Pareto
    distribution fitted by moments, its shape kept within 0 .. 0.6.
    Source: Hosking and Wallis, Technometrics 29 (1987) 339-349.
    """
    past.count += 1
    if past.count <= LEARN:
        past.first = now[None, :] if past.count == 1 else np.vstack([past.first, now])
        if past.count == LEARN:
            _begin(past)
        return np.zeros(now.size)
    said = _judge(past, now)
    _learn(past, now)
    return said


def _begin(past: Past) -> None:
    rows = np.sort(past.first, axis=0)
    past.middle, past.high = rows[LEARN // 2].copy(), rows[int(0.9 * LEARN)].copy()
    past.spread = np.abs(rows - past.middle).mean(axis=0)
    tail = np.maximum(rows[int(0.9 * LEARN) + 1 :] - past.high, 0)
    number = np.full(past.high.size, float(len(tail)))
    past.beyond = np.stack([number, tail.sum(axis=0), (tail * tail).sum(axis=0)])
    past.first = np.zeros((0, 0))
    _fit(past)


def _fit(past: Past) -> None:
    """Shape and scale of the tail, by its moments."""
    number, total, squares = past.beyond
    mean = total / number
    square = mean * mean
    shape = np.clip(0.5 * (1 - square / np.maximum(squares / number - square, 1e-12)), 1e-4, 0.6)
    past.tail = np.stack([shape / np.maximum(mean * (1 - shape), _SCALE_FLOOR), shape * _LN10])


def _judge(past: Past, now: Float64) -> Float64:
    bend, shape = past.tail
    tail = np.log1p(bend * np.maximum(now - past.high, 0)) / shape
    upper = np.clip((now - past.middle) / np.maximum(past.high - past.middle, 1e-9), 0, 1)
    lower = np.clip(now / np.maximum(past.middle, 1e-9), 0, 1)
    said: Float64 = np.minimum(_HALF * lower + (1 - _HALF) * upper + tail, MOST)
    return said


def _learn(past: Past, now: Float64) -> None:
    """Quantiles by stochastic approximation with a gain of the spread over the count."""
    gain = past.spread * (2.5 / past.count)
    past.middle += gain * np.where(now > past.middle, 0.5, -0.5)
    over = now > past.high
    excess = np.where(over, now - past.high, 0.0)
    past.high += 3 * gain * np.where(over, 0.9, -0.1)
    past.beyond[0] += over
    past.beyond[1] += excess
    past.beyond[2] += excess * excess
    if past.count % _FIT_EACH == 0:
        _fit(past)
    past.spread += (np.abs(now - past.middle) - past.spread) / past.count
