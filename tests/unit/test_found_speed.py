"""The shaft speed that nobody measured: found among the lines of a block, as an estimate, or not at all; and orders without one."""

from dataclasses import replace

import numpy as np
import pytest

from andon.events import Float32, Quality, Readings
from andon.plant import Point
from detectors.features import features_of
from detectors.flaws import FLAWS
from detectors.orders import ORDER_CHANNELS
from detectors.tacho import marks_of
from simulators.bearing import Vibration, synthesise
from tests.vibration import BEARING, waveform

RATE_HZ, NOMINAL_HZ = 12_800.0, 29.5
POINT = Point(id="DE", component="b", kind="waveform", speed_hz=NOMINAL_HZ, bearing=BEARING)
NAMED = [name for name, _ in ORDER_CHANNELS] + ["bpfo", "bpfi", "bsf2", "ftf"]


def block(speed_hz: float, seconds: float = 3.0, *, shakes_mm_s: float = 0.8, seed: int = 0) -> Float32:
    vibration = Vibration(speed_hz, shakes_mm_s, 0.06, 1.0)
    return synthesise(vibration, np.random.default_rng(seed), n=int(seconds * RATE_HZ), rate_hz=RATE_HZ)


def told(readings: Readings, quantity: str) -> tuple[float, int]:
    i = readings.channels.index(f"DE/{quantity}")
    return float(readings.value[i]), int(readings.quality[i])


def heard(x: Float32, point: Point = POINT, speed_hz: float | None = None) -> Readings:
    return features_of(waveform(x, rate_hz=RATE_HZ, speed_hz=speed_hz), point)


@pytest.mark.parametrize("beside", [-0.04, -0.01, 0.0, 0.035])
def test_the_speed_is_found_beside_the_nominal_one_and_said_to_be_an_estimate(beside: float) -> None:
    speed_hz, quality = told(heard(block(NOMINAL_HZ * (1 + beside))), "speed_found")
    assert speed_hz == pytest.approx(NOMINAL_HZ * (1 + beside), rel=1e-3)
    assert quality == FLAWS["found_speed"].quality == Quality.UNCERTAIN


@pytest.mark.parametrize("x", [block(NOMINAL_HZ * 1.12), block(NOMINAL_HZ, shakes_mm_s=0.0)])
def test_where_no_lines_agree_there_is_no_speed(x: Float32) -> None:
    """A shaft that turns an eighth faster than its plate says, and one that does not shake."""
    value, quality = told(heard(x), "speed_found")
    assert np.isnan(value)
    assert quality == FLAWS["no_speed"].quality == Quality.BAD


def test_two_shafts_of_nearly_one_speed_are_not_told_apart_by_guessing() -> None:
    x = block(NOMINAL_HZ * 0.97) + block(NOMINAL_HZ * 1.03, seed=1)
    value, _ = told(heard(x.astype(np.float32)), "speed_found")
    assert np.isnan(value) or min(abs(value / NOMINAL_HZ / s - 1) for s in (0.97, 1.03)) < 1e-3


def test_a_speed_that_is_told_or_a_short_block_has_no_such_reading() -> None:
    long, short = block(NOMINAL_HZ), block(NOMINAL_HZ, seconds=1.0)
    assert "DE/speed_found" not in heard(long, speed_hz=NOMINAL_HZ).channels
    assert "DE/speed_found" not in heard(short).channels
    assert "DE/speed_found" not in heard(long, POINT.model_copy(update={"speed_hz": None})).channels


def test_other_readings_are_the_same_bits_with_it_and_without() -> None:
    x = block(NOMINAL_HZ)
    one, other = heard(x), heard(x, speed_hz=NOMINAL_HZ)
    assert one.channels[:-1] == other.channels
    np.testing.assert_array_equal(one.value[:-1], other.value)


def test_a_block_of_few_revolutions_has_no_orders_and_the_rest_is_good() -> None:
    found = heard(block(NOMINAL_HZ, seconds=0.3))  # 8.9 turns
    flaw = FLAWS["few_revolutions"]
    for name in NAMED:
        value, quality = told(found, name)
        assert np.isnan(value)
        assert quality == flaw.quality
    assert told(found, "acceleration_rms")[1] == Quality.GOOD
    assert all(told(heard(block(NOMINAL_HZ, seconds=0.4)), name)[1] == Quality.GOOD for name in NAMED)


def test_a_tacho_of_few_turns_has_no_orders() -> None:
    x = block(NOMINAL_HZ, seconds=0.3)
    pulses = (np.arange(x.size) / RATE_HZ * NOMINAL_HZ % 1 < 0.1).astype(np.float32)
    point = POINT.model_copy(update={"tacho_axis": 2})
    turns = marks_of(pulses, 1)
    assert turns is not None
    with_tacho = replace(waveform(x, rate_hz=RATE_HZ, speed_hz=NOMINAL_HZ), turns=turns)
    value, quality = told(features_of(with_tacho, point), "order_1x")
    assert np.isnan(value)
    assert quality == FLAWS["few_revolutions"].quality


def test_without_tacho_or_any_speed_the_orders_are_not_known_and_the_rest_is_good() -> None:
    """A tacho that died, at a point whose speed nobody else tells."""
    point = POINT.model_copy(update={"tacho_axis": 2, "speed_hz": None})
    found = heard(block(NOMINAL_HZ), point)
    for name in NAMED:
        value, quality = told(found, name)
        assert np.isnan(value)
        assert quality == FLAWS["no_speed"].quality
    assert told(found, "velocity_rms")[1] == Quality.GOOD
