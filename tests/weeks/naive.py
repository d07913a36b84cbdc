"""Limits counted on paper: working time minute by minute, clocks read backwards from a ticket's audit.

Nothing here is taken from `andon.calendars` or `ticketing.clocks`: it says the same a second time, from docs/sla.md.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import accumulate, pairwise
from typing import Any
from zoneinfo import ZoneInfo

from andon.plant import Plant
from andon.rules.sla import Limit, SlaPolicy
from ticketing.urgency import ORDER

MINUTE_NS = 60 * 10**9
DAY_MIN = 1440
BEFORE_D, AFTER_D = 9, 26
"""Days around a week's first that are laid out."""
FOREVER_NS = 2**62
Row = Mapping[str, Any]


@lru_cache(maxsize=64)
def _local(zone: str, first: date) -> tuple[tuple[int, ...], int]:
    """The local time of each minute, as minutes of a calendar without time zones; and the first minute, UTC."""
    begins = datetime.combine(first - timedelta(days=BEFORE_D), time(0), UTC)
    tz = ZoneInfo(zone)
    minutes = []
    for n in range((BEFORE_D + AFTER_D) * DAY_MIN):
        local = (begins + timedelta(minutes=n)).astimezone(tz)
        minutes.append(local.toordinal() * DAY_MIN + local.hour * 60 + local.minute)
    return tuple(minutes), int(begins.timestamp()) // 60


def _clock(text: str) -> int:
    hours, minutes = text.split(":")
    return int(hours) * 60 + int(minutes)


