"""Vibration for the detectors' tests: shaft lines, coloured noise and the ringing of impacts, quick to make."""

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from andon.events import SECOND_NS, Float32, Origin, Waveform
from andon.plant import Bearing

BEARING = Bearing(designation="6205", rolling_elements=9, element_diameter=0.3126, pitch_diameter=1.537)
RATE_HZ, SAMPLES, SPEED_HZ, PERIOD_NS = 12_800.0, 8192, 24.7, 10 * SECOND_NS
T0 = 1_790_000_000 * SECOND_NS


@dataclass(frozen=True)
class Shaking:
    """How a point shakes: noise in g RMS, shaft lines in g, and impacts of `impact_g` at `order`."""

    noise_g: float = 0.06
    shaft_g: float = 0.02
    impact_g: float = 0.0
    order: float = 3.5848
    speed_hz: float = SPEED_HZ


@lru_cache(maxsize=4)
def _noise(seed: int) -> Float32:
    """A long noise with two resonances, RMS 1, from which blocks are cut."""
    rng, n = np.random.default_rng([seed, 99]), 1 << 20
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    gain = 0.4 + sum(1 / (1 + ((hz - f) / 250) ** 2) for f in (2400, 4100))
    noise = np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * gain, n)
    return (noise / noise.std()).astype(np.float32)


@lru_cache(maxsize=1)
def _ringing() -> Float32:
    """The spectrum of what follows one impact: 1 g, dying away within 2 ms."""
    t = np.arange(SAMPLES) / RATE_HZ
    ring = np.exp(-t / 6e-4) * (np.sin(2 * np.pi * 2400 * t) + 0.6 * np.sin(2 * np.pi * 4100 * t))
    return np.fft.rfft(ring.astype(np.float32))


def samples(rng: np.random.Generator, shaking: Shaking, seed: int = 0) -> Float32:
    """One block of 0.64 s, (8192,) float32 in g."""
    noise = _noise(seed)
    start = int(rng.integers(noise.size - SAMPLES))
    x = shaking.noise_g * noise[start : start + SAMPLES]
    turns = np.arange(SAMPLES, dtype=np.float32) * np.float32(shaking.speed_hz / RATE_HZ) + np.float32(
        rng.random()
    )
    for k in (1, 2, 3):
        x = x + np.float32(shaking.shaft_g / k) * np.sin(np.float32(2 * np.pi * k) * turns)
    if shaking.impact_g:
        strikes = np.zeros(SAMPLES, np.float32)
        gap = RATE_HZ / (shaking.order * shaking.speed_hz)
        at = (rng.random() + np.arange(int(SAMPLES / gap))) * gap + rng.normal(
            0, 0.005 * gap, int(SAMPLES / gap)
        )
        strikes[at.astype(int).clip(0, SAMPLES - 1)] = shaking.impact_g * rng.uniform(0.8, 1.2, at.size)
        x = x + np.fft.irfft(np.fft.rfft(strikes) * _ringing(), SAMPLES)
    return x.astype(np.float32)


def waveform(
    x: Float32,
    number: int = 0,
    *,
    asset: str = "M1",
    point: str = "DE",
    rate_hz: float = RATE_HZ,
    unit: str = "g",
    speed_hz: float | None = SPEED_HZ,
    period_ns: int = PERIOD_NS,
) -> Waveform:
    """Block `number` of a point; `x` is (n,) or (n, axes)."""
    at_ns = T0 + number * period_ns
    origin = Origin("sensor", number, at_ns + SECOND_NS)
    return Waveform(asset, point, at_ns, rate_hz, x if x.ndim == 2 else x[:, None], unit, speed_hz, origin)
