"""What is found on simulated scalars, and how often a healthy one is spoken of: kinds by planted size, shape and sampling."""

from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from multiprocessing import get_context
from statistics import median

import numpy as np

from andon.benches import Row
from andon.events import SECOND_NS, Action, Finding, Float64
from andon.plant import Asset, DetectorSettings, Plant, Point
from andon.ports import Detector
from detectors import build
from simulators.scalars import CHANNEL, DAY_S, HEALTHY, T0_S, UNIT, Course, course

KINDS = ("level_shift", "drift", "variance_change", "stuck_value", "spike")
SAMPLINGS = {
    "1 s": (1.0, True),
    "10 s": (10.0, True),
    "1 min": (60.0, True),
    "10 min": (600.0, True),
    "10 min, uneven": (600.0, False),
    "30 min": (1800.0, True),
}
JUDGED_FROM_D, ONSET_D, FAULT_D, MONTH_D = 14.0, 22.0, 12.0, 30.0
DECIDED = frozenset({"setting", "counter", "shift_counter", "on_off", "restarts"})
"""Shapes that are decided or counted, or swing with stops that nobody tells: nothing is planted in them, but healthy they have to stay unspoken of."""
COARSE = frozenset({"coarse"})
"""Shapes whose scatter lies below their resolution: there is none to be multiplied."""
_RING = 11
_LEAST_FOUND, _MOST_FALSE = 95.0, 1.0

Fault = Callable[[Course, float, np.random.Generator], Float64]


@dataclass(frozen=True, slots=True)
class Life:
    """One healthy channel; faults are planted into copies of it."""

    shape: str
    sampling: str
    seed: int
    days: float


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a life: kinds that spoke while it was healthy, and hours to each planted fault's finding."""

    life: Life
    false: tuple[str, ...]
    after_h: dict[str, float | None]


def lives(*, quick: bool = False, seeds: Sequence[int] = (1, 2)) -> list[Life]:
    """Every shape at the slower samplings; few at those of seconds, and for fewer days."""
    found = []
    for sampling, (period_s, _) in SAMPLINGS.items():
        shapes, chosen, days = list(HEALTHY), list(seeds), 74.0
        if period_s < 60:
            shapes, chosen, days = ["bearing", "pressure", "current", "heavy"], list(seeds)[:1], 36.0
        elif period_s < 600:
            chosen, days = list(seeds)[:1], 44.0
        if quick:
            shapes, chosen, days = ["bearing", "tank"], [seeds[0]], 36.0
        if not quick or period_s == 1800:
            found += [Life(shape, sampling, seed, days) for shape in shapes for seed in chosen]
    return found


