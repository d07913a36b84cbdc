"""The listener against clients that say exactly what a test wants: what is promised to them, and what is refused."""

import asyncio
import base64
import hashlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from andon.ports import Record, RecordKind
from ingest.group_commit import GroupCommit
from ingest.journal import SqliteJournal
from ingest.mqtt_packets import V3, V5, Kind, Packet, Reason
from tests.listening import CHEAP_HASH, GatedJournal, listening, until
from tests.mqtt_client import DISCONNECT, PINGREQ, Client, connect, packet, publish, string, subscribe

TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"
VERSIONS = pytest.mark.parametrize("version", [V3, V5])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[GatedJournal]:
    opened = GatedJournal(tmp_path / "journal")
    yield opened
    opened.gate.set()
    opened.close()


def said(heard: object) -> tuple[Kind, bytes]:
    assert isinstance(heard, Packet), heard
    return heard.kind, heard.body


def bodies(journal: SqliteJournal) -> list[bytes]:
    return [record.body for record in journal.read(0, 100_000)]


# Durable before acknowledged


async def silent_until_durable(journal: GatedJournal) -> bool:
    """Whether a client hears nothing while the commit is held back, and its PUBACK once it is not."""
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        journal.gate.clear()
        client.publish(TOPIC, b"1", 7)
        await asyncio.to_thread(journal.asked.wait, 10)
        silent = await client.silent()
        journal.gate.set()
        return silent and await client.acknowledged(1) == [(7, 0)] and bodies(journal) == [b"1"]


async def test_a_message_is_acknowledged_only_when_it_is_durable(journal: GatedJournal) -> None:
    assert await silent_until_durable(journal)


