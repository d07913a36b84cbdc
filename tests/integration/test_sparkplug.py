"""A Sparkplug edge node on a real broker and on our own listener: its host's state, rebirths, and what becomes of it."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion

from andon.clock import wall
from andon.database import reading
from andon.datadir import open_store
from andon.events import Json
from ingest import gaps
from ingest.journal import SqliteJournal
from ingest.series import SeriesStore
from simulators.sparkplug import EdgeNode, LiveEdgeNode, Metric
from tests.collecting import collecting
from tests.installed import Running
from tests.listening import listening, until
from tests.mosquitto import Mosquitto, free_port, mosquitto, needs_mosquitto

PRIMARY = {"role": "primary", "host_id": "andon", "rebirth_every_s": 3600}
REBIRTH = {"word": "rebirth", "edge": "Plant/Gateway"}
STATE = "spBv1.0/STATE/andon"
STOP = {"state": "Stopped", "reason": {"id": "E1", "message": "door", "trigger": True}, "severity": 600}


def now_ms() -> int:
    return wall() // 1_000_000


def temperature(value: float) -> Metric:
    return Metric("DE/temperature", value, now_ms(), alias=1, unit="Cel")


def gateway(asset: str = "M1", **more: str) -> LiveEdgeNode:
    return LiveEdgeNode(EdgeNode("Plant", "Gateway", {asset: [temperature(20.0)]}), now_ms, **more)


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "broker") as running:
        yield running


class Host:
    """Another client of the broker, which sees what is retained as the state of the host, and may change it."""

    def __init__(self, port: int) -> None:
        self.states: list[Mapping[str, Json]] = []
        self.heard: list[str] = []
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id="other")
        self._client.on_message = self._on_message
        self._client.connect("127.0.0.1", port)
        self._client.subscribe("spBv1.0/#", 1)
        self._client.loop_start()

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        self.heard.append(message.topic)
        if message.topic == STATE:
            self.states.append(json.loads(message.payload))

    def says_for_us(self, *, online: bool) -> None:
        said = json.dumps({"online": online, "timestamp": now_ms()})
        self._client.publish(STATE, said, qos=1, retain=True).wait_for_publish(10)

    def leave(self) -> None:
        self._client.disconnect()
        self._client.loop_stop()


@contextlib.asynccontextmanager
async def seen_by_another(port: int) -> AsyncIterator[Host]:
    host = await asyncio.to_thread(Host, port)
    try:
        yield host
    finally:
        await asyncio.to_thread(host.leave)


@contextlib.asynccontextmanager
async def connected(
    node: LiveEdgeNode, port: int, *, after: "asyncio.Future[str] | None" = None, **more: str
) -> AsyncIterator[LiveEdgeNode]:
    if after is not None:
        await asyncio.wait_for(after, 10)
    await asyncio.to_thread(lambda: node.connect("127.0.0.1", port, **more))
    try:
        yield node
    finally:
        await asyncio.to_thread(node.vanish)


@needs_mosquitto
async def test_a_primary_host_says_that_it_is_here_for_as_long_as_it_is(
    broker: Mosquitto, tmp_path: Path
) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    async with seen_by_another(broker.port) as other:
        async with collecting(journal, broker.port, topics=["spBv1.0/#"], sparkplug=PRIMARY) as collector:
            await until(lambda: other.states, "the host is here")
            assert other.states[0]["online"] is True
            born_ms = other.states[0]["timestamp"]
            other.says_for_us(online=False)
            await until(lambda: len(other.states) > 2, "it says so again")
            assert other.states[1:] == [
                {"online": False, "timestamp": other.states[1]["timestamp"]},
                {"online": True, "timestamp": born_ms},
            ]
            other.says_for_us(online=False)
            await until(lambda: len(other.states) > 4, "and again, though not at once")
            await collector.stop()
            assert other.states[-1]["online"] is False, "it left as one should"
        async with collecting(journal, broker.port, topics=["spBv1.0/#"], sparkplug=PRIMARY):
            await until(lambda: other.states[-1]["online"], "it is back")
            assert other.states[-1]["timestamp"] > born_ms
    journal.close()


@needs_mosquitto
async def test_a_primary_host_that_goes_without_a_word_is_told_of_by_its_will(
    broker: Mosquitto, tmp_path: Path
) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    async with seen_by_another(broker.port) as other:  # noqa: SIM117 -- it sees the end of the inner one
        async with collecting(journal, broker.port, topics=["spBv1.0/#"], sparkplug=PRIMARY) as collector:
            await until(lambda: other.states, "the host is here")
            other_of_its_name = paho.Client(CallbackAPIVersion.VERSION2, client_id="andon-test")
            other_of_its_name.connect("127.0.0.1", broker.port)  # takes its place: the broker drops the first
            other_of_its_name.loop_start()
            await until(lambda: len(other.states) > 1, "the will")
            assert other.states[1] == {"online": False, "timestamp": other.states[0]["timestamp"]}
            other_of_its_name.disconnect()
            other_of_its_name.loop_stop()
            await until(lambda: other.states[-1]["online"], "it came back by itself")
            assert other.states[-1]["timestamp"] > other.states[0]["timestamp"]
            await collector.stop()
    journal.close()


@needs_mosquitto
@pytest.mark.parametrize("sparkplug", [{}, {"role": "passive", "rebirth": True}])
async def test_a_passive_host_says_nothing_and_asks_for_births_only_if_told_to(
    broker: Mosquitto, tmp_path: Path, sparkplug: Mapping[str, Json]
) -> None:
    journal = SqliteJournal(tmp_path / "journal")
    asks = "rebirth" in sparkplug
    async with (
        seen_by_another(broker.port) as other,
        collecting(journal, broker.port, topics=["spBv1.0/#"], sparkplug=sparkplug) as collector,
        connected(gateway(), broker.port, after=collector.ready) as node,
    ):
        await until(lambda: journal.end() >= 2, "its births")
        collector.at.words.put_nowait(REBIRTH)
        if asks:
            await until(lambda: node.rebirths == 1, "it is born anew")
            collector.at.words.put_nowait(REBIRTH)
        # The answer to this word comes after that to the ones before it.
        collector.at.words.put_nowait({"word": "reload", "parameters": {"host": ""}})
        await until(lambda: collector.status and collector.status[-1]["configuration_error"], "all was heard")
        assert collector.status[-1]["rebirths_asked"] == asks, "once per edge node and hour"
        node.say(node.node.data("M1", now_ms(), temperature(1.0)))
        await until(
            lambda: other.heard[-1] == node.node.topic("DDATA", "M1"), "what came before that has come"
        )
        assert other.states == []
        assert sum("NCMD" in topic for topic in other.heard) == asks
        await collector.stop()
    journal.close()


async def test_edge_nodes_on_our_own_listener_hear_their_host_and_its_commands(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    async with (
        listening(journal, sparkplug=PRIMARY) as listener,
        connected(gateway(host_id="andon"), listener.port, username="press", password="secret") as node,
    ):
        await until(lambda: node.host_states, "the retained state of the host")
        assert node.host_states[0]["online"] is True
        await until(lambda: journal.end() >= 2, "it was born for us")
        for _ in range(3):
            listener.at.words.put_nowait(REBIRTH)
        listener.at.words.put_nowait({"word": "rebirth", "edge": "Plant/Other"})
        await until(lambda: journal.end() >= 4, "it was born anew")
        await until(lambda: listener.status and listener.status[-1]["rebirths_asked"] == 2)
        assert node.rebirths == 1, "one of an edge node in an hour"
        await listener.stop()
    journal.close()


async def test_a_passive_listener_tells_edge_nodes_nothing(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    async with (
        listening(journal) as listener,
        connected(gateway(), listener.port, username="press", password="secret") as node,
    ):
        await until(lambda: journal.end() >= 2, "it was born")
        listener.at.words.put_nowait(REBIRTH)
        await until(listener.at.words.empty)
        node.say(node.node.data("M1", now_ms(), temperature(1.0)))
        await until(lambda: journal.end() >= 3)
        await until(lambda: bool(listener.status))
        assert (node.rebirths, node.host_states, listener.status[-1]["rebirths_asked"]) == (0, [], 0)
    journal.close()


async def test_while_the_disk_is_full_edge_nodes_hear_that_their_host_is_away(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    assert journal._writing is not None
    rows = journal._writing._rows
    async with (
        listening(journal, sparkplug=PRIMARY) as listener,
        connected(gateway(host_id="andon"), listener.port, username="press", password="secret") as node,
    ):
        await until(lambda: journal.end() >= 2, "it was born")
        rows.execute(f"PRAGMA max_page_count = {rows.execute('PRAGMA page_count').fetchone()[0]}")
        node.say(node.node.data("M1", now_ms(), Metric("DE/temperature", "x" * 9000, now_ms())))
        await until(lambda: not node.host_states[-1]["online"], "the host is away")
        rows.execute("PRAGMA max_page_count = 100000")
        await until(lambda: node.host_states[-1]["online"], "the host is back")
        times = [state["timestamp"] for state in node.host_states]
        assert times == sorted(set(times)), "edge nodes believe the latest"
    journal.close()


PLANT = {
    "name": "workshop",
    "assets": [
        {
            "id": asset,
            "name": "Lathe",
            "asset_class": "lathe",
            "path": "e/s/a/L1/c",
            "points": [{"id": "DE", "component": "DE-bearing", "quantities": {"temperature": "Cel"}}],
        }
        for asset in ("M1", "M2")
    ],
    "classes": {"lathe": [{"kind": "stop_alarm"}]},
}


@needs_mosquitto
def test_births_data_a_loss_a_rebirth_a_stop_and_a_death_through_the_whole_line(
    broker: Mosquitto, tmp_path: Path
) -> None:
    port = free_port()
    host = '[sources.{name}.sparkplug]\nrole = "primary"\nrebirth_every_s = 3600\n'
    sources = f'[sources.floor]\nkind = "listener"\nport = {port}\nanonymous = true\n' + host.format(
        name="floor"
    )
    sources += (
        f'[sources.line]\nkind = "mqtt"\nhost = "127.0.0.1"\nport = {broker.port}\nclient_id = "andon"\n'
    )
    sources += 'topics = ["spBv1.0/#"]\n' + host.format(name="line")
    with Running(tmp_path, sources, PLANT) as running:
        nodes = {"M1": gateway("M1", host_id="andon"), "M2": gateway("M2", host_id="andon")}
        nodes["M1"].connect("127.0.0.1", port)
        nodes["M2"].connect("127.0.0.1", broker.port)
        for asset, node in nodes.items():
            assert node.born.wait(20), "its host is online"
            node.node.data(asset, now_ms(), temperature(21.0))  # lost on the way
            node.say(node.node.data(asset, now_ms(), temperature(22.0)))
            told = Metric("stop", json.dumps(STOP), now_ms())
            node.say(node.node.data(asset, now_ms(), told))
        running.until(
            lambda: {row["asset"] for row in running.tickets("stop")} == {"M1", "M2"},
            20,
            "both stops are tickets",
        )
        running.until(lambda: [node.rebirths for node in nodes.values()] == [1, 1], 30, "both were born anew")
        for node in nodes.values():
            node.vanish()
        found = running.until(
            lambda: _gaps(running, lambda cause: cause == "sparkplug_death"), 20, "both deaths are seen"
        )
        assert {(row.source, row.asset, row.to_ns) for row in found} == {
            ("floor", "M1", None),
            ("line", "M2", None),
        }
        lost = _gaps(running, lambda cause: cause == "sparkplug_seq")
        assert {(row.source, row.asset) for row in lost} == {("floor", "M1"), ("line", "M2")}
        assert all(row.to_ns is not None for row in lost)
        running.until(
            lambda: all(running.part(name)["status"]["rebirths_asked"] == 1 for name in ("floor", "line")),
            10,
            "each source says that it asked once",
        )
    for asset in nodes:
        _, values, qualities = SeriesStore(tmp_path / "data" / "series.sqlite").read(
            asset, "DE/temperature", 0, 2**62, 100
        )
        assert [*values] == [20.0, 20.0, 22.0, 20.0], "born, born anew with the same, told between, stale"
        assert [*qualities] == [0, 0, 0, 0x40900000]


def _gaps(running: Running, wanted: Callable[[str], bool]) -> list[Json]:
    with reading(open_store(running.data)) as conn:
        found = [gap for gap in gaps.recent(conn, 100) if wanted(gap.cause)]
    return found if len(found) >= 2 else []
