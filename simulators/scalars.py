"""Scalars of a simulated plant as they are day after day, and what can go wrong with one: each a function of its seed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from andon.events import SECOND_NS, Float64, Int64, Origin, Readings

T0_S = 1_700_006_400 - 4 * 86_400  # a Saturday, 00:00 UTC; the week begins on a Monday two days later
DAY_S = 86_400
CHANNEL, UNIT = "T1/temperature", "Cel"

Shape = Callable[[np.random.Generator, Float64], Float64]
"""Values of a healthy channel at the given seconds since the beginning."""


def wander(rng: np.random.Generator, t: Float64, hours: float, sigma: float) -> Float64:
    """A stationary Gauss-Markov course with that memory: weather, load, feed."""
    grid = np.arange(0, t[-1] + 7200, 3600.0)
    keep = np.exp(-1 / hours)
    noise = rng.normal(0, sigma * np.sqrt(1 - keep * keep), grid.size)
    course = np.empty(grid.size)
    level = rng.normal(0, sigma)
    for i, one in enumerate(noise.tolist()):
        level = keep * level + one
        course[i] = level
    return np.interp(t, grid, course)


def shift_on(t: Float64, begin_h: float = 6, end_h: float = 22, days: int = 5) -> Float64:
    """1 in production hours of working days, else 0."""
    day, hour = (t // DAY_S + 5) % 7, t % DAY_S / 3600
    return ((day < days) & (hour >= begin_h) & (hour < end_h)).astype(np.float64)


def warm(t: Float64, driven: Float64, hours: float) -> Float64:
    """A first-order body that is driven: start-up curves and cooling down."""
    out, level = np.empty(t.size), float(driven[0])
    keep = np.exp(-np.diff(t, prepend=t[0]) / 3600 / hours)
    for i, (one, k) in enumerate(zip(driven.tolist(), keep.tolist(), strict=True)):
        level = one + (level - one) * k
        out[i] = level
    return out


def ambient(rng: np.random.Generator, t: Float64) -> Float64:
    """A hall's temperature: a day, weather, noise."""
    day = 3 * np.sin(2 * np.pi * (t / DAY_S - 0.35))
    return 22 + day + wander(rng, t, 36, 1.2) + rng.normal(0, 0.15, t.size)


def bearing(rng: np.random.Generator, t: Float64) -> Float64:
    """A bearing that always runs: load and ambient, resolved to a tenth."""
    day = 2 * np.sin(2 * np.pi * (t / DAY_S - 0.35))
    value = 55 + day + wander(rng, t, 24, 0.8) + wander(rng, t, 2, 0.4) + rng.normal(0, 0.2, t.size)
    rounded: Float64 = np.round(value, 1)
    return rounded


def two_shifts(rng: np.random.Generator, t: Float64) -> Float64:
    """A bearing that runs in two shifts on working days, with warming up and cooling down; nobody says when it runs."""
    jitter = rng.normal(0, 300)
    body = warm(t, 22 + 30 * shift_on(t + jitter), 1.0)
    return (
        body
        + 1.5 * np.sin(2 * np.pi * (t / DAY_S - 0.35))
        + wander(rng, t, 30, 0.8)
        + rng.normal(0, 0.2, t.size)
    )


def pressure(rng: np.random.Generator, t: Float64) -> Float64:
    """A controlled pressure, noise alone."""
    return 6 + rng.normal(0, 0.05, t.size) + wander(rng, t, 1, 0.02)


def tank(rng: np.random.Generator, t: Float64) -> Float64:
    """A level that is drawn down and refilled, each time in its own time."""
    hours = rng.uniform(5, 30) * rng.lognormal(0, 0.15, int(t[-1] / 3600 / 3) + 2)
    ends = np.cumsum(hours) * 3600
    now = np.searchsorted(ends, t)
    return 40 + 40 * (ends[now] - t) / (hours[now] * 3600) + rng.normal(0, 0.3, t.size)


def current(rng: np.random.Generator, t: Float64) -> Float64:
    """A motor's current with inrush peaks: heavy tails upwards."""
    peaks = (rng.random(t.size) < 0.003) * rng.exponential(15, t.size)
    return 24 + 1.5 * shift_on(t, 0, 24, 5) + wander(rng, t, 6, 0.6) + rng.normal(0, 0.4, t.size) + peaks


def coarse(rng: np.random.Generator, t: Float64) -> Float64:
    """A slow temperature of whole degrees: it stands for hours."""
    value: Float64 = np.round(
        40
        + 1.5 * np.sin(2 * np.pi * (t / DAY_S - 0.3))
        + wander(rng, t, 30, 0.5)
        + rng.normal(0, 0.05, t.size)
    )
    return value


def setting(rng: np.random.Generator, t: Float64) -> Float64:
    """A set point that is changed every few days."""
    changes = np.cumsum(rng.random(t.size) < np.diff(t, prepend=t[0]) / (4 * DAY_S))
    value: Float64 = np.round(rng.uniform(10, 90, int(changes[-1]) + 1))[changes.astype(int)]
    return value


def vibration(rng: np.random.Generator, t: Float64) -> Float64:
    """A velocity whose logarithm wanders."""
    value: Float64 = 1.8 * np.exp(wander(rng, t, 8, 0.1) + rng.normal(0, 0.08, t.size))
    return value


