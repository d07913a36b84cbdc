"""The collector against a broker that does what a test tells it to: what is acknowledged, when, and to whom."""

import asyncio
import contextlib
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from andon.ports import RecordKind
from ingest.journal import SqliteJournal
from ingest.mqtt import Collector, Parameters
from ingest.mqtt_connection import BrokerConnection
from ingest.mqtt_packets import V3, V5, Connect, Kind, Packet, Reason, connack
from ingest.mqtt_paho import Message
from ingest.mqtt_parameters import wait_s
from tests.collecting import SteppedJournal, collecting
from tests.listening import GatedJournal, until
from tests.scripted_broker import scripted_broker

TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"
PROTOCOLS = pytest.mark.parametrize("protocol", ["3.1.1", "5"])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[GatedJournal]:
    opened = GatedJournal(tmp_path / "journal")
    yield opened
    opened.gate.set()
    opened.close()


def bodies(journal: SqliteJournal) -> list[bytes]:
    return [record.body for record in journal.read(0, 100_000)]


async def silent_until_durable(journal: GatedJournal, protocol: str) -> bool:
    async with scripted_broker() as broker, collecting(journal, broker.port, protocol=protocol):
        visit = await broker.visit()
        await visit.welcome()
        journal.gate.clear()
        for packet_id in (9, 3, 7):
            visit.publish(TOPIC, b"%d" % packet_id, packet_id)
        await asyncio.to_thread(journal.asked.wait, 10)
        silent = await visit.silent()
        journal.gate.set()
        return silent and await visit.acknowledged(3) == [9, 3, 7] and bodies(journal) == [b"9", b"3", b"7"]


@PROTOCOLS
async def test_messages_are_acknowledged_in_order_and_only_when_they_are_durable(
    journal: GatedJournal, protocol: str
) -> None:
    assert await silent_until_durable(journal, protocol)


async def test_acknowledging_before_the_commit_would_be_found(
    journal: GatedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = Collector._take

    def hasty(self: Collector, messages: Sequence[Message]) -> None:
        if self._connection is not None:
            self._connection.acknowledge([message.packet for message in messages])
        honest(self, messages)

    monkeypatch.setattr(Collector, "_take", hasty)
    assert not await silent_until_durable(journal, "3.1.1")


async def old_acknowledgement_stays_away(tmp_path: Path) -> bool:
    """Whether what was read on one connection is never acknowledged on the next, whose packet ids begin again."""
    journal = SteppedJournal(tmp_path)
    async with scripted_broker() as broker, collecting(journal, broker.port):
        first = await broker.visit()
        await first.welcome()
        first.publish(TOPIC, b"old", 1)
        await asyncio.to_thread(journal.waiting.wait, 10)
        first.drop()
        second = await broker.visit()
        await second.welcome(session_present=True)
        second.publish(TOPIC, b"new", 1)
        journal.allow()  # the old message is durable now, the new one is not
        await until(lambda: journal.end() == 1)
        silent = await second.silent()
        journal.let_go()
        right = silent and await second.acknowledged(1) == [1]
    journal.let_go()
    right = right and bodies(journal) == [b"old", b"new"]
    journal.close()
    return right


async def test_an_acknowledgement_never_reaches_a_later_connection(tmp_path: Path) -> None:
    assert await old_acknowledgement_stays_away(tmp_path)


async def test_acknowledging_on_whatever_connection_there_is_would_be_found(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = BrokerConnection.acknowledge
    latest: list[BrokerConnection] = []
    opened = BrokerConnection.open

    async def noted(self: BrokerConnection) -> None:
        await opened(self)
        latest.append(self)

    monkeypatch.setattr(BrokerConnection, "open", noted)
    monkeypatch.setattr(BrokerConnection, "acknowledge", lambda _self, packets: honest(latest[-1], packets))
    assert not await old_acknowledgement_stays_away(tmp_path)


async def test_the_session_is_kept_at_every_connect(journal: GatedJournal) -> None:
    async with scripted_broker() as broker:
        for protocol, version in (("3.1.1", V3), ("5", V5)):
            async with collecting(
                journal, broker.port, protocol=protocol, session_expiry_s=60, receive_maximum=9
            ):
                for _ in range(2):
                    visit = await broker.visit()
                    connect = await visit.welcome()
                    assert (connect.version, connect.clean, connect.client_id) == (
                        version,
                        False,
                        "andon-test",
                    )
                    if version == V5:
                        assert connect.properties == {0x11: 60, 0x21: 9}
                    visit.drop()


@PROTOCOLS
async def test_messages_are_journaled_as_they_came(journal: GatedJournal, protocol: str) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port, protocol=protocol) as collector:
        visit = await broker.visit()
        await visit.welcome()
        visit.publish(TOPIC, b"again", 5, dup=True)
        visit.publish("a", b"", 6, retain=True)
        visit.publish("b", b"zero")
        assert await visit.acknowledged(2) == [5, 6]
        assert await collector.ready == f"mqtt://127.0.0.1:{broker.port}"
        await until(lambda: journal.end() == 3)
    records = journal.read(0, 10)
    seen = [(record.topic, record.body, record.packet, record.flags) for record in records]
    assert seen == [(TOPIC.encode(), b"again", 5, 0b101), (b"a", b"", 6, 0b110), (b"b", b"zero", 0, 0)]
    assert len({record.connection for record in records}) == 1
    assert {record.kind for record in records} == {RecordKind.MESSAGE}


async def test_a_topic_that_is_not_utf_8_is_journaled_and_acknowledged(journal: GatedJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port):
        visit = await broker.visit()
        await visit.welcome()
        visit.say(b"\x32\x07\0\2\xff\xfe\0\1x")
        assert await visit.acknowledged(1) == [1]
    assert journal.read(0, 1)[0].topic == b"\xff\xfe"


async def test_an_oversized_payload_is_recorded_as_refused_and_acknowledged(journal: GatedJournal) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, payload_max_bytes=1000) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome()
        visit.publish(TOPIC, bytes(1001), 1)
        visit.publish("a/_wave/b", bytes(1001), 2)
        assert await visit.acknowledged(2) == [1, 2]
        await until(lambda: bool(collector.status) and collector.status[-1]["refused"] == 1)
    first, second = journal.read(0, 10)
    assert first.kind == RecordKind.REFUSED
    assert json.loads(first.body)["reason"] == "too_large"
    assert (second.kind, second.body) == (RecordKind.MESSAGE, bytes(1001))


