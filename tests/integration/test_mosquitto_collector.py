"""The collector at a real Mosquitto: what it kept while we were away, a restart of it, passwords and certificates."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.ports import RecordKind
from ingest.journal import SqliteJournal
from tests.certificates import Authority
from tests.collecting import Collecting, collecting
from tests.listening import until
from tests.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.publishing import Publisher

pytestmark = needs_mosquitto
TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"
PROTOCOLS = pytest.mark.parametrize("protocol", ["3.1.1", "5"])


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[SqliteJournal]:
    opened = SqliteJournal(tmp_path / "journal")
    yield opened
    opened.close()


@pytest.fixture
def broker(tmp_path: Path) -> Iterator[Mosquitto]:
    with mosquitto(tmp_path / "broker") as started:
        yield started


def messages(journal: SqliteJournal) -> list[bytes]:
    return [record.body for record in journal.read(0, 100_000) if record.kind == RecordKind.MESSAGE]


async def publish(broker: Mosquitto, bodies: list[bytes]) -> None:
    def all_of_them() -> None:
        with Publisher(broker.port, login=False) as publisher:
            assert publisher.connected.wait(10)  # before that paho sends out of order, and twice
            for body in bodies:
                publisher.publish(TOPIC, body)
            publisher.wait_for(len(bodies))

    await asyncio.to_thread(all_of_them)


async def ready(collector: Collecting) -> None:
    await asyncio.wait_for(asyncio.shield(collector.ready), 10)


@PROTOCOLS
async def test_what_was_published_while_we_were_away_comes_first_and_once(
    journal: SqliteJournal, broker: Mosquitto, protocol: str
) -> None:
    async with collecting(journal, broker.port, protocol=protocol) as collector:
        await ready(collector)
        await publish(broker, [b"here"])
        await until(lambda: messages(journal) == [b"here"])
        await collector.stop()
    away = [b"%d" % number for number in range(1500)]
    await publish(broker, away)
    async with collecting(journal, broker.port, protocol=protocol) as collector:
        await until(lambda: len(messages(journal)) >= 1501)
        assert await collector.stop() < 5
    async with collecting(journal, broker.port, protocol=protocol) as collector:
        await ready(collector)
        await publish(broker, [b"last"])
        await until(lambda: messages(journal)[-1] == b"last")
    assert messages(journal) == [b"here", *away, b"last"]
    assert journal.end() == 1502  # no gap was noted


async def test_a_restart_of_the_broker_is_survived(journal: SqliteJournal, broker: Mosquitto) -> None:
    async with collecting(journal, broker.port) as collector:
        await ready(collector)
        await publish(broker, [b"before"])
        await until(lambda: messages(journal) == [b"before"])
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        await until(lambda: collector.status[-1]["connections"] == 2)
        await publish(broker, [b"after"])
        await until(lambda: messages(journal) == [b"before", b"after"])


async def test_a_broker_that_forgot_us_leaves_a_gap_in_the_journal(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    for folder in ("one", "another"):
        with mosquitto(tmp_path / folder) as broker:
            async with collecting(journal, broker.port) as collector:
                await ready(collector)
                await publish(broker, [folder.encode()])
                await until(lambda folder=folder: folder.encode() in messages(journal))
    kinds = [record.kind for record in journal.read(0, 10)]
    assert kinds == [RecordKind.MESSAGE, RecordKind.GAP, RecordKind.MESSAGE]


async def test_passwords_and_certificates(
    journal: SqliteJournal, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority = Authority(tmp_path / "certificates")
    certificate, key = authority.issue("broker")
    secret = tmp_path / "password"
    secret.write_text("wrong\n")
    users = tmp_path / "users"
    made = await asyncio.create_subprocess_exec("mosquitto_passwd", "-b", "-c", str(users), "andon", "secret")
    assert await made.wait() == 0
    lines = (
        f"cafile {authority.certificate}",
        f"certfile {certificate}",
        f"keyfile {key}",
        "require_certificate true",
        "allow_anonymous false",
        f"password_file {users}",
    )
    shown, shown_key = authority.issue("andon")
    tls = {"ca": authority.certificate, "certificate": shown, "key": shown_key}
    login = {"user": "andon", "password_file": secret}
    with mosquitto(tmp_path / "broker", *lines) as broker:
        async with collecting(journal, broker.port, tls=tls, **login) as collector:
            await until(lambda: "uthori" in str(collector.status[-1:]), "the reason is told")
            secret.write_text("secret\n")  # it is read anew at each try
            assert (await asyncio.wait_for(asyncio.shield(collector.ready), 10)).startswith("mqtts://")
        monkeypatch.setenv("BROKER_PASSWORD", "secret")
        login = {"user": "andon", "password_env": "BROKER_PASSWORD"}
        async with collecting(journal, broker.port, tls=tls, **login) as collector:
            await ready(collector)
        stranger = {
            "ca": Authority(tmp_path / "stranger").certificate,
            "certificate": shown,
            "key": shown_key,
        }
        async with collecting(journal, broker.port, tls=stranger, **login) as collector:
            await until(lambda: "certificate verify failed" in str(collector.status[-1:]))
            assert not collector.ready.done()
        monkeypatch.delenv("BROKER_PASSWORD")
        async with collecting(journal, broker.port, tls=tls, **login) as collector:
            with pytest.raises(OSError, match="BROKER_PASSWORD"):
                await asyncio.wait_for(collector.task, 10)
