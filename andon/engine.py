"""The engine: takes batches from the journals, runs the pipeline, and writes what follows in one transaction.

One turn reads like the product: take, step, commit, keep the series. A restart loads the last snapshot and
repeats the batches after it, comparing instead of writing, before it goes on live.
"""

import json
import logging
import sqlite3
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

from sqlalchemy import Connection
from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from andon import declarations, manifest, plants, snapshots
from andon.clock import Now
from andon.database import reading, writing
from andon.events import SECOND_NS, Declaration, Finding, Gap, Readings
from andon.pipeline import Batch, Outcome, Pipeline, Slice
from andon.plant import Plant
from andon.ports import DeadLetter, Journal, Record, RecordKind, SeriesSink
from andon.redrive import wrap
from andon.taking import original, take
from ingest import deadletters
from ingest.disk import says_full
from ingest.own_records import notice
from ingest.remarks import Remarks

OWN = "engine"
"""The engine's own source: ticks, changes of configuration, notices, declarations, refused messages to decode anew."""

TAKE_AT_MOST = 4096
"""Records per source and batch: a batch of scalars costs a third per message of what 256 do."""
TAKE_AT_LEAST, TURN_S = 2048, 0.025
"""A turn that works longer (CPU time) keeps an alarm waiting: the next ones take less, but no less than this."""
TAKE_BYTES = 4 * 1024 * 1024  # where that ends earlier: waveforms
HEARD_EVERY_NS = SECOND_NS
REDRIVE_BYTES = 16 * 1024 * 1024  # at once: they are all in memory
ASKED_AT_MOST = 200
_MESSAGE = RecordKind.MESSAGE
_COUNTED = {str(RecordKind.GAP): "gap_records", str(RecordKind.NOTICE): "notice_records"}
_CODES = {"journal_corrupt": 900, "repeat_differs": 950, "baseline_forgotten": 500}
_NAMED = 20  # of what was forgotten
log = logging.getLogger(__name__)

ApplyFindings = Callable[[Connection, Sequence[Finding], Plant, int], Mapping[str, int]]
TakeDeclared = Callable[[Connection, Sequence[Declaration], int], None]
SaveGaps = Callable[[Connection, Sequence[Gap]], None]
KeepOrder = Callable[[Sequence[tuple[int, str, list[manifest.Taken]]]], None]
T = TypeVar("T")
Picture = tuple[snapshots.Picture, Mapping[str, int]]
"""The state after a batch, and where each source stood then."""
SaveHeard = Callable[[Connection, Mapping[tuple[str, str], tuple[int, str]]], None]
TakeMeters = Callable[[Connection, Sequence[Readings], Plant, int], None]


