"""Page-Hinkley and ADWIN on many channels at once give what river gives, value by value."""

from typing import Any

import numpy as np
import pytest
from river import drift

from andon.events import Float64
from detectors import adwin, page_hinkley
from detectors.state import flatten, load

CHANNELS, VALUES = 8, 3000


@pytest.fixture(scope="module")
def streams() -> Float64:
    """(values, channels): noise, steps up and down, a ramp, coins, large numbers, a stand-still, spikes."""
    rng = np.random.default_rng(1)
    x = rng.normal(0.5, 0.1, (VALUES, CHANNELS))
    x[1000:, 1] += 0.3
    x[1500:, 2] += np.linspace(0, 0.6, VALUES - 1500)
    x[:, 3] = rng.integers(0, 2, VALUES)
    x[500:1000, 4] = 0.9
    x[:, 5] *= 1e6
    x[::300, 6] += 50
    x[2000:, 7] -= 0.2
    return x


def rivers(chosen: Any, **parameters: float) -> list[Any]:
    """One of river's for each channel."""
    return [chosen(**parameters) for _ in range(CHANNELS)]


def test_page_hinkley_equals_rivers_bit_for_bit(streams: Float64) -> None:
    ours = page_hinkley.page_hinkley(CHANNELS)
    theirs = rivers(drift.PageHinkley, threshold=5.0)
    found = 0
    for row in streams:
        said = page_hinkley.step(ours, row, threshold=5.0)
        for c, one in enumerate(theirs):
            one.update(float(row[c]))
            assert one.drift_detected == said[c]
            assert (one._x_mean.get(), one._sum_increase, one._sum_decrease) == (
                ours.mean[c],
                ours.rises[c],
                ours.falls[c],
            )
        found += int(said.sum())
    assert found > 20


@pytest.mark.parametrize("clock", [1, 32])
def test_adwin_equals_rivers_bit_for_bit(streams: Float64, clock: int) -> None:
    rows = streams[: 1300 if clock == 1 else VALUES]
    ours = adwin.adwin(CHANNELS)
    theirs = rivers(drift.ADWIN, clock=clock)
    found = 0
    for row in rows:
        said = adwin.step(ours, row, clock=clock)
        for c, one in enumerate(theirs):
            one.update(float(row[c]))
            assert one.drift_detected == said[c]
            assert (one.width, one.total, one.variance) == (ours.width[c], ours.total[c], ours.square[c])
        found += int(said.sum())
    assert found >= 2


def test_a_channel_without_a_value_stands_still(streams: Float64) -> None:
    """Every second value of one channel missing: the same as the other values told alone."""
    holes = streams[:1500].copy()
    holes[::2, 1] = np.nan
    alone = page_hinkley.page_hinkley(1), adwin.adwin(1)
    among = page_hinkley.page_hinkley(CHANNELS), adwin.adwin(CHANNELS)
    for row in holes:
        with_others = (
            page_hinkley.step(among[0], row, threshold=5.0)[1],
            adwin.step(among[1], row, clock=1)[1],
        )
        if np.isnan(row[1]):
            assert with_others == (False, False)
            continue
        expected = (
            page_hinkley.step(alone[0], row[1:2], threshold=5.0),
            adwin.step(alone[1], row[1:2], clock=1),
        )
        assert with_others == (expected[0][0], expected[1][0])
    assert alone[1].total[0] == among[1].total[1]


def test_the_state_is_arrays_and_goes_on_where_it_was(streams: Float64) -> None:
    whole, first, second = adwin.adwin(CHANNELS), adwin.adwin(CHANNELS), adwin.adwin(CHANNELS)
    expected = [adwin.step(whole, row).tolist() for row in streams]
    said = [adwin.step(first, row).tolist() for row in streams[:1700]]
    kept = flatten(first)
    assert all(isinstance(leaf, np.ndarray) for leaf in kept.values())
    load(second, kept)
    assert said + [adwin.step(second, row).tolist() for row in streams[1700:]] == expected
