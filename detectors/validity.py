"""Whether a block can be assessed at all: one table of what is wrong with measurements. Not assessable is never healthy."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import isfinite, sqrt
from typing import Literal

import numpy as np

from andon.events import Float32, Quality, Waveform
from detectors.block import UNITS_IN_G, Ends, centred_g, place_of

SHORTEST = 256  # samples
FLAT_RMS_G = 1e-5  # below the noise of any accelerometer: the sensor is not there
IMPLAUSIBLE_G = 1e5  # a shock accelerometer's end of scale
Scope = Literal["block", "velocity", "orders", "declared"]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that can be wrong: what it spoils, the quality of what is made of it, and what a person is told.

    `block`: all of it; `declared`: all of it, seen against what the plant document says of the point; `velocity`
    and `orders`: those features alone.
    """

    scope: Scope
    quality: Quality
    en: str
    zh: str


_BAD, _UNCERTAIN = Quality.BAD, Quality.UNCERTAIN
FLAWS: Mapping[str, Flaw] = {
    "wrong_length": Flaw(
        "block", _BAD, f"the block has less than {SHORTEST} samples", f"数据块不足 {SHORTEST} 个采样点"
    ),
    "no_rate": Flaw("block", _BAD, "the block has no sampling rate", "数据块没有采样率"),
    "unknown_unit": Flaw("block", _BAD, "the unit is not one of acceleration", "单位不是加速度单位"),
    "not_finite": Flaw("block", _BAD, "samples are missing or infinite", "采样值缺失或为无穷大"),
    "out_of_range": Flaw(
        "block", _BAD, "no accelerometer reaches such values", "数值超出任何加速度传感器的量程"
    ),
    "flat": Flaw(
        "block", _BAD, "an axis does not move: cable or sensor", "某一轴没有信号:请检查电缆或传感器"
    ),
    "clipped": Flaw("block", _UNCERTAIN, "the signal is cut off at its peaks", "信号峰值被削平"),
    "wrong_rate": Flaw(
        "declared",
        _BAD,
        "the sampling rate is not the one that the point declares",
        "采样率与测点声明的不一致",
    ),
    "saturated": Flaw(
        "declared",
        _UNCERTAIN,
        "the signal stands at the end of the sensor's range",
        "信号停留在传感器量程的极限",
    ),
    "bias": Flaw(
        "declared",
        _BAD,
        "the signal's mean is far from zero: cable, supply or sensor",
        "信号均值严重偏离零点:请检查电缆、供电或传感器",
    ),
    "below_nyquist": Flaw(
        "velocity", _BAD, "the sampling rate is too low for 1000 Hz", "采样率过低,无法覆盖 1000 Hz"
    ),
    "short_band": Flaw(
        "velocity",
        _UNCERTAIN,
        "the block is too short for the band's lower edge",
        "数据块过短,无法覆盖频带下限",
    ),
    "few_revolutions": Flaw("orders", _BAD, "the block holds too few revolutions", "数据块包含的转数过少"),
    "no_speed": Flaw("orders", _BAD, "the shaft speed is not known", "转速未知"),
}
"""Every flaw by its stable code, in the order in which they are looked for: each may rely on those before it."""


@lru_cache(maxsize=8)
def problem_of(waveform: Waveform) -> tuple[str, Quality] | None:
    """Why a block cannot be trusted, as a code of `FLAWS` and the quality of what it gives; None if it can."""
    code = next((code for code, wrong in _CHECKS.items() if wrong(waveform)), waveform.doubt)
    return (code, FLAWS[code].quality) if code else None


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