@dataclass(frozen=True)
class Worked:
    """`before[n]`: how many minutes have been worked before the n-th minute."""

    first: int
    before: tuple[int, ...]

    def until(self, at_ns: int) -> int:
        """Worked nanoseconds up to a moment."""
        n, rest = divmod(at_ns - self.first * MINUTE_NS, MINUTE_NS)
        works = self.before[n + 1] > self.before[n]
        return self.before[n] * MINUTE_NS + (rest if works else 0)

    def add(self, at_ns: int, worked_ns: int) -> int:
        """The first moment by which so much more has been worked; if negative, the last before it."""
        if worked_ns == 0:
            return at_ns
        wanted = self.until(at_ns) + worked_ns
        if worked_ns > 0:
            n = bisect_left(self.before, -(-wanted // MINUTE_NS)) - 1
        else:
            n = bisect_right(self.before, wanted // MINUTE_NS) - 1
        if not 0 <= n < len(self.before) - 1:
            return FOREVER_NS
        return (self.first + n) * MINUTE_NS + wanted - self.before[n] * MINUTE_NS


class Always:
    """All time counts."""

    def until(self, at_ns: int) -> int:
        return at_ns

    def add(self, at_ns: int, worked_ns: int) -> int:
        return at_ns + worked_ns


@lru_cache(maxsize=512)
def worked(calendar: str, first: date) -> Worked:
    """The working time of a calendar (as JSON) around that day, by looking at each minute's local time."""
    told = json.loads(calendar)
    local, at = _local(told["time_zone"], first)
    works = bytearray(len(local))
    for n in range(BEFORE_D + AFTER_D - 2):
        day = first + timedelta(days=n - BEFORE_D + 1)
        for shift in _shifts(told, day):
            begin, end = map(_clock, shift.split("-"))
            midnight = day.toordinal() * DAY_MIN
            begin, end = midnight + begin, midnight + end + (DAY_MIN if end <= begin else 0)
            near, until = (
                range(max(0, m - 180), min(m + 180, len(local))) for m in (begin - local[0], end - local[0])
            )
            started = next((m for m in near if local[m] >= begin), len(local))
            ended = next((m for m in reversed(until) if local[m] < end), -1)
            works[started : ended + 1] = b"\1" * max(0, ended + 1 - started)
    return Worked(at, tuple(accumulate(works, initial=0)))


def _shifts(told: Mapping[str, Any], day: date) -> Sequence[str]:
    names = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    said = told["days"].get(day.isoformat(), names[day.weekday()])
    found: Sequence[str] = told["week"].get(said, ()) if isinstance(said, str) else said
    return found


@dataclass(frozen=True)
class Open:
    """A clock that runs or stands at a moment: since when, and between which moments it stood."""

    kind: str
    from_ns: int
    stood: tuple[tuple[int, int | None], ...] = ()


UNRESOLVED = frozenset({"pending_dispatch", "assigned", "in_progress"})
PAUSES = frozenset({"waiting_parts", "waiting_requester", "planned_stop"})
NO_DEED = frozenset({"joined", "joined_many", "returned"})


def by_hand(line: Row, ticket: Row) -> bool:
    """Somebody who works on it did something: no machine, no rule, no remark of who asked for it."""
    if line["channel"] == "engine" or "/" in line["actor"] or line["action"] in NO_DEED:
        return False
    asked = line["actor"] in (ticket["requester"], ticket["reporter"]) and line["actor"] != ticket["assignee"]
    return not (asked and line["action"] in ("comment", "photo"))


def running(ticket: Row, lines: Sequence[Row]) -> list[Open]:
    """The clocks that have begun and not ended, read backwards from the end of the audit."""
    state = lines[-1]["to_state"]
    if state == "resolved":
        came = [one for one in lines if one["to_state"] == "resolved" != one["from_state"]]
        return [Open("signoff", came[-1]["at_ns"])]
    if state not in UNRESOLVED:
        return []
    began = max(n for n, one in enumerate(lines) if one["from_state"] not in UNRESOLVED)
    round_ = lines[began:]
    stood = _stood(round_)
    found = [Open("resolution", round_[0]["at_ns"], stood)]
    hands = [one["at_ns"] for one in round_[1:] if by_hand(one, ticket)]
    if not hands:
        found.append(Open("response", round_[0]["at_ns"]))
    else:
        inside = ((max(a, hands[-1]), b) for a, b in stood if b is None or b > hands[-1])
        found.append(Open("update", hands[-1], tuple(inside)))
    moved = [one for one in round_ if one["from_state"] != one["to_state"] or "sub_state" in _changes(one)]
    found.append(Open("dwell", moved[-1]["at_ns"]))
    if state == "assigned":
        given = [one for one in round_ if one["to_state"] == "assigned" and _gives(one)]
        found.append(Open("claim", given[-1]["at_ns"]))
    return found


def _gives(line: Row) -> bool:
    return line["from_state"] != "assigned" or bool(_changes(line).get("assignee", (None, None))[1])


@lru_cache(maxsize=8192)
def _parsed(changes: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = json.loads(changes)
    return found


def _changes(line: Row) -> Mapping[str, Any]:
    return _parsed(line["changes"])


def _stood(round_: Sequence[Row]) -> tuple[tuple[int, int | None], ...]:
    """When work of this round waited for something that stops its clock."""
    said = [(one["at_ns"], _changes(one)["hold"][1] in PAUSES) for one in round_ if "hold" in _changes(one)]
    said = [one for n, one in enumerate(said) if one[1] is not (said[n - 1][1] if n else False)]
    stood: list[tuple[int, int | None]] = [(a, b) for (a, waits), (b, _) in pairwise(said) if waits]
    return (*stood, (said[-1][0], None)) if said and said[-1][1] else tuple(stood)


@dataclass(frozen=True)
class DueLevel:
    """A level of a limit: when it is due, and how many lines it makes."""

    number: int
    at_ns: int
    lines: int


def levels(clock: Open, ticket: Row, plant: Plant, first: date) -> list[DueLevel]:
    """Every level of an open clock under the limits in force; none while it stands."""
    found = _limit(clock.kind, ticket, plant)
    if found is None:
        return []
    limit, calendar = found
    measure = worked(calendar, first) if calendar else Always()
    due_ns = _due_ns(clock, measure, round(limit.minutes * MINUTE_NS))
    if due_ns is None or due_ns >= FOREVER_NS:
        return []
    steps = [step.at_min + n * step.every_min for step in limit.steps for n in range(step.repeat)]
    result = []
    for number, at_min in enumerate(sorted({0.0, *steps})):
        at_ns = measure.add(due_ns, round(at_min * MINUTE_NS)) + (at_min >= 0)
        if at_ns > clock.from_ns:
            result.append(DueLevel(number, at_ns, max(1, steps.count(at_min))))
    return result


def _due_ns(clock: Open, measure: Any, limit_ns: int) -> int | None:
    from_ns, left_ns = clock.from_ns, limit_ns
    for began_ns, ended_ns in clock.stood:
        due_ns: int = measure.add(from_ns, left_ns)
        if due_ns < began_ns:
            return due_ns
        if ended_ns is None:
            return None
        left_ns -= measure.until(began_ns) - measure.until(from_ns)
        from_ns = ended_ns
    due: int = measure.add(from_ns, left_ns)
    return due


def _limit(kind: str, ticket: Row, plant: Plant) -> tuple[Limit, str] | None:
    """The limit that holds for a clock, and its calendar as JSON ("": all time counts)."""
    said = {ticket["condition"], ticket["family"], ticket["fault_type"]}
    sla = plant.sla
    policy = next((one for one in sla.policies if _fits(one, ticket, said)), sla.usual)
    limit = getattr(policy, kind) or getattr(sla.usual, kind)
    if limit is None or kind in policy.without:
        return None
    wall = ORDER[ticket["priority"]] in sla.wall_priorities or said & set(sla.wall_conditions)
    name = "" if wall or limit.clock == "wall" else limit.calendar or sla.calendar
    return limit, plant.calendars[name].model_dump_json() if name in plant.calendars else ""


def _fits(policy: SlaPolicy, ticket: Row, said: set[str]) -> bool:
    when = policy.when
    return (
        (not when.conditions or bool(said & set(when.conditions)))
        and (not when.priorities or ORDER[ticket["priority"]] in when.priorities)
        and (when.urgent is None or when.urgent == bool(ticket["urgent"]))
        and (not when.types or ticket["type"] in when.types)
        and (not when.grades or ticket["grade"] in when.grades)
        and (not when.lines or ticket["line"] in when.lines)
    )