async def test_acknowledging_before_the_commit_would_be_found(
    journal: GatedJournal, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = GroupCommit.add

    def hasty(self: GroupCommit, records: Any, durable: Any = None) -> None:
        honest(self, records)
        if durable is not None:
            durable()

    monkeypatch.setattr(GroupCommit, "add", hasty)
    assert not await silent_until_durable(journal)


@VERSIONS
async def test_acknowledgements_come_in_the_order_of_the_messages(
    journal: GatedJournal, version: int
) -> None:
    async with listening(journal) as listener, Client(listener.port, version=version) as client:
        await client.connected()
        ids = [*range(500, 0, -1), 65535, *range(501, 800)]
        for at in range(0, len(ids), 37):
            for packet_id in ids[at : at + 37]:
                client.publish(TOPIC, b"%d" % packet_id, packet_id)
            await asyncio.sleep(0)
        assert [found for found, _ in await client.acknowledged(len(ids))] == ids
    assert bodies(journal) == [b"%d" % packet_id for packet_id in ids]


async def test_a_failing_journal_ends_the_listener_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        journal.close()
        client.publish(TOPIC, b"1", 7)
        with pytest.raises(OSError, match="closed"):
            await asyncio.wait_for(listener.task, 10)
        assert await client.hear() is None


async def test_a_full_disk_stops_acknowledging_and_goes_on_without_a_restart(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    assert journal._writing is not None
    rows = journal._writing._rows
    rows.execute(f"PRAGMA max_page_count = {rows.execute('PRAGMA page_count').fetchone()[0]}")
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        client.publish(TOPIC, b"x" * 9000, 7)
        await until(lambda: any(facts["stalled"] for facts in listener.status), "the status says why")
        async with Client(listener.port, version=V5) as late:
            late.say(connect("late", version=V5))
            assert said(await late.hear()) == (Kind.CONNACK, bytes((0, Reason.SERVER_UNAVAILABLE, 0)))
        client.publish(TOPIC, b"y", 8)
        rows.execute("PRAGMA max_page_count = 100000")
        assert await client.acknowledged(2) == [(7, 0), (8, 0)]
        await until(lambda: listener.status[-1]["stalled"] is None)
    assert bodies(journal) == [b"x" * 9000, b"y"]
    journal.close()


# What is recorded


@VERSIONS
async def test_messages_are_journaled_as_they_came_and_none_of_them_as_retained(
    journal: GatedJournal, version: int
) -> None:
    topics: list[str | bytes] = [TOPIC, b"\xff\xfe/broken", "a/+/#", "\u4e2d\u6587/\0"]
    async with listening(journal) as listener:
        for run in range(2):
            async with Client(listener.port, version=version) as client:
                await client.connected()
                client.publish(topics[0], b"first", 1, dup=True)
                client.publish(topics[1], b"", 2, retain=True)
                client.publish(topics[2], b"zero", 0)
                client.publish(topics[3], b"last", 3, dup=True, retain=True)
                await client.acknowledged(3)
            await until(lambda run=run: journal.end() == 4 * (run + 1))
    records = journal.read(0, 100)
    seen = [(record.topic, record.body, record.packet, record.flags) for record in records[:4]]
    raw = [topic.encode() if isinstance(topic, str) else topic for topic in topics]
    expected = [
        (raw[0], b"first", 1, 0b101),
        (raw[1], b"", 2, 0b100),
        (raw[2], b"zero", 0, 0),
        (raw[3], b"last", 3, 0b101),
    ]
    assert seen == expected
    assert {record.kind for record in records} == {RecordKind.MESSAGE}
    assert len({record.connection for record in records[:4]}) == 1
    assert records[0].connection != records[4].connection


async def test_a_connection_number_is_not_given_again_after_a_restart(journal: GatedJournal) -> None:
    for _ in range(3):
        async with listening(journal) as listener, Client(listener.port) as client:
            await client.connected()
            client.publish(TOPIC, b"", 1)
            await client.acknowledged(1)
    assert len({record.connection for record in journal.read(0, 10)}) == 3


async def test_overflow_at_qos_0_is_counted_in_the_journal(journal: GatedJournal) -> None:
    async with listening(journal, queue_max_records=20) as listener, Client(listener.port) as client:
        await client.connected()
        journal.gate.clear()
        for count, at in (
            (1, 0),
            (12, 1),
            (87, 13),
        ):  # one is being written, twelve wait, the rest is too much
            client.say(*(publish(TOPIC, b"%d" % number) for number in range(at, at + count)), PINGREQ)
            assert said(await client.hear()) == (Kind.PINGRESP, b"")
        client.publish(TOPIC, b"kept", 9)
        assert await client.silent()
        journal.gate.set()
        assert await client.acknowledged(1) == [(9, 0)]
        await until(lambda: listener.status != [] and listener.status[-1]["received"] == 101)
    records = journal.read(0, 1000)
    assert bodies(journal)[:13] == [b"%d" % number for number in range(13)]
    assert [record.kind for record in records[13:]] == [RecordKind.MESSAGE, RecordKind.GAP]
    assert records[13].body == b"kept"
    gap = json.loads(records[14].body)
    assert (gap["count"], gap["cause"], gap["asset"], gap["point"]) == (87, "qos0_overflow", None, None)
    assert gap["from_ns"] <= gap["to_ns"]
    assert listener.status[-1]["overflow"] == 87


def refusal(record: Record) -> dict[str, object]:
    assert record.kind == RecordKind.REFUSED
    found: dict[str, object] = json.loads(record.body)
    return found


@VERSIONS
async def test_an_oversized_payload_is_read_past_recorded_and_acknowledged(
    journal: GatedJournal, version: int
) -> None:
    large = bytes(range(256)) * 4100  # over 1 MiB
    async with listening(journal) as listener, Client(listener.port, version=version) as client:
        await client.connected()
        client.publish(TOPIC, large, 1)
        client.publish("andon/v1/acme/sz/a1/l1/c1/m7/_wave/DE", large, 2)
        client.publish(TOPIC, b"after", 3)
        assert await client.acknowledged(3) == [(1, 0), (2, 0), (3, 0)]
    first, second, third = journal.read(0, 10)
    assert first.topic == TOPIC.encode()
    assert refusal(first) == {
        "reason": "too_large",
        "length": len(large),
        "sha256": hashlib.sha256(large).hexdigest(),
        "head": base64.b64encode(large[:4096]).decode(),
    }
    assert (second.kind, second.body, third.body) == (RecordKind.MESSAGE, large, b"after")


@pytest.mark.parametrize(("version", "reason"), [(V3, 0), (V5, Reason.NOT_AUTHORISED)])
async def test_a_topic_without_right_is_recorded_and_acknowledged_as_refused(
    journal: GatedJournal, version: int, reason: int
) -> None:
    users = {"press": {"password": CHEAP_HASH, "topics": ["andon/v1/acme/m7"]}}
    async with listening(journal, users=users) as listener, Client(listener.port, version=version) as client:
        await client.connected()
        client.publish("andon/v1/acme/m7/_event/stop", b"mine", 1)
        client.publish("andon/v1/acme/m70/_event/stop", b"not mine", 2)
        client.publish("andon/v1/acme/m7", b"mine too", 3)
        assert await client.acknowledged(3) == [(1, 0), (2, reason), (3, 0)]
        async with Client(listener.port) as other:
            other.say(connect("other", will=("andon/v1/acme/m8/_state/x", b"")))
            assert said(await other.hear()) == (Kind.CONNACK, b"\0\5")
    first, second, third = journal.read(0, 10)
    assert (first.body, third.body) == (b"mine", b"mine too")
    assert refusal(second) | {"head": ""} == {
        "reason": "not_authorised",
        "length": 8,
        "sha256": hashlib.sha256(b"not mine").hexdigest(),
        "head": "",
    }


WILL = ("andon/v1/acme/sz/a1/l1/c1/m7/_state/online", b"gone")


@VERSIONS
async def test_the_will_of_a_client_that_goes_without_a_word_is_journaled(
    journal: GatedJournal, version: int
) -> None:
    async with listening(journal) as listener:
        async with Client(listener.port, version=version) as client:
            await client.connected(will=WILL)
            client.publish(TOPIC, b"1", 1)
            await client.acknowledged(1)
        await until(lambda: journal.end() == 2)
        async with Client(listener.port, version=version) as client:
            await client.connected(will=WILL)
            client.say(DISCONNECT)
            assert await client.hear() is None
        async with Client(listener.port, version=version) as client:
            await client.connected(will=WILL)
            assert listener.task
            took_s = await listener.stop()
    assert took_s < 5
    last = journal.read(1, 100)
    assert [(record.topic, record.body, record.packet, record.flags) for record in last] == [
        (WILL[0].encode(), WILL[1], 0, 0b100)
    ]


async def test_a_client_of_mqtt_5_may_ask_for_its_will_when_it_leaves(journal: GatedJournal) -> None:
    async with listening(journal) as listener, Client(listener.port, version=V5) as client:
        await client.connected(will=WILL)
        client.say(packet(0xE0, bytes((Reason.DISCONNECT_WITH_WILL,))))
        assert await client.hear() is None
        await until(lambda: bodies(journal) == [b"gone"])


async def test_a_client_that_comes_again_takes_over_and_its_old_will_stands_before_its_new_messages(
    journal: GatedJournal,
) -> None:
    async with (
        listening(journal) as listener,
        Client(listener.port, version=V5) as old,
        Client(listener.port, version=V5) as new,
    ):
        await old.connected(will=WILL)
        new.say(connect(version=V5, properties=b""), publish(TOPIC, b"back", 1, version=V5))
        assert said(await new.hear())[0] == Kind.CONNACK
        await new.acknowledged(1)
        assert said(await old.hear()) == (Kind.DISCONNECT, bytes((Reason.TAKEN_OVER,)))
        assert await old.hear() is None
    assert bodies(journal) == [b"gone", b"back"]


# Who may come in


@pytest.mark.parametrize(
    ("user", "password"),
    [("press", b"wrong"), ("press", None), ("nobody", b"secret"), (None, None), (None, b"secret")],
)
async def test_a_wrong_name_or_password_is_refused(
    journal: GatedJournal, user: str | None, password: bytes | None
) -> None:
    async with listening(journal) as listener:
        for version, answer in ((V3, b"\0\4"), (V5, bytes((0, Reason.BAD_USER_OR_PASSWORD, 0)))):
            async with Client(listener.port, version=version) as client:
                client.say(
                    connect(version=version, user=user, password=password),
                    publish(TOPIC, b"1", 1, version=version),
                )
                assert said(await client.hear()) == (Kind.CONNACK, answer)
                assert await client.hear() is None
    assert journal.end() == 0


async def test_the_status_says_who_was_turned_away_last_and_why(journal: GatedJournal) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        client.say(connect(user="press", password=b"wrong"))
        await client.hear()
        await until(lambda: bool(listener.status) and listener.status[-1]["turned_away"] == 1)
    said = listener.status[-1]["turned_away_last"]
    assert said.startswith("127.0.0.1, user 'press', client ")
    assert said.endswith(": bad_user_or_password")
    assert "wrong" not in said


async def test_anonymous_clients_come_in_only_where_that_was_said(journal: GatedJournal) -> None:
    async with listening(journal, users={}, anonymous=True) as listener, Client(listener.port) as client:
        await client.connected(user=None, password=None)
        client.publish(TOPIC, b"1", 1)
        assert await client.acknowledged(1) == [(1, 0)]


async def test_what_comes_with_connect_waits_for_the_password(journal: GatedJournal) -> None:
    async with listening(journal) as listener, Client(listener.port, version=V5) as client:
        client.say(connect(version=V5), *(publish(TOPIC, b"", n, version=V5) for n in (1, 2, 3)), PINGREQ)
        assert said(await client.hear())[1][1] == 0
        assert {said(await client.hear())[0] for _ in range(4)} == {Kind.PUBACK, Kind.PINGRESP}


async def test_mqtt_5_is_told_the_limits(journal: GatedJournal) -> None:
    async with (
        listening(journal, receive_maximum=77) as listener,
        Client(listener.port, version=V5) as client,
    ):
        client.say(connect("", version=V5))
        kind, body = said(await client.hear())
        assert kind == Kind.CONNACK
        assert body[:2] == b"\0\0"
        assert b"\x21\0\x4d" in body  # receive maximum
        assert b"\x24\1" in body  # maximum QoS
        assert b"\x12\0\x16andon-" in body  # a client id was assigned


async def test_more_clients_than_agreed_are_refused(journal: GatedJournal) -> None:
    async with listening(journal, connections_max=1) as listener, Client(listener.port) as first:
        await first.connected("one")
        async with Client(listener.port, version=V5) as second:
            second.say(connect("two", version=V5))
            assert said(await second.hear())[1][1] == Reason.QUOTA_EXCEEDED


# What is not spoken here


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (publish(TOPIC, b"1", 1, version=V5, qos=2), bytes((Reason.QOS_NOT_SUPPORTED,))),
        (connect(version=V5), bytes((Reason.PROTOCOL_ERROR,))),
        (packet(0x40, b"\0\1"), bytes((Reason.PROTOCOL_ERROR,))),
        (packet(0x00, b""), bytes((Reason.MALFORMED,))),
    ],
    ids=["QoS 2", "a second CONNECT", "a PUBACK", "no packet"],
)
async def test_mqtt_5_is_told_what_was_wrong(journal: GatedJournal, data: bytes, answer: bytes) -> None:
    async with listening(journal) as listener, Client(listener.port, version=V5) as client:
        await client.connected()
        client.say(data)
        assert said(await client.hear()) == (Kind.DISCONNECT, answer)
        assert await client.hear() is None
    assert journal.end() == 0