def tell(chosen: Sequence[Life], jobs: int, step: Callable[[str], None]) -> list[Told]:
    """The lives through the detectors, on several cores; each is the same on any of them."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers:
        told = []
        for one in workers.map(told_of, chosen):
            step(f"{one.life.shape} every {one.life.sampling}")
            told.append(one)
    return told


def told_of(life: Life) -> Told:
    """What the detectors of the product, as they come, say of one life and of each fault planted in it."""
    period_s, even = SAMPLINGS[life.sampling]
    healthy = course(HEALTHY[life.shape], life.seed, life.days, period_s, even=even)
    rng = np.random.default_rng([life.seed, 5])
    onset_s = (ONSET_D + rng.random()) * DAY_S
    ended_s = onset_s + FAULT_D * DAY_S
    detectors = _detectors()
    said = _said(detectors, _part(healthy, 0, onset_s))
    states = [detector.snapshot() for detector in detectors]
    after_h: dict[str, float | None] = {}
    for name, (kind, fault) in FAULTS.items() if life.shape not in DECIDED else ():
        if kind == "variance_change" and life.shape in COARSE:
            continue
        at = KINDS.index(kind)
        one = _detectors()[at]
        one.restore(states[at])
        faulty = replace(healthy, value=fault(healthy, onset_s, rng))
        raised = [f for f in _said([one], _part(faulty, onset_s, ended_s)) if f.action is Action.RAISE]
        after_h[name] = (raised[0].at_ns / SECOND_NS - T0_S - onset_s) / 3600 if raised else None
    said += _said(detectors, _part(healthy, onset_s, life.days * DAY_S))
    return Told(life, tuple(f.detector for f in said if f.action is Action.RAISE), after_h)


def _detectors() -> list[Detector]:
    point = Point(id=CHANNEL.partition("/")[0], component="c", quantities={CHANNEL.partition("/")[2]: UNIT})
    kinds = tuple(DetectorSettings(kind=kind) for kind in KINDS)
    asset = Asset(id="M1", name="M1", asset_class="rig", path="e/s/a/l/c", points=(point,), detectors=kinds)
    return build(asset, Plant(name="bench", assets=(asset,)))


def _said(detectors: Sequence[Detector], one: Course) -> list[Finding]:
    return [f for block in one.blocks() for detector in detectors for f in detector.update(block)]


def _part(one: Course, from_s: float, to_s: float) -> Course:
    inside = (one.t >= from_s) & (one.t < to_s)
    return Course(one.t[inside], one.value[inside])


def strays_by(one: Course) -> float:
    """Sigma of a channel: how far, robustly, an hour's mean is off that of a day or a week before, what is nearer."""
    hour = (one.t // 3600).astype(np.int64)
    count = np.bincount(hour)
    mean = np.bincount(hour, one.value) / np.where(count, count, np.nan)
    off = [float(np.nanmedian(np.abs(mean[before:] - mean[:-before]))) for before in (24, 168)]
    return 1.4826 * min(off) or float(np.nanstd(mean))


def scatters_by(one: Course) -> float:
    """What 99 of 100 readings lie from the median of the eleven before them, at most."""
    rings = np.lib.stride_tricks.sliding_window_view(one.value[:20_000], _RING)
    return float(
        np.quantile(
            np.abs(one.value[_RING : len(rings)] - np.median(rings, axis=1)[: len(rings) - _RING]), 0.99
        )
    )


def _step(sigmas: float) -> Fault:
    return lambda one, onset_s, _: one.value + sigmas * strays_by(one) * (one.t >= onset_s)


def _creep(sigmas: float) -> Fault:
    return lambda one, onset_s, _: (
        one.value + sigmas * strays_by(one) * np.maximum(0, one.t - onset_s) / DAY_S
    )


def _spread(times: float) -> Fault:
    """What a reading is off the mean of itself and the ten around it, multiplied."""

    def planted(one: Course, onset_s: float, _: np.random.Generator) -> Float64:
        edge = np.pad(one.value, _RING // 2, mode="edge")
        smooth = np.convolve(edge, np.full(_RING, 1 / _RING), "valid")
        return np.where(one.t >= onset_s, smooth + times * (one.value - smooth), one.value)

    return planted


def _stuck(one: Course, onset_s: float, _: np.random.Generator) -> Float64:
    return np.where(one.t >= onset_s, one.value[np.searchsorted(one.t, onset_s)], one.value)


def _spikes(a_day: int, times: float) -> Fault:
    def planted(one: Course, onset_s: float, rng: np.random.Generator) -> Float64:
        value = one.value.copy()
        at = np.searchsorted(one.t, onset_s + np.sort(rng.random(int(a_day * FAULT_D))) * FAULT_D * DAY_S)
        value[np.minimum(at, value.size - 1)] += times * scatters_by(one) * rng.choice([-1, 1])
        return value

    return planted


FAULTS: dict[str, tuple[str, Fault]] = {
    "step of 4 sigma": ("level_shift", _step(4)),
    "step of 8 sigma": ("level_shift", _step(8)),
    "step of 16 sigma": ("level_shift", _step(-16)),
    "creep of ½ sigma a day": ("drift", _creep(0.5)),
    "creep of 1 sigma a day": ("drift", _creep(1)),
    "spread × 3": ("variance_change", _spread(3)),
    "spread × ⅕": ("variance_change", _spread(0.2)),
    "stuck": ("stuck_value", _stuck),
    "8 spikes a day of 4 × the scatter": ("spike", _spikes(8, 4)),
    "8 spikes a day of 8 × the scatter": ("spike", _spikes(8, 8)),
}
GOALS = frozenset(
    {"step of 8 sigma", "creep of 1 sigma a day", "spread × 3", "stuck", "8 spikes a day of 8 × the scatter"}
)


def months(told: Sequence[Told]) -> float:
    """Channel-months that were judged, each after the two weeks of learning."""
    return sum(one.life.days - JUDGED_FROM_D for one in told) / MONTH_D


def rows(told: Sequence[Told]) -> list[Row]:
    """False findings per 100 channel-months, over all five and by kind, shape and sampling; then what is found, and when."""
    false = Counter(kind for one in told for kind in one.false)
    per = 100 / months(told)
    found = [
        Row(
            "scalars: false findings",
            per * false.total(),
            f"per 100 channel-months, of {months(told):.0f}",
            limit=_MOST_FALSE,
        )
    ]
    found += [Row(f"scalars: false {kind}", per * false[kind], "per 100 channel-months") for kind in KINDS]
    for name in FAULTS:
        after = [one.after_h[name] for one in told if name in one.after_h]
        hours = [one for one in after if one is not None]
        limit = _LEAST_FOUND if name in GOALS else None
        found.append(
            Row(
                f"scalars: {name}, found",
                100 * len(hours) / max(1, len(after)),
                f"% of {len(after)}",
                limit=limit,
                at_least=True,
            )
        )
        if hours:
            found.append(Row(f"scalars: {name}, delay", median(hours), "h, median"))
    return found
