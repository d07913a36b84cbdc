"""The OPC UA collector against real servers on loopback: what they say, lose, refuse and do when they die."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

import pytest
import pytest_asyncio
from asyncua import ua

from andon import clock
from andon.events import SECOND_NS, Json
from andon.ports import RecordKind
from ingest import opcua
from ingest.journal import SqliteJournal
from ingest.opcua import Parameters
from ingest.opcua_words import gap_record
from simulators.messages import NAMESPACE, OpcuaEvent
from simulators.opcua import PlantServer
from tests.opcua_line import URI, Line, Proxy, Run, wanted

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def line() -> AsyncIterator[Line]:
    async with Line() as line:
        yield line


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def plant() -> AsyncIterator[PlantServer]:
    variables = [("L2-DCM-01/VEL/velocity_rms", "L2-DCM-01", "VEL/velocity_rms", "mm/s")]
    async with PlantServer(variables, 0) as plant:
        yield plant


async def test_first_and_changed_values_become_readings_in_order(line: Line, tmp_path: Path) -> None:
    await line.add("a", 40.0)
    async with Run(tmp_path, wanted(line.url, {"a": "DE/temperature"})) as run:
        await run.until(lambda: run.values() == [40.0])
        for value in (41.0, 42.0, float("nan"), 43.0):
            await line.write("a", value)
        await run.until(lambda: len(run.values()) == 5)
        assert [repr(value) for value in run.values()] == ["40.0", "41.0", "42.0", "nan", "43.0"]
        (nan,) = (json.loads(r.body) for r in run.records if json.loads(r.body)["value"] is None)
        assert nan["status"] == 0x80000000
        assert run.ready == [line.url]
        await run.until(lambda: run.standing("good") == 1)
        assert run.status["connected"] is True
    assert run.status["connected"] is False


async def test_a_session_is_closed_with_its_subscription(line: Line, tmp_path: Path) -> None:
    await line.add("closed", 1.0)
    service = line.server.iserver.subscription_service
    async with Run(tmp_path, wanted(line.url, {"closed": "DE/temperature"})) as run:
        await run.until(lambda: bool(run.values()))
        assert len(service.subscriptions) == 1
    assert not service.subscriptions


async def test_one_unknown_node_disturbs_no_other_and_is_found_when_it_comes(
    line: Line, tmp_path: Path
) -> None:
    await line.add("here", 1.0)
    settings = wanted(line.url, {"late": "DE/late", "here": "DE/temperature"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0] and run.bad() == {"DE/late": "BadNodeIdUnknown"})
        await line.add("late", 7.0)
        await run.until(lambda: run.values("DE/late") == [7.0])
        await line.write("here", 2.0)
        await run.until(lambda: run.values() == [1.0, 2.0])
        assert not run.gaps


async def test_an_unknown_namespace_is_named(line: Line, tmp_path: Path) -> None:
    items = [{"node": "nsu=urn:nowhere;s=x", "asset": "L2-DCM-01", "channel": "DE/x"}]
    async with Run(tmp_path, wanted(line.url, {}, items=items)) as run:
        await run.until(lambda: run.bad() == {"DE/x": "the server has no namespace 'urn:nowhere'"})


async def test_what_a_full_server_queue_lost_is_a_gap(line: Line, tmp_path: Path) -> None:
    await line.add("fast", 0.0)
    settings = wanted(line.url, {"fast": "DE/temperature"}, publishing_ms=500, sampling_ms=500)
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        for value in range(1, 31):
            await line.write("fast", float(value))
        await run.until(lambda: bool(run.values()) and run.values()[-1] == 30.0)
        assert len(run.values()) < 31
        (gap,) = run.gaps
        assert (gap.asset, gap.point, gap.cause) == ("L2-DCM-01", "DE", "server_queue_overflow")


async def test_values_that_are_no_numbers_are_kept_as_what_they_are(line: Line, tmp_path: Path) -> None:
    await line.add("flag", True)
    await line.add("state", "Execute")
    await line.add("moment", datetime(2026, 1, 1, tzinfo=UTC))
    names = {"flag": "DE/flag", "state": "state", "moment": "DE/moment"}
    async with Run(tmp_path, wanted(line.url, names)) as run:
        await run.until(lambda: len(run.records) == 3)
        assert (run.values("DE/flag"), run.values("state")) == ([1.0], [6.0])
        await run.until(lambda: run.bad() == {"DE/moment": "BadTypeMismatch"})


async def test_an_item_that_changed_and_did_not_say_so_is_asked_for_again(line: Line, tmp_path: Path) -> None:
    await line.add("dead", 1.0)
    await line.add("calm", 5.0)
    watching = {"silent_after_s": 0.3}
    settings = wanted(
        line.url, {"dead": "DE/temperature", "calm": "DE/calm"}, dead=watching, calm=watching, watch_s=0.1
    )
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0] and run.values("DE/calm") == [5.0])
        _deafen(line, "dead")
        await line.nodes["dead"].write_value(
            ua.DataValue(ua.Variant(2.0), SourceTimestamp=datetime(2026, 1, 1, tzinfo=UTC))
        )
        await run.until(lambda: run.values() == [1.0, 2.0])
        assert [gap.cause for gap in run.gaps] == ["item_silent"]
        await run.until(lambda: run.standing("good") == 2)
        assert run.values("DE/calm") == [5.0]


def _deafen(line: Line, name: str) -> None:
    """The server's item loses its callback, as items do whose driver died."""
    for subscription in line.server.iserver.subscription_service.subscriptions.values():
        for item in subscription.monitored_item_srv._monitored_items.values():
            if item.read_value_id.NodeId == line.nodes[name].nodeid:
                item.mode = ua.MonitoringMode.Disabled