async def test_qos_2_closes_the_connection_of_mqtt_3_and_what_came_before_is_kept(
    journal: GatedJournal,
) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        client.say(publish(TOPIC, b"one", 1), publish(TOPIC, b"two", 2, qos=2), publish(TOPIC, b"three", 3))
        assert await client.hear() is None
        await until(lambda: journal.end() > 0)
    assert bodies(journal) == [b"one"]


async def test_sparkplug_nodes_may_subscribe_to_their_commands_and_nothing_else_may(
    journal: GatedJournal,
) -> None:
    filters = [
        "spBv1.0/plant/NCMD/edge7/#",
        "spBv1.0/STATE/scada",
        "STATE/scada",
        "spBv1.0/#",
        "#",
        "andon/v1/+",
    ]
    async with listening(journal) as listener:
        for version, refused, front in ((V3, 0x80, b""), (V5, Reason.NOT_AUTHORISED, b"\0")):
            async with Client(listener.port, version=version) as client:
                await client.connected()
                client.say(subscribe(5, filters, version=version))
                codes = bytes([1, 1, 1, refused, refused, refused])
                assert said(await client.hear()) == (Kind.SUBACK, b"\0\5" + front + codes)
                client.say(packet(0xA2, b"\0\6" + front + string(filters[0])))
                assert said(await client.hear())[0] == Kind.UNSUBACK


