"""Law 5: a restart repeats itself exactly, however the sources' records were interleaved and wherever it was killed."""

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from decoder_words import T0, stop, telemetry
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small_line import FLOOR, SmallLine
from sqlalchemy import Engine as Database
from sqlalchemy import update

from andon import manifest, snapshots
from andon.clock import Now
from andon.database import reading, writing
from andon.engine import OWN, TakeAndCommit
from andon.events import Action, Event, Family, Finding, Readings, StopAlarm, Waveform
from andon.history import keep
from andon.pipeline import Batch, Pipeline
from andon.plant import Asset, Plant, Point
from andon.ports import Journal, State
from detectors import build
from ingest import freshness, gaps
from ingest.decode import MessageDecoder
from ingest.series import SeriesStore
from ticketing import maintenance
from ticketing.plans.readings import Feeding
from ticketing.service import Tickets

MS = 1_000_000
SOURCES = ("a", "b", "c")


class OrderMatters:
    """Says a finding for every third event, made of all that came before in the order in which it came."""

    def __init__(self) -> None:
        self._seen = 0
        self._said = "0" * 64

    def update(self, event: Event) -> Sequence[Finding]:
        if not isinstance(event, Readings | StopAlarm):
            return ()
        values = event.value.tolist() if isinstance(event, Readings) else [event.reason_id, event.active]
        findings = []
        for value in values:
            self._seen += 1
            self._said = hashlib.sha256(f"{self._said}{value}".encode()).hexdigest()
            if self._seen % 3 == 0:
                findings.append(self._finding(event))
        return findings

    def _finding(self, event: Readings | StopAlarm) -> Finding:
        return Finding(
            id=self._said[:32],
            asset=event.asset,
            component="order",
            family=Family.MACHINE_CONDITION,
            condition="order",
            action=Action.RAISE,
            at_ns=event.origin.received_ns,
            onset_ns=event.origin.received_ns,
            severity=int(self._said[:2], 16) + 1,
            confidence=1.0,
            numbers=(),
            evidence={},
            detector="order",
            version="1",
            parameters_hash="",
            origin=event.origin,
        )

    def snapshot(self) -> State:
        return {"seen": self._seen, "said": self._said}

    def restore(self, state: State) -> None:
        self._seen, self._said = int(state["seen"]), str(state["said"])


def no_features(waveform: Waveform, point: Point | None) -> Readings:
    raise AssertionError(f"{waveform} {point}: there are no waveforms here")


def detectors_of(asset: Asset, plant: Plant) -> list[OrderMatters]:
    assert build(asset, plant)
    return [OrderMatters()]


def engine_of(
    data: Path,
    journals: Mapping[str, Journal],
    database: Database,
    now: Now,
    kind: type[TakeAndCommit] = TakeAndCommit,
) -> TakeAndCommit:
    return kind(
        database=database,
        journals=journals,
        pipeline=Pipeline(MessageDecoder(), no_features, detectors_of),
        series=SeriesStore(data / "series.sqlite"),
        apply_findings=Tickets(database, photos=data / "photos").apply,
        take_declared=maintenance.take,
        save_gaps=gaps.save,
        save_heard=freshness.save,
        take_meters=Feeding().take,
        snapshot_folder=data / "snapshots",
        keep_order=lambda batches: keep(data, batches, now(), 2**62),
        dead_letters_max=1000,
        now=now,
    )


class InItsOwnOrder(TakeAndCommit):
    """The mutant: it repeats the same records, source by source, as a program without a manifest would."""

    def recover(self) -> int:
        latest = snapshots.load_latest(self._snapshot_folder)
        since = 0
        if latest is not None:
            since, parts = latest
            self._pipeline.restore(parts)
        with reading(self._database) as conn:
            todo = manifest.since(conn, since)
            self._at = manifest.where_each_source_stands(conn)
            self._number = max(since, manifest.last_number(conn))
        wanted = [digest for _, digest, _ in todo]
        taken = sorted(
            (part for _, _, parts in todo for part in parts), key=lambda part: (part.source, part.first)
        )
        repeated = [self._pipeline.step(Batch(0, self._slices([part]))).digest() for part in taken]
        self.differs = [] if repeated == wanted else [since + 1]
        return len(todo)


