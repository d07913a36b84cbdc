"""Spectral kurtosis: in which band a block's energy comes in bursts, as it does where an impact makes a part ring."""

import math
from dataclasses import dataclass

import numpy as np
from scipy import fft

from andon.events import Float32, Float64, Number
from detectors.block import hann, squared
from detectors.evidence import significant

IMPACT_WIDTHS = 3.0
"""Times the rate of the impacts that a band is wide, or their trains run into each other."""
_PARTS = 8
"""Parts of a block, of whose values the median is taken: a single knock lies in two of them at most."""
_FEWEST_FRAMES = 16  # in a part
_SHORTEST = 8  # samples in a frame: four bands are the fewest that tell one from another
_SIGMAS = 6.0  # of what stationary noise gives by chance
_LEAST = 0.2  # however long the block: a line that swells with the load gives as much


@dataclass(frozen=True, slots=True)
class Band:
    """The band with the most impulsive energy, and its spectral kurtosis: 0 for stationary noise, -1 for a tone."""

    low_hz: float
    high_hz: float
    kurtosis: float


def impulsive_band(x: Float32, rate_hz: float, least_hz: float) -> Band | None:
    """The band where the short-time amplitude is most unsteady, of the axis where it is most so; None where none is.

    Parameters
    ----------
    x
        (axes, n) samples, mean removed.
    least_hz
        Width that the band has at least: `IMPACT_WIDTHS` times the rate of the impacts (BPFI).

    Notes
    -----
    K(f) = mean|X|⁴ / (mean|X|²)² - 2 over frames X of a short-time transform; each frame as long as `least_hz`
    allows. A band is told only from six standard errors of stationary noise, 2/√frames, and 0.2 on.
    Source: J. Antoni, The spectral kurtosis, MSSP 20 (2006); median over parts against single knocks.

    >>> rng, t = np.random.default_rng(0), np.arange(25_600)
    >>> struck = np.exp(-(t % 256) / 20) * np.sin(2 * np.pi * 0.25 * t)
    >>> band = impulsive_band((struck + rng.normal(0, 0.2, t.size))[None].astype(np.float32), 25_600.0, 600.0)
    >>> band.low_hz < 6_400 < band.high_hz, round(band.kurtosis)
    (True, 3)
    """
    length = int(rate_hz / least_hz) // 2 * 2
    frames = 2 * x.shape[1] // max(1, length) // _PARTS - 1
    if length < _SHORTEST or frames < _FEWEST_FRAMES:
        return None
    kurtosis = spectral_kurtosis(x, length, frames)
    axis, top = divmod(int(kurtosis.argmax()), kurtosis.shape[1])
    of_axis, highest = kurtosis[axis], float(kurtosis[axis, top])
    if highest < max(_LEAST, _SIGMAS * 2 / math.sqrt(frames * _PARTS / 2)):
        return None
    low = high = top
    while low > 0 and of_axis[low - 1] > highest / 2:
        low -= 1
    while high + 1 < of_axis.size and of_axis[high + 1] > highest / 2:
        high += 1
    step_hz = rate_hz / length
    return Band((low + 0.5) * step_hz, (high + 1.5) * step_hz, highest)


def band_numbers(band: Band | None) -> list[Number]:
    """The band as numbers of a finding; none without one."""
    if band is None:
        return []
    return [
        Number("impulsive_low_hz", significant(band.low_hz), "Hz"),
        Number("impulsive_high_hz", significant(band.high_hz), "Hz"),
        Number("spectral_kurtosis", significant(band.kurtosis), "1"),
    ]


def spectral_kurtosis(x: Float32, length: int, frames: int) -> Float64:
    """The spectral kurtosis at each line between the first and the last, (axes, length // 2 - 1).

    Frames of `length` samples under a Hann window, each half over the next, `frames` in each of the parts.
    """
    step = length // 2
    many = np.lib.stride_tricks.sliding_window_view(x, length, axis=1)[:, ::step][:, : frames * _PARTS]
    lines = np.asarray(fft.rfft(many * hann(length), axis=2), np.complex64)
    power = squared(lines.reshape(-1, lines.shape[2])).reshape(x.shape[0], _PARTS, frames, -1)[..., 1:-1]
    mean = power.mean(axis=2)
    ratio = np.square(power).mean(axis=2) / np.maximum(mean * mean, np.float32(1e-30)) - 2
    found: Float64 = np.median(ratio, axis=1).astype(np.float64)
    return found
