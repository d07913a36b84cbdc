"""Like points against each other: who has left whom, what all of them do together, and what is not a reason."""

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from andon.events import HOUR_NS, MINUTE_NS, Action, Declaration, Declared, Finding, Float64, Origin, Readings
from andon.plant import Asset, Point
from detectors.neighbour_trend import Detector
from detectors.state import size_bytes

N, PERIOD_NS, T0 = 4, 10 * MINUTE_NS, 1_076_000_000_000_000_000
Gains = Callable[[int], Float64 | float]


def rig(n: int = N, *, per_bearing: int = 1) -> Asset:
    points = tuple(Point(id=f"P{i}", component=f"bearing_{i // per_bearing}") for i in range(n))
    return Asset(id="R", name="", asset_class="rig", path="e/s/a/l/c", points=points)


def row(k: int, gain: Float64 | float, n: int = N, *, unit: str = "g") -> Readings:
    level = 0.06 * np.exp(0.012 * np.random.default_rng([k, 3]).standard_normal(n)) * gain
    at_ns, channels = T0 + k * PERIOD_NS, tuple(f"P{i}/mean_abs" for i in range(n))
    index, good = np.arange(n, dtype=np.int32), np.zeros(n, np.uint32)
    return Readings("R", channels, (unit,) * n, np.full(n, at_ns), index, level, good, Origin("s", k, at_ns))


def told(
    rows: int, gain: Gains = lambda _: 1.0, *, n: int = N, per_bearing: int = 1, **parameters: Any
) -> list[Finding]:
    detector = Detector(rig(n, per_bearing=per_bearing), Detector.Parameters(**parameters))
    return [finding for k in range(rows) for finding in detector.update(row(k, gain(k), n))]


def one(i: int, factor: float, n: int = N) -> Float64:
    return np.where(np.arange(n) == i, factor, 1.0)


def k_of(finding: Finding) -> int:
    return (finding.at_ns - T0) // PERIOD_NS


def test_like_points_of_a_healthy_machine_say_nothing_whatever_they_do_together() -> None:
    assert told(2000, lambda k: 1 + 0.2 * math.sin(k / 70) + 0.1 * math.sin(k / 11)) == []


def test_a_point_that_leaves_the_others_by_a_tenth_is_raised_within_four_hours_and_dated() -> None:
    found = told(600, lambda k: one(2, 1.12 if k >= 300 else 1.0))
    assert [(finding.action, finding.component) for finding in found] == [(Action.RAISE, "bearing_2")]
    assert 300 < k_of(found[0]) <= 324
    assert abs(found[0].onset_ns - (T0 + 300 * PERIOD_NS)) <= 2 * HOUR_NS
    number = found[0].numbers[0]
    assert number.limit is not None
    assert 5 < number.limit < number.value < 13
    assert found[0].evidence["trend"]["value"][-1] > 1.05


def test_a_slow_rise_is_found_because_the_baseline_is_frozen() -> None:
    found = told(2500, lambda k: one(0, math.exp(0.0003 * max(0, k - 200))))
    assert found[0].component == "bearing_0"
    assert k_of(found[0]) < 200 + 0.14 / 0.0003


def test_a_restart_that_all_points_feel_is_one_operating_change_and_no_damage() -> None:
    steps = np.array([1.3, 1.4, 1.25, 1.35])
    found = told(800, lambda k: steps if k >= 300 else 1.0)
    assert [(f.condition, f.component, f.action.value) for f in found] == [
        ("operating_change", "machine", "raise"),
        ("operating_change", "machine", "clear"),
    ]
    assert 300 < k_of(found[0]) <= 316
    assert 25 < found[0].numbers[0].value < 40


def test_restarts_on_one_day_are_one_operating_change() -> None:
    found = told(500, lambda k: 1.0 if k < 200 else (1.3 if k < 240 else 1.6))
    assert [finding.action.value for finding in found] == ["raise", "update", "clear"]


def test_damage_is_found_across_a_restart() -> None:
    found = told(900, lambda k: (1.3 if k >= 400 else 1.0) * one(1, math.exp(0.0006 * max(0, k - 300))))
    assert {f.component for f in found if f.action is Action.RAISE} == {"machine", "bearing_1"}