async def test_more_in_flight_than_agreed_is_refused_in_mqtt_5_and_held_in_mqtt_3(
    journal: GatedJournal,
) -> None:
    async with listening(journal, receive_maximum=5) as listener:
        async with Client(listener.port, version=V5) as client:
            await client.connected()
            client.say(*(publish(TOPIC, b"", n, version=V5) for n in range(1, 7)))
            assert said(await client.hear()) == (Kind.DISCONNECT, bytes((Reason.RECEIVE_MAXIMUM_EXCEEDED,)))
        async with Client(listener.port) as client:
            await client.connected()
            client.say(*(publish(TOPIC, b"", n) for n in range(1, 1001)))
            assert [found for found, _ in await client.acknowledged(1000)] == list(range(1, 1001))


async def test_a_client_of_mqtt_3_is_not_read_while_it_has_too_much_in_flight(journal: GatedJournal) -> None:
    async with listening(journal, receive_maximum=5) as listener, Client(listener.port) as client:
        await client.connected()
        journal.gate.clear()
        client.say(*(publish(TOPIC, b"", n) for n in range(1, 21)))
        await asyncio.to_thread(journal.asked.wait, 10)
        client.say(PINGREQ)
        assert await client.silent()
        journal.gate.set()
        assert len(await client.acknowledged(20)) == 20
        assert said(await client.hear()) == (Kind.PINGRESP, b"")


