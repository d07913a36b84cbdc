"""A block as the plant document says it is to be heard: its tacho apart, and doubted where it is not what is declared."""

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from andon.events import Event, Waveform
from andon.plant import Point
from detectors.block import UNITS_IN_G, expect
from detectors.tacho import marks_of

_RATE_ERROR = 0.01  # a crystal is a thousand times better, a setting a hundred times worse
_AT_THE_END = 0.999  # of the range
_FLAT_TOP = 3  # samples that stand there
_BIAS_SHARE, _GRAVITY_G = 0.5, 2.0  # of the range; a MEMS sensor feels 1 g of its own weight


def heard(events: Sequence[Event], point_of: Callable[[str, str], Point | None]) -> Sequence[Event]:
    """The events with each block as its point declares it; its blocks are then transformed together.

    Parameters
    ----------
    events
        A run of events in stream order.
    point_of
        The point of an asset's id and its own.
    """
    if not any(isinstance(event, Waveform) for event in events):
        return events
    said = [
        as_declared(event, point_of(event.asset, event.point)) if isinstance(event, Waveform) else event
        for event in events
    ]
    expect(event for event in said if isinstance(event, Waveform))
    return said


def as_declared(waveform: Waveform, point: Point | None) -> Waveform:
    """The block without its tacho's axis but with what it told, and with the `doubt` that the point's settings raise."""
    if point is None or waveform.samples.ndim != 2:
        return waveform
    if point.tacho_axis is not None and point.tacho_axis <= waveform.samples.shape[1] > 1:
        waveform = _without_tacho(waveform, point.tacho_axis - 1, point.pulses_per_revolution)
    doubt = _doubt(waveform, point)
    return replace(waveform, doubt=doubt) if doubt else waveform


def _without_tacho(waveform: Waveform, axis: int, per_revolution: int) -> Waveform:
    turns = marks_of(np.ascontiguousarray(waveform.samples[:, axis]), per_revolution)
    rest = np.delete(waveform.samples, axis, axis=1)
    if turns is None:
        return replace(waveform, samples=rest)
    speed_hz = (len(turns) - 1) * waveform.rate_hz / float(turns[-1] - turns[0])
    return replace(waveform, samples=rest, turns=turns, speed_hz=speed_hz)


def _doubt(waveform: Waveform, point: Point) -> str:
    if point.rate_hz is not None and not abs(waveform.rate_hz / point.rate_hz - 1) <= _RATE_ERROR:
        return "wrong_rate"
    factor = UNITS_IN_G.get(waveform.unit)
    if point.range_g is None or factor is None:
        return ""
    top = point.range_g / factor
    size = np.abs(waveform.samples)
    if ((size >= _AT_THE_END * top).sum(axis=0) >= _FLAT_TOP).any():
        return "saturated"
    bias_g = np.abs(waveform.samples.mean(axis=0)) * factor
    return "bias" if (bias_g > max(_BIAS_SHARE * point.range_g, _GRAVITY_G)).any() else ""
