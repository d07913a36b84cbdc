"""What a collector missed is read from the server's history, counted once; where there is none, the gap stays open."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from andon import clock
from andon.events import SECOND_NS, Gap
from ingest import opcua_backfill
from ingest.journal import SqliteJournal
from ingest.opcua_words import gap_record
from tests.opcua_line import Line, Proxy, Run, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line() -> AsyncIterator[Line]:
    async with Line() as line:
        yield line


def filled(run: Run) -> list[Gap]:
    return [gap for gap in run.gaps if gap.backfilled]


async def write(line: Line, name: str, values: range, every_s: float = 0.0) -> None:
    for value in values:
        await line.write(name, float(value))
        await asyncio.sleep(every_s)


async def test_what_a_half_open_connection_swallowed_is_a_gap_and_comes_from_history(
    line: Line, tmp_path: Path
) -> None:
    await line.add("stalled", 0.0, history=1000)
    async with (
        Proxy(line.url) as proxy,
        Run(tmp_path, wanted(proxy.url, {"stalled": "DE/temperature"})) as run,
    ):
        await run.until(lambda: run.values() == [0.0])
        await write(line, "stalled", range(1, 30), 0.005)
        proxy.passing.clear()
        await write(line, "stalled", range(30, 130), 0.005)
        await run.until(lambda: "has sent nothing" in run.status["reason"])
        assert sorted(run.values()) != [float(value) for value in range(130)]  # asyncua alone ends here
        proxy.break_off()
        proxy.passing.set()
        await run.until(lambda: run.status["connected"])
        await write(line, "stalled", range(130, 168), 0.005)
        await run.until(lambda: bool(filled(run)) and max(run.values()) == 167.0)
        assert sorted(run.values()) == [float(value) for value in range(168)]  # each once
        await run.until(lambda: {gap.from_ns for gap in filled(run)} == {gap.from_ns for gap in run.gaps})
        for from_ns in {gap.from_ns for gap in run.gaps}:  # one, or more where this machine itself was late
            opened, closed, backfilled = (gap for gap in run.gaps if gap.from_ns == from_ns)
            assert (opened.to_ns, closed.to_ns) == (None, backfilled.to_ns)
        await run.until(
            lambda: run.decoded.counts["received"] == run.status["received"]
        )  # told once a second
        counts = run.decoded.counts
        assert counts["received"] == counts["stored"] + counts["duplicates"]
        assert counts["duplicates"] > 0  # more was read than was missing, so that nothing is


async def test_history_is_read_page_by_page_and_its_continuation_points_are_used_up(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_backfill, "PAGE", 7)
    await line.add("paged", 0.0, history=1000)
    settings = wanted(line.url, {"paged": "DE/temperature"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
    await write(line, "paged", range(1, 60))
    reads = line.inside.history.reads
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: bool(filled(run)))
        assert sorted(run.values()) == [float(value) for value in range(60)]
        assert line.inside.history.reads - reads >= 60 / 7
        assert line.inside.history.points == 0


async def test_a_backfill_that_is_cut_short_gives_its_continuation_point_back(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua_backfill, "PAGE", 7)
    await line.add("short", 0.0, history=1000)
    async with Run(tmp_path, wanted(line.url, {"short": "DE/temperature"})) as run:
        await run.until(lambda: run.values() == [0.0])
    await write(line, "short", range(1, 60))
    slow = wanted(line.url, {"short": "DE/temperature"}, backfill_values_s=1)
    async with Run(tmp_path, slow) as run:
        await run.until(lambda: line.inside.history.points == 1)
        await line.write("short", 60.0)  # live data does not wait for it
        await run.until(lambda: 60.0 in run.values())
        assert not filled(run)
    assert line.inside.history.points == 0


async def test_a_gap_of_a_collector_that_was_killed_is_filled_by_the_next(line: Line, tmp_path: Path) -> None:
    await line.add("killed", 0.0, history=1000)
    await write(line, "killed", range(1, 20))
    journal = SqliteJournal(tmp_path)
    died_ns = clock.wall() - 20 * SECOND_NS
    journal.append([gap_record(died_ns, None, "connection", died_ns)])
    journal.close()
    async with Run(tmp_path, wanted(line.url, {"killed": "DE/temperature"})) as run:
        await run.until(lambda: bool(filled(run)))
        assert sorted(run.values()) == [float(value) for value in range(20)]
        assert filled(run)[0].from_ns == died_ns


async def test_without_a_history_the_gap_stays_and_says_so(line: Line, tmp_path: Path) -> None:
    await line.add("kept", 1.0, history=100)
    await line.add("forgotten", 1.0)
    settings = wanted(line.url, {"kept": "DE/temperature", "forgotten": "DE/other"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0])
    await line.write("kept", 2.0)
    await line.write("kept", 3.0)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.status.get("backfill", {}).get("left") == 1)
        assert run.values() == [1.0, 3.0, 2.0]  # what can be read is read all the same
        assert not filled(run)
        assert run.status["backfill"]["refused"].endswith("s=forgotten has no history")


async def test_a_server_that_forgot_its_history_fills_no_gap(line: Line, tmp_path: Path) -> None:
    await line.add("amnesic", 1.0, history=100)
    async with Line() as after, Proxy(line.url) as proxy:
        await after.add("amnesic", 2.0)
        async with Run(tmp_path, wanted(proxy.url, {"amnesic": "DE/temperature"})) as run:
            await run.until(lambda: run.values() == [1.0])
            await after.inside.history.keep(after.nodes["amnesic"].nodeid, 100)
            proxy.break_off(after.url)
            await run.until(lambda: run.status.get("backfill", {}).get("left") == 1)
            assert run.status["backfill"]["refused"].endswith("begins after the gap")
            assert not filled(run)


async def test_what_a_full_server_queue_lost_comes_from_history_in_its_own_gap(
    line: Line, tmp_path: Path
) -> None:
    await line.add("fast", 0.0, history=1000)
    settings = wanted(line.url, {"fast": "DE/temperature"}, publishing_ms=300, sampling_ms=300)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        await write(line, "fast", range(1, 31))
        await run.until(lambda: bool(filled(run)))
        (gap,) = filled(run)
        assert (gap.asset, gap.point, gap.cause) == ("L2-DCM-01", "DE", "server_queue_overflow")
        assert sorted(run.values()) == [float(value) for value in range(31)]
        (item,) = run.status["worst_items"]
        assert (item["overflows"], item["queue"]) == (1, 10)


async def test_what_found_no_room_here_comes_from_history(line: Line, tmp_path: Path) -> None:
    await line.add("crowded", 0.0, history=1000)
    settings = wanted(line.url, {"crowded": "DE/temperature"}, queue=20, sampling_ms=0.1)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        await write(line, "crowded", range(1, 200))
        await run.until(lambda: run.status["overflow"] > 0)
        await run.until(lambda: bool(filled(run)) and run.status["waiting"] == 0)
        assert sorted(run.values()) == [float(value) for value in range(200)]
        counts = run.decoded.counts
        assert counts["received"] == counts["stored"] + counts["duplicates"] + counts["overflow"]


async def test_history_is_recorded_as_such_and_keeps_what_the_server_says_of_it(
    line: Line, tmp_path: Path
) -> None:
    await line.add("marked", 1.0, history=100)
    settings = wanted(line.url, {"marked": "DE/temperature"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0])
    await line.write("marked", 2.0)
    await line.write("marked", 3.0)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: bool(filled(run)))
        bodies = [json.loads(record.body) for record in run.records]
        old = [body for body in bodies if body.get("backfilled") is True and "value" in body]
        assert {(body["value"], body["status"]) for body in old} >= {(2.0, 0x400), (3.0, 0x400)}
