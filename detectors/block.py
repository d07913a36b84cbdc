"""A waveform block as all who look at it share it: centred, in g, and transformed once, with others of its shape.

A transform of four blocks at a time takes two fifths of the time of four transforms, with the same bits: the
library does four single-precision transforms in one register. So blocks that are known to come (`expect`) are
transformed together with the first of them that is asked for.
"""

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, nan
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from scipy import fft

from andon.events import Float32, Waveform

STANDARD_GRAVITY = 9.80665
UNITS_IN_G = {"g": 1.0, "[g]": 1.0, "m/s2": 1 / STANDARD_GRAVITY, "m/s^2": 1 / STANDARD_GRAVITY, "mg": 1e-3}
TOGETHER = 4
"""Blocks that are transformed together."""
_HELD, _HELD_LARGE = 2 * TOGETHER, 2
_LARGE = 1 << 17  # samples of a block that is transformed alone: what is shared stays under 20 MB

Complex64 = NDArray[np.complex64]
T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Spectrum:
    """The one-sided power spectrum of a block under a Hann window.

    `power` (axes, lines) float32 in g², its sum the mean square of the block; line k lies at k·`step_hz`.
    Its `axes` are rows of those that were transformed together.
    """

    power: Float32
    step_hz: float
    together: "Together"
    axes: slice


@dataclass(frozen=True, slots=True, eq=False)
class Together:
    """Blocks of `n` samples at `rate_hz` after one transform, each axis of each a row: `power` in g², `lines` unscaled."""

    n: int
    rate_hz: float
    power: Float32
    lines: Complex64


@dataclass(frozen=True, slots=True, eq=False)
class Ends:
    """Of the samples as they came, in their own unit, (axes,) each."""

    low: Float32
    high: Float32
    mean: Float32
    lowest: float
    highest: float
    narrowest: float
    """The least distance between the two, over the axes."""

    @property
    def finite(self) -> bool:
        """Whether every sample is a number."""
        return isfinite(self.lowest) and isfinite(self.highest)


class _Shared:
    """What was worked out lately, by block; and which blocks are still to come."""

    def __init__(self) -> None:
        self.coming: dict[int, Waveform] = {}
        self.centred: OrderedDict[int, tuple[Waveform, Float32, Ends]] = OrderedDict()
        self.spectra: OrderedDict[int, tuple[Waveform, Spectrum]] = OrderedDict()

    def alike(self, waveform: Waveform) -> list[Waveform]:
        """The block and the next ones to come that have its shape and rate."""
        found = [waveform]
        if waveform.samples.size >= _LARGE:
            return found
        for other in self.coming.values():
            if len(found) == TOGETHER:
                break
            if other is not waveform and _shape(other) == _shape(waveform):
                found.append(other)
        return found


_shared = _Shared()


def expect(waveforms: Iterable[Waveform]) -> None:
    """Blocks that will be asked for soon, in this order; those that were expected before are forgotten."""
    _shared.coming = {id(waveform): waveform for waveform in waveforms}


def centred_g(waveform: Waveform) -> Float32:
    """The samples as (axes, n) float32 in g, the mean of each axis removed. Not to be written to."""
    return _centred(waveform)[0]


def ends_of(waveform: Waveform) -> Ends:
    """The lowest and highest sample of each axis, and the mean; NaN where a sample is NaN."""
    return _centred(waveform)[1]


def spectrum_of(waveform: Waveform) -> Spectrum:
    """The block's spectrum, computed once however many ask. Only for a block without a `problem_of`."""
    known = _shared.spectra.get(id(waveform))
    if known is None or known[0] is not waveform:
        group = [one for one in _shared.alike(waveform) if one is waveform or _is_sound(one)]
        for one, spectrum in zip(group, _transformed(group), strict=True):
            _shared.coming.pop(id(one), None)
            _keep(_shared.spectra, one, (one, spectrum))
        known = _shared.spectra[id(waveform)]
    return known[1]


def hann(n: int) -> Float32:
    """The periodic Hann window that all blocks of n samples are transformed under."""
    return _window(n)[0]


def _centred(waveform: Waveform) -> tuple[Float32, Ends]:
    known = _shared.centred.get(id(waveform))
    if known is None or known[0] is not waveform:
        x: Float32 = np.array(waveform.samples.T, dtype=np.float32, order="C")
        with np.errstate(invalid="ignore", over="ignore"):  # what is not finite is found by who asks
            ends = _ends(x)
            x -= ends.mean[:, None]
            if waveform.unit not in {"g", "[g]"}:
                x *= np.float32(UNITS_IN_G.get(waveform.unit, 1.0))
        known = (waveform, x, ends)
        _keep(_shared.centred, waveform, known)
    return known[1], known[2]


def _ends(x: Float32) -> Ends:
    low, high = x.min(axis=1), x.max(axis=1)
    lows, highs = low.tolist(), high.tolist()
    finite = all(map(isfinite, (*lows, *highs)))  # a NaN is hidden from `min` by its place
    spread = min(b - a for a, b in zip(lows, highs, strict=True))
    return Ends(
        low, high, x.mean(axis=1), min(lows) if finite else nan, max(highs) if finite else nan, spread
    )


def _transformed(group: list[Waveform]) -> list[Spectrum]:
    first = centred_g(group[0])
    axes, n = first.shape
    window, scale = _window(n)
    x = np.empty((len(group) * axes, n), np.float32)
    for i, waveform in enumerate(group):
        np.multiply(centred_g(waveform), window, out=x[i * axes : (i + 1) * axes])
    lines: Complex64 = np.asarray(fft.rfft(x, axis=1, overwrite_x=True), np.complex64)
    parts = lines.view(np.float32)
    parts = parts * parts
    power = parts[:, 0::2] + parts[:, 1::2]
    power *= np.float32(scale)
    power[:, 0] /= 2
    if n % 2 == 0:
        power[:, -1] /= 2
    together = Together(n, group[0].rate_hz, power, lines)
    rows = [slice(i, i + axes) for i in range(0, len(x), axes)]
    return [Spectrum(power[row], group[0].rate_hz / n, together, row) for row in rows]


def _is_sound(waveform: Waveform) -> bool:
    """Whether it may be transformed before anybody looked at it."""
    return ends_of(waveform).finite


def _shape(waveform: Waveform) -> tuple[tuple[int, ...], float, str]:
    return waveform.samples.shape, waveform.rate_hz, waveform.unit


def _keep(held: OrderedDict[int, T], waveform: Waveform, value: T) -> None:
    held.pop(id(waveform), None)
    held[id(waveform)] = value
    while len(held) > (_HELD if waveform.samples.size < _LARGE else _HELD_LARGE):
        held.popitem(last=False)


@lru_cache(maxsize=32)
def _window(n: int) -> tuple[Float32, float]:
    window = (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(n) / n)).astype(np.float32)
    return window, float(2 / (n * np.sum(window.astype(np.float64) ** 2)))
