"""The flow in one place: records become events, features, findings. It reads no clock and does no I/O.

Restarting is repeating: the same batches through the same pipeline give the same outcome, bit for bit, so
the engine replays what it had done since its last snapshot and compares (design law 5).
"""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from andon.config import check
from andon.events import (
    SECOND_NS,
    ConfigChanged,
    Declaration,
    Event,
    Finding,
    Gap,
    GapCause,
    Json,
    Notice,
    Origin,
    Readings,
    StopAlarm,
    Tick,
    Waveform,
)
from andon.latest import Latest
from andon.maintained import Maintained
from andon.own_findings import kind_of, of_failure, of_notice
from andon.plant import Asset, Plant, Point
from andon.ports import DeadLetter, Decoder, Detector, Record, RecordKind, State
from andon.redrive import Redriven, unwrap
from andon.taken_up import name_of, take_up

_HEARD = frozenset({RecordKind.MESSAGE, RecordKind.REFUSED, RecordKind.GAP})
BuildDetectors = Callable[[Asset, Plant], Sequence[Detector]]
FeaturesOf = Callable[[Waveform, Point | None], Readings]
AsDeclared = Callable[[Sequence[Event], Callable[[str, str], Point | None]], Sequence[Event]]


def _as_they_are(events: Sequence[Event], _: Callable[[str, str], Point | None]) -> Sequence[Event]:
    return events


@dataclass(frozen=True, slots=True)
class Slice:
    """A run of records of one source, the first of them at position `first`."""

    source: str
    first: int
    records: Sequence[Record]


@dataclass(frozen=True, slots=True)
class Batch:
    """What one engine transaction works on, in this order: the manifest records it."""

    number: int
    slices: tuple[Slice, ...]


@dataclass(slots=True)
class Outcome:
    """All that follows from one batch, to be written in one transaction."""

    batch: int
    readings: list[Readings] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    redriven: list[tuple[str, int]] = field(default_factory=list)
    rebirths: list[tuple[str, str]] = field(default_factory=list)
    config: ConfigChanged | None = None
    declared: list[Declaration] = field(default_factory=list)
    heard: dict[tuple[str, str], tuple[int, str]] = field(default_factory=dict)
    """(asset, point) -> when it was last received and from which source."""

    def digest(self) -> str:
        """What a repeat of this batch has to give again: counts, and every finding's words and numbers."""
        said = [
            [f.id, f.condition, f.action, f.at_ns, f.severity, [[n.name, n.value] for n in f.numbers]]
            for f in self.findings
        ]
        counted = {source: sorted(counts.items()) for source, counts in sorted(self.counts.items())}
        return hashlib.sha256(json.dumps([said, counted]).encode()).hexdigest()


