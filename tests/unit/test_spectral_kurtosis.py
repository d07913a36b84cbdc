"""Spectral kurtosis: the band that impacts ring in, whatever else is louder; none in noise, a tone or after one knock."""

import numpy as np
import pytest

from andon.events import Float32
from detectors.spectral_kurtosis import IMPACT_WIDTHS, impulsive_band, spectral_kurtosis

RATE_HZ, N = 25_600.0, 25_600
LEAST_HZ = IMPACT_WIDTHS * 160.0
T = np.arange(N) / RATE_HZ


def noise(seed: int) -> Float32:
    return np.random.default_rng(seed).standard_normal((1, N), dtype=np.float32)


def struck(ring_hz: float, per_s: float = 160.0) -> Float32:
    """Rings of 1 g that die away within a millisecond."""
    since = T % (1 / per_s)
    rings: Float32 = (np.exp(-since / 4e-4) * np.sin(2 * np.pi * ring_hz * since))[None].astype(np.float32)
    return rings


@pytest.mark.parametrize("ring_hz", [2400.0, 5100.0, 9000.0])
def test_the_band_that_impacts_ring_in_is_found_beside_louder_lines(ring_hz: float) -> None:
    loud = (3 * np.sin(2 * np.pi * 1000 * T))[None].astype(np.float32)
    band = impulsive_band(struck(ring_hz) + 0.1 * noise(1) + loud, RATE_HZ, LEAST_HZ)
    assert band is not None
    assert band.low_hz < ring_hz < band.high_hz
    assert band.high_hz - band.low_hz >= LEAST_HZ
    assert band.kurtosis > 1


def test_noise_of_any_colour_a_tone_and_one_knock_have_no_such_band() -> None:
    for seed in range(20):
        x = noise(seed)
        tone = (2 * np.sin(2 * np.pi * 3000 * T))[None].astype(np.float32)
        knock = 50 * struck(4000.0, per_s=1.0)  # once in the block
        for quiet in (x, (x + np.roll(x, 1, axis=1) + np.roll(x, 2, axis=1)), x + tone, x + knock):
            assert impulsive_band(quiet, RATE_HZ, LEAST_HZ) is None


def test_the_axis_that_is_struck_is_the_one_that_counts() -> None:
    x = np.concatenate([noise(1), struck(5100.0) + 0.1 * noise(2)])
    alone = impulsive_band(x[1:], RATE_HZ, LEAST_HZ)
    assert impulsive_band(x, RATE_HZ, LEAST_HZ) == alone


def test_it_is_0_for_noise_and_minus_1_for_a_tone_and_has_no_scale() -> None:
    x = noise(3) * np.float32(1e-3)
    assert spectral_kurtosis(x, 64, 90).mean() == pytest.approx(0, abs=0.1)
    assert spectral_kurtosis(x * 1e5, 64, 90) == pytest.approx(spectral_kurtosis(x, 64, 90), abs=1e-3)
    tone = np.sin(2 * np.pi * 10 * RATE_HZ / 64 * T)[None].astype(np.float32)
    assert spectral_kurtosis(tone, 64, 90)[0, 9] == pytest.approx(-1, abs=1e-3)


def test_a_block_that_is_too_short_or_too_slow_has_no_such_band() -> None:
    assert impulsive_band(struck(5100.0)[:, :1500], RATE_HZ, LEAST_HZ) is None
    assert impulsive_band(struck(5100.0), RATE_HZ, RATE_HZ / 4) is None
