"""What can be wrong with a measurement: one table of codes, what each spoils, its quality, and what a person is told."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from andon.events import Quality

SHORTEST = 256  # samples
Scope = Literal["block", "declared", "velocity", "orders", "value"]


@dataclass(frozen=True, slots=True)
class Flaw:
    """One thing that can be wrong: what it spoils, the quality of what is made of it, and what a person is told.

    `block`: all of it; `declared`: all of it, seen against what the plant document says of the point; `velocity`
    and `orders`: those features alone; `value`: a reading that came as one.
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
        "block", _BAD, "an axis does not move: cable or sensor", "某一轴没有信号：请检查电缆或传感器"
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
        "信号均值严重偏离零点：请检查电缆、供电或传感器",
    ),
    "below_nyquist": Flaw(
        "velocity", _BAD, "the sampling rate is too low for 1000 Hz", "采样率过低，无法覆盖 1000 Hz"
    ),
    "short_band": Flaw(
        "velocity",
        _UNCERTAIN,
        "the block is too short for the band's lower edge",
        "数据块过短，无法覆盖频带下限",
    ),
    "few_revolutions": Flaw("orders", _BAD, "the block holds too few revolutions", "数据块包含的转数过少"),
    "bad_quality": Flaw(
        "value", _BAD, "its source calls the value bad or uncertain", "数据源将该值标记为差或不确定"
    ),
    "found_speed": Flaw(
        "orders",
        _UNCERTAIN,
        "the shaft speed was not measured but found in the spectrum",
        "转速并非实测，而是从频谱中估计得到",
    ),
    "no_speed": Flaw("orders", _BAD, "the shaft speed is not known", "转速未知"),
}
"""Every flaw by its stable code, in the order in which they are looked for: each may rely on those before it."""
