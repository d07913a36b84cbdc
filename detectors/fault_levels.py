"""Fault levels: how deeply a bearing's fault frequencies modulate the signal, from the squared envelope's spectrum."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from andon.events import Float32, Float64, Waveform
from andon.plant import Bearing, Point
from detectors.bearing import fault_orders
from detectors.block import Together, place_of, squared
from detectors.validity import speed_of

FAULT_CHANNELS = (("bpfo", "1"), ("bpfi", "1"), ("bsf2", "1"), ("ftf", "1"))
BAND_EDGES_HZ = (500, 2000, 5000, 10000)
HARMONICS = 3
LEAST_REVOLUTIONS = 10
SLIP = 0.015
_WIDEST = 3  # times BPFI that a band must be wide, for the envelope to hold the fault's own line


@dataclass(frozen=True, slots=True, eq=False)
class _Carrier:
    """A band of the spectrum: its lines, and of how many points its envelope is made."""

    lines: slice
    points: int


def fault_levels(waveform: Waveform, point: Point) -> tuple[list[float], str]:
    """One value for each of `FAULT_CHANNELS`; or none, and what is against them.

    A level is the depth of modulation at the element's frequency: the amplitudes of the squared envelope's first
    three lines there over its mean, of the band and axis where it is deepest; 2 to 3 for a regular train of
    impacts, near 0 for noise. Bands narrower than 3 × BPFI are left out.
    Source: R. B. Randall and J. Antoni, Rolling element bearing diagnostics: a tutorial, MSSP 25 (2011).
    """
    speed_hz = speed_of(waveform, point)
    if point.bearing is None or speed_hz is None:
        return [], "no_speed"
    if speed_hz * waveform.samples.shape[0] / waveform.rate_hz < LEAST_REVOLUTIONS:
        return [], "few_revolutions"
    together, i = place_of(waveform)
    turn = speed_hz * together.n / together.rate_hz
    carriers = _carriers(together.n, together.rate_hz)
    least = _WIDEST * fault_orders(point.bearing).inner * turn
    wide = [carrier.lines.stop - carrier.lines.start >= least for carrier in carriers]
    if not any(wide):
        return [], "below_nyquist"
    depths = _depths(together)[:, together.rows(i)]
    highest = np.maximum.reduceat(depths, _around(point.bearing, turn, depths.shape[2] - 1), axis=2)[
        :, :, ::2
    ]
    levels = highest.reshape(len(wide), -1, HARMONICS).sum(axis=2).reshape(len(wide), -1, len(FAULT_CHANNELS))
    return levels[wide].max(axis=(0, 1)).tolist(), ""


def _around(bearing: Bearing, turn: float, last: int) -> NDArray[np.int64]:
    """First and last line (not included) around each harmonic of each element, one after the other; `turn` is 1x in lines."""
    ends = (_orders(bearing) * turn).astype(np.int64)
    ends[1::2] += 2
    return np.minimum(np.maximum(ends, 1), last)


@lru_cache(maxsize=256)
def _orders(bearing: Bearing) -> Float64:
    orders = fault_orders(bearing)
    at = np.outer((orders.outer, orders.inner, orders.element, orders.cage), np.arange(1, HARMONICS + 1))
    return np.stack([at.ravel() * (1 - SLIP), at.ravel() * (1 + SLIP)], axis=1).ravel()


@lru_cache(maxsize=2)
def _depths(together: Together) -> Float32:
    """Depth of modulation, (carriers, rows, lines): the squared envelope's spectrum over its mean; 0 where there is none.

    The blocks were transformed under a Hann window, so the squared envelope comes under its square. The inverse
    transform of a band alone gives its analytic signal: no filter, and a fifth of the points.
    """
    carriers = _carriers(together.n, together.rate_hz)
    lines = max(carrier.points for carrier in carriers) // 4 + 1
    found = np.zeros((len(carriers), len(together.x), lines), np.float32)
    with np.errstate(invalid="ignore", over="ignore"):
        for depth, carrier in zip(found, carriers, strict=True):
            band = together.lines[:, carrier.lines]
            analytic = np.asarray(fft.ifft(band, carrier.points, axis=1), np.complex64)
            whole = np.asarray(fft.rfft(squared(analytic), axis=1), np.complex64)
            power = squared(np.ascontiguousarray(whole[:, : carrier.points // 4]))
            power *= 4 / np.maximum(power[:, :1], np.float32(1e-30))
            np.sqrt(power, out=depth[:, : power.shape[1]])
    return found


@lru_cache(maxsize=32)
def _carriers(n: int, rate_hz: float) -> tuple[_Carrier, ...]:
    step_hz = rate_hz / n
    found = []
    for low_hz, high_hz in pairwise(BAND_EDGES_HZ):
        low, high = round(low_hz / step_hz), round(min(high_hz, 0.497 * rate_hz) / step_hz)
        if (high - low) * step_hz >= (high_hz - low_hz) / 2:
            found.append(_Carrier(slice(low, high), int(fft.next_fast_len(high - low))))
    return tuple(found)
