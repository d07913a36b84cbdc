"""Fourteen ways in which a subscriber loses messages at a real Mosquitto: the plain way falls in, ours does not.

The numbers are those of the list of traps that the collector was built against. What they cost was measured.
"""

import asyncio
import json
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from andon.config import ConfigError, check
from andon.ports import Record, RecordKind
from ingest.broker_drops import CODE
from ingest.journal import SqliteJournal
from ingest.mqtt import Parameters
from tests.collecting import collecting, messages, ready
from tests.listening import GatedJournal, until
from tests.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.naive_subscriber import NaiveSubscriber
from tests.publishing import TOPIC, publish, published

pytestmark = needs_mosquitto
FIVE = [b"%d" % number for number in range(5)]


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[GatedJournal]:
    opened = GatedJournal(tmp_path / "journal")
    yield opened
    opened.gate.set()
    opened.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as started:
        yield started


async def leave_and_come_back(journal: SqliteJournal, port: int, **settings: object) -> list[bytes]:
    """What a collector has that was away while five messages were published."""
    async with collecting(journal, port, **settings) as collector:
        await ready(collector)
        await collector.stop()
    await published(port, FIVE)
    async with collecting(journal, port, **settings) as collector:
        await ready(collector)
        await published(port, [b"last"])
        await until(lambda: messages(journal)[-1:] == [b"last"])
    return messages(journal)[:-1]


def come_back_naively(port: int, **settings: object) -> tuple[bool, list[bytes]]:
    """Whether the broker had kept the session of a plain subscriber that was away, and what it got."""
    with NaiveSubscriber(port, [TOPIC], protocol="5", **settings):  # type: ignore[arg-type]
        pass
    publish(port, FIVE)
    with NaiveSubscriber(port, [TOPIC], protocol="5", **settings) as again:  # type: ignore[arg-type]
        publish(port, [b"last"])
        again.wait_for(1)
        while again.bodies[-1] != b"last":
            again.wait_for(len(again.bodies) + 1)
        return again.sessions[0], again.bodies[:-1]


async def test_t1_a_new_process_does_not_wipe_the_session(journal: GatedJournal, broker: Mosquitto) -> None:
    naive = await asyncio.to_thread(come_back_naively, broker.port, client_id="t1", expiry_s=60)
    assert naive == (
        False,
        [],
    )  # 5 of 5 lost: paho's clean_start is true at the first connect of each process
    assert await leave_and_come_back(journal, broker.port, protocol="5", client_id="ours-1") == FIVE


async def test_t2_the_session_outlives_the_connection(journal: GatedJournal, broker: Mosquitto) -> None:
    naive = await asyncio.to_thread(come_back_naively, broker.port, client_id="t2", clean_start=False)
    assert naive == (False, [])  # MQTT 5 without a SessionExpiryInterval: it ends with the connection
    assert await leave_and_come_back(journal, broker.port, protocol="5", client_id="ours-2") == FIVE


async def test_t3_the_window_is_as_large_as_a_group_commit(journal: GatedJournal, broker: Mosquitto) -> None:
    hundred = [b"%d" % number for number in range(100)]

    def naive() -> list[bytes]:
        settings = {"protocol": "5", "client_id": "t3", "manual_ack": True}
        with NaiveSubscriber(broker.port, [TOPIC], **settings) as subscriber:  # type: ignore[arg-type]
            publish(broker.port, hundred)
            got = subscriber.wait_for(20)
            publish(broker.port, [b"more"])  # the broker has answered that, and still sends nothing
            return subscriber.bodies if len(got) == 20 else got

    assert len(await asyncio.to_thread(naive)) == 20
    async with collecting(journal, broker.port, protocol="5", client_id="ours-3") as collector:
        await ready(collector)
        journal.gate.clear()
        await published(broker.port, hundred)
        await until(lambda: collector.status[-1]["received"] == 100, "all hundred, none of them acknowledged")
        journal.gate.set()
        await until(lambda: messages(journal) == hundred)


