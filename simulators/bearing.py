"""What an accelerometer hears at a bearing: shaft lines, coloured noise, and the ring-down of each impact.

A defect is struck once per passing rolling element. The strikes come from the bearing's geometry and the shaft
speed, slip a little, are as strong as the load where they happen, and set the housing ringing at its own
resonances: the envelope of that ringing is what a detector can name the element from.
Model: McFadden and Smith 1984 (one impulse per passage, load-zone modulation), with the random slip of
Antoni and Randall 2003.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from math import cos, pi, radians

import numpy as np

from andon.events import Float32, Float64
from andon.plant import Bearing
from simulators.chance import between

G_MM_S2 = 9806.65
LINE_SHARES = (0.92, 0.34, 0.19)  # of the velocity RMS in 1x, 2x, 3x; squares sum to 1
DAMPING = 0.05  # of the housing resonances: a 3 kHz ring-down lasts about 1 ms
IMPACT_G = 2.5  # first peak of an outer race impact at severity 1
JITTER = 0.01  # standard deviation of the time between impacts, relative


class Element(StrEnum):
    """The part of a bearing that is damaged."""

    OUTER_RACE = "outer_race"
    INNER_RACE = "inner_race"
    ROLLING_ELEMENT = "rolling_element"


class Fault(StrEnum):
    """What is wrong with the machine itself."""

    IMBALANCE = "imbalance"
    MISALIGNMENT = "misalignment"
    ANGULAR_MISALIGNMENT = "angular_misalignment"
    LOOSENESS = "looseness"
    ELECTRICAL = "electrical"


FAULT_LINES_MM_S: dict[Fault, dict[float, float]] = {
    Fault.IMBALANCE: {1: 5.0, 2: 0.4},
    Fault.MISALIGNMENT: {1: 1.5, 2: 4.0, 3: 1.0, 4: 0.4},
    Fault.ANGULAR_MISALIGNMENT: {1: 2.2, 2: 0.6},
    Fault.LOOSENESS: {0.5: 1.2, 1: 1.6, 1.5: 0.9, 2: 1.4, 2.5: 0.6, 3: 1.3, 4: 1.0, 5: 0.8, 6: 0.6, 7: 0.4},
    Fault.ELECTRICAL: {2: 2.5},
}
"""Velocity RMS that a fault of severity 1 adds, by order of the shaft; the electrical one's of the mains.

Shapes after the usual diagnostic charts (ISO 13373-3:2015); each line is as strong as that and a little chance."""
AXIAL: dict[Fault, float] = {
    Fault.IMBALANCE: 0.2,
    Fault.MISALIGNMENT: 0.6,
    Fault.ANGULAR_MISALIGNMENT: 1.6,
    Fault.LOOSENESS: 0.4,
    Fault.ELECTRICAL: 0.3,
}
"""How strong a fault's lines are along the shaft, as a part of those across it (same charts)."""
AXIAL_LINES, AXIAL_IMPACTS = 0.3, 0.5  # of a healthy shaft's lines and of the impacts
MAINS_HZ = 50.0


@dataclass(frozen=True, slots=True)
class Vibration:
    """How a shaft and its bearing move during one block.

    `velocity_mm_s` is the RMS of the shaft's lines (imbalance 1x with its harmonics), `noise_g` the RMS of the
    noise floor, `load` 1 at nominal, `severity` 0 (healthy) to 1 (severe). `resonances_hz` colour the noise
    and ring after each impact. `slip` is the bearing's mean slip, relative to its geometry. `fault` is one of the
    machine itself, `fault_severity` 0 to 1. `axial`: along the shaft, not across it.
    """

    speed_hz: float
    velocity_mm_s: float = 1.0
    noise_g: float = 0.06
    load: float = 1.0
    bearing: Bearing | None = None
    element: Element | None = None
    severity: float = 0.0
    slip: float = 0.0
    resonances_hz: tuple[float, ...] = (2400.0, 4100.0)
    fault: Fault | None = None
    fault_severity: float = 0.0
    axial: bool = False


