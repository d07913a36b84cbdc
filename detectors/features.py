"""Waveform to readings: one spectrum per block, shared by all who need it, and what a block says in numbers.

A block that cannot be trusted (too short, not finite, flat, clipped, in an unknown unit) gives the same
channels with value NaN and quality not good: it is never healthy, and never judged.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from andon.events import Float32, Float64, Quality, Readings, Waveform
from andon.plant import Point

BAND_EDGES_HZ = (20, 300, 700, 1500, 3000, 5000, 7500, 10000, 12700)
EDGE_WIDTH = (
    0.12  # bands blend over ±12 %: a line on an edge moves by less than 20 % when the speed moves by 2 %
)
VELOCITY_BAND_HZ = (10.0, 1000.0)
USABLE = 0.497  # of the sampling rate: above it is the anti-aliasing filter
SHORTEST = 256  # samples
FLAT_RMS_G = 1e-5  # below the noise of any accelerometer: the sensor is not there
IMPLAUSIBLE_G = 1e5  # a shock accelerometer's end of scale
STANDARD_GRAVITY = 9.80665
UNITS_IN_G = {"g": 1.0, "[g]": 1.0, "m/s2": 1 / STANDARD_GRAVITY, "m/s^2": 1 / STANDARD_GRAVITY, "mg": 1e-3}


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The one-sided power spectrum of a block under a Hann window.

    `power` (axes, lines) float32 in g², its sum the mean square of the block; line k lies at k·`step_hz`.
    """

    power: Float32
    step_hz: float


@dataclass(frozen=True, slots=True, eq=False)
class _Plan:
    """What depends only on a block's length and rate."""

    window: Float32
    scale: float
    velocity: Float32
    velocity_lines: slice
    velocity_quality: Quality
    bands: tuple[tuple[str, slice, Float32], ...]


@lru_cache(maxsize=2)
def problem_of(waveform: Waveform) -> tuple[str, Quality] | None:
    """Why a block cannot be trusted, as a stable code and the quality of what it gives; None if it can.

    The checks stand in order: each may rely on those before it.
    """
    x, bad = waveform.samples, Quality.BAD
    checks = (
        ("wrong_length", bad, lambda: x.ndim != 2 or x.shape[0] < SHORTEST or x.shape[1] < 1),
        ("no_rate", bad, lambda: not (np.isfinite(waveform.rate_hz) and waveform.rate_hz > 0)),
        ("unknown_unit", bad, lambda: waveform.unit not in UNITS_IN_G),
        ("not_finite", bad, lambda: not np.isfinite(x).all()),
        ("out_of_range", bad, lambda: float(np.abs(x).max()) * UNITS_IN_G[waveform.unit] > IMPLAUSIBLE_G),
        ("flat", bad, lambda: bool((centred_g(waveform).std(axis=1) <= FLAT_RMS_G).any())),
        ("clipped", Quality.UNCERTAIN, lambda: any(_clipped(axis) for axis in np.array(x.T, order="C"))),
    )
    return next(((code, quality) for code, quality, wrong in checks if wrong()), None)


@lru_cache(maxsize=2)
def centred_g(waveform: Waveform) -> Float32:
    """The samples as (axes, n) float32 in g, the mean of each axis removed."""
    x: Float32 = np.array(waveform.samples.T, dtype=np.float32, order="C")
    x -= x.mean(axis=1, keepdims=True)
    x *= np.float32(UNITS_IN_G[waveform.unit])
    return x


@lru_cache(maxsize=2)
def spectrum_of(waveform: Waveform) -> Spectrum:
    """The block's spectrum, computed once however many ask. Only for a block without a `problem_of`."""
    x = centred_g(waveform)
    plan = _plan(x.shape[1], waveform.rate_hz)
    lines = fft.rfft(x * plan.window, axis=1)
    power = (lines.real**2 + lines.imag**2) * np.float32(plan.scale)
    power[:, 0] /= 2
    if x.shape[1] % 2 == 0:
        power[:, -1] /= 2
    return Spectrum(power, waveform.rate_hz / x.shape[1])


def features_of(waveform: Waveform, point: Point | None) -> Readings:
    """The readings that a block of acceleration gives.

    Channels, P being the measuring point: `P/velocity_rms` mm/s (10-1000 Hz), `P/acceleration_rms` g,
    `P/kurtosis`, `P/crest` (the axis with the largest), and `P/band_<lo>_<hi>` RMS g for each band below the
    Nyquist frequency; with several axes the bands are told apart as `P/band_<lo>_<hi>.1`, `.2` ...

    Parameters
    ----------
    waveform
        Samples (n, axes) in one of `UNITS_IN_G`.
    point
        The measuring point if the plant knows it; a velocity transducer's own channels are not made here.

    Notes
    -----
    Velocity is integrated in the frequency domain; a pure sine of frequency f well inside the band is right
    within (step/f)²/2, step = rate/n. 1 g peak at 159.155 Hz gives 6.934 mm/s. A block shorter than two
    periods of 10 Hz starts at its second line and says so by quality UNCERTAIN (0.1 s: from 20 Hz); with a
    Nyquist frequency below 1000 Hz there is no velocity.
    Source: ISO 20816-1:2016, 3.2 (quantity and band).
    """
    problem = problem_of(waveform)
    axes = max(1, waveform.samples.shape[1] if waveform.samples.ndim == 2 else 1)
    name = waveform.point if point is None else point.id
    n = max(SHORTEST, waveform.samples.shape[0])
    rate_hz = waveform.rate_hz if np.isfinite(waveform.rate_hz) and waveform.rate_hz > 0 else 1.0
    channels, units = _channels(name, axes, n, rate_hz)
    if problem is None:
        value, quality = _values(waveform)
    else:
        value = np.full(len(channels), np.nan)
        quality = np.full(len(channels), problem[1], np.uint32)
    return Readings(
        asset=waveform.asset,
        channels=channels,
        units=units,
        at_ns=np.full(len(channels), waveform.at_ns, np.int64),
        channel=np.arange(len(channels), dtype=np.int32),
        value=value,
        quality=quality,
        origin=waveform.origin,
    )


