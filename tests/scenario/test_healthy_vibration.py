"""Twenty healthy points for an hour each, load and speed moving by 2 %: not one word from any vibration detector."""

import numpy as np
import pytest

from andon.events import Finding
from andon.plant import Asset, DetectorSettings, Plant, Point
from detectors import build
from detectors.features import features_of
from tests.vibration import BEARING, Shaking, samples, waveform

POINTS, BLOCKS = 20, 360
SETTINGS = (
    DetectorSettings(kind="velocity_zones"),
    DetectorSettings(kind="band_energy", parameters={"settle_blocks": 0, "learn_blocks": 45}),
    DetectorSettings(kind="bearing_element"),
)


def hour(point: Point, seed: int, number: int) -> list[Finding]:
    """The findings of one hour of one point; every machine has its own noise, imbalance, speed and rhythm."""
    rng = np.random.default_rng([seed, number])
    asset = Asset(
        id="M1",
        name="M1",
        asset_class="pump",
        path="e/s/a/l/c",
        power_kw=75,
        points=(point,),
        detectors=SETTINGS,
    )
    detectors = build(asset, Plant(name="", assets=(asset,)))
    noise_g, shaft_g, rhythm = rng.uniform(0.03, 0.2), rng.uniform(0.01, 0.04), rng.uniform(5, 80)
    found: list[Finding] = []
    for k in range(BLOCKS):
        swing = 0.02 * np.sin(k / rhythm + number) + rng.normal(0, 0.003)
        speed_hz = (point.speed_hz or 0.0) * (1 + swing)
        now = Shaking(noise_g=noise_g * (1 + swing), shaft_g=shaft_g * (1 - swing), speed_hz=speed_hz)
        block = waveform(samples(rng, now, seed), k, speed_hz=speed_hz if number % 2 else None)
        events = (features_of(block, point), block)
        found += [f for detector in detectors for event in events for f in detector.update(event)]
    return found


@pytest.mark.parametrize("seed", [0])
def test_a_healthy_hour_of_twenty_points_is_silent(seed: int) -> None:
    said = []
    for number in range(POINTS):
        speed_hz = 20.0 + 1.7 * number
        point = Point(id="DE", component="bearing_de", kind="waveform", bearing=BEARING, speed_hz=speed_hz)
        said += hour(point, seed, number)
    assert said == []
