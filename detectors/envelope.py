"""The log-envelope spectrum of a block on an axis of shaft orders: how often it is struck, not how it rings.

After cepstrum prewhitening every carrier frequency counts alike; a short-time transform gives the envelope at
each carrier, its logarithm keeps single shocks from ruling, and the spectra over all carriers of a sixth of the
band are averaged. A short window hears the bursts of a race, a long one the narrow resonances and the cage's
slow swell: both are kept. On orders, blocks taken at slightly different speeds can be averaged as well.
"""

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import product

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from andon.events import Float32

WINDOW_REVOLUTIONS = 0.31  # the long window
HOPS = 16  # in it: the envelope's Nyquist frequency is then 25.8 orders
WINDOWS_HOPS = (6, HOPS)  # 0.12 and 0.31 revolutions; measured alike from 0.08 to 0.16 and 0.25 to 0.4
HIGHEST_ORDER = 25.0
SIXTHS = 6
MOST_REVOLUTIONS = 256  # longer blocks are cut into parts: bounds the state, 150 KB an axis for such blocks
SPEED_TOLERANCE = 0.02
SPEED_REVOLUTIONS = 60  # below that the stated speed is better than what the lines resolve
_FLOOR = np.float32(1e-3)
GAUSSIAN_LOG_VARIANCE = math.pi**2 / 6  # of the log of a stationary noise's power, whatever its colour


@dataclass(frozen=True, slots=True, eq=False)
class Envelope:
    """`power` (axes, 12, lines) float32 of sixths of the band, short window first; line k at order k·`step_order`.

    `flux` (axes, 12) is the variance of the log envelope against that of stationary noise, which is 1.
    """

    power: Float32
    flux: Float32
    step_order: float


@dataclass(frozen=True, slots=True)
class _Cut:
    """How a block is cut: parts of `length` samples, each of `frames` frames of each of `windows` every `hop`."""

    parts: int
    length: int
    windows: tuple[int, ...]
    hop: int
    frames: int


def envelope_of(x: Float32, rate_hz: float, speed_hz: float, nominal_hz: float) -> Envelope:
    """The log-envelope spectrum of a block, averaged over its parts.

    Parameters
    ----------
    x
        (axes, n) samples, mean removed.
    speed_hz
        Shaft speed of this block; `nominal_hz` fixes the windows and the order axis, so that blocks can be added.

    Notes
    -----
    Source: P. Borghesani et al., Application of cepstrum pre-whitening for the diagnosis of bearing faults,
    MSSP 36 (2013); the log envelope as measured here: a linear one named wrong elements.
    """
    cut = _cut(x.shape[1], rate_hz, nominal_hz)
    white = _whitened(x)
    step_order = rate_hz / cut.hop / cut.frames / nominal_hz
    lines = int(HIGHEST_ORDER / step_order)
    bands = len(cut.windows) * SIXTHS
    power = np.zeros((x.shape[0], bands, lines), np.float32)
    flux = np.zeros((x.shape[0], bands), np.float32)
    for part, axis in product(range(cut.parts), range(x.shape[0])):
        segment = white[axis, part * cut.length : (part + 1) * cut.length]
        for k, window in enumerate(cut.windows):
            here = slice(k * SIXTHS, (k + 1) * SIXTHS)
            spectrum, spread = _of_part(segment, window, cut)
            power[axis, here] += _resampled(spectrum, speed_hz / nominal_hz, lines)
            flux[axis, here] += spread
    share = np.float32(1 / cut.parts)
    return Envelope(power * share, flux * share, step_order)


def refined_speed_hz(x: Float32, rate_hz: float, speed_hz: float) -> float:
    """The shaft speed within ±2 % of the stated one that best fits a block's 1x-4x lines, and its square's 1x-8x.

    `x` is (axes, n). A block of less than 60 revolutions resolves no better than what was stated, which is given
    back. Error on records of 150 revolutions: median 0.02 %, 1 in 60 more than 0.15 %.
    """
    n = x.shape[1]
    if n / rate_hz * speed_hz < SPEED_REVOLUTIONS:
        return speed_hz
    step = rate_hz / n / speed_hz
    shift = np.arange(-SPEED_TOLERANCE, SPEED_TOLERANCE + 1e-9, 1e-4)
    score = np.zeros(shift.size)
    window = np.hanning(n).astype(np.float32)
    for y, highest in ((x, 4), (x * x, 8)):
        lines = np.abs(fft.rfft((y - y.mean(axis=1, keepdims=True)) * window, axis=1))
        lines = lines[:, : int((highest + 0.5) / step) + 2]
        height = np.log(lines / background(lines, max(round(0.7 / step), 31))).clip(0, 4.0).sum(axis=0)
        at = np.arange(1, highest + 1)[:, None] * (1 + shift) / step
        score += np.interp(at, np.arange(height.size), height).sum(axis=0)
    return float(speed_hz * (1 + shift[score >= score.max() - 1e-9].mean()))


