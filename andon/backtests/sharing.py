"""What the variants of a back-test share: decoding, features, and every detector whose settings are the same.

The first variant does the work, the others are told what came of it. That is exact, because a detector is a
function of its events (law 4); it makes another variant cost only what differs.
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field, replace
from time import perf_counter
from typing import Generic, TypeVar

import numpy as np

from andon.detector_sets import with_detectors
from andon.events import ConfigChanged, Event, Finding, Readings, Waveform
from andon.pipeline import BuildDetectors, FeaturesOf
from andon.plant import Asset, Plant, Point
from andon.ports import Decoded, Decoder, Detector, Record, State

T = TypeVar("T")


class Once(Generic[T]):
    """Results of one batch: the first variant makes them, the others take them in the same order."""

    def __init__(self) -> None:
        self._made: list[T] = []
        self._next = 0
        self.makes = True

    def get(self, make: Callable[[], T]) -> T:
        """The next result."""
        if self.makes:
            self._made.append(make())
            return self._made[-1]
        self._next += 1
        return self._made[self._next - 1]

    def again(self) -> None:
        """Another variant begins with the batch."""
        self.makes, self._next = False, 0

    def begin(self) -> None:
        """The next batch begins with the first variant."""
        self._made, self._next, self.makes = [], 0, True


@dataclass(slots=True)
class Kept:
    """A detector of the first variant, and what it said in this batch: by the number of the event it heard."""

    detector: Detector
    heard: int = 0
    said: dict[int, Sequence[Finding] | Exception] = field(default_factory=dict)


@dataclass(slots=True)
class Shared:
    """All that is shared; `cost_s` is the processor time of each (variant, kind)."""

    decoder: Decoder
    features_of: FeaturesOf
    build: BuildDetectors
    decoded: Once[Decoded] = field(default_factory=Once)
    features: Once[Readings] = field(default_factory=Once)
    kept: list[Kept] = field(default_factory=list)
    made: dict[Hashable, list[Kept]] = field(default_factory=lambda: defaultdict(list))
    """Those that the first variant began with in this batch."""
    batch: int = 0
    cost_s: dict[tuple[int, str], float] = field(default_factory=lambda: defaultdict(float))

    def begin(self) -> None:
        """The first variant takes the next batch."""
        self.decoded.begin()
        self.features.begin()
        self.batch += 1
        self.made.clear()
        for kept in self.kept:
            kept.said.clear()

    def again(self) -> None:
        """Another variant takes the same batch."""
        self.decoded.again()
        self.features.again()


class Listening:
    """The decoder of one variant: every plant document of the history gets this variant's detectors."""

    def __init__(self, shared: Shared, plant: Plant) -> None:
        self._shared, self._plant = shared, plant

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        """What the records say, with this variant's detectors."""
        decoded = self._shared.decoded.get(lambda: self._shared.decoder.decode(source, position, records))
        if not any(isinstance(event, ConfigChanged) for event in decoded.events):
            return decoded
        return replace(decoded, events=[self._with_detectors(event) for event in decoded.events])

    def snapshot(self) -> State:
        """A back-test keeps no state."""
        return {}

    def restore(self, state: State) -> None:
        """A back-test begins anew."""

    def _with_detectors(self, event: Event) -> Event:
        if not isinstance(event, ConfigChanged):
            return event
        then = with_detectors(Plant.model_validate(dict(event.document)), self._plant)
        return replace(event, document=then.model_dump(mode="json"))


@dataclass(slots=True)
class Building:
    """Gives one variant its detectors, of the chosen assets only: its own ones, or the first variant's."""

    shared: Shared
    place: int
    assets: frozenset[str]
    taken: Counter[tuple[int, Hashable]] = field(default_factory=Counter)

    def features(self, waveform: Waveform, point: Point | None) -> Readings:
        """The features of a block; those of assets that nobody asked for are not looked at, so they are empty."""
        if waveform.asset in self.assets:
            return self.shared.features.get(lambda: self.shared.features_of(waveform, point))
        return _nothing(waveform)

    def detectors(self, asset: Asset, plant: Plant) -> Sequence[Detector]:
        """The detectors of an asset."""
        if asset.id not in self.assets:
            return []
        settings = plant.detectors_of(asset)
        machine = asset.model_copy(update={"detectors": ()}).model_dump_json()
        made = self.shared.build(asset, plant)
        found: list[Detector] = []
        for setting, detector in zip(settings, made, strict=True):
            key = (machine, setting.model_dump_json())
            found.append(self._one(key, setting.kind, detector))
        return found

    def _one(self, key: Hashable, kind: str, detector: Detector) -> Detector:
        if self.place == 0:
            kept = Kept(detector)
            self.shared.kept.append(kept)
            self.shared.made[key].append(kept)
            return First(kept, kind, self.shared.cost_s)
        begun = self.taken[self.shared.batch, key]
        if begun < len(self.shared.made[key]):
            self.taken[self.shared.batch, key] += 1
            return Again(self.shared.made[key][begun], kind)
        return Own(detector, self.place, kind, self.shared.cost_s)


def _nothing(waveform: Waveform) -> Readings:
    """No features."""
    none = np.zeros(0)
    return Readings(
        asset=waveform.asset,
        channels=(),
        units=(),
        at_ns=none.astype(np.int64),
        channel=none.astype(np.int32),
        value=none,
        quality=none.astype(np.uint32),
        origin=waveform.origin,
    )


class Own:
    """A detector that only this variant has; its processor time is counted."""

    def __init__(
        self, detector: Detector, place: int, kind: str, cost_s: dict[tuple[int, str], float]
    ) -> None:
        self.kind = kind
        self._detector, self._of, self._cost_s = detector, (place, kind), cost_s

    def update(self, event: Event) -> Sequence[Finding]:
        """What the detector says."""
        began_s = perf_counter()
        try:
            return self._detector.update(event)
        finally:
            self._cost_s[self._of] += perf_counter() - began_s

    def snapshot(self) -> State:
        """The detector's own."""
        return self._detector.snapshot()

    def restore(self, state: State) -> None:
        """The detector's own."""
        self._detector.restore(state)


class First(Own):
    """A detector of the first variant, which remembers what it says while the batch lasts."""

    def __init__(self, kept: Kept, kind: str, cost_s: dict[tuple[int, str], float]) -> None:
        super().__init__(kept.detector, 0, kind, cost_s)
        self._kept = kept

    def update(self, event: Event) -> Sequence[Finding]:
        """What the detector says; what it fails with is remembered too."""
        self._kept.heard += 1
        try:
            said = super().update(event)
        except Exception as error:
            self._kept.said[self._kept.heard] = error
            raise
        if said:
            self._kept.said[self._kept.heard] = said
        return said


class Again:
    """A detector that another variant shares with the first: it repeats what that one said."""

    def __init__(self, kept: Kept, kind: str) -> None:
        self.kind = kind
        self._kept, self._heard = kept, 0

    def update(self, _event: Event) -> Sequence[Finding]:
        """What the first variant's detector said to the same event."""
        self._heard += 1
        said = self._kept.said.get(self._heard, ())
        if isinstance(said, Exception):
            raise said
        return said

    def snapshot(self) -> State:
        """Nothing: the first variant has it."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing: the first variant does it."""
