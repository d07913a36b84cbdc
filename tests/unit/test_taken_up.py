"""A snapshot of an earlier version: each detector takes the state of its own kind, and what no longer fits is said."""

from pathlib import Path

import pytest
from decoder_words import T0, telemetry
from small_line import FLOOR, SmallLine

from andon.engine import OWN
from andon.pipeline import Pipeline
from andon.plant import Asset, DetectorSettings, Plant, Point
from andon.ports import Detector, State
from andon.taken_up import name_of, take_up
from detectors import build

POINT = Point(id="DE", component="bearing_de", period_s=10, quantities={"temperature": "Cel"})


def detectors_of(*kinds: str) -> dict[str, list[Detector]]:
    settings = tuple(DetectorSettings(kind=kind) for kind in kinds)
    asset = Asset(id="P1", name="", asset_class="pump", path="e/s/a/l/c", points=(POINT,), detectors=settings)
    return {"P1": list(build(asset, Plant(name="", assets=(asset,))))}


def parts_of(detectors: dict[str, list[Detector]]) -> dict[str, State]:
    return {name_of("P1", index): one.snapshot() for index, one in enumerate(detectors["P1"])}


def test_a_detector_takes_the_state_of_its_kind_wherever_that_stood() -> None:
    parts = parts_of(detectors_of("silent_sensor", "stuck_value"))
    stops = "heard/running/stops"
    parts[name_of("P1", 1)] = {**parts[name_of("P1", 1)], stops: {"E1": 5}}
    now = detectors_of("level_shift", "stuck_value", "silent_sensor")
    failed, forgotten = take_up(now, parts, {"P1": ["silent_sensor", "stuck_value"]}, {("P1", 0)})
    assert (failed, forgotten) == ({("P1", 2)}, [])
    assert now["P1"][1].snapshot()[stops] == {"E1": 5}
    assert now["P1"][0].snapshot()[stops] != {"E1": 5}


def test_a_kind_that_is_gone_and_a_state_of_another_form_are_told() -> None:
    parts = parts_of(detectors_of("silent_sensor", "stuck_value"))
    parts[name_of("P1", 1)] = {**parts[name_of("P1", 1)], "points/DE/earlier_form": 3.0}
    _, forgotten = take_up(
        detectors_of("stuck_value"), parts, {"P1": ["silent_sensor", "stuck_value"]}, set()
    )
    assert forgotten == ["P1 stuck_value", "P1 silent_sensor"]


def test_a_snapshot_without_kinds_and_without_detectors_is_taken_up() -> None:
    assert take_up(detectors_of("silent_sensor"), {}, {}, set()) == (set(), [])


@pytest.mark.parametrize("forgets", [True, False])
def test_what_was_forgotten_at_a_start_is_a_ticket(
    tmp_path: Path, forgets: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    line = SmallLine(tmp_path, "a").configured({**FLOOR, "classes": {"pump": [{"kind": "silent_sensor"}]}})
    line.receives("a", telemetry(1, asset="M1", at_ns=T0)).works()
    if forgets:  # as a version would write it that has one leaf more
        whole = Pipeline.snapshot

        def with_more(self: Pipeline) -> dict[str, State]:
            parts = whole(self)
            return {**parts, "detector/M1/0": {**parts["detector/M1/0"], "earlier_form": 1.0}}

        monkeypatch.setattr(Pipeline, "snapshot", with_more)
    line.engine.snapshot()
    monkeypatch.undo()
    again = line.killed().works()
    assert (("baseline_forgotten", OWN) in again.engine.noticed()) is forgets
    assert [t[:2] for t in again.tickets()] == [("andon", "baseline_forgotten.engine")] * forgets
