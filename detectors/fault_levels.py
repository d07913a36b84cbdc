"""Fault levels: how deeply a bearing's fault frequencies modulate the signal, from the squared envelope's spectrum."""

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from andon.events import Float32, Waveform
from andon.plant import Point
from detectors.bearing import FaultOrders, fault_orders
from detectors.block import Together, spectrum_of

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
    """One value for each of `FAULT_CHANNELS`, and what is against them.

    A level is the depth of modulation at the element's frequency: the amplitudes of the squared envelope's first
    three lines there over its mean, of the band and axis where it is deepest; 2 to 3 for a regular train of
    impacts, near 0 for noise. Bands narrower than 3 × BPFI are left out.
    Source: R. B. Randall and J. Antoni, Rolling element bearing diagnostics: a tutorial, MSSP 25 (2011).
    """
    speed_hz = waveform.speed_hz or point.speed_hz or 0.0
    revolutions = speed_hz * waveform.samples.shape[0] / waveform.rate_hz
    if point.bearing is None or revolutions < LEAST_REVOLUTIONS:
        return [np.nan] * len(FAULT_CHANNELS), "few_revolutions"
    orders = fault_orders(point.bearing)
    spectrum = spectrum_of(waveform)
    ends = _around(orders, speed_hz / spectrum.step_hz)
    least = _WIDEST * orders.inner * speed_hz / spectrum.step_hz
    carriers = _carriers(spectrum.together.n, spectrum.together.rate_hz)
    found = [
        _depths(depth[spectrum.axes], ends)
        for carrier, depth in zip(carriers, _envelopes(spectrum.together), strict=True)
        if carrier.lines.stop - carrier.lines.start >= least
    ]
    return (
        (np.max(found, axis=0).tolist(), "") if found else ([np.nan] * len(FAULT_CHANNELS), "below_nyquist")
    )


def _around(orders: FaultOrders, turn: float) -> NDArray[np.int64]:
    """First and last line (not included) around each harmonic of each element, one after the other; `turn` is 1x in lines."""
    at = (
        np.outer(
            (orders.outer, orders.inner, orders.element, orders.cage), np.arange(1, HARMONICS + 1)
        ).ravel()
        * turn
    )
    ends = np.empty(2 * at.size, np.int64)
    ends[0::2] = np.maximum(1, at * (1 - SLIP))
    ends[1::2] = at * (1 + SLIP) + 2
    return ends


def _depths(depth: Float32, ends: NDArray[np.int64]) -> Float32:
    """The deepest axis at each element, all harmonics that the envelope holds added."""
    last = depth.shape[1] - 1
    highest = np.maximum.reduceat(depth, np.minimum(ends, last), axis=1)[:, ::2]
    highest = np.where(ends[1::2] < last, highest, np.float32(0)).reshape(len(depth), -1, HARMONICS)
    levels: Float32 = highest.sum(axis=2).max(axis=0)
    return levels


@lru_cache(maxsize=2)
def _envelopes(together: Together) -> list[Float32]:
    """For each carrier band the depth of modulation at each line, (rows, lines): squared envelope over its mean.

    The blocks were transformed under a Hann window, so the squared envelope comes under its square. The inverse
    transform of a band alone gives its analytic signal: no filter, and a fifth of the points.
    """
    found = []
    for carrier in _carriers(together.n, together.rate_hz):
        analytic = np.asarray(
            fft.ifft(together.lines[:, carrier.lines], carrier.points, axis=1), np.complex64
        )
        parts = analytic.view(np.float32)
        parts *= parts
        squared = parts[:, 0::2] + parts[:, 1::2]
        whole = np.asarray(fft.rfft(squared, axis=1), np.complex64)
        lines = whole[:, : carrier.points // 4].view(np.float32)
        lines *= lines
        depth = np.sqrt(lines[:, 0::2] + lines[:, 1::2])
        depth *= 2 / np.maximum(depth[:, :1], np.float32(1e-30))
        found.append(depth)
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
