"""How unlike any earlier course the latest one is, over two lengths: the distance to the nearest.

The distance at every lag is a running sum, so that a reading costs a few additions per lag however long a course.
"""

import math
from dataclasses import dataclass, field

import numpy as np

from andon.events import Float32, Float64

COUNT = 4
"""How many distances there are."""

LAGS = 2048  # readings: a week of five minutes
_MEANS = (3, 3, 12, 12)  # readings whose mean is compared
LENGTHS = [24, 24, 96, 96]
"""Readings of a course."""

_LONGEST = 96
_KEPT = LAGS + _LONGEST
_FEWEST = 100  # readings before a distance means anything


@dataclass(slots=True)
class Courses:
    """The readings of late, plain and compressed by asinh, and the squared distance at every lag: 135 KB at most.

    `past` (COUNT, n) holds the latest readings from `at` on, newest first, so that none has to move; it grows.
    """

    count: int = 0
    at: int = 0
    recent: Float64 = field(default_factory=lambda: np.zeros((2, 12)))
    past: Float32 = field(default_factory=lambda: np.zeros((COUNT, 0), np.float32))
    squares: Float64 = field(default_factory=lambda: np.zeros((COUNT, 0)))


def strangeness(courses: Courses, y: float) -> Float64:
    """Distance of the latest course to the nearest that does not overlap it (COUNT,), NaN while none is known.

    Over 24 readings, by means of 3, and over 96, by means of 12: plain, then compressed.
    """
    now = _enter(courses, y)
    count, past = courses.count, courses.past[:, courses.at :]
    known = min(count - 1, LAGS)
    if known > courses.squares.shape[1]:
        courses.squares = np.pad(courses.squares, ((0, 0), (0, min(known + _FEWEST, LAGS - known + 1))))
    squares = courses.squares
    for k, length in enumerate(LENGTHS):
        lags = squares[k, :known]
        lags += np.square(now[k] - past[k, 1 : known + 1], dtype=np.float64)
        if (leave := min(count - 1 - length, LAGS)) > 0:
            gone = past[k, length]
            squares[k, :leave] -= np.square(gone - past[k, length + 1 : length + 1 + leave], dtype=np.float64)
    if count <= _FEWEST:
        return np.full(COUNT, np.nan)
    return np.array([_nearest(squares[k], count, length) for k, length in enumerate(LENGTHS)])


def _nearest(squares: Float64, count: int, length: int) -> float:
    """Of the lags at which the earlier course is whole and ended as the latest began."""
    whole = min(count - length, LAGS)
    if whole < length:
        return math.nan
    return math.sqrt(max(0.0, float(squares[length - 1 : whole].min())))


def _enter(courses: Courses, y: float) -> Float32:
    """Put the means up to the next reading before all earlier ones."""
    recent = courses.recent
    recent[:, :-1] = recent[:, 1:]
    recent[:, -1] = y, math.asinh(y)
    if courses.count == 0:
        recent[:] = recent[:, -1:]
    if courses.at == 0:
        kept = courses.past[:, :_KEPT]
        courses.at = max(_FEWEST, kept.shape[1])
        courses.past = np.concatenate([np.zeros((COUNT, courses.at), np.float32), kept], axis=1)
    courses.at -= 1
    courses.count += 1
    now = np.concatenate([recent[:, -mean:].mean(axis=1) for mean in _MEANS[::2]]).astype(np.float32)
    courses.past[:, courses.at] = now
    return now
