"""When one of several like points leaves the others: frozen baselines, residuals against neighbours, joint steps.

What moves all points of a machine together is load, speed, temperature or a restart; what moves one of them away
from the others is its own. Everything is strictly sequential: one row in, one verdict out.
"""

import math
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from andon.events import Float64, Int64
from detectors.operating import OperatingParameters

MEDIAN_OF = 3
_BEFORE = 12  # rows whose median is the level before a step
_JITTER = 0.02  # weight of a new row in the mean change from row to row
_FORGIVEN = 0.35  # ln: how much farther than the others one point may step in a joint step
_FALLEN = 0.6  # weight of a fall in what points stray: two of four that rise make the others seem to fall
_LEFT = 2  # neighbours that have not risen, for the others to be left out
_LOUDEST = 5.0  # ln: keeps the exponential finite
_STANDING = 1.5  # ln: three quarters of the points fallen this far, the machine stands (below 22 %)


class NeighbourParameters(OperatingParameters):
    """How like points are compared. Levels are in ln(value): 0.07 is 7 %. A row is one value of each point."""

    settle_rows: int = Field(
        default=24, ge=0, le=100_000, description="First rows that are not learned from: run-in, warm-up."
    )
    learn_rows: int = Field(default=100, ge=12, le=1000, description="Rows that the baseline is made of.")
    wait_rows: int = Field(
        default=150,
        ge=0,
        le=100_000,
        description="Rows to wait at most until the learning window is stationary; then it is frozen as it is.",
    )
    stationary: float = Field(
        default=0.05,
        gt=0,
        le=5,
        description="Largest change between its first and last third that is stationary.",
    )
    smoothing: float = Field(
        default=0.2, gt=0, le=1, description="Weight of a new 3-point median in the moving average."
    )
    rise: float = Field(default=0.07, gt=0, le=5, description="Least rise above the neighbours that counts.")
    wander: float = Field(
        default=0.0035,
        ge=0,
        le=1,
        description="The rise must also exceed this times the square root of the baseline's age in rows.",
    )
    noise_guard: float = Field(
        default=4.0, ge=0, le=50, description="Standard deviations of the baseline that the rise must exceed."
    )
    spread_guard: float = Field(
        default=2.0,
        ge=0,
        le=50,
        description="How many times as far as the other points ever strayed from each other the rise must be.",
    )
    common: float = Field(
        default=0.3,
        ge=0,
        le=5,
        description="Share of what the neighbours moved together that is added to the limit.",
    )
    hearing: float = Field(
        default=0.4,
        ge=0,
        le=1,
        description="Share of the energy gained by the loudest other point that a point may hear of it.",
    )
    raise_count: int = Field(default=9, ge=1, le=1000, description="Risen rows needed to raise.")
    raise_of: int = Field(default=12, ge=1, le=1000, description="Latest rows among which they are counted.")
    clear_rows: int = Field(
        default=144, ge=1, le=100_000, description="Rows in a row below half the limit needed to clear."
    )
    step: float = Field(
        default=0.08, gt=0, le=5, description="Step from a point's last rows that is one, beyond its noise."
    )
    step_share: float = Field(
        default=0.75, gt=0, le=1, description="Share of the points that step together in an operating change."
    )
    mask_rows: int = Field(
        default=12,
        ge=3,
        le=1000,
        description="Rows after a joint step that are not judged; then new anchors.",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.raise_count > self.raise_of:
            raise ValueError("raise_count must not exceed raise_of")
        return self


@dataclass(slots=True)
class Neighbours:
    """Where the points of one machine stand; arrays are (points,), windows (rows, points), all in ln(value).

    A point whose baseline was declared void waits `waiting` rows while `anew` gathers what it is above the others.
    """

    rows: int = 0
    window: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    learned: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    jitter: Float64 = field(default_factory=lambda: np.zeros(0))
    before: Float64 = field(default_factory=lambda: np.zeros(0))
    masked: int = 0
    anchor: Float64 = field(default_factory=lambda: np.zeros(0))
    sigma: Float64 = field(default_factory=lambda: np.zeros(0))
    recent: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    smooth: Float64 = field(default_factory=lambda: np.zeros(0))
    limit: Float64 = field(default_factory=lambda: np.zeros(0))
    peak: Float64 = field(default_factory=lambda: np.zeros(0))
    age: int = 0
    anew: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    waiting: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    learned_ns: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    from_ns: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    to_ns: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))

    @property
    def frozen(self) -> bool:
        """Whether the baseline stands."""
        return self.anchor.size > 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one row shows: `rises` (points,) above the neighbours with their `limits`, both NaN where unknown.

    `stepped` (points,) is set once a joint step is confirmed: how far each point moved.
    """

    rises: Float64
    limits: Float64
    stepped: Float64 | None = None


def step(
    state: Neighbours, at_ns: int, levels: Float64, others: NDArray[np.bool_], p: NeighbourParameters
) -> Verdict | None:
    """Take one row; None while nothing can be said: learning, masked, standing.

    Parameters
    ----------
    levels
        (points,) ln values; NaN where a point did not speak.
    others
        (points, points): row i marks the neighbours of point i.
    """
    if _stands(state, levels, p):
        return None
    state.rows += 1
    last = state.window[-1] if state.window.size else levels
    change = np.abs(levels - last)
    if not state.jitter.size:
        state.jitter = np.zeros(levels.size)
    state.jitter = np.where(
        np.isfinite(change), state.jitter + _JITTER * (change - state.jitter), state.jitter
    )
    state.window = _pushed(state.window, levels, _BEFORE + MEDIAN_OF)
    if state.masked:
        return _masked(state, p)
    if _steps(state, p):
        state.masked, state.before = p.mask_rows, median(state.window[:-MEDIAN_OF].T)
        return None
    if not state.frozen:
        _learn(state, at_ns, levels, others, p)
        return None
    if state.waiting.any():
        _renew(state, at_ns, levels, others, p)
    return _judge(state, levels, others, p)


def learn_anew(state: Neighbours, points: NDArray[np.bool_], p: NeighbourParameters) -> None:
    """Forget the baselines of these points (points,); the others keep theirs, and what stands of them."""
    if not state.frozen or points.all():
        state.anchor, state.learned, state.rows = np.zeros(0), state.learned[:0], 0
        state.recent, state.smooth = np.zeros((0, 0)), np.zeros(0)
        state.waiting, state.anew = np.zeros(0, np.int64), np.zeros((0, 0))
        return
    for row in (state.anchor, state.smooth):
        row[points] = np.nan
    state.recent[:, points] = np.nan
    state.peak[points] = 0.0
    fresh = np.zeros(points.size, np.int64) if not state.waiting.size else state.waiting
    state.waiting = np.where(points, p.settle_rows + p.learn_rows, fresh)


def carry(before: Neighbours, now: Neighbours) -> None:
    """Go on in another operating state: how far a point is from its neighbours is the same in both."""
    if before.frozen and now.frozen:
        now.smooth, now.recent, now.peak = before.smooth.copy(), before.recent.copy(), before.peak.copy()
        now.age = max(now.age, before.age)


def _renew(
    state: Neighbours, at_ns: int, levels: Float64, others: NDArray[np.bool_], p: NeighbourParameters
) -> None:
    """A point that is learned anew gets the anchor that puts it, in the middle, level with its neighbours."""
    above = levels - median(np.where(others, levels - state.anchor, np.nan))
    state.anew = _pushed(state.anew, above, p.learn_rows)
    heard = (state.waiting > 0) & np.isfinite(above)
    state.from_ns = np.where(heard & (state.waiting == p.learn_rows), at_ns, state.from_ns)
    state.waiting = state.waiting - heard
    ready = heard & (state.waiting == 0)
    state.anchor = np.where(ready, median(state.anew.T), state.anchor)
    state.to_ns = np.where(ready, at_ns, state.to_ns)
    if not state.waiting.any():
        state.anew = np.zeros((0, 0))


def _stands(state: Neighbours, levels: Float64, p: NeighbourParameters) -> bool:
    """Most points far below what they were: the machine stands, and a row like this is no row."""
    if not state.window.size:
        return False
    usual = state.anchor if state.frozen else median(state.window.T)
    fallen = _share(levels - usual < -_STANDING, np.isfinite(levels - usual))
    return fallen >= p.step_share


def _steps(state: Neighbours, p: NeighbourParameters) -> bool:
    if state.window.shape[0] < _BEFORE + MEDIAN_OF:
        return False
    now = median(state.window[-MEDIAN_OF:].T)
    moved = now - median(state.window[:-MEDIAN_OF].T)
    at_once = now - median(state.window[-2 * MEDIAN_OF : -MEDIAN_OF].T)  # damage that all can hear ramps up
    far = np.minimum(np.abs(moved), np.abs(at_once)) > np.maximum(p.step, 4 * state.jitter)
    return _share(far, np.isfinite(moved)) >= p.step_share


def _masked(state: Neighbours, p: NeighbourParameters) -> Verdict | None:
    """Wait until it is over; what lasts is an operating change, and the baselines go with it."""
    state.masked -= 1
    if state.masked:
        return None
    kept = state.window[-max(p.mask_rows // 2, MEDIAN_OF) :]
    moved = median(kept.T) - state.before
    state.window = kept
    known = np.isfinite(moved)
    if _share(np.abs(moved) > p.step, known) < p.step_share:
        return None
    middle = float(np.median(moved[known]))
    if state.frozen:
        state.anchor = state.anchor + np.where(
            known, np.clip(moved, middle - _FORGIVEN, middle + _FORGIVEN), middle
        )
    state.learned = state.learned[:0]
    nothing = np.full(moved.size, np.nan)
    return Verdict(nothing, nothing, moved)


def _learn(
    state: Neighbours, at_ns: int, levels: Float64, others: NDArray[np.bool_], p: NeighbourParameters
) -> None:
    if state.rows <= p.settle_rows:
        return
    state.learned = _pushed(state.learned, levels, p.learn_rows)
    state.learned_ns = np.append(state.learned_ns, at_ns)[-len(state.learned) :]
    if state.learned.shape[0] < p.learn_rows:
        return
    third = p.learn_rows // 3
    change = median(state.learned[-third:].T) - median(state.learned[:third].T)
    waited = state.rows - p.settle_rows - p.learn_rows
    if waited >= p.wait_rows or bool((np.abs(change) < p.stationary)[np.isfinite(change)].all()):
        _freeze(state, others, p)


def _freeze(state: Neighbours, others: NDArray[np.bool_], p: NeighbourParameters) -> None:
    learned, state.anchor = state.learned, median(state.learned.T)
    smoothed = []
    for row in learned:
        _smooth(state, row, others, p)
        smoothed.append(state.smooth)
    rows = np.array(smoothed)
    state.sigma = 1.4826 * median(np.abs(rows - median(rows.T)).T)
    state.peak, state.limit = np.zeros(rows.shape[1]), np.full(rows.shape[1], np.nan)
    state.from_ns = np.full(rows.shape[1], state.learned_ns[0])
    state.to_ns = np.full(rows.shape[1], state.learned_ns[-1])
    state.learned, state.age = learned[:0], 0


def _smooth(state: Neighbours, levels: Float64, others: NDArray[np.bool_], p: NeighbourParameters) -> Float64:
    """Smooth the residuals; what the neighbours did together comes back."""
    away = levels - state.anchor
    together = _together(state, away, others)
    state.recent = _pushed(state.recent, away - together, MEDIAN_OF)
    middle = median(state.recent.T)
    if not state.smooth.size:
        state.smooth = np.full(levels.size, np.nan)
    moved = np.where(np.isnan(state.smooth), middle, state.smooth + p.smoothing * (middle - state.smooth))
    state.smooth = np.where(np.isfinite(levels) & np.isfinite(moved), moved, state.smooth)
    return together


def _together(state: Neighbours, away: Float64, others: NDArray[np.bool_]) -> Float64:
    """What the neighbours of each point did, in the middle of those that have not risen themselves if two are left."""
    if state.limit.size == state.smooth.size > 0:  # after a pause nothing is smoothed yet
        with_risen = others & np.isfinite(away)
        left = with_risen & ~(state.smooth > state.limit)
        others = np.where(left.sum(axis=1, keepdims=True) >= _LEFT, left, others)
    return median(np.where(others, away, np.nan))


def _judge(state: Neighbours, levels: Float64, others: NDArray[np.bool_], p: NeighbourParameters) -> Verdict:
    together = _smooth(state, levels, others, p)
    state.age += 1
    usual = median(np.where(others, state.peak, np.nan))
    least = np.maximum(max(p.rise, p.wander * math.sqrt(state.age)), p.noise_guard * state.sigma)
    loudest = np.where(others, np.nan_to_num(state.smooth), 0.0).max(axis=1)
    heard = 0.5 * np.log1p(p.hearing * np.expm1(2 * np.minimum(loudest, _LOUDEST)))
    heard = heard - np.maximum(np.nan_to_num(together), 0.0)  # the neighbours have heard it too
    known = np.maximum(np.maximum(least, heard), p.spread_guard * usual)
    state.limit = known + p.common * np.abs(together)
    risen = bool((state.smooth > state.limit).any())  # then it is known what makes the others seem to fall
    strayed = state.smooth if risen else np.maximum(state.smooth, -_FALLEN * state.smooth)
    state.peak = np.where(strayed > state.peak, strayed, state.peak)
    unknown = np.isnan(levels)
    return Verdict(np.where(unknown, np.nan, state.smooth), np.where(unknown, np.nan, state.limit))


def median(rows: Float64) -> Float64:
    """Median of each row over what is there; NaN where nothing is.

    >>> median(np.array([[3.0, np.nan, 1.0], [np.nan, np.nan, np.nan]]))
    array([ 2., nan])
    """
    order, there = np.sort(rows, axis=1), np.isfinite(rows).sum(axis=1)
    each, low = np.arange(rows.shape[0]), np.maximum(there - 1, 0) // 2
    middle: Float64 = (order[each, low] + order[each, np.minimum(there // 2, rows.shape[1] - 1)]) / 2
    return np.where(there > 0, middle, np.nan)


def _share(yes: NDArray[np.bool_], of: NDArray[np.bool_]) -> float:
    return float((yes & of).sum() / max(1, of.sum()))


def _pushed(rows: Float64, row: Float64, most: int) -> Float64:
    kept = rows[-(most - 1) :] if most > 1 else rows[:0]
    return np.vstack([kept, row]) if kept.size else row[None, :].copy()
