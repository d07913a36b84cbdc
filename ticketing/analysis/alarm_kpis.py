"""How well the alarms serve those who work by them: the measures of ISA-18.2-2016 (16.5) and IEC 62682 with their bounds.

An operating position is an area of the plant, as it is for floods. Bounds are those of the standards' tables, which want
at least 30 days of data; `Performance.base_ns` is how long there were any.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection

from andon.events import HOUR_NS, Priority
from andon.rules.suppression import Flood as FloodRule
from ticketing.alarm_desk import STALE_NS
from ticketing.analysis import alarm_words
from ticketing.analysis.alarm_words import TEN_NS, Asked, Counts, Told
from ticketing.metrics.metric import Verdict
from ticketing.urgency import ORDER

DAY_NS = 24 * HOUR_NS
BASE_NS = 30 * DAY_NS
"""So much data the standards ask for."""
TOP = 10
_FLOOD = FloodRule()


class Measure(StrEnum):
    """What is measured; shares are percents."""

    RATE = "rate"
    BUSY = "busy"
    PEAK = "peak"
    FLOOD = "flood"
    TOP_TEN = "top_ten"
    CHATTERING = "chattering"
    FLEETING = "fleeting"
    STALE = "stale"
    GRAVE = "grave"
    CRITICAL = "critical"
    UNAUTHORISED = "unauthorised"


BOUNDS: Mapping[Measure, tuple[float, float]] = {
    Measure.RATE: (1, 2),
    Measure.BUSY: (1, 1),
    Measure.PEAK: (10, 10),
    Measure.FLOOD: (1, 1),
    Measure.TOP_TEN: (1, 5),
    Measure.CHATTERING: (0, 0),
    Measure.FLEETING: (0, 0),
    Measure.STALE: (4, 4),
    Measure.GRAVE: (5, 5),
    Measure.CRITICAL: (1, 1),
    Measure.UNAUTHORISED: (0, 0),
}
"""The last value that is acceptable, and the last that can be managed; beyond it something has to be done."""
WANTED: Mapping[Priority, int] = {
    "low": 80,
    "medium": 15,
    "high": 5,
    "critical": 1,
}
"""The spread of priorities that the standards want, in percent; the highest less than that."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of time at one operating position with so many alarms: an interval that was too full, or a flood."""

    area: str
    from_ns: int
    to_ns: int
    alarms: int


@dataclass(frozen=True, slots=True)
class Performance:
    """What all measures of a time are made of; lists have the worst first.

    `base_ns` is how long there were data, `busy` the intervals with more than 10 alarms, `stale` the alarms that
    stood for over a day, each with since when and until when (None: they stand); `stale_day` is the worst day's begin.
    """

    asked: Asked
    base_ns: int
    areas: Sequence[str]
    alarms: int
    busy: Sequence[Stretch]
    peak: Stretch | None
    floods: Sequence[Stretch]
    every: Sequence[Counts]
    stale: Sequence[tuple[str, int, int | None]]
    stale_most: int
    stale_day_ns: int | None
    priorities: Mapping[Priority, int]
    unauthorised: Sequence[Told]

    @property
    def enough(self) -> bool:
        """Whether there are the 30 days of data that the standards ask for."""
        return self.base_ns >= BASE_NS

    @property
    def top(self) -> Sequence[Counts]:
        """The ten that came most often."""
        return self.every[:TOP]

    @property
    def values(self) -> Mapping[Measure, float | None]:
        """The value of each measure; None where there was nothing to measure."""
        position_ns = self.base_ns * len(self.areas)
        flood_ns = sum(one.to_ns - one.from_ns for one in self.floods)
        grave, critical = (self.priorities[one] for one in ("high", "critical"))
        return {
            Measure.RATE: _of(self.alarms * TEN_NS, position_ns),
            Measure.BUSY: _of(100 * len(self.busy) * TEN_NS, position_ns),
            Measure.PEAK: self.peak.alarms if self.peak else 0,
            Measure.FLOOD: _of(100 * flood_ns, position_ns),
            Measure.TOP_TEN: _of(100 * sum(one.number for one in self.top), self.alarms),
            Measure.CHATTERING: len(self.chattering),
            Measure.FLEETING: len(self.fleeting),
            Measure.STALE: self.stale_most,
            Measure.GRAVE: _of(100 * (grave + critical), self.alarms),
            Measure.CRITICAL: _of(100 * critical, self.alarms),
            Measure.UNAUTHORISED: len(self.unauthorised),
        }

    @property
    def chattering(self) -> Sequence[Counts]:
        """The alarms that chattered, those first that did most."""
        return sorted((one for one in self.every if one.chattering), key=lambda one: -one.chattering)

    @property
    def fleeting(self) -> Sequence[Counts]:
        """The alarms that fleeted by, those first that did most."""
        return sorted((one for one in self.every if one.fleeting), key=lambda one: -one.fleeting)


