"""More stops than usual, longer ones, minor ones: against the machine's own past, and not against a single bad hour."""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from andon.events import (
    Action,
    Declaration,
    Declared,
    Event,
    Family,
    Finding,
    Gap,
    Origin,
    PackMLState,
    StopAlarm,
    Tick,
)
from andon.plant import Asset
from detectors.rates import HOUR_S, Usual, tail
from detectors.state import size_bytes
from detectors.stop_pattern import Detector
from ticketing.repeats import NO_FAILURE

ASSET = Asset(id="M1", name="M1", asset_class="press", path="e/s/a/l/c")
T0, EVERY_S = 1_790_000_000, 100
Stop = tuple[float, float, str]
"""Hour of its beginning, minutes, reason."""


def ns(hour: float) -> int:
    return (T0 + round(hour * HOUR_S)) * 1_000_000_000


def alarm(hour: float, reason: str, *, active: bool, late_s: int = 0) -> StopAlarm:
    state = PackMLState.STOPPED if active else PackMLState.RESETTING
    origin = Origin("mes", 0, ns(hour) + late_s * 1_000_000_000)
    return StopAlarm("M1", ns(hour), state, reason, 1, f"{reason}!", "mechanical", active, 500, origin)


def events(stops: Iterable[Stop], hours: float, others: Sequence[tuple[float, Event]] = ()) -> list[Event]:
    timed: list[tuple[float, Event]] = [*others]
    for hour, minutes, reason in stops:
        timed += [
            (hour, alarm(hour, reason, active=True)),
            (hour + minutes / 60, alarm(hour + minutes / 60, reason, active=False)),
        ]
    ticks = np.arange(0, hours, EVERY_S / HOUR_S).tolist()
    timed += [(hour, Tick(ns(hour), Origin("clock", 0, ns(hour)))) for hour in ticks]
    return [event for _, event in sorted(timed, key=lambda one: one[0])]


def told(stream: Iterable[Event], **parameters: Any) -> list[Finding]:
    detector = Detector(ASSET, Detector.Parameters(learn_h=100, **parameters))
    return [finding for event in stream for finding in detector.update(event)]


def steady(hours: float, every_h: float = 6.0, minutes: float = 12.0) -> list[Stop]:
    """Stops of three reasons in turn, as usual on this machine."""
    return [(h + 1, minutes, f"R{i % 3}") for i, h in enumerate(np.arange(0, hours - 1, every_h).tolist())]


def burst(from_h: float, count: int, over_h: float, minutes: float, reason: str) -> list[Stop]:
    return [(from_h + i * over_h / count, minutes, reason) for i in range(count)]


def test_the_chance_of_a_count_is_that_of_packs_at_an_unknown_rate() -> None:
    usual, hours, n = Usual(18, 120 * HOUR_S, 30), 8, 400_000
    size, rng = (usual.uneven + 1) / 2, np.random.default_rng(0)
    packs = rng.poisson(rng.gamma(18 / size + 1, 1 / 122, n) * hours)
    total = packs + np.where(packs > 0, rng.negative_binomial(np.maximum(packs, 1), 1 / size), 0)
    for count in (2, 4, 6):
        assert math.isclose(tail(count, hours * HOUR_S, usual), (total >= count).mean(), rel_tol=0.05)


def test_a_machine_that_stops_as_it_always_has_is_silent_for_two_months() -> None:
    rng = np.random.default_rng(3)
    hours = np.cumsum(rng.exponential(3.0, 480)).tolist()
    stops = [(h, float(rng.lognormal(1.5, 0.8)), f"R{rng.integers(4)}") for h in hours if h < 1400]
    assert told(events(stops, 1440)) == []


def test_a_reason_that_comes_much_more_often_is_one_finding_with_its_numbers() -> None:
    found = told(events([*steady(200), *burst(140, 12, 8, 12, "R1")], 200))
    assert [f.action for f in found] == [Action.RAISE, Action.CLEAR]
    first = found[0]
    assert (first.family, first.component, first.condition) == (Family.STOP, "R1", "stop_rate")
    numbers = {n.name: n for n in first.numbers}
    assert 5 <= numbers["stops"].value <= 11
    assert numbers["usual"].value < 1 < numbers["within_s"].value / HOUR_S < 8
    assert "100 running hours, frozen baseline v1" in numbers["usual"].limit_source
    assert numbers["one_in"].value >= 1e5
    assert first.onset_ns < first.at_ns < ns(148)
    assert first.evidence["trend"]["at_ns"] == sorted(first.evidence["trend"]["at_ns"])