class TakeAndCommit:
    """The engine of one data directory. `journals` holds a reader per source and the writer of `OWN`.

    Readers may be added to it between two turns.

    `keep_order` takes the batches that a restart no longer needs. When the disk is full, `make_room` is called until
    the write succeeds; it may wait, and raises when there is no use in going on.
    """

    def __init__(
        self,
        *,
        database: Database,
        journals: Mapping[str, Journal],
        pipeline: Pipeline,
        series: SeriesSink,
        apply_findings: ApplyFindings,
        take_declared: TakeDeclared,
        save_gaps: SaveGaps,
        save_heard: SaveHeard,
        take_meters: TakeMeters,
        snapshot_folder: Path,
        keep_order: KeepOrder,
        dead_letters_max: int,
        now: Now,
    ) -> None:
        self._database = database
        self._journals = journals
        self._pipeline = pipeline
        self._series = series
        self._apply_findings = apply_findings
        self._take_declared = take_declared
        self._save_gaps = save_gaps
        self._save_heard = save_heard
        self._take_meters = take_meters
        self._snapshot_folder = snapshot_folder
        self._now = now
        self._keep_order = keep_order
        self._dead_letters_max = dead_letters_max
        self._remarks = Remarks()
        self._number = 0
        self._at: dict[str, int] = {}
        self._last_tick_ns = 0
        self._heard: dict[tuple[str, str], tuple[int, str]] = {}
        self._heard_ns = 0
        self._most = TAKE_AT_MOST
        self.all_read = False
        """Whether the last turn took all that had been there when it began."""
        self.differs: list[int] = []
        self.rebirths: list[tuple[str, str]] = []
        """Births wanted by what was committed, (source, group/edge), until who can ask for them takes them."""
        self.make_room: Callable[[], None] | None = None
        self.lag_ns = 0
        """How long the oldest record of the last turn had waited when all that follows from it was committed."""

    def recover(self) -> int:
        """Load the last snapshot and repeat what came after it; gives the number of repeated batches."""
        latest = snapshots.load_latest(self._snapshot_folder)
        since, forgotten = 0, list[str]()
        if latest is not None:
            since, parts = latest
            forgotten = self._pipeline.restore(parts)
        with reading(self._database) as conn:
            todo = manifest.since(conn, since)
            self._at = manifest.where_each_source_stands(conn)
            self._number = max(since, manifest.last_number(conn))
        for number, digest, taken in todo:
            outcome = self._pipeline.step(Batch(number, self._slices(taken)))
            if outcome.digest() != digest:
                self.differs.append(number)
                log.error("batch gave another outcome when it was repeated", extra={"batch": number})
            self._series.write(number, outcome.readings)
            self._heard.update(outcome.heard)
        for code, subject in self._pipeline.noticed():  # what was said before goes on, or is over in an hour
            if code in _CODES:
                self._remarks.begins(code, subject, self._now())
        if self.differs:
            self._remark(
                "repeat_differs", OWN, f"batches {self.differs[:20]} gave another outcome than before"
            )
        if forgotten:
            more = f" and {len(forgotten) - _NAMED} more" if len(forgotten) > _NAMED else ""
            self._remark("baseline_forgotten", OWN, ", ".join(forgotten[:_NAMED]) + more)
        return len(todo)

    def follow(self, number: int, slices: tuple[Slice, ...]) -> Outcome:
        """Take exactly these records as that batch, and commit: history told again."""
        outcome = self._pipeline.step(Batch(number, slices))
        self._commit(outcome, slices)
        self._series.write(outcome.batch, outcome.readings)
        return outcome

    def configure(self, plant: Plant) -> None:
        """Journal the plant document if it is not the one in force; it takes effect at its place in the stream.

        One of an earlier version than that in force is left: the file that Andon was started with first must not
        undo at each start what was imported or promoted since.
        """
        if plant == self._pipeline.plant:
            return
        if plant.version < self._pipeline.plant.version:
            log.warning(
                "an older plant document is left: import it to bring it into force",
                extra={"version": plant.version},
            )
            return
        body = json.dumps({"version": plant.version, "document": plant.model_dump(mode="json")}).encode()
        self.note([Record(RecordKind.CONFIG, self._now(), b"", body)])
        self._turn((OWN,))

    @property
    def plant(self) -> Plant:
        """The plant document in force."""
        return self._pipeline.plant

    def note(self, records: Sequence[Record]) -> None:
        """Put records into the engine's own journal; they are taken like all others."""
        self._lasting(lambda: self._journals[OWN].append(records))

    def noticed(self) -> Sequence[tuple[str, str]]:
        """The (code, subject) of the notices that hold, as far as has been taken."""
        return self._pipeline.noticed()

    def take_asked(self) -> int:
        """Take what people ask for: another plant document, their declarations, refused messages anew.

        Gives how many were looked at.

        Asked twice is taken once: only this thread takes, and nothing is looked up before all that was written has
        been taken. So what has been taken is never found here again, wherever a crash comes between.
        """
        while self._at.get(OWN, 0) < self._journals[OWN].end():
            self._turn((OWN,))
        with reading(self._database) as conn:
            documents = plants.asked(conn, self._now())
            declared = declarations.asked(conn, ASKED_AT_MOST)
            letters = deadletters.asked(conn, ASKED_AT_MOST)
        again, looked_at = self._originals(letters)
        said = (declarations.record(entry, self._now()) for entry in declared)
        records = [*documents, *said, *again]
        if records:
            self.note(records)
            self._turn((OWN,))
        return len(documents) + len(declared) + looked_at

    def _originals(self, letters: Sequence[DeadLetter]) -> tuple[list[Record], int]:
        """The records that take these messages anew, up to a bound, and how many were looked at."""
        again: list[Record] = []
        size = looked_at = 0
        for letter in letters:
            looked_at += 1
            journal = self._journals.get(letter.source)
            record = original(journal, letter.position) if journal else None
            if record is None or record.kind is not RecordKind.MESSAGE:
                with writing(self._database) as conn:
                    deadletters.unanswerable(conn, letter)
                continue
            again.append(wrap(letter, record, self._now()))
            size += len(record.body)
            if size >= REDRIVE_BYTES:
                break
        return again, looked_at

    def turn(self, *, tick: bool) -> Outcome | None:
        """Take what the sources have, then journal a tick if one is due and all is read; None if there was nothing."""
        before_ns = self._now()
        outcome = self._turn(sorted(self._journals))
        if tick and before_ns - self._last_tick_ns >= SECOND_NS and self.all_read:
            self._last_tick_ns = before_ns
            over = [
                notice(code, subject, before_ns, active=False, severity=1, detail="not seen for an hour")
                for code, subject in self._remarks.over(before_ns)
            ]
            self.note([*over, Record(RecordKind.TICK, before_ns, b"", b"")])
        return outcome

    def caught_up(self) -> bool:
        """Whether every record of every source has been taken (ticks aside)."""
        return all(
            self._at.get(source, 0) >= journal.end()
            for source, journal in self._journals.items()
            if source != OWN
        )

    def untaken(self) -> Mapping[str, int]:
        """How many records of each source have been written and not taken yet."""
        return {name: journal.end() - self._at.get(name, 0) for name, journal in self._journals.items()}

    def snapshot(self) -> Mapping[str, int]:
        """Save the state; gives the position of each source that will not be read again."""
        return self.keep(self.picture())

    def picture(self) -> Picture:
        """The state as it is now, to be kept."""
        return snapshots.picture(self._number, self._pipeline.snapshot()), dict(self._at)

    def keep(self, picture: Picture) -> Mapping[str, int]:
        """Save a picture, which may be done on another thread: most of it is waiting for the disk.

        Gives the position of each source that will not be read again.
        """
        state, at = picture
        self._series.sync()  # what the snapshot stands for is not repeated after a power cut
        snapshots.save(self._snapshot_folder, state)
        oldest = snapshots.oldest(self._snapshot_folder)
        with reading(self._database) as conn:
            every = manifest.since(conn, 0)
        kept = [batch for batch in every if batch[0] > oldest]
        self._keep_order([batch for batch in every if batch[0] <= oldest])
        with writing(self._database) as conn:
            manifest.forget_before(conn, oldest + 1)
            deadletters.keep_newest(conn, self._dead_letters_max)
        needed = dict(at)
        for _, _, taken in reversed(kept):
            needed.update({part.source: part.first for part in taken})
        return needed

    def _turn(self, sources: Iterable[str]) -> Outcome | None:
        began_s = time.thread_time()
        found = [
            take(self._journals[source], source, self._at.get(source, 0), self._most, bytes_max=TAKE_BYTES)
            for source in sources
        ]
        self.all_read = all(ended for _, _, ended in found)
        slices = tuple(part for part, _, _ in found if part.records)
        if not slices:
            return None
        outcome = self._pipeline.step(Batch(self._number + 1, slices))
        self._lasting(lambda: self._commit(outcome, slices))
        self.lag_ns = max(0, self._now() - min(part.records[0].received_ns for part in slices))
        self.rebirths += outcome.rebirths
        self._lasting(lambda: self._series.write(outcome.batch, outcome.readings))
        for part, damaged, _ in found:
            if damaged is not None:
                self._remark("journal_corrupt", part.source, damaged)
        self._most = _bounded(
            max(len(part.records) for part in slices), time.thread_time() - began_s, self._most
        )
        return outcome

    def _remark(self, code: str, subject: str, detail: str) -> None:
        """Journal a notice of our own, once while it holds."""
        if self._remarks.begins(code, subject, self._now()):
            self.note([notice(code, subject, self._now(), active=True, severity=_CODES[code], detail=detail)])

    def _lasting(self, write: Callable[[], T]) -> T:
        """Write, again and again while the disk is full: what has been taken cannot be taken back."""
        while True:
            try:
                return write()
            except (OSError, sqlite3.Error, SQLAlchemyError) as error:
                if self.make_room is None or not says_full(error):
                    raise
                self.make_room()

    def _slices(self, taken: Sequence[manifest.Taken]) -> tuple[Slice, ...]:
        """The records that a batch took."""
        return tuple(
            take(self._journals[part.source], part.source, part.first, part.after - part.first)[0]
            for part in taken
        )

    def _commit(self, outcome: Outcome, slices: Sequence[Slice]) -> None:
        taken = [manifest.Taken(part.source, part.first, part.first + len(part.records)) for part in slices]
        with writing(self._database) as conn:
            manifest.save(conn, outcome.batch, outcome.digest(), taken)
            if outcome.config is not None:
                plants.save(conn, outcome.config)
            deadletters.save(conn, outcome.dead_letters)
            deadletters.settle(conn, outcome.redriven, self._now())
            declarations.settle(conn, outcome.declared)
            self._take_declared(conn, outcome.declared, self._now())
            self._save_gaps(conn, outcome.gaps)
            self._keep_heard(conn, outcome)
            self._take_meters(conn, outcome.readings, self._pipeline.plant, self._now())
            folded = self._apply_findings(conn, outcome.findings, self._pipeline.plant, self._now())
            manifest.count(conn, self._counts(outcome, slices, folded))
        self._number = outcome.batch
        self._at.update({part.source: part.after for part in taken})

    def _keep_heard(self, conn: Connection, outcome: Outcome) -> None:
        """Keep which points were heard, once a second of the story: only the last word of each matters."""
        self._heard.update(outcome.heard)
        now_ns = self._now()
        if now_ns - self._heard_ns >= HEARD_EVERY_NS:
            self._save_heard(conn, self._heard)
            self._heard, self._heard_ns = {}, now_ns

    def _counts(
        self, outcome: Outcome, slices: Sequence[Slice], folded: Mapping[str, int]
    ) -> dict[str, Counter[str]]:
        stages: dict[str, Counter[str]] = {
            "detectors": Counter(str(finding.action) for finding in outcome.findings),
            "series": Counter(values=sum(len(block.at_ns) for block in outcome.readings)),
            "ticketing": Counter(folded),
        }
        for name, counts in outcome.counts.items():
            stages[f"source.{name}"] = Counter(counts)
        for part in slices:
            others = Counter(str(record.kind) for record in part.records if record.kind is not _MESSAGE)
            for kind, name in _COUNTED.items():
                stages.setdefault(f"source.{part.source}", Counter())[name] += others[kind]
        return stages


def _bounded(took: int, turn_s: float, before: int) -> int:
    """How many records a turn may take if it is to end in time, after one of so many that took so long."""
    if took < TAKE_AT_LEAST:
        return before
    return min(max(round(took * TURN_S / turn_s), TAKE_AT_LEAST), TAKE_AT_MOST)
