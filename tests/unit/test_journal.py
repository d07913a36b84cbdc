"""What is appended is there, as it was, whatever happens to the process or to single bits."""

import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.ports import Record, RecordKind
from ingest.errors import CorruptRecord, JournalFailed, JournalFull, JournalLocked, RecordDropped
from ingest.journal import SqliteJournal

RECORDS = st.builds(
    Record,
    kind=st.sampled_from(RecordKind),
    received_ns=st.integers(-(2**63), 2**63 - 1),
    topic=st.binary(max_size=40),
    body=st.one_of(st.binary(max_size=60), st.binary(min_size=90, max_size=200)),
    connection=st.integers(0, 2**64 - 1),
    packet=st.integers(0, 65535),
    flags=st.integers(0, 15),
)


def message(number: int, body: bytes | None = None) -> Record:
    body = f"value {number}".encode() if body is None else body
    return Record(
        RecordKind.MESSAGE, 1_700_000_000_000_000_000 + number, b"andon/v1/m7/_telemetry/t", body, 1, 7, 4
    )


def read_all(journal: SqliteJournal, limit: int = 1000) -> tuple[dict[int, Record], set[int]]:
    """Every record by its position, and the positions that were reported as corrupt."""
    found: dict[int, Record] = {}
    corrupt: set[int] = set()
    position = journal.start()
    while True:
        try:
            records = journal.read(position, limit)
        except CorruptRecord as error:
            if error.position != position or error.resume <= position:
                raise
            corrupt.update(range(position, error.resume))
            position = error.resume
            continue
        if not records:
            return found, corrupt
        found.update(enumerate(records, position))
        position += len(records)


