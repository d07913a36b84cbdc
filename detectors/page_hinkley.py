"""The Page-Hinkley test on many channels at once: equal to river's, bit for bit, with its state as arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from andon.events import Float64


@dataclass(slots=True)
class PageHinkley:
    """Where the test stands on each channel; all arrays are (channels,)."""

    seen: Float64
    mean: Float64
    rises: Float64
    falls: Float64
    lowest: Float64
    highest: Float64
    found: NDArray[np.bool_]


def page_hinkley(channels: int) -> PageHinkley:
    """The test before its first value."""
    zero = np.zeros(channels)
    return PageHinkley(
        zero.copy(),
        zero.copy(),
        zero.copy(),
        zero.copy(),
        np.full(channels, np.inf),
        np.full(channels, -1.0),
        np.zeros(channels, np.bool_),
    )


def step(
    test: PageHinkley,
    value: Float64,
    *,
    min_instances: int = 30,
    delta: float = 0.005,
    threshold: float = 50.0,
    alpha: float = 1 - 0.0001,
) -> NDArray[np.bool_]:
    """Take a value of each channel, NaN where it has none, and say where the mean has risen or fallen.

    A channel that was found begins anew with its next value. Every channel goes through river's operations in
    river's order, so results equal `river.drift.PageHinkley` exactly.
    Source: Page 1954, Biometrika 41, 100-115; Sebastiao and Fernandes 2017.

    >>> test = page_hinkley(2)
    >>> said = [step(test, np.array([0.0, i >= 100]), threshold=5.0) for i in range(200)]
    >>> [int(np.argmax(one)) for one in np.transpose(said)], np.any(said, axis=0)
    ([0, 105], array([False,  True]))
    """
    here = np.isfinite(value)
    anew = test.found & here
    for held, begin in (
        (test.seen, 0.0),
        (test.mean, 0.0),
        (test.rises, 0.0),
        (test.falls, 0.0),
        (test.lowest, np.inf),
        (test.highest, -1.0),
    ):
        held[anew] = begin
    x = np.where(here, value, test.mean)
    test.seen += here
    weight = np.divide(1.0, test.seen, out=np.zeros(x.size), where=here)
    test.mean += weight * (x - test.mean)
    off = x - test.mean
    np.copyto(test.rises, alpha * test.rises + off - delta, where=here)
    np.copyto(test.falls, alpha * test.falls + off + delta, where=here)
    np.minimum(test.lowest, test.rises, out=test.lowest, where=here)
    np.maximum(test.highest, test.falls, out=test.highest, where=here)
    said = (test.rises - test.lowest > threshold) | (test.highest - test.falls > threshold)
    test.found = np.where(here, said & (test.seen >= min_instances), test.found)
    return test.found & here