async def test_nobody_is_read_while_the_queue_is_full_and_everybody_after(journal: GatedJournal) -> None:
    async with listening(journal, queue_max_records=10) as listener, Client(listener.port) as client:
        await client.connected("one")
        async with Client(listener.port) as idle:
            await idle.connected("idle")
            journal.gate.clear()
            client.say(*(publish(TOPIC, b"", n) for n in range(1, 21)))
            await asyncio.to_thread(journal.asked.wait, 10)
            async with Client(listener.port) as late:
                await late.connected("late")
                everybody = (client, idle, late)
                for each in everybody:
                    each.say(PINGREQ)
                assert [await each.silent(0.1) for each in everybody] == [True, True, True]
                journal.gate.set()
                assert len(await client.acknowledged(20)) == 20
                for each in everybody:
                    assert said(await each.hear()) == (Kind.PINGRESP, b"")


# Clients that hurt


async def test_whoever_waits_longest_without_a_name_makes_room(journal: GatedJournal) -> None:
    async with listening(journal, connecting_max=3, connect_timeout_s=60) as listener:
        waiting = [Client(listener.port) for _ in range(5)]
        for client in waiting:
            await client.__aenter__()
        assert [await client.hear() for client in waiting[:2]] == [None, None]
        async with Client(listener.port) as late:
            await late.connected("late")
        await waiting[-1].connected("patient")
        for client in waiting:
            client.drop()