@given(
    commits=st.lists(st.lists(RECORDS, min_size=1, max_size=5), max_size=5),
    limit=st.integers(1, 7),
    rotate_bytes=st.sampled_from([1, 10_000, 1 << 28]),
)
@settings(max_examples=40, deadline=None)
def test_what_is_appended_is_read_back_as_it_was(
    commits: list[list[Record]], limit: int, rotate_bytes: int
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = SqliteJournal(Path(folder), inline_bytes=80, rotate_bytes=rotate_bytes)
        reader = SqliteJournal(Path(folder), read_only=True)
        expected: list[Record] = []
        for records in commits:
            expected += records
            assert journal.append(records) == len(expected)
            assert reader.end() == journal.end() == len(expected)
        found, corrupt = read_all(reader, limit)
        assert not corrupt
        assert [found[position] for position in sorted(found)] == expected
        journal.close()
        reader.close()


def test_a_group_commit_is_one_row_and_positions_count_its_records(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    assert journal.append([message(n) for n in range(3)]) == 3
    assert journal.append([message(n) for n in range(3, 8)]) == 8
    assert journal.append([]) == 8
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as rows:
        assert rows.execute("SELECT position, count FROM batch").fetchall() == [(0, 3), (3, 5)]
    rows.close()
    assert journal.read(4, 2) == [message(4), message(5)]
    assert journal.read(8, 10) == []
    journal.close()


def test_commits_are_synced_fully_and_files_are_private(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path / "listener")
    journal.append([message(0), message(1, b"w" * 20_000)])
    assert journal._writing is not None
    for pragma, value in (("synchronous", 2), ("fullfsync", 1), ("journal_mode", "wal")):
        assert journal._writing._rows.execute(f"PRAGMA {pragma}").fetchone() == (value,)
    assert {path.stat().st_mode & 0o077 for path in tmp_path.rglob("*")} == {0}
    journal.close()


def test_large_bodies_are_kept_in_the_segment(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    small, large = b"s" * 16 * 1024, b"l" * (16 * 1024 + 1)
    journal.append([message(0, small), message(1, large), message(2, large)])
    journal.append([message(3, large)])
    assert next(tmp_path.glob("*.segment")).read_bytes() == large * 3
    assert [record.body for record in journal.read(0, 9)] == [small, large, large, large]
    journal.close()


def test_a_read_of_large_bodies_ends_early_but_is_empty_only_at_the_end(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    body = b"w" * (12 * 1024 * 1024)
    for number in range(4):
        journal.append([message(number, body)])
    assert [len(journal.read(0, 100)), len(journal.read(3, 100)), len(journal.read(4, 100))] == [3, 1, 0]
    journal.close()


def test_each_commit_tells_what_it_holds(tmp_path: Path) -> None:
    told: list[Sequence[Record]] = []
    journal = SqliteJournal(tmp_path, on_commit=told.append)
    journal.append([message(0), message(1)])
    journal.append([message(2)])
    assert told == [[message(0), message(1)], [message(2)]]
    journal.close()


def test_files_rotate_and_are_dropped_whole(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, rotate_bytes=20_000, inline_bytes=500)
    reader = SqliteJournal(tmp_path, read_only=True)
    for number in range(80):
        journal.append([message(number, bytes([number]) * (1000 if number % 2 else 100))])
    firsts = sorted(int(path.stem) for path in tmp_path.glob("*.sqlite"))
    assert len(firsts) > 3
    assert list(read_all(reader)[0]) == list(range(80))
    assert journal.drop_before(firsts[2] + 1) == 2
    assert len(list(tmp_path.glob("*.segment"))) == len(firsts) - 2
    assert journal.start() == reader.start() == firsts[2]
    assert list(read_all(reader)[0]) == list(range(firsts[2], 80))
    with pytest.raises(RecordDropped) as dropped:
        SqliteJournal(tmp_path, read_only=True).read(0, 1)
    assert dropped.value.first == firsts[2]
    assert journal.drop_before(10_000) == len(firsts) - 3  # the newest stays
    assert journal.append([message(80)]) == 81
    journal.close()
    reader.close()


def test_a_reader_may_come_before_the_writer(tmp_path: Path) -> None:
    reader = SqliteJournal(tmp_path / "later", read_only=True)
    assert reader.end() == 0
    assert reader.read(0, 10) == []
    journal = SqliteJournal(tmp_path / "later")
    assert reader.read(0, 10) == []
    journal.append([message(0)])
    assert reader.read(0, 10) == [message(0)]
    with pytest.raises(JournalFailed):
        reader.append([message(1)])
    journal.close()
    reader.close()


def test_a_reader_in_another_process_follows(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from ingest.journal import SqliteJournal\n"
        "journal = SqliteJournal(Path(sys.argv[1]), read_only=True)\n"
        "for line in sys.stdin: print(len(journal.read(int(line), 100)), journal.end(), flush=True)\n"
    )
    journal = SqliteJournal(tmp_path, rotate_bytes=5_000)
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as reader:
        assert reader.stdin
        assert reader.stdout
        for number in range(0, 40, 2):
            journal.append([message(number), message(number + 1)])
            reader.stdin.write(f"{number}\n")
            reader.stdin.flush()
            assert reader.stdout.readline() == f"2 {number + 2}\n"
        reader.stdin.close()
    journal.close()


def test_a_second_writer_is_refused(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    with pytest.raises(JournalLocked, match=str(tmp_path)):
        SqliteJournal(tmp_path)
    script = "import sys; from pathlib import Path; from ingest.journal import SqliteJournal; SqliteJournal(Path(sys.argv[1]))"
    other = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path)], capture_output=True, text=True, check=False
    )
    assert "JournalLocked" in other.stderr
    journal.close()
    SqliteJournal(tmp_path).close()
    with pytest.raises(OSError, match="closed"):
        journal.append([message(0)])


def test_a_killed_writer_has_lost_nothing_that_was_durable(tmp_path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from andon.ports import Record, RecordKind\n"
        "from ingest.journal import SqliteJournal\n"
        "journal = SqliteJournal(Path(sys.argv[1]), rotate_bytes=100_000)\n"
        "while True:\n"
        "    at = journal.end()\n"
        "    body = lambda n: b'%d ' % n * (9000 if n % 9 == 0 else 9)\n"
        "    end = journal.append([Record(RecordKind.MESSAGE, n, b't', body(n)) for n in range(at, at + 5)])\n"
        "    os.write(1, b'%d\\n' % end)\n"
    )
    durable = 0
    for _ in range(3):
        with subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE
        ) as writer:
            assert writer.stdout
            for _ in range(40):
                durable = int(writer.stdout.readline())
            writer.send_signal(signal.SIGKILL)
            durable = max([durable, *map(int, writer.stdout.read().split()[:-1])])
    journal = SqliteJournal(tmp_path)
    found, corrupt = read_all(journal)
    assert not corrupt
    assert list(found) == list(range(journal.end()))
    assert journal.end() >= durable >= 600
    for position, record in found.items():
        assert record.body == b"%d " % position * (9000 if position % 9 == 0 else 9)
    journal.close()


def test_garbage_at_the_end_of_a_segment_is_harmless(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, inline_bytes=10)
    journal.append([message(0, b"a" * 100)])
    journal.close()
    with next(tmp_path.glob("*.segment")).open("ab") as segment:
        segment.write(os.urandom(57))
    journal = SqliteJournal(tmp_path, inline_bytes=10)
    journal.append([message(1, b"b" * 100)])
    assert [record.body for record in journal.read(0, 9)] == [b"a" * 100, b"b" * 100]
    journal.close()


def test_a_corrupt_record_is_named_and_the_others_stay_readable(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    journal.append([message(n) for n in range(10)])
    journal.append([message(n) for n in range(10, 20)])
    path = next(tmp_path.glob("*.sqlite"))
    with sqlite3.connect(path) as rows:
        frames = rows.execute("SELECT frames FROM batch WHERE position = 0").fetchone()[0]
        rows.execute(
            "UPDATE batch SET frames = ? WHERE position = 0", (frames.replace(b"value 4", b"value 5"),)
        )
    rows.close()
    assert journal.read(0, 100) == [message(n) for n in range(4)]
    with pytest.raises(CorruptRecord) as corrupt:
        journal.read(4, 100)
    assert (corrupt.value.path, corrupt.value.position, corrupt.value.resume) == (path, 4, 5)
    assert journal.read(5, 100) == [message(n) for n in range(5, 20)]
    journal.close()


def test_a_row_moved_to_another_position_is_not_served(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    journal.append([message(0)])
    journal.append([message(1)])
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as rows:
        rows.execute(
            "UPDATE batch SET frames = (SELECT frames FROM batch WHERE position = 1) WHERE position = 0"
        )
    rows.close()
    assert read_all(journal) == ({1: message(1)}, {0})
    journal.close()


def test_rows_that_vanished_from_the_end_are_reported_and_never_written_over(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    for number in range(3):
        journal.append([message(number)])
    journal.close()
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as rows:
        rows.execute("DELETE FROM batch WHERE position > 0")
    rows.close()
    reader = SqliteJournal(tmp_path, read_only=True)
    assert read_all(reader) == ({0: message(0)}, {1, 2})
    reader.close()
    journal = SqliteJournal(tmp_path)
    assert journal.append([message(3)]) == 4
    assert read_all(journal) == ({0: message(0), 3: message(3)}, {1, 2})
    journal.close()


def _closed(folder: Path, image: Path) -> None:
    journal = _written(folder)
    journal.close()
    shutil.copytree(folder, image)


def _crashed(folder: Path, image: Path) -> None:
    """As a power cut leaves it: rows still in the WAL."""
    journal = _written(folder)
    shutil.copytree(folder, image, ignore=shutil.ignore_patterns("*-shm"))
    journal.close()


def _written(folder: Path) -> SqliteJournal:
    journal = SqliteJournal(folder, inline_bytes=300, rotate_bytes=40_000)
    for number in range(0, 150, 3):
        journal.append(
            [
                message(number, b"%d " % number * 60),
                message(number + 1, b"%d " % number * 120),
                message(number + 2),
            ]
        )
    return journal


@pytest.mark.parametrize("image_of", [_closed, _crashed])
def test_every_single_bit_flip_is_detected_and_none_stops_the_journal(
    tmp_path: Path, image_of: Callable[[Path, Path], None]
) -> None:
    image, flipped = tmp_path / "image", tmp_path / "flipped"
    image_of(tmp_path / "journal", image)
    shutil.rmtree(tmp_path / "journal")
    original = read_all(_opened_copy(image, tmp_path / "check"))[0]
    assert len(original) == 150
    dice = random.Random(20816)  # noqa: S311 -- dice, not secrets
    paths = sorted(path for path in image.iterdir() if path.stat().st_size)
    sizes = [path.stat().st_size for path in paths]
    reported = 0
    for _ in range(250):
        path = dice.choices(paths, sizes)[0] if dice.random() < 0.9 else dice.choice(paths)
        shutil.rmtree(flipped, ignore_errors=True)
        shutil.copytree(image, flipped)
        _flip_bit(flipped / path.name, dice)
        journal = SqliteJournal(flipped, inline_bytes=300, rotate_bytes=40_000)
        new = journal.append([message(999)]) - 1
        found, corrupt = read_all(journal)
        journal.close()
        assert found.pop(new) == message(999)
        assert all(record == original[position] for position, record in found.items()), path
        assert set(found) | corrupt >= set(original), path
        reported += bool(corrupt)
    assert reported > 70


def _opened_copy(image: Path, to: Path) -> SqliteJournal:
    shutil.copytree(image, to)
    return SqliteJournal(to, read_only=True)


def _flip_bit(path: Path, dice: random.Random) -> None:
    content = bytearray(path.read_bytes())
    content[dice.randrange(len(content))] ^= 1 << dice.randrange(8)
    path.write_bytes(content)


def test_an_unreadable_file_is_left_as_it_is_and_a_new_one_goes_on(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    journal.append([message(n) for n in range(5)])
    journal.close()
    path = next(tmp_path.glob("*.sqlite"))
    path.write_bytes(b"\0" * path.stat().st_size)
    journal = SqliteJournal(tmp_path)
    assert journal.end() == 5
    assert journal.append([message(5)]) == 6
    assert read_all(journal) == ({5: message(5)}, set(range(5)))
    assert path.read_bytes() == b"\0" * path.stat().st_size
    journal.close()


def test_a_full_disk_writes_nothing_and_the_same_journal_works_again(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path, inline_bytes=20_000)
    journal.append([message(0)])
    assert journal._writing is not None
    rows = journal._writing._rows
    pages = rows.execute("PRAGMA page_count").fetchone()[0]
    rows.execute(f"PRAGMA max_page_count = {pages + 1}")
    for _ in range(3):
        with pytest.raises(JournalFull) as full:
            journal.append([message(1, b"x" * 19_000), message(2, b"y" * 30_000)])
        assert isinstance(full.value, OSError)
    assert read_all(journal) == ({0: message(0)}, set())
    assert next(tmp_path.glob("*.segment")).stat().st_size == 0
    rows.execute("PRAGMA max_page_count = 1000000")
    assert journal.append([message(1, b"x" * 19_000), message(2, b"y" * 30_000)]) == 3
    assert list(read_all(journal)[0]) == [0, 1, 2]
    journal.close()


def test_a_topic_that_does_not_fit_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    with pytest.raises(ValueError, match="does not fit"):
        journal.append([message(0), Record(RecordKind.MESSAGE, 0, b"t" * 70_000, b"")])
    assert journal.end() == 0
    assert journal.append([message(0)]) == 1
    journal.close()


def test_the_note_of_the_end_is_ignored_when_it_is_damaged(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    journal.append([message(0)])
    journal.close()
    (tmp_path / "end").write_bytes((9).to_bytes(8, "little") + zlib.crc32(b"other").to_bytes(4, "little"))
    journal = SqliteJournal(tmp_path)
    assert journal.end() == 1
    journal.close()