def test_a_passing_disturbance_of_all_points_is_masked_and_not_told() -> None:
    assert told(600, lambda k: 1.4 if 300 <= k < 305 else 1.0) == []


def test_a_standing_machine_is_neither_judged_nor_a_change() -> None:
    assert told(800, lambda k: 0.05 if 300 <= k < 420 else 1.0) == []


def test_two_channels_of_a_bearing_are_no_neighbours_of_each_other() -> None:
    worn = np.where(np.arange(8) // 2 == 3, 1.2, 1.0)
    found = told(500, lambda k: worn if k >= 300 else 1.0, n=8, per_bearing=2)
    assert {finding.component for finding in found} == {"bearing_3"}
    assert {finding.text["point"] for finding in found} == {"P6", "P7"}


def test_what_the_others_hear_of_a_failing_bearing_is_not_theirs() -> None:
    def gain(k: int) -> Float64:
        excess = math.expm1(2 * 0.004 * max(0, k - 300))
        return np.sqrt(1 + excess * np.array([1.0, 0.1, 0.05, 0.12]))

    found = told(600, gain)
    assert {finding.component for finding in found} == {"bearing_0"}


def test_two_of_four_bearings_that_fail_soon_after_each_other_are_both_found() -> None:
    for second in (250, 350, 400):

        def gain(k: int, second: int = second) -> Float64:
            energy = np.expm1(2 * 0.0035 * np.maximum(0, k - np.array([300, 10_000, second, 10_000])))
            return np.sqrt(1 + energy + 0.15 * (energy.sum() - energy))

        assert {finding.component for finding in told(700, gain)} == {"bearing_0", "bearing_2"}


def test_two_points_cannot_say_who_has_left_whom() -> None:
    assert told(600, lambda k: one(0, 3.0 if k > 300 else 1.0, n=2), n=2) == []


def test_a_point_that_falls_silent_leaves_the_others_judged() -> None:
    found = told(
        700, lambda k: np.where((np.arange(N) == 3) & (k > 200), np.nan, one(0, 1.3 if k > 400 else 1))
    )
    assert [finding.component for finding in found] == ["bearing_0"]


def test_values_in_another_unit_are_not_compared() -> None:
    detector = Detector(rig(), Detector.Parameters())
    for k in range(300):
        detector.update(row(k, 1.0))
    assert [f for k in range(300, 400) for f in detector.update(row(k, one(1, 9.0), unit="m/s2"))] == []


def test_a_point_costs_five_kilobytes() -> None:
    detector = Detector(rig(), Detector.Parameters(quantities=("mean_abs",)))
    most = 0
    for k in range(500):
        detector.update(row(k, 1.0))
        most = max(most, size_bytes(detector.snapshot())) if k % 50 == 0 else most
    assert most <= (N + 1) * 6 * 1024


def test_a_repaired_bearing_is_learned_anew_and_the_others_are_still_judged() -> None:
    detector, at_ns = Detector(rig(), Detector.Parameters()), T0 + 300 * PERIOD_NS - 1
    what = Declaration(at_ns, "R", "bearing_1", Declared.REPAIR, "li.wei", "", None, Origin("e", 0, at_ns))

    def told_from(first: int, last: int, gain: Float64) -> list[Finding]:
        return [finding for k in range(first, last) for finding in detector.update(row(k, gain))]

    assert told_from(0, 300, one(1, 1.0)) == []
    assert list(detector.update(what)) == []
    assert [f.component for f in told_from(300, 400, one(1, 1.3) * one(2, 1.2))] == ["bearing_2"]
    assert told_from(400, 500, one(1, 1.3) * one(2, 1.2)) == []
    again = told_from(500, 560, one(1, 2.0) * one(2, 1.2))
    assert [(f.action, f.component) for f in again] == [(Action.RAISE, "bearing_1")]
    assert again[0].evidence["baseline"]["version"] == 2
    assert again[0].evidence["baseline"]["from_ns"] > at_ns
