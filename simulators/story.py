"""The story of one seed: what happens to each machine, known from wherever it is picked up."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from andon.events import HOUR_NS
from simulators.chapters import Cast, cast, chapter
from simulators.episodes import Chapter, Degradation, LoadStep
from simulators.mes import Stop


@dataclass(slots=True)
class Story:
    """All episodes from `start_ns` on. It grows hour by hour as somebody asks for later times, and never changes."""

    seed: int
    start_ns: int
    healthy: bool = False
    cast: Cast = field(init=False)
    chapters: list[Chapter] = field(init=False, default_factory=list)
    _stops: dict[str, list[Stop]] = field(init=False, default_factory=dict)
    _degradations: dict[str, list[Degradation]] = field(init=False, default_factory=dict)
    _load_steps: dict[str, list[LoadStep]] = field(init=False, default_factory=dict)
    _reboots: dict[str, list[int]] = field(init=False, default_factory=dict)
    _silences: dict[tuple[str, str], int] = field(init=False, default_factory=dict)

    def __post_init__(self) -> None:
        self.cast = cast(self.seed)

    def until(self, at_ns: int) -> Sequence[Chapter]:
        """The chapters that have begun by then."""
        while self.start_ns + len(self.chapters) * HOUR_NS <= at_ns:
            self._tell(chapter(self.seed, self.start_ns, self.chapters, healthy=self.healthy))
        return self.chapters

    def stops(self, asset: str, at_ns: int) -> Sequence[Stop]:
        """Its stops known by then, in order; the last of them may lie ahead."""
        self.until(at_ns)
        return self._stops.get(asset, ())

    def degradations(self, asset: str, at_ns: int) -> Sequence[Degradation]:
        """What its drive-end bearing suffered and suffers."""
        self.until(at_ns)
        return self._degradations.get(asset, ())

    def load_steps(self, asset: str, at_ns: int) -> Sequence[LoadStep]:
        """When it is given more to do."""
        self.until(at_ns)
        return self._load_steps.get(asset, ())

    def reboots(self, producer: str, at_ns: int) -> Sequence[int]:
        """When it reboots, in order."""
        self.until(at_ns)
        return self._reboots.get(producer, ())

    def silent_from(self, asset: str, point: str, at_ns: int) -> int | None:
        """Since when this point says nothing, if that is known by then; it may lie ahead."""
        self.until(at_ns)
        return self._silences.get((asset, point))

    def is_silent(self, asset: str, point: str, at_ns: int) -> bool:
        """Whether this point has stopped speaking by then."""
        since_ns = self.silent_from(asset, point, at_ns)
        return since_ns is not None and at_ns >= since_ns

    def _tell(self, new: Chapter) -> None:
        self.chapters.append(new)
        for stop in sorted(new.stops, key=lambda one: one.at_ns):
            stops = self._stops.setdefault(stop.asset, [])
            stops.append(stop)
            stops.sort(key=lambda one: one.at_ns)
        for bad in new.degradations:
            self._degradations.setdefault(bad.asset, []).append(bad)
        for step in new.load_steps:
            self._load_steps.setdefault(step.asset, []).append(step)
        for reboot in new.reboots:
            self._reboots.setdefault(reboot.producer, []).append(reboot.at_ns)
        for silence in new.silences:
            self._silences[silence.asset, silence.point] = silence.from_ns