async def test_t4_what_the_broker_drops_is_a_gap_and_a_notice(journal: GatedJournal, tmp_path: Path) -> None:
    small = ("max_queued_messages 100", "sys_interval 1", "allow_anonymous true")
    many = [b"%d" % number for number in range(300)]
    counters = ["$SYS/broker/publish/messages/dropped"]
    with mosquitto(tmp_path / "small", *small) as broker:
        keeping = tmp_path / "kept"
        settings = {"drop_counters": counters, "client_id": "ours-4", "folder": keeping}
        async with collecting(journal, broker.port, **settings) as collector:  # type: ignore[arg-type]
            await until((keeping / "broker_drops.json").exists, "the counter was heard")
            await collector.stop()
        await published(broker.port, many)
        async with collecting(journal, broker.port, **settings) as collector:  # type: ignore[arg-type]
            await until(lambda: any(record.kind == RecordKind.GAP for record in journal.read(0, 1000)))
            await until(lambda: collector.status[-1]["broker_dropped"] == 200)
            assert collector.status[-1]["drop_counter"] == "watched"

        def naive() -> list[bytes]:
            with NaiveSubscriber(broker.port, ["naive"], client_id="t4"):
                pass
            publish(broker.port, many, "naive")
            with NaiveSubscriber(broker.port, ["naive"], client_id="t4") as subscriber:
                subscriber.wait_for(100)
                publish(broker.port, [b"last"], "naive")
                subscriber.wait_for(101)
                return subscriber.bodies

        got = await asyncio.to_thread(naive)
        assert got == [*many[:100], b"last"]  # the newest 200 of 300 are gone, and nobody said so
    gap, notice = (
        json.loads(next(record.body for record in journal.read(0, 1000) if record.kind == kind))
        for kind in (RecordKind.GAP, RecordKind.NOTICE)
    )
    assert (gap["cause"], gap["count"]) == (CODE, 0)
    assert gap["from_ns"] < gap["to_ns"]
    assert (notice["code"], notice["active"], notice["subject"]) == (CODE, True, "kept")
    assert messages(journal) == many[:100]
    assert not any(b"$SYS" in record.topic for record in journal.read(0, 1000))


class RefusingJournal(GatedJournal):
    """A journal whose disk breaks before it has written what begins with `new`."""

    broken = True

    def append(self, records: Sequence[Record]) -> int:
        if self.broken and any(record.body.startswith(b"new") for record in records):
            raise OSError("the disk is gone")
        return super().append(records)


async def test_t5_a_late_acknowledgement_of_an_older_connection_acknowledges_nothing(tmp_path: Path) -> None:
    new = [b"new %d" % number for number in range(5)]
    forgetful = ("persistence false", "allow_anonymous true")
    with mosquitto(tmp_path / "broker", *forgetful) as broker:

        def naive() -> list[bytes]:
            settings = {"client_id": "t5", "manual_ack": True}
            with NaiveSubscriber(broker.port, [TOPIC], **settings) as subscriber:  # type: ignore[arg-type]
                publish(broker.port, FIVE)
                subscriber.wait_for(5)  # they are being written to disk while the broker is started again
                broker.stop()
                broker.start()
                subscriber.wait_subscribed()
                publish(broker.port, new)
                subscriber.wait_for(10)
                for old in subscriber.messages[:5]:
                    subscriber.client.ack(old.mid, 1)
                publish(broker.port, [b"flush"])
                subscriber.wait_for(11)
                subscriber.die()  # before the new ones were written
            with NaiveSubscriber(broker.port, [TOPIC], **settings) as again:  # type: ignore[arg-type]
                publish(broker.port, [b"last"])
                while b"last" not in again.bodies:
                    again.wait_for(len(again.bodies) + 1)
                return again.bodies

        assert await asyncio.to_thread(naive) == [b"flush", b"last"]  # 5 of 5 new ones lost
        journal = RefusingJournal(tmp_path / "journal")
        async with collecting(journal, broker.port, client_id="ours-5") as collector:
            await ready(collector)
            journal.gate.clear()
            await published(broker.port, FIVE)
            await until(lambda: collector.status[-1]["received"] == 5)
            await asyncio.to_thread(broker.stop)
            await asyncio.to_thread(broker.start)
            await until(lambda: collector.status[-1]["connections"] == 2)
            await published(broker.port, new)
            await until(lambda: collector.status[-1]["received"] == 10)
            journal.gate.set()  # the old ones are durable now; the new ones never
            with pytest.raises(OSError, match="the disk is gone"):
                await asyncio.wait_for(collector.task, 10)
        assert not set(new) & set(messages(journal))
        journal.broken = False
        async with collecting(journal, broker.port, client_id="ours-5"):
            await until(lambda: [body for body in messages(journal) if body in new] == new, "all came again")
        journal.close()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
