"""The kinds of thing that happen in the plant besides stops, each with its times."""

from dataclasses import dataclass

from simulators.bearing import Element
from simulators.mes import Stop


@dataclass(frozen=True, slots=True)
class Degradation:
    """A drive-end bearing that wears from `onset_ns`, is at its worst from `severe_ns` and mended at `mended_ns`.

    `velocity_rise_mm_s` is what it adds to the machine's velocity RMS at its worst. Its ticket is due by `due_ns`.
    """

    asset: str
    element: Element
    onset_ns: int
    severe_ns: int
    due_ns: int
    mended_ns: int
    velocity_rise_mm_s: float

    def severity(self, at_ns: int) -> float:
        """0 before the onset and after the repair, 1 at its worst."""
        if not self.onset_ns <= at_ns < self.mended_ns:
            return 0.0
        grown = (at_ns - self.onset_ns) / (self.severe_ns - self.onset_ns)
        return float(min(grown, 1.0) ** 1.5)


@dataclass(frozen=True, slots=True)
class Silence:
    """A measuring point that says nothing any more."""

    asset: str
    point: str
    from_ns: int
    due_ns: int


@dataclass(frozen=True, slots=True)
class LoadStep:
    """A healthy machine that is given more to do for a while."""

    asset: str
    from_ns: int
    to_ns: int
    factor: float


@dataclass(frozen=True, slots=True)
class Reboot:
    """A producer that starts anew: two messages never made, then a new boot id and numbers from 0."""

    producer: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Spoiled:
    """A message that cannot be used, and the reason that its dead letter bears."""

    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class Chapter:
    """The episodes that begin in one hour."""

    stops: tuple[Stop, ...] = ()
    degradations: tuple[Degradation, ...] = ()
    silences: tuple[Silence, ...] = ()
    load_steps: tuple[LoadStep, ...] = ()
    reboots: tuple[Reboot, ...] = ()
    spoiled: tuple[Spoiled, ...] = ()
