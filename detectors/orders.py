"""Orders: how much a point shakes at ½, 1, 2 and 3 times its shaft's speed, in mm/s, and when the shaft lies where."""

import numpy as np
from scipy import fft

from andon.events import Float64, Waveform
from andon.plant import Point
from detectors.block import STANDARD_GRAVITY, Spectrum, centred_g, spectrum_of
from detectors.tacho import on_even_angles
from detectors.validity import speed_of

ORDERS = {"half": 0.5, "1x": 1.0, "2x": 2.0, "3x": 3.0}
ORDER_CHANNELS = (("speed_hz", "Hz"), *((f"order_{name}", "mm/s") for name in ORDERS))
PHASE_CHANNELS = (("phase_1x", "deg"), ("phase_2x", "deg"))
LEAST_REVOLUTIONS = 10
SPEED_ERROR = 0.01  # what a stated speed may be wrong by
_TRACKED_ORDERS = 16.0  # what lies above is left to the spectrum
_LOBE = 2  # lines that a Hann window spreads a tone over, on either side


def order_levels(waveform: Waveform, point: Point) -> tuple[list[float], str]:
    """One value for each of `ORDER_CHANNELS`, with a tacho also of `PHASE_CHANNELS`; or none, and what is against them.

    - `speed_hz` Hz: of this block, by its tacho, its source or, where neither says, the plant document
    - `order_<k>` mm/s RMS at that order, of the axis that shakes most there
    - `phase_<k>` degrees: how far before the mark the first axis is at its highest, −180 to 180

    With a tacho the block is first put on even angles, so that a speed that changes within the block does not
    smear its lines; without, the lines lie within 1 % of the stated speed.
    Source: ISO 13373-2:2016 (synchronous quantities); a tone's velocity is its acceleration over 2πf.
    """
    turns, speed_hz = waveform.turns, speed_of(waveform, point)
    if turns is None and (point.tacho_axis or speed_hz is None):
        return [], "no_speed"
    if turns is not None:
        return (_tracked(waveform, turns), "") if len(turns) > LEAST_REVOLUTIONS else ([], "few_revolutions")
    if not speed_hz or speed_hz * waveform.samples.shape[0] / waveform.rate_hz < LEAST_REVOLUTIONS:
        return [], "few_revolutions"
    levels = _stated(spectrum_of(waveform), speed_hz)
    return ([speed_hz, *levels], "") if levels else ([], "below_nyquist")


def _stated(spectrum: Spectrum, speed_hz: float) -> list[float]:
    lines, turn = spectrum.power.shape[1], speed_hz / spectrum.step_hz
    ends = [
        end
        for order in ORDERS.values()
        for end in (
            max(1, int(order * turn * (1 - SPEED_ERROR)) - _LOBE),
            int(order * turn * (1 + SPEED_ERROR)) + _LOBE + 2,
        )
    ]
    if ends[-1] >= lines:
        return []
    rms_g = np.sqrt(
        np.add.reduceat(spectrum.power[:, : ends[-1] + 1], ends, axis=1)[:, ::2].max(axis=0)
    ).tolist()
    return [_mm_s(g, order * speed_hz) for g, order in zip(rms_g, ORDERS.values(), strict=True)]


def _tracked(waveform: Waveform, turns: Float64) -> list[float]:
    x = centred_g(waveform)
    turned = on_even_angles(x, turns[: len(turns) - (len(turns) - 1) % 2], waveform.rate_hz, _TRACKED_ORDERS)
    lines = fft.rfft(turned.x, axis=1) * np.float32(2 / turned.x.shape[1])  # an even number: ½x is a line too
    at = [round(order * turned.revolutions) for order in ORDERS.values()]
    amplitude = np.abs(lines[:, at]).max(axis=0) / np.sqrt(2)
    hz = [order * turned.speed_hz for order in ORDERS.values()]
    phases = np.degrees(np.angle(lines[0, [at[1], at[2]]]))
    levels = [_mm_s(float(a), f) for a, f in zip(amplitude, hz, strict=True)]
    return [turned.speed_hz, *levels, *(float(phase) for phase in phases)]


def _mm_s(rms_g: float, hz: float) -> float:
    return float(rms_g * 1000 * STANDARD_GRAVITY / (2 * np.pi * hz))
