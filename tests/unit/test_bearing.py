"""Fault orders obey the kinematics of a bearing, whatever its geometry (published numbers: the doctests)."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from andon.bearings import COMMON
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


RATINGS = """
6000=4.55 6001=5.1 6002=5.6 6003=6.0 6004=9.4 6005=10.1 6006=13.2 6007=16.0 6008=16.8 6009=20.9 6010=21.8 6011=28.3
6012=29.4 6013=30.5 6014=38.0 6015=39.5 6200=5.1 6201=6.8 6202=7.65 6203=9.55 6204=12.8 6205=14.0 6206=19.5 6207=25.7
6208=29.1 6209=32.5 6210=35.0 6211=43.5 6212=52.5 6213=57.5 6214=62.0 6215=66.0 6216=72.5 6302=11.4 6303=13.6
6304=15.9 6305=21.2 6306=26.7 6307=33.5 6308=40.5 6309=53.0 6310=62.0 6311=71.5 6312=82.0 6313=92.5 6314=104
6315=113 6316=123
"""
RATED_KN = {name: float(kn) for name, kn in (pair.split("=") for pair in RATINGS.split())}
"""Basic dynamic load ratings in kN as the catalogues of the large makers give them."""


def rating_kn(elements: int, diameter: float, pitch: float) -> float:
    """ISO 281:2007, 5.1: 1.3 fc Z^2/3 D^1.8, above 25.4 mm 3.647 D^1.4; fc by its table for deep groove bearings."""
    at = [0.05, 0.06, 0.07, 0.08, 0.09, *np.arange(0.10, 0.31, 0.02)]
    fc = [46.7, 49.1, 51.1, 52.8, 54.3, 55.5, 57.5, 58.8, 59.6, 59.9, 59.9, 59.6, 59.0, 58.2, 57.1, 56.0]
    power = diameter**1.8 if diameter <= 25.4 else 3.647 * diameter**1.4
    return float(1.3 * np.interp(diameter / pitch, at, fc) * elements ** (2 / 3) * power / 1000)


def test_balls_of_the_table_carry_what_the_makers_say() -> None:
    balls = {name: geometry[:3] for name, geometry in COMMON.items() if name[:2] in {"60", "62", "63"}}
    assert balls.keys() == RATED_KN.keys()
    for name, geometry in balls.items():
        within = 0.06 if name in {"6305", "6306"} else 0.03
        assert rating_kn(*geometry) == pytest.approx(RATED_KN[name], rel=within), name
