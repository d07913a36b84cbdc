"""A false ticket of the plant is tuned away on its own history, and what was promoted behaves as it was replayed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, select

from andon import plants
from andon.backtests.report import backtest
from andon.backtests.run import told
from andon.database import reading, writing
from andon.datadir import open_store
from andon.detector_sets import changed, next_version, read_change
from andon.events import Json
from andon.plant import DetectorSettings, Plant
from simulators.machines import plant_document
from simulators.plant import Simulation
from simulators.truth import compare
from tests.scenario.virtual_line import START_NS, VirtualLine
from ticketing.service import Tickets
from ticketing.tables import finding_evidence, occurrence

WORN, LOADED = "L1-CLP-01", "L1-CLP-02"
END_MIN = 46
TOUCHY = {"settle_blocks": 0, "learn_blocks": 45, "rise": 0.02, "noise_guard": 0.5, "young_blocks": 1.0}
CALMER = read_change(
    """
    note = "a pump under more load is not worn"
    [[change]]
    class = "pump"
    kind = "band_energy"
    reset = ["rise", "noise_guard", "young_blocks"]
    """
)


def touchy_plant() -> Plant:
    """Two pumps of the demo plant, with a detector that takes more load for wear."""
    plant = plant_document()
    detectors = (
        DetectorSettings(kind="band_energy", parameters=TOUCHY),
        DetectorSettings(kind="velocity_zones"),
        DetectorSettings(kind="stop_alarm"),
    )
    assets = tuple(asset for asset in plant.assets if asset.id in {WORN, LOADED})
    return plant.model_copy(update={"assets": assets, "classes": {"pump": detectors}})


def line_of(data: Path, plant: Plant) -> VirtualLine:
    """Those pumps at work under that plant document."""
    simulation = Simulation(1, START_NS, only={WORN, LOADED})
    simulation.plant = plant
    return VirtualLine(data, simulation)


def found(conn: Connection) -> list[Mapping[str, Any]]:
    """Every finding as it is stored, with its evidence; when it was written down is left out."""
    drawn = conn.execute(select(finding_evidence.c.finding, finding_evidence.c.body))
    bodies = {row.finding: row.body for row in drawn}
    rows = conn.execute(select(occurrence).order_by(occurrence.c.finding)).mappings()
    return [{**row, "recorded_ns": 0, "evidence": bodies.get(row["finding"])} for row in rows]


def truth_of(line: VirtualLine, tickets: list[Mapping[str, Json]]) -> dict[str, Json]:
    """How the tickets stand to what was planted in these pumps."""
    end_ns = START_NS + END_MIN * 60 * 10**9
    planted = [one for one in line.simulation.truth(end_ns) if one.asset in {WORN, LOADED}]
    return compare(tickets, planted, end_ns)


@pytest.fixture(scope="module")
def live(tmp_path_factory: pytest.TempPathFactory) -> VirtualLine:
    """Most of an hour, at whose end a planner closes the ticket of the loaded pump as a false alarm."""
    line = line_of(tmp_path_factory.mktemp("live"), touchy_plant()).runs(0, END_MIN)
    (false,) = [one for one in line.report(END_MIN)["tickets"] if one["asset"] == LOADED]
    tickets = Tickets(open_store(line.data))
    tickets.false_alarm(
        false["id"],
        reason="it was given more to do",
        approver="wu.gang",
        plant=touchy_plant(),
        actor="wu.gang",
        now_ns=line.now(),
        expected_version=1,
    )
    line.engine.snapshot()
    return line


def test_the_false_ticket_goes_and_no_planted_fault_is_lost(live: VirtualLine) -> None:
    truth = truth_of(live, live.report(END_MIN)["tickets"])
    assert [(one["asset"], one["why"]) for one in truth["false"]] == [(LOADED, "nothing was planted for it")]
    assert truth["missed"] == []
    facts = backtest(live.data, CALMER)
    assert (facts["active"]["false_tickets"], facts["changed"]["false_tickets"]) == (1, 0)
    assert facts["active"]["tickets"] - facts["changed"]["tickets"] == 1
    gone = [row for row in facts["tickets"] if row["verdict"] == "only_active"]
    assert [(row["asset"], row["known"]) for row in gone] == [(LOADED, "false_alarm")]
    assert {row["asset"] for row in facts["tickets"] if row["changed_at"]} == {WORN}
    assert truth["found"] == facts["changed"]["tickets"] == 1


def test_the_active_set_is_replayed_exactly_as_it_was_live(live: VirtualLine) -> None:
    with told(live.data, CALMER) as result, reading(result.variants[0].database) as conn:
        replayed = found(conn)
    with reading(open_store(live.data)) as conn:
        was = [one for one in found(conn) if one["asset"] in {WORN, LOADED}]
    assert replayed == was
    assert len(was) >= 3


def test_what_is_promoted_behaves_live_as_it_was_replayed(live: VirtualLine, tmp_path: Path) -> None:
    with told(live.data, CALMER) as result, reading(result.variants[1].database) as conn:
        replayed = found(conn)
    before = touchy_plant()
    promoted = next_version(before, changed(before, CALMER), note="calmer", by="chen.jing", at="")
    again = line_of(tmp_path, promoted).runs(0, END_MIN)
    with reading(open_store(again.data)) as conn:
        was = [one for one in found(conn) if one["asset"] in {WORN, LOADED}]
    assert replayed == was
    assert {one["set_version"] for one in was} == {2}
    assert truth_of(again, again.report(END_MIN)["tickets"])["false"] == []


def test_a_set_that_is_promoted_at_work_is_in_force_at_once(live: VirtualLine) -> None:
    database = open_store(live.data)
    with reading(database) as conn:
        before = plants.latest(conn)
    assert before is not None
    with writing(database) as conn:
        plants.ask(
            conn, next_version(before, changed(before, CALMER), note="calmer", by="chen.jing", at=""), 1
        )
    assert live.engine.take_asked() == 1
    assert live.engine.take_asked() == 0
    with reading(database) as conn:
        after = plants.latest(conn)
    assert after is not None
    assert (after.version, after.detector_set.version, after.detector_set.note) == (2, 2, "calmer")
