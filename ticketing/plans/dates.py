"""The dates that a rhythm gives: in the site's time zone, moved off days without work, none inside a pause."""

import calendar as months
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from itertools import count, islice, takewhile
from zoneinfo import ZoneInfo

from andon.calendars import WEEKDAYS, Calendar, moment_of
from andon.events import SECOND_NS
from andon.plant import Plant
from andon.rules.plans import Plan, Rhythm

_FARTHEST_DAYS = 366
"""A site that does not work for so long moves no date any more."""
_DAY = timedelta(days=1)
_HORIZON = timedelta(days=20 * 366)
"""What does not come in twenty years never comes: every date falls into a pause, or on a day that is skipped."""


@dataclass(frozen=True, slots=True)
class Site:
    """The clock and the working days that a plan goes by; without a calendar every day is a working day."""

    zone: ZoneInfo
    calendar: Calendar | None = None

    def works_on(self, day: date) -> bool:
        """Whether a shift starts on that day."""
        return self.calendar is None or bool(self.calendar.shifts_on(day))

    def moment(self, day: date, at: str) -> int:
        """The moment of a local time of that day, in ns."""
        return moment_of(day, time.fromisoformat(at), self.zone)

    def day_of(self, at_ns: int) -> date:
        """The local day of a moment."""
        return datetime.fromtimestamp(at_ns // SECOND_NS, self.zone).date()

    def ends(self, day: date) -> int:
        """The first moment of the day after, in ns."""
        return self.moment(day + _DAY, "00:00")


def site_of(plan: Plan, plant: Plant) -> Site:
    """The site of a plan: its calendar with that one's time zone, else the plant's time zone alone."""
    if plan.calendar is None:
        return Site(ZoneInfo(plant.time_zone))
    calendar = plant.calendars[plan.calendar]
    return Site(ZoneInfo(calendar.time_zone), calendar)


@dataclass(frozen=True, slots=True)
class Date:
    """One date of a plan: `for_day` as the rhythm gives it, `day` as it was moved, `due_ns` its moment."""

    for_day: date
    day: date
    due_ns: int


def scheduled(plan: Plan, site: Site, after: date) -> Iterator[Date]:
    """The dates of its rhythm whose `for_day` comes after that day, in order, each day once; for twenty years."""
    rhythm, last = plan.rhythm, date.min
    if rhythm is None:
        return
    until = max(rhythm.starts, after) + _HORIZON
    for for_day in takewhile(lambda day: day <= until, _days(rhythm, site, after)):
        day = moved(for_day, rhythm, site)
        if day is None or day == last or plan.paused(for_day) or plan.paused(day):
            continue
        last = day
        yield Date(for_day, day, site.moment(day, rhythm.at))


def after_done(plan: Plan, rhythm: Rhythm, site: Site, done_ns: int) -> Date:
    """The date that follows on what was done at that moment: so many units later, behind a pause that it falls into."""
    for_day = _later(site.day_of(done_ns), rhythm, site)
    day = moved(for_day, rhythm, site) or for_day
    while plan.paused(day):
        day = moved(day + _DAY, rhythm, site) or day + _DAY
    return Date(for_day, day, site.moment(day, rhythm.at))


def moved(day: date, rhythm: Rhythm, site: Site) -> date | None:
    """Where a date goes that falls on a day without work; None: nowhere.

    >>> from andon.calendars import Calendar
    >>> week = Calendar(week={one: ("08:00-16:00",) for one in WEEKDAYS[:5]})
    >>> saturday, site = date(2026, 3, 7), Site(ZoneInfo("UTC"), week)
    >>> moved(saturday, Rhythm(starts=saturday, non_working="before"), site)
    datetime.date(2026, 3, 6)
    """
    if rhythm.non_working == "keep" or site.works_on(day):
        return day
    if rhythm.non_working == "skip":
        return None
    step = _DAY if rhythm.non_working == "after" else -_DAY
    return next((d for n in range(1, _FARTHEST_DAYS) if site.works_on(d := day + n * step)), day)


def _days(rhythm: Rhythm, site: Site, after: date) -> Iterator[date]:
    """The days that the rhythm gives, from the later of its start and the day after `after` on."""
    first = max(rhythm.starts, after + _DAY)
    match rhythm.unit:
        case "day":
            begins = -(-(first - rhythm.starts).days // rhythm.every)
            return (rhythm.starts + timedelta(days=n * rhythm.every) for n in count(begins))
        case "working_day":
            working = (d for n in count() if site.works_on(d := rhythm.starts + timedelta(days=n)))
            return (day for day in islice(working, 0, None, rhythm.every) if day >= first)
        case "week":
            return (day for day in _weekly(rhythm, first) if day >= first)
        case "month" | "year":
            return (day for day in _monthly(rhythm, first) if day >= first)


def _weekly(rhythm: Rhythm, first: date) -> Iterator[date]:
    on = sorted(WEEKDAYS.index(one) for one in rhythm.on) or [rhythm.starts.weekday()]
    monday = rhythm.starts - timedelta(days=rhythm.starts.weekday())
    begins = (first - monday).days // 7 // rhythm.every
    for n in count(begins):
        for weekday in on:
            yield monday + timedelta(weeks=n * rhythm.every, days=weekday)


def _monthly(rhythm: Rhythm, first: date) -> Iterator[date]:
    every = rhythm.every * (12 if rhythm.unit == "year" else 1)
    of_start = rhythm.starts.year * 12 + rhythm.starts.month - 1
    begins = (first.year * 12 + first.month - 1 - of_start) // every
    for n in count(max(0, begins)):
        year, month = divmod(of_start + n * every, 12)
        if rhythm.nth is None:
            yield _in_month(year, month + 1, rhythm.day or rhythm.starts.day)
        else:
            yield _weekday_of_month(year, month + 1, WEEKDAYS.index(rhythm.on[0]), rhythm.nth)


def _in_month(year: int, month: int, day: int) -> date:
    """That day of the month, or its last."""
    return date(year, month, min(day, months.monthrange(year, month)[1]))


def _weekday_of_month(year: int, month: int, weekday: int, nth: int) -> date:
    """The nth such weekday of the month, -1: the last."""
    first, length = months.monthrange(year, month)
    days = range(1 + (weekday - first) % 7, length + 1, 7)
    return date(year, month, days[nth - 1] if nth > 0 else days[-1])


def _later(day: date, rhythm: Rhythm, site: Site) -> date:
    """So many units after a day; of working days those that are some."""
    match rhythm.unit:
        case "day":
            return day + timedelta(days=rhythm.every)
        case "week":
            return day + timedelta(weeks=rhythm.every)
        case "working_day":
            working = (d for n in count(1) if site.works_on(d := day + timedelta(days=n)))
            return next(islice(working, rhythm.every - 1, None))
        case "month" | "year":
            on = day.year * 12 + day.month - 1 + rhythm.every * (12 if rhythm.unit == "year" else 1)
            return _in_month(on // 12, on % 12 + 1, day.day)
