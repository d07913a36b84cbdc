"""A line to collect from over OPC UA: a strict server, a network that fails as networks do, and a collector at work."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Self

import pytest
from asyncua import Server, ua

from andon import clock
from andon.events import Event, Gap, Json, Readings, StopAlarm
from andon.ports import Decoded, Record, RecordKind, SourceContext
from ingest import opcua, opcua_backfill, opcua_conditions, opcua_connection
from ingest.decode import MessageDecoder
from ingest.journal import SqliteJournal
from ingest.opcua import Parameters
from simulators.strict_server import StrictServer

URI = "urn:test:line"
IMPATIENT = (
    (opcua, "REPORT_S", 0.02),
    (opcua, "FIRST_WAIT_S", 0.05),
    (opcua_connection, "CLOSE_S", 0.5),
    (opcua_backfill, "AFTER_S", 0.05),
    (opcua_conditions, "SETTLE_S", 0.1),
)
PLANT = {
    "name": "p",
    "assets": [
        {
            "id": "L2-DCM-01",
            "name": "m",
            "asset_class": "machine",
            "path": "e/s/a/L2/c",
            "points": [{"id": "DE", "component": "bearing", "quantities": {"temperature": "Cel"}}],
        }
    ],
}


class Line:
    """A real server whose variables are made on demand."""

    def __init__(self, first_namespaces: Sequence[str] = ()) -> None:
        self.inside = StrictServer()
        self.server = Server(iserver=self.inside)
        self.server.set_endpoint("opc.tcp://127.0.0.1:0/")
        self.server.set_security_policy([ua.SecurityPolicyType.NoSecurity])
        self._first_namespaces = first_namespaces
        self.nodes: dict[str, Any] = {}

    async def __aenter__(self) -> Self:
        await self.server.init()
        await self.server.set_application_uri("urn:test:server")
        for uri in (*self._first_namespaces, URI):
            self.index = await self.server.register_namespace(uri)
        await self.server.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(Exception):
            await self.server.stop()

    @property
    def url(self) -> str:
        assert self.server.bserver is not None
        return f"opc.tcp://127.0.0.1:{self.server.bserver.port}/"

    async def add(self, name: str, value: Json = 0.0, *, history: int = 0) -> None:
        self.nodes[name] = await self.server.nodes.objects.add_variable(
            ua.NodeId(name, self.index), f"{self.index}:{name}", value
        )
        if history:
            await self.inside.history.keep(self.nodes[name].nodeid, history)
            await self.write(name, value, ago_s=60)

    async def write(self, name: str, value: Json, *, ago_s: float = 0) -> None:
        at = datetime.fromtimestamp(clock.wall() / 1e9 - ago_s, UTC)
        await self.nodes[name].write_value(ua.DataValue(ua.Variant(value), SourceTimestamp=at))


class Run:
    """A collector at work in this loop, with its journal read as the engine reads it."""

    def __init__(self, folder: Path, parameters: Parameters) -> None:
        self.parameters = parameters
        self.status: Mapping[str, Json] = {}
        self.ready: list[str] = []
        self._folder = folder
        self.words: asyncio.Queue[Mapping[str, Json]] = asyncio.Queue()
        self._stopping = asyncio.Event()

    async def __aenter__(self) -> Self:
        self._patience = pytest.MonkeyPatch()
        for place, name, value in IMPATIENT:
            self._patience.setattr(place, name, value)
        self._journal = SqliteJournal(self._folder)
        self._reader = SqliteJournal(self._folder, read_only=True)
        self._task = asyncio.create_task(
            opcua.run(
                self.parameters,
                SourceContext(
                    self._journal,
                    clock.wall,
                    self._stopping,
                    self.ready.append,
                    self._note,
                    self._folder,
                    words=self.words,
                ),
            )
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        async with asyncio.timeout(10):
            await self._task
        self._patience.undo()
        self._reader.close()
        self._journal.close()

    def _note(self, facts: Mapping[str, Json]) -> None:
        self.status = facts

    @property
    def journal(self) -> Any:
        """The journal that is written, for tests that break it."""
        return self._journal

    @property
    def records(self) -> Sequence[Record]:
        return self._reader.read(0, 10_000)

    @property
    def decoded(self) -> Decoded:
        decoder = MessageDecoder()
        decoder.decode(
            "engine",
            0,
            [Record(RecordKind.CONFIG, 1, b"", json.dumps({"version": 1, "document": PLANT}).encode())],
        )
        decoded: Decoded = decoder.decode("line", 0, self.records)
        assert not decoded.dead_letters
        return decoded

    @property
    def events(self) -> list[Event]:
        return list(self.decoded.events)

    @property
    def gaps(self) -> list[Gap]:
        return [event for event in self.events if isinstance(event, Gap)]

    @property
    def alarms(self) -> list[StopAlarm]:
        return [event for event in self.events if isinstance(event, StopAlarm)]

    def values(self, channel: str = "DE/temperature") -> list[float]:
        return [
            float(value)
            for event in self.events
            if isinstance(event, Readings)
            for place, value in zip(event.channel, event.value, strict=True)
            if event.channels[place] == channel
        ]

    def bad(self) -> dict[str, str]:
        return {
            item["channel"]: item["reason"] for item in self.status.get("worst_items", ()) if item["reason"]
        }

    def standing(self, state: str) -> int:
        return int(self.status.get("items", {}).get(state, 0))

    async def until(self, holds: Callable[[], bool], within_s: float = 10) -> None:
        async with asyncio.timeout(within_s):
            while not holds():
                assert not self._task.done(), self._task
                await asyncio.sleep(0.01)


def wanted(url: str, names: Mapping[str, str], **more: Json) -> Parameters:
    """A collector of these nodes -> channels, impatient enough for a test."""
    settings: dict[str, Json] = {
        "url": url,
        "security": "none",
        "allow_insecure": True,
        "events": None,
        "publishing_ms": 20,
        "sampling_ms": 10,
        "keepalive_s": 0.2,
        "timeout_s": 2,
        "retry_s": 0.1,
        "back_off_s": 0.2,
        "items": [
            {"node": f"nsu={URI};s={name}", "asset": "L2-DCM-01", "channel": channel, **more.pop(name, {})}
            for name, channel in names.items()
        ],
    }
    return Parameters.model_validate(settings | more)


class Proxy:
    """Passes bytes on, or holds them unless `passing`, as a broken network does without closing anything."""

    def __init__(self, url: str, listen: int = 0) -> None:
        self._listen = listen
        self._port = int(url.rpartition(":")[2].rstrip("/"))
        self.passing = asyncio.Event()
        self.passing.set()
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: list[asyncio.StreamWriter] = []
        self.connections = 0
        self.delay_s = 0.0

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self._listen)
        self.url = f"opc.tcp://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for writer in self._writers:
            writer.transport.abort()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    def break_off(self, url: str | None = None) -> None:
        """Cut all connections; the next ones may lead to another server."""
        if url is not None:
            self._port = int(url.rpartition(":")[2].rstrip("/"))
        for writer in self._writers:
            writer.transport.abort()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection("127.0.0.1", self._port)
        self.connections += 1
        self._writers += [writer, back]
        for one, other in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pass(one, other))
            self._tasks.add(task)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(65536):
                await asyncio.sleep(self.delay_s)
                await self.passing.wait()
                writer.write(data)
                await writer.drain()
        writer.close()
