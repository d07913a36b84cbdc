"""A simulated hour through journal, engine and tickets: every planted fault once, and nothing on a healthy plant."""

from pathlib import Path

import pytest
from sqlalchemy import update

from andon import manifest
from andon.database import reading, writing
from andon.datadir import open_store
from simulators.plant import Simulation
from tests.scenario.virtual_line import START_NS, VirtualLine


@pytest.mark.parametrize("seed", [7])
def test_every_planted_fault_gets_exactly_one_ticket(tmp_path: Path, seed: int) -> None:
    line = VirtualLine(tmp_path, Simulation(seed, START_NS)).runs(0, 60)
    facts = line.report(60)
    assert facts["truth"]["missed"] == []
    assert facts["truth"]["false"] == []
    assert facts["truth"]["planted"] == facts["truth"]["found"] >= 6
    assert len(facts["problems"]) >= 1
    assert facts["counters"]["ingest"]["balanced"]
    wanted = dict(line.simulation.dead_letters(START_NS + 3600 * 10**9))
    assert facts["counters"]["ingest"]["refused_by_reason"] == wanted


def test_a_healthy_plant_opens_no_ticket_in_an_hour(tmp_path: Path) -> None:
    facts = VirtualLine(tmp_path, Simulation(3, START_NS, healthy=True)).runs(0, 60).report(60)
    assert facts["tickets"] == []
    assert facts["counters"]["ingest"]["stored"] > 10_000


def digests(data: Path) -> list[str]:
    with reading(open_store(data)) as conn:
        return [digest for _, digest, _ in manifest.since(conn, 0)]


def test_a_killed_engine_repeats_itself_exactly_and_goes_on(tmp_path: Path) -> None:
    simulation = Simulation(2, START_NS)
    whole = VirtualLine(tmp_path / "whole", simulation).runs(0, 11)
    first = VirtualLine(tmp_path / "cut", simulation).runs(0, 4)
    first.engine.snapshot()
    first.runs(4, 7).closed()
    second = VirtualLine(tmp_path / "cut", simulation)
    assert second.repeated > 30
    assert second.engine.differs == []
    second.runs(7, 11)
    tickets = [
        [(t["asset"], t["component"], t["opened_ns"], t["occurrences"]) for t in x.report(11)["tickets"]]
        for x in (whole, second)
    ]
    assert tickets[0] == tickets[1]
    assert len(tickets[0]) >= 1
    assert digests(tmp_path / "whole")[-50:] == digests(tmp_path / "cut")[-50:]


def test_a_batch_that_gives_another_outcome_when_repeated_is_named(tmp_path: Path) -> None:
    simulation = Simulation(2, START_NS)
    first = VirtualLine(tmp_path, simulation).runs(0, 3)
    first.engine.snapshot()
    first.runs(3, 5).closed()
    with writing(open_store(tmp_path)) as conn:
        number = manifest.last_number(conn) - 3
        conn.execute(
            update(manifest.batches).where(manifest.batches.c.number == number).values(digest="another")
        )
    assert VirtualLine(tmp_path, simulation).engine.differs == [number]
