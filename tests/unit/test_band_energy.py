"""Leaving the frozen baseline: when it is raised, by which path, and what is not a reason to."""

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest

from andon.events import SECOND_NS, Action, Finding, Float64, Origin, PackMLState, Readings, StopAlarm
from andon.plant import Asset, Point
from detectors.band_energy import Detector
from detectors.features import features_of
from simulators.bearing import Element, Vibration, synthesise
from tests.vibration import BEARING, PERIOD_NS, T0, Shaking, samples, waveform

BANDS = ("band_20_300", "band_300_700", "band_700_1500", "band_1500_3000", "band_3000_5000", "band_5000_6360")
POINT = Point(id="DE", component="bearing_de", kind="waveform", speed_hz=24.7)
ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", points=(POINT,))
Gains = Callable[[int], Float64 | float]


def make(**parameters: Any) -> Detector:
    return Detector(ASSET, Detector.Parameters(**({"settle_blocks": 0, "learn_blocks": 45} | parameters)))


def row(k: int, gain: Float64 | float, *, noise: float = 0.03, bands: tuple[str, ...] = BANDS) -> Readings:
    """Band energies of block k: a fixed shape, a little noise, times `gain`."""
    level = 0.05 * np.exp(noise * np.random.default_rng([k, 7]).standard_normal(len(bands))) * gain
    at_ns = np.full(len(bands), T0 + k * PERIOD_NS)
    channels, units = tuple(f"DE/{band}" for band in bands), ("g",) * len(bands)
    index, good = np.arange(len(bands), dtype=np.int32), np.zeros(len(bands), np.uint32)
    return Readings("M1", channels, units, at_ns, index, level, good, Origin("s", k, T0 + k * PERIOD_NS))


def told(detector: Detector, blocks: Iterable[int], gain: Gains = lambda _: 1.0, **how: Any) -> list[Finding]:
    return [finding for k in blocks for finding in detector.update(row(k, gain(k), **how))]


def block_of(finding: Finding) -> int:
    return (finding.at_ns - T0) // PERIOD_NS


def two_bands(factor: float) -> Float64:
    return np.where(np.arange(len(BANDS)) >= 4, factor, 1.0)


def test_a_healthy_machine_says_nothing_for_a_day() -> None:
    assert told(make(), range(8640), lambda k: 1 + 0.02 * math.sin(k / 40)) == []


def test_a_step_of_sixty_percent_is_raised_within_six_minutes_and_dated_to_its_beginning() -> None:
    found = told(make(), range(400), lambda k: two_bands(1.6 if k >= 200 else 1.0))
    assert [finding.action for finding in found] == [Action.RAISE]
    raised = found[0]
    assert 224 <= block_of(raised) <= 236
    assert raised.onset_ns == pytest.approx(T0 + 203 * PERIOD_NS, abs=3 * PERIOD_NS)
    assert (raised.condition, raised.component, raised.text["path"]) == (
        "band_energy_rise",
        "bearing_de",
        "rise",
    )
    assert raised.numbers[0].name == "ratio"
    assert raised.numbers[0].value == pytest.approx(1.6, rel=0.05)
    assert raised.numbers[0].limit == pytest.approx(math.exp(0.27), rel=1e-3)
    assert raised.numbers[1].value == pytest.approx(20 * math.log10(raised.numbers[0].value), rel=1e-3)
    assert raised.evidence["baseline"]["blocks"] == 45
    assert raised.text["bands"] in {"3000-5000 Hz", "5000-6360 Hz"}


def test_a_third_more_is_not_yet_a_reason() -> None:
    assert told(make(), range(600), lambda k: two_bands(1.3 if k >= 200 else 1.0)) == []


def test_sudden_damage_takes_the_fast_path() -> None:
    found = told(make(), range(150), lambda k: two_bands(6.0 if k >= 120 else 1.0))
    assert found[0].text["path"] == "fast"
    assert block_of(found[0]) <= 120 + 8


@pytest.mark.parametrize(("factor", "blocks"), [(6.0, 7), (4.0, 7), (2.5, 13), (2.0, 20)])
def test_the_farther_it_rises_the_sooner_it_is_told(factor: float, blocks: int) -> None:
    found = told(make(), range(600), lambda k: two_bands(factor if k >= 500 else 1.0))
    assert [finding.action for finding in found] == [Action.RAISE]
    assert 500 + 3 < block_of(found[0]) <= 500 + blocks
    assert found[0].text["path"] == "fast"
    assert found[0].numbers[0].value == pytest.approx(factor, rel=0.1)


def test_single_loud_blocks_are_no_damage_however_loud() -> None:
    assert told(make(), range(800), lambda k: 1000.0 if k % 7 == 0 and k > 100 else 1.0) == []


@pytest.mark.parametrize("seed", range(2))
def test_a_simulated_bearing_that_breaks_within_ten_minutes_is_told_before_it_has(
    seed: int,
) -> None:
    detector, rng = make(), np.random.default_rng([seed, 5])
    found: list[Finding] = []
    for k in range(180):
        severity = 0.0 if k < 120 else 0.1 * math.exp((k - 120) / 60 * math.log(8))
        element = Element.OUTER_RACE if severity else None
        now = Vibration(24.7, bearing=BEARING, element=element, severity=severity)
        block = waveform(synthesise(now, rng), k)
        found += detector.update(features_of(block, POINT))
    assert [finding.action for finding in found if finding.action is not Action.UPDATE] == [Action.RAISE]
    assert 150 < block_of(found[0]) <= 174