async def test_a_silent_client_is_closed_after_one_and_a_half_keep_alives_and_a_pinging_one_is_not(
    journal: GatedJournal,
) -> None:
    async with (
        listening(journal) as listener,
        Client(listener.port, version=V5) as silent,
        Client(listener.port) as pinging,
    ):
        await silent.connected("silent", keep_alive_s=1, will=WILL)
        await pinging.connected("pinging", keep_alive_s=1)
        began = asyncio.get_running_loop().time()
        hearing = asyncio.create_task(silent.hear())
        while not hearing.done():
            pinging.say(PINGREQ)
            assert said(await pinging.hear()) == (Kind.PINGRESP, b"")
            await asyncio.wait({hearing}, timeout=0.2)
        assert said(hearing.result()) == (Kind.DISCONNECT, bytes((Reason.KEEP_ALIVE_TIMEOUT,)))
        assert 1.5 <= asyncio.get_running_loop().time() - began < 3.5
        await until(lambda: bodies(journal) == [b"gone"])


async def test_clients_that_never_say_who_they_are_are_closed(journal: GatedJournal) -> None:
    async with listening(journal, connect_timeout_s=0.2) as listener:
        for data in (b"", b"\x10", connect()[:-3], b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x02\0\x01\0"):
            async with Client(listener.port) as client:
                client.say(data)
                assert await client.hear() is None
    assert journal.end() == 0


async def trickle(client: Client, data: bytes) -> None:
    for byte in data:
        client.say(bytes((byte,)))
        await asyncio.sleep(0.002)


async def test_slow_and_hostile_clients_do_not_disturb_the_others(journal: GatedJournal) -> None:
    async with listening(journal, connecting_max=20) as listener, Client(listener.port) as good:
        await good.connected("good")
        bad = [Client(listener.port) for _ in range(60)]
        for number, client in enumerate(bad):
            await client.__aenter__()
            if number % 3 == 0:
                client.say(b"\xff" * 100)
            elif number % 3 == 1:
                client.say(connect(f"half {number}", password=b"wrong")[:10])
        slow = asyncio.gather(*(trickle(client, connect(f"slow {n}")) for n, client in enumerate(bad[-10:])))
        for packet_id in range(1, 101):
            good.publish(TOPIC, b"fine", packet_id)
            assert await good.acknowledged(1) == [(packet_id, 0)]
        async with Client(listener.port) as late:
            await late.connected("late")
        await slow
        for client in bad:
            client.drop()
        assert len(bodies(journal)) == 100


async def test_unfinished_packets_take_only_so_much_memory(journal: GatedJournal) -> None:
    wave = publish("a/_wave/b", bytes(7 * 1024 * 1024), 1, version=V5)
    async with (
        listening(journal, unfinished_max_bytes=4 * 1024 * 1024) as listener,
        Client(listener.port, version=V5) as greedy,
        Client(listener.port, version=V5) as good,
    ):
        await greedy.connected("greedy")
        await good.connected("good")
        greedy.say(wave[: 6 * 1024 * 1024])
        assert said(await greedy.hear()) == (Kind.DISCONNECT, bytes((Reason.QUOTA_EXCEEDED,)))
        good.publish(TOPIC, bytes(500_000), 1)
        assert await good.acknowledged(1) == [(1, 0)]


# The end


@VERSIONS
async def test_a_clean_stop_commits_and_acknowledges_what_was_read(
    journal: GatedJournal, version: int
) -> None:
    async with listening(journal) as listener, Client(listener.port, version=version) as client:
        await client.connected()
        journal.gate.clear()
        client.say(*(publish(TOPIC, b"%d" % n, n, version=version) for n in range(1, 51)))
        await asyncio.to_thread(journal.asked.wait, 10)
        stopped = asyncio.create_task(listener.stop())
        assert await client.silent(0.05)
        journal.gate.set()
        acknowledged = await client.acknowledged(journal_end := 50)
        assert len(acknowledged) == journal_end
        if version == V5:
            assert said(await client.hear()) == (Kind.DISCONNECT, bytes((Reason.SERVER_SHUTTING_DOWN,)))
        assert await client.hear() is None
        assert await stopped < 5
        with pytest.raises(OSError, match="Connect call failed"):
            await asyncio.open_connection("127.0.0.1", listener.port)
    assert journal.end() == 50


async def test_a_stop_with_a_full_disk_ends_in_time_and_acknowledges_nothing(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    assert journal._writing is not None
    rows = journal._writing._rows
    rows.execute(f"PRAGMA max_page_count = {rows.execute('PRAGMA page_count').fetchone()[0]}")
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        client.publish(TOPIC, b"x" * 9000, 7)
        await until(lambda: any(facts["stalled"] for facts in listener.status))
        assert await listener.stop() < 5
        assert await client.hear() is None
    assert journal.end() == 0
    journal.close()


async def test_a_port_in_use_is_an_error(journal: GatedJournal) -> None:
    async with listening(journal) as listener:
        with pytest.raises(OSError, match=r"(?i)address already in use"):
            async with listening(journal, port=listener.port):
                pass


# New parameters while it listens


def changed(**settings: object) -> dict[str, object]:
    document = {"port": 0, "users": {"press": {"password": CHEAP_HASH}}, **settings}
    return {"word": "reload", "parameters": document}


async def may_come_in(port: int, user: str) -> bool:
    client = Client(port)
    async with client:
        client.say(connect(f"{user}-2", user=user, password=b"secret"))
        answer = said(await client.hear())
    return answer == (Kind.CONNACK, b"\x00\x00")


async def test_a_new_user_comes_in_while_the_others_stay(journal: GatedJournal) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        assert not await may_come_in(listener.port, "lathe")
        users = {"press": {"password": CHEAP_HASH}, "lathe": {"password": CHEAP_HASH}}
        listener.at.words.put_nowait(changed(users=users))
        deadline = asyncio.get_running_loop().time() + 10
        while not await may_come_in(listener.port, "lathe"):
            assert asyncio.get_running_loop().time() < deadline
        client.publish(TOPIC, b"1", 7)
        assert await client.acknowledged(1) == [(7, 0)]


async def test_a_user_who_is_gone_is_sent_away(journal: GatedJournal) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        listener.at.words.put_nowait(changed(users={"lathe": {"password": CHEAP_HASH}}))
        assert await client.hear() is None
        assert not await may_come_in(listener.port, "press")


async def test_what_the_clients_cannot_stay_for_sends_them_away_and_the_door_stays_open(
    journal: GatedJournal,
) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        client.publish(TOPIC, b"1", 7)
        assert await client.acknowledged(1) == [(7, 0)]
        listener.at.words.put_nowait(changed(queue_max_records=100))
        assert await client.hear() is None
        assert await may_come_in(listener.port, "press")


async def test_new_parameters_that_cannot_be_used_change_nothing_and_are_said(journal: GatedJournal) -> None:
    async with listening(journal) as listener, Client(listener.port) as client:
        await client.connected()
        listener.at.words.put_nowait(changed(host="0.0.0.0"))  # noqa: S104 -- refused, which is the point
        await until(lambda: any(RecordKind.NOTICE is record.kind for record in journal.read(0, 100)))
        client.publish(TOPIC, b"1", 7)
        assert await client.acknowledged(1) == [(7, 0)]
        (notice,) = [record for record in journal.read(0, 100) if record.kind is RecordKind.NOTICE]
        assert json.loads(notice.body)["code"] == "configuration_refused"
        listener.at.words.put_nowait(changed())
        await until(lambda: journal.end() == 3)
        assert not json.loads(journal.read(2, 1)[0].body)["active"]
