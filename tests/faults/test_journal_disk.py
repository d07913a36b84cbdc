"""The journal on a disk that is really full, and the order of its calls to the system."""

import contextlib
import errno
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from andon.ports import Record, RecordKind
from ingest.errors import JournalFull
from ingest.journal import SqliteJournal

ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def small_disk(place: Path, size: str) -> Iterator[Path]:
    place.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(place)], capture_output=True, check=False
    )
    if mounted.returncode != 0:
        pytest.skip("mounting a small disk is not allowed here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "-l", str(place)], check=True)


def message(number: int, size: int) -> Record:
    return Record(RecordKind.MESSAGE, number, b"t", b"%07d" % number * size)


def fill(journal: SqliteJournal, size: int) -> None:
    while True:
        journal.append([message(journal.end(), size), message(journal.end() + 1, size)])


@pytest.mark.parametrize("size", [30, 3000], ids=["rows", "segment"])
def test_a_full_disk_loses_nothing_and_the_same_journal_goes_on(tmp_path: Path, size: int) -> None:
    with small_disk(tmp_path / "disk", "2m") as disk:
        ballast = disk / "ballast"
        ballast.write_bytes(bytes(400_000))
        journal = SqliteJournal(disk / "journal")
        with pytest.raises(JournalFull) as full:
            fill(journal, size)
        assert full.value.errno == errno.ENOSPC
        at = journal.end()
        assert at > 0
        assert [record.received_ns for record in journal.read(0, at + 10)] == list(range(at))
        for _ in range(3):
            with pytest.raises(JournalFull):
                journal.append([message(at, 60_000)])
        ballast.unlink()
        for number in range(at, at + 9):
            assert journal.append([message(number, size)]) == number + 1
        journal.close()
        journal = SqliteJournal(disk / "journal")
        records = [record for first in range(0, at + 9, 9) for record in journal.read(first, 9)[:9]]
        assert [record.received_ns for record in records] == list(range(at + 9))
        assert all(record == message(record.received_ns, size) for record in records)
        journal.close()


SCRIPT = """
import os, sys
from pathlib import Path
from andon.ports import Record, RecordKind
from ingest.journal import SqliteJournal
journal = SqliteJournal(Path(sys.argv[1]))
for size in (10, 20_000, 10):
    journal.append([Record(RecordKind.MESSAGE, 0, b"t", bytes(size))])
    os.write(1, b"durable")
"""


def test_every_byte_is_synced_before_append_returns(tmp_path: Path) -> None:
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-y", "-e", "trace=pwrite64,write,fsync,fdatasync", "-o", str(trace)]
    ran = subprocess.run(
        [*command, sys.executable, "-c", SCRIPT, str(tmp_path / "journal")],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
    )
    if "ptrace" in ran.stderr.lower() or "Operation not permitted" in ran.stderr:
        pytest.skip("tracing is not allowed here")
    assert ran.stdout == "durable" * 3, ran.stderr
    unsynced: set[str] = set()
    steps: list[str] = []
    for line in trace.read_text().splitlines():
        call, path = re.findall(r"(\w+)\(\d+<([^>]*)>", line)[0] if "<" in line else ("", "")
        name = Path(path).suffix
        if call in {"fsync", "fdatasync"}:
            unsynced.discard(path)
            steps.append(f"sync {name}")
        elif '"durable"' in line:
            assert unsynced == set(), line
            steps.append("durable")
        elif path.endswith((".sqlite-wal", ".segment")):
            unsynced.add(path)
            steps.append(f"write {name}")
    at = [index for index, step in enumerate(steps) if step == "durable"]
    large = [step for step in steps[at[0] : at[1]] if "segment" in step or "wal" in step]
    assert large[:2] == ["write .segment", "sync .segment"]  # the body before the row that names it
    assert large[-1] == "sync .sqlite-wal"
    assert next((tmp_path / "journal").glob("*.segment")).stat().st_size == 20_000