async def test_t6_a_message_that_cannot_be_used_stops_nothing(
    journal: GatedJournal, broker: Mosquitto
) -> None:
    poison = b"\xff not json"

    def naive() -> tuple[list[bytes], bool]:
        with NaiveSubscriber(broker.port, [TOPIC], client_id="t6", on_body=json.loads) as it:
            publish(broker.port, [b"1", poison, b"2"])
            thread = it.client._thread
            if thread is not None:
                thread.join(10)
            return it.bodies, it.client.is_connected()

    assert await asyncio.to_thread(naive) == ([b"1", poison], True)  # its thread is dead, it says connected
    async with collecting(journal, broker.port, client_id="ours-6") as collector:
        await ready(collector)
        await published(broker.port, [b"1", poison, b"2"])
        await until(lambda: messages(journal) == [b"1", poison, b"2"])


async def test_t7_what_comes_without_a_promise_is_bounded_and_what_is_left_out_is_counted(
    journal: GatedJournal, broker: Mosquitto
) -> None:
    many = [b"%d" % number for number in range(500)]
    waiting: asyncio.Queue[bytes] = asyncio.Queue()
    loop = asyncio.get_running_loop()

    def naive() -> None:
        def hand_over(body: bytes) -> None:
            loop.call_soon_threadsafe(waiting.put_nowait, body)

        with NaiveSubscriber(broker.port, [TOPIC], client_id="t7", qos=0, on_body=hand_over) as subscriber:
            publish(broker.port, many, qos=0)
            subscriber.wait_for(500)

    await asyncio.to_thread(naive)
    await until(lambda: waiting.qsize() == 500)  # and on it grows, for as long as nobody has time for it
    async with collecting(
        journal, broker.port, client_id="ours-7", qos=0, queue_max_records=400
    ) as collector:
        await ready(collector)
        journal.gate.clear()
        await published(broker.port, [b"first"])
        await asyncio.to_thread(journal.asked.wait, 10)
        await published(broker.port, many[:300], qos=0)
        await until(
            lambda: collector.status[-1]["received"] == 301
        )  # what was read together is judged together
        await published(broker.port, many[300:], qos=0)
        await until(lambda: collector.status[-1]["received"] == 501)
        journal.gate.set()
        await until(lambda: any(record.kind == RecordKind.GAP for record in journal.read(0, 1000)))
    (gap,) = (json.loads(record.body) for record in journal.read(0, 1000) if record.kind == RecordKind.GAP)
    assert gap["cause"] == "qos0_overflow"
    assert len(messages(journal)) + gap["count"] == 501
    assert gap["count"] > 0


async def test_t8_a_message_that_is_refused_does_not_hold_its_place_in_the_window(
    journal: GatedJournal, broker: Mosquitto
) -> None:
    too_large = [bytes(300)] * 30

    def naive() -> list[bytes]:
        settings = {"client_id": "t8", "manual_ack": True}
        with NaiveSubscriber(broker.port, [TOPIC], **settings) as subscriber:  # type: ignore[arg-type]
            publish(broker.port, [*too_large, b"good"])
            subscriber.wait_for(20)
            publish(broker.port, [b"and another"])
            return subscriber.bodies

    assert b"good" not in await asyncio.to_thread(naive)  # twenty that nobody acknowledges, and nothing comes
    async with collecting(journal, broker.port, client_id="ours-8", payload_max_bytes=200) as collector:
        await ready(collector)
        await published(broker.port, [*too_large, b"good"])
        await until(lambda: messages(journal) == [b"good"])
        await until(lambda: collector.status[-1]["refused"] == 30)


