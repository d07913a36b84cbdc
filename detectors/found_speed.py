"""The shaft speed as the lines of a block tell it, near a nominal one, where nobody measured it; or that they do not."""

from functools import lru_cache
from math import isfinite, log

import numpy as np
from numpy.typing import NDArray

from andon.events import Float64, Waveform
from andon.plant import Point
from detectors.block import Spectrum, spectrum_of

FOUND_CHANNELS = (("speed_found", "Hz"),)
ORDERS = (1, 2, 3, 4, 5, 6)
REACH = 0.05
"""How far from the nominal speed it is looked for, relative: the slip of a motor, and what a plate is wrong by."""
FEWEST = 3
"""Orders whose lines have to agree: two do so by chance."""
LEAST_REVOLUTIONS = 50
_STANDS_OUT = 30.0  # times the median power around it: noise does so once in 10⁹ lines
_AROUND = 0.45  # of the nominal speed
_AGREES = 0.25  # lines of the spectrum that a tone's place may be wrong by
_MAINS_HZ = np.outer((50.0, 60.0), (1, 2, 3, 4, 6)).ravel()
_LOBE = 2  # lines that a Hann window spreads a tone over, on either side


def is_sought(waveform: Waveform, point: Point) -> bool:
    """Whether only the plant document tells a speed, of a block that is long enough to tell its own."""
    told = point.tacho_axis is not None or waveform.speed_hz is not None
    if told or point.speed_hz is None or not (isfinite(waveform.rate_hz) and waveform.rate_hz > 0):
        return False
    return bool(waveform.samples.shape[0] / waveform.rate_hz * point.speed_hz >= LEAST_REVOLUTIONS)


def found_level(waveform: Waveform, point: Point) -> tuple[list[float], str]:
    """One value for each of `FOUND_CHANNELS`, which is estimated; or none, and what is against it."""
    found_hz = found_speed_hz(spectrum_of(waveform), point.speed_hz) if point.speed_hz else None
    return ([], "no_speed") if found_hz is None else ([found_hz], "found_speed")


def found_speed_hz(spectrum: Spectrum, nominal_hz: float) -> float | None:
    """The speed that most lines at whole orders agree on, within 5 % of the nominal; None where it is not clear.

    Lines are read between those of the transform (a parabola through the logarithm of three), what may be the mains
    is left out, and another speed that as many lines agree on makes it unclear. Measured on the CWRU rig, told 0 and
    3 % beside its speed: of blocks of 2 s a third has lines enough, all within 0.6 %; of 10 s 60 %, within 0.3 %.

    >>> hz = np.arange(2000) * 0.5
    >>> power = 1e-6 + sum(np.exp(-((hz - k * 24.4) ** 2)) / k for k in (1, 2, 3))
    >>> round(found_speed_hz(Spectrum(power[None].astype(np.float32), 0.5), 24.7), 2)
    24.4
    """
    found = _lines_hz(spectrum, nominal_hz)
    sets = {tuple(k for k in found if _agree(found, k, anchor, spectrum.step_hz)) for anchor in found}
    most = max(map(len, sets), default=0)
    if most < FEWEST:
        return None
    speeds = [
        sum(k * found[k] for k in orders) / sum(k * k for k in orders)
        for orders in sets
        if len(orders) == most
    ]
    apart = max(speeds) - min(speeds)
    return None if apart > _AGREES * spectrum.step_hz else sum(speeds) / len(speeds)


def _agree(found: dict[int, float], one: int, other: int, step_hz: float) -> bool:
    return abs(found[one] / one - found[other] / other) <= _AGREES * step_hz * (1 / one + 1 / other)


def _lines_hz(spectrum: Spectrum, nominal_hz: float) -> dict[int, float]:
    """By order where the tallest line within its reach lies, if it stands out and is not the mains."""
    step_hz = spectrum.step_hz
    at, inside = _windows(spectrum.power.shape[1], step_hz, nominal_hz)
    some = spectrum.power[:, at]
    middle = np.partition(some, at.shape[1] // 2, axis=2)[..., at.shape[1] // 2, None]
    over: Float64 = (some / (middle + np.float32(1e-30))).mean(axis=0, dtype=np.float64)
    tops = np.where(inside, over, 0).argmax(axis=1)
    found = {}
    for row, top, order, first in zip(over, tops.tolist(), ORDERS, at[:, 0].tolist(), strict=False):
        low, high, after = row[top - 1 : top + 2].tolist()
        if high < _STANDS_OUT or not low <= high >= after:
            continue
        left, peak, right = log(low + 1e-30), log(high), log(after + 1e-30)
        bend = left - 2 * peak + right
        hz = (first + top + (0.5 * (left - right) / bend if bend else 0.0)) * step_hz
        if np.abs(hz - _MAINS_HZ).min() >= _LOBE * step_hz:
            found[order] = hz
    return found


@lru_cache(maxsize=64)
def _windows(lines: int, step_hz: float, nominal_hz: float) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """The lines around each order, (orders, width), and which of them are within reach; orders above the last are left out."""
    half = int(_AROUND * nominal_hz / step_hz)
    centre = np.rint(np.array(ORDERS) * nominal_hz / step_hz).astype(np.intp)
    centre = centre[centre + half < lines]
    at = centre[:, None] + np.arange(-half, half + 1)
    reach = REACH * centre[:, None]
    inside = np.abs(at - centre[:, None]) <= np.minimum(reach + 1, half - 1)
    return at, inside
