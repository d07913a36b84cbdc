"""How much a block shakes at the orders that machine faults speak at, in mm/s: ½x, 1x, 2x, above, mains, axial."""

from collections.abc import Iterable

import numpy as np

from andon.events import Float64
from detectors.features import STANDARD_GRAVITY, Spectrum

GROUPS = {"half": (0.5, 1.5, 2.5), "x1": (1.0,), "x2": (2.0,), "high": (3.0, 4.0, 5.0, 6.0, 7.0, 8.0)}
"""Orders of the shaft that are summed; beside them `mains` is twice the line frequency."""

LINES = (*GROUPS, "mains", "axial")
_AROUND = 0.45  # orders on either side from which the background is taken
_LOBE = 2  # lines that a Hann window spreads a tone over, on either side
_MEAN_OF_MEDIAN = 1.44  # of the power of noise: its median is ln 2 of its mean


def shaft_lines_mm_s(
    spectrum: Spectrum, speed_hz: float, nominal_hz: float, mains_hz: float, tolerance: float
) -> Float64:
    """Velocity RMS above the background in each of `LINES` but the last, (axes, 5) float64.

    Twice the line frequency and a multiple of the shaft speed that the block cannot tell apart are both left
    out; a group of which nothing is left is NaN, and so is what lies above the spectrum.

    Parameters
    ----------
    speed_hz
        Of this block; `nominal_hz` decides what is left out, so that all blocks of a point are alike.
    tolerance
        Relative error that the speed may have.
    """
    reach_hz = (2 * _LOBE + 1) * spectrum.step_hz

    def apart(order: float) -> bool:
        return abs(order * nominal_hz - 2 * mains_hz) > reach_hz + order * nominal_hz * tolerance

    found = [
        _together(spectrum, [k * speed_hz for k in orders if apart(k)], speed_hz, tolerance)
        for orders in GROUPS.values()
    ]
    clear = all(apart(order) for orders in GROUPS.values() for order in orders)
    found.append(_together(spectrum, [2 * mains_hz] if clear else [], speed_hz, 0.0))
    return np.sqrt(np.stack(found, axis=1))


def levels_mm_s(each: Float64, axial: int | None) -> Float64:
    """One value for each of `LINES`: those across the shaft of the axis that shakes most, and 1x and 2x along it.

    `each` is what `shaft_lines_mm_s` gives; `axial` the place of the axis along the shaft, None or out of reach
    where there is none: the last is then NaN.

    >>> levels_mm_s(np.array([[0, 1, 2, 0, 0], [0, 3, 4, 0, 0]]), 1)
    array([0., 1., 2., 0., 0., 5.])
    """
    if axial is None or not 0 <= axial < len(each) or len(each) == 1:
        return np.append(each.max(axis=0), np.nan)
    across = np.delete(each, axial, axis=0).max(axis=0)
    return np.append(across, np.hypot(*each[axial, 1:3]))


def _together(spectrum: Spectrum, at_hz: Iterable[float], speed_hz: float, tolerance: float) -> Float64:
    lines = [_line(spectrum, hz, speed_hz, tolerance) for hz in at_hz]
    total: Float64 = np.sum(lines, axis=0) if lines else np.full(len(spectrum.power), np.nan)
    return total


def _line(spectrum: Spectrum, hz: float, speed_hz: float, tolerance: float) -> Float64:
    """Mean square velocity of a tone near `hz`, (axes,), what noise alone would give taken off."""
    step_hz, power = spectrum.step_hz, spectrum.power
    low = max(1, int(np.floor(hz * (1 - tolerance) / step_hz)) - _LOBE)
    high = int(np.ceil(hz * (1 + tolerance) / step_hz)) + _LOBE
    if high >= power.shape[1]:
        return np.full(len(power), np.nan)
    around = slice(
        max(1, round((hz - _AROUND * speed_hz) / step_hz)), round((hz + _AROUND * speed_hz) / step_hz) + 1
    )
    noise = _MEAN_OF_MEDIAN * np.median(power[:, around], axis=1) * (high - low + 1)
    tone: Float64 = power[:, low : high + 1].sum(axis=1, dtype=np.float64) - noise
    mm_s_per_g = 1000 * STANDARD_GRAVITY / (2 * np.pi * hz)
    return np.maximum(tone, 0.0) * mm_s_per_g**2
