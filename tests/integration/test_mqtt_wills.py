"""A device's will from its last word to a gap: through Mosquitto and our collector, and through our listener."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.events import Event, Gap
from andon.ports import Record, RecordKind
from ingest.decode import MessageDecoder
from ingest.journal import SqliteJournal
from tests.collecting import collecting, ready
from tests.listening import listening, until
from tests.mosquitto import mosquitto, needs_mosquitto
from tests.mqtt_client import Client
from tests.publishing import published

PLACE = "andon/v1/e/s/a/L1/c/M7"
OFFLINE = (f"{PLACE}/_state/online", b'{"online": false}')
VALUE = json.dumps(
    {"type": "andon.telemetry.v1", "data": {"metrics": [{"name": "DE/temperature", "value": 41.5}]}}
).encode()


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal")
    yield opened
    opened.close()


def gaps(journal: SqliteJournal) -> list[Gap]:
    """What the engine makes of this source."""
    points = [{"id": "DE", "component": "DE-bearing", "quantities": {"temperature": "Cel"}}]
    asset = {"id": "M7", "name": "M7", "asset_class": "pump", "path": "e/s/a/L1/c", "points": points}
    document = json.dumps({"version": 1, "document": {"name": "p", "assets": [asset]}}).encode()
    made = MessageDecoder()
    made.decode("engine", 0, [Record(RecordKind.CONFIG, 1, b"", document)])
    events: list[Event] = list(made.decode("s", 0, journal.read(0, 1000)).events)
    return [event for event in events if isinstance(event, Gap)]


def is_one_gap(found: list[Gap]) -> bool:
    opened, ended = found
    assert {(gap.asset, gap.cause, gap.backfilled) for gap in found} == {("M7", "offline", False)}
    assert opened.from_ns == ended.from_ns
    return opened.to_ns is None and ended.to_ns is not None and ended.to_ns > ended.from_ns


@needs_mosquitto
async def test_a_device_that_dies_at_a_broker_is_offline_until_it_speaks_again(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    with mosquitto(tmp_path / "broker") as broker:
        async with collecting(journal, broker.port) as collector:
            await ready(collector)
            async with Client(broker.port) as device:
                await device.connected(will=OFFLINE)
                device.drop()
            await until(lambda: len(gaps(journal)) == 1)
            await published(broker.port, [VALUE], f"{PLACE}/_telemetry/process")
            await until(lambda: len(gaps(journal)) == 2)
    assert is_one_gap(gaps(journal))


async def test_a_device_that_dies_at_the_listener_is_offline_until_it_speaks_again(
    journal: SqliteJournal,
) -> None:
    async with listening(journal) as listener:
        async with Client(listener.port) as device:
            await device.connected(will=OFFLINE)
            device.drop()
        await until(lambda: len(gaps(journal)) == 1)
        async with Client(listener.port) as device:
            await device.connected(will=OFFLINE)
            device.publish(
                f"{PLACE}/_telemetry/process", VALUE, 1, retain=True
            )  # not an old one: we keep none
            await device.acknowledged(1)
            await until(lambda: len(gaps(journal)) == 2)
            device.say(b"\xe0\0")  # a goodbye takes the will back
            assert await device.hear() is None
    assert is_one_gap(gaps(journal))
