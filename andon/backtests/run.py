"""A back-test: an installation's history told through several detector sets at once, each with tickets of its own.

It reads what the installation keeps and writes into a scratch folder, so Andon may run meanwhile.
"""

import contextlib
import fnmatch
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from sqlalchemy import Engine as Database

from andon import history, plants
from andon.app import check_detectors
from andon.backtests import stored
from andon.backtests.sharing import Building, Listening, Shared
from andon.clock import StoryClock
from andon.config import ConfigError, unknown
from andon.database import open_database, reading, writing
from andon.datadir import open_store, store_at
from andon.detector_sets import ChangeSet, changed, differences
from andon.engine import OWN
from andon.events import Action, Finding
from andon.history import Recorded
from andon.pipeline import Batch, Pipeline, Slice
from andon.plant import DetectorSet, Plant
from andon.ports import Record, RecordKind
from andon.retelling import Span, batches_of, plant_before, slices_of, spans_of
from detectors import build
from detectors.features import features_of
from ingest.decode import MessageDecoder
from ingest.series import SeriesStore
from ticketing import retold, store
from ticketing.intake import apply
from ticketing.labels import Label, marked, of_tickets
from ticketing.problem import Problem
from ticketing.ticket import Ticket

ALL = 1_000_000
SEED = "replay"
Progress = Callable[[int, int], None]
"""Told how many of how many parts of the history are done."""


@dataclass(slots=True)
class Variant:
    """One detector set with its own pipeline and its own tickets."""

    name: str
    plant: Plant
    pipeline: Pipeline
    database: Database
    value: float | None = None
    findings: list[Finding] = field(default_factory=list)

    def takes(self, batch: Batch, assets: frozenset[str], now_ns: int) -> None:
        """One batch: detect, then ticket."""
        said = [f for f in self.pipeline.step(batch).findings if f.asset in assets]
        if not said:
            return
        self.findings += said
        with writing(self.database) as conn:
            apply(conn, said, self.pipeline.plant, now_ns)


@dataclass(frozen=True, slots=True)
class Reach:
    """What was told: from when, and from when on it came out of the journal, with everything in it."""

    assets: tuple[str, ...]
    told_ns: int
    journal_ns: int
    end_ns: int
    silent: list[dict[str, str]]


@dataclass(frozen=True, slots=True)
class Result:
    """All variants after the telling, the first of them the active one."""

    variants: Sequence[Variant]
    reach: Reach
    labels: Sequence[Label]
    shared: Shared

    def tickets(self, variant: Variant) -> Sequence[Ticket]:
        """Its tickets, oldest first."""
        with reading(variant.database) as conn:
            return store.tickets(conn, sort=store.Sort.OLDEST, limit=ALL).tickets

    def problems(self, variant: Variant) -> Sequence[Problem]:
        """Its root-cause tasks."""
        with reading(variant.database) as conn:
            return store.problems(conn, limit=ALL)


@contextlib.contextmanager
def told(
    data: Path,
    change: ChangeSet,
    *,
    assets: Sequence[str] = (),
    to_ns: int | None = None,
    progress: Progress = lambda _done, _all: None,
) -> Iterator[Result]:
    """Tell the history of a data directory up to `to_ns` through the active set, the changed one and a sweep's.

    `assets` are ids or globs; none means every asset that the change touches. ConfigError if the change cannot be
    made, changes nothing or touches none of these assets.
    """
    live = open_database(store_at(data))
    with reading(live) as conn:
        active = plants.latest(conn)
        if active is None:
            raise ConfigError(f"{data} has no plant document yet")
        was = store.tickets(conn, sort=store.Sort.OLDEST, limit=ALL).tickets
        labels = [*of_tickets(was), *marked(conn)]
    sets = _sets(active, change)
    chosen = _chosen(active, [plant for _, plant, _ in sets], assets)
    with contextlib.ExitStack() as stack:
        scratch = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="andon-backtest-")))
        shared = Shared(stored.WithStored(MessageDecoder()), features_of, build)
        variants = []
        for place, (name, plant, value) in enumerate(sets):
            building = Building(shared, place, frozenset(chosen))
            pipeline = Pipeline(Listening(shared, plant), building.features, building.detectors)
            variants.append(Variant(name, plant, pipeline, open_store(scratch / str(place)), value))
        teller = _Teller(data, live, shared, variants, chosen, was)
        reach = teller.tell(stack, to_ns, progress)
        mine = [label for label in labels if label.asset in chosen]
        yield Result(variants, reach, mine, shared)
        for variant in variants:
            variant.database.dispose()
    live.dispose()


def _sets(active: Plant, change: ChangeSet) -> list[tuple[str, Plant, float | None]]:
    """Name, plant and swept value of each variant."""
    sweep = change.sweep
    swept = [] if sweep is None else [(value, changed(active, change.at(value))) for value in sweep[1]]
    plain = [one for one in change.change if one.parameters or one.reset or one.add or one.remove]
    if plain or sweep is None:
        kept = tuple(one.model_copy(update={"sweep": {}}) for one in plain)
        main = changed(active, change.model_copy(update={"change": kept}))
    else:
        main = swept[0][1]
    sets: list[tuple[str, Plant, float | None]] = [("active", active, None), ("changed", main, None)]
    sets += [(f"sweep {value:g}", plant, value) for value, plant in swept]
    for _, plant, _ in sets[1:]:
        check_detectors(plant)
    return [sets[0], *((name, _next(active, plant), value) for name, plant, value in sets[1:])]


def _next(active: Plant, plant: Plant) -> Plant:
    """The document with the set's version that findings will name once it is promoted."""
    version = active.detector_set.version + 1
    return plant.model_copy(update={"detector_set": DetectorSet(version=version)})


