"""`andon evaluate cwru`: which bearing, at which rate, stands in a file's name."""

from pathlib import Path

import numpy as np
import pytest

from andon.evaluations import cwru

SHAFT_HZ, IMPACT_HZ, DECAY_HZ, SECONDS = 1750 / 60, 3000.0, 900.0, 10


def struck(rate_hz: float, every_s: float) -> np.ndarray:
    """Noise, a turning shaft, and a resonance that is struck with a little slip."""
    rng = np.random.default_rng(1)
    samples = rng.normal(0, 0.05, round(SECONDS * rate_hz))
    turned = 2 * np.pi * SHAFT_HZ * np.arange(samples.size) / rate_hz
    samples += 0.05 * np.sin(turned) + 0.03 * np.sin(2 * turned)
    at_s = np.arange(round(0.02 * rate_hz)) / rate_hz
    ring = np.exp(-DECAY_HZ * at_s) * np.sin(2 * np.pi * IMPACT_HZ * at_s)
    times = np.arange(every_s, SECONDS - 0.05, every_s)
    for strike_s in times + rng.normal(0, 0.005 * every_s, times.size):
        k = round(strike_s * rate_hz)
        samples[k : k + ring.size] += ring
    return samples.astype(np.float32)


@pytest.mark.parametrize(
    ("name", "rate_hz", "order"),
    [
        ("1750_IR_7_DE12", 12_000, 5.4152),
        ("1750_IR_7_FE12", 12_000, 4.9469),
        ("1750_IR_7_DE48", 48_000, 5.4152),
    ],
)
def test_the_name_of_a_file_says_which_bearing_and_which_rate(
    tmp_path: Path, name: str, rate_hz: float, order: float
) -> None:
    path = tmp_path / f"{name}.npz"
    np.savez(path, DE=struck(rate_hz, 1 / (order * SHAFT_HZ)))
    assert cwru.rate(path, tmp_path, None)["element"] == "inner"
