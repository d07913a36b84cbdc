"""How unlike any earlier course the latest six values are: the distance to the nearest one."""

import math
from dataclasses import dataclass, field

import numpy as np

from andon.events import Float32, Float64

LENGTH = 6
MOST = 256
_FEWEST = 20


@dataclass(slots=True)
class Courses:
    """Earlier courses, as they were and with large values compressed; every `stride`-th is kept, 12 KB in all."""

    kept: Float32 = field(default_factory=lambda: np.zeros((MOST, 2, LENGTH), np.float32))
    held: int = 0
    stride: int = 1
    count: int = 0
    past: Float64 = field(default_factory=lambda: np.zeros((2, 2 * LENGTH)))


def strangeness(courses: Courses, y: float) -> list[float]:
    """Mean distance of the latest course to the nearest that does not overlap it, plain and compressed by asinh.

    0 while fewer than 20 are known. When `MOST` are kept, every second one goes and half as many come.
    """
    courses.past[:, :-1] = courses.past[:, 1:]
    courses.past[:, -1] = y, math.asinh(y)
    courses.count += 1
    if courses.count < 2 * LENGTH:
        return [0.0, 0.0]
    said = [0.0, 0.0]
    if courses.held > _FEWEST:
        now = courses.past[:, LENGTH:].astype(np.float32)
        said = np.abs(courses.kept[: courses.held] - now).sum(axis=2).min(axis=0).tolist()
    if courses.count % courses.stride == 0:
        _keep(courses)
    return said


def _keep(courses: Courses) -> None:
    """Keep the course that ended as the latest began."""
    if courses.held == MOST:
        courses.kept[: MOST // 2] = courses.kept[::2].copy()
        courses.held, courses.stride = MOST // 2, 2 * courses.stride
    courses.kept[courses.held] = courses.past[:, :LENGTH]
    courses.held += 1