async def test_a_lost_session_is_a_gap_in_the_journal(journal: GatedJournal) -> None:
    async with scripted_broker() as broker:
        async with collecting(journal, broker.port):
            visit = await broker.visit()
            await visit.welcome()  # the first time ever: nothing can be missing
            visit.publish(TOPIC, b"1", 1)
            await visit.acknowledged(1)
            visit.drop()
            visit = await broker.visit()
            await visit.welcome(session_present=True)
        async with collecting(journal, broker.port):
            visit = await broker.visit()
            await visit.welcome(session_present=False)
            await until(lambda: journal.end() == 2)
    message, gap = journal.read(0, 10)
    assert gap.kind == RecordKind.GAP
    said = json.loads(gap.body)
    assert (said["cause"], said["count"], said["from_ns"]) == ("session_lost", 0, message.received_ns)
    assert said["to_ns"] > said["from_ns"]


async def test_overflow_at_qos_0_is_counted_in_the_journal(tmp_path: Path) -> None:
    journal = SteppedJournal(tmp_path)
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, queue_max_records=20) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome()
        visit.publish(TOPIC, b"being written")
        await asyncio.to_thread(journal.waiting.wait, 10)
        for number in range(12):
            visit.publish(TOPIC, b"%d" % number)
        await until(lambda: bool(collector.status) and collector.status[-1]["received"] == 13)
        visit.publish(TOPIC, b"too much")
        visit.publish(TOPIC, b"kept", 2)
        assert await visit.silent()
        journal.let_go()
        assert await visit.acknowledged(1) == [2]
    records = journal.read(0, 100)
    assert [record.kind for record in records] == [RecordKind.MESSAGE] * 14 + [RecordKind.GAP]
    assert records[13].body == b"kept"
    assert json.loads(records[14].body)["count"] == 1
    journal.close()


async def test_a_full_queue_lets_the_broker_wait(journal: GatedJournal) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, queue_max_records=50) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome()
        journal.gate.clear()
        for packet_id in range(1, 2001):
            visit.publish(TOPIC, bytes(2000), packet_id)
        await asyncio.to_thread(journal.asked.wait, 10)
        await visit.silent(1.2)
        assert collector.status[-1]["received"] < 1100
        journal.gate.set()
        assert await visit.acknowledged(2000) == list(range(1, 2001))
    assert journal.end() == 2000


CUT_SHORT = b"\x32\x03\xff\xff"
GARBAGE = [b"\0\0", b"\x30\x00", CUT_SHORT, b"\x90\x00", b"\x20\xff\xff\xff\xff\xff", b"\xe0\x05aaaaa"]


