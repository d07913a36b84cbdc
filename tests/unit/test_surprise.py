"""Surprise on courses with a known fault: what is found, when, and what is left alone."""

import numpy as np
import pytest

from andon.events import SECOND_NS, Action, Finding, Float64, Origin, Readings
from andon.plant import Asset, Point
from detectors.state import size_bytes
from detectors.surprise import Detector

STEP_NS = 300 * SECOND_NS
POINT = Point(id="T1", component="bearing", quantities={"temperature": "Cel"})
ASSET = Asset(id="M1", name="", asset_class="pump", path="e/s/a/l/c", points=(POINT,))


def detector() -> Detector:
    return Detector(ASSET, Detector.Parameters())


def told(value: Float64, to: Detector | None = None) -> list[Finding]:
    """The course as one block, a reading every five minutes."""
    n = value.size
    at_ns = (1_400_000_000 * SECOND_NS + np.arange(n) * STEP_NS).astype(np.int64)
    channel, quality = np.zeros(n, np.int32), np.zeros(n, np.uint32)
    block = Readings(
        "M1", ("T1/temperature",), ("Cel",), at_ns, channel, value, quality, Origin("plc", 0, int(at_ns[-1]))
    )
    return list((to or detector()).update(block))


def daily(n: int, seed: int) -> Float64:
    return 40 + 5 * np.sin(np.arange(n) * (2 * np.pi / 288)) + np.random.default_rng(seed).normal(0, 0.3, n)


def raised_at(findings: list[Finding]) -> list[int]:
    return [(f.at_ns - 1_400_000_000 * SECOND_NS) // STEP_NS for f in findings if f.action is Action.RAISE]


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_noise_and_a_daily_course_say_nothing(seed: int) -> None:
    assert told(40 + np.random.default_rng(seed).normal(0, 1, 1500)) == []
    assert told(daily(2000, seed)) == []


def test_a_level_shift_is_found_within_six_readings_and_tells_its_numbers() -> None:
    course = 40 + np.random.default_rng(1).normal(0, 1, 1200)
    course[1000:] += 10
    findings = told(course)
    assert 1000 <= raised_at(findings)[0] <= 1006
    first = findings[0]
    assert {number.name for number in first.numbers} == {"surprise", "value", "usual"}
    assert first.numbers[2].value == pytest.approx(40, abs=1)
    assert first.evidence["trend"]["value"]


def test_a_day_that_stays_away_is_found_though_no_value_is_unusual() -> None:
    course = daily(2200, 4)
    course[1728:2016] = 40 + np.random.default_rng(5).normal(0, 0.3, 288)
    assert any(1728 <= at < 2016 for at in raised_at(told(course)))


def test_a_channel_that_stood_still_and_moves_is_found() -> None:
    course = np.full(600, 40.0)
    course[500:] = 43.0
    assert raised_at(told(course)) == [500]


def test_undeclared_channels_and_units_are_left_alone() -> None:
    own = Detector(ASSET, Detector.Parameters(channels=("T1/pressure",)))
    course = np.full(600, 40.0)
    course[500:] = 43.0
    assert told(course, own) == []


def test_the_state_of_a_channel_is_bounded() -> None:
    own = detector()
    told(np.random.default_rng(6).standard_cauchy(7000), own)
    assert size_bytes(own.snapshot()) < Detector.channel_bytes
