"""Fault orders obey the kinematics of a bearing, whatever its geometry (published numbers: the doctests)."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from andon.plant import Bearing
from detectors.bearing import fault_orders


def bearing(elements: int, diameter: float, pitch: float, angle: float = 0.0) -> Bearing:
    return Bearing(
        designation="any",
        rolling_elements=elements,
        element_diameter=diameter,
        pitch_diameter=pitch,
        contact_angle_deg=angle,
    )


@given(st.integers(3, 60), st.floats(0.01, 0.6), st.floats(1, 1000), st.floats(0, 60))
def test_the_races_together_are_passed_once_by_each_element_in_each_turn(
    n: int, ratio: float, pitch: float, angle: float
) -> None:
    orders = fault_orders(bearing(n, ratio * pitch, pitch, angle))
    assert orders.outer + orders.inner == pytest.approx(n)
    assert orders.outer == pytest.approx(n * orders.cage)
    assert 0 < orders.cage < 0.5
    assert orders.outer < orders.inner


@given(st.integers(3, 60), st.floats(0.01, 0.6), st.floats(0.001, 1000))
def test_any_unit_of_length_gives_the_same_orders(n: int, ratio: float, unit: float) -> None:
    one, other = fault_orders(bearing(n, ratio, 1)), fault_orders(bearing(n, ratio * unit, unit))
    assert (one.cage, one.element) == pytest.approx((other.cage, other.element))


def test_a_contact_angle_moves_the_cage_towards_half_the_shaft_speed() -> None:
    angles = [fault_orders(bearing(12, 10, 50, angle)).cage for angle in (0, 15, 40, 80)]
    assert angles == sorted(angles)


def test_elements_as_large_as_the_pitch_circle_are_refused() -> None:
    with pytest.raises(ValueError, match="smaller than the pitch circle"):
        fault_orders(bearing(8, 10, 10))
