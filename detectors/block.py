"""A waveform block as all who look at it share it: centred, in g, and transformed once, with others of its shape.

Blocks that are known to come (`expect`) are worked on together with the first of them that is asked for: the
library does four single-precision transforms in one register, two fifths of the time of four, with the same bits.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import inf, isfinite

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from andon.events import Float32, Waveform

STANDARD_GRAVITY = 9.80665
UNITS_IN_G = {"g": 1.0, "[g]": 1.0, "m/s2": 1 / STANDARD_GRAVITY, "m/s^2": 1 / STANDARD_GRAVITY, "mg": 1e-3}
TOGETHER = 4
"""Blocks that are worked on together."""
HANN_BANDWIDTH = 1.5
"""Lines that a line of noise is as wide as under a Hann window. Source: F. J. Harris, Proc. IEEE 66 (1978), table I."""
_LARGE = 1 << 17  # samples of a block that is worked on alone: what is shared stays under 20 MB
_HELD = 2

Complex64 = NDArray[np.complex64]


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The one-sided power spectrum of a block under a Hann window.

    `power` (axes, lines) float32 in g², its sum the mean square of the block; line k lies at k·`step_hz`.
    """

    power: Float32
    step_hz: float

    def rms(self) -> Float32:
        """What is drawn, (lines,) in g RMS, the axes added: a sine of amplitude A that stands on a line reads A/√2 there."""
        drawn: Float32 = np.sqrt(np.float32(HANN_BANDWIDTH) * self.power.sum(axis=0))
        return drawn


@dataclass(frozen=True, slots=True)
class Ends:
    """Of a block's samples as they came, in their own unit: the lowest and highest, and how far the stillest axis moves.

    Infinite where a sample is not a number.
    """

    lowest: float
    highest: float
    narrowest: float


def _ends_of(lows: list[float], highs: list[float]) -> Ends:
    if not all(map(isfinite, (*lows, *highs))):
        return Ends(-inf, inf, inf)
    return Ends(min(lows), max(highs), min(b - a for a, b in zip(lows, highs, strict=True)))


class Together:
    """Blocks of one shape, rate and unit, each axis of each a row; what is not asked for is not worked out.

    `x` (rows, n) float32 in g, the mean of each row removed; `low` and `high` (rows,) its ends in g.
    """

    def __init__(self, blocks: list[Waveform]) -> None:
        first = blocks[0]
        self.blocks = tuple(blocks)
        self.n, self.axes = first.samples.shape
        self.rate_hz = first.rate_hz
        x = np.empty((len(blocks) * self.axes, self.n), np.float32)
        for i, block in enumerate(blocks):
            x[self.rows(i)] = block.samples.T
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found by who asks
            low, high, mean = x.min(axis=1), x.max(axis=1), x.mean(axis=1)
            x -= mean[:, None]
            low_g, high_g = low - mean, high - mean
            if UNITS_IN_G.get(first.unit, 1.0) != 1.0:
                factor = np.float32(UNITS_IN_G[first.unit])
                x, low_g, high_g = x * factor, low_g * factor, high_g * factor
        self.x: Float32 = x
        self.low: Float32 = low_g
        self.high: Float32 = high_g
        self._lows, self._highs = low.tolist(), high.tolist()

    def rows(self, block: int) -> slice:
        """The rows of a block's axes."""
        return slice(block * self.axes, (block + 1) * self.axes)

    def extremes(self, block: int) -> tuple[list[float], list[float]]:
        """The lowest and the highest sample of each axis of a block, as they came."""
        return self._lows[self.rows(block)], self._highs[self.rows(block)]

    def ends(self, block: int) -> Ends:
        """The ends of a block's samples."""
        return self._ends[block]

    @cached_property
    def _ends(self) -> list[Ends]:
        return [_ends_of(*self.extremes(block)) for block in range(len(self.blocks))]

    @cached_property
    def lines(self) -> Complex64:
        """The transform under a Hann window, (rows, n // 2 + 1), not scaled."""
        with np.errstate(invalid="ignore", over="ignore"):
            return np.asarray(fft.rfft(self.x * hann(self.n), axis=1, overwrite_x=True), np.complex64)

    @cached_property
    def power(self) -> Float32:
        """The power spectra in g², (rows, n // 2 + 1)."""
        with np.errstate(invalid="ignore", over="ignore"):
            power = squared(self.lines)
            power *= np.float32(_scale(self.n))
        power[:, 0] /= 2
        if self.n % 2 == 0:
            power[:, -1] /= 2
        return power


class _Shared:
    """What was worked on lately, and which blocks are still to come."""

    def __init__(self) -> None:
        self.coming: dict[int, Waveform] = {}
        self.held: list[Together] = []
        self.places: dict[int, tuple[Together, int]] = {}

    def place(self, waveform: Waveform) -> tuple[Together, int]:
        """Where a block lies among those it was worked on with."""
        known = self.places.get(id(waveform))
        if known is not None and known[0].blocks[known[1]] is waveform:
            return known
        self.held = [*self.held, Together(self._alike(waveform))][-_HELD:]
        self.places = {id(one): (group, i) for group in self.held for i, one in enumerate(group.blocks)}
        return self.places[id(waveform)]

    def _alike(self, waveform: Waveform) -> list[Waveform]:
        """The block and the next ones to come that are like it; they come no more."""
        found = [waveform]
        self.coming.pop(id(waveform), None)
        if waveform.samples.size >= _LARGE:
            return found
        for other in self.coming.values():
            if len(found) == TOGETHER:
                break
            if _likeness(other) == _likeness(waveform):
                found.append(other)
        for other in found:
            self.coming.pop(id(other), None)
        return found


_shared = _Shared()


def expect(waveforms: Iterable[Waveform]) -> None:
    """Blocks that will be asked for soon, in this order; those that were expected before are forgotten."""
    _shared.coming = {id(waveform): waveform for waveform in waveforms}


def place_of(waveform: Waveform) -> tuple[Together, int]:
    """A block among those it is worked on with: the group, and its number there. Of two dimensions, and not empty."""
    return _shared.place(waveform)


def centred_g(waveform: Waveform) -> Float32:
    """The samples as (axes, n) float32 in g, the mean of each axis removed. Not to be written to."""
    together, i = place_of(waveform)
    return together.x[together.rows(i)]


def spectrum_of(waveform: Waveform) -> Spectrum:
    """The block's spectrum, computed once however many ask. Only for a block without a `problem_of`."""
    together, i = place_of(waveform)
    return Spectrum(together.power[together.rows(i)], waveform.rate_hz / together.n)


def squared(lines: Complex64) -> Float32:
    """The squared magnitude of each value, (rows, n) of contiguous complex ones.

    >>> squared(np.array([[3 + 4j, 1j]], np.complex64))
    array([[25.,  1.]], dtype=float32)
    """
    parts = lines.view(np.float32)
    parts = parts * parts
    power: Float32 = parts[:, 0::2] + parts[:, 1::2]
    return power


@lru_cache(maxsize=32)
def hann(n: int) -> Float32:
    """The periodic Hann window that all blocks of n samples are transformed under."""
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)


@lru_cache(maxsize=32)
def _scale(n: int) -> float:
    return float(2 / (n * np.sum(hann(n).astype(np.float64) ** 2)))


def _likeness(waveform: Waveform) -> tuple[tuple[int, ...], float, str]:
    return waveform.samples.shape, waveform.rate_hz, waveform.unit