def _values(waveform: Waveform) -> tuple[Float64, NDArray[np.uint32]]:
    x, power = centred_g(waveform), spectrum_of(waveform).power
    plan = _plan(x.shape[1], waveform.rate_hz)
    square = x * x
    mean_square = square.mean(axis=1)
    kurtosis = (square * square).mean(axis=1) / mean_square**2
    rms = np.sqrt(mean_square)
    crest = np.abs(x).max(axis=1) / rms
    velocity = np.sqrt((power[:, plan.velocity_lines] * plan.velocity).sum(axis=1))
    bands = [np.sqrt((power[:, lines] * weight).sum(axis=1)) for _, lines, weight in plan.bands]
    worst = [float(v.max()) for v in (velocity, rms, kurtosis, crest)]
    value = np.array(worst + [float(b) for axis in zip(*bands, strict=True) for b in axis])
    quality = np.zeros(value.size, np.uint32)
    quality[0] = plan.velocity_quality
    if plan.velocity_quality == Quality.BAD:
        value[0] = np.nan
    return value, quality


@lru_cache(maxsize=256)
def _channels(point: str, axes: int, n: int, rate_hz: float) -> tuple[tuple[str, ...], tuple[str, ...]]:
    bands = [name for name, _, _ in _plan(n, rate_hz).bands]
    per_axis = [f"{band}.{axis + 1}" if axes > 1 else band for axis in range(axes) for band in bands]
    quantities = ["velocity_rms", "acceleration_rms", "kurtosis", "crest", *per_axis]
    units = ["mm/s", "g", "1", "1"] + ["g"] * len(per_axis)
    return tuple(f"{point}/{quantity}" for quantity in quantities), tuple(units)


@lru_cache(maxsize=32)
def _plan(n: int, rate_hz: float) -> _Plan:
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)
    hz: Float64 = np.arange(n // 2 + 1, dtype=np.float64) * (rate_hz / n)
    low, high = VELOCITY_BAND_HZ
    first = max(low, 2 * rate_hz / n)
    inside = np.flatnonzero((hz >= first - 1e-9) & (hz <= high + 1e-9))
    lines = slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(1, 1)
    mm_s_per_g = 1000 * STANDARD_GRAVITY / (2 * np.pi * np.maximum(hz[lines], 1e-9))
    quality = Quality.GOOD if first <= low else Quality.UNCERTAIN
    return _Plan(
        window=window,
        scale=float(2 / (n * np.sum(window.astype(np.float64) ** 2))),
        velocity=(mm_s_per_g**2).astype(np.float32),
        velocity_lines=lines,
        velocity_quality=Quality.BAD if rate_hz / 2 < high else quality,
        bands=tuple(_bands(hz, rate_hz * USABLE)),
    )


def _bands(hz: Float64, top_hz: float) -> list[tuple[str, slice, Float32]]:
    bands = []
    for low, nominal in pairwise(BAND_EDGES_HZ):
        high = nominal if nominal <= top_hz else int(top_hz // 10 * 10)
        if high - low < (nominal - low) / 2:  # too little of the band lies below the Nyquist frequency
            break
        last = high < nominal or high == BAND_EDGES_HZ[-1]
        weight = _above(hz, low, sharp=low == BAND_EDGES_HZ[0]) - _above(hz, high, sharp=last)
        inside = np.flatnonzero(weight > 0)
        if inside.size:
            lines = slice(int(inside[0]), int(inside[-1]) + 1)
            bands.append((f"band_{low}_{high}", lines, weight[lines].astype(np.float32)))
    return bands


def _above(hz: Float64, edge_hz: float, *, sharp: bool) -> Float64:
    """The part of a line's power that lies above an edge: 0 to 1 over ±EDGE_WIDTH, so that bands add up."""
    if sharp:
        return (hz >= edge_hz).astype(np.float64)
    ramp = np.clip((hz / edge_hz - 1) / (2 * EDGE_WIDTH) + 0.5, 0, 1)
    return np.sin(ramp * np.pi / 2) ** 2


def _clipped(x: Float32) -> bool:
    """Whether samples pile up at an extreme value.

    Clipping leaves half as many again samples at the extreme as in the 2.5 % of amplitude next to it; a
    resolved sine of any amplitude leaves fewer. A signal of less than 100 steps of its own resolution is not
    judged.
    """
    low, high = float(x.min()), float(x.max())
    half = (high - low) / 2
    for extreme, inner in ((high, high - 0.025 * half), (low, low + 0.025 * half)):
        at = int((x == extreme).sum())
        if at < 4:
            continue
        near = int(((x >= min(extreme, inner)) & (x <= max(extreme, inner))).sum()) - at
        if at > 1.5 * near and half > 100 * _step(x):
            return True
    return False


def _step(x: Float32) -> float:
    steps = np.abs(np.diff(np.sort(x[:512])))
    return float(steps[steps > 0].min(initial=np.inf))
