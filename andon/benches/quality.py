"""What is named on simulated truth: damaged bearing elements and machine faults, by severity, noise and speed error."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from itertools import product
from math import pi, sin
from multiprocessing import get_context

import numpy as np

from andon.benches import Row
from andon.events import SECOND_NS, Action, Origin, Waveform
from andon.plant import Asset, Bearing, DetectorSettings, Plant, Point
from detectors import build
from simulators.bearing import Element, Fault, Vibration, synthesise

KINDS = ("bearing_element", "machine_fault")
BEARING, SPEED_HZ, RATE_HZ, SAMPLES, PERIOD_S = "6208", 29.0, 12_800.0, 8192, 10
HEALTHY_BLOCKS, FAULTY_BLOCKS = 45, 45
NOISE_G = 0.06
CONDITION: dict[Element | Fault | None, str] = {
    None: "none",
    Element.OUTER_RACE: "bearing_outer_race",
    Element.INNER_RACE: "bearing_inner_race",
    Element.ROLLING_ELEMENT: "bearing_rolling_element",
    **{fault: fault.value for fault in Fault},
    Fault.ANGULAR_MISALIGNMENT: "misalignment",
}
UNKNOWN = "bearing_unknown"
SAID = tuple(dict.fromkeys(["none", UNKNOWN, *CONDITION.values()]))


@dataclass(frozen=True, slots=True)
class Case:
    """One life: healthy for a while, then damaged to a degree; told at a speed that is a little wrong."""

    truth: Element | Fault | None
    severity: float
    noise: float
    speed_error: float


@dataclass(frozen=True, slots=True)
class Told:
    """What was said of a case: "none", "bearing_unknown", or the first name, a wrong one before a right one."""

    case: Case
    said: str

    @property
    def right(self) -> bool:
        """Whether that is the truth."""
        return self.said == CONDITION[self.case.truth]

    @property
    def false(self) -> bool:
        """Whether a name was given that is not the truth; worse than none."""
        return not self.right and self.said not in {"none", UNKNOWN}


def cases(*, quick: bool = False) -> list[Case]:
    """Every truth at every severity, noise and speed error."""
    severities, noises, errors = (
        ((0.5,), (1.0,), (0.0, 0.01)) if quick else ((0.2, 0.5, 1.0), (1.0, 2.0), (0.0, -0.01, 0.01))
    )
    return [Case(*one) for one in product(CONDITION, severities, noises, errors)]


def tell(chosen: Sequence[Case], jobs: int, step: Callable[[str], None]) -> list[Told]:
    """The cases through the detectors, on several cores; each is the same on any of them."""
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as workers:
        told = []
        for one in workers.map(told_of, chosen):
            step(f"{CONDITION[one.case.truth]} at severity {one.case.severity}")
            told.append(one)
    return told


def told_of(case: Case) -> Told:
    """What the detectors of the product, as they come, say of one case."""
    bearing = Bearing.model_validate(BEARING)
    point = Point(
        id="DE", component="bearing_de", kind="waveform", bearing=bearing, speed_hz=SPEED_HZ, axial_axis=2
    )
    kinds = tuple(DetectorSettings(kind=kind) for kind in KINDS)
    asset = Asset(id="rig", name="rig", asset_class="rig", path="e/s/a/l/c", points=(point,), detectors=kinds)
    detectors = build(asset, Plant(name="rig", assets=(asset,)))
    found = [
        finding.condition
        for block in _blocks(case, bearing)
        for detector in detectors
        for finding in detector.update(block)
        if finding.action is not Action.CLEAR
    ]
    ranked = sorted(found, key=lambda said: (said == UNKNOWN, said == CONDITION[case.truth]))
    return Told(case, ranked[0] if ranked else "none")


def _blocks(case: Case, bearing: Bearing) -> Iterator[Waveform]:
    seed = [round(100 * x) for x in (case.severity, case.noise, 1 + case.speed_error)]
    who = list(CONDITION).index(case.truth)
    for k in range(HEALTHY_BLOCKS + FAULTY_BLOCKS):
        swing = 0.02 * sin(2 * pi * k / 37)
        now = Vibration(SPEED_HZ * (1 + swing), 0.8, NOISE_G * case.noise, 1 + swing, bearing, slip=0.004)
        if k >= HEALTHY_BLOCKS and isinstance(case.truth, Element):
            now = replace(now, element=case.truth, severity=case.severity)
        elif k >= HEALTHY_BLOCKS and isinstance(case.truth, Fault):
            now = replace(now, fault=case.truth, fault_severity=case.severity)
        rng = np.random.default_rng([who, *seed, k])
        across = synthesise(now, rng, n=SAMPLES, rate_hz=RATE_HZ)
        along = synthesise(replace(now, axial=True), rng, n=SAMPLES, rate_hz=RATE_HZ)
        samples = np.stack([across, along], axis=1)
        at_ns, told_hz = (k + 1) * PERIOD_S * SECOND_NS, now.speed_hz * (1 + case.speed_error)
        yield Waveform("rig", "DE", at_ns, RATE_HZ, samples, "g", told_hz, Origin("rig", k, at_ns))


def rows(told: Sequence[Told]) -> list[Row]:
    """The false namings, then the share that is right by truth, severity, noise and speed error, then what else was said."""
    false = sum(one.false for one in told)
    found = [Row("false namings", float(false), f"of {len(told)} cases", limit=0.0)]
    groups: list[tuple[str, Callable[[Case], str]]] = [
        ("", lambda case: CONDITION[case.truth]),
        ("severity ", lambda case: f"{case.severity:g}"),
        ("noise × ", lambda case: f"{case.noise:g}"),
        ("speed error ", lambda case: f"{100 * case.speed_error:+g} %"),
    ]
    for name, key in groups:
        faulty = [one for one in told if not name or one.case.truth is not None]
        for value in dict.fromkeys(key(one.case) for one in faulty):
            some = [one.right for one in faulty if key(one.case) == value]
            found.append(Row(f"right: {name}{value}", 100 * sum(some) / len(some), f"% of {len(some)}"))
    pairs = Counter((CONDITION[one.case.truth], one.said) for one in told if not one.right)
    return found + [Row(f"{truth}, told as {said}", float(n), "cases") for (truth, said), n in pairs.items()]


def confusion(told: Sequence[Told]) -> list[list[str]]:
    """A table of truth (down) by what was said (across), with its heads; a dot is nothing."""
    pairs = Counter((CONDITION[one.case.truth], one.said) for one in told)
    shown = [said for said in SAID if any(one.said == said for one in told)]
    lines = [
        [truth, *(str(pairs[truth, said] or "·") for said in shown)]
        for truth in dict.fromkeys(CONDITION.values())
    ]
    return [["truth", *shown], *lines]
