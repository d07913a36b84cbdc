"""Whether a block can be assessed at all, and what the shaft speed is that it is assessed with."""

from collections.abc import Callable, Mapping
from functools import lru_cache
from math import isfinite, sqrt

import numpy as np

from andon.events import Float32, Quality, Waveform
from andon.plant import Point
from detectors.block import UNITS_IN_G, Ends, centred_g, place_of
from detectors.flaws import FLAWS, SHORTEST

FLAT_RMS_G = 1e-5  # below the noise of any accelerometer: the sensor is not there
IMPLAUSIBLE_G = 1e5  # a shock accelerometer's end of scale


@lru_cache(maxsize=8)
def problem_of(waveform: Waveform) -> tuple[str, Quality] | None:
    """Why a block cannot be trusted, as a code of `FLAWS` and the quality of what it gives; None if it can."""
    code = next((code for code, wrong in _CHECKS.items() if wrong(waveform)), waveform.doubt)
    return (code, FLAWS[code].quality) if code else None


def speed_of(waveform: Waveform, point: Point) -> float | None:
    """The shaft speed in Hz that the block tells, else the plant document's; None where neither is one."""
    told = waveform.speed_hz
    return told if told is not None and 0 < told < waveform.rate_hz / 2 else point.speed_hz


def _is_short(waveform: Waveform) -> bool:
    x = waveform.samples
    return x.ndim != 2 or x.shape[0] < SHORTEST or x.shape[1] < 1


def _has_no_rate(waveform: Waveform) -> bool:
    return not (isfinite(waveform.rate_hz) and waveform.rate_hz > 0)


def _ends(waveform: Waveform) -> Ends:
    together, i = place_of(waveform)
    return together.ends(i)


def _is_not_finite(waveform: Waveform) -> bool:
    return not isfinite(_ends(waveform).highest)


def _is_out_of_range(waveform: Waveform) -> bool:
    ends = _ends(waveform)
    return max(-ends.lowest, ends.highest) * UNITS_IN_G[waveform.unit] > IMPLAUSIBLE_G


def _is_flat(waveform: Waveform) -> bool:
    spread_g = _ends(waveform).narrowest * UNITS_IN_G[waveform.unit]
    if spread_g > 4 * FLAT_RMS_G * sqrt(waveform.samples.shape[0]):
        return False  # one sample so far out makes the deviation larger: no need to work it out
    return bool((centred_g(waveform).std(axis=1) <= FLAT_RMS_G).any())


def _is_clipped(waveform: Waveform) -> bool:
    together, i = place_of(waveform)
    return any(
        piles_up(axis, low, high)
        for axis, low, high in zip(waveform.samples.T, *together.extremes(i), strict=True)
    )


_CHECKS: Mapping[str, Callable[[Waveform], bool]] = {
    "wrong_length": _is_short,
    "no_rate": _has_no_rate,
    "unknown_unit": lambda waveform: waveform.unit not in UNITS_IN_G,
    "not_finite": _is_not_finite,
    "out_of_range": _is_out_of_range,
    "flat": _is_flat,
    "clipped": _is_clipped,
}


def piles_up(x: Float32, low: float, high: float) -> bool:
    """Whether the samples of an axis pile up at one of their extremes.

    Clipping leaves half as many again samples at the extreme as in the 2.5 % of amplitude next to it; a
    resolved sine of any amplitude leaves fewer. A signal of less than 100 steps of its own resolution is not
    judged.
    """
    half = (high - low) / 2
    for extreme, inner in ((high, high - 0.025 * half), (low, low + 0.025 * half)):
        at = np.count_nonzero(x == np.float32(extreme))
        if at < 4:
            continue
        near = np.count_nonzero((x >= min(extreme, inner)) & (x <= max(extreme, inner))) - at
        if at > 1.5 * near and half > 100 * _step(x):
            return True
    return False


def _step(x: Float32) -> float:
    steps = np.abs(np.diff(np.sort(x[:512])))
    return float(steps[steps > 0].min(initial=np.inf))
