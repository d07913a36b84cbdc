"""A backup of a real installation under load, put back elsewhere and started; of a PostgreSQL store; before an upgrade and back."""

import contextlib
import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from paho.mqtt.enums import CallbackAPIVersion
from sqlalchemy import inspect, text
from sqlalchemy.exc import IntegrityError
from test_run import ANDON, PLANT, STOP, until
from test_store_schema import age

from andon.backups import NotDone
from andon.backups.archive import Pace, read
from andon.backups.put_back import put_back
from andon.backups.stores import program
from andon.backups.take import back_up
from andon.benches.postgres import programs
from andon.commands.finished import all_tickets
from andon.database import open_database, reading, writing
from andon.datadir import open_store, place_store
from andon.installation import free_port
from andon.ports import RecordKind
from andon.schema import HEAD, bring_up, revision_of
from andon.taking import walk
from andon.wholeness import CHECKS
from ingest.journal import SqliteJournal
from tests.scenario.story import Story
from tests.stores import Stores
from ticketing import audit

STOPS_EVERY = 50
CONFIG = 'data = "{data}"\n[web]\nport = 0\n[sources.floor]\nkind = "listener"\nport = {port}\n'


def body(number: int) -> tuple[str, bytes]:
    """Numbered messages: telemetry, and now and then a stop of its own."""
    envelope = {"id": f"m-{number}", "source": "mes", "specversion": "1.0"}
    if number % STOPS_EVERY == 0:
        data = {**STOP["data"], "reason": {"id": f"E{number}", "message": "door", "trigger": True}}
        return "_event/stop", json.dumps({**STOP, **envelope, "data": data}).encode()
    metric = {"name": "temperature", "value": number / 10, "unit": "Cel"}
    message = {**envelope, "type": "andon.telemetry.v1", "data": {"metrics": [metric]}}
    return "_telemetry/values", json.dumps(message).encode()


class Device:
    """Publishes numbered messages with QoS 1 and knows which were acknowledged; a `with`."""

    def __init__(self, port: int, password: str) -> None:
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id="mes")
        self.client.username_pw_set("mes", password)
        self.client.max_inflight_messages_set(50)
        self.client.max_queued_messages_set(0)
        self.acknowledged = 0
        self.client.on_publish = self._count
        self.client.connect("127.0.0.1", port)
        self.client.loop_start()

    def _count(self, *_: object) -> None:
        self.acknowledged += 1  # in the order in which they were sent: one connection, one journal

    def says(self, numbers: range) -> None:
        for number in numbers:
            kind, message = body(number)
            self.client.publish(f"andon/v1/e/s/a/L1/c/M7/{kind}", message, qos=1)

    def close(self) -> None:
        self.client.disconnect()
        self.client.loop_stop()


@contextlib.contextmanager
def running(config: Path, *more: str) -> Iterator[None]:
    with subprocess.Popen(
        [*ANDON, "run", "--config", str(config), *more], stdout=subprocess.PIPE, text=True
    ) as it:
        try:
            assert it.stdout is not None
            until(lambda: "console" in it.stdout.readline(), 60, "the console was ready")
            yield
        finally:
            it.send_signal(signal.SIGINT)
            assert it.wait(60) == 0


