"""A collector whose parameters change while it runs, and brokers that do not tell what they dropped."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.events import Json
from andon.ports import RecordKind
from ingest.journal import SqliteJournal
from ingest.mqtt_packets import V3, Connect, Kind, Packet, Reason, connack, suback
from tests.collecting import Collecting, collecting, messages, ready
from tests.listening import until
from tests.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.publishing import published
from tests.scripted_broker import Visit, scripted_broker

OLD, NEW = "andon/v1/old/#", "andon/v1/new/#"


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal")
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path_factory.mktemp("broker")) as started:
        yield started


def tell(collector: Collecting, port: int, **parameters: object) -> None:
    """What the supervisor tells a source whose configuration has changed."""
    base = {"host": "127.0.0.1", "port": port, "retry_min_s": 0.02, "retry_max_s": 0.05, "drop_counters": []}
    collector.at.words.put_nowait({"word": "reload", "parameters": {**base, **parameters}})


def notices(journal: SqliteJournal) -> list[Json]:
    return [json.loads(record.body) for record in journal.read(0, 1000) if record.kind == RecordKind.NOTICE]


@needs_mosquitto
@pytest.mark.parametrize("protocol", ["3.1.1", "5"])
async def test_topics_change_on_the_connection_that_there_is(
    journal: SqliteJournal, broker: Mosquitto, protocol: str
) -> None:
    me = {"client_id": f"topics-{protocol}", "protocol": protocol}
    async with collecting(journal, broker.port, topics=[OLD], **me) as collector:
        await ready(collector)
        tell(collector, broker.port, topics=[NEW], **me)
        await until(lambda: list(collector.status[-1]["filters"]) == [NEW])
        await published(broker.port, [b"old"], "andon/v1/old/x")
        await published(broker.port, [b"new"], "andon/v1/new/x")
        await until(lambda: messages(journal) == [b"new"])
        await until(lambda: collector.status[-1]["filters"][NEW]["messages"] == 1)
        assert collector.status[-1]["connections"] == 1


@needs_mosquitto
async def test_other_parameters_take_a_new_connection_and_nothing_is_lost(
    journal: SqliteJournal, broker: Mosquitto
) -> None:
    sent = [b"%d" % number for number in range(300)]
    me = {"client_id": "anew", "topics": [NEW]}
    async with collecting(journal, broker.port, **me) as collector:
        await ready(collector)
        publishing = asyncio.create_task(published(broker.port, sent, "andon/v1/new/x"))
        for connections, queue in enumerate((1000, 2000, 3000), 2):
            tell(collector, broker.port, queue_max_records=queue, **me)
            await until(lambda n=connections: collector.status[-1]["connections"] == n)  # type: ignore[misc]
        await publishing
        await until(lambda: set(messages(journal)) == set(sent))
    assert list(dict.fromkeys(messages(journal))) == sent
    assert not [record for record in journal.read(0, 1000) if record.kind == RecordKind.GAP]


WRONG: list[tuple[dict[str, Json], str]] = [
    ({"topics": ["a/#/b"]}, "only allowed as the last level"),
    ({"topics": ["$share/g/a"]}, "give shared_group"),
    ({"qos": 2}, "qos"),
    ({"user": "u", "password_file": "/nowhere/at/all"}, "/nowhere/at/all"),
    ({"tls": {"ca": "/nowhere/ca.pem"}}, "No such file"),
    ({"hots": "x"}, "did you mean 'host'"),
]


@needs_mosquitto
async def test_a_bad_new_configuration_leaves_the_old_one_in_force_and_says_so(
    journal: SqliteJournal, broker: Mosquitto
) -> None:
    me = {"client_id": "bad", "topics": [OLD]}
    async with collecting(journal, broker.port, **me) as collector:
        await ready(collector)
        for count, (wrong, why) in enumerate(WRONG, 1):
            tell(collector, broker.port, **{**me, **wrong})
            await until(lambda n=count: len(notices(journal)) == n)  # type: ignore[misc]
            said = notices(journal)[-1]
            assert (said["code"], said["active"]) == ("configuration_refused", True)
            assert why in said["detail"]
        await published(broker.port, [b"old"], "andon/v1/old/x")
        await until(lambda: messages(journal) == [b"old"])
        await until(lambda: WRONG[-1][1] in str(collector.status[-1]["configuration_error"]))
        assert collector.status[-1]["connections"] == 1
        tell(collector, broker.port, **me)
        await until(lambda: collector.status[-1]["configuration_error"] is None)
        assert notices(journal)[-1]["active"] is False


async def test_a_refusal_that_was_mended_by_a_restart_is_taken_back(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    async with scripted_broker() as broker:
        async with collecting(journal, broker.port, folder=tmp_path / "kept") as collector:
            await (await broker.visit()).welcome()
            tell(collector, broker.port)  # without client_id
            await until(lambda: len(notices(journal)) == 1)
        async with collecting(journal, broker.port, folder=tmp_path / "kept"):
            await (await broker.visit()).welcome()
            await until(lambda: [notice["active"] for notice in notices(journal)] == [True, False])


async def test_a_word_that_is_none_of_ours_changes_nothing(journal: SqliteJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port) as collector:
        visit = await broker.visit()
        await visit.welcome()
        for word in (
            {},
            {"word": "rebirth", "edge": "g/e"},
            {"word": "reload"},
            {"word": "reload", "parameters": 7},
        ):
            collector.at.words.put_nowait(word)
        await until(lambda: bool(collector.status) and bool(collector.status[-1]["configuration_error"]))
        visit.publish("a", b"1", 1)
        assert await visit.acknowledged(1) == [1]


async def test_new_parameters_end_a_long_wait_for_a_broker_that_is_gone(journal: SqliteJournal) -> None:
    async with scripted_broker() as gone:
        port = gone.port
    async with (
        scripted_broker() as broker,
        collecting(journal, port, retry_min_s=60, retry_max_s=600) as collector,
    ):
        await until(lambda: bool(collector.status) and bool(collector.status[-1]["error"]))
        tell(collector, broker.port, client_id="andon-test")
        await (await broker.visit()).welcome()
        await ready(collector)


async def answered(visit: Visit, kind: Kind) -> int:
    heard = await visit.hear()
    assert isinstance(heard, Packet)
    assert heard.kind == kind
    return int.from_bytes(heard.body[:2], "big")


COUNTERS = ["$SYS/broker/publish/messages/dropped"]


async def test_a_broker_that_does_not_let_us_read_its_counters_is_collected_from(
    journal: SqliteJournal,
) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, drop_counters=COUNTERS) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome()
        visit.say(suback(await answered(visit, Kind.SUBSCRIBE), V3, [0x80]))
        visit.publish("a", b"1", 1)
        assert await visit.acknowledged(1) == [1]
        await until(lambda: collector.status[-1]["drop_counter"] == "refused")


async def test_a_broker_that_throws_out_who_asks_for_its_counters_is_not_asked_a_third_time(
    journal: SqliteJournal,
) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, drop_counters=COUNTERS) as collector,
    ):
        for _ in range(2):
            visit = await broker.visit()
            await visit.welcome(session_present=True)
            await answered(visit, Kind.SUBSCRIBE)
            visit.drop()
        visit = await broker.visit()
        await visit.welcome(session_present=True)
        visit.publish("a", b"1", 1)
        assert await visit.acknowledged(1) == [1]
        await until(lambda: collector.status[-1]["drop_counter"] == "refused")


async def test_a_counter_is_asked_for_apart_and_is_no_message(journal: SqliteJournal) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, drop_counters=COUNTERS) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome()
        visit.say(suback(await answered(visit, Kind.SUBSCRIBE), V3, [0]))
        visit.publish(COUNTERS[0], b"3", retain=True)
        visit.publish(COUNTERS[0], b"10")
        visit.publish("a", b"1", 1)
        assert await visit.acknowledged(1) == [1]
        await until(lambda: collector.status[-1]["broker_dropped"] == 7)
        assert collector.status[-1]["received"] == 1
    kinds = sorted(record.kind for record in journal.read(0, 10))
    assert kinds == [RecordKind.MESSAGE, RecordKind.GAP, RecordKind.NOTICE]


async def test_a_broker_that_answers_half_a_question_costs_the_connection(journal: SqliteJournal) -> None:
    async with scripted_broker() as broker, collecting(journal, broker.port, topics=["a", "b"]):
        visit = await broker.visit()
        assert isinstance(await visit.hear(), Connect)
        visit.say(connack(V3, Reason.SUCCESS))
        visit.say(suback(await answered(visit, Kind.SUBSCRIBE), V3, [1]))
        await (await broker.visit()).welcome(codes=(1, 1))


async def test_a_filter_that_brings_nothing_is_seen(journal: SqliteJournal) -> None:
    async with (
        scripted_broker() as broker,
        collecting(journal, broker.port, topics=["a/#", "b/#"]) as collector,
    ):
        visit = await broker.visit()
        await visit.welcome(codes=(1, 1))
        visit.publish("a/1", b"1", 1)
        visit.publish("a/2", b"2", 2)
        assert await visit.acknowledged(2) == [1, 2]
        await until(lambda: collector.status[-1]["received"] == 2)
        facts = collector.status[-1]
        last = journal.read(1, 1)[0].received_ns
        assert facts["filters"] == {
            "a/#": {"messages": 2, "last_received_ns": last},
            "b/#": {"messages": 0, "last_received_ns": None},
        }
        assert facts["last_received_ns"] == last
