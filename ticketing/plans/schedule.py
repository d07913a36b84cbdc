"""When a plan is due on a machine, decided from values: its dates, its meter, what was done, and the time it is now.

One ticket at a time: as long as one is open nothing else is due. What was missed is caught up by one ticket. A date
that passed while the ticket before it was still open has been done with that one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from itertools import islice, takewhile
from math import floor
from typing import Literal

from andon.rules.plans import Plan, Usage
from ticketing.plans.counting import Counted
from ticketing.plans.dates import Date, Site, after_done, scheduled

_MOVED = timedelta(days=366)
"""No date is moved further than that."""


@dataclass(frozen=True, slots=True)
class Run:
    """A ticket that the plan opened: what it was due for, and when it was settled, done or given up; None while open."""

    seq: int
    due_ns: int
    ticket: int
    for_day: date | None = None
    due_total: float | None = None
    settled_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Due:
    """What is due next: it `covers` so many dates or intervals, the first `first_due_ns`, the last `due_ns`.

    `due_ns` None: a meter that nobody can forecast. `opens_ns` is when its ticket is opened, None: not known yet. From
    `from_ns` (None: from ever) to before `until_ns` it is done in time.
    """

    why: Literal["calendar", "meter"]
    due_ns: int | None
    opens_ns: int | None
    first_due_ns: int | None = None
    covers: int = 1
    for_day: date | None = None
    due_total: float | None = None
    from_ns: int | None = None
    until_ns: int | None = None

    def is_open_at(self, now_ns: int) -> bool:
        """Whether its ticket is to be opened by now."""
        return self.opens_ns is not None and self.opens_ns <= now_ns


def due(
    plan: Plan, site: Site, runs: Sequence[Run], *, since_ns: int, now_ns: int, meter: Counted | None = None
) -> Due | None:
    """What is due next; None while a ticket is open, or if nothing ever is.

    Parameters
    ----------
    runs
        What the plan has opened on this machine, in order.
    since_ns
        Since when the plan has been watched there: nothing is owed from before.
    meter
        What the plan's meter has counted.
    """
    if any(one.settled_ns is None for one in runs):
        return None
    last = runs[-1] if runs else None
    found = [
        _by_calendar(plan, site, last, since_ns=since_ns, now_ns=now_ns),
        _by_meter(plan, site, last, since_ns=since_ns, now_ns=now_ns, meter=meter or Counted()),
    ]
    never = float("inf")
    known = [one for one in found if one is not None]
    return min(
        known,
        key=lambda one: (
            never if one.opens_ns is None else one.opens_ns,
            never if one.due_ns is None else one.due_ns,
        ),
        default=None,
    )


def coming(plan: Plan, site: Site, after_ns: int, until_ns: int) -> list[Date]:
    """The dates of its rhythm from one moment to before another: what a calendar shows."""
    dates = scheduled(plan, site, site.day_of(after_ns) - _MOVED)
    return [one for one in takewhile(lambda one: one.due_ns < until_ns, dates) if one.due_ns >= after_ns]


def _by_calendar(plan: Plan, site: Site, last: Run | None, *, since_ns: int, now_ns: int) -> Due | None:
    rhythm = plan.rhythm
    if rhythm is None:
        return None
    if plan.based_on == "completed" and last is not None and last.settled_ns is not None:
        return _of(plan, site, [after_done(plan, rhythm, site, last.settled_ns)])
    from_ns = since_ns if last is None else max(since_ns, last.due_ns + 1, (last.settled_ns or 0) + 1)
    after = last.for_day if last is not None and last.for_day is not None else site.day_of(from_ns) - _MOVED
    most = 1 if plan.based_on == "completed" else None
    owed = islice((one for one in scheduled(plan, site, after) if one.due_ns >= from_ns), most)
    missed: list[Date] = []
    for one in owed:
        if one.due_ns > now_ns:
            return _of(plan, site, missed or [one])
        missed.append(one)
    return _of(plan, site, missed) if missed else None


def _of(plan: Plan, site: Site, dates: Sequence[Date]) -> Due:
    last = dates[-1]
    at = plan.rhythm.at if plan.rhythm else "00:00"
    found = Due(
        why="calendar",
        due_ns=last.due_ns,
        opens_ns=site.moment(dates[0].day - timedelta(days=plan.lead_days), at),
        first_due_ns=dates[0].due_ns,
        covers=len(dates),
        for_day=last.for_day,
    )
    return _windowed(plan, site, found)


def _by_meter(
    plan: Plan, site: Site, last: Run | None, *, since_ns: int, now_ns: int, meter: Counted
) -> Due | None:
    usage = plan.usage
    if usage is None:
        return None
    from_ns = since_ns if last is None or last.settled_ns is None else last.settled_ns
    begun = meter.at(from_ns)
    if begun is None:
        return Due(why="meter", due_ns=None, opens_ns=None)
    first = _first(plan, usage, last, begun)
    behind = meter.total[-1] - first
    covers = 1 + floor(behind / usage.each) if behind >= 0 and plan.based_on == "scheduled" else 1
    total = first + (covers - 1) * usage.each
    due_ns, first_ns = meter.forecast(total), meter.forecast(first)
    found = Due(
        why="meter",
        due_ns=due_ns,
        opens_ns=meter.reached(first - usage.ahead),
        first_due_ns=first_ns,
        covers=covers,
        due_total=total,
    )
    return _behind_pause(plan, site, _windowed(plan, site, found), now_ns)


def _first(plan: Plan, usage: Usage, last: Run | None, begun: float) -> float:
    """The total at which it is due first: an interval after it was done, or the next of those that were planned."""
    if last is not None and plan.based_on == "completed":
        return begun + usage.each
    base = usage.last or 0.0
    if last is None and usage.last is not None:
        return base + usage.each
    if last is not None and last.due_total is not None:
        base = last.due_total
    return base + (floor((begun - base) / usage.each) + 1) * usage.each


def _behind_pause(plan: Plan, site: Site, found: Due, now_ns: int) -> Due:
    """A meter goes on counting in a pause; its ticket waits for the first day after it."""
    day = site.day_of(now_ns)
    if found.opens_ns is None or found.opens_ns > now_ns or not plan.paused(day):
        return found
    while plan.paused(day):
        day += timedelta(days=1)
    opens_ns = site.moment(day, "00:00")
    due_ns = max(opens_ns, found.due_ns or opens_ns)
    return _windowed(plan, site, replace(found, opens_ns=opens_ns, due_ns=due_ns))


def _windowed(plan: Plan, site: Site, found: Due) -> Due:
    """The same with the time in which it is done in time: whole local days; none as long as it has no date."""
    if found.due_ns is None:
        return found
    day, early = site.day_of(found.due_ns), plan.early_days
    from_ns = None if early is None else site.moment(day - timedelta(days=early), "00:00")
    return replace(found, from_ns=from_ns, until_ns=site.ends(day + timedelta(days=plan.late_days)))
