"""Waveform to readings: what a block says in numbers, each with its unit and where its formula comes from.

A block that cannot be assessed (`detectors/validity.py`) gives the same channels with value NaN and quality not good:
it is never healthy, and never judged.
"""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from andon.events import Float32, Float64, Quality, Readings, Waveform
from andon.plant import Point
from detectors.block import (
    STANDARD_GRAVITY,
    Spectrum,
    Together,
    centred_g,
    expect,
    place_of,
    spectrum_of,
)
from detectors.fault_levels import FAULT_CHANNELS, fault_levels
from detectors.flaws import FLAWS, SHORTEST
from detectors.found_speed import FOUND_CHANNELS, found_level, is_sought
from detectors.orders import ORDER_CHANNELS, PHASE_CHANNELS, order_levels
from detectors.validity import problem_of, speed_of

__all__ = ["STANDARD_GRAVITY", "Spectrum", "centred_g", "expect", "features_of", "problem_of", "spectrum_of"]

BAND_EDGES_HZ = (20, 300, 700, 1500, 3000, 5000, 7500, 10000, 12700)
EDGE_WIDTH = (
    0.12  # bands blend over ±12 %: a line on an edge moves by less than 20 % when the speed moves by 2 %
)
VELOCITY_BAND_HZ = (10.0, 1000.0)
SLOW_HZ, SLOW_EDGE_HZ = 10.0, 2.0
"""Below 600 r/min the band begins at 2 Hz. Source: ISO 10816-3:2009, 4.1."""
USABLE = 0.497  # of the sampling rate: above it is the anti-aliasing filter


@dataclass(frozen=True, slots=True, eq=False)
class _Velocity:
    """The lines that make velocity, and what is said of it where the block cannot give all of them."""

    lines: slice
    weight: Float32
    flaw: str


@dataclass(frozen=True, slots=True, eq=False)
class _Band:
    name: str
    lines: slice
    weight: Float32


def features_of(waveform: Waveform, point: Point | None) -> Readings:
    """The readings that a block of acceleration gives.

    Channels, P being the measuring point:

    - `P/velocity_rms` mm/s, 10-1000 Hz, from 2 Hz below 600 r/min (ISO 20816-1:2016, 3.2; ISO 10816-3:2009, 4.1)
    - `P/acceleration_rms` g, `P/acceleration_peak` g (largest departure from the mean), `P/crest` (peak / RMS),
      `P/kurtosis` (fourth moment / variance²; 3 for noise): ISO 13373-2:2016, of the axis with the largest
    - `P/band_<lo>_<hi>` RMS g for each band below the Nyquist frequency, with several axes told apart as
      `P/band_<lo>_<hi>.1`, `.2` ...
    - with a shaft speed what `detectors/orders.py` gives, with a bearing what `detectors/fault_levels.py` gives
    - where only the plant document tells a speed, what `detectors/found_speed.py` finds near it, as UNCERTAIN

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
    periods of the lower edge starts at its second line and says so by quality UNCERTAIN (0.1 s: from 20 Hz); with a
    Nyquist frequency below 1000 Hz there is no velocity.
    """
    problem = problem_of(waveform)
    axes = max(1, waveform.samples.shape[1] if waveform.samples.ndim == 2 else 1)
    n = max(SHORTEST, waveform.samples.shape[0])
    rate_hz = waveform.rate_hz if np.isfinite(waveform.rate_hz) and waveform.rate_hz > 0 else 1.0
    name = waveform.point if point is None else point.id
    channels, units = _channels(name, axes, n, rate_hz, _more(waveform, point))
    if problem is None:
        value, quality = _values(waveform, point)
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


def _values(waveform: Waveform, point: Point | None) -> tuple[Float64, NDArray[np.uint32]]:
    together, i = place_of(waveform)
    velocity = _velocity(together.n, together.rate_hz, _lower_edge_hz(waveform, point))
    value = [_velocities(together, velocity)[i], *_numbers(together)[i]]
    flaws = [velocity.flaw] + [""] * (len(value) - 1)
    for channels in _more(waveform, point):
        found, flaw = _LEVELS[channels](waveform, point) if point else ([], "")
        value += found or [np.nan] * len(channels)
        flaws += [flaw] * len(channels)
    quality = _qualities(tuple(flaws))
    return np.where(quality >= Quality.BAD, np.nan, value), quality.copy()


@lru_cache(maxsize=64)
def _qualities(flaws: tuple[str, ...]) -> NDArray[np.uint32]:
    return np.array([FLAWS[flaw].quality if flaw else Quality.GOOD for flaw in flaws], np.uint32)


@lru_cache(maxsize=2)
def _velocities(together: Together, velocity: _Velocity) -> list[float]:
    """Velocity RMS in mm/s of each block, of the axis that shakes most."""
    mm_s = np.sqrt((together.power[:, velocity.lines] * velocity.weight).sum(axis=1))
    worst: list[float] = mm_s.reshape(-1, together.axes).max(axis=1).tolist()
    return worst