def impact_order(bearing: Bearing, element: Element) -> float:
    """Impacts per shaft revolution of a damaged element, outer ring fixed, without slip.

    With r = (d / D) cos(contact angle) and n elements: outer race n/2 (1 - r), inner race n/2 (1 + r); a damaged
    ball strikes both races in each turn of its own: D/d (1 - r^2).

    >>> skf_6205 = Bearing(designation="6205", rolling_elements=9, element_diameter=0.3126, pitch_diameter=1.537)
    >>> [round(impact_order(skf_6205, element), 4) for element in Element]
    [3.5848, 5.4152, 4.7135]
    """
    r = bearing.element_diameter / bearing.pitch_diameter * cos(radians(bearing.contact_angle_deg))
    match element:
        case Element.OUTER_RACE:
            return bearing.rolling_elements / 2 * (1 - r)
        case Element.INNER_RACE:
            return bearing.rolling_elements / 2 * (1 + r)
        case Element.ROLLING_ELEMENT:
            return bearing.pitch_diameter / bearing.element_diameter * (1 - r * r)


def cage_order(bearing: Bearing) -> float:
    """Revolutions of the cage per shaft revolution, outer ring fixed: (1 - r) / 2."""
    r = bearing.element_diameter / bearing.pitch_diameter * cos(radians(bearing.contact_angle_deg))
    return (1 - r) / 2


def resonances_of(*key: int | str) -> tuple[float, float]:
    """Two housing resonances in Hz that belong to this key, apart enough to fall in two bands."""
    return round(between(2000, 2800, *key, "low")), round(between(3600, 4700, *key, "high"))


def synthesise(
    vibration: Vibration, rng: np.random.Generator, *, n: int = 8192, rate_hz: float = 12_800.0
) -> Float32:
    """One block of acceleration in g, shape (n,) float32, evenly spaced at `rate_hz`.

    A function of the vibration and the generator's state. The noise and the ringing are circular: what rings
    past the end of the block begins it, as the ringing of the impact before the block would.
    """
    noise_gain, ring = _responses(n, rate_hz, vibration.resonances_hz)
    spectrum = np.fft.rfft(rng.standard_normal(n, dtype=np.float32)) * (
        noise_gain * np.float32(vibration.noise_g)
    )
    strikes = _strikes(vibration, rng, n, rate_hz)
    if strikes is not None:
        spectrum += np.fft.rfft(strikes) * ring
    samples = np.fft.irfft(spectrum, n).astype(np.float32, copy=False)
    samples += _lines(vibration, rng, n, rate_hz)
    if vibration.fault is not None and vibration.fault_severity > 0:
        samples += _fault_lines(vibration, vibration.fault, rng, n, rate_hz)
    return samples


def _lines(vibration: Vibration, rng: np.random.Generator, n: int, rate_hz: float) -> Float32:
    """The shaft's lines; an RMS velocity v at f is an acceleration amplitude of sqrt(2) 2 pi f v."""
    phases = rng.uniform(0, 2 * pi, len(LINE_SHARES))
    total = np.zeros(n, np.float32)
    if vibration.speed_hz <= 0:
        return total
    turn = np.arange(n, dtype=np.float32) * np.float32(2 * pi * vibration.speed_hz / rate_hz)
    for order, (share, phase) in enumerate(zip(LINE_SHARES, phases, strict=True), start=1):
        velocity_mm_s = vibration.velocity_mm_s * (AXIAL_LINES if vibration.axial else 1.0)
        rms_g = 2 * pi * order * vibration.speed_hz * share * velocity_mm_s / G_MM_S2
        total += np.float32(2**0.5 * rms_g) * np.sin(np.float32(order) * turn + np.float32(phase))
    return total


