"""The queue before the journal: order, bounds, a full disk, a failure. The journal is a real one that waits."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from andon.ports import Record, RecordKind
from ingest.errors import JournalFull
from ingest.group_commit import GroupCommit
from ingest.journal import SqliteJournal
from tests.collecting import SteppedJournal
from tests.listening import until


class FillingJournal(SqliteJournal):
    """A journal whose disk is full until there is space."""

    space = False
    tries = 0

    def append(self, records: Sequence[Record]) -> int:
        """Append if there is space."""
        self.tries += 1
        if not self.space:
            raise JournalFull(Path("disk"))
        return super().append(records)


def message(number: int, size: int = 4) -> Record:
    return Record(RecordKind.MESSAGE, number, b"t", b"%d" % number * size)


@pytest_asyncio.fixture
async def journal(tmp_path: Path) -> AsyncIterator[SteppedJournal]:
    opened = SteppedJournal(tmp_path)
    yield opened
    opened.let_go()
    opened.close()


def clock() -> int:
    return 1_700_000_000_000_000_000


async def test_what_waits_during_a_commit_is_one_commit_and_is_told_in_order(journal: SteppedJournal) -> None:
    told: list[int] = []
    commits: list[Sequence[Record]] = []
    journal._on_commit = commits.append
    async with GroupCommit(journal, clock, on_change=lambda full: None) as group:  # noqa: ARG005
        group.add([message(0)], lambda: told.append(0))
        await asyncio.to_thread(journal.waiting.wait, 5)
        for number in range(1, 50):
            group.add([message(number)], lambda number=number: told.append(number))
        assert told == []
        journal.let_go()
        await group.drain()
    assert told == list(range(50))
    assert [len(records) for records in commits] == [1, 49]
    assert [record.received_ns for record in journal.read(0, 100)] == list(range(50))


async def test_nothing_is_told_before_its_own_commit(journal: SteppedJournal) -> None:
    told: list[str] = []
    async with GroupCommit(journal, clock, on_change=lambda full: None) as group:  # noqa: ARG005
        group.add([message(0)], lambda: told.append("first"))
        await asyncio.to_thread(journal.waiting.wait, 5)
        group.add([message(1)], lambda: told.append("second"))
        journal.allow()
        await until(lambda: told == ["first"])
        await asyncio.to_thread(journal.waiting.wait, 5)
        assert (told, journal.end()) == (["first"], 1)
        journal.let_go()
        await group.drain()
    assert told == ["first", "second"]


async def test_commits_keep_their_distance_but_an_alarm_does_not_wait(journal: SteppedJournal) -> None:
    journal.let_go()
    alarm = Record(RecordKind.MESSAGE, 9, b"andon/v1/a/b/c/d/e/m7/_event/stop", b"")
    async with GroupCommit(journal, clock, on_change=lambda full: None, pace_s=60) as group:  # noqa: ARG005
        group.add([message(0)])
        await asyncio.wait_for(group.drain(), 5)  # nothing was before it
        group.add([message(1)])
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(group.drain(), 0.1)
        assert journal.end() == 1
        group.add([alarm])
        await asyncio.wait_for(group.drain(), 5)
        group.add([message(2)], urgent=True)
        await asyncio.wait_for(group.drain(), 5)
    assert journal.end() == 4


async def test_reading_stops_when_it_is_full_and_goes_on_when_half_is_free(journal: SteppedJournal) -> None:
    changes: list[bool] = []
    async with GroupCommit(journal, clock, on_change=changes.append, bound_records=10) as group:
        group.add([message(0)])
        await asyncio.to_thread(journal.waiting.wait, 5)
        group.add([message(number) for number in range(1, 9)])
        assert (changes, group.full, group.may_lose) == ([], False, True)
        group.add([message(9), message(10), message(11)])  # what was read is taken, full or not
        assert (changes, group.full) == ([True], True)
        journal.let_go()
        await group.drain()
        assert (changes, group.may_lose) == ([True, False], False)
    assert journal.end() == 12


async def test_bytes_are_bounded_too(journal: SteppedJournal) -> None:
    changes: list[bool] = []
    async with GroupCommit(journal, clock, on_change=changes.append, bound_bytes=1000) as group:
        group.add([message(0, size=1001)])
        assert changes == [True]
        journal.let_go()
        await group.drain()
    assert changes == [True, False]


async def test_what_was_lost_is_one_gap_record_per_commit(journal: SteppedJournal) -> None:
    async with GroupCommit(journal, clock, on_change=lambda full: None) as group:  # noqa: ARG005
        group.lose(3)
        group.lose()
        group.add([message(0)])
        journal.let_go()
        await group.drain()
        assert group.overflow == 4
    stored, gap = journal.read(0, 10)
    assert (stored.kind, gap.kind) == (RecordKind.MESSAGE, RecordKind.GAP)
    assert json.loads(gap.body) == {
        "asset": None,
        "point": None,
        "from_ns": clock(),
        "to_ns": clock(),
        "cause": "qos0_overflow",
        "backfilled": False,
        "count": 4,
    }


async def test_a_full_disk_is_tried_again_and_nothing_is_told_before(tmp_path: Path) -> None:
    journal = FillingJournal(tmp_path)
    told: list[int] = []
    changes: list[bool] = []
    async with GroupCommit(journal, clock, on_change=changes.append, retry_s=0.01) as group:
        group.add([message(0)], lambda: told.append(0))
        group.add([message(1)], lambda: told.append(1))
        await until(lambda: journal.tries >= 3)
        assert group.stalled is not None
        assert "no space" in group.stalled
        assert (told, changes, group.full) == ([], [True], True)
        journal.space = True
        await group.drain()
        assert (told, changes, group.stalled) == ([0, 1], [True, False], None)
    assert journal.end() == 2
    journal.close()


async def test_leaving_while_the_disk_is_full_ends_at_once(tmp_path: Path) -> None:
    journal = FillingJournal(tmp_path)
    async with GroupCommit(journal, clock, on_change=lambda full: None, retry_s=0.01) as group:  # noqa: ARG005
        group.add([message(0)])
        await until(lambda: journal.tries >= 1)
    assert journal.end() == 0
    journal.close()


async def test_a_failure_is_told_once_and_nothing_more_is_written(tmp_path: Path) -> None:
    journal = SqliteJournal(tmp_path)
    told: list[int] = []
    async with GroupCommit(journal, clock, on_change=lambda full: None) as group:  # noqa: ARG005
        journal.close()
        group.add([message(0)], lambda: told.append(0))
        with pytest.raises(OSError, match="closed"):
            await asyncio.wait_for(asyncio.shield(group.failure), 5)
        group.add([message(1)], lambda: told.append(1))
        await asyncio.sleep(0)
    assert told == []
