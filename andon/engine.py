"""The engine: takes batches from the journals, runs the pipeline, and writes what follows in one transaction.

One turn reads like the product: take, step, commit, keep the series. A restart loads the last snapshot and
repeats the batches after it, comparing instead of writing, before it goes on live.
"""

import json
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from andon import manifest, plants, snapshots
from andon.clock import Now
from andon.database import reading, writing
from andon.events import SECOND_NS, Finding, Gap, Json
from andon.pipeline import Batch, Outcome, Pipeline, Slice
from andon.plant import Plant
from andon.ports import CorruptRecord, DeadLetter, Journal, Record, RecordKind, SeriesSink

OWN = "engine"
"""The engine's own source: ticks and changes of configuration."""

TAKE_AT_MOST = 256  # records per source and batch: a waveform batch stays near 4 MB
HEARD_EVERY_S = 1.0
log = logging.getLogger(__name__)

ApplyFindings = Callable[[Connection, Sequence[Finding], Plant, int], Mapping[str, int]]
SaveDeadLetters = Callable[[Connection, Sequence[DeadLetter]], None]
SaveGaps = Callable[[Connection, Sequence[Gap]], None]
SaveHeard = Callable[[Connection, Mapping[tuple[str, str], tuple[int, str]]], None]


class TakeAndCommit:
    """The engine of one data directory. `journals` holds a reader per source and the writer of `OWN`."""

    def __init__(
        self,
        *,
        database: Database,
        journals: Mapping[str, Journal],
        pipeline: Pipeline,
        series: SeriesSink,
        apply_findings: ApplyFindings,
        save_dead_letters: SaveDeadLetters,
        save_gaps: SaveGaps,
        save_heard: SaveHeard,
        snapshot_folder: Path,
        now: Now,
    ) -> None:
        self._database = database
        self._journals = journals
        self._pipeline = pipeline
        self._series = series
        self._apply_findings = apply_findings
        self._save_dead_letters = save_dead_letters
        self._save_gaps = save_gaps
        self._save_heard = save_heard
        self._snapshot_folder = snapshot_folder
        self._now = now
        self._number = 0
        self._at: dict[str, int] = {}
        self._last_tick_ns = 0
        self._heard: dict[tuple[str, str], tuple[int, str]] = {}
        self._heard_s = 0.0
        self.differs: list[int] = []

    def recover(self) -> int:
        """Load the last snapshot and repeat what came after it; gives the number of repeated batches."""
        latest = snapshots.load_latest(self._snapshot_folder)
        since = 0
        if latest is not None:
            since, parts = latest
            self._pipeline.restore(parts)
        with reading(self._database) as conn:
            todo = manifest.since(conn, since)
            self._at = manifest.where_each_source_stands(conn)
            self._number = manifest.last_number(conn)
        for number, digest, taken in todo:
            slices = tuple(self._read(part.source, part.first, part.after - part.first) for part in taken)
            outcome = self._pipeline.step(Batch(number, slices))
            if outcome.digest() != digest:
                self.differs.append(number)
                log.error("batch gave another outcome when it was repeated", extra={"batch": number})
            self._series.write(number, outcome.readings)
            self._heard.update(outcome.heard)
        return len(todo)

    def configure(self, plant: Plant) -> None:
        """Journal the plant document if it is not the one in force; it takes effect at its place in the stream."""
        if plant == self._pipeline.plant:
            return
        body = json.dumps({"version": plant.version, "document": plant.model_dump(mode="json")}).encode()
        self._journals[OWN].append([Record(RecordKind.CONFIG, self._now(), b"", body)])
        self._turn((OWN,))

    def turn(self, *, tick: bool) -> Outcome | None:
        """Take what the sources have, then journal a tick if one is due and all is read; None if there was nothing."""
        before_ns = self._now()
        outcome = self._turn(sorted(self._journals))
        if tick and before_ns - self._last_tick_ns >= SECOND_NS and self.caught_up():
            self._last_tick_ns = before_ns
            self._journals[OWN].append([Record(RecordKind.TICK, before_ns, b"", b"")])
        return outcome

    def caught_up(self) -> bool:
        """Whether every record of every source has been taken (ticks aside)."""
        return all(
            self._at.get(source, 0) >= journal.end()
            for source, journal in self._journals.items()
            if source != OWN
        )

    def snapshot(self) -> Mapping[str, int]:
        """Save the state; gives the position of each source that will not be read again."""
        with reading(self._database) as conn:
            number = manifest.last_number(conn)
        snapshots.save(self._snapshot_folder, number, self._pipeline.snapshot())
        with writing(self._database) as conn:
            kept = manifest.since(conn, snapshots.oldest(self._snapshot_folder))
            manifest.forget_before(conn, snapshots.oldest(self._snapshot_folder) + 1)
        needed = dict(self._at)
        for _, _, taken in reversed(kept):
            needed.update({part.source: part.first for part in taken})
        return needed

    def _turn(self, sources: Iterable[str]) -> Outcome | None:
        slices = tuple(
            part for source in sources if (part := self._read(source, self._at.get(source, 0))).records
        )
        if not slices:
            return None
        outcome = self._pipeline.step(Batch(self._number + 1, slices))
        self._commit(outcome, slices)
        self._series.write(outcome.batch, outcome.readings)
        return outcome

    def _commit(self, outcome: Outcome, slices: Sequence[Slice]) -> None:
        taken = [manifest.Taken(part.source, part.first, part.first + len(part.records)) for part in slices]
        with writing(self._database) as conn:
            manifest.save(conn, outcome.batch, outcome.digest(), taken)
            if outcome.config is not None:
                plants.save(conn, outcome.config)
            self._save_dead_letters(conn, outcome.dead_letters)
            self._save_gaps(conn, outcome.gaps)
            self._keep_heard(conn, outcome)
            folded = self._apply_findings(conn, outcome.findings, self._pipeline.plant, self._now())
            for stage, counts in self._counts(outcome, folded).items():
                manifest.count(conn, stage, counts)
            for part in slices:
                gap_records = sum(record.kind == RecordKind.GAP for record in part.records)
                manifest.count(conn, f"source.{part.source}", {"gap_records": gap_records})
        self._number = outcome.batch
        self._at.update({part.source: part.after for part in taken})

    def _keep_heard(self, conn: Connection, outcome: Outcome) -> None:
        """Keep which points were heard, once a second: between two looks only the last word of each matters."""
        self._heard.update(outcome.heard)
        now_s = time.monotonic()
        if now_s - self._heard_s >= HEARD_EVERY_S:
            self._save_heard(conn, self._heard)
            self._heard, self._heard_s = {}, now_s

    def _counts(self, outcome: Outcome, folded: Mapping[str, int]) -> dict[str, Mapping[str, int]]:
        stages: dict[str, Mapping[str, int]] = {
            f"source.{name}": counts for name, counts in outcome.counts.items()
        }
        stages["detectors"] = Counter(str(finding.action) for finding in outcome.findings)
        stages["series"] = {"values": sum(len(block.at_ns) for block in outcome.readings)}
        stages["ticketing"] = folded
        return stages

    def _read(self, source: str, first: int, limit: int = TAKE_AT_MOST) -> Slice:
        """Records from `first` on; one that is corrupt stands as a refusal, so that nothing is passed over silently."""
        records: list[Record] = []
        while len(records) < limit:
            try:
                more = self._journals[source].read(first + len(records), limit - len(records))
            except CorruptRecord as error:
                more = [_corrupt(error)] * min(error.resume - error.position, limit - len(records))
            if not more:
                break
            records.extend(more)
        return Slice(source, first, records)


def _corrupt(error: CorruptRecord) -> Record:
    refusal: dict[str, Json] = {
        "reason": "record_corrupt",
        "length": 0,
        "sha256": "",
        "head": "",
        "detail": str(error),
    }
    return Record(RecordKind.REFUSED, 0, b"", json.dumps(refusal).encode())
