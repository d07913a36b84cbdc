"""Which bearing element explains the lines of an envelope spectrum, judged against combs of no meaning.

The score of a fault order is the mean line height at its first four multiples, with sidebands where the
element turns with the shaft or the cage. The same score at 150 orders that have nothing to do with bearing or
shaft is the null it must stand out from.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from andon.events import Float32, Float64
from detectors.bearing import FaultOrders
from detectors.envelope import SIXTHS, SPEED_REVOLUTIONS, background, largest_of_three

HARMONICS = 4
NULLS = 150
SLIP = 0.012
COARSE_SLIP = 0.016  # of blocks too short to refine the speed they are told with
CAGE_SLIP = 0.02
MAINS_HZ = (50.0, 60.0)
BANDS = 3 + SIXTHS  # of each window: the whole, its halves and its sixths
_HEIGHT = 4.0  # one line counts no more than e⁴ times its background
_RELATED = ((1, 1), (1, 2), (2, 1), (3, 2), (2, 3))
_FAMILIARS = (*_RELATED, (1, 3), (3, 1))
_GOLDEN = 0.6180339887498949


@dataclass(frozen=True, slots=True)
class Score:
    """One family of combs: z, z on each axis, best slip on each axis."""

    z: float
    axes: tuple[float, ...]
    slips: tuple[float, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Combs:
    """Where the combs of a fault order and of its nulls lie: `at` (4, slips, 1 + nulls) lines, `inside` as many."""

    at: NDArray[np.intp]
    inside: Float32
    slips: Float64


def heights(power: Float32, step_order: float, speed_hz: float) -> Float32:
    """Line heights (axes, 18, lines): ln of each line over its background, of the whole band, halves and sixths.

    The first 9 are of the short window. Lines of the shaft, of the mains and below 0.15 order carry no bearing
    evidence and have height 0.
    """
    axes, _, lines = power.shape
    sixths = power.reshape(axes, -1, SIXTHS, lines)
    halves = sixths.reshape(axes, -1, 2, SIXTHS // 2, lines).mean(axis=3)
    whole = halves.mean(axis=2, keepdims=True)
    rows = np.concatenate([whole, halves, sixths], axis=2).reshape(axes, -1, lines)
    ratio = rows / background(rows, max(round(0.7 / step_order), 31))
    ratio[..., _meaningless(lines, step_order, speed_hz)] = 1
    height: Float32 = np.clip(np.log(largest_of_three(ratio)), 0, _HEIGHT).astype(np.float32)
    return height


def _meaningless(lines: int, step_order: float, speed_hz: float) -> NDArray[np.bool_]:
    order = np.arange(lines) * step_order
    out: NDArray[np.bool_] = (np.abs(order - np.round(order)) < max(0.008, 1.5 * step_order)) | (order < 0.15)
    for mains_hz in MAINS_HZ:
        for k in range(1, 5):
            out |= np.abs(order * speed_hz - k * mains_hz) < max(0.15, 1.5 * step_order * speed_hz)
    return out


def scores_of(height: Float32, step_order: float, orders: FaultOrders) -> dict[str, Score]:
    """The score of every family, each against the same combs of no meaning on the same lines; the cage's is slow."""
    lines = height.shape[2]
    combs = {
        name: _combs(orders, order, step_order, lines)
        for name, order in (("outer", orders.outer), ("inner", orders.inner), ("element", orders.element))
    }
    races = {name: _tall(height, one, whole=name == "outer") for name, one in combs.items()}
    nulls = races["outer"][:, :, :, 1:]
    tall = {name: np.concatenate([some[:, :, :, :1], nulls], axis=3) for name, some in races.items()}
    tall["outer±1"] = _tall(with_sidebands(height, step_order, 1.0, 1), combs["outer"])
    tall["inner±3"] = _tall(with_sidebands(height, step_order, 1.0, 3), combs["inner"])
    tall["element±2"] = _tall(with_sidebands(height, step_order, orders.cage, 2), combs["element"])
    scores = _scored(tall, combs["outer"].slips)
    cage = _combs(orders, orders.cage, step_order, lines)
    return scores | _scored({"cage": _tall(height[:, -BANDS:], cage)}, cage.slips)


def ranked(scores: dict[str, Score]) -> list[tuple[str, Score]]:
    """Outer, inner and element by z, the best first: each the better of its comb alone and with its sidebands."""
    pairs = (("outer", "outer±1"), ("inner", "inner±3"), ("element", "element±2"))
    better = [(alone, max(scores[alone], scores[beside], key=lambda s: s.z)) for alone, beside in pairs]
    return sorted(better, key=lambda item: -item[1].z)


def with_sidebands(height: Float32, step_order: float, spacing: float, reach: int) -> Float32:
    """Each line's height averaged with those of its sidebands, as far as they lie on the axis."""
    total, seen, lines = height.copy(), np.ones(height.shape[2], np.float32), height.shape[2]
    for j in range(1, reach + 1):
        by = round(j * spacing / step_order)
        if 0 < by < lines:
            total[..., by:] += height[..., :-by]
            total[..., :-by] += height[..., by:]
            seen[by:] += 1
            seen[:-by] += 1
    return total / seen


def _tall(height: Float32, combs: _Combs, *, whole: bool = True) -> Float32:
    """Mean line height of each comb at each slip: (axes, bands, slips, combs), or of the first comb alone."""
    padded = np.concatenate([height, np.zeros((*height.shape[:2], 1), np.float32)], axis=2)
    some = slice(None) if whole else slice(1)
    tall: Float32 = np.take(padded, combs.at[0, :, some], axis=2)
    for at in combs.at[1:, :, some]:
        tall += np.take(padded, at, axis=2)
    tall /= combs.inside[:, some]
    return tall


