"""When log levels leave their frozen baseline: settle, wait until stationary, freeze, smooth, vote.

A baseline that keeps learning from what it judges goes blind to slow faults (5 of 10 run-to-failure bearings
stayed unseen), so it is learned once and frozen. Everything is strictly sequential: one row in, one verdict out.
"""

import math
from dataclasses import dataclass, field, replace
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from andon.events import Float64, Int64
from detectors.operating import OperatingParameters
from detectors.pace import Pace
from detectors.votes import cast, count

MEDIAN_OF, FAST_MEDIAN_OF = 7, 3
_FIRST, _FIRST_LEVELS = 3, 15  # blocks that make the reference of the safety net: the 4th to the 15th
_CHECK_EVERY = 5
_MOST_QUICK = 1.5  # ln: no single block counts for more, however loud


class OnsetParameters(OperatingParameters):
    """How the baseline is learned and when leaving it counts. Rises are in ln(amplitude): 0.27 is × 1.31."""

    settle_blocks: int = Field(
        default=60, ge=0, le=100_000, description="First blocks that are not learned from: run-in, warm-up."
    )
    learn_blocks: int = Field(default=40, ge=12, le=1000, description="Blocks that the baseline is made of.")
    wait_blocks: int = Field(
        default=30,
        ge=0,
        le=100_000,
        description="Blocks to wait at most until the learning window is stationary; then it is frozen as it is.",
    )
    stationary: float = Field(
        default=0.25,
        gt=0,
        le=5,
        description="Largest rise between its first and last third that is stationary.",
    )
    smoothing: float = Field(
        default=0.15, gt=0, le=1, description="Weight of a new 7-point median in the moving average."
    )
    rise: float = Field(
        default=0.27,
        gt=0,
        le=5,
        description="Rise above the baseline, mean of the two leading bands, that counts.",
    )
    leader: float = Field(
        default=1.25, ge=1, le=10, description="One band alone counts if it rises this many times as far."
    )
    noise_guard: float = Field(
        default=6.0, ge=0, le=50, description="Standard deviations of the baseline that the rise must exceed."
    )
    young_blocks: float = Field(
        default=100.0,
        gt=0,
        le=100_000,
        description="A fresh baseline needs twice the rise, fading over these blocks.",
    )
    raise_count: int = Field(default=25, ge=1, le=1000, description="Risen blocks needed to raise.")
    raise_of: int = Field(
        default=30, ge=1, le=1000, description="Latest blocks among which they are counted."
    )
    fast_rise: float = Field(
        default=0.4,
        gt=0,
        le=10,
        description="Rise of the leading bands, hardly smoothed, beyond which the fast path adds up: × 1.5.",
    )
    fast_sum: float = Field(
        default=5.0,
        gt=0,
        le=1000,
        description="Sum over blocks of what exceeds it needed to raise: × 2.7 for 8 blocks, × 4 for 5.",
    )
    safety_ratio: float = Field(
        default=3.0,
        gt=1,
        le=100,
        description="While learning: RMS against the first blocks that counts, fast path.",
    )
    safety_count: int = Field(default=6, ge=1, le=1000, description="Such blocks needed to raise.")
    safety_of: int = Field(
        default=8, ge=1, le=1000, description="Latest blocks among which they are counted."
    )
    clear_blocks: int = Field(
        default=180, ge=1, le=100_000, description="Blocks in a row below half the rise needed to clear."
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.raise_count > self.raise_of or self.safety_count > self.safety_of:
            raise ValueError("a count must not exceed the blocks among which it is counted")
        return self


@dataclass(slots=True)
class Onset:
    """Where one measuring point stands; rows are (channels,) ln amplitudes.

    `rise` is the last smoothed rise above the baseline, or of RMS above the first blocks while learning; `quick`
    the same hardly smoothed, `urgent` the sum of what it exceeded lately (CUSUM: Page 1954, ISO 7870-4). `slow` are
    the latest votes in whatever operating state, `own` those in this one: a fault may show under load only.
    """

    pace: Pace = field(default_factory=Pace)
    rows: int = 0
    learned: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    learned_ns: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    recent: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    smooth: Float64 = field(default_factory=lambda: np.zeros(0))
    first: Float64 = field(default_factory=lambda: np.zeros((0, 0)))
    baseline: Float64 = field(default_factory=lambda: np.zeros(0))
    shrink: Float64 = field(default_factory=lambda: np.zeros(0))
    from_ns: int = 0
    to_ns: int = 0
    age: int = 0
    slow: int = 0
    own: int = 0
    fast: int = 0
    quick: float = 0.0
    urgent: float = 0.0
    low: int = 0
    rise: float = 0.0
    leading: int = 0
    rising_ns: int = -1

    @property
    def frozen(self) -> bool:
        """Whether the baseline stands."""
        return self.baseline.size > 0


def step(onset: Onset, at_ns: int, levels: Float64, rms: Float64, parameters: OnsetParameters) -> str:
    """Take one row and say which path votes for raising: "rise", "fast", "safety" or "" for none.

    Parameters
    ----------
    levels
        (channels,) ln band amplitudes; the same channels each time.
    rms
        (axes,) ln broadband amplitudes, for the safety net while learning.
    """
    if onset.pace.pauses(at_ns, parameters.gap_s):
        _start_anew(onset, levels.size)
    onset.recent = _pushed(onset.recent, levels, MEDIAN_OF)
    middle = _median(onset.recent)
    onset.smooth = (
        middle if not onset.smooth.size else onset.smooth + parameters.smoothing * (middle - onset.smooth)
    )
    path = _judge(onset, parameters) if onset.frozen else _learn(onset, at_ns, levels, rms, parameters)
    onset.rows += 1
    threshold = parameters.rise if onset.frozen else math.log(parameters.safety_ratio)
    if onset.rise < threshold / 2:
        onset.low, onset.rising_ns = onset.low + 1, -1
    else:
        onset.low, onset.rising_ns = 0, onset.rising_ns if onset.rising_ns >= 0 else at_ns
    return path


def carry(before: Onset, now: Onset) -> None:
    """Go on in another operating state with the votes of the last: its rise is above a baseline of its own.

    So a machine that changes its state often is judged as one that does not. What is smoothed stays with its state,
    and so does how long it has been low: a fault may show under load only.
    """
    now.pace = replace(before.pace)
    now.slow, now.urgent, now.rising_ns = before.slow, before.urgent, before.rising_ns


def _judge(onset: Onset, p: OnsetParameters) -> str:
    rises = (onset.smooth - onset.baseline) / onset.shrink
    onset.rise = _leading(rises, p)
    onset.leading = int(rises.argmax())
    threshold = p.rise * (1 + math.exp(-onset.age / p.young_blocks))
    onset.age += 1
    risen = onset.rise > threshold
    onset.slow, onset.own = cast(onset.slow, risen, p.raise_of), cast(onset.own, risen, p.raise_of)
    onset.quick = _leading((_median(onset.recent[-FAST_MEDIAN_OF:]) - onset.baseline) / onset.shrink, p)
    beyond = min(onset.quick, _MOST_QUICK) - p.fast_rise * threshold / p.rise
    onset.urgent = min(max(0.0, onset.urgent + beyond), 2 * p.fast_sum)
    if max(count(onset.slow), count(onset.own)) >= p.raise_count:
        return "rise"
    return "fast" if onset.urgent > p.fast_sum else ""


def _leading(rises: Float64, p: OnsetParameters) -> float:
    """Mean of the two highest, or the highest alone where it leads far enough."""
    order = np.sort(rises)
    return float(max(order[-2:].mean(), order[-1] / p.leader))


def _learn(onset: Onset, at_ns: int, levels: Float64, rms: Float64, p: OnsetParameters) -> str:
    path = _safety(onset, rms, p)
    if onset.fast:  # an alarm may be under way: nothing healthy to learn
        onset.learned, onset.learned_ns = np.zeros((0, levels.size)), np.zeros(0, np.int64)
        return path
    onset.learned = _pushed(onset.learned, levels, p.learn_blocks)
    onset.learned_ns = np.append(onset.learned_ns, at_ns)[-p.learn_blocks :]
    waited = onset.rows + 1 - p.settle_blocks - p.learn_blocks
    if waited < 0 or onset.learned.shape[0] < p.learn_blocks:
        return path
    if waited >= p.wait_blocks or (waited % _CHECK_EVERY == 0 and _stationary(onset.learned, p.stationary)):
        _freeze(onset, p)
    return path


def _safety(onset: Onset, rms: Float64, p: OnsetParameters) -> str:
    """RMS against the first blocks: the only thing that is known while the baseline is being learned."""
    if onset.first.shape[0] < _FIRST_LEVELS:
        onset.first = _pushed(onset.first, rms, _FIRST_LEVELS)
        return ""
    broadband = float((rms - np.median(onset.first[_FIRST:], axis=0)).max())
    onset.rise = broadband
    onset.fast = cast(onset.fast, broadband > math.log(p.safety_ratio), p.safety_of)
    return "safety" if count(onset.fast) >= p.safety_count else ""


def _stationary(window: Float64, tolerance: float) -> bool:
    third = window.shape[0] // 3
    change = np.median(window[-third:], axis=0) - np.median(window[:third], axis=0)
    return bool(np.abs(change).max() < tolerance)


def _freeze(onset: Onset, p: OnsetParameters) -> None:
    onset.baseline = np.median(onset.learned, axis=0)
    spread = 1.4826 * np.median(np.abs(onset.learned - onset.baseline), axis=0)
    spread = spread * math.sqrt(p.smoothing / (2 - p.smoothing) / 3)  # what median and average leave of it
    onset.shrink = np.maximum(1.0, p.noise_guard * spread / p.rise)  # a noisy band needs proportionally more
    onset.from_ns, onset.to_ns = int(onset.learned_ns[0]), int(onset.learned_ns[-1])
    onset.learned, onset.learned_ns = np.zeros((0, 0)), np.zeros(0, np.int64)
    onset.age = onset.slow = onset.own = onset.fast = 0
    onset.rise = onset.quick = onset.urgent = 0.0
    onset.rising_ns = -1


def _start_anew(onset: Onset, channels: int) -> None:
    onset.recent, onset.smooth = np.zeros((0, channels)), np.zeros(0)
    onset.slow = onset.own = onset.fast = onset.low = 0
    onset.urgent, onset.rising_ns = 0.0, -1


def _pushed(rows: Float64, row: Float64, most: int) -> Float64:
    kept = rows[-(most - 1) :] if most > 1 else rows[:0]
    return np.vstack([kept, row]) if kept.size else row[None, :].copy()


def _median(rows: Float64) -> Float64:
    """Median over rows; np.median costs ten times as much on few rows."""
    order, k = np.sort(rows, axis=0), rows.shape[0]
    middle: Float64 = (order[(k - 1) // 2] + order[k // 2]) / 2
    return middle
