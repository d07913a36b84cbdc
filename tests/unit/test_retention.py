"""How much history stays, and how full the disk is: what goes, what is told, what stops."""

import errno
import json
import threading
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from decoder_words import T0
from hypothesis import given
from hypothesis import strategies as st

from andon.config import Keeping, Source
from andon.events import SECOND_NS
from andon.ports import Record, RecordKind
from andon.upkeep import DiskWatch, say_needed
from ingest import disk as disk_module
from ingest.disk import Disk, Reserve, says_full
from ingest.errors import JournalFull
from ingest.journal import JournalFile, SqliteJournal
from ingest.retention import enforce, goes_before, rotate_bytes, rotate_ns

DAY_NS = 86_400 * SECOND_NS
SMALL = Keeping(keep_days=2, keep_bytes=1024**2)


def files(*rows: tuple[int, float | None]) -> list[JournalFile]:
    """Ten records each, as (bytes, age in days)."""
    return [
        JournalFile(n * 10, n * 10 + 10, size, None if age is None else T0 - int(age * DAY_NS))
        for n, (size, age) in enumerate(rows)
    ]


@pytest.mark.parametrize(
    ("kept", "needed", "shed", "goes"),
    [
        (files((9, 3), (9, 2.5), (9, 1), (9, 0)), 99, False, 20),  # by age
        (files((9, 3), (9, 2.5), (9, 1), (9, 0)), 15, False, 10),  # never what a restart needs
        (files((2**20, 1), (9, 1), (9, 0)), 99, False, 10),  # by size
        (files((9, 1), (9, 1), (9, 0)), 99, False, 0),
        (files((9, 1), (9, 1), (9, 0)), 99, True, 20),  # the disk is nearly full: all history
        (files((9, 1), (9, 1), (9, 0)), 0, True, 0),
        (files((9, 9)), 99, True, 0),  # never the one that is written
        (
            files((9, None), (9, 1), (9, 0)),
            99,
            False,
            0,
        ),  # what cannot be read is not thrown away for its age
        ([], 0, True, 0),
    ],
)
def test_what_is_too_old_or_too_much_goes_and_nothing_that_is_needed(
    kept: Sequence[JournalFile], needed: int, shed: bool, goes: int
) -> None:
    assert goes_before(kept, needed, T0, SMALL, shed=shed) == goes


@given(
    st.lists(st.tuples(st.integers(1, 2**20), st.none() | st.floats(0, 9)), max_size=9),
    st.integers(0, 99),
    st.booleans(),
)
def test_no_record_goes_that_a_restart_needs(
    rows: list[tuple[int, float | None]], needed: int, shed: bool
) -> None:
    kept = files(*rows)
    goes = goes_before(kept, needed, T0, SMALL, shed=shed)
    assert goes <= max(needed, 0) or goes == 0
    assert all(file.after <= needed for file in kept if file.after <= goes)


def message(number: int, at_ns: int, size: int = 20_000) -> Record:
    return Record(RecordKind.MESSAGE, at_ns, b"t", b"%07d" % number + bytes(size))