async def test_a_server_that_comes_back_with_other_namespaces_is_read_again(
    line: Line, tmp_path: Path
) -> None:
    await line.add("back", 1.0)
    async with Line(first_namespaces=["urn:other"]) as after, Proxy(line.url) as proxy:
        await after.add("back", 2.0)
        assert after.index != line.index
        async with Run(tmp_path, wanted(proxy.url, {"back": "DE/temperature"})) as run:
            await run.until(lambda: run.values() == [1.0])
            proxy.break_off(after.url)
            await run.until(lambda: run.values() == [1.0, 2.0])
            opened, closed = run.gaps
            assert (opened.asset, opened.to_ns, opened.cause, closed.cause) == (
                None,
                None,
                *["connection"] * 2,
            )
            assert closed.from_ns == opened.from_ns
            assert closed.to_ns is not None
            assert closed.to_ns > closed.from_ns
            await run.until(lambda: run.status["connections"] == 2)


async def test_a_connection_that_is_open_and_dead_is_noticed(line: Line, tmp_path: Path) -> None:
    await line.add("half", 1.0)
    async with (
        Proxy(line.url) as proxy,
        Run(tmp_path, wanted(proxy.url, {"half": "DE/temperature"})) as run,
    ):
        await run.until(lambda: run.values() == [1.0])
        proxy.passing.clear()
        await run.until(lambda: any(gap.to_ns is None for gap in run.gaps))
        await run.until(lambda: "has sent nothing" in run.status["reason"])
        await line.write("half", 2.0)
        proxy.passing.set()
        await run.until(lambda: run.values() == [1.0, 2.0])


async def test_a_server_that_is_not_there_is_tried_until_it_is(line: Line, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        nobody = f"opc.tcp://127.0.0.1:{free.getsockname()[1]}/"
    async with Run(tmp_path, wanted(nobody, {"a": "DE/temperature"})) as run:
        await run.until(lambda: "Refused" in run.status.get("reason", ""))
        assert run.status["connected"] is False
        assert not run.ready
        assert not run.records


async def test_a_server_that_never_answers_does_not_hold_up_the_end(
    line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opcua, "STOP_S", 0.1)
    async with Proxy(line.url) as proxy:
        proxy.passing.clear()
        async with Run(tmp_path, wanted(proxy.url, {"a": "DE/temperature"}, timeout_s=60)) as run:
            await run.until(lambda: proxy.connections > 0)
            began_s = asyncio.get_running_loop().time()
        assert asyncio.get_running_loop().time() - began_s < 3


async def test_what_was_missed_while_the_collector_was_away_is_a_gap(line: Line, tmp_path: Path) -> None:
    await line.add("away", 1.0)
    settings = wanted(line.url, {"away": "DE/temperature"})
    async with Run(tmp_path, settings) as before:
        await before.until(lambda: before.values() == [1.0])
        last_ns = before.records[-1].received_ns
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: bool(run.gaps))
        (gap,) = run.gaps
        assert (gap.from_ns, gap.cause) == (last_ns, "connection")
        assert gap.to_ns is not None


