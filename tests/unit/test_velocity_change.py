"""Criterion II: a velocity that leaves its frozen baseline by a quarter of B/C is told, up or down, in whatever zone."""

from collections.abc import Sequence

import numpy as np
import pytest

from andon.events import Declaration, Declared, Finding, Origin, Readings
from andon.plant import Asset, Point
from detectors.velocity_change import Detector
from tests.vibration import PERIOD_NS, T0

POINT = Point(id="VEL", component="bearing_de", quantities={"velocity_rms": "mm/s"})
ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", power_kw=75, points=(POINT,))


def told(detector: Detector, values: Sequence[float], first: int = 0) -> list[Finding]:
    n = len(values)
    at_ns = T0 + (first + np.arange(n)) * PERIOD_NS
    good, origin = np.zeros(n, np.uint32), Origin("plc", first, T0)
    channel, value = np.zeros(n, np.int32), np.array(values, float)
    return list(
        detector.update(Readings("M1", ("VEL/velocity_rms",), ("mm/s",), at_ns, channel, value, good, origin))
    )


def words(found: Sequence[Finding]) -> list[tuple[str, str]]:
    return [(one.action.value, one.condition) for one in found]


def make() -> Detector:
    return Detector(ASSET, Detector.Parameters())


@pytest.mark.parametrize("velocity", [1.1 + 0.71, 1.1 - 0.71])
def test_a_change_of_more_than_a_quarter_of_bc_is_told_up_or_down(velocity: float) -> None:
    found = told(make(), [1.1] * 60 + [velocity] * 40)
    assert words(found) == [("raise", "velocity_change")]
    assert found[0].onset_ns == T0 + 60 * PERIOD_NS
    numbers = {number.name: number for number in found[0].numbers}
    assert numbers["velocity_change"].limit == 0.7
    assert numbers["velocity_rms"].limit == 1.8
    assert (numbers["baseline"].value, numbers["trip"].value) == (1.1, 5.625)
    assert found[0].evidence["baseline"]["blocks"] == 60


@pytest.mark.parametrize("velocity", [1.1 + 0.69, 1.1 - 0.69])
def test_a_smaller_one_is_not(velocity: float) -> None:
    assert told(make(), [1.1] * 60 + [velocity] * 400) == []


def test_it_clears_when_the_velocity_is_back_for_long() -> None:
    detector = make()
    assert words(told(detector, [1.1] * 60 + [2.0] * 40)) == [("raise", "velocity_change")]
    assert told(detector, [1.7] * 200, first=100) == []  # within the limit, not within its hysteresis
    assert words(told(detector, [1.1] * 60, first=300)) == [("clear", "velocity_change")]


def test_the_baseline_is_frozen_and_learned_anew_after_a_repair_alone() -> None:
    detector = make()
    creeping = [1.1] * 60 + [1.1 + 0.001 * k for k in range(1000)]
    assert words(told(detector, creeping)) == [("raise", "velocity_change")]
    at_ns = T0 + 1060 * PERIOD_NS
    repair = Declaration(at_ns, "M1", None, Declared.REPAIR, "me", "new bearing", None, Origin("e", 0, at_ns))
    assert words(detector.update(repair)) == [("clear", "velocity_change")]
    assert told(detector, [2.1] * 300, first=1061) == []


def test_a_machine_that_the_table_does_not_assess_is_not_spoken_of() -> None:
    small = ASSET.model_copy(update={"power_kw": 11})
    assert told(Detector(small, Detector.Parameters()), [1.0] * 60 + [30.0] * 100) == []
