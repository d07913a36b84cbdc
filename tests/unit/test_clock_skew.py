"""Clocks against receipt: jumps, drift, zones and the future, and none of what only looks like it."""

from collections.abc import Callable

import numpy as np
import pytest

from andon.events import Action, Family, Finding, Origin, Readings
from andon.plant import Asset, Point
from detectors.clock_skew import Detector

POINTS = tuple(Point(id=f"P{i}", component=f"c{i}", quantities={"temperature": "Cel"}) for i in range(3))
ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", points=POINTS)
T0, DAY_MIN = 1_790_000_000, 1440
Skew = Callable[[float], float]
"""From seconds of the story to seconds that the clock is ahead."""


def told(
    minutes: int, skew: Skew, *, points: tuple[int, ...] = (0,), mean_delay_s: float = 0.5
) -> list[Finding]:
    detector, rng = Detector(ASSET, Detector.Parameters()), np.random.default_rng(5)
    found: list[Finding] = []
    for second in range(0, minutes * 60, 10):
        for i in range(3):
            ahead_s = skew(second) if i in points else 0.0
            sent_ns = (T0 + second) * 1_000_000_000 + i * 1_000_000
            received_ns = sent_ns + round((0.1 + rng.exponential(mean_delay_s)) * 1e9)
            at_ns = sent_ns + round(ahead_s * 1e9)
            stamp_ns = received_ns if at_ns > received_ns + 300 * 10**9 else at_ns  # as decoding does it
            found += detector.update(
                Readings(
                    "M1",
                    (f"P{i}/temperature",),
                    ("Cel",),
                    np.array([stamp_ns]),
                    np.zeros(1, np.int32),
                    np.array([40.0]),
                    np.zeros(1, np.uint32),
                    Origin("gw", 0, received_ns),
                )
            )
    return found


def after(minute: float, seconds: float) -> Skew:
    return lambda second: seconds if second >= minute * 60 else 0.0


def test_a_good_clock_is_silent_for_days_whatever_the_way_does() -> None:
    assert told(DAY_MIN, lambda _: 0.0, mean_delay_s=8.0) == []
    assert told(DAY_MIN, lambda second: 0.5 * np.sin(second / 5000)) == []


@pytest.mark.parametrize(
    ("seconds", "condition", "zone"),
    [
        (-40.0, "clock_behind", None),
        (60.0, "clock_ahead", None),
        (-3600.0, "clock_zone", "-01:00"),
        (-19800.0, "clock_zone", "-05:30"),
        (7200.0, "clock_future", None),
    ],
)
def test_a_jump_is_told_within_seven_minutes_and_what_it_is(
    seconds: float, condition: str, zone: str | None
) -> None:
    found = told(90, after(60, seconds))
    assert [(f.action, f.condition, f.component, f.family) for f in found] == [
        (Action.RAISE, condition, "P0", Family.DATA_QUALITY)
    ]
    assert 0 < found[0].at_ns / 1e9 - (T0 + 3600) < 420
    if condition != "clock_future":
        assert found[0].numbers[0].value == pytest.approx(abs(seconds), abs=3)
    if zone:
        assert found[0].text["zone"] == zone


def test_a_slow_drift_is_told_with_its_rate() -> None:
    found = told(DAY_MIN, lambda second: -second * 20 / 86_400)
    assert [f.condition for f in found][:1] == ["clock_behind"]
    assert 0.4 * 86_400 < found[0].at_ns / 1e9 - T0 < 0.7 * 86_400


def test_a_zone_that_was_always_wrong_is_told_as_soon_as_it_is_known() -> None:
    found = told(30, lambda _: -28_800.0)
    assert [(f.condition, f.text["zone"]) for f in found] == [("clock_zone", "-08:00")]


def test_a_clock_that_all_points_share_is_one_finding() -> None:
    found = told(120, lambda s: -30.0 if 3600 <= s < 5000 else 0.0, points=(0, 1, 2))
    assert [(f.component, f.action) for f in found] == [("clock", Action.RAISE), ("clock", Action.CLEAR)]


def test_a_backlog_that_is_being_sent_is_no_clock() -> None:
    assert told(120, lambda s: -max(0.0, 7200.0 - (s - 3600) * 2) if s >= 3600 else 0.0) == []


def test_a_source_without_stamps_of_its_own_is_not_judged() -> None:
    assert told(60, lambda _: 1e6) == []
