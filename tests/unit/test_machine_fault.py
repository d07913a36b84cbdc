"""Machine faults are told apart by what they add to the shaft's lines, and nothing is said of a healthy machine."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from andon.events import Action, Finding
from andon.plant import Asset, Point
from detectors.machine_fault import Detector
from simulators.bearing import Element, Fault, Vibration, synthesise
from tests.vibration import BEARING, RATE_HZ, waveform

SPEED_HZ = 24.4
POINT = Point(id="DE", component="motor", kind="waveform", speed_hz=SPEED_HZ, bearing=BEARING)
HEALTHY = Vibration(speed_hz=SPEED_HZ, velocity_mm_s=0.8, bearing=BEARING)


def make(**parameters: Any) -> Detector:
    asset = Asset(id="M1", name="M1", asset_class="motor", path="e/s/a/l/c", points=(POINT,))
    return Detector(asset, Detector.Parameters(**parameters))


def told(
    detector: Detector, first: int, last: int, now: Vibration, said_hz: float | None = None
) -> list[Finding]:
    found: list[Finding] = []
    for k in range(first, last):
        swing = 0.02 * np.sin(k / 9.0)
        turning = replace(now, speed_hz=now.speed_hz * (1 + swing), load=1 + swing)
        x = synthesise(turning, np.random.default_rng([4, k]), rate_hz=RATE_HZ)
        found += detector.update(waveform(x, k, speed_hz=said_hz or turning.speed_hz))
    return found


@pytest.mark.parametrize("severity", [0.4, 1.0])
@pytest.mark.parametrize("fault", [fault for fault in Fault if fault is not Fault.ANGULAR_MISALIGNMENT])
def test_a_fault_is_named_once_with_its_numbers(fault: Fault, severity: float) -> None:
    detector = make()
    healthy = replace(HEALTHY, speed_hz=29.0) if fault is Fault.ELECTRICAL else HEALTHY  # 4x hides 100 Hz
    assert told(detector, 0, 60, healthy) == []
    found = told(detector, 60, 100, replace(healthy, fault=fault, fault_severity=severity))
    assert [(one.action, one.condition) for one in found] == [(Action.RAISE, fault.value)]
    numbers = {number.name: number for number in found[0].numbers}
    assert numbers["ratio"].value >= 1.6
    assert numbers["line_velocity"].value >= (numbers["line_velocity"].limit or 0) > 0
    assert found[0].evidence["baseline"]["blocks"] == 40


@pytest.mark.parametrize("off", [-0.01, 0.01])
def test_a_speed_that_is_a_little_wrong_does_no_harm(off: float) -> None:
    detector, said_hz = make(), SPEED_HZ * (1 + off)
    for fault in (None, Fault.MISALIGNMENT):
        now = replace(HEALTHY, fault=fault, fault_severity=0.6)
        found = told(detector, 0 if fault is None else 60, 60 if fault is None else 120, now, said_hz)
        assert [one.condition for one in found] == ([] if fault is None else ["misalignment"])


def test_louder_noise_or_a_damaged_bearing_is_no_machine_fault() -> None:
    for now in (replace(HEALTHY, noise_g=0.2), replace(HEALTHY, element=Element.OUTER_RACE, severity=0.7)):
        detector = make()
        assert told(detector, 0, 60, HEALTHY) + told(detector, 60, 120, now) == []


def test_another_speed_than_the_baselines_is_not_judged() -> None:
    detector = make()
    told(detector, 0, 60, HEALTHY)
    fast = replace(HEALTHY, speed_hz=27.0, fault=Fault.IMBALANCE, fault_severity=1.0)
    assert told(detector, 60, 120, fast) == []


def test_a_fault_is_cleared_when_it_is_gone_and_can_come_back() -> None:
    detector, bad = make(), replace(HEALTHY, fault=Fault.LOOSENESS, fault_severity=0.7)
    found = [
        *told(detector, 0, 60, HEALTHY),
        *told(detector, 60, 100, bad),
        *told(detector, 100, 200, HEALTHY),
        *told(detector, 200, 240, bad),
    ]
    assert [one.action.value for one in found] == ["raise", "clear", "raise"]


@pytest.mark.parametrize("speed_hz", [24.4, 25.0, 49.2, 33.3])
def test_what_mains_and_shaft_hide_from_each_other_is_not_judged(speed_hz: float) -> None:
    hidden, detector = replace(HEALTHY, speed_hz=speed_hz), make()  # 4x, 2x or 3x lies at 100 Hz
    assert told(detector, 0, 60, hidden) == []
    assert told(detector, 60, 100, replace(hidden, fault=Fault.ELECTRICAL, fault_severity=1.0)) == []


@pytest.mark.parametrize("tacho_axis", [None, 1])
@pytest.mark.parametrize(
    ("fault", "said"), [(Fault.IMBALANCE, "imbalance"), (Fault.ANGULAR_MISALIGNMENT, "misalignment")]
)
def test_what_shakes_along_the_shaft_is_no_imbalance(fault: Fault, said: str, tacho_axis: int | None) -> None:
    where = 3 if tacho_axis else 2  # the tacho's axis has been taken out when a detector hears the block
    point = POINT.model_copy(update={"axial_axis": where, "tacho_axis": tacho_axis})
    detector = Detector(
        Asset(id="M1", name="M1", asset_class="motor", path="e/s/a/l/c", points=(point,)),
        Detector.Parameters(),
    )
    found: list[Finding] = []
    for k in range(100):
        now = replace(HEALTHY, fault=fault if k >= 60 else None, fault_severity=0.7)
        rng = np.random.default_rng([6, k])
        both = [synthesise(replace(now, axial=axial), rng, rate_hz=RATE_HZ) for axial in (False, True)]
        found += detector.update(waveform(np.stack(both, axis=1), k, speed_hz=SPEED_HZ))
    assert [one.condition for one in found] == [said]
