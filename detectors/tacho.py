"""Tacho: when the shaft passed its mark, from one axis of a block that carries pulses; and a block on even angles."""

from dataclasses import dataclass

import numpy as np

from andon.events import Float32, Float64

FEWEST_TURNS = 4
_UNEVEN = 0.25  # an interval this far from its neighbours is a pulse too many or too few: no shaft turns so
_LOW, _HIGH = (
    0.4,
    0.6,
)  # of the pulse's height: it rises through the upper, and has to have been below the lower


@dataclass(frozen=True, slots=True, eq=False)
class Turned:
    """A block on even angles: `x` (axes, revolutions · each), `each` samples per revolution, beginning at a mark."""

    x: Float32
    each: int
    revolutions: int
    speed_hz: float


def marks_of(pulses: Float32, per_revolution: int) -> Float64 | None:
    """Where each revolution begins, in samples, between samples by a straight line; None if no tacho speaks there.

    >>> t = np.arange(1000)
    >>> marks_of((t % 100 < 10).astype(np.float32), 1).round(1)
    array([ 99.6, 199.6, 299.6, 399.6, 499.6, 599.6, 699.6, 799.6, 899.6])
    """
    low, high = np.percentile(pulses, [0.5, 99.5]).tolist()
    if not high > low:
        low, high = float(pulses.min()), float(pulses.max())
    if not (np.isfinite(low) and np.isfinite(high) and high > low):
        return None
    arms, fires = low + _LOW * (high - low), low + _HIGH * (high - low)
    above = np.flatnonzero((pulses[1:] >= fires) & (pulses[:-1] < fires)) + 1
    below = np.flatnonzero(pulses < arms)
    armed = np.searchsorted(below, above)  # a rise counts once it has been low since the last
    rises = above[np.diff(armed, prepend=0) > 0]
    before = pulses[rises - 1].astype(np.float64)
    at: Float64 = rises - 1 + (fires - before) / (pulses[rises] - before)
    marks = at[::per_revolution]
    gaps = np.diff(at)
    if len(marks) < FEWEST_TURNS or (np.abs(gaps[1:] / gaps[:-1] - 1) > _UNEVEN).any():
        return None
    return marks


def on_even_angles(x: Float32, marks: Float64, rate_hz: float, highest_order: float) -> Turned:
    """The block with so many samples per revolution that `highest_order` is well resolved, from first to last mark.

    Parameters
    ----------
    x
        (axes, n) float32.
    marks
        (m,) where each revolution begins, in samples; between them the shaft turns evenly.

    Notes
    -----
    Samples are read by a straight line between neighbours; an order k of amplitude a loses at most
    a·(π·k·speed/rate)²/2: 0.1 % at a fiftieth of the sampling rate.
    Source: K. R. Fyfe and E. D. S. Munck, Analysis of computed order tracking, MSSP 11 (1997).
    """
    each = max(8, int(2.56 * highest_order))
    revolutions = len(marks) - 1
    at = np.interp(np.arange(revolutions * each) / each, np.arange(len(marks)), marks)
    below = np.minimum(at.astype(np.int64), x.shape[1] - 2)
    part = (at - below).astype(np.float32)
    turned: Float32 = x[:, below] * (1 - part) + x[:, below + 1] * part
    return Turned(turned, each, revolutions, revolutions * rate_hz / float(marks[-1] - marks[0]))