def test_brief_stops_of_one_reason_are_minor_stops() -> None:
    found = told(events([*steady(150), *burst(120, 16, 5, 1.5, "JAM")], 150))
    assert [(f.component, f.condition) for f in found if f.action is Action.RAISE] == [("JAM", "minor_stops")]


def test_more_stops_of_many_reasons_are_the_machine_s() -> None:
    many = [(120 + i * 0.4, 6.0, f"X{i}") for i in range(24)]
    found = told(events([*steady(135), *many], 135))
    assert [(f.component, f.condition) for f in found if f.action is Action.RAISE] == [
        ("machine", "stop_rate")
    ]


def test_an_alarm_that_chatters_is_one_stop() -> None:
    flicker = [(120 + i * 20 / HOUR_S, 0.1, "GUARD") for i in range(400)]
    assert told(events([*steady(150), *flicker], 150)) == []


def test_stops_that_last_longer_are_told_once() -> None:
    rng = np.random.default_rng(1)
    lengths = [
        (h, float(rng.lognormal(math.log(5 if h < 500 else 25), 0.4)), "R")
        for h in np.arange(5, 700, 12.0).tolist()
    ]
    found = told(events(lengths, 720))
    assert [(f.condition, f.action.value) for f in found] == [("longer_stops", "raise")]
    numbers = {n.name: n.value for n in found[0].numbers}
    assert 2 <= numbers["ratio"] < 8
    assert 200 < numbers["usual_s"] < 420
    assert ns(500) < found[0].at_ns < ns(620)


def test_what_comes_late_in_maintenance_or_after_a_gap_counts_for_nothing() -> None:
    jam = burst(120, 12, 3, 5, "JAM")
    late = [(h, alarm(h - 3, "JAM", active=k == 0, late_s=3 * HOUR_S)) for h, _, _ in jam for k in (0, 1)]
    assert told(events(steady(150), 150, late)) == []
    begins, ends = (
        Declaration(ns(h), "M1", None, what, "zhang", "", None, Origin("own", 0, ns(h)))
        for h, what in ((119.9, Declared.MAINTENANCE_BEGINS), (123.5, Declared.MAINTENANCE_ENDS))
    )
    assert told(events([*steady(110), *jam], 150, [(119.9, begins), (123.5, ends)])) == []


def test_hours_without_word_from_the_source_are_no_hours_without_stops() -> None:
    away = Gap("mes", None, None, ns(20), None, "source_silent", False, Origin("mes", 0, ns(20)))
    back = Gap("mes", None, None, ns(20), ns(90), "source_silent", False, Origin("mes", 0, ns(90)))
    detectors = [Detector(ASSET, Detector.Parameters()) for _ in range(2)]
    for detector, gaps in zip(detectors, ([], [(20.0, away), (90.0, back)]), strict=True):
        for event in events([(1.0, 5.0, "R")], 100, gaps):
            detector.update(event)
    counted = [detector.snapshot()["running_ns"] / 3.6e12 for detector in detectors]
    assert math.isclose(counted[0] - counted[1], 70, abs_tol=0.1)


def test_a_declared_operating_change_ends_a_pattern_and_makes_it_the_usual() -> None:
    more = burst(120, 200, 200, 12, "R1")
    declared = Declaration(
        ns(150), "M1", None, Declared.OPERATING_CHANGE, "wu", "new mix", None, Origin("own", 0, ns(150))
    )
    found = told(events([*steady(118), *more], 320, [(150, declared)]))
    assert [(f.action.value, f.at_ns >= ns(150)) for f in found if f.action is not Action.UPDATE] == [
        ("raise", False),
        ("clear", True),
    ]


def test_the_state_is_bounded_with_hundreds_of_reasons() -> None:
    detector = Detector(ASSET, Detector.Parameters())
    for event in events([(i / 20, 1.5, f"reason {i}") for i in range(400)], 20):
        detector.update(event)
    assert size_bytes(detector.snapshot()) < 192 * 1024


def test_a_pattern_is_no_failure_beside_the_stops_that_it_counts() -> None:
    assert {"stop_rate", "minor_stops", "longer_stops", "chattering"} <= NO_FAILURE
