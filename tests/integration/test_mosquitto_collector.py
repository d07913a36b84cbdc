"""The collector at a real Mosquitto: what it kept while we were away, a restart of it, passwords and certificates."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.ports import RecordKind
from ingest.journal import SqliteJournal
from tests.certificates import Authority
from tests.collecting import collecting, messages, ready
from tests.listening import until
from tests.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.publishing import published

pytestmark = needs_mosquitto
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


@PROTOCOLS
async def test_what_was_published_while_we_were_away_comes_first_and_once(
    journal: SqliteJournal, broker: Mosquitto, protocol: str
) -> None:
    async with collecting(journal, broker.port, protocol=protocol) as collector:
        await ready(collector)
        await published(broker.port, [b"here"])
        await until(lambda: messages(journal) == [b"here"])
        await collector.stop()
    away = [b"%d" % number for number in range(1500)]
    await published(broker.port, away)
    async with collecting(journal, broker.port, protocol=protocol) as collector:
        await until(lambda: len(messages(journal)) >= 1501)
        assert await collector.stop() < 5
    async with collecting(journal, broker.port, protocol=protocol) as collector:
        await ready(collector)
        await published(broker.port, [b"last"])
        await until(lambda: messages(journal)[-1] == b"last")
    assert messages(journal) == [b"here", *away, b"last"]
    assert journal.end() == 1502  # no gap was noted


async def test_a_restart_of_the_broker_is_survived(journal: SqliteJournal, broker: Mosquitto) -> None:
    async with collecting(journal, broker.port) as collector:
        await ready(collector)
        await published(broker.port, [b"before"])
        await until(lambda: messages(journal) == [b"before"])
        await asyncio.to_thread(broker.stop)
        await asyncio.to_thread(broker.start)
        await until(lambda: collector.status[-1]["connections"] == 2)
        await published(broker.port, [b"after"])
        await until(lambda: messages(journal) == [b"before", b"after"])


async def test_a_broker_that_forgot_us_leaves_a_gap_in_the_journal(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    for folder in ("one", "another"):
        with mosquitto(tmp_path / folder) as broker:
            async with collecting(journal, broker.port) as collector:
                await ready(collector)
                await published(broker.port, [folder.encode()])
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


@pytest.mark.parametrize("wrong", ["authority", "expired", "host"])
async def test_a_broker_with_a_wrong_certificate_is_refused(
    journal: SqliteJournal, tmp_path: Path, wrong: str
) -> None:
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "another")
    signed_by = stranger if wrong == "authority" else authority
    days = -1 if wrong == "expired" else 1
    certificate, key = signed_by.issue(
        "broker", days=days, host="elsewhere" if wrong == "host" else "127.0.0.1"
    )
    lines = (f"certfile {certificate}", f"keyfile {key}", "allow_anonymous true")
    why = {"authority": "certificate verify failed", "expired": "expired", "host": "IP address mismatch"}[
        wrong
    ]
    with mosquitto(tmp_path / "broker", *lines) as broker:
        tls = {"ca": authority.certificate}
        async with collecting(journal, broker.port, tls=tls) as collector:
            await until(lambda: why in str(collector.status[-1:]), why)
            assert not collector.ready.done()
    assert journal.end() == 0


async def test_a_broker_that_asks_for_a_certificate_does_not_take_another_authority_s(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    authority, stranger = Authority(tmp_path / "ours"), Authority(tmp_path / "another")
    certificate, key = authority.issue("broker")
    lines = (f"cafile {authority.certificate}", f"certfile {certificate}", f"keyfile {key}")
    with mosquitto(tmp_path / "b", *lines, "require_certificate true", "allow_anonymous true") as broker:
        shown, shown_key = stranger.issue("andon")
        tls = {"ca": authority.certificate, "certificate": shown, "key": shown_key}
        async with collecting(journal, broker.port, tls=tls) as collector:
            await until(lambda: any(facts["error"] for facts in collector.status))
            assert not collector.ready.done()
        shown, shown_key = authority.issue("andon")
        tls = {"ca": authority.certificate, "certificate": shown, "key": shown_key}
        async with collecting(journal, broker.port, tls=tls) as collector:
            await ready(collector)


async def test_nothing_is_ever_said_in_plain_text_where_tls_is_asked_for(
    journal: SqliteJournal, tmp_path: Path
) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard.append(await reader.read(65536))
        writer.close()

    secret = tmp_path / "password"
    secret.write_text("plain-secret")
    server = await asyncio.start_server(listen, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    settings = {
        "tls": {"ca": Authority(tmp_path / "ca").certificate},
        "user": "andon",
        "password_file": secret,
    }
    async with server, collecting(journal, port, **settings):
        await until(lambda: len(heard) > 3, "it tries again")
    assert all(said.startswith(b"\x16\x03") for said in heard)  # a TLS handshake
    assert not any(word in said for said in heard for word in (b"plain-secret", b"MQTT", b"andon"))
