"""SIGKILL in mid-flow: what was acknowledged is on disk. The same test finds a source that acknowledges too early."""

import contextlib
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from ingest.journal import SqliteJournal
from tests.listening import CHEAP_HASH
from tests.mosquitto import free_port, mosquitto, needs_mosquitto
from tests.publishing import Publisher

ROOT = Path(__file__).parents[2]
TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"
LISTENER: dict[str, object] = {"users": {"press": {"password": CHEAP_HASH}}}
COLLECTOR: dict[str, object] = {"host": "127.0.0.1", "client_id": "andon-kill", "retry_min_s": 0.1}


@contextlib.contextmanager
def source(kind: str, folder: Path, parameters: dict[str, object], manner: str) -> Iterator[int]:
    """A source in its own process, killed at the end; gives its port."""
    command = [
        sys.executable,
        "-m",
        "tests.source_process",
        kind,
        str(folder),
        json.dumps(parameters),
        manner,
    ]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        address = process.stdout.readline()
        assert address, "the source did not start"
        try:
            yield int(address.rpartition(":")[2])
        finally:
            process.kill()


def journaled(folder: Path) -> set[bytes]:
    journal = SqliteJournal(folder, read_only=True)
    found: set[bytes] = set()
    position = 0
    while records := journal.read(position, 10_000):
        found.update(record.body for record in records)
        position += len(records)
    journal.close()
    return found


def kill_the_listener(folder: Path, manner: str, *, kills: int, each: int) -> set[bytes]:
    """Kill it while messages flow; gives those that were acknowledged and are not there."""
    port = free_port()
    with Publisher(port) as publisher:
        for number in range(kills * each):
            publisher.publish(TOPIC, b"%d" % number)
        for run in range(kills):
            with source("listener", folder, LISTENER | {"port": port}, manner):
                publisher.wait_for(run * each + each // 2)
    return publisher.acknowledged - journaled(folder)


def test_a_killed_listener_loses_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    assert kill_the_listener(tmp_path, "honest", kills=3, each=1500) == set()


def test_a_listener_that_acknowledges_before_it_commits_is_found_out(tmp_path: Path) -> None:
    assert kill_the_listener(tmp_path, "hasty", kills=1, each=1500) != set()


def kill_the_collector(tmp_path: Path, manner: str, *, kills: int, each: int) -> set[bytes]:
    """Kill it while messages come from a real broker; gives those that never arrived."""
    folder = tmp_path / "journal"
    with mosquitto(tmp_path / "broker") as broker:
        parameters = {**COLLECTOR, "port": broker.port}
        with source("mqtt", folder, parameters, manner):
            pass  # the broker knows its session from now on
        with Publisher(broker.port, login=False) as publisher:
            for number in range(kills * each):
                publisher.publish(TOPIC, b"%d" % number)
            for run in range(kills):
                with source("mqtt", folder, parameters, manner):
                    _wait_for_records(folder, run * each + 1)
            publisher.publish(TOPIC, b"the end")  # whatever comes at all comes before it
            publisher.wait_for(kills * each + 1)
            with source("mqtt", folder, parameters, manner):
                while b"the end" not in journaled(folder):
                    time.sleep(0.05)
        return publisher.acknowledged - journaled(folder)


def _wait_for_records(folder: Path, count: int) -> None:
    journal = SqliteJournal(folder, read_only=True)
    while journal.end() < count:
        time.sleep(0.005)
    journal.close()


@needs_mosquitto
def test_a_killed_collector_loses_nothing_that_the_broker_had(tmp_path: Path) -> None:
    assert kill_the_collector(tmp_path, "honest", kills=3, each=600) == set()


@needs_mosquitto
def test_a_collector_that_acknowledges_before_it_commits_is_found_out(tmp_path: Path) -> None:
    assert kill_the_collector(tmp_path, "hasty", kills=1, each=600) != set()