def _of(numerator: int, denominator: int) -> float | None:
    return numerator / denominator if denominator else None


def verdict(measure: Measure, value: float | None) -> Verdict:
    """How a value stands to its bounds.

    >>> [str(verdict(Measure.RATE, value)) for value in (1, 1.5, 2.1, None)]
    ['healthy', 'watch', 'act', 'none']
    """
    if value is None:
        return Verdict.NONE
    acceptable, manageable = BOUNDS[measure]
    if value > manageable:
        return Verdict.ACT
    return Verdict.WATCH if value > acceptable else Verdict.HEALTHY


def performance(conn: Connection, asked: Asked) -> Performance:
    """All measures of that time, by a few readings of its occurrences, whatever their number."""
    slots = alarm_words.by_interval(conn, asked)
    every = alarm_words.by_alarm(conn, asked)
    first_ns = alarm_words.first_ns(conn)
    areas = _areas(asked, slots)
    busy = [_interval(area, at, n, asked) for (area, at), n in slots.items() if n > _FLOOD.more_than]
    floods = [one for area in areas for one in _floods(area, slots, asked)]
    stale = sorted(
        alarm_words.stood(conn, asked, [one.alarm for one in every if one.stale]),
        key=lambda one: (one[1], one[0]),
    )
    most, day_ns = _stale_at_once(stale, asked)
    peak = max(slots.items(), key=lambda one: (one[1], -one[0][1], one[0][0]), default=None)
    return Performance(
        asked=asked,
        base_ns=0 if first_ns is None else max(0, asked.to_ns - max(asked.from_ns, first_ns)),
        areas=areas,
        alarms=sum(slots.values()),
        busy=sorted(busy, key=_worst),
        peak=_interval(*peak[0], peak[1], asked) if peak else None,
        floods=sorted(floods, key=_worst),
        every=every,
        stale=stale,
        stale_most=most,
        stale_day_ns=day_ns,
        priorities={one: sum(c.number for c in every if ORDER[c.priority] == one) for one in ORDER},
        unauthorised=alarm_words.unauthorised(conn, asked),
    )


def _worst(one: Stretch) -> tuple[int, int, str]:
    return -one.alarms, one.from_ns, one.area


def _areas(asked: Asked, slots: Mapping[tuple[str, int], int]) -> Sequence[str]:
    """The operating positions: every area of the machines asked about, and "" where alarms have none; one at least."""
    seen = (one for one in asked.plant.assets if asked.machines is None or one.id in asked.machines)
    named = {asked.area(one.id) for one in seen} - {""}
    return sorted(named | {area for area, _ in slots}) or [""]


def _interval(area: str, at: int, alarms: int, asked: Asked) -> Stretch:
    from_ns = asked.from_ns + at * TEN_NS
    return Stretch(area, from_ns, from_ns + TEN_NS, alarms)


def _floods(area: str, slots: Mapping[tuple[str, int], int], asked: Asked) -> Iterator[Stretch]:
    """Each flood of a position: from an interval with more than 10 alarms to the first after it with fewer than 5."""
    mine = {at: n for (where, at), n in slots.items() if where == area}
    over = -1
    for begin in sorted(at for at, n in mine.items() if n > _FLOOD.more_than):
        if begin < over:
            continue
        over = begin
        while mine.get(over, 0) >= _FLOOD.fewer_than:
            over += 1
        alarms = sum(mine[at] for at in range(begin, over))
        yield Stretch(area, asked.from_ns + begin * TEN_NS, asked.from_ns + over * TEN_NS, alarms)


def _stale_at_once(spans: Sequence[tuple[str, int, int | None]], asked: Asked) -> tuple[int, int | None]:
    """How many alarms were stale on the worst day of that time, and when that day begins; days are 24 h from its begin."""
    worst, day_ns = 0, None
    for from_ns in range(asked.from_ns, asked.to_ns, DAY_NS):
        to_ns = min(from_ns + DAY_NS, asked.to_ns)
        n = len(
            {
                alarm
                for alarm, since, until in spans
                if since + STALE_NS < to_ns and (until is None or until > from_ns)
            }
        )
        if n > worst:
            worst, day_ns = n, from_ns
    return worst, day_ns
