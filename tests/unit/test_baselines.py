"""A frozen baseline for each operating state, learned anew on a declaration only; and what is masked."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from andon.events import (
    SECOND_NS,
    Action,
    Declaration,
    Declared,
    Event,
    Family,
    Finding,
    Gap,
    Origin,
    PackMLState,
    Readings,
    StopAlarm,
)
from andon.plant import Asset, Point
from andon.ports import Detector
from detectors import band_energy, bearing_element, machine_fault, velocity_zones
from detectors.features import features_of
from simulators.bearing import Element, Fault, Vibration, synthesise
from tests.vibration import BEARING, PERIOD_NS, T0, waveform

POINT = Point(id="DE", component="bearing_de", kind="waveform", bearing=BEARING)
OTHER = Point(id="NDE", component="bearing_nde", kind="waveform", bearing=BEARING)
MOTOR = Point(id="M", component="motor", quantities={"load": "%"})
PUMP = Asset(
    id="M1", name="", asset_class="pump", path="e/s/a/l/c", points=(POINT, OTHER, MOTOR), power_kw=75
)
EASY = Vibration(24.7, velocity_mm_s=0.8, noise_g=0.05, bearing=BEARING)
HARD = Vibration(24.7, velocity_mm_s=1.8, noise_g=0.11, bearing=BEARING)
FAST = Vibration(37.0, velocity_mm_s=1.9, noise_g=0.10, bearing=BEARING)
OUTER = {"element": Element.OUTER_RACE, "severity": 0.6}
Course = Callable[[int], tuple[Vibration, float]]
"""By block: how the machine shakes, and its load in %."""


def at_ns(k: float) -> int:
    return T0 + round(k * PERIOD_NS)


def watching(kind: Any = band_energy, **parameters: float) -> Detector:
    quick = {} if kind is velocity_zones else {"learn_blocks": 30}
    quick |= {"settle_blocks": 5} if kind is band_energy else {}
    made: Detector = kind.Detector(PUMP, kind.Detector.Parameters.model_validate(quick | parameters))
    return made


def load_of(k: float, percent: float) -> Readings:
    one = {"at_ns": np.array([at_ns(k)]), "channel": np.zeros(1, np.int32), "quality": np.zeros(1, np.uint32)}
    return Readings(
        "M1", ("M/load",), ("%",), value=np.array([percent]), origin=Origin("plc", 0, at_ns(k)), **one
    )


def block_of(k: int, now: Vibration, point: str = "DE") -> list[Event]:
    block = waveform(synthesise(now, np.random.default_rng([7, k])), k, point=point, speed_hz=now.speed_hz)
    return [block, features_of(block, POINT if point == "DE" else OTHER)]


def run(detector: Detector, events: Iterable[Event]) -> list[Finding]:
    return [finding for event in events for finding in detector.update(event)]


def told(detector: Detector, blocks: Iterable[int], course: Course, point: str = "DE") -> list[Finding]:
    return [
        finding
        for k in blocks
        for now, percent in (course(k),)
        for finding in run(detector, [load_of(k - 0.5, percent), *block_of(k, now, point)])
    ]


def declared(k: float, what: Declared = Declared.REPAIR, component: str | None = "bearing_de") -> Declaration:
    return Declaration(at_ns(k), "M1", component, what, "li.wei", "bearing changed", "T-7", Origin("e", 0, 0))


def two_loads(k: int) -> tuple[Vibration, float]:
    """In turns 10 min at little load, 5 min at full load."""
    return (EASY, 55.0) if k % 90 < 60 else (HARD, 95.0)


def two_speeds(k: int) -> tuple[Vibration, float]:
    return (EASY, 80.0) if k % 90 < 60 else (FAST, 80.0)


@pytest.mark.parametrize("kind", [band_energy, machine_fault], ids=["band_energy", "machine_fault"])
@pytest.mark.parametrize(
    ("course", "one_state"),
    [(two_loads, {"load_bin": 10.0}), (two_speeds, {"speed_bin": 10.0})],
    ids=["loads", "speeds"],
)
def test_a_pump_at_two_loads_or_speeds_is_no_fault_where_one_baseline_makes_it_one(
    kind: Any, course: Course, one_state: dict[str, float]
) -> None:
    assert [f.action for f in told(watching(kind, **one_state), range(300), course)][:1] == [Action.RAISE]
    assert told(watching(kind), range(300), course) == []


def test_a_fault_at_one_load_is_found_and_judged_by_the_baseline_of_that_load() -> None:
    def worn(k: int) -> tuple[Vibration, float]:
        now, percent = two_loads(k)
        return (replace(now, noise_g=0.3) if percent > 90 and k > 300 else now), percent

    found = told(watching(), range(360), worn)
    assert [f.action for f in found if f.action is not Action.UPDATE] == [Action.RAISE]
    assert 333 <= (found[0].at_ns - T0) // PERIOD_NS < 350
    baseline = found[0].evidence["baseline"]
    assert baseline["operating_state"]["load"] == {"from": 85.0, "to": 105.0, "unit": "%"}
    assert (baseline["version"], baseline["blocks"]) == (1, 30)
    assert at_ns(60) < baseline["from_ns"] < baseline["to_ns"] < at_ns(270)


def test_a_fault_that_shows_in_short_visits_to_full_load_is_found_from_several_of_them() -> None:
    def visits(k: int) -> tuple[Vibration, float]:
        easy = k % 40 < 24
        now = EASY if easy else HARD
        return (
            replace(now, noise_g=1.7 * now.noise_g) if k >= 400 and not easy else now
        ), 55.0 if easy else 95.0

    found = told(watching(run_settle_s=0), range(560), visits)
    assert [f.action for f in found] == [Action.RAISE]
    assert 440 < (found[0].at_ns - T0) // PERIOD_NS < 560


def test_votes_go_on_from_one_state_to_the_other() -> None:
    """Damage that is seen in both states is raised as soon as in one, however often they take turns."""

    def turns(k: int) -> tuple[Vibration, float]:
        easy = k % 30 < 15 if k < 300 else k % 10 < 5
        now = EASY if easy else HARD
        return (replace(now, noise_g=1.6 * now.noise_g) if k >= 300 else now), 55.0 if easy else 95.0

    found = told(watching(run_settle_s=0), range(400), turns)
    assert [f.action for f in found] == [Action.RAISE]
    assert 320 < (found[0].at_ns - T0) // PERIOD_NS < 350


def test_a_fault_that_shows_under_load_only_is_not_cleared_under_less() -> None:
    def turns(k: int) -> tuple[Vibration, float]:
        now, percent = (EASY, 55.0) if k < 60 or k >= 160 else (HARD, 95.0)
        return (replace(now, noise_g=2 * now.noise_g) if percent > 90 and k >= 110 else now), percent

    detector = watching(clear_blocks=20)
    assert [f.action for f in told(detector, range(300), turns)] == [Action.RAISE]
    assert [f.action for f in told(detector, range(300, 360), lambda _: (HARD, 95.0))] == [Action.CLEAR]


def test_a_state_that_is_first_seen_while_a_condition_stands_is_not_learned() -> None:
    def course(k: int) -> tuple[Vibration, float]:
        now, percent = (EASY, 55.0) if k < 160 or k >= 300 else (HARD, 95.0)
        return (replace(now, **OUTER) if k >= 100 else now), percent  # type: ignore[arg-type]

    detector = watching()
    assert next(f.action for f in told(detector, range(160), course)) is Action.RAISE
    assert told(detector, range(160, 300), course) == []
    assert not any(f.action is Action.CLEAR for f in told(detector, range(300, 450), course))
    assert told(detector, range(450, 490), lambda _: (HARD, 95.0)) == []


def test_what_is_beyond_the_known_states_is_not_judged_and_that_is_said() -> None:
    def course(k: int) -> tuple[Vibration, float]:
        return (EASY, 55.0) if k < 100 or k >= 200 else (replace(HARD, **OUTER), 95.0)  # type: ignore[arg-type]

    found = told(watching(most_bins=1), range(300), course)
    assert [(f.action, f.condition, f.family) for f in found] == [
        (Action.RAISE, "not_judged", Family.DATA_QUALITY),
        (Action.CLEAR, "not_judged", Family.DATA_QUALITY),
    ]
    assert found[0].component == "bearing_de"
    assert "load 95 %" in found[0].text["state"]
    assert found[0].at_ns - found[0].onset_ns == 59 * PERIOD_NS


CONDITIONS = [
    (band_energy, OUTER, "band_energy_rise"),
    (machine_fault, {"fault": Fault.IMBALANCE, "fault_severity": 0.8}, "imbalance"),
    (bearing_element, OUTER, "bearing_outer_race"),
]


@pytest.mark.parametrize(("kind", "bad", "condition"), CONDITIONS, ids=[row[2] for row in CONDITIONS])
@pytest.mark.parametrize("what", [Declared.REPAIR, Declared.OPERATING_CHANGE])
def test_a_declaration_clears_what_stands_and_says_why(
    kind: Any, bad: dict[str, Any], condition: str, what: Declared
) -> None:
    detector = watching(kind)
    found = told(detector, range(140), lambda k: (replace(EASY, **bad) if k >= 60 else EASY, 80.0))
    assert [f.condition for f in found if f.action is Action.RAISE] == [condition]
    assert found[0].evidence["baseline"]["version"] == 1
    assert run(detector, [declared(140, what, "bearing_nde")]) == []
    (word,) = run(detector, [declared(140, what)])
    assert (word.action, word.id.split("-")[0]) == (Action.CLEAR, found[0].id.split("-")[0])
    assert (word.text["declared"], word.text["by"], word.text["note"]) == (what, "li.wei", "bearing changed")
    assert run(detector, [declared(141, what)]) == []


LOUDER = replace(EASY, noise_g=0.09)
"""What another make of bearing sounds like when it is new."""


@pytest.mark.parametrize("repaired", [True, False])
def test_after_a_repair_the_new_level_is_the_baseline_and_the_next_fault_is_found(repaired: bool) -> None:
    detector = watching()
    told(detector, range(100), lambda _: (EASY, 80.0))
    if repaired:
        assert run(detector, [declared(100)]) == []
    after = told(detector, range(100, 250), lambda _: (LOUDER, 80.0))
    assert [f.action for f in after] == ([] if repaired else [Action.RAISE])
    later = told(detector, range(250, 330), lambda _: (replace(LOUDER, noise_g=0.15), 80.0))
    assert [f.action for f in later] == ([Action.RAISE] if repaired else [])
    if repaired:
        baseline = later[0].evidence["baseline"]
        assert (baseline["version"], baseline["blocks"]) == (2, 30)
        assert at_ns(100) < baseline["from_ns"] < baseline["to_ns"] < at_ns(250)
        assert later[0].numbers[0].limit_source == "frozen baseline v2"


def test_only_the_component_that_was_named_is_learned_anew() -> None:
    detector = watching()
    for point in ("DE", "NDE"):
        told(detector, range(100), lambda _: (EASY, 80.0), point)
    run(detector, [declared(100)])
    assert told(detector, range(100, 200), lambda _: (LOUDER, 80.0)) == []
    assert told(detector, range(100, 200), lambda _: (LOUDER, 80.0), "NDE")[0].action is Action.RAISE
    run(detector, [declared(200, component=None)])
    for point in ("DE", "NDE"):
        assert told(detector, range(200, 300), lambda _: (replace(EASY, noise_g=0.2), 80.0), point) == []


def test_what_was_measured_before_a_declaration_and_comes_after_it_is_not_learned() -> None:
    detector = watching(settle_blocks=0)
    told(detector, range(100), lambda _: (EASY, 80.0))
    run(detector, [declared(149.5)])
    told(detector, range(100, 150), lambda _: (replace(EASY, noise_g=0.5), 80.0))
    found = told(detector, range(150, 300), lambda k: (replace(EASY, noise_g=0.1) if k > 250 else EASY, 80.0))
    assert found[0].evidence["baseline"]["from_ns"] == at_ns(150)


BAD = replace(EASY, velocity_mm_s=6.0, fault=Fault.IMBALANCE, fault_severity=1.0, noise_g=0.3)


def stop(k: float, *, active: bool) -> StopAlarm:
    state = PackMLState.STOPPED
    return StopAlarm("M1", at_ns(k), state, "E1", 1, "", "", active, 500, Origin("mes", 0, at_ns(k)))


def state_of(k: float, state: PackMLState) -> Readings:
    return replace(load_of(k, float(state)), channels=("state",), units=("1",))


MASKS: dict[str, Sequence[Event]] = {
    "stopped, by a standing stop": [stop(99.5, active=True)],
    "stopped, by its state": [state_of(99.5, PackMLState.STOPPED)],
    "starting": [state_of(99.4, PackMLState.STARTING)],
    "settling": [stop(20, active=True), stop(99.5, active=False)],
    "maintenance": [declared(99.5, Declared.MAINTENANCE_BEGINS)],
    "at rest, by its speed or load": [load_of(99.5, 80.0)],
    "settling in another state": [load_of(99.5, 20.0)],
    "unknown since a gap": [
        Gap("plc", None, None, at_ns(99), None, "source_silent", False, Origin("e", 0, 0))
    ],
}
"""The table in docs/detectors.md."""


@pytest.mark.parametrize("kind", [band_energy, machine_fault], ids=["band_energy", "machine_fault"])
@pytest.mark.parametrize("mask", MASKS)
def test_a_mask_keeps_what_is_bad_from_being_judged(kind: Any, mask: str) -> None:
    def judged(events: Sequence[Event]) -> list[str]:
        detector, found = watching(kind, run_settle_s=1200), run(watching(kind), [load_of(-1, 80.0)])
        run(detector, [load_of(-1, 80.0)])
        for k in range(150):
            speed_hz = 0.0 if mask.startswith("at rest") and k >= 100 and events else None
            if k == 100:
                found += run(detector, events)
            for event in block_of(k, BAD if k >= 100 else EASY):
                resting = speed_hz is not None and hasattr(event, "speed_hz")
                found += detector.update(replace(event, speed_hz=0.0) if resting else event)  # type: ignore[arg-type,call-arg]
        return [finding.condition for finding in found if finding.condition != "not_judged"]

    assert judged([]) != []
    assert judged(MASKS[mask]) == []


def test_a_pause_restarts_the_votes_and_clears_nothing() -> None:
    zones = watching(velocity_zones, enter_count=6, enter_of=8, leave_count=20)
    assert told(zones, range(100), lambda k: (BAD if k >= 95 else EASY, 80.0)) == []
    assert told(zones, range(600, 605), lambda _: (BAD, 80.0)) == []
    assert told(zones, range(605, 620), lambda _: (BAD, 80.0))[0].action is Action.RAISE
    assert told(zones, range(620, 635), lambda _: (EASY, 80.0)) == []
    assert told(zones, range(1200, 1215), lambda _: (EASY, 80.0)) == []
    assert [f.action for f in told(zones, range(1215, 1225), lambda _: (EASY, 80.0))] == [Action.CLEAR]


def test_a_sensor_that_speaks_once_a_day_is_not_in_a_pause_all_the_time() -> None:
    zones, day = watching(velocity_zones), 86_400 * SECOND_NS
    quiet = load_of(0, 9.0)
    daily = [
        replace(quiet, channels=("DE/velocity_rms",), units=("mm/s",), at_ns=np.array([T0 + k * day]))
        for k in range(10)
    ]
    assert [f.action for f in run(zones, daily)] == [Action.RAISE]
