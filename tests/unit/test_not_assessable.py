"""Not assessable: a point that speaks without saying anything that can be judged is told, once, with what is wrong."""

from dataclasses import replace

import numpy as np
import pytest

from andon.events import Action, Finding, Float32, Origin, PackMLState, Quality, Readings, StopAlarm
from andon.plant import Asset, Point
from detectors.features import features_of
from detectors.flaws import FLAWS
from detectors.hearing import as_declared
from detectors.not_assessable import Detector
from tests.vibration import PERIOD_NS, T0, waveform

NOISE = np.random.default_rng(0).standard_normal(8192).astype(np.float32)
POINT = Point(id="DE", component="bearing_de", kind="waveform", rate_hz=12_800, range_g=50)
ASSET = Asset(
    id="M1",
    name="M1",
    asset_class="pump",
    path="e/s/a/l/c",
    points=(POINT, Point(id="VEL", component="bearing_de", quantities={"velocity_rms": "mm/s"})),
)


def told(
    detector: Detector, x: Float32, blocks: range, *, rate_hz: float = 12_800.0, unit: str = "g"
) -> list[Finding]:
    """What is said of so many blocks, each with its features as the pipeline gives them."""
    found: list[Finding] = []
    for k in blocks:
        block = as_declared(waveform(x, k, rate_hz=rate_hz, unit=unit), POINT)
        for event in (features_of(block, POINT), block):
            found += detector.update(event)
    return found


def velocities(first: int, values: list[float], quality: int = 0) -> Readings:
    n = len(values)
    at_ns = T0 + (first + np.arange(n)) * PERIOD_NS
    bad = np.full(n, quality, np.uint32)
    channel, origin = np.zeros(n, np.int32), Origin("plc", first, T0)
    return Readings("M1", ("VEL/velocity_rms",), ("mm/s",), at_ns, channel, np.array(values), bad, origin)


@pytest.mark.parametrize(
    ("x", "settings", "flaw"),
    [
        (NOISE[:100], {}, "wrong_length"),
        (NOISE, {"rate_hz": float("nan")}, "no_rate"),
        (NOISE, {"unit": "furlong"}, "unknown_unit"),
        (np.where(np.arange(8192) == 9, np.nan, NOISE), {}, "not_finite"),
        (NOISE * 1e7, {}, "out_of_range"),
        (NOISE * 0, {}, "flat"),
        (NOISE.clip(-1, 1), {}, "clipped"),
        (NOISE, {"rate_hz": 6_400.0}, "wrong_rate"),
        (np.where(np.arange(8192) < 3, 50, NOISE), {}, "saturated"),
        (NOISE + 30, {}, "bias"),
    ],
)
def test_every_flaw_of_a_whole_block_becomes_a_finding_that_names_it(
    x: Float32, settings: dict[str, float], flaw: str
) -> None:
    detector = Detector(ASSET, Detector.Parameters())
    assert told(detector, NOISE, range(5)) == []
    found = told(detector, x.astype(np.float32), range(5, 80), **settings)  # type: ignore[arg-type]
    assert [(one.action, one.condition, one.text["flaw"]) for one in found] == [
        (Action.RAISE, "not_assessable", flaw)
    ]
    assert found[0].onset_ns == T0 + 5 * PERIOD_NS
    assert found[0].at_ns - found[0].onset_ns >= 300e9
    assert [one.action for one in told(detector, NOISE, range(80, 90))] == [Action.CLEAR]


def test_the_cases_above_are_all_that_there_are() -> None:
    (mark,) = test_every_flaw_of_a_whole_block_becomes_a_finding_that_names_it.pytestmark  # type: ignore[attr-defined]
    assert {flaw for _, _, flaw in mark.args[1]} == {
        code for code, flaw in FLAWS.items() if flaw.scope in {"block", "declared"}
    }


@pytest.mark.parametrize("quality", [Quality.BAD, Quality.UNCERTAIN])
def test_a_scalar_that_its_source_does_not_believe_is_not_assessable(quality: Quality) -> None:
    detector = Detector(ASSET, Detector.Parameters())
    found = list(detector.update(velocities(0, [1.1] * 60, quality)))
    assert [(one.action, one.component, one.text["flaw"]) for one in found] == [
        (Action.RAISE, "VEL", "bad_quality")
    ]
    assert [one.action for one in detector.update(velocities(60, [1.1]))] == [Action.CLEAR]


def test_now_and_then_a_good_word_is_enough() -> None:
    values = [1.0 if k % 20 == 0 else float("nan") for k in range(400)]
    assert Detector(ASSET, Detector.Parameters()).update(velocities(0, values)) == []


def test_a_block_that_lacks_one_feature_alone_is_assessable() -> None:
    detector = Detector(ASSET, Detector.Parameters())
    slow = POINT.model_copy(update={"rate_hz": 1600})
    for k in range(100):
        features = features_of(waveform(NOISE, k, rate_hz=1600.0), slow)
        assert np.isnan(features.value[0])
        assert features.quality[0] == Quality.BAD
        assert detector.update(features) == []


def test_a_sensor_without_signal_is_not_told_of_while_the_machine_stands() -> None:
    detector = Detector(ASSET, Detector.Parameters())
    origin = Origin("mes", 0, T0)
    stop = StopAlarm("M1", T0, PackMLState.STOPPED, "E1", 1, "", "", True, 500, origin)
    detector.update(stop)
    assert told(detector, NOISE * 0, range(1, 90)) == []
    detector.update(replace(stop, at_ns=T0 + 90 * PERIOD_NS, active=False))
    assert [one.action for one in told(detector, NOISE * 0, range(91, 140))] == [Action.RAISE]