async def test_a_gap_left_open_by_a_collector_that_died_is_closed_by_the_next(
    line: Line, tmp_path: Path
) -> None:
    await line.add("died", 1.0)
    journal = SqliteJournal(tmp_path)
    journal.append([gap_record(7, None, "connection", 9)])
    journal.close()
    async with Run(tmp_path, wanted(line.url, {"died": "DE/temperature"})) as run:
        await run.until(lambda: len(run.gaps) == 2)
        opened, closed = run.gaps
        assert (opened.from_ns, opened.to_ns, closed.from_ns) == (7, None, 7)
        assert closed.to_ns is not None


def stopped(number: int, *, active: bool = True) -> OpcuaEvent:
    at_ns = clock.wall() // SECOND_NS * SECOND_NS
    return OpcuaEvent(
        at_ns=at_ns,
        event_id=number.to_bytes(16, "big"),
        asset="L2-DCM-01",
        state="Stopped",
        reason_id="JAM_OUTFEED",
        reason_value=2101,
        reason_message="出料口卡料",
        reason_category="mechanical",
        severity=600,
        active=active,
        time_ns=at_ns,
    )


async def test_stop_events_of_the_simulated_plant_become_alarms_once_each(
    plant: PlantServer, tmp_path: Path
) -> None:
    settings = wanted(plant.url, {}, events={"namespace": NAMESPACE})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.status.get("events") == "subscribed")
        assert run.status["refresh"] == "Good"
        await plant.emit(stopped(1))
        await plant.emit(stopped(2, active=False))
        await run.until(lambda: len(run.alarms) == 2)
        began, ended = run.alarms
        assert (began.asset, began.state.name, began.reason_id) == ("L2-DCM-01", "STOPPED", "JAM_OUTFEED")
        assert (began.reason_value, began.message, began.severity) == (2101, "出料口卡料", 600)
        assert (began.active, ended.active) == (True, False)
    async with Run(tmp_path, settings) as run:  # ConditionRefresh tells both again, with their EventIds
        await run.until(lambda: sum(r.kind is RecordKind.MESSAGE for r in run.records) == 4)
        assert len(run.alarms) == 2


async def test_events_of_another_kind_are_counted_and_left_out(line: Line, tmp_path: Path) -> None:
    speaker = await line.server.get_event_generator()
    settings = wanted(line.url, {}, events={"namespace": URI})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.status.get("events") == "subscribed")
        await speaker.trigger(message="hello")
        await run.until(lambda: run.status["foreign_events"] == 1)
        assert not run.records


async def test_a_foreign_servers_events_are_heard_without_any_setting(line: Line, tmp_path: Path) -> None:
    without = wanted(line.url, {}).model_dump(mode="json", exclude_defaults=True)
    without.pop("events", None)
    async with Run(tmp_path, Parameters.model_validate(without)) as run:
        await run.until(lambda: run.status.get("events") == "subscribed")


async def test_events_whose_namespace_comes_later_are_subscribed_later(line: Line, tmp_path: Path) -> None:
    async with Run(tmp_path, wanted(line.url, {}, events={"namespace": "urn:late"})) as run:
        await run.until(lambda: run.status.get("events") == "the server has no namespace 'urn:late'")
        await line.server.register_namespace("urn:late")
        await run.until(lambda: run.status["events"] == "subscribed")


# settings while it runs, and what a server can take


def counted(line: Line) -> int:
    """Items that the server watches."""
    return sum(
        len(each.monitored_item_srv._monitored_items)
        for each in line.inside.subscription_service.subscriptions.values()
    )


def told(settings: Parameters, **more: Json) -> Mapping[str, Json]:
    """The word that an installation says when its configuration has changed."""
    parameters = settings.model_dump(mode="json", exclude_defaults=True) | more
    return {"word": "reload", "parameters": parameters}