def _fault_lines(
    vibration: Vibration, fault: Fault, rng: np.random.Generator, n: int, rate_hz: float
) -> Float32:
    base_hz = MAINS_HZ if fault is Fault.ELECTRICAL else vibration.speed_hz
    severity = vibration.fault_severity * (AXIAL[fault] if vibration.axial else 1.0)
    total, after_s = np.zeros(n), np.arange(n) / rate_hz
    for order, velocity_mm_s in FAULT_LINES_MM_S[fault].items():
        rms_mm_s = velocity_mm_s * severity * np.exp(0.15 * rng.standard_normal())
        amplitude_g = 2**0.5 * 2 * pi * order * base_hz * rms_mm_s / G_MM_S2
        total += amplitude_g * np.sin(2 * pi * order * base_hz * after_s + rng.uniform(0, 2 * pi))
    return total.astype(np.float32)


def _strikes(vibration: Vibration, rng: np.random.Generator, n: int, rate_hz: float) -> Float32 | None:
    """The impacts as a train of impulses in g, each split over the two nearest samples."""
    bearing, element = vibration.bearing, vibration.element
    if bearing is None or element is None or vibration.severity <= 0 or vibration.speed_hz <= 0:
        return None
    interval_s = 1 / (impact_order(bearing, element) * vibration.speed_hz * (1 + vibration.slip))
    count = int(n / rate_hz / interval_s) + 2
    gaps = interval_s * (1 + JITTER * rng.standard_normal(count))
    at_s = np.cumsum(gaps) - gaps[0] * (1 + rng.random())
    strength = _strength(vibration, bearing, element, at_s, rng)
    place = at_s * rate_hz
    inside = (place >= 0) & (place < n - 1)
    place, strength = place[inside], strength[inside]
    whole = place.astype(np.int64)
    part = place - whole
    train = np.zeros(n)
    np.add.at(train, whole, strength * (1 - part))
    np.add.at(train, whole + 1, strength * part)
    return train.astype(np.float32)


def _strength(
    vibration: Vibration, bearing: Bearing, element: Element, at_s: Float64, rng: np.random.Generator
) -> Float64:
    """How hard each impact is: the load where the damage is just then, and a little chance."""
    heard = AXIAL_IMPACTS if vibration.axial else 1.0
    strength = (
        IMPACT_G * vibration.severity * vibration.load * heard * np.exp(0.12 * rng.standard_normal(at_s.size))
    )
    phase = rng.uniform(0, 2 * pi)
    match element:
        case Element.OUTER_RACE:  # stays in the load zone
            turning, depth = vibration.speed_hz, 0.1
        case Element.INNER_RACE:  # turns through the load zone with the shaft
            turning, depth = vibration.speed_hz, 0.45
        case Element.ROLLING_ELEMENT:  # travels through the load zone with the cage
            turning, depth = vibration.speed_hz * cage_order(bearing), 0.35
            strength[1::2] *= 0.85  # inner and outer race are not struck alike
    return strength * (1 - depth + depth * np.cos(2 * pi * turning * at_s + phase))


@lru_cache(maxsize=64)
def _responses(n: int, rate_hz: float, resonances_hz: Sequence[float]) -> tuple[Float32, Float32]:
    """The noise's gain per line (RMS 1) and the spectrum of one ring-down (peak about 1)."""
    hz = np.fft.rfftfreq(n, 1 / rate_hz)
    gain = hz / (hz + 250.0)  # little below 100 Hz: the shaft's lines carry the velocity there
    after_s = np.arange(n) / rate_hz
    ring = np.zeros(n)
    for at_hz in resonances_hz:
        gain *= 1 + 1.5 / (1 + ((hz - at_hz) / (2 * DAMPING * at_hz)) ** 2)
        ring += np.exp(-2 * pi * DAMPING * at_hz * after_s) * np.sin(2 * pi * at_hz * after_s)
    ring /= np.abs(ring).max()
    gain /= np.sqrt(np.mean(gain**2))
    return gain.astype(np.float32), np.fft.rfft(ring).astype(np.complex64)