def test_a_slow_drift_is_found_because_the_baseline_is_frozen() -> None:
    found = told(make(), range(3000), lambda k: two_bands(math.exp(0.0005 * max(0, k - 100))))
    assert block_of(found[0]) < 100 + 0.55 / 0.0005


def test_the_baseline_is_frozen_after_the_blocks_that_were_asked_for() -> None:
    found = told(make(), range(300), lambda k: two_bands(2.0 if k >= 100 else 1.0))
    baseline = found[0].evidence["baseline"]
    assert (baseline["from_ns"], baseline["to_ns"]) == (T0, T0 + 44 * PERIOD_NS)


def test_it_waits_for_the_machine_to_become_stationary_but_not_for_ever() -> None:
    warming = told(
        make(), range(300), lambda k: two_bands(math.exp(max(0, 60 - k) / 60) * (2 if k > 150 else 1))
    )
    assert warming[0].evidence["baseline"]["to_ns"] == T0 + 74 * PERIOD_NS  # 45 + 30 blocks at the latest


def test_three_times_the_first_level_is_raised_while_still_learning() -> None:
    found = told(make(), range(60), lambda k: 3.5 if k >= 30 else 1.0)
    assert [finding.text["path"] for finding in found] == ["safety"]
    assert block_of(found[0]) == 35
    assert "baseline" not in found[0].evidence
    assert found[0].numbers[0].limit == 3.0


def test_damage_that_is_under_way_is_not_learned_as_healthy() -> None:
    detector = make(clear_blocks=20)
    found = told(detector, range(400), lambda k: 4.0 if 30 <= k < 200 else 1.0)
    assert [finding.action for finding in found] == [Action.RAISE, Action.CLEAR]
    assert told(detector, range(400, 500), lambda _: two_bands(2.0))[0].action is Action.RAISE


def test_an_episode_is_raised_once_updated_on_doubling_and_cleared_after_half_an_hour() -> None:
    levels = {range(200): 1.0, range(200, 300): 1.7, range(300, 400): 4.0, range(400, 900): 1.0}

    def gain(k: int) -> Float64:
        return two_bands(next(level for blocks, level in levels.items() if k in blocks))

    found = told(make(), range(900), gain)
    assert [finding.action.value for finding in found] == ["raise", "update", "clear"]
    assert len({finding.id.split("-")[0] for finding in found}) == 1
    assert 300 < block_of(found[1]) < 320
    assert 400 + 180 < block_of(found[2]) < 400 + 200
    assert found[1].severity > found[0].severity


def test_a_fall_of_energy_is_no_fault() -> None:
    assert told(make(), range(400), lambda k: 0.2 if k >= 200 else 1.0) == []


def test_noisy_bands_need_proportionally_more() -> None:
    def step(k: int) -> Float64:
        return two_bands(1.5 if k >= 300 else 1.0)

    assert told(make(), range(600), step, noise=0.03)
    assert not told(make(), range(600), step, noise=0.7)


def test_what_a_standing_or_starting_machine_shakes_is_not_judged() -> None:
    detector = make(run_settle_s=60)
    told(detector, range(100))
    for k, active in ((100, True), (160, False)):
        at_ns, state = T0 + k * PERIOD_NS, PackMLState.STOPPED
        detector.update(StopAlarm("M1", at_ns, state, "E1", 1, "", "", active, 500, Origin("mes", k, at_ns)))
        assert told(detector, range(k, k + (60 if active else 6)), lambda _: 8.0) == []
    assert told(detector, range(166, 300)) == []


def test_votes_do_not_reach_across_a_pause() -> None:
    detector = make()
    told(detector, range(200))
    assert told(detector, range(200, 222), lambda _: two_bands(1.6)) == []
    assert told(detector, range(400, 422), lambda _: two_bands(1.6)) == []
    assert told(detector, range(422, 430), lambda _: two_bands(1.6))[0].action is Action.RAISE


def test_a_block_without_all_its_bands_is_left_out() -> None:
    detector = make()
    told(detector, range(100))
    assert told(detector, range(100, 120), lambda _: 50.0, bands=BANDS[:4]) == []
    assert told(detector, range(120, 200)) == []


def test_another_sensor_is_learned_anew() -> None:
    detector, other = make(), (*BANDS[:3], "band_1500_2480")
    told(detector, range(100))
    assert told(detector, range(100, 300), lambda _: 9.0, bands=other) == []
    assert told(detector, range(300, 400), lambda _: 30.0, bands=other)[0].action is Action.RAISE


def test_the_spectrum_of_the_latest_block_is_shown() -> None:
    detector, rng = make(), np.random.default_rng(1)
    found: list[Finding] = []
    for k in range(110):
        block = waveform(samples(rng, Shaking(impact_g=2.0 if k > 70 else 0.0)), k)
        found += [*detector.update(block), *detector.update(features_of(block, POINT))]
    shape = found[0].evidence["spectrum"]
    assert [marker["name"] for marker in shape["markers"]] == ["1x", "2x", "3x"]
    loudest_hz = shape["dx_hz"] * int(np.argmax(shape["value"]))
    assert loudest_hz == pytest.approx(2400, abs=200)  # where the test's machine rings


def test_the_trend_runs_from_the_baseline_to_the_finding() -> None:
    trend = told(make(), range(400), lambda k: two_bands(1.6 if k >= 200 else 1.0))[0].evidence["trend"]
    assert trend["baseline"] == 1.0
    assert trend["limit"] == pytest.approx(math.exp(0.27), rel=1e-3)
    assert trend["at_ns"][0] < T0 + 60 * SECOND_NS
    assert trend["value"][-1] > 1.5
