"""The slope through a few points that one or two wild ones cannot turn, and how surely it goes that way."""

from typing import NamedTuple

import numpy as np

from andon.events import Float64

_FEWEST = 5


class Slope(NamedTuple):
    """Slope per unit of `at`, rise over all points, share of pairs that go its way, where it is zero, largest step of the rise."""

    per_point: float
    rise: float
    concordant: float
    zero: float
    largest_step: float


def slope_of(at: Float64, value: Float64) -> Slope | None:
    """The median of the slopes of all pairs; None for fewer than five points or a slope of nothing.

    Source: Theil 1950; Sen 1968, JASA 63, 1379-1389 (slope); Kendall 1938 (concordant pairs).

    >>> slope_of(np.arange(6.0), np.array([1.0, 2.0, 3.0, 40.0, 5.0, 6.0]))._replace(largest_step=0)
    Slope(per_point=1.0, rise=5.0, concordant=0.8666666666666667, zero=-1.5, largest_step=0)
    """
    if at.size < _FEWEST:
        return None
    early, late = np.triu_indices(at.size, 1)
    slopes = (value[late] - value[early]) / (at[late] - at[early])
    slope = float(np.median(slopes))
    if slope == 0:
        return None
    zero = float(np.median(at) - np.median(value) / slope)
    rise = abs(slope) * float(at[-1] - at[0])
    step = float((np.diff(value) * np.sign(slope)).max())
    return Slope(slope, rise, float((slopes * slope > 0).mean()), zero, step / rise)