async def test_t9_what_comes_again_comes_in_its_order(tmp_path: Path, broker: Mosquitto) -> None:
    ten = [b"%d" % number for number in range(10)]

    def naive() -> list[bytes]:
        settings = {"client_id": "t9", "manual_ack": True}
        with NaiveSubscriber(broker.port, [TOPIC], **settings) as subscriber:  # type: ignore[arg-type]
            publish(broker.port, ten)
            subscriber.wait_for(10)
            for done_early in (3, 7):
                subscriber.client.ack(subscriber.messages[done_early].mid, 1)
            publish(broker.port, [b"flush"])
            subscriber.wait_for(11)
            subscriber.die()
        with NaiveSubscriber(broker.port, [TOPIC], **settings) as again:  # type: ignore[arg-type]
            return again.wait_for(9)

    assert (await asyncio.to_thread(naive))[:8] == [body for body in ten if body not in {b"3", b"7"}]
    journal = RefusingJournal(tmp_path)
    before, after = ten, [b"new %d" % number for number in range(10)]
    async with collecting(journal, broker.port, client_id="ours-9") as collector:
        await ready(collector)
        await published(broker.port, [*before, *after])
        with pytest.raises(OSError, match="the disk is gone"):
            await asyncio.wait_for(collector.task, 10)
    kept = messages(journal)
    assert kept == before[: len(kept)]  # whatever was acknowledged is the beginning, without a hole
    journal.broken = False
    async with collecting(journal, broker.port, client_id="ours-9"):
        await until(lambda: after[-1] in messages(journal))
    again = messages(journal)[len(kept) :]
    assert list(dict.fromkeys([*kept, *again])) == [*before, *after]
    assert again == [*before, *after][-len(again) :]
    journal.close()


async def test_t10_a_shared_subscription_is_had_only_by_who_asks_for_it(
    journal: GatedJournal, tmp_path: Path, broker: Mosquitto
) -> None:
    forty = [b"%d" % number for number in range(40)]

    def naive() -> int:
        topics = [f"$share/plain/{TOPIC}"]
        with (
            NaiveSubscriber(broker.port, topics, client_id="t10a") as here,
            NaiveSubscriber(broker.port, topics, client_id="t10b") as gone,
        ):
            gone.die()
            publish(broker.port, forty)
            publish(broker.port, [b"last", b"last"])
            while b"last" not in here.bodies:
                here.wait_for(len(here.bodies) + 1)
            return len(here.bodies)

    assert await asyncio.to_thread(naive) <= 21  # the other half waits for a member that is not there
    with pytest.raises(ConfigError, match="shared_group"):
        check(Parameters, {"host": "h", "client_id": "c", "topics": [f"$share/g/{TOPIC}"]}, "source floor")
    other = SqliteJournal(tmp_path / "other")
    group = {"shared_group": "ours", "topics": [TOPIC]}
    async with (
        collecting(journal, broker.port, client_id="ours-10a", **group) as one,
        collecting(other, broker.port, client_id="ours-10b", **group) as two,
    ):
        await ready(one)
        await ready(two)
        await published(broker.port, forty)
        await until(lambda: len(messages(journal)) + len(messages(other)) == 40)
        assert one.status[-1]["shared_group"] == "ours"
        await until(lambda: one.status[-1]["filters"][TOPIC]["messages"] == len(messages(journal)))
        assert 0 < len(messages(journal)) < 40
    other.close()


