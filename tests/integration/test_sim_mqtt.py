"""The simulated plant's MQTT side: what is not acknowledged is sent again, by the publisher and after a restart."""

import asyncio
import json
import shutil
import socket
import struct
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
import pytest
from asyncua import Client, ua
from paho.mqtt.enums import CallbackAPIVersion

from andon.events import SECOND_NS, Json
from simulators.messages import NAMESPACE, MqttMessage
from simulators.mqtt import Publisher
from simulators.plant import Simulation
from simulators.run import Progress, run

MOSQUITTO = shutil.which("mosquitto") or shutil.which("/usr/sbin/mosquitto")
WAIT_S = 20.0
START_NS = 1_790_000_000 * SECOND_NS

needs_mosquitto = pytest.mark.skipif(MOSQUITTO is None, reason="mosquitto is not installed")


async def until(true: asyncio.Event, what: str) -> None:
    try:
        async with asyncio.timeout(WAIT_S):
            await true.wait()
    except TimeoutError:
        pytest.fail(f"{what} did not happen within {WAIT_S:g} s")


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[int]:
    """The port of a real mosquitto."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    settings = tmp_path / "mosquitto.conf"
    settings.write_text(f"listener {port} 127.0.0.1\nallow_anonymous true\nmax_queued_messages 0\n")
    process = subprocess.Popen([str(MOSQUITTO), "-c", str(settings)], stderr=subprocess.DEVNULL)
    try:
        yield port
    finally:
        process.terminate()
        process.wait(10)


class Subscriber:
    """Everything published on a broker, in order, as (topic, body)."""

    def __init__(self, port: int) -> None:
        self.messages: list[tuple[str, bytes]] = []
        self._subscribed, self._more = asyncio.Event(), asyncio.Event()
        loop = asyncio.get_running_loop()
        self._client = paho.Client(CallbackAPIVersion.VERSION2)
        self._client.on_connect = lambda client, *_: client.subscribe("#", qos=1)
        self._client.on_subscribe = lambda *_: loop.call_soon_threadsafe(self._subscribed.set)
        self._client.on_message = lambda _c, _u, message: loop.call_soon_threadsafe(
            self._note, message.topic, bytes(message.payload)
        )
        self._client.connect_async("127.0.0.1", port)
        self._client.loop_start()

    async def __aenter__(self) -> Self:
        await until(self._subscribed, "the subscription")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    async def until(self, wanted: set[tuple[str, bytes]]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not wanted <= set(self.messages):
                self._more.clear()
                await self._more.wait()

    def _note(self, topic: str, body: bytes) -> None:
        self.messages.append((topic, body))
        self._more.set()


class FickleBroker:
    """Accepts publishers, acknowledges the first `most` messages of its first connection, then hangs up."""

    def __init__(self, most: int) -> None:
        self.received: list[tuple[int, bool, bytes]] = []  # connection, DUP, body
        self.port = 0
        self._most, self._connections = most, 0

    @asynccontextmanager
    async def serving(self) -> AsyncIterator["FickleBroker"]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        async with server:
            yield self

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections += 1
        connection, acknowledged = self._connections, 0
        try:
            while True:
                first, body = await _packet(reader)
                if first >> 4 == 1:
                    writer.write(b"\x20\x02\x00\x00")
                elif first >> 4 == 3:
                    length = struct.unpack_from(">H", body)[0]
                    self.received.append((connection, bool(first & 8), body[4 + length :]))
                    if connection == 1 and acknowledged >= self._most:
                        break
                    acknowledged += 1
                    writer.write(b"\x40\x02" + body[2 + length : 4 + length])
        except asyncio.IncompleteReadError:
            pass
        writer.close()


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first = (await reader.readexactly(1))[0]
    length = shift = 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 127) << shift
        if not byte & 128:
            return first, await reader.readexactly(length)
        shift += 7


async def test_what_was_not_acknowledged_when_the_line_broke_is_sent_again() -> None:
    async with (
        FickleBroker(most=5).serving() as broker,
        Publisher("127.0.0.1", broker.port, client_id="plant", in_flight=8) as publisher,
    ):
        for number in range(40):
            await publisher.publish(number, "andon/v1/x", b"%d" % number)
        assert await publisher.drain(WAIT_S)
        assert publisher.acknowledged == 40
        assert publisher.acknowledged_until(40) == 40
    first = [body for connection, _, body in broker.received if connection == 1]
    second = [body for connection, _, body in broker.received if connection == 2]
    assert first[:5] == [b"0", b"1", b"2", b"3", b"4"]
    # Acknowledgements may have been lost too; new messages may overtake those that are sent again.
    assert {b"%d" % number for number in range(5, 40)} <= set(second)
    assert len(set(second)) == len(second)
    assert len(second) <= 40
    assert all(dup for connection, dup, body in broker.received if connection == 2 and body in first)


async def test_progress_stands_at_the_oldest_message_without_an_acknowledgement() -> None:
    async with (
        FickleBroker(most=3).serving() as broker,
        Publisher("127.0.0.1", broker.port, client_id="plant", in_flight=4) as publisher,
    ):
        for number in range(4):
            await publisher.publish(100 + number, "andon/v1/x", b"")
        assert publisher.acknowledged_until(104) <= 104
        assert await publisher.drain(WAIT_S)
        assert publisher.acknowledged_until(104) == 104


async def test_no_more_than_the_window_is_ever_in_flight() -> None:
    async def never(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await _packet(reader)
        writer.write(b"\x20\x02\x00\x00")
        await reader.read()
        writer.close()

    server = await asyncio.start_server(never, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    async with server, Publisher("127.0.0.1", port, client_id="plant", in_flight=3) as publisher:
        async with asyncio.timeout(WAIT_S):
            for number in range(3):
                await publisher.publish(number, "andon/v1/x", b"")
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2):
                await publisher.publish(3, "andon/v1/x", b"")
        assert publisher.acknowledged_until(4) == 0
        assert not await publisher.drain(0.05)


class Telling:
    """A simulator that tells its story up to a time that the test moves."""

    def __init__(self, port: int, progress: Path) -> None:
        self.now_ns = START_NS
        self.acknowledged, self.stopping = asyncio.Event(), asyncio.Event()
        self._until_ns, self._port, self._progress = 0, port, progress

    async def tell(self, until_ns: int) -> None:
        """Run until everything before `until_ns` is acknowledged, then stop."""
        self.now_ns = self._until_ns = until_ns
        running = asyncio.create_task(self.run(lambda _address: None))
        await until(self.acknowledged, "the story")
        self.stopping.set()
        async with asyncio.timeout(10):
            await running

    async def run(self, ready: Callable[[str], None]) -> None:
        """Run until told to stop."""
        await run(
            Simulation(7, START_NS),
            mqtt_host="127.0.0.1",
            mqtt_port=self._port,
            username=None,
            password=None,
            opcua_port=0,
            now=lambda: self.now_ns,
            progress=self._progress,
            stopping=self.stopping,
            ready=ready,
            status=self._note,
        )

    def _note(self, status: dict[str, Json]) -> None:
        if status["connected"] and status["story_ns"] >= self._until_ns:
            self.acknowledged.set()


@needs_mosquitto
async def test_a_story_gone_on_with_after_a_kill_is_whole_and_overlaps_with_the_same_bytes(
    broker: int, tmp_path: Path
) -> None:
    simulation, progress = Simulation(7, START_NS), Progress(tmp_path / "progress.json", 7, START_NS)
    killed_ns, end_ns = START_NS + 30 * SECOND_NS, START_NS + 60 * SECOND_NS
    before, whole = (
        [one for one in simulation.due(START_NS, until_ns, "mqtt") if isinstance(one, MqttMessage)]
        for until_ns in (killed_ns, end_ns)
    )
    async with Subscriber(broker) as subscriber:
        async with Publisher("127.0.0.1", broker, client_id="before-the-kill") as publisher:
            for item in before:
                await publisher.publish(item.at_ns, item.topic, item.body)
            assert await publisher.drain(WAIT_S)
        progress.save(killed_ns - 20 * SECOND_NS)  # the last words were said and not yet remembered
        await Telling(broker, progress.path).tell(end_ns)
        await subscriber.until({(one.topic, one.body) for one in whole})
    assert set(subscriber.messages) == {(one.topic, one.body) for one in whole}
    again = [one for one in before if one.at_ns >= killed_ns - 20 * SECOND_NS]
    assert len(subscriber.messages) == len(whole) + len(again)
    assert progress.load() == end_ns


def test_progress_is_that_of_its_own_story(tmp_path: Path) -> None:
    progress = Progress(tmp_path / "progress.json", 7, START_NS)
    assert progress.load() == START_NS
    progress.save(START_NS + 5)
    assert progress.load() == START_NS + 5
    assert Progress(progress.path, 8, START_NS).load() == START_NS
    assert Progress(progress.path, 7, START_NS + 1).load() == START_NS + 1


async def test_opcua_goes_on_while_nobody_listens_on_mqtt_and_progress_waits(tmp_path: Path) -> None:
    with socket.socket() as unserved:
        unserved.bind(("127.0.0.1", 0))
        telling = Telling(unserved.getsockname()[1], tmp_path / "progress.json")
        address: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        telling.now_ns = START_NS + 40 * SECOND_NS
        running = asyncio.create_task(telling.run(address.set_result))
        async with asyncio.timeout(WAIT_S), Client(await address) as client:
            namespace = await client.get_namespace_index(NAMESPACE)
            spoken = client.get_node(ua.NodeId("L2-SHB-01/M/current", namespace))
            while (await spoken.read_data_value(raise_on_bad_status=False)).StatusCode.is_bad():  # noqa: ASYNC110  a remote value
                await asyncio.sleep(0.02)
        telling.stopping.set()
        async with asyncio.timeout(10):
            await running
    assert json.loads((tmp_path / "progress.json").read_text())["done_ns"] <= START_NS + SECOND_NS
