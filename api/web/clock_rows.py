"""The clocks of a ticket in words: what is due next, and how much time is left."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from andon.events import SECOND_NS
from api.visit import Visit
from api.web.wording import rule_name
from ticketing.clocks import KEPT, ClockReading, ClockState


@dataclass(frozen=True, slots=True)
class ClockRow:
    """One clock: its name, how it stands in one phrase, when it is due, and what it goes by; `late` is shown in red."""

    name: str
    stands: str
    due_ns: int | None
    rule: str
    late: bool
    ended: bool
    eighths: int
    """What is left of its time, for a ring."""


def eighths_left(due_ns: int | None, limit_ns: int, now_ns: int) -> int:
    """How many eighths of a clock's time are left, none only once it is over; all while it stands.

    >>> [eighths_left(due_ns, 80, 100) for due_ns in (None, 180, 141, 101, 100)]
    [8, 8, 5, 1, 0]
    """
    if due_ns is None:
        return 8
    return max(0, min(8, -((now_ns - due_ns) * 8 // limit_ns)))


def clock_row(clock: ClockReading, visit: Visit) -> ClockRow:
    """The clock in the visitor's words."""
    words, time = visit.words, visit.time
    limit = time.span(clock.limit_ns / SECOND_NS)
    return ClockRow(
        name=words(f"sla.clock_{clock.kind}"),
        stands=_stands(clock, visit),
        due_ns=clock.due_ns if clock.ended_ns is None else None,
        rule=words(
            "sla.rule",
            policy=rule_name(clock.policy, visit.plant, words),
            limit=limit,
            calendar=clock.calendar or words("sla.wall"),
        ),
        late=clock.late or clock.state is ClockState.BREACHED,
        ended=clock.ended_ns is not None,
        eighths=eighths_left(clock.due_ns, clock.limit_ns, time.now_ns),
    )


def _stands(clock: ClockReading, visit: Visit) -> str:
    words, time = visit.words, visit.time
    if clock.late and clock.due_ns is not None:
        return words("sla.late", span=time.since(clock.due_ns))
    if clock.ended_ns is None:
        key = "sla.paused" if clock.state is ClockState.PAUSED else "sla.left"
        return words(key, span=time.span(clock.left_ns / SECOND_NS))
    key = {ClockState.MET: "sla.met", ClockState.BREACHED: "sla.breached"}.get(clock.state, "sla.void")
    return words(key, span=time.span(clock.taken_ns / SECOND_NS))


def shown(clocks: Sequence[ClockReading], visit: Visit) -> list[ClockRow]:
    """The clocks of a ticket's page: those that run, the next due first, then what became of the others, newest first."""
    running = sorted((one for one in clocks if one.ended_ns is None), key=_due_ns)
    ended = [one for one in reversed(clocks) if one.ended_ns is not None and one.kind in KEPT]
    return [clock_row(one, visit) for one in (*running, *ended)]


def next_due(clocks: Sequence[ClockReading], visit: Visit) -> ClockRow | None:
    """What is due next, for a list, from clocks as they were last reviewed: when, or since when; None if nothing runs."""
    running = [one for one in clocks if one.ended_ns is None]
    if not running:
        return None
    first = min(running, key=_due_ns)
    row = clock_row(first, visit)
    if row.late or first.due_ns is None:
        return row
    return replace(row, stands=visit.time.short(first.due_ns))


def _due_ns(clock: ClockReading) -> int:
    return clock.due_ns if clock.due_ns is not None else 2**62
