"""The damaged element is named from the envelope; what cannot be known is not named."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from andon.events import MINUTE_NS, Action, Finding, Float32
from andon.plant import Asset, Bearing, Point
from detectors.bearing import fault_orders
from detectors.bearing_element import Detector
from detectors.element import CombParameters, explain
from detectors.envelope import Envelope, envelope_of, refined_speed_hz
from tests.vibration import BEARING, PERIOD_NS, RATE_HZ, SPEED_HZ, T0, Shaking, samples, waveform

ORDERS = fault_orders(BEARING)
POINT = Point(id="DE", component="bearing_de", kind="waveform", bearing=BEARING, speed_hz=SPEED_HZ)
NAMES = {"outer": "bearing_outer_race", "inner": "bearing_inner_race", "element": "bearing_rolling_element"}


def make(point: Point = POINT, **parameters: Any) -> Detector:
    asset = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", points=(point,))
    return Detector(asset, Detector.Parameters(**parameters))


def told(
    detector: Detector, first: int, last: int, shaking: Callable[[int], Shaking], *, seed: int = 0, **how: Any
) -> list[Finding]:
    rng = np.random.default_rng([seed, first])
    found: list[Finding] = []
    for k in range(first, last):
        now = shaking(k)
        found += detector.update(waveform(samples(rng, now, seed), k, **({"speed_hz": now.speed_hz} | how)))
    return found


def breathing(k: int, **more: Any) -> Shaking:
    """A healthy machine whose load and speed move by 2 %."""
    swing = 0.02 * np.sin(k / 9.0)
    return Shaking(noise_g=0.06 * (1 + swing), speed_hz=SPEED_HZ * (1 - swing), **more)


@pytest.mark.parametrize("element", list(NAMES))
@pytest.mark.parametrize("slip", [-0.005, 0.005])
def test_a_growing_fault_is_named_after_its_element(element: str, slip: float) -> None:
    order = getattr(ORDERS, element)

    def worn(k: int) -> Shaking:
        return breathing(k, impact_g=min(1.0, 0.04 * max(0, k - 80)), order=order * (1 + slip))

    found = told(make(), 0, 170, worn)
    assert [(finding.action, finding.condition) for finding in found] == [(Action.RAISE, NAMES[element])]
    raised = found[0]
    numbers = {number.name: number.value for number in raised.numbers}
    assert numbers["order"] == pytest.approx(order, rel=0.015)
    assert numbers["frequency_hz"] == pytest.approx(order * SPEED_HZ, rel=0.015)
    assert numbers["ratio"] >= 1.85
    assert numbers["harmonics"] >= 1
    assert raised.component == "bearing_de"
    assert T0 + 80 * PERIOD_NS <= raised.onset_ns < raised.at_ns


def test_the_envelope_is_shown_with_the_orders_of_the_bearing() -> None:
    shape = told(make(), 0, 60, lambda k: breathing(k, impact_g=1.0, order=ORDERS.outer))[0].evidence[
        "envelope"
    ]
    marked = {marker["name"]: marker["hz"] for marker in shape["markers"]}
    assert marked["BPFO"] == pytest.approx(ORDERS.outer * SPEED_HZ, rel=1e-3)
    assert {"1x", "BPFI", "2×BSF", "FTF", "2×BPFO"} <= marked.keys()
    assert not {"BPFI-1x", "2×BSF+FTF"} & marked.keys()
    tallest_hz = shape["dx_hz"] * (4 + int(np.argmax(shape["value"][4:])))
    assert tallest_hz == pytest.approx(marked["BPFO"], abs=2 * shape["dx_hz"])


def test_damage_that_was_there_from_the_beginning_is_named_as_well() -> None:
    found = told(make(), 0, 40, lambda k: breathing(k, impact_g=1.0, order=1.005 * ORDERS.inner))
    assert [finding.condition for finding in found] == ["bearing_inner_race"]
    numbers = {number.name: number.value for number in found[0].numbers}
    assert numbers["slip"] == pytest.approx(0.5, abs=0.5)  # % of 16 revolutions' resolution
    marked = {marker["name"]: marker["hz"] for marker in found[0].evidence["envelope"]["markers"]}
    assert marked["BPFI"] == pytest.approx(numbers["frequency_hz"], rel=1e-3)
    assert marked["BPFI+1x"] - marked["BPFI-1x"] == pytest.approx(2 * SPEED_HZ, rel=1e-3)


@pytest.mark.parametrize("seed", range(3))
def test_a_healthy_bearing_is_not_spoken_of(seed: int) -> None:
    assert told(make(), 0, 400, breathing, seed=seed) == []


def test_more_noise_or_more_imbalance_is_no_bearing_damage() -> None:
    def louder(k: int) -> Shaking:
        return replace(breathing(k), noise_g=0.06 if k < 60 else 0.2, shaft_g=0.02 if k < 60 else 0.5)

    assert told(make(), 0, 250, louder) == []


@pytest.mark.parametrize("order", [2.9, 6.37])
def test_impacts_that_no_element_explains_are_not_given_a_name(order: float) -> None:
    def struck(k: int) -> Shaking:
        return breathing(k, impact_g=0.0 if k < 60 else 1.0, order=order)

    assert {finding.condition for finding in told(make(), 0, 250, struck)} <= {"bearing_unknown"}


@pytest.mark.parametrize(("stated", "hinted"), [("6205", False), ("6308", True)])
def test_lines_that_fit_another_bearing_clearly_better_are_hinted_at_and_given_no_name(
    stated: str, hinted: bool
) -> None:
    geometry = BEARING if stated == "6205" else Bearing.model_validate(stated)

    def struck(k: int) -> Shaking:
        return breathing(k, impact_g=0.0 if k < 60 else 1.0, order=ORDERS.outer)

    found = told(make(POINT.model_copy(update={"bearing": geometry})), 0, 250, struck)
    assert {finding.condition for finding in found} == {"bearing_unknown" if hinted else NAMES["outer"]}
    assert all(("6205" in finding.text.get("better_bearings", "").split(", ")) == hinted for finding in found)


def test_blocks_of_less_than_ten_revolutions_are_never_looked_at() -> None:
    detector, rng = make(), np.random.default_rng(0)
    for k in range(200):
        x = samples(rng, Shaking(impact_g=2.0, order=ORDERS.outer))[:5120]  # 9.9 revolutions
        assert detector.update(waveform(x, k)) == []
    assert detector.snapshot()["points/DE/blocks"] == 0


def test_without_a_speed_or_a_bearing_nothing_is_said() -> None:
    def worn(k: int) -> Shaking:
        return breathing(k, impact_g=1.0, order=ORDERS.outer)

    slow = POINT.model_copy(update={"speed_hz": None})
    plain = POINT.model_copy(update={"bearing": None})
    assert told(make(slow), 0, 60, worn, speed_hz=None) == []
    assert told(make(plain), 0, 60, worn) == []
    assert told(make(slow), 0, 60, worn) != []


def test_a_repaired_bearing_is_cleared_and_can_fail_again() -> None:
    def life(k: int) -> Shaking:
        return breathing(k, impact_g=1.0 if 60 <= k < 100 or k >= 420 else 0.0, order=ORDERS.outer)

    found = told(make(), 0, 480, life)
    assert [finding.action.value for finding in found] == ["raise", "clear", "raise"]
    assert len({finding.id for finding in found}) == 3
    assert found[1].at_ns - T0 < 100 * PERIOD_NS + 40 * MINUTE_NS


def test_a_healthy_machine_costs_little() -> None:
    detector = make()
    told(detector, 0, 240, breathing)
    looked = detector.snapshot()["points/DE/revolutions"]
    assert looked < 100
    assert detector.snapshot()["points/DE/decided"].count("none") <= 12  # of 240 blocks 57 were looked at


def record(order: float, seconds: float, noise_g: float = 0.06, impact_g: float = 1.0) -> Float32:
    rng = np.random.default_rng(3)
    parts = [
        samples(rng, Shaking(noise_g=noise_g, impact_g=impact_g, order=order))
        for _ in range(round(seconds / 0.64))
    ]
    return np.concatenate(parts)[None, :]


def verdict(x: Float32, parameters: CombParameters | None = None) -> Any:
    envelope = envelope_of(x - x.mean(), RATE_HZ, SPEED_HZ, SPEED_HZ)
    return explain(envelope, ORDERS, SPEED_HZ, parameters or CombParameters())


@pytest.mark.parametrize("element", list(NAMES))
def test_a_long_record_is_enough_by_itself(element: str) -> None:
    assert verdict(record(getattr(ORDERS, element), 5)).element == element


def test_noise_alone_is_none_whatever_its_colour() -> None:
    for seed in range(5):
        rng = np.random.default_rng(seed)
        white = rng.standard_normal((1, 64_000)).astype(np.float32)
        red = np.cumsum(white, axis=1) * np.float32(0.1) + white
        assert {verdict(white).element, verdict(red.astype(np.float32)).element} == {"none"}


def test_naming_can_be_made_harder() -> None:
    x = record(ORDERS.outer, 5)
    assert verdict(x, CombParameters(name_z=50)).element in {"unknown", "none"}
    assert verdict(x, CombParameters(least_ratio=50)).element == "unknown"


def test_envelopes_at_slightly_different_speeds_fall_on_the_same_orders() -> None:
    rng, tallest = np.random.default_rng(1), []
    for speed_hz in (SPEED_HZ * 0.98, SPEED_HZ, SPEED_HZ * 1.02):
        x = samples(rng, Shaking(impact_g=2.0, order=5.4, speed_hz=speed_hz))[None, :]
        envelope: Envelope = envelope_of(x, RATE_HZ, speed_hz, SPEED_HZ)
        lines = envelope.power.mean(axis=(0, 1))
        tallest.append(float(lines[30:].argmax() + 30) * envelope.step_order)
    assert tallest == pytest.approx([5.4] * 3, abs=0.07)


@pytest.mark.parametrize("off", [-0.015, 0.0, 0.012])
def test_the_speed_is_refined_from_the_shaft_lines_of_a_long_block(off: float) -> None:
    rng = np.random.default_rng(2)
    t = np.arange(150_000) / RATE_HZ
    x = sum(np.sin(2 * np.pi * k * SPEED_HZ * t) / k for k in (1, 2, 3)) + rng.standard_normal(t.size)
    found = refined_speed_hz(x.astype(np.float32)[None], RATE_HZ, SPEED_HZ * (1 + off))
    assert found == pytest.approx(SPEED_HZ, rel=2e-3)
    assert refined_speed_hz(x[None, :8192].astype(np.float32), RATE_HZ, 25.0) == 25.0
