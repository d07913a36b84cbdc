"""Velocity zones: the table, its boundaries, and when a zone is entered and left for good."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from pydantic import ValidationError

from andon.events import Action, Finding, Origin, PackMLState, Readings, StopAlarm
from andon.plant import Asset, Point
from detectors.velocity_zones import Detector
from detectors.zone_tables import alarm_mm_s, limits_at, limits_of, trip_mm_s, zone_of
from tests.vibration import PERIOD_NS, T0

POINT = Point(id="VEL", component="bearing_de", quantities={"velocity_rms": "mm/s"})


def make(
    power_kw: float | None = 75, foundation: str = "rigid", point: Point = POINT, **parameters: Any
) -> Detector:
    fields = {"power_kw": power_kw, "foundation": foundation, "points": (point,)}
    asset = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", **fields)
    return Detector(asset, Detector.Parameters(**parameters))


def readings(
    first: int,
    values: Sequence[float],
    *,
    unit: str = "mm/s",
    quality: int = 0,
    channel: str = "VEL/velocity_rms",
) -> Readings:
    n = len(values)
    at_ns = T0 + (first + np.arange(n)) * PERIOD_NS
    value, bad = np.array(values, float), np.full(n, quality, np.uint32)
    return Readings(
        "M1", (channel,), (unit,), at_ns, np.zeros(n, np.int32), value, bad, Origin("s", first, T0)
    )


def told(detector: Detector, values: Sequence[float], first: int = 0) -> list[Finding]:
    return list(detector.update(readings(first, values)))


def words(findings: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(finding.action.value, finding.condition) for finding in findings]


@pytest.mark.parametrize(
    ("power_kw", "foundation", "limits"),
    [
        (301, "rigid", (2.3, 4.5, 7.1)),
        (301, "flexible", (3.5, 7.1, 11.0)),
        (300, "rigid", (1.4, 2.8, 4.5)),
        (15.1, "flexible", (2.3, 4.5, 7.1)),
        (15, "rigid", None),
        (5, "rigid", None),
        (None, "rigid", None),
    ],
)
def test_limits_are_those_of_iso_10816_3_2009(power_kw: float | None, foundation: str, limits: Any) -> None:
    assert limits_of(power_kw, foundation, 25) == limits


@pytest.mark.parametrize(
    ("speed_hz", "assessed"), [(9.9, False), (10, True), (250, True), (251, False), (None, True)]
)
def test_a_speed_outside_the_standard_is_not_assessed(speed_hz: float | None, assessed: bool) -> None:
    assert (limits_of(75, "rigid", speed_hz) is not None) is assessed


def test_a_value_on_the_limit_lies_in_the_better_zone() -> None:
    assert [zone_of(v, (1.4, 2.8, 4.5)) for v in (0, 1.4, 1.4001, 2.8, 2.8001, 4.5, 4.5001)] == list(
        "AABBCCD"
    )
    assert told(make(), [2.8] * 50) == []


@pytest.mark.parametrize("power_kw", [None, 15.0, 4.0])
def test_a_machine_that_the_standard_does_not_assess_is_not_spoken_of(power_kw: float | None) -> None:
    assert told(make(power_kw), [40.0] * 50) == []


def test_zone_c_is_entered_with_the_sixth_of_eight_readings_above_the_limit() -> None:
    found = told(make(), [3.0, 1.0, 3.0, 3.0, 1.0, 3.0, 3.0, 3.0])
    assert words(found) == [("raise", "zone_c")]
    assert found[0].at_ns == T0 + 7 * PERIOD_NS
    assert found[0].onset_ns == T0
    number = found[0].numbers[0]
    assert (number.name, number.value, number.unit, number.limit) == ("velocity_rms", 3.0, "mm/s", 2.8)
    assert number.limit_source == "ISO 10816-3:2009"


def test_five_of_eight_are_not_enough() -> None:
    assert told(make(), [3.0, 1.0, 3.0, 3.0, 1.0, 3.0, 1.0, 3.0] * 10) == []


def test_one_episode_is_raised_escalated_eased_and_cleared() -> None:
    found = told(make(), [1.0] * 9 + [3.0] * 20 + [5.0] * 20 + [3.0] * 40 + [1.0] * 40)
    assert words(found) == [
        ("raise", "zone_c"),
        ("update", "zone_d"),
        ("update", "zone_c"),
        ("clear", "zone_c"),
    ]
    assert len({finding.id.split("-")[0] for finding in found}) == 1
    assert [finding.severity for finding in found] == [500, 800, 500, 500]
    assert found[1].numbers[0].limit == 4.5


def test_a_zone_is_left_only_after_thirty_readings_a_tenth_below_the_limit() -> None:
    detector = make()
    assert words(told(detector, [3.0] * 10)) == [("raise", "zone_c")]
    assert told(detector, [2.6] * 100, first=10) == []  # below the limit, above 2.52
    assert told(detector, [2.5] * 29, first=110) == []
    assert words(told(detector, [2.5], first=139)) == [("clear", "zone_c")]


def test_a_second_episode_has_ids_of_its_own() -> None:
    found = told(make(leave_count=1, enter_count=2), [3, 3, 1, 1, 1, 1, 1, 1, 1, 3, 3, 1, 1, 1, 1, 1, 1, 1])
    assert [finding.action for finding in found] == [Action.RAISE, Action.CLEAR, Action.RAISE, Action.CLEAR]
    assert len({finding.id for finding in found}) == 4


def test_limits_of_ones_own_win_and_are_named() -> None:
    detector = make(None, limits_mm_s=(1, 2, 3), limits_source="maker's manual, p. 12")
    number = told(detector, [2.5] * 8)[0].numbers[0]
    assert (number.limit, number.limit_source) == (2, "maker's manual, p. 12")


@pytest.mark.parametrize(
    "wrong", [{"limits_mm_s": (3, 2, 1)}, {"limits_mm_s": (0, 1, 2)}, {"enter_count": 9}]
)
def test_parameters_that_contradict_themselves_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Detector.Parameters(**wrong)


@pytest.mark.parametrize(
    "block",
    [
        readings(0, [9.0] * 50, quality=0x80000000),
        readings(0, [9.0] * 50, quality=0x40000000),
        readings(0, [np.nan] * 50),
        readings(0, [9.0] * 50, unit="furlong"),
        readings(0, [9.0] * 50, channel="OTHER/velocity_rms"),
        readings(0, [9.0] * 50, channel="VEL/velocity_peak"),
    ],
)
def test_what_is_bad_or_of_something_else_is_not_judged(block: Readings) -> None:
    assert make().update(block) == []


def test_metres_per_second_are_understood() -> None:
    assert words(make().update(readings(0, [0.003] * 8, unit="m/s"))) == [("raise", "zone_c")]


def test_nothing_is_judged_while_the_machine_stands_or_has_just_started() -> None:
    detector = make(run_settle_s=60)
    origin = Origin("mes", 0, T0)
    for at, active in ((0, True), (20, False)):
        state = PackMLState.STOPPED if active else PackMLState.EXECUTE
        detector.update(StopAlarm("M1", T0 + at * PERIOD_NS, state, "E1", 1, "", "", active, 500, origin))
        assert told(detector, [9.0] * (20 if active else 5), first=at + 1) == []
    assert words(told(detector, [9.0] * 8, first=27)) == [("raise", "zone_d")]


def test_the_trend_is_drawn_with_its_zones() -> None:
    trend = told(make(), [1.0] * 100 + [3.0] * 6)[0].evidence["trend"]
    assert trend["channel"] == "VEL/velocity_rms"
    assert trend["zones"] == [{"name": "A", "to": 1.4}, {"name": "B", "to": 2.8}, {"name": "C", "to": 4.5}]
    assert (trend["value"][0], trend["value"][-1], trend["limit"]) == (1.0, 3.0, 2.8)


def test_a_waveform_point_is_assessed_from_120_rpm_on_for_its_band_begins_at_2_hz() -> None:
    asset = Asset(id="M1", name="M1", asset_class="fan", path="e/s/a/l/c", power_kw=75)
    slow = [Point(id="P", component="c", kind="waveform", speed_hz=rpm / 60) for rpm in (119, 120, 599)]
    assert [limits_at(asset, point) for point in slow] == [None, (1.4, 2.8, 4.5), (1.4, 2.8, 4.5)]
    assert limits_at(asset, POINT.model_copy(update={"speed_hz": 599 / 60})) is None


OWN = {
    "source": "works standard 7",
    "unit": "in/s",
    "boundary": "worse",
    "rows": [{"above_kw": 0, "foundation": "rigid", "limits": [0.1, 0.2, 0.3]}],
}


def test_a_plants_own_table_counts_in_its_unit_with_its_boundary_and_below_15_kw() -> None:
    detector = make(power_kw=5, table=OWN)
    assert told(detector, [5.07] * 20) == []
    found = told(detector, [0.2 * 25.4] * 8, first=20)  # on the limit: here in the worse zone
    assert words(found) == [("raise", "zone_c")]
    assert (found[0].numbers[0].limit, found[0].numbers[0].limit_source) == (0.2 * 25.4, "works standard 7")


def test_inches_per_second_are_understood() -> None:
    assert words(make().update(readings(0, [0.12] * 8, unit="in/s"))) == [("raise", "zone_c")]


@pytest.mark.parametrize(("baseline", "alarm"), [(0.0, 0.7), (1.1, 1.8), (2.8, 3.5), (3.0, 3.5), (9.0, 3.5)])
def test_an_alarm_lies_a_quarter_of_bc_above_the_baseline_and_at_most_at_one_and_a_quarter_of_bc(
    baseline: float, alarm: float
) -> None:
    assert alarm_mm_s(baseline, (1.4, 2.8, 4.5)) == pytest.approx(alarm)
    assert trip_mm_s((1.4, 2.8, 4.5)) == pytest.approx(5.625)