@PROTOCOLS
@pytest.mark.parametrize("garbage", GARBAGE, ids=repr)
async def test_whatever_a_broker_sends_costs_the_connection_and_nothing_else(
    journal: GatedJournal, garbage: bytes, protocol: str
) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, protocol=protocol, keep_alive_s=1),
    ):
        visit = await broker.visit()
        await visit.welcome()
        visit.publish(TOPIC, b"1", 1)
        assert await visit.acknowledged(1) == [1]
        visit.say(garbage)
        if garbage == CUT_SHORT:
            visit.drop()
        visit = await broker.visit()
        await visit.welcome(session_present=True)
        visit.publish(TOPIC, b"2", 2)
        assert await visit.acknowledged(1) == [2]
    assert bodies(journal) == [b"1", b"2"]


async def test_a_broker_that_goes_silent_is_left_within_two_keep_alives(journal: GatedJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port, keep_alive_s=1):
        visit = await broker.visit()
        await visit.welcome()
        began = asyncio.get_running_loop().time()
        heard = await visit.hear()
        assert heard == Packet(Kind.PINGREQ, b"")
        await (await broker.visit()).welcome()
        assert asyncio.get_running_loop().time() - began < 4


async def test_a_broker_that_refuses_us_is_asked_again_and_the_reason_is_told(journal: GatedJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        for reason in (Reason.NOT_AUTHORISED, Reason.BAD_USER_OR_PASSWORD):
            visit = await broker.visit()
            assert isinstance(await visit.hear(), Connect)
            visit.say(connack(V3, reason))
            assert await visit.hear() is None
        visit = await broker.visit()
        assert isinstance(await visit.hear(), Connect)
        visit.drop()
        await until(lambda: any(facts["error"] for facts in collector.status), "an error is told")
        assert not collector.ready.done()
        with contextlib.suppress(AssertionError):  # one that was under way may have been dropped
            await (await broker.visit()).welcome()
        await until(collector.ready.done)


async def test_a_topic_that_is_refused_is_told_and_the_others_go_on(journal: GatedJournal) -> None:
    topics = ["andon/v1/#", "secret/#"]
    async with scripted_broker() as broker, collecting(journal, broker.port, topics=topics) as collector:
        visit = await broker.visit()
        await visit.welcome(codes=(1, 0x80))
        await until(lambda: bool(collector.status) and collector.status[-1]["refused_topics"] == ["secret/#"])
        visit.publish(TOPIC, b"1", 1)
        assert await visit.acknowledged(1) == [1]


async def test_no_broker_at_the_start_is_no_reason_to_end(journal: GatedJournal) -> None:
    async with scripted_broker() as gone:
        port = gone.port
    async with collecting(journal, port) as collector:
        await until(lambda: any("refused" in str(facts["error"]) for facts in collector.status))
        assert await collector.stop() < 5


async def test_a_clean_stop_acknowledges_what_was_read_and_says_goodbye(journal: GatedJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        visit = await broker.visit()
        await visit.welcome()
        journal.gate.clear()
        visit.publish(TOPIC, b"1", 1)
        await asyncio.to_thread(journal.asked.wait, 10)
        stopped = asyncio.create_task(collector.stop())
        assert await visit.silent()
        journal.gate.set()
        assert await visit.acknowledged(1) == [1]
        visit.publish(TOPIC, b"too late", 2)
        await visit.settled()
        assert await visit.hear() == Packet(Kind.DISCONNECT, b"")
        assert await stopped < 5
    assert bodies(journal) == [b"1"]


async def test_a_failing_journal_ends_the_collector_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        visit = await broker.visit()
        await visit.welcome()
        journal.close()
        visit.publish(TOPIC, b"1", 1)
        with pytest.raises(OSError, match="closed"):
            await asyncio.wait_for(collector.task, 10)
        heard = await visit.hear()
        assert heard is None or (isinstance(heard, Packet) and heard.kind == Kind.DISCONNECT)


def test_waits_double_up_to_the_longest_with_jitter() -> None:
    parameters = Parameters(host="broker", client_id="andon", retry_min_s=1, retry_max_s=8)
    for failures, longest in enumerate([1, 2, 4, 8, 8, 8], start=1):
        waits = [wait_s(parameters, failures) for _ in range(50)]
        assert longest / 2 <= min(waits)
        assert max(waits) <= longest
        assert len(set(waits)) > 40
    assert wait_s(parameters, 10_000) <= 8