def test_a_week_of_history_stays_although_no_snapshot_needs_it_and_segments_go_with_their_files(
    tmp_path: Path,
) -> None:
    keeping = Keeping(keep_days=7)
    journal = SqliteJournal(tmp_path, rotate_ns=rotate_ns(keeping))
    for hour in range(0, 20 * 24, 6):
        journal.append([message(hour, T0 + hour * DAY_NS // 24)])
    now_ns = T0 + 20 * DAY_NS
    say_needed(tmp_path, journal.end())
    assert enforce(tmp_path, 0, now_ns, keeping, shed=False).dropped == 0
    looked = enforce(tmp_path, journal.end(), now_ns, keeping, shed=False)
    assert 7 <= looked.files <= 9
    first = journal.read(journal.start(), 1)[0].received_ns
    assert 7 * DAY_NS <= now_ns - first <= 9 * DAY_NS
    assert len(list(tmp_path.glob("*.segment"))) == looked.files
    assert enforce(tmp_path, journal.end(), now_ns, keeping, shed=True).files == 1
    journal.close()


def test_a_source_may_keep_more_or_less_than_the_others() -> None:
    own = Keeping().of(Source.model_validate({"kind": "mqtt", "keep_days": 30}))
    assert (own.keep_days, own.keep_bytes) == (30, Keeping().keep_bytes)
    assert rotate_bytes(SMALL, 2**28) * 8 <= SMALL.keep_bytes
    assert rotate_bytes(Keeping(), 2**28) == 2**28


class SomeDisk:
    """A disk of 1000 blocks of 1 MiB, as `statvfs` tells it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 1000
        monkeypatch.setattr(disk_module.os, "statvfs", self._look)

    def _look(self, _path: object) -> SimpleNamespace:
        return SimpleNamespace(f_bavail=self.free, f_bfree=self.free, f_blocks=1000, f_frsize=1024**2)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> SomeDisk:
    return SomeDisk(monkeypatch)


NO_PLENTY = Keeping(plenty_bytes=0)


def test_levels_are_reached_at_their_percentage_and_left_a_little_below(
    tmp_path: Path, disk: SomeDisk
) -> None:
    watched = Disk(tmp_path, NO_PLENTY)
    seen = []
    for free in (201, 200, 205, 211, 100, 50, 55, 61, 105, 120, 1000):
        disk.free = free
        seen.append(watched.look().name)
    assert seen == ["FINE", "LOW", "LOW", "FINE", "SHED", "FULL", "FULL", "SHED", "SHED", "LOW", "FINE"]


def test_a_large_disk_with_gigabytes_left_is_not_full(tmp_path: Path, disk: SomeDisk) -> None:
    disk.free = 40
    assert Disk(tmp_path, NO_PLENTY).is_full()
    assert not Disk(tmp_path, Keeping(plenty_bytes=30 * 1024**2)).is_full()


def test_a_journal_takes_nothing_while_the_disk_is_nearly_full_and_goes_on_after(
    tmp_path: Path, disk: SomeDisk
) -> None:
    journal = SqliteJournal(tmp_path / "j", is_full=Disk(tmp_path, NO_PLENTY).is_full)
    disk.free = 50
    with pytest.raises(JournalFull) as full:
        journal.append([message(0, T0)])
    assert says_full(full.value)
    disk.free = 300
    assert journal.append([message(0, T0)]) == 1
    journal.close()


def said(records: Sequence[Record]) -> list[tuple[str, bool]]:
    return [(body["code"], body["active"]) for body in (json.loads(record.body) for record in records)]


def test_a_filling_disk_is_told_once_and_taken_back(tmp_path: Path, disk: SomeDisk) -> None:
    noted: list[Record] = []
    watch = DiskWatch(
        tmp_path,
        Keeping(plenty_bytes=0, reserve_bytes=0),
        lambda: T0,
        noted.extend,
        stopping=threading.Event(),
    )
    for free in (500, 150, 140, 30, 30, 500, 500):
        disk.free = free
        watch.look()
    assert said(noted) == [
        ("disk_low", True),
        ("disk_full", True),
        ("disk_low", True),  # now it also says that history goes
        ("disk_full", False),
        ("disk_low", False),
    ]


def test_what_was_said_before_a_restart_is_taken_back_after_it(tmp_path: Path, disk: SomeDisk) -> None:
    noted: list[Record] = []
    DiskWatch(
        tmp_path,
        NO_PLENTY,
        lambda: T0,
        noted.extend,
        stopping=threading.Event(),
        standing=["disk_full", "other"],
    ).look()
    assert said(noted) == [("disk_full", False)]


def test_the_reserve_is_given_up_once_and_made_again_when_there_is_space(tmp_path: Path) -> None:
    reserve = Reserve(tmp_path / "reserve", 1024**2)
    assert reserve.make()
    assert (tmp_path / "reserve").stat().st_blocks * 512 >= 1024**2
    assert reserve.give_up()
    assert not reserve.give_up()
    assert reserve.make()


def test_an_error_is_followed_to_its_cause() -> None:
    commit = RuntimeError("a commit")
    commit.__cause__ = OSError(errno.ENOSPC, "full")
    assert says_full(commit)
    assert not says_full(OSError(errno.EIO, "broken"))
    assert not says_full(None)
