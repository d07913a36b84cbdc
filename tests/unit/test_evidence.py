"""What is shown with a finding is bounded, ordered, and keeps the peaks."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given, settings

from detectors.evidence import Trend, significant, spectrum_shape, thinned
from detectors.state import flatten, load


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3000), st.integers(0, 2**32 - 1))
def test_a_trend_of_any_length_keeps_240_points_its_peak_and_its_recent_past(n: int, seed: int) -> None:
    values = np.round(np.random.default_rng(seed).lognormal(size=n), 3)
    trend = Trend()
    for i, value in enumerate(values):
        trend.add(i, float(value))
    shape = trend.shape("DE/x", "g")
    assert len(shape["at_ns"]) == len(shape["value"]) <= 240
    assert shape["at_ns"] == sorted(set(shape["at_ns"]))
    assert [significant(float(values[i])) for i in shape["at_ns"]] == shape["value"]
    assert shape["value"][-96:] == significant(values[-96:])
    if n:
        assert max(shape["value"]) == significant(float(values.max()))
    if n > 240:
        assert len(shape["value"]) >= 150
        assert shape["at_ns"][0] < n / 20


def test_a_trend_goes_on_after_it_was_put_away() -> None:
    one, other = Trend(), Trend()
    for i in range(700):
        one.add(i, float(i % 13))
    load(other, flatten(one))
    for i in range(700, 900):
        one.add(i, float(i % 7))
        other.add(i, float(i % 7))
    assert one.shape("x", "g") == other.shape("x", "g")


@given(st.integers(1, 20_000))
def test_a_spectrum_keeps_its_tallest_line_where_it_was(n: int) -> None:
    lines = np.zeros(n)
    lines[n // 3] = 2.0
    value, each = thinned(lines)
    assert len(value) <= 800
    assert int(value.argmax()) == n // 3 // each
    assert value.max() == 2.0


def test_markers_outside_the_spectrum_are_left_out() -> None:
    shape = spectrum_shape(np.ones(100), 1.0, "g", [("1x", 25.0), ("BPFO", 120.0), ("none", 0.0)])
    assert shape["markers"] == [{"name": "1x", "hz": 25.0}]
