"""What the plant document says of a point: its tacho told apart, and blocks that are not what it declares doubted."""

import numpy as np
import pytest

from andon.events import Float32, Quality, Readings
from andon.plant import Point
from detectors.features import features_of, problem_of
from detectors.flaws import FLAWS
from detectors.hearing import as_declared, heard
from detectors.tacho import marks_of
from tests.vibration import BEARING, waveform

RATE_HZ, N = 25_600.0, 25_600
NOISE = np.random.default_rng(0).standard_normal(N).astype(np.float32)
TACHO = Point(id="DE", component="b", kind="waveform", bearing=BEARING, tacho_axis=2)


def turning(first_hz: float, last_hz: float, *, noise: float = 0.02, lead_deg: float = 40.0) -> Float32:
    """Vibration of 0.5 g at 1x and 0.2 g at 2x, and a tacho of one pulse per revolution, while the speed changes."""
    t = np.arange(N) / RATE_HZ
    turns = first_hz * t + (last_hz - first_hz) * t**2 / (2 * t[-1]) + 0.3
    x = 0.5 * np.cos(2 * np.pi * turns + np.radians(lead_deg)) + 0.2 * np.cos(4 * np.pi * turns)
    pulse = (turns % 1 < 0.1).astype(float) * 5
    return np.stack([x + noise * NOISE, pulse], axis=1).astype(np.float32)


def told(readings: Readings) -> dict[str, float]:
    return {
        name.partition("/")[2]: float(v) for name, v in zip(readings.channels, readings.value, strict=True)
    }


def of_tacho(first_hz: float, last_hz: float) -> dict[str, float]:
    block = as_declared(waveform(turning(first_hz, last_hz), rate_hz=RATE_HZ, speed_hz=None), TACHO)
    assert block.samples.shape[1] == 1
    return told(features_of(block, TACHO))


def velocity_mm_s(amplitude_g: float, hz: float) -> float:
    return amplitude_g * 9806.65 / (2 * np.pi * hz) / np.sqrt(2)


def test_a_tacho_tells_the_speed_the_orders_and_where_the_shaft_stands() -> None:
    found = of_tacho(25, 25)
    assert found["speed_hz"] == pytest.approx(25, rel=1e-4)
    assert found["order_1x"] == pytest.approx(velocity_mm_s(0.5, 25), rel=0.01)
    assert found["order_2x"] == pytest.approx(velocity_mm_s(0.2, 50), rel=0.01)
    assert found["order_3x"] < 0.05
    assert found["phase_1x"] == pytest.approx(40, abs=2)
    assert found["phase_2x"] == pytest.approx(0, abs=2)


def test_order_tracking_removes_what_a_changing_speed_smears() -> None:
    """From 18 to 32 turns a second within the block: without the tacho a fifth of 2x is lost, with it less than a hundredth."""
    tracked = of_tacho(18, 32)
    stated = Point(id="DE", component="b", kind="waveform", speed_hz=25)
    smeared = told(features_of(waveform(turning(18, 32)[:, :1], rate_hz=RATE_HZ, speed_hz=25), stated))
    right = velocity_mm_s(0.2, 50)
    assert abs(tracked["order_2x"] / right - 1) < 0.01
    assert abs(smeared["order_2x"] / right - 1) > 0.2
    assert tracked["speed_hz"] == pytest.approx(25, rel=0.01)
    assert tracked["phase_1x"] == pytest.approx(40, abs=3)


def test_several_pulses_per_revolution_are_counted_as_one() -> None:
    t = np.arange(N) / RATE_HZ
    pulses = (t * 25 * 4 % 1 < 0.3).astype(np.float32)
    marks = marks_of(pulses, 4)
    assert marks is not None
    assert np.diff(marks) == pytest.approx(RATE_HZ / 25, abs=1.0)


@pytest.mark.parametrize("broken", ["dead", "lost", "noise"])
def test_a_tacho_that_lies_is_not_believed(broken: str) -> None:
    x = turning(25, 25)
    if broken == "dead":
        x[:, 1] = 0
    elif broken == "lost":
        x[4000:6000, 1] = 0
    else:
        x[:, 1] = NOISE
    block = as_declared(waveform(x, rate_hz=RATE_HZ, speed_hz=None), TACHO)
    assert (block.turns, block.speed_hz, block.samples.shape[1]) == (None, None, 1)


@pytest.mark.parametrize(
    ("settings", "x", "code"),
    [
        ({"rate_hz": 12_800}, NOISE, "wrong_rate"),
        ({"range_g": 3}, np.clip(NOISE * 2, -3, 3), "clipped"),  # seen without the range as well
        ({"range_g": 8}, np.where(np.arange(N) < 3, 8, NOISE), "saturated"),
        ({"range_g": 10}, NOISE + 6, "bias"),
    ],
)
def test_a_block_that_is_not_what_its_point_declares_is_not_assessable(
    settings: dict[str, float], x: Float32, code: str
) -> None:
    point = Point(id="DE", component="b", kind="waveform", **settings)  # type: ignore[arg-type]
    block = as_declared(waveform(x.astype(np.float32), rate_hz=RATE_HZ), point)
    assert problem_of(block) == (code, FLAWS[code].quality)
    features = features_of(block, point)
    assert np.isnan(features.value).all()
    assert (features.quality >= Quality.UNCERTAIN).all()


def test_a_block_that_is_as_declared_stays_as_it_is() -> None:
    point = Point(id="DE", component="b", kind="waveform", rate_hz=25_600, range_g=50)
    block = waveform(NOISE, rate_hz=25_598.0)
    assert as_declared(block, point) is block
    assert heard([block], lambda *_: point)[0] is block