@lru_cache(maxsize=2)
def _numbers(together: Together) -> list[list[float]]:
    """Of each block acceleration RMS, kurtosis, crest, the bands axis by axis, and the peak."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):  # of blocks that nobody will ask for
        square = together.x * together.x
        mean_square = square.mean(axis=1)
        square *= square
        kurtosis = square.mean(axis=1) / mean_square**2
        rms, peak = np.sqrt(mean_square), np.maximum(together.high, -together.low)
        bands = [
            np.sqrt((together.power[:, band.lines] * band.weight).sum(axis=1))
            for band in _bands(together.n, together.rate_hz)
        ]
        worst = [v.reshape(-1, together.axes).max(axis=1) for v in (rms, kurtosis, peak / rms)]
    blocks = len(together.blocks)
    apart = np.stack(bands, axis=1).reshape(blocks, -1) if bands else np.zeros((blocks, 0), np.float32)
    highest = peak.reshape(blocks, -1).max(axis=1)
    told: list[list[float]] = np.concatenate(
        [np.stack(worst, axis=1), apart, highest[:, None]], axis=1
    ).tolist()
    return told


def _lower_edge_hz(waveform: Waveform, point: Point | None) -> float:
    """Where the velocity band begins, by the nominal speed where there is one: a channel keeps its meaning."""
    speed_hz = point and (point.speed_hz or speed_of(waveform, point))
    return SLOW_EDGE_HZ if speed_hz and speed_hz < SLOW_HZ else VELOCITY_BAND_HZ[0]


def _more(waveform: Waveform, point: Point | None) -> tuple[tuple[tuple[str, str], ...], ...]:
    """Channels and units beyond those of every block: orders where a speed can be known, and then a bearing's."""
    if point is None or not (point.tacho_axis or speed_of(waveform, point)):
        return ()
    orders = (*ORDER_CHANNELS, *PHASE_CHANNELS) if point.tacho_axis else ORDER_CHANNELS
    more = (orders, FAULT_CHANNELS) if point.bearing else (orders,)
    return (*more, FOUND_CHANNELS) if is_sought(waveform, point) else more


_LEVELS = {
    ORDER_CHANNELS: order_levels,
    (*ORDER_CHANNELS, *PHASE_CHANNELS): order_levels,
    FAULT_CHANNELS: fault_levels,
    FOUND_CHANNELS: found_level,
}


@lru_cache(maxsize=256)
def _channels(
    point: str, axes: int, n: int, rate_hz: float, more: tuple[tuple[tuple[str, str], ...], ...]
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    bands = [band.name for band in _bands(n, rate_hz)]
    per_axis = [f"{band}.{axis + 1}" if axes > 1 else band for axis in range(axes) for band in bands]
    told = [("velocity_rms", "mm/s"), ("acceleration_rms", "g"), ("kurtosis", "1"), ("crest", "1")]
    told += [(band, "g") for band in per_axis]
    told += [("acceleration_peak", "g"), *(one for table in more for one in table)]
    return tuple(f"{point}/{quantity}" for quantity, _ in told), tuple(unit for _, unit in told)


@lru_cache(maxsize=64)
def _velocity(n: int, rate_hz: float, low_hz: float) -> _Velocity:
    hz: Float64 = np.arange(n // 2 + 1, dtype=np.float64) * (rate_hz / n)
    high_hz = VELOCITY_BAND_HZ[1]
    first_hz = max(low_hz, 2 * rate_hz / n)
    inside = np.flatnonzero((hz >= first_hz - 1e-9) & (hz <= high_hz + 1e-9))
    lines = slice(int(inside[0]), int(inside[-1]) + 1) if inside.size else slice(1, 1)
    mm_s_per_g = 1000 * STANDARD_GRAVITY / (2 * np.pi * np.maximum(hz[lines], 1e-9))
    flaw = "short_band" if first_hz > low_hz else ""
    return _Velocity(
        lines, (mm_s_per_g**2).astype(np.float32), "below_nyquist" if rate_hz / 2 < high_hz else flaw
    )


@lru_cache(maxsize=32)
def _bands(n: int, rate_hz: float) -> tuple[_Band, ...]:
    hz: Float64 = np.arange(n // 2 + 1, dtype=np.float64) * (rate_hz / n)
    top_hz = rate_hz * USABLE
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
            bands.append(_Band(f"band_{low}_{high}", lines, weight[lines].astype(np.float32)))
    return tuple(bands)


def _above(hz: Float64, edge_hz: float, *, sharp: bool) -> Float64:
    """The part of a line's power that lies above an edge: 0 to 1 over ±EDGE_WIDTH, so that bands add up."""
    if sharp:
        return (hz >= edge_hz).astype(np.float64)
    ramp = np.clip((hz / edge_hz - 1) / (2 * EDGE_WIDTH) + 0.5, 0, 1)
    return np.sin(ramp * np.pi / 2) ** 2