def _chosen(active: Plant, others: Sequence[Plant], patterns: Sequence[str]) -> tuple[str, ...]:
    touched = {one.asset for other in others for one in differences(active, other)}
    if not touched:
        raise ConfigError("the change changes nothing: every detector stays as it is")
    if not patterns:
        return tuple(sorted(touched))
    ids = [asset.id for asset in active.assets]
    chosen = set[str]()
    for pattern in patterns:
        fits = fnmatch.filter(ids, pattern)
        if not fits:
            raise ConfigError(f"--assets: {unknown(pattern, ids)}")
        chosen |= set(fits)
    if not chosen & touched:
        raise ConfigError(
            f"the change touches none of {', '.join(patterns)}; it touches {', '.join(sorted(touched))}"
        )
    return tuple(sorted(chosen))


@dataclass(slots=True)
class _Teller:
    data: Path
    live: Database
    shared: Shared
    variants: Sequence[Variant]
    assets: tuple[str, ...]
    was: Sequence[Ticket]
    clock: StoryClock = field(default_factory=lambda: StoryClock(0))

    def tell(self, stack: contextlib.ExitStack, to_ns: int | None, progress: Progress) -> Reach:
        """The stored readings, then the journal."""
        order = list(history.recorded(self.data, self.live))
        spans = spans_of(self.data, stack, to_ns=to_ns)
        if OWN not in spans:
            raise ConfigError(f"{self.data} has no journal")
        batches = batches_of(order, spans)
        if not batches:
            raise ConfigError("nothing is kept of that time")
        journal_ns = _first_ns(spans, batches)
        deeds = iter(retold.deeds([one for one in self.was if one.asset in self.assets]))
        self._step(0, (Slice(SEED, 0, [self._seed(spans[OWN])]),))
        whole = all(span.first == 0 for span in spans.values())
        told_ns = journal_ns if whole else self._stored(stack, journal_ns)
        deed = next(deeds, None)
        for done, batch in enumerate(batches):
            slices = slices_of(spans, batch.taken)
            received = [record.received_ns for part in slices for record in part.records]
            self.clock.advance(max(received, default=0))
            while deed is not None and deed.at_ns <= self.clock():
                self._do(deed)
                deed = next(deeds, None)
            self._step(batch.number, slices)
            progress(done + 1, len(batches))
        silent = stored.not_judged(self._kinds()) if told_ns < journal_ns else []
        return Reach(self.assets, told_ns, journal_ns, self.clock(), silent)

    def _kinds(self) -> dict[str, list[str]]:
        """The kinds of all variants by asset."""
        kinds: dict[str, dict[str, None]] = {}
        for variant in self.variants:
            for asset in variant.plant.assets:
                if asset.id in self.assets:
                    watching = variant.plant.detectors_of(asset)
                    kinds.setdefault(asset.id, {}).update(dict.fromkeys(one.kind for one in watching))
        return {asset: list(found) for asset, found in kinds.items()}

    def _step(self, number: int, slices: tuple[Slice, ...]) -> None:
        self.shared.begin()
        for place, variant in enumerate(self.variants):
            if place:
                self.shared.again()
            variant.takes(Batch(number, slices), frozenset(self.assets), self.clock())

    def _do(self, deed: retold.Deed) -> None:
        for variant in self.variants:
            with writing(variant.database) as conn:
                retold.do(conn, deed)

    def _seed(self, own: Span) -> Record:
        with reading(self.live) as conn:
            found = plant_before(own, plants.latest(conn))
        assert found is not None  # noqa: S101 - a plant document is in force
        return found._replace(kind=RecordKind.CONFIG)

    def _stored(self, stack: contextlib.ExitStack, journal_ns: int) -> int:
        """Tell the readings from before the journal; gives from when on there are any."""
        if not (self.data / "series.sqlite").exists():
            return journal_ns
        series = SeriesStore(self.data / "series.sqlite", read_only=True)
        stack.callback(series.close)
        from_ns = stored.begins_ns(series, self.assets, journal_ns)
        if from_ns is None:
            return journal_ns
        decoder = self.shared.decoder
        assert isinstance(decoder, stored.WithStored)  # noqa: S101 - `told` made it
        with reading(self.live) as conn:
            minutes = stored.minutes(series, conn, self.assets, from_ns, journal_ns)
            for number, events in enumerate(minutes):
                decoder.minute = events
                at_ns = events[-1].origin.received_ns
                self.clock.advance(at_ns)
                self._step(0, (stored.slice_of(number, at_ns),))
        return from_ns


def _first_ns(spans: dict[str, Span], batches: Sequence[Recorded]) -> int:
    """When the first message that is kept was received."""
    for batch in batches:
        messages = [part for part in batch.taken if part.source != OWN]
        times = [record.received_ns for part in slices_of(spans, messages) for record in part.records[:1]]
        if times:
            return min(times)
    raise ConfigError("the journal holds no messages of that time")


def raised(findings: Sequence[Finding], end_ns: int) -> list[tuple[Finding, int]]:
    """Each finding that was raised, with when it was cleared, or the end."""
    standing: dict[tuple[str, str, str, str], int] = {}
    found: list[tuple[Finding, int]] = []
    for one in findings:
        key = one.asset, one.component, one.detector, one.condition
        if one.action is Action.RAISE:
            standing[key] = len(found)
            found.append((one, end_ns))
        elif one.action is Action.CLEAR and key in standing:
            place = standing.pop(key)
            found[place] = (found[place][0], one.at_ns)
    return found