def _scored(tall: dict[str, Float32], slips: Float64) -> dict[str, Score]:
    """Robust z in each band, the best band, and z of that against what the nulls reach in theirs."""
    best = np.stack([some.max(axis=2) for some in tall.values()])  # families, axes, bands, combs
    z = _standard(best, spare=0.05)
    band = z[..., 0].argmax(axis=2)
    z = _standard(z.max(axis=2), spare=0.1)
    return {
        name: Score(
            z=float(z[i, :, 0].mean()),
            axes=tuple(z[i, :, 0].tolist()),
            slips=tuple(float(slips[some[axis, at, :, 0].argmax()]) for axis, at in enumerate(band[i])),
        )
        for i, (name, some) in enumerate(tall.items())
    }


def _standard(values: Float32, spare: float) -> Float32:
    """Robust z of the last axis against all but its first."""
    null = values[..., 1:]
    middle = _middle(null)
    spread = np.float32(1.4826) * _middle(np.abs(null - middle))
    z: Float32 = (values - middle) / (spread + np.float32(spare))
    return z


def _middle(values: Float32) -> Float32:
    """The (upper) median of the last axis, kept as an axis; np.median is four times as slow."""
    k = values.shape[-1] // 2
    middle: Float32 = np.partition(values, k, axis=-1)[..., k : k + 1]
    return middle


@lru_cache(maxsize=128)
def _combs(orders: FaultOrders, order: float, step_order: float, lines: int) -> _Combs:
    cage = order == orders.cage
    reach, finest = (CAGE_SLIP, 2e-3) if cage else (reach_of(step_order), 8e-4)
    each = max(finest, step_order / 25)
    slips: Float64 = np.arange(-round(reach / each), round(reach / each) + 1, dtype=np.float64) * each
    slips = slips[
        np.argsort(np.abs(slips), kind="stable")
    ]  # of slips that fit equally well the smallest is taken
    fundamentals = np.array([order, *(_cage_nulls(orders) if cage else _nulls(orders))])
    k = np.arange(1, HARMONICS + 1)
    at = np.rint(k[:, None, None] * (1 + slips)[:, None] * fundamentals / step_order).astype(np.intp)
    inside = (at < lines).sum(axis=0).clip(1).astype(np.float32)
    return _Combs(np.where(at < lines, at, lines), inside, slips)


@lru_cache(maxsize=1024)
def _nulls(orders: FaultOrders) -> tuple[float, ...]:
    """Orders from 2.2 to 7.6, evenly scattered, unrelated to bearing and shaft."""
    bad = (orders.outer, orders.inner, orders.element, orders.element / 2, 1.0)

    def related(q: float) -> bool:
        near = any(abs(q * a - w * b) < 0.02 * w * b for w in bad for a, b in _RELATED)
        return near or abs(q - round(q)) < 0.03

    return _scattered(2.2, 7.6, related)


@lru_cache(maxsize=1024)
def _cage_nulls(orders: FaultOrders) -> tuple[float, ...]:
    """Orders from 0.2 to 0.95 unrelated to cage and shaft."""
    c = orders.cage
    bad = (c, 1 - c, 2 * c, 2 - 2 * c, 1.0, 2.0, 1 + c)

    def related(q: float) -> bool:
        return any(abs(q * k - w) < 0.02 * k for k in (1, 2, 3) for w in bad)

    return _scattered(0.2, 0.95, related)


def _scattered(low: float, high: float, related: Callable[[float], bool]) -> tuple[float, ...]:
    found: list[float] = []
    i = 0
    while len(found) < NULLS and i < 100 * NULLS:
        q = low + (high - low) * ((i * _GOLDEN) % 1.0)
        if not related(q):
            found.append(q)
        i += 1
    return tuple(found)


def reach_of(step_order: float) -> float:
    """How far a comb may lie beside its geometry, relative: its slip and the error of the speed."""
    return SLIP if step_order <= 1 / SPEED_REVOLUTIONS else COARSE_SLIP


def elsewhere(height: Float32, step_order: float, order: float) -> float:
    """The z of the best comb anywhere that is not a relative of this order's, on the scale of all such combs."""
    q, z = landscape(height, step_order)
    kin = np.zeros(q.size, np.bool_)
    for a, b in _FAMILIARS:
        kin |= np.abs(q * a - order * b) < 0.03 * order * b
    return float(z[~kin].max(initial=0.1))


def landscape(
    height: Float32, step_order: float, highest: float = 7.6, reach: float | None = None
) -> tuple[Float64, Float32]:
    """Orders from 2.2 on that are no multiple of the shaft's, and the z of a comb at each, give or take its slip."""
    each = max(6e-4, step_order / 50)
    q: Float64 = 2.2 * np.exp(np.arange(0, np.log(highest / 2.2), each))
    at = np.rint(q[:, None] * np.arange(1, HARMONICS + 1) / step_order).astype(np.intp)
    tall = np.take(height, np.minimum(at, height.shape[2] - 1), axis=2).mean(axis=-1)
    slips = round((reach or reach_of(step_order)) / each)
    slid = np.lib.stride_tricks.sliding_window_view(
        np.pad(tall, ((0, 0), (0, 0), (slips, slips)), mode="edge"), 2 * slips + 1, axis=2
    ).max(axis=-1)
    keep = np.abs(q - np.round(q)) > 0.03
    z = _standard(np.concatenate([slid[..., :1], slid[..., keep]], axis=2), spare=0.05)[..., 1:].max(axis=1)
    z = _standard(np.concatenate([z[..., :1], z], axis=1), spare=0.1)[..., 1:].mean(axis=0)
    return q[keep], z
