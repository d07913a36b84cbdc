"""The naive way to compare with: how far from the mean of all the past a value lies, in standard deviations."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from river import proba

from andon.events import Float64

_GRACE = 100


def gaussian_scores(values: Sequence[float]) -> Float64:
    """Z / (1 + z) per value beside river's Gaussian of all before it: river's own scorer, kept from saturating at 8 z."""
    gaussian: Any = proba.Gaussian  # river is untyped
    past, score = gaussian(), np.zeros(len(values))
    for k, value in enumerate(values):
        if k >= _GRACE and past.sigma > 0 and math.isfinite(value):
            z = abs(value - past.mu) / past.sigma
            score[k] = z / (1 + z)
        if math.isfinite(value):
            past.update(value)
    return score