async def test_t11_qos_2_is_taken_as_qos_1(tmp_path: Path, broker: Mosquitto) -> None:
    def naive() -> list[bytes]:
        settings = {"client_id": "t11", "qos": 2, "manual_ack": True}
        with NaiveSubscriber(broker.port, [TOPIC], **settings) as subscriber:  # type: ignore[arg-type]
            publish(broker.port, [b"new"], qos=2)
            subscriber.wait_for(1)
            subscriber.die()  # before it is written, and before it is acknowledged
        with NaiveSubscriber(broker.port, [TOPIC], **settings) as again:  # type: ignore[arg-type]
            publish(broker.port, [b"last"], qos=2)
            while b"last" not in again.bodies:
                again.wait_for(len(again.bodies) + 1)
            return again.bodies

    assert await asyncio.to_thread(naive) == [b"last"]  # PUBREC had left before anybody saw the message
    journal = RefusingJournal(tmp_path)
    async with collecting(journal, broker.port, client_id="ours-11") as collector:
        await ready(collector)
        await published(broker.port, [b"new"], qos=2)
        with pytest.raises(OSError, match="the disk is gone"):
            await asyncio.wait_for(collector.task, 10)
    journal.broken = False
    async with collecting(journal, broker.port, client_id="ours-11"):
        await until(lambda: messages(journal) == [b"new"])
    (record,) = (record for record in journal.read(0, 10) if record.kind == RecordKind.MESSAGE)
    assert record.flags >> 2 == 1
    journal.close()


OLD, NEW = "andon/v1/old/#", "andon/v1/new/#"


async def told_apart(journal: SqliteJournal, port: int) -> list[bytes]:
    """What comes after the change, of one message under the old filter and one under the new."""
    await published(port, [b"old"], "andon/v1/old/x")
    await published(port, [b"new"], "andon/v1/new/x")
    await until(lambda: b"new" in messages(journal))
    return messages(journal)


async def test_t12_a_filter_that_is_gone_is_unsubscribed(
    journal: GatedJournal, tmp_path: Path, broker: Mosquitto
) -> None:
    def naive() -> list[bytes]:
        with NaiveSubscriber(broker.port, [OLD], client_id="t12"):
            pass
        with NaiveSubscriber(broker.port, [NEW], client_id="t12") as subscriber:
            publish(broker.port, [b"old"], "andon/v1/old/x")
            publish(broker.port, [b"new"], "andon/v1/new/x")
            return subscriber.wait_for(2)

    assert await asyncio.to_thread(naive) == [b"old", b"new"]
    settings = {"client_id": "ours-12", "folder": tmp_path / "kept"}
    async with collecting(journal, broker.port, topics=[OLD], **settings) as collector:  # type: ignore[arg-type]
        await ready(collector)
        await collector.stop()
    async with collecting(journal, broker.port, topics=[NEW], **settings) as collector:  # type: ignore[arg-type]
        await ready(collector)
        assert await told_apart(journal, broker.port) == [b"new"]


@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_t13_a_retained_message_is_known_as_such(
    journal: GatedJournal, tmp_path: Path, broker: Mosquitto, protocol: str
) -> None:
    topic = f"andon/v1/acme/sz/a1/l1/c1/m7/_event/stop-{protocol}"
    await published(broker.port, [b"stop"], topic, retain=True)

    def naive() -> list[bytes]:
        bodies = []
        for _ in range(2):
            with NaiveSubscriber(broker.port, [topic], client_id=f"t13-{protocol}") as subscriber:
                bodies += subscriber.wait_for(1)
        return bodies

    assert await asyncio.to_thread(naive) == [b"stop", b"stop"]  # one stop, two alarms
    settings = {"client_id": "ours-13", "topics": [topic], "protocol": protocol, "folder": tmp_path / "kept"}
    for body in (b"live 1", b"live 2"):
        async with collecting(journal, broker.port, **settings) as collector:  # type: ignore[arg-type]
            await ready(collector)
            await published(broker.port, [body], topic)
            await until(lambda body=body: messages(journal)[-1:] == [body])  # type: ignore[misc]
            await collector.stop()
    seen = [(record.body, record.flags >> 1 & 1) for record in journal.read(0, 10)]
    kept, one, two = (b"stop", 1), (b"live 1", 0), (b"live 2", 0)
    # MQTT 5 brings it with a new subscription only; with 3.1.1 it comes each time, and decoding knows it by its flag
    assert seen == ([kept, one, two] if protocol == "5" else [kept, one, kept, two])


def test_t14_what_it_costs_is_measured_by_a_bench(capsys: pytest.CaptureFixture[str]) -> None:
    from andon.__main__ import main  # noqa: PLC0415 -- the command loads much that the others do not need

    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    assert "ingest" in capsys.readouterr().out
