"""Working time: how much of it lies between two moments, and when so much of it has passed; exact inverses.

A shift belongs to the day on which it starts, an end at or before its start is the next day's. Local times that a
change of clocks skips are taken as the moment after it; where an hour comes twice, a shift starts in the first and
ends in the second, so that days of three shifts leave no hole.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from itertools import count
from typing import Annotated, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from andon.events import SECOND_NS

Weekday = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
WEEKDAYS: tuple[Weekday, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Shift = Annotated[
    str, StringConstraints(pattern=r"^([01]\d|2[0-3]):[0-5]\d-(([01]\d|2[0-3]):[0-5]\d|24:00)$")
]
"""From and to in local time: "08:00-16:30", "22:00-06:00", "00:00-24:00"."""

_FARTHEST_DAYS = 3 * 366
"""A calendar without working time for so long is a mistake."""
_WEEK_NS = 7 * 24 * 3600 * SECOND_NS


class NoWorkingTime(Exception):
    """The calendar has no working time for three years from the moment that was asked."""


class Calendar(BaseModel):
    """When people work. `days` says of single dates what the week does not: a holiday has no shift.

    >>> shop = Calendar(time_zone="Asia/Shanghai", week={day: ("08:30-12:00", "13:00-17:30") for day in WEEKDAYS[:5]},
    ...                 days={date(2026, 10, 1): (), date(2026, 10, 10): "mon"})
    >>> shop.shifts_on(date(2026, 10, 10))  # a Saturday that makes up for the holiday
    ('08:30-12:00', '13:00-17:30')
    """

    model_config = ConfigDict(frozen=True, extra="forbid")
    time_zone: str = Field(default="UTC", description="IANA name of the site's time zone.")
    week: dict[Weekday, tuple[Shift, ...]] = Field(
        description="The shifts that start on each day of the week."
    )
    days: dict[date, tuple[Shift, ...] | Weekday] = Field(
        default_factory=dict,
        description="Holidays (no shift), make-up days (as on a weekday), special shifts.",
    )

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise ValueError(
                f"there is no time zone {name!r}; it is an IANA name like Asia/Shanghai"
            ) from error
        return name

    @model_validator(mode="after")
    def _works(self) -> Self:
        if not any(self.week.values()):
            raise ValueError(
                "a calendar without a shift in its week never works: no deadline could ever come"
            )
        return self

    def shifts_on(self, day: date) -> tuple[Shift, ...]:
        """The shifts that start on that day."""
        said = self.days.get(day)
        if isinstance(said, tuple):
            return said
        return self.week.get(said or WEEKDAYS[day.weekday()], ())

    def first_shift_ns(self, day: date) -> int | None:
        """When the first shift of that day starts; None if nobody works."""
        zone = ZoneInfo(self.time_zone)
        return min((_moments(day, shift, zone)[0] for shift in self.shifts_on(day)), default=None)

    def spans(self, from_ns: int, to_ns: int | None = None) -> Iterator[tuple[int, int]]:
        """The working time from one moment to another (without one: on and on), as (start, end) in order.

        NoWorkingTime where none comes for three years.
        """
        zone, until_ns = ZoneInfo(self.time_zone), from_ns
        idle_days = 0
        for day in _days(datetime.fromtimestamp(from_ns / SECOND_NS, zone).date() - timedelta(days=1)):
            for began_ns, ended_ns in sorted(_moments(day, shift, zone) for shift in self.shifts_on(day)):
                if to_ns is not None and began_ns >= to_ns:
                    return
                start_ns, end_ns = max(began_ns, until_ns), min(ended_ns, to_ns or ended_ns)
                if start_ns < end_ns:
                    yield start_ns, end_ns
                    until_ns, idle_days = end_ns, 0
            idle_days += 1
            if to_ns is None and idle_days > _FARTHEST_DAYS:
                raise NoWorkingTime(f"the calendar has no working time in the three years before {day}")
            if to_ns is not None and _moments(day, "00:00-00:00", zone)[0] >= to_ns:
                return

    def between(self, from_ns: int, to_ns: int) -> int:
        """Nanoseconds of working time from one moment to another; negative if the other is earlier."""
        if to_ns < from_ns:
            return -self.between(to_ns, from_ns)
        return sum(end_ns - start_ns for start_ns, end_ns in self.spans(from_ns, to_ns))

    def works_at(self, at_ns: int) -> bool:
        """Whether that moment is working time; the end of a shift is not."""
        return self.between(at_ns, at_ns + 1) == 1

    def add(self, at_ns: int, working_ns: int) -> int:
        """The first moment by which so much working time has passed; if negative, the last one before it.

        So `between(at_ns, add(at_ns, n)) == n`. NoWorkingTime if it never passes.
        """
        if working_ns < 0:
            return self._back(at_ns, -working_ns)
        left_ns = working_ns
        for start_ns, end_ns in self.spans(at_ns) if left_ns else ():
            if left_ns <= end_ns - start_ns:
                return start_ns + left_ns
            left_ns -= end_ns - start_ns
        return at_ns

    def _back(self, at_ns: int, working_ns: int) -> int:
        for weeks in (1, 8, 64, 512):
            left_ns = working_ns
            for start_ns, end_ns in reversed([*self.spans(at_ns - weeks * _WEEK_NS, at_ns)]):
                if left_ns <= end_ns - start_ns:
                    return end_ns - left_ns
                left_ns -= end_ns - start_ns
        raise NoWorkingTime("the calendar has not had so much working time in ten years")


def _days(first: date) -> Iterator[date]:
    return (first + timedelta(days=n) for n in count())


def _moments(day: date, shift: str, zone: ZoneInfo) -> tuple[int, int]:
    """When a shift of that day starts and ends."""
    start, _, end = shift.partition("-")
    later = day + timedelta(days=1) if end == "24:00" or end <= start else day
    return (
        moment_of(day, time.fromisoformat(start), zone),
        moment_of(later, time(0) if end == "24:00" else time.fromisoformat(end), zone, fold=1),
    )


def moment_of(day: date, at: time, zone: ZoneInfo, fold: int = 0) -> int:
    """The moment of a local time, in ns; of one that does not exist, when the clocks are put forward.

    Of one that comes twice it is the first, with `fold` 1 the second.
    """
    local = datetime.combine(day, at, zone).replace(fold=fold)
    moment = local.astimezone(UTC)
    if moment.astimezone(zone).replace(tzinfo=None) != local.replace(tzinfo=None):  # skipped
        moment = _when_skipped(local)
    return int(moment.timestamp()) * SECOND_NS


def _when_skipped(local: datetime) -> datetime:
    """When the clocks were put forward over a local time: its two readings lie on both sides of that moment."""
    early, late = (local.replace(fold=fold).astimezone(UTC) for fold in (1, 0))
    zone = local.tzinfo
    before = early.astimezone(zone).utcoffset()
    while late - early > timedelta(seconds=1):
        middle = early + (late - early) / 2
        if middle.astimezone(zone).utcoffset() == before:
            early = middle
        else:
            late = middle
    return late.replace(microsecond=0)
