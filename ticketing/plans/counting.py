"""What a meter has counted: readings with their event times become a total that only grows, and a forecast of its date.

A display goes on at 0 after a rollover, a counter that was replaced or reset begins anew; the total goes on.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from andon.events import HOUR_NS
from andon.rules.plans import Meter

RATE_OVER_NS = 30 * 24 * HOUR_NS
"""The forecast goes on as fast as the meter has counted in this time before its last reading."""


class Kind(StrEnum):
    """READING: what the meter shows. RESET: what it shows after it was set anew or replaced; nothing was counted by that."""

    READING = "reading"
    RESET = "reset"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a meter showed at its event time; `replaces` is the reading that it corrects."""

    id: int
    at_ns: int
    kind: Kind
    value: float
    replaces: int | None = None
    source: str = "hand"
    by: str = ""
    told_ns: int = 0
    note: str = ""


def valid(readings: Iterable[Reading]) -> list[Reading]:
    """Those that no other replaces, by event time; of two at one moment the one that was told later counts last."""
    every = list(readings)
    replaced = {one.replaces for one in every}
    return sorted((one for one in every if one.id not in replaced), key=lambda one: (one.at_ns, one.id))


@dataclass(frozen=True, slots=True)
class Counted:
    """The total after each reading: `at_ns` ascending, `total` never falls. The first total is what the meter showed."""

    at_ns: tuple[int, ...] = ()
    total: tuple[float, ...] = ()

    def at(self, at_ns: int) -> float | None:
        """The total at a moment: straight between two readings, the last after the last; None without any.

        >>> Counted((0, 10), (100.0, 200.0)).at(5)
        150.0
        """
        if not self.at_ns:
            return None
        after = bisect_right(self.at_ns, at_ns)
        if after in {0, len(self.at_ns)}:
            return self.total[max(after - 1, 0)]
        return _between(self.at_ns[after - 1 : after + 1], self.total[after - 1 : after + 1], at_ns)

    def reached(self, total: float) -> int | None:
        """When it came to that total; None if it has not."""
        above = next((n for n, one in enumerate(self.total) if one >= total), None)
        if not above:
            return None if above is None else self.at_ns[0]
        from_ns, to_ns = self.at_ns[above - 1 : above + 1]
        low, high = self.total[above - 1 : above + 1]
        return from_ns + round((to_ns - from_ns) * (total - low) / (high - low))

    @property
    def rate(self) -> float | None:
        """What it counts per ns, over the last thirty days of its readings; None with fewer than two."""
        if len(self.at_ns) < 2 or self.at_ns[-1] == self.at_ns[0]:
            return None
        from_ns = max(self.at_ns[0], self.at_ns[-1] - RATE_OVER_NS)
        before = self.at(from_ns)
        return (self.total[-1] - (before or 0.0)) / (self.at_ns[-1] - from_ns)

    def forecast(self, total: float) -> int | None:
        """When it came or will come to that total, as fast as it counts now; None if it does not count."""
        reached = self.reached(total)
        if reached is not None or not self.rate:
            return reached
        return self.at_ns[-1] + round((total - self.total[-1]) / self.rate)


def counted(readings: Iterable[Reading], rollover_at: float | None = None) -> Counted:
    """What these readings come to.

    A value below the one before is a rollover where that explains it by less than half of the display, else a counter
    that began at 0 in between.

    >>> said = [Reading(1, 0, Kind.READING, 99_990.0), Reading(2, 60, Kind.READING, 15.0)]
    >>> counted(said, rollover_at=100_000.0).total
    (99990.0, 100015.0)
    """
    at_ns: list[int] = []
    totals: list[float] = []
    shown = total = 0.0
    for one in valid(readings):
        total += 0.0 if one.kind is Kind.RESET else gained(shown, one.value, rollover_at)
        if one.kind is Kind.RESET and not totals:
            total = one.value
        shown = one.value
        at_ns.append(one.at_ns)
        totals.append(total)
    return Counted(tuple(at_ns), tuple(totals))


def gained(before: float, after: float, rollover_at: float | None) -> float:
    """What was counted from one value of the display to the next."""
    if after >= before:
        return after - before
    over = after + rollover_at - before if rollover_at is not None else 0.0
    return over if rollover_at is not None and 0.0 <= over <= rollover_at / 2 else after


def falls(readings: Sequence[Reading], new: Reading, meter: Meter) -> bool:
    """Whether a reading does not fit between those around it: it, or the one after it, would be less without a rollover."""
    others = valid([*readings, new])
    where = next((n for n, one in enumerate(others) if one is new), 0)
    pairs = zip(others[max(where - 1, 0) : where + 1], others[where : where + 2], strict=False)
    return any(
        two.value < one.value
        and two.kind is Kind.READING
        and gained(one.value, two.value, meter.rollover_at) == two.value
        for one, two in pairs
    )


def _between(at_ns: Sequence[int], total: Sequence[float], when_ns: int) -> float:
    share = (when_ns - at_ns[0]) / (at_ns[1] - at_ns[0])
    return total[0] + (total[1] - total[0]) * share
