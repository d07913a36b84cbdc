"""What healthy rows of a machine look like: levels, their unrest, and what each channel owes to the others.

Each channel gives three features, medians over a window of rows: its level, the log of its rolling standard
deviation, and its residual, which is what the other channels do not explain. How far a feature may go is
learned by forecasting: what earlier healthy rows did not foresee of later ones (a channel that drifts by
itself thereby loses weight), never less than the noise of a window.
"""

from dataclasses import dataclass, field

import numpy as np

from andon.events import Float64

RIDGE = 0.3  # of the variance: channels that follow one another share the explanation
_QUIET = 0.05  # of the learned deviation: a rolling deviation below it is as good as none
_RESOLUTION = 1e-4  # of the level: no channel is known better than that
_ANCHOR = 50  # rows between the forecasts that the scale is learned from
_FAR = 1e6  # standard deviations: as good as infinite
_FLOOR = 1.5  # least scale, in standard errors of a window's mean


@dataclass(slots=True)
class Baseline:
    """The learned healthy state; empty until it is learned. Features stand as levels, unrest, residuals."""

    mean: Float64 = field(default_factory=lambda: np.zeros(0))
    deviation: Float64 = field(default_factory=lambda: np.zeros(0))
    weights: Float64 = field(default_factory=lambda: np.zeros(0))
    centre: Float64 = field(default_factory=lambda: np.zeros(0))
    scale: Float64 = field(default_factory=lambda: np.zeros(0))


@dataclass(slots=True)
class Window:
    """The latest rows, and the latest features that are not yet smoothed."""

    rows: Float64 = field(default_factory=lambda: np.zeros(0))
    features: Float64 = field(default_factory=lambda: np.zeros(0))
    seen: int = 0


def take(window: Window, baseline: Baseline, row: Float64, length: int) -> Float64:
    """The features of a row, smoothed over the window: (3 channels,). A row has no NaN: unknown is the mean."""
    channels = row.size
    if not window.seen:
        window.rows = np.zeros((length, channels))
        window.features = np.zeros((length, 3 * channels))
    level = np.minimum(np.maximum((row - baseline.mean) / baseline.deviation, -_FAR), _FAR)
    at = window.seen % length
    window.rows[at] = level
    window.seen += 1
    known = min(window.seen, length)
    rows = window.rows[:known]
    mean = rows.sum(axis=0) / known
    spread = np.sqrt(np.maximum((rows * rows).sum(axis=0) / known - mean * mean, 0.0))
    new = window.features[at]
    new[:channels] = level
    new[channels : 2 * channels] = np.log(spread + _QUIET)
    new[2 * channels :] = level - level @ baseline.weights
    ordered = np.sort(window.features[:known], axis=0)
    smooth: Float64 = 0.5 * (ordered[(known - 1) // 2] + ordered[known // 2])
    return smooth


def learned(rows: Float64, length: int) -> tuple[Baseline, Window]:
    """The baseline, and the window as the last row left it, of healthy rows (n, channels), n at least four windows; NaN where a channel was silent."""
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    centred = np.where(known, rows - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    deviation = np.maximum(deviation, np.maximum(_RESOLUTION * np.abs(mean), 1e-12))
    baseline = Baseline(mean, deviation, _explained(centred / deviation))
    window = Window()
    series = np.array([take(window, baseline, row + mean, length) for row in centred])
    settled = series[length:]
    baseline.centre = settled.sum(axis=0) / len(settled)
    baseline.scale = _scale(settled, length)
    return baseline, window


def _explained(z: Float64) -> Float64:
    """(channels, channels): column c holds the weights of the other channels that explain channel c."""
    n, channels = z.shape
    likeness = z.T @ z / n
    weights = np.zeros((channels, channels))
    for c in range(channels):
        others = np.delete(np.arange(channels), c)
        if others.size:
            among = likeness[np.ix_(others, others)] + RIDGE * np.eye(others.size)
            weights[others, c] = np.linalg.solve(among, likeness[others, c])
    return weights


def _scale(series: Float64, length: int) -> Float64:
    """How far each feature went from the mean of all before it, over the rest of the healthy rows."""
    reach = np.zeros(series.shape[1])
    for anchor in range(_ANCHOR, len(series) - _ANCHOR // 2, _ANCHOR):
        ahead = np.abs(series[anchor:] - series[:anchor].mean(axis=0)).max(axis=0)
        reach = np.maximum(reach, ahead)
    scale: Float64 = np.maximum(reach, _FLOOR / np.sqrt(length))
    return scale
