"""What healthy rows of a machine look like: levels, their unrest, and what each channel owes to the others.

Each channel gives three features: its mean over a window, the log of its rolling standard deviation, and its
residual, which is what the other channels do not explain. How far a feature may go is learned by forecasting:
what earlier healthy rows did not foresee of later ones. A feature that wanders by itself, further than its own
noise would take it, is trusted less again, because it will wander further than it did while it was learned: as a
random walk does, with the square root of the time since.
"""

from dataclasses import dataclass, field

import numpy as np

from andon.events import Float64

RIDGE = 0.3  # of the variance: channels that follow one another share the explanation
WEIGHTS = (1.0, 0.7, 0.7)  # of levels, unrest and residuals
_QUIET = 0.05  # of the learned deviation: a rolling deviation below it is as good as none
_RESOLUTION = 1e-4  # of the level: no channel is known better than that
_FAR = 50.0  # standard deviations: one wild value may not carry a window
_JUMP = 4.0  # disagreements of the windows that show a jump: then the short one is right
_BLOCKS = 8  # that the learned rows are cut into, for forecasts and for leaving out
_MOST_OUT = 3  # blocks in a row that may be left out of a feature's baseline, a disturbance
_CUT = 2.0  # times that leaving them out has to shrink its reach
_LEAST = 0.09  # reach in standard deviations below which nothing is believed
_WANDERS = 1.6  # times its noise that a feature goes without being called a wanderer
_MOST_WANDER = 20.0
_STRETCHES = 12  # that rows are cut into to see whether a channel is still on its way
_SLACK = 0.1  # of the range of the first stretches that the last ones may lie outside
_NEVER = 1e12  # scale of a channel that was hardly heard while it was learned: it is not judged


@dataclass(slots=True)
class Baseline:
    """The learned healthy state; empty until it is learned. Features stand as levels, unrest, residuals."""

    mean: Float64 = field(default_factory=lambda: np.zeros(0))
    deviation: Float64 = field(default_factory=lambda: np.zeros(0))
    weights: Float64 = field(default_factory=lambda: np.zeros(0))
    jump: Float64 = field(default_factory=lambda: np.zeros(0))
    centre: Float64 = field(default_factory=lambda: np.zeros(0))
    scale: Float64 = field(default_factory=lambda: np.zeros(0))
    strays: Float64 = field(default_factory=lambda: np.zeros(0))  # 0: as noise would, 1: a random walk


@dataclass(slots=True)
class Window:
    """The latest rows in standard deviations and the latest unrest, oldest first."""

    rows: Float64 = field(default_factory=lambda: np.zeros(0))
    unrest: Float64 = field(default_factory=lambda: np.zeros(0))
    seen: int = 0


def take(window: Window, baseline: Baseline, row: Float64, length: int) -> Float64:
    """The features of a row: (3 channels,). The row has no NaN: what is unknown is given as the mean.

    Levels and residuals are means over `length` rows, or over a quarter of them where the two disagree: so
    small changes are seen in the noise, and large ones soon.
    """
    means, unrest = _means(window, baseline, row, length)
    return _features(means[0], means[1], unrest, baseline.jump)