async def test_items_are_changed_without_dropping_the_connection(line: Line, tmp_path: Path) -> None:
    for name in ("stays", "goes", "comes"):
        await line.add(name, 1.0)
    before = wanted(line.url, {"stays": "DE/temperature", "goes": "DE/goes"})
    after = wanted(line.url, {"stays": "DE/temperature", "comes": "DE/comes"})
    async with Run(tmp_path, before) as run:
        await run.until(lambda: run.values("DE/goes") == [1.0])
        items = counted(line)
        run.words.put_nowait(told(after))
        await run.until(lambda: run.values("DE/comes") == [1.0])
        await run.until(lambda: counted(line) == items)
        await line.write("goes", 2.0)
        await line.write("stays", 2.0)
        await run.until(lambda: run.values() == [1.0, 2.0])
        assert run.values("DE/goes") == [1.0]
        assert (run.status["connections"], run.status["reload"]) == (1, "done")
        assert not run.gaps


async def test_other_settings_are_taken_with_a_new_connection(line: Line, tmp_path: Path) -> None:
    await line.add("again", 1.0, history=10)
    settings = wanted(line.url, {"again": "DE/temperature"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0])
        run.words.put_nowait(told(settings, publishing_ms=30))
        await run.until(lambda: run.status["connections"] == 2)
        await run.until(lambda: [gap.backfilled for gap in run.gaps] == [False, False, True])
        assert run.values() == [1.0]


async def test_settings_that_cannot_be_meant_change_nothing(line: Line, tmp_path: Path) -> None:
    await line.add("old", 1.0)
    settings = wanted(line.url, {"old": "DE/temperature"})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [1.0])
        run.words.put_nowait(told(settings, publishing_ms=-1))
        await run.until(lambda: run.status["reload"].startswith("refused: "))
        await line.write("old", 2.0)
        await run.until(lambda: run.values() == [1.0, 2.0])


@pytest.mark.parametrize("says", [True, False], ids=["a server that says so", "a server that only refuses"])
async def test_no_more_is_asked_at_once_than_a_server_takes(line: Line, tmp_path: Path, says: bool) -> None:
    service = line.inside.subscription_service
    names = [f"many{number}{says}" for number in range(25)]
    for name in names:
        await line.add(name, 1.0)
    if says:
        await line.inside.limit(7)
    service.most_items = 7
    try:
        async with Run(tmp_path, wanted(line.url, {name: f"DE/{name}" for name in names})) as run:
            await run.until(lambda: run.standing("good") == 25)
            assert run.status["limits"]["MaxMonitoredItemsPerCall"] == (7 if says else 10_000)
    finally:
        await line.inside.limit(10_000)


async def test_a_deadband_keeps_small_changes_away_in_units_and_in_percent(
    line: Line, tmp_path: Path
) -> None:
    await line.add("units", 0.0)
    await line.add("percent", 0.0)
    await line.nodes["percent"].add_property(
        ua.NodeId("percent.EURange", line.index), "0:EURange", ua.Range(0.0, 200.0)
    )
    settings = wanted(
        line.url,
        {"units": "DE/units", "percent": "DE/percent"},
        units={"deadband": 1.0},
        percent={"deadband_percent": 1.0},
    )
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.standing("good") == 2)
        for value in (0.5, 3.0):
            await line.write("units", value)
            await line.write("percent", 2 * value)
        await run.until(lambda: run.values("DE/units") == [0.0, 3.0])
        await run.until(lambda: run.values("DE/percent") == [0.0, 6.0])


async def test_an_item_whose_deadband_is_refused_comes_without_it_and_says_so(
    line: Line, tmp_path: Path
) -> None:
    await line.add("rangeless", 0.0)
    settings = wanted(line.url, {"rangeless": "DE/temperature"}, rangeless={"deadband_percent": 1.0})
    async with Run(tmp_path, settings) as run:
        await run.until(lambda: run.values() == [0.0])
        await line.write("rangeless", 0.001)
        await run.until(lambda: run.values() == [0.0, 0.001])
        await run.until(lambda: len(run.status["worst_items"]) == 1)
        (item,) = run.status["worst_items"]
        assert (item["state"], item["note"]) == ("good", "without its deadband, which the server refuses")


async def test_the_status_says_when_something_came_last_and_shows_the_worst_items_only(
    line: Line, tmp_path: Path
) -> None:
    await line.add("fine", 1.0)
    names = {f"nowhere{number}": f"DE/n{number}" for number in range(60)} | {"fine": "DE/temperature"}
    async with Run(tmp_path, wanted(line.url, names)) as run:
        await run.until(lambda: run.standing("failed") == 60 and run.standing("good") == 1)
        assert len(run.status["worst_items"]) == 50
        (record,) = run.records
        assert run.status["last_received_ns"] == record.received_ns
