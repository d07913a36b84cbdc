"""A device at a real listener: kept in a file, let in and sent away while others stay, and held to its own place."""

import asyncio
import json
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from ingest.devices import Device, save
from ingest.journal import SqliteJournal
from ingest.mqtt_packets import V5, Kind, Packet, Reason
from tests.listening import CHEAP_HASH, listening, until
from tests.mqtt_client import Client, connect, subscribe

PLACE = "andon/v1/acme/east/press/L1/c1/press7"
DEVICE = Device(password=CHEAP_HASH, topics=(PLACE,))
NOT_AUTHORISED = int(Reason.NOT_AUTHORISED)


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal")
    yield opened
    opened.close()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "devices" / "floor.json"


def hostile_topics(count: int) -> list[str]:
    """Places of others that look like the device's own."""
    rng = random.Random(7)  # noqa: S311 - chosen, not secret
    above = PLACE.split("/")
    made = []
    while len(made) < count:
        levels = list(above)
        at = rng.randrange(len(levels))
        match len(made) % 8:
            case 0:
                levels = levels[:at]
            case 1:
                levels[at] += rng.choice("0x-.:")
            case 2:
                levels[at] = levels[at].upper() + " "
            case 3:
                levels += ["..", f"press{rng.randrange(8, 99)}"]
            case 4:
                levels.insert(at, rng.choice(["", ".", "..", "x"]))
            case 5:
                levels = [f"$SYS{rng.randrange(99)}", *levels]
            case 6:
                levels[at] = rng.choice(["%2e%2e", "..\\", "\u202e", "＋", "*"])
            case _:
                levels = ["spBv1.0", "g", "NDATA", rng.choice(["press7", PLACE.replace("/", "."), "x"])]
        made.append("/".join((*levels, "_event", "stop")))
    return made


async def test_100_hostile_topics_of_a_device_are_refused_and_its_own_is_taken(
    journal: SqliteJournal, path: Path
) -> None:
    save(path, {"press7": DEVICE})
    topics = hostile_topics(100)
    async with (
        listening(journal, devices=path) as listener,
        Client(listener.port, version=V5) as client,
    ):
        await client.connected("c", user="press7")
        for number, topic in enumerate(topics, 1):
            client.publish(topic, b"1", number)
        assert await client.acknowledged(100) == [(number, NOT_AUTHORISED) for number in range(1, 101)]
        client.publish(f"{PLACE}/_event/stop", b"1", 101)
        assert await client.acknowledged(1) == [(101, 0)]
    kept = [record.topic.decode() for record in journal.read(0, 1000) if record.body == b"1"]
    assert kept[-1] == f"{PLACE}/_event/stop"


async def test_hostile_names_do_not_come_in(journal: SqliteJournal, path: Path) -> None:
    save(path, {"press7": DEVICE})
    rng = random.Random(9)  # noqa: S311 - chosen, not secret
    names = [
        "press7"[:at] + rng.choice(["+", "#", "/", "..", "$", "\u202e", " ", "*", "press"]) + "press7"[at:]
        for at in (rng.randrange(7) for _ in range(20))
    ]
    async with listening(journal, devices=path) as listener:
        for name in names:
            async with Client(listener.port, version=V5) as client:
                client.say(connect("c", version=V5, user=name))
                answer = await client.hear()
                assert isinstance(answer, Packet)
                assert (answer.kind, answer.body[1]) == (Kind.CONNACK, Reason.BAD_USER_OR_PASSWORD), name
    assert journal.end() == 0


async def test_a_device_reads_nothing_but_a_sparkplug_nodes_commands(
    journal: SqliteJournal, path: Path
) -> None:
    save(path, {"press7": DEVICE})
    filters = ["#", f"{PLACE}/#", "$SYS/#", "+/+", "spBv1.0/#", "spBv1.0/g/NCMD/node"]
    async with listening(journal, devices=path) as listener, Client(listener.port) as client:
        await client.connected("c", user="press7")
        client.say(subscribe(1, filters))
        answer = await client.hear()
    assert isinstance(answer, Packet)
    assert list(answer.body[2:]) == [0x80] * 5 + [1]


async def test_devices_come_and_go_while_the_others_stay(journal: SqliteJournal, path: Path) -> None:
    async with (
        listening(journal, devices=path) as listener,
        Client(listener.port) as stays,
        Client(listener.port, version=V5) as client,
    ):
        await stays.connected("stays")
        save(path, {"press7": DEVICE})
        await until_welcome(listener.port, welcome=True)
        await client.connected("c", user="press7")
        save(path, {})
        answer = await client.hear()
        assert isinstance(answer, Packet)
        assert (answer.kind, answer.body[0]) == (Kind.DISCONNECT, NOT_AUTHORISED)
        await until_welcome(listener.port, welcome=False)
        await asyncio.to_thread(path.write_text, "{", "utf-8")
        await until(
            lambda: bool(listener.status) and "floor.json" in str(listener.status[-1]["configuration_error"])
        )
        stays.publish(f"{PLACE}/_event/stop", json.dumps({}).encode(), 1)
        assert await stays.acknowledged(1) == [(1, 0)]


async def until_welcome(port: int, *, welcome: bool) -> None:
    """Knock as press7 until it is let in, or is not any more."""
    give_up_s = time.monotonic() + 30
    while time.monotonic() < give_up_s:
        async with Client(port) as client:
            client.say(connect("knocking", user="press7"))
            answer = await client.hear()
        assert isinstance(answer, Packet)
        if (answer.body[1] == 0) == welcome:
            return
    raise AssertionError(f"press7 is {'not ' * welcome}let in")
