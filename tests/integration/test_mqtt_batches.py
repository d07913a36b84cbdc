"""How the collector reads: many messages at once, acknowledged in one write, and none over its limit held whole."""

import asyncio
import hashlib
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.ports import RecordKind
from ingest.mqtt_paho import BatchClient
from tests.collecting import collecting
from tests.listening import GatedJournal, until
from tests.mqtt_client import length, publish, string
from tests.scripted_broker import scripted_broker

TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"
MIB = 1024 * 1024


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[GatedJournal]:
    opened = GatedJournal(tmp_path / "journal")
    yield opened
    opened.gate.set()
    opened.close()


async def writes_for_a_hundred(journal: GatedJournal, monkeypatch: pytest.MonkeyPatch) -> int:
    """How many times the collector writes to acknowledge a hundred messages that came together."""
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        visit = await broker.visit()
        await visit.welcome()
        await collector.ready
        honest, written = BatchClient._sock_send, list[int]()

        def counted(self: BatchClient, data: bytes) -> int:
            written.append(honest(self, data))
            return written[-1]

        monkeypatch.setattr(BatchClient, "_sock_send", counted)
        visit.say(b"".join(publish(TOPIC, b"x", number) for number in range(1, 101)))
        assert await visit.acknowledged(100) == list(range(1, 101))
        assert sum(written) == 400
        return len(written)


async def test_messages_that_came_together_are_acknowledged_in_one_write(
    journal: GatedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await writes_for_a_hundred(journal, monkeypatch) == 1


async def test_a_write_for_each_acknowledgement_would_be_found(
    journal: GatedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def one_by_one(self: BatchClient, packets: list[int]) -> None:
        for packet in packets:
            self.ack(packet, 1)

    monkeypatch.setattr(BatchClient, "acknowledge", one_by_one)
    assert await writes_for_a_hundred(journal, monkeypatch) == 100


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_an_oversized_message_is_read_past_and_acknowledged_once_its_head_is_durable(
    journal: GatedJournal, protocol: str
) -> None:
    part, parts = bytes(range(256)) * 1024, 64  # 16 MiB in all
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, protocol=protocol, payload_max_bytes=65_536) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome()
        await collector.ready
        front = string(TOPIC) + (77).to_bytes(2, "big") + b"\0" * (protocol == "5")
        journal.gate.clear()
        tracemalloc.start()
        visit.say(b"\x32" + length(len(front) + len(part) * parts) + front)
        for _ in range(parts):
            visit.say(part)
            await visit._writer.drain()
        visit.publish(TOPIC, b"after", 78)
        await asyncio.to_thread(journal.asked.wait, 10)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        silent = await visit.silent()
        journal.gate.set()
        assert (silent, await visit.acknowledged(2)) == (True, [77, 78])
    assert peak < 4 * MIB
    refused, after = journal.read(0, 10)
    said = json.loads(refused.body)
    assert (refused.kind, after.body) == (RecordKind.REFUSED, b"after")
    assert (said["reason"], said["length"]) == ("too_large", len(part) * parts)
    assert said["sha256"] == hashlib.sha256(part * parts).hexdigest()


async def test_messages_before_a_fault_are_kept_and_the_connection_is_closed(journal: GatedJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        visit = await broker.visit()
        await visit.welcome()
        await collector.ready
        visit.say(publish(TOPIC, b"sound", 1) + b"\xff\x00")
        assert await broker.visit() is not visit
        await until(lambda: journal.end() == 1)
    assert [record.body for record in journal.read(0, 10)] == [b"sound"]


async def test_a_message_with_qos_2_of_an_older_session_is_settled(journal: GatedJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        visit = await broker.visit()
        await visit.welcome()
        await collector.ready
        visit.say(publish(TOPIC, b"twice", 9, qos=2))
        received = await visit.hear()
        visit.say(b"\x62\x02\x00\x09")
        completed = await visit.hear()
    assert [(packet.kind.name, packet.body) for packet in (received, completed)] == [
        ("PUBREC", b"\x00\x09"),
        ("PUBCOMP", b"\x00\x09"),
    ]
    assert [record.body for record in journal.read(0, 10)] == [b"twice"]