def andon(*words: str) -> str:
    done = subprocess.run([*ANDON, *words], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def received(data: Path) -> list[str]:
    """The ids of the messages in the journal, in order."""
    with contextlib.closing(SqliteJournal(data / "journal" / "floor", read_only=True)) as journal:
        return [
            json.loads(one.body)["id"]
            for _, found, _ in walk(journal, journal.start(), journal.end())
            for one in found
            if one.kind is RecordKind.MESSAGE
        ]


def problems(data: Path) -> dict[str, list[str]]:
    """What `andon verify` finds."""
    database = open_store(data)
    try:
        return {name: found for name, check in CHECKS.items() if (found := list(check(data, database)))}
    finally:
        database.dispose()


def stops(data: Path) -> dict[str, tuple[int, int]]:
    """The tickets of stops: (id, number of occurrences) by reason."""
    database = open_store(data)
    try:
        with reading(database) as conn:
            return {
                one.headline.component: (one.id, one.occurrence_count)
                for one in all_tickets(conn)
                if one.headline.component.startswith("E")
            }
    finally:
        database.dispose()


@pytest.mark.timeout(300)
def test_a_backup_under_load_put_back_elsewhere_has_all_that_was_acknowledged_and_doubles_nothing(
    tmp_path: Path,
) -> None:
    made = andon("device", "mes", "--topic", "andon/v1/e/s/a/L1/c/M7")
    password = re.search(r"shown once: (\S+)", made)
    assert password is not None
    port, first, second = free_port(), tmp_path / "first", tmp_path / "second"
    config = tmp_path / "andon.toml"
    config.write_text(CONFIG.format(data=first, port=port) + made[made.index("[sources") :])
    (tmp_path / "plant.json").write_text(json.dumps(PLANT))
    with running(config, "--plant", str(tmp_path / "plant.json")):
        device = Device(port, password[1])
        sent, ending = [0], threading.Event()

        def goes_on() -> None:
            while not ending.wait(0.05):  # some 200 a second, and never far ahead of the acknowledgements
                if device.acknowledged > sent[0] - 100:
                    device.says(range(sent[0], sent[0] + 10))
                    sent[0] += 10

        load = threading.Thread(target=goes_on)
        load.start()
        try:
            until(lambda: device.acknowledged > 300, 60, "messages were acknowledged")
            acknowledged = device.acknowledged
            andon("backup", str(tmp_path / "b.tar"), "--config", str(config))
            during = device.acknowledged - acknowledged
        finally:
            ending.set()
            load.join()
        until(lambda: device.acknowledged == sent[0], 60, "all was acknowledged")
        device.close()
    assert during > 0, "it worked meanwhile"
    manifest = put_back(tmp_path / "b.tar", second, passphrase=None, store_url=None, advance=lambda _: None)
    assert problems(second) == {}
    there = received(second)
    assert there == received(first)[: len(there)]
    assert {f"m-{number}" for number in range(acknowledged)} <= set(there)
    at_that_point, in_the_end = stops(second), stops(first)
    assert at_that_point.items() <= in_the_end.items()
    assert len(at_that_point) == len(
        [n for n in there[: manifest["sources"]["floor"]["taken"]] if int(n[2:]) % STOPS_EVERY == 0]
    )
    config.write_text((second / "andon.toml").read_text().replace(str(first), str(second)))
    with running(config):
        device = Device(port, password[1])
        device.says(range(sent[0]))
        until(lambda: device.acknowledged == sent[0], 60, "all that was sent again was acknowledged")
        device.close()
    assert stops(second) == in_the_end
    assert len(in_the_end) == len(range(0, sent[0], STOPS_EVERY))
    assert problems(second) == {}


def with_a_store(stores: Stores) -> tuple[Path, Path | str, Story]:
    """A data directory whose store is on that database, with tickets in it."""
    data = stores.folder / "data"
    data.mkdir()
    where = stores.new() if stores.shelf is not None else data / "andon.sqlite"
    place_store(data, where if isinstance(where, str) else None)
    open_store(data).dispose()
    story = Story.begins(data, stores.at(where))
    story.at("10:00").stops("M7", "E1").stops("M8", "E2")
    story.at("11:00").repairs(1).signs(1)
    return data, where, story


def backed_up(data: Path, target: Path) -> Path:
    back_up(data, target, config=None, passphrase=None, pace=Pace(1e12), now=lambda: 0, version="1")
    return target


@pytest.fixture
def pg_programs(stores: Stores, monkeypatch: pytest.MonkeyPatch) -> None:
    """`pg_dump` and `pg_restore` of the server that is tested with."""
    if stores.shelf is not None:
        monkeypatch.setenv("PATH", f"{programs()}{os.pathsep}{os.environ['PATH']}")


@pytest.mark.usefixtures("pg_programs")
def test_a_store_is_put_back_with_its_tickets_its_audit_and_its_triggers(stores: Stores) -> None:
    data, where, story = with_a_store(stores)
    before = [(one.number, one.state, one.audit_hash) for one in story.page().tickets]
    backup = backed_up(data, stores.folder / "b.tar")
    story.at("12:00").stops("M9", "E3")  # after the backup: not in it
    target = None if stores.shelf is None else str(stores.bare())
    if target is not None:
        with pytest.raises(NotDone, match="give --store-url"):
            put_back(backup, stores.folder / "back", passphrase=None, store_url=None, advance=lambda _: None)
        with pytest.raises(NotDone, match="give the URL of an empty one"):
            put_back(
                backup, stores.folder / "back", passphrase=None, store_url=str(where), advance=lambda _: None
            )
        assert not (stores.folder / "back").exists()
    put_back(backup, stores.folder / "back", passphrase=None, store_url=target, advance=lambda _: None)
    database = open_store(stores.folder / "back")
    try:
        with reading(database) as conn:
            assert sorted((one.number, one.state, one.audit_hash) for one in all_tickets(conn)) == sorted(
                before
            )
            assert audit.verify(conn) == []
            assert revision_of(conn) == HEAD
        with pytest.raises(IntegrityError, match="append-only"), writing(database) as conn:
            conn.execute(text("DELETE FROM ticket_event"))
    finally:
        database.dispose()


def test_without_pg_dump_it_is_said_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(NotDone, match="install PostgreSQL's client programs"):
        program("pg_dump")


@pytest.mark.usefixtures("pg_programs")
def test_an_upgrade_and_the_way_back(stores: Stores) -> None:
    data, where, story = with_a_store(stores)
    before = [(one.number, one.state, one.audit_hash) for one in story.page().tickets]
    age(stores.at(where))
    backup = backed_up(data, stores.folder / "before.tar")
    assert read(backup, None, None)["schema"] == ""
    assert bring_up(stores.at(where)) == ""  # what `andon run` of the new version does first
    assert read(backed_up(data, stores.folder / "after.tar"), None, None)["schema"] == HEAD
    target = None if stores.shelf is None else str(stores.bare())
    put_back(backup, stores.folder / "back", passphrase=None, store_url=target, advance=lambda _: None)
    database = open_database(target or stores.folder / "back" / "andon.sqlite")
    try:
        with reading(database) as conn:
            assert revision_of(conn) == "", "as the old version left it"
            assert not inspect(conn).has_table("alembic_version")
            rows = conn.execute(text("SELECT number, state, audit_hash FROM ticket ORDER BY id")).all()
            assert sorted(map(tuple, rows)) == sorted(before)
        assert bring_up(database) == "", "and it can be brought up once more"
        with reading(database) as conn:
            assert audit.verify(conn) == []
    finally:
        database.dispose()


def test_the_backup_of_a_later_version_is_refused_by_name(tmp_path: Path) -> None:
    data = tmp_path / "data"
    database = open_store(data)
    with writing(database) as conn:
        conn.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    database.dispose()
    backup = backed_up(data, tmp_path / "b.tar")
    with pytest.raises(NotDone, match=rf"schema 9999; this one knows up to {HEAD}.*install that version"):
        put_back(backup, tmp_path / "back", passphrase=None, store_url=None, advance=lambda _: None)
    assert not (tmp_path / "back").exists()
