"""A disk that is really full, under a whole installation: nothing is lost, people hear of it, and it goes on by itself."""

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from andon import manifest
from andon.commands.finished import all_tickets, balance
from andon.database import open_database, reading
from ingest.identity import MAX_SEQUENCES, Identity
from tests.faults.test_journal_disk import ROOT, small_disk
from tests.mosquitto import Mosquitto, mosquitto, needs_mosquitto
from tests.publishing import Publisher
from tests.unit.decoder_words import telemetry, topic

QUEUED = 23_000
PLANT = {
    "name": "workshop",
    "assets": [
        {
            "id": "M1",
            "name": "Press",
            "asset_class": "press",
            "path": "e/s/a/L1/c",
            "points": [{"id": "DE", "component": "DE-bearing", "quantities": {"temperature": "Cel"}}],
        }
    ],
}


def until(holds: Callable[[], object], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"{what} within {seconds:.0f} s"
        time.sleep(0.2)


@contextlib.contextmanager
def installation(folder: Path, data: Path, port: int) -> Iterator[None]:
    config = f"""
data = "{data}"
[journal]
plenty_bytes = 0
[web]
port = 0
[sources.line]
kind = "mqtt"
host = "127.0.0.1"
port = {port}
client_id = "andon-disk"
retry_max_s = 1.0
queue_max_records = 2000
"""
    (folder / "andon.toml").write_text(config)
    (folder / "plant.json").write_text(json.dumps(PLANT))
    command = [sys.executable, "-m", "andon", "run", "--config", str(folder / "andon.toml")]
    with subprocess.Popen(
        [*command, "--plant", str(folder / "plant.json")], cwd=ROOT, stdout=subprocess.PIPE
    ) as run:
        try:
            assert run.stdout is not None
            while b"console" not in run.stdout.readline():
                assert run.poll() is None
            yield
        finally:
            run.terminate()
            run.wait(30)


def tickets(data: Path) -> dict[str, bool]:
    """What was said of the disk, and whether it still holds."""
    with reading(open_database(data / "andon.sqlite")) as conn:
        return {ticket.headline.condition: ticket.alarm_active for ticket in all_tickets(conn)}


def counts(data: Path) -> dict[str, int]:
    with reading(open_database(data / "andon.sqlite")) as conn:
        return dict(manifest.counted(conn).get("source.line", {}))


def publish(broker: Mosquitto, count: int) -> None:
    with Publisher(broker.port, login=False) as publisher:
        for number in range(count):
            publisher.publish(topic("M1").decode(), telemetry(number, at_ns=None, id=f"m{number}").body)
        publisher.wait_for(count)


def fill(ballast: Path, size: int) -> None:
    """Fill the disk to the last byte."""
    with contextlib.suppress(OSError), ballast.open("wb", buffering=0) as file:
        while True:
            file.write(bytes(size))


@needs_mosquitto
def test_queued_messages_survive_a_disk_that_is_full_to_the_last_byte(tmp_path: Path) -> None:
    with small_disk(tmp_path / "disk", "96m") as disk, mosquitto(tmp_path / "broker") as broker:
        data = disk / "data"
        with installation(tmp_path, data, broker.port):
            until((data / "reserve").exists, 20, "the reserve is there")
            fill(disk / "ballast", 1 << 16)
            began_s = time.monotonic()
            publish(broker, QUEUED)
            until(
                lambda: tickets(data).get("disk_full"), 60 - (time.monotonic() - began_s), "a critical ticket"
            )
            assert tickets(data)["disk_low"]
            assert counts(data).get("received", 0) < QUEUED
            (disk / "ballast").unlink()
            until(lambda: counts(data).get("received", 0) >= QUEUED, 120, "all were drained")
            until(lambda: not tickets(data)["disk_full"], 30, "it is said to be over")
            until((data / "reserve").exists, 30, "the reserve is there again")
        row = balance(counts(data))
        assert row["stored"] == QUEUED
        assert row["balanced"]
        verify = [sys.executable, "-m", "andon", "journal", "verify", "--data", str(data), "--json", "-"]
        found = subprocess.run(verify, cwd=ROOT, capture_output=True, text=True, check=False)
        assert found.returncode == 0, found.stdout + found.stderr


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_a_million_producers_stay_within_150_megabytes() -> None:
    memory, before = Identity(), resident_bytes()
    for number in range(1_000_000):
        sequence = memory.sequence(f"urn:maker:line-{number % 97}:sensor-{number:08d}\x00boot-{number:08d}")
        sequence.take(number, number, source_ns=number, at_ns=number, received_ns=number, asset="M1")
    assert resident_bytes() - before < 150_000_000
    assert memory.forgotten >= 1_000_000 - MAX_SEQUENCES