def learned(rows: Float64, length: int) -> tuple[Baseline, Window, Float64]:
    """The baseline of healthy rows (n, channels), the window as they left it, and their features.

    n is at least two windows; NaN where a channel was silent.
    """
    known = ~np.isnan(rows)
    count = np.maximum(known.sum(axis=0), 1)
    mean = np.where(known, rows, 0.0).sum(axis=0) / count
    centred = np.where(known, rows - mean, 0.0)
    deviation = np.sqrt((centred**2).sum(axis=0) / count)
    deviation = np.maximum(deviation, np.maximum(_RESOLUTION * np.abs(mean), 1e-12))
    z = np.minimum(np.maximum(centred / deviation, -_FAR), _FAR)
    baseline, window = Baseline(mean, deviation, _explained(z)), Window()
    taken = [_means(window, baseline, row, length) for row in centred + mean]
    means, unrest = np.array([m for m, _ in taken]), np.array([u for _, u in taken])
    noise = np.concatenate([_noise(z), _noise(z - z @ baseline.weights)])
    apart = np.sqrt(((means[length:, 0] - means[length:, 1]) ** 2).mean(axis=0))
    baseline.jump = _JUMP * np.maximum(apart, noise * np.sqrt(4 / length - 1 / length))
    series = _features(means[:, 0], means[:, 1], unrest, baseline.jump)[length // 2 :]
    reach, baseline.centre = _reach(series, len(rows) // _BLOCKS)
    own = np.split(3 * noise / np.sqrt(length), 2)
    own = np.maximum(np.concatenate([own[0], np.full(mean.size, 3 / np.sqrt(length)), own[1]]), _LEAST)
    wander = np.minimum(np.maximum(reach / (_WANDERS * own), 1.0), _MOST_WANDER)
    baseline.strays = np.minimum(np.maximum(reach / own - 1, 0.0), 1.0)
    heard = np.tile(2 * known.sum(axis=0) >= len(rows), 3)
    baseline.scale = np.where(heard, reach * wander / np.repeat(WEIGHTS, mean.size), _NEVER)
    return baseline, window, series


def settled(rows: Float64) -> bool:
    """Whether the last third of the rows lies where the rest has been: no channel is still on its way.

    >>> settled(np.sin(np.arange(240.0))[:, None]), settled(np.arange(240.0)[:, None])
    (True, False)
    """
    size = len(rows) // _STRETCHES
    cut = rows[: size * _STRETCHES].reshape(_STRETCHES, size, -1)
    known = ~np.isnan(cut)
    sums, count = np.where(known, cut, 0.0).sum(axis=1), known.sum(axis=1)
    mean = sums / np.maximum(count, 1)
    before, heard = 2 * _STRETCHES // 3, count > 0
    low = np.where(heard, mean, _NEVER)[:before].min(axis=0)
    high = np.where(heard, mean, -_NEVER)[:before].max(axis=0)
    slack = _SLACK * (high - low) + 1e-9 * np.abs(high)
    outside = ((mean < low - slack) | (mean > high + slack)) & heard
    return bool((outside[before:].sum(axis=0) <= 1).all())


def _means(window: Window, baseline: Baseline, row: Float64, length: int) -> tuple[Float64, Float64]:
    """Levels and residuals (2, 2 channels), over the short and the long window; and the unrest (channels,)."""
    if not window.seen:
        window.rows, window.unrest = np.zeros((length, row.size)), np.zeros((length // 2, row.size))
    rows, window.seen = window.rows, window.seen + 1
    rows[:-1] = rows[1:]
    rows[-1] = np.minimum(np.maximum((row - baseline.mean) / baseline.deviation, -_FAR), _FAR)
    levels = np.empty((2, row.size))
    for i, of in enumerate((length // 4, length)):
        n = min(window.seen, of)
        levels[i] = np.add.reduce(rows[-n:]) / n
    n = min(window.seen, length // 2)
    late = rows[-n:]
    mean = np.add.reduce(late) / n
    variance = np.einsum("ij,ij->j", late, late) / n - mean * mean
    window.unrest[:-1] = window.unrest[1:]
    window.unrest[-1] = np.log(np.sqrt(np.maximum(variance, 0.0)) + _QUIET)
    unrest = np.add.reduce(window.unrest[-n:]) / n
    return np.concatenate([levels, levels - levels @ baseline.weights], axis=1), unrest


def _features(short: Float64, long: Float64, unrest: Float64, jump: Float64) -> Float64:
    """Levels, unrest and residuals; the short window's where it has jumped away from the long one's."""
    means = np.where(np.abs(short - long) > jump, short, long)
    channels = unrest.shape[-1]
    return np.concatenate([means[..., :channels], unrest, means[..., channels:]], axis=-1)


def _noise(z: Float64) -> Float64:
    """Standard deviation of the noise from row to row, which no drift is part of."""
    steps = np.diff(z, axis=0)
    noise: Float64 = np.sqrt((steps**2).mean(axis=0) / 2)
    return noise


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


def _reach(series: Float64, block: int) -> tuple[Float64, Float64]:
    """How far each feature went from what was foreseen, and its mean; without a disturbance if there was one."""
    whole = _unforeseen(series, block)
    reach, centre = whole.copy(), series.mean(axis=0)
    for out in range(1, _MOST_OUT + 1):
        for at in range(0, len(series) - out * block + 1, block):
            rest = np.delete(series, np.s_[at : at + out * block], axis=0)
            less = _unforeseen(rest, block)
            better = (less * _CUT < whole) & (less < reach)
            reach[better], centre[better] = less[better], rest.mean(axis=0)[better]
    return reach, centre


def _unforeseen(series: Float64, block: int) -> Float64:
    """The largest distance of later rows from the mean of all rows before, at the end of each block."""
    reach = np.full(series.shape[1], _LEAST)
    for anchor in range(block, len(series) - block // 2, block):
        ahead = np.abs(series[anchor:] - series[:anchor].mean(axis=0)).max(axis=0)
        reach = np.maximum(reach, ahead)
    return reach