class Pipeline:
    """Decode, watch the sources, make features, detect: one `step` per batch."""

    def __init__(
        self,
        decoder: Decoder,
        features_of: FeaturesOf,
        build_detectors: BuildDetectors,
        as_declared: AsDeclared = _as_they_are,
    ) -> None:
        self._decoder = decoder
        self._features_of = features_of
        self._build_detectors = build_detectors
        self._as_declared = as_declared
        self._plant = Plant(name="")
        self._config: ConfigChanged | None = None
        self._detectors: dict[str, Sequence[Detector]] = {}
        self._failed: set[tuple[str, int]] = set()
        self._latest = Latest()
        self._heard: dict[str, int] = {}  # source -> when its last record was received
        self._away: dict[str, int] = {}  # source -> since when it is silent
        self._noticed: dict[str, int] = {}  # code.subject -> since when it is active
        self._fed_by: dict[str, set[str]] = {}  # asset -> the sources it was heard from
        self._maintained = Maintained()

    @property
    def plant(self) -> Plant:
        """The plant document in force at this position of the stream."""
        return self._plant

    def noticed(self) -> list[tuple[str, str]]:
        """The (code, subject) of the notices that hold."""
        return [(code, subject) for code, _, subject in (key.partition(".") for key in self._noticed)]

    def step(self, batch: Batch) -> Outcome:
        """One batch from bytes to findings."""
        outcome = Outcome(batch.number)
        for part in batch.slices:
            for gap in self._heard_from(part):
                self._take(gap, outcome)
            first = 0
            for at, record in enumerate(part.records):
                redriven = unwrap(record) if record.kind is RecordKind.REDRIVE else None
                if redriven is not None:
                    self._run(Slice(part.source, part.first + first, part.records[first:at]), outcome)
                    self._again(redriven, outcome)
                    first = at + 1
            self._run(Slice(part.source, part.first + first, part.records[first:]), outcome)
        return outcome

    def _run(self, part: Slice, outcome: Outcome) -> None:
        decoded = self._decoder.decode(part.source, part.first, part.records)
        outcome.counts.setdefault(part.source, Counter()).update(decoded.counts)
        outcome.dead_letters.extend(decoded.dead_letters)
        outcome.rebirths.extend(decoded.rebirths)
        for event in self._as_declared(decoded.events, self._point_of):
            self._take(event, outcome)

    def _point_of(self, asset_id: str, point_id: str) -> Point | None:
        asset = self._plant.asset(asset_id)
        return asset.point(point_id) if asset else None

    def _again(self, redriven: Redriven, outcome: Outcome) -> None:
        """A refused message as if it came now; it was counted when it came, so that count is taken back."""
        before = len(outcome.dead_letters)
        self._run(Slice(redriven.source, redriven.position, [redriven.record]), outcome)
        counts = outcome.counts[redriven.source]
        counts["received"] -= 1
        counts[f"refused.{redriven.reason}"] -= 1
        if len(outcome.dead_letters) == before:
            counts["redriven"] += 1
            outcome.redriven.append((redriven.source, redriven.position))

    def _take(self, event: Event, outcome: Outcome) -> None:
        counts = outcome.counts.setdefault(event.origin.source, Counter())
        match event:
            case ConfigChanged():
                self._configure(event)
                self._tell_maintenance(outcome)
                outcome.config = event
            case Tick():
                for gap in self._silent_sources(event):
                    self._take(gap, outcome)
                self._detect_everywhere(event, outcome)
            case Gap():
                outcome.gaps.append(event)
                self._spread(event, outcome)
            case Notice():
                self._say(of_notice(event, self._noticed), outcome)
            case Declaration():
                counts["declared"] += 1
                outcome.declared.append(event)
                self._maintained.take(event)
                self._detect(event.asset, event, outcome)
            case Readings():
                self._feeds(event, outcome, event.channels)
                outcome.readings.append(event)
                in_order = self._latest.in_order(event, counts)
                if in_order is not None:
                    self._detect(event.asset, in_order, outcome)
            case Waveform():
                self._waveform(event, outcome, counts)
            case _:
                self._feeds(event, outcome)
                self._detect(event.asset, event, outcome)

    def _waveform(self, event: Waveform, outcome: Outcome, counts: Counter[str]) -> None:
        self._feeds(event, outcome, (event.point,))
        features = self._features_of(event, self._point_of(event.asset, event.point))
        outcome.readings.append(features)
        if event.historical:
            counts["historical"] += 1
            return
        if not self._latest.is_newest(event.asset, event.point, event.at_ns):
            counts["late"] += 1
            return
        self._detect(event.asset, event, outcome)  # its speed is known before its features are judged
        self._detect(event.asset, features, outcome)

    def _feeds(
        self, event: Readings | Waveform | StopAlarm, outcome: Outcome, channels: Sequence[str] = ()
    ) -> None:
        """Note which source speaks of the asset, and that the points of these channels were heard."""
        self._fed_by.setdefault(event.asset, set()).add(event.origin.source)
        for channel in channels:
            point = channel.partition("/")[0]
            outcome.heard[event.asset, point] = (event.origin.received_ns, event.origin.source)

    def _tell_maintenance(self, outcome: Outcome) -> None:
        """Detectors that have just begun do not know what is being maintained; the others hear nothing new."""
        for begun in self._maintained.standing():
            self._detect(begun.asset, begun, outcome)

    def _detect_everywhere(self, event: Event, outcome: Outcome) -> None:
        for asset_id in self._detectors:
            self._detect(asset_id, event, outcome)

    def _spread(self, gap: Gap, outcome: Outcome) -> None:
        for asset_id in self._detectors:
            if gap.asset == asset_id or (gap.asset is None and gap.source in self._fed_by.get(asset_id, ())):
                self._detect(asset_id, gap, outcome)

    def _detect(self, asset_id: str, event: Event, outcome: Outcome) -> None:
        for index, detector in enumerate(self._detectors.get(asset_id, ())):
            if (asset_id, index) in self._failed:
                continue
            try:
                self._say(detector.update(event), outcome)
            except Exception as error:  # noqa: BLE001 - one broken detector must not stop the line (fault 73)
                self._failed.add((asset_id, index))
                self._say([of_failure(asset_id, detector, event, error)], outcome)

    def _say(self, findings: Sequence[Finding], outcome: Outcome) -> None:
        """Each finding names the version of the detector set that made it."""
        version = self._plant.detector_set.version
        outcome.findings.extend(replace(finding, set_version=version) for finding in findings)

    def _configure(self, event: ConfigChanged) -> None:
        """Take the plant document into force: detectors that stay as they are keep their state.

        A detector with other parameters goes on from what the one before it had learned and said, so that a baseline
        stays frozen (law 6); how a baseline is learned then counts from the next time it is learned.
        """
        before, self._plant = self._plant, check(Plant, dict(event.document), "plant")
        self._config = event
        kept, failed = {}, set[tuple[str, int]]()
        for asset in self._plant.assets:
            kept[asset.id], still = self._detectors_for(asset, before)
            failed |= {(asset.id, index) for index in still}
        self._detectors, self._failed = kept, failed

    def _detectors_for(self, asset: Asset, before: Plant) -> tuple[Sequence[Detector], set[int]]:
        """The detectors of an asset from here on, and which of them are switched off because they failed."""
        machine, settings = before.asset(asset.id), self._plant.detectors_of(asset)
        old = self._detectors.get(asset.id, ())
        off = {index for name, index in self._failed if name == asset.id}
        if machine is None or not _same_machine(machine, asset):
            return self._build_detectors(asset, self._plant), set()
        were = before.detectors_of(machine)
        if were == settings and asset.id in self._detectors:
            return old, off
        made = list(self._build_detectors(asset, self._plant))
        places = {setting.kind: index for index, setting in enumerate(were[: len(old)])}
        still = set()
        for index, setting in enumerate(settings[: len(made)]):
            at = places.pop(setting.kind, None)
            if at is None:
                continue
            if were[at] == setting:
                made[index] = old[at]
                if at in off:
                    still.add(index)
            elif at not in off:
                made[index].restore(old[at].snapshot())
        return made, still

    def _heard_from(self, part: Slice) -> list[Gap]:
        """Note that the source spoke; if it had been away, noticed or not, the gap it leaves."""
        heard = next((record for record in part.records if _is_heard(record)), None)
        if heard is None:
            return []  # the engine's own source says nothing of the plant
        received_ns = heard.received_ns
        origin = Origin(part.source, part.first, received_ns)
        heard_ns = self._heard.get(part.source, received_ns)
        self._heard[part.source] = next(
            record.received_ns for record in reversed(part.records) if _is_heard(record)
        )
        from_ns = self._away.pop(part.source, None)
        if from_ns is None and received_ns - heard_ns >= self._silent_ns:
            from_ns = heard_ns  # nobody ticked meanwhile: the engine was away as well
        if from_ns is None:
            return []
        return [Gap(part.source, None, None, from_ns, received_ns, GapCause.SOURCE_SILENT, False, origin)]

    def _silent_sources(self, tick: Tick) -> list[Gap]:
        """The sources that have said nothing for too long: connected is not alive (law 9)."""
        silent = []
        for source, heard_ns in self._heard.items():
            if (
                source == tick.origin.source
                or source in self._away
                or tick.at_ns - heard_ns < self._silent_ns
            ):
                continue
            self._away[source] = heard_ns
            silent.append(Gap(source, None, None, heard_ns, None, GapCause.SOURCE_SILENT, False, tick.origin))
        return silent

    @property
    def _silent_ns(self) -> int:
        return int(self._plant.source_silent_s * SECOND_NS)

    def snapshot(self) -> dict[str, State]:
        """All state by part: `pipeline`, `decoder`, and `detector/<asset>/<index>`."""
        config = self._config
        own: dict[str, Json] = {
            "latest": self._latest.snapshot(),
            "heard": self._heard,
            "away": self._away,
            "noticed": self._noticed,
            "fed_by": {asset: sorted(sources) for asset, sources in self._fed_by.items()},
            "failed": sorted(self._failed),
            "maintained": self._maintained.snapshot(),
            "kinds": {asset: [kind_of(one) for one in those] for asset, those in self._detectors.items()},
            "config": config
            and [
                config.at_ns,
                config.version,
                config.document,
                config.origin.source,
                config.origin.position,
                config.origin.received_ns,
            ],
        }
        parts: dict[str, State] = {"pipeline": own, "decoder": self._decoder.snapshot()}
        for asset_id, detectors in self._detectors.items():
            for index, detector in enumerate(detectors):
                parts[name_of(asset_id, index)] = detector.snapshot()
        return parts

    def restore(self, parts: Mapping[str, State]) -> list[str]:
        """Go on exactly where `snapshot` was taken; gives the asset and kind of what an earlier version knew in vain."""
        own: Mapping[str, Json] = parts["pipeline"]
        if own["config"] is not None:
            at_ns, version, document, source, position, received_ns = own["config"]
            self._configure(ConfigChanged(at_ns, version, document, Origin(source, position, received_ns)))
        self._latest.restore(own["latest"])
        self._heard = dict(own["heard"])
        self._away = dict(own["away"])
        self._noticed = dict(own["noticed"])
        fed_by: dict[str, list[str]] = own["fed_by"]
        self._fed_by = {asset: set(sources) for asset, sources in fed_by.items()}
        self._maintained.restore(own.get("maintained", ()))  # a snapshot of an earlier version has none
        self._decoder.restore(parts["decoder"])
        failed = {(asset_id, index) for asset_id, index in own["failed"]}
        self._failed, forgotten = take_up(self._detectors, parts, own.get("kinds", {}), failed)
        return forgotten


def _same_machine(one: Asset, other: Asset) -> bool:
    """Whether nothing has changed but which detectors watch it."""
    return one.model_copy(update={"detectors": ()}) == other.model_copy(update={"detectors": ()})


def _is_heard(record: Record) -> bool:
    """Whether the record says that its source is alive; nobody knows when a corrupt one was received."""
    return record.kind in _HEARD and record.received_ns > 0
