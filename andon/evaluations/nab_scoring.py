"""The scoring rules of the Numenta Anomaly Benchmark: early inside a window earns, outside costs, one threshold for all.

Source: Lavin and Ahmad, Evaluating Real-time Anomaly Detection Algorithms, IEEE ICMLA 2015, section II.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from andon.events import Float64, Int64

PROBATION_SHARE, PROBATION_ROWS = 0.15, 5000
"""The share of a file that is not judged, and the length beyond which that share no longer grows."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What a detection, a false one and a missed window weigh."""

    detected: float
    false: float
    missed: float


PROFILES = {
    "standard": Profile(1.0, 0.11, 1.0),
    "low_fp": Profile(1.0, 0.22, 1.0),
    "low_fn": Profile(1.0, 0.11, 2.0),
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A file to be scored: `score` (n,) float64 per row; `windows` (k, 2) int64 first and last row of each, in order."""

    score: Float64
    windows: Int64


def worth(position: Float64) -> Float64:
    """What a detection is worth: -1 at a window's first row, 0 just after its last, 1 one window's length later.

    Beyond three lengths it is -1.

    >>> [round(float(x), 3) for x in worth(np.array([-1.0, 0.0, 1.0, 3.1]))]
    [0.987, 0.0, -0.987, -1.0]
    """
    sigmoid = 2 / (1 + np.exp(5 * np.minimum(position, 4.0))) - 1
    return np.where(position > 3, -1.0, sigmoid)


def probation(rows: int) -> int:
    """The rows at the start of a file that are not judged.

    >>> probation(4032), probation(22695)
    (604, 750)
    """
    return int(PROBATION_SHARE * min(rows, PROBATION_ROWS))


def best(files: Sequence[Judged], profile: Profile) -> tuple[float, float]:
    """The normalised score at the best threshold for all files together, and that threshold.

    0 is what a detector gets that never speaks, 100 one that speaks once, in the first row of each window.
    A row speaks when its score is at or above the threshold. ValueError if there is no window at all.
    """
    windows = sum(len(file.windows) for file in files)
    if not windows:
        raise ValueError("without a window there is nothing to find")
    steps = [_steps(file, profile) for file in files]
    score = np.concatenate([s for s, _ in steps])
    order = np.argsort(-score, kind="stable")
    gained = np.cumsum(np.concatenate([g for _, g in steps])[order])
    ends = np.flatnonzero(np.diff(score[order], append=-np.inf))
    at = ends[gained[ends].argmax()] if ends.size else -1
    if at < 0 or gained[at] <= 0:
        return 0.0, float("inf")
    return _normalised(float(gained[at]), windows, profile), float(score[order][at])


def at_threshold(files: Sequence[Judged], profile: Profile, threshold: float) -> float:
    """The normalised score of these files at a given threshold; ValueError if they have no window."""
    windows = sum(len(file.windows) for file in files)
    if not windows:
        raise ValueError("without a window there is nothing to find")
    gained = 0.0
    for file in files:
        score, gain = _steps(file, profile)
        gained += float(gain[score >= threshold].sum())
    return _normalised(gained, windows, profile)


def summed_up(files: Sequence[Judged]) -> Mapping[str, float]:
    """The normalised score in each profile, each at its own best threshold."""
    return {name: round(best(files, profile)[0], 2) for name, profile in PROFILES.items()}


def _normalised(gained: float, windows: int, profile: Profile) -> float:
    return 100 * gained / (windows * (profile.detected + profile.missed))


def _steps(file: Judged, profile: Profile) -> tuple[Float64, Float64]:
    """The judged rows' scores, and what each adds once it speaks and all rows with higher scores have spoken."""
    n = file.score.size
    gain, inside = _outside(n, file.windows) * profile.false, np.zeros(n, np.bool_)
    first = probation(n)
    for left, right in file.windows.tolist():
        inside[left : right + 1] = True
        rows = np.arange(max(left, first), right + 1)
        value = worth(-(right - rows + 1) / (right - left + 1)) / worth(np.array(-1.0)) * profile.detected
        order = np.argsort(-file.score[rows], kind="stable")
        most = np.maximum.accumulate(value[order])
        gain[rows[order]] = np.diff(most, prepend=-profile.missed)
    del inside
    return file.score[first:], gain[first:]


def _outside(n: int, windows: Int64) -> Float64:
    """What a row is worth that lies in no window: less, the farther it lies behind one."""
    value = np.full(n, -1.0)
    for k, (left, right) in enumerate(windows.tolist()):
        until = int(windows[k + 1, 0]) if k + 1 < len(windows) else n
        rows = np.arange(right + 1, until)
        value[rows] = worth((rows - right) / max(1, right - left))
    return value