def season(rng: np.random.Generator, t: Float64) -> Float64:
    """A hall from winter towards summer."""
    rise: Float64 = 5 * np.sin(2 * np.pi * t / (365 * DAY_S))
    return ambient(rng, t) + rise


def fronts(rng: np.random.Generator, t: Float64) -> Float64:
    """A hall in changeable weather: a few degrees up or down within a week, again and again."""
    waves = [
        rng.uniform(1.0, 2.5) * np.sin(2 * np.pi * (t / DAY_S / days + rng.random()))
        for days in rng.uniform(9, 24, 3)
    ]
    value: Float64 = ambient(rng, t) + np.sum(waves, axis=0)
    return value


def restarts(rng: np.random.Generator, t: Float64) -> Float64:
    """An oil temperature that warms up after stops of minutes to hours, several a week, at any time."""
    begins = np.cumsum(rng.exponential(30, int(t[-1] / 3600 / 20) + 9)) * 3600
    ends = begins + rng.lognormal(0, 1, begins.size) * 3600
    which = np.searchsorted(begins, t) - 1
    stands = (which >= 0) & (t < ends[which])
    return warm(t, np.where(stands, 25.0, 58.0), 0.7) + wander(rng, t, 20, 0.8) + rng.normal(0, 0.2, t.size)


def on_off(rng: np.random.Generator, t: Float64) -> Float64:
    """A heater's power: on or off, switched at any time, by night seldom."""
    day = 0.5 + 0.4 * np.sin(2 * np.pi * (t / DAY_S - 0.3))
    phase = np.cumsum(np.diff(t, prepend=t[0]) / (2400 * rng.lognormal(0, 0.3, t.size)))
    return np.where(phase % 1 < day, 7.5, 0.0) + rng.normal(0, 0.05, t.size)


def counter(rng: np.random.Generator, t: Float64) -> Float64:
    """Parts that a machine has made: a number that only grows, in production hours."""
    grid = np.arange(0, t[-1] + 86_400, 600.0)
    made = np.cumsum(shift_on(grid) * rng.gamma(20, 0.05 / 20, grid.size)) * 600
    value: Float64 = np.floor(1e5 + np.interp(t, grid, made))
    return value


def shift_counter(rng: np.random.Generator, t: Float64) -> Float64:
    """Parts of the shift that runs: from zero again every eight hours."""
    grid = np.arange(0, t[-1] + 86_400, 600.0)
    made = np.cumsum(shift_on(grid, 6, 22, 6) * rng.gamma(20, 0.05 / 20, grid.size)) * 600
    began = np.maximum(0, (t + 7200) // 28_800 * 28_800 - 7200)
    return np.floor(np.interp(t, grid, made) - np.interp(began, grid, made))


def flow(rng: np.random.Generator, t: Float64) -> Float64:
    """A flow that is demanded: multiplied by its day, at weekends half, with skewed noise and a zero that is cut off."""
    day = 1 + 0.4 * np.sin(2 * np.pi * (t / DAY_S - 0.25))
    demand = 30 * day * (0.5 + 0.5 * shift_on(t, 0, 24)) * np.exp(wander(rng, t, 5, 0.15))
    return np.maximum(0, demand * rng.gamma(30, 1 / 30, t.size) - 3)


def heavy(rng: np.random.Generator, t: Float64) -> Float64:
    """A concentration whose readings scatter with heavy tails to both sides."""
    value: Float64 = 3 + wander(rng, t, 12, 0.05) + 0.04 * rng.standard_t(3, t.size)
    return value


HEALTHY: dict[str, Shape] = {
    shape.__name__: shape
    for shape in (
        *(ambient, bearing, two_shifts, pressure, tank, current, coarse, setting, vibration, season),
        *(fronts, restarts, on_off, counter, shift_counter, flow, heavy),
    )
}


@dataclass(frozen=True)
class Course:
    """Times in seconds since the beginning, and values there."""

    t: Float64
    value: Float64

    def blocks(self, rows: int = 2000, channel: str = CHANNEL, unit: str = UNIT) -> Iterator[Readings]:
        """The course as messages of an asset M1."""
        at_ns: Int64 = np.round((T0_S + self.t) * SECOND_NS).astype(np.int64)
        for i in range(0, at_ns.size, rows):
            part = slice(i, i + rows)
            n = at_ns[part].size
            origin = Origin("plc", i, int(at_ns[part][-1]))
            yield Readings(
                "M1",
                (channel,),
                (unit,),
                at_ns[part],
                np.zeros(n, np.int32),
                self.value[part],
                np.zeros(n, np.uint32),
                origin,
            )


def course(shape: Shape, seed: int, days: float, period_s: float, *, even: bool = True) -> Course:
    """A healthy course; if not `even`, with jitter, losses and gaps of hours."""
    rng = np.random.default_rng([seed, 77])
    t = np.arange(0, days * DAY_S, period_s)
    if not even:
        t = np.sort(t + rng.uniform(0, 0.9 * period_s, t.size))
        lost = rng.random(t.size) < 0.02
        for begin in rng.uniform(0, days, max(1, int(days / 20))):
            lost |= (t > begin * DAY_S) & (t < begin * DAY_S + rng.uniform(1, 20) * 3600)
        return Course(t[~lost], shape(rng, t)[~lost])  # what is not heard happens all the same
    return Course(t, shape(rng, t))