def without_manifest(
    data: Path, journals: Mapping[str, Journal], database: Database, now: Now
) -> TakeAndCommit:
    return engine_of(data, journals, database, now, InItsOwnOrder)


RECEIVES = st.tuples(st.sampled_from(SOURCES), st.integers(1, 4), st.booleans())
STEPS = st.lists(
    RECEIVES | st.sampled_from(["turn", "turn", "tick", "snapshot", "kill"]), min_size=1, max_size=30
)


def tell(line: SmallLine, steps: Sequence[object], *, kill: bool) -> SmallLine:
    """The story; a kill that is left out leaves nothing else out."""
    sent = 0
    for step in steps:
        if isinstance(step, tuple):
            source, count, stops = step
            for _ in range(count):
                sent += 1
                at_ns = T0 + sent * MS
                asset = ("M1", "M2")[sent % 2]
                said = stop(f"E{sent % 3}", asset=asset, at_ns=at_ns, id=f"s{sent // 2}")
                line.receives(source, said if stops else telemetry(sent, asset=asset, at_ns=at_ns))
        elif step == "turn":
            line.engine.turn(tick=False)
        elif step == "tick":
            line.now.advance(line.now() + 1000 * MS)
            line.engine.turn(tick=True)
        elif step == "snapshot":
            line.engine.snapshot()
        elif kill:
            line = line.killed()
            assert line.engine.differs == []
    return line.works()


def state_of(line: SmallLine) -> object:
    parts = line.engine._pipeline.snapshot()
    return {
        name: {key: value.tolist() if isinstance(value, np.ndarray) else value for key, value in part.items()}
        for name, part in parts.items()
    }


def outcome(line: SmallLine) -> object:
    """All that followed: counters, dead letters, tickets with their events, and the whole state."""
    counts = {source: dict(line.counts(source)) for source in SOURCES}
    return counts, line.letters(), line.tickets(), line.journals[OWN].end(), state_of(line)


def lines(folder: str, make: object = engine_of) -> SmallLine:
    return SmallLine(Path(folder), *SOURCES, make=make).configured(FLOOR)  # type: ignore[arg-type]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(STEPS)
def test_a_line_that_is_killed_again_and_again_ends_where_one_ends_that_never_was(
    steps: list[object],
) -> None:
    with TemporaryDirectory() as one, TemporaryDirectory() as other:
        whole, killed = tell(lines(one), steps, kill=False), tell(lines(other), [*steps, "kill"], kill=True)
        assert outcome(killed) == outcome(whole)
        for line in (whole, killed):
            for journal in line.journals.values():
                journal.close()
            line.database.dispose()


def test_without_the_recorded_order_a_restart_gives_something_else() -> None:
    steps = [("c", 2, False), "turn", ("a", 2, False), "turn", ("b", 2, True), "turn"]
    with TemporaryDirectory() as folder:
        line = tell(lines(folder, without_manifest), steps, kill=False).killed()
        assert line.engine.differs
    with TemporaryDirectory() as folder:
        line = tell(lines(folder), steps, kill=False).killed()
        assert line.repeated == 4
        assert line.engine.differs == []


def test_a_repeat_that_differs_is_a_notice(tmp_path: Path) -> None:
    line = tell(lines(str(tmp_path)), [("c", 2, False), "turn", ("a", 2, False), "turn"], kill=False)
    with writing(line.database) as conn:
        conn.execute(update(manifest.batches).where(manifest.batches.c.number == 2).values(digest="another"))
    again = line.killed().works()
    assert again.engine.differs == [2]
    assert ("repeat_differs", OWN) in again.engine.noticed()
    assert [ticket[:2] for ticket in again.tickets()] == [("andon", "repeat_differs.engine")]


def test_a_line_that_stops_right_after_its_first_snapshot_goes_on_counting_its_batches(
    tmp_path: Path,
) -> None:
    line = tell(lines(str(tmp_path)), [("a", 1, False), "turn", "snapshot"], kill=False)
    last = line.engine._number
    again = tell(line.killed(), [("a", 1, False), "turn"], kill=False)
    assert again.engine._number == last + 1
    assert tell(again, ["kill"], kill=True).repeated == 1