def background(rows: Float32, width: int) -> Float32:
    """A running median over `width` lines of the last axis, taken at a few places and drawn straight between them."""
    lines = rows.shape[-1]
    width = min(width, lines)
    every = max(1, width // 10)
    windows = np.lib.stride_tricks.sliding_window_view(rows, width, axis=-1)[..., ::every, :]
    middle = width // 2
    median = np.partition(windows, middle, axis=-1)[..., middle]
    place = np.arange(median.shape[-1]) * every + middle
    at = np.clip((np.arange(lines) - place[0]) / every, 0, median.shape[-1] - 1)
    below = np.minimum(at.astype(np.intp), max(0, median.shape[-1] - 2))
    above = np.minimum(below + 1, median.shape[-1] - 1)
    part = (at - below).astype(np.float32)
    found: Float32 = median[..., below] * (1 - part) + median[..., above] * part
    return found


def largest_of_three(x: NDArray[np.floating]) -> NDArray[np.floating]:
    """Along the last axis, the largest of each value and its two neighbours.

    >>> largest_of_three(np.array([0.0, 1.0, 5.0, 2.0, 0.0]))
    array([1., 5., 5., 5., 2.])
    """
    largest = x.copy()
    np.maximum(largest[..., 1:], x[..., :-1], out=largest[..., 1:])
    np.maximum(largest[..., :-1], x[..., 1:], out=largest[..., :-1])
    return largest


def _cut(n: int, rate_hz: float, nominal_hz: float) -> _Cut:
    parts = max(1, math.ceil(n / rate_hz * nominal_hz / MOST_REVOLUTIONS - 0.5))
    length = n // parts
    hop = max(1, round(WINDOW_REVOLUTIONS * rate_hz / nominal_hz / HOPS))
    frames = length // hop - HOPS + 1
    return _Cut(parts, length, tuple(hops * hop for hops in WINDOWS_HOPS), hop, _smooth_below(frames))


@lru_cache(maxsize=64)
def _smooth_below(n: int) -> int:
    """The largest length up to n that a real transform is quick at."""
    while n > 1 and fft.next_fast_len(n, real=True) != n:
        n -= 1
    return n


def _whitened(x: Float32) -> Float32:
    n = fft.next_fast_len(x.shape[1], real=True)
    lines = fft.rfft(x, n, axis=1)
    size = np.abs(lines)
    lines /= np.maximum(size, np.float32(1e-9) * size.max(axis=1, keepdims=True))
    white: Float32 = fft.irfft(lines, n, axis=1)[:, : x.shape[1]]
    return white


def _of_part(x: Float32, window: int, cut: _Cut) -> tuple[Float32, Float32]:
    """Spectra (6, lines) of the log envelopes of a part, averaged over the carriers of each sixth, and their flux."""
    frames = np.lib.stride_tricks.sliding_window_view(x, window)[:: cut.hop][: cut.frames]
    carriers = fft.rfft(frames * _hann(window), axis=1)[:, 1:-1]
    strength = carriers.real**2 + carriers.imag**2
    strength /= strength.mean(axis=0)
    strength += _FLOOR
    envelope = np.log(strength, out=strength)
    envelope -= envelope.mean(axis=0)
    variance = np.square(envelope).mean(axis=0)
    spectra = fft.rfft(envelope * _hann(cut.frames)[:, None], axis=0)
    power = spectra.real**2 + spectra.imag**2
    first = np.arange(SIXTHS) * variance.size // SIXTHS
    carriers_in: Float32 = np.diff(np.append(first, variance.size)).clip(1).astype(np.float32)
    flux: Float32 = np.add.reduceat(variance, first)
    mean: Float32 = np.add.reduceat(power, first, axis=1)
    flux /= carriers_in * np.float32(GAUSSIAN_LOG_VARIANCE)
    mean /= carriers_in
    return mean.T, flux


def _resampled(power: Float32, stretch: float, lines: int) -> Float32:
    """Spectra (6, n) read at line·stretch, linearly between lines."""
    at = np.minimum(np.arange(lines) * stretch, power.shape[1] - 1.001)
    below = at.astype(np.int64)
    part = (at - below).astype(np.float32)
    resampled: Float32 = power[:, below] * (1 - part) + power[:, below + 1] * part
    return resampled


@lru_cache(maxsize=64)
def _hann(n: int) -> Float32:
    return np.hanning(n).astype(np.float32)
