"""The clocks of a ticket, computed from its audit and the plant's policies: nothing is counted, so nothing can be forgotten.

`stretches` says when each clock ran and stood, `clock` what that means under the limits in force. Both are functions
of what is on record: a change of priority, policy or calendar moves a deadline by computing it again.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from andon.calendars import Calendar
from andon.events import SECOND_NS, Json
from andon.plant import Plant
from andon.rules.sla import EscalationStep, Fitting, Limit, SlaPolicy
from ticketing.demands import Hold
from ticketing.ticket import UNRESOLVED, Ticket, TicketEvent, TicketState

MINUTE_NS = 60 * SECOND_NS


class ClockKind(StrEnum):
    """What is limited (rules 28 to 32)."""

    RESPONSE = "response"
    CLAIM = "claim"
    RESOLUTION = "resolution"
    UPDATE = "update"
    DWELL = "dwell"
    SIGNOFF = "signoff"


KEPT = frozenset({ClockKind.RESPONSE, ClockKind.CLAIM, ClockKind.RESOLUTION, ClockKind.SIGNOFF})
"""Clocks that are measured: what became of each is kept. The others begin anew with every step."""


class ClockState(StrEnum):
    """RUN or PAUSED; BREACHED once the limit has passed, whether it still runs or not; ended in time MET, else VOID."""

    RUN = "run"
    PAUSED = "paused"
    MET = "met"
    BREACHED = "breached"
    VOID = "void"


@dataclass(frozen=True, slots=True)
class Stretch:
    """When a clock ran: until `to_ns`, where it was `met` (in time or not) or had become void; in `holds` it stood."""

    kind: ClockKind
    from_ns: int
    to_ns: int | None = None
    met: bool = False
    holds: tuple[tuple[int, int | None], ...] = ()

    @property
    def held(self) -> bool:
        """Whether it stands."""
        return self.to_ns is None and bool(self.holds) and self.holds[-1][1] is None

    def ran(self) -> Sequence[tuple[int, int | None]]:
        """The times in which it ran; the last has no end if it still does."""
        since_ns: int | None = self.from_ns
        times: list[tuple[int, int | None]] = []
        for began_ns, ended_ns in self.holds:
            if since_ns is not None:
                times.append((since_ns, began_ns))
            since_ns = ended_ns
        return times if since_ns is None else [*times, (since_ns, self.to_ns)]


PAUSES = frozenset({Hold.WAITING_PARTS, Hold.WAITING_REQUESTER, Hold.PLANNED_STOP})
"""What work may wait for; what cannot be solved for now does not stop the clock."""

_MACHINE = "engine"  # ticketing.book.MACHINE; the rules know no SQL
REMARKS = frozenset({"comment", "photo"})
NOT_A_DEED = frozenset({"joined", "joined_many", "returned", "snoozed", "woken", "enquiry"})


def by_hand(line: TicketEvent, ticket: Ticket) -> bool:
    """Whether somebody who works on the ticket did it: no machine, no rule, and not the requester with a remark."""
    if line.channel == _MACHINE or line.action in NOT_A_DEED or "/" in line.actor:
        return False
    return line.action not in REMARKS or line.actor not in {ticket.requester, ticket.reporter} - {
        ticket.assignee
    }


def was_missed(line: TicketEvent) -> bool:
    """Whether it says that a claim was not accepted in time (a person who declines is counted, but said so)."""
    return line.channel == _MACHINE and "claim_misses" in line.changes


class _Fold:
    """The audit of one ticket, line by line."""

    def __init__(self, ticket: Ticket) -> None:
        self._ticket = ticket
        self._open: dict[ClockKind, Stretch] = {}
        self._hold_ns: int | None = None
        self.ended: list[Stretch] = []

    def result(self) -> Sequence[Stretch]:
        """All stretches, in the order in which they began."""
        return sorted([*self.ended, *self._open.values()], key=lambda one: (one.from_ns, one.kind))

    def take(self, line: TicketEvent) -> None:
        """One line more."""
        works = line.to_state in UNRESOLVED
        begins = line.from_state is None or (line.from_state not in UNRESOLVED and works)
        if begins:
            for kind in ClockKind:
                self._end(kind, line.at_ns, met=False)
            for kind in (ClockKind.RESPONSE, ClockKind.RESOLUTION):
                self._begin(kind, line.at_ns)
        elif by_hand(line, self._ticket):
            self._end(ClockKind.RESPONSE, line.at_ns, met=True)
            self._begin(ClockKind.UPDATE, line.at_ns)
        if begins or line.from_state is not line.to_state or "sub_state" in line.changes:
            self._begin(ClockKind.DWELL, line.at_ns)
        self._claim(line)
        self._hold(line)
        if not works:
            self._stop(line)

    def _claim(self, line: TicketEvent) -> None:
        """Who was given it has to accept it; that nobody did is judged like an acceptance: it was late."""
        given: Json = line.changes.get("assignee", [None, None])
        judged = was_missed(line) or line.to_state is TicketState.IN_PROGRESS
        assigned = line.to_state is TicketState.ASSIGNED
        begins = assigned and bool(given[1] or line.from_state is not line.to_state)
        if begins or not assigned:
            self._end(ClockKind.CLAIM, line.at_ns, met=judged)
        if begins:
            self._begin(ClockKind.CLAIM, line.at_ns)

    def _hold(self, line: TicketEvent) -> None:
        if "hold" not in line.changes:
            return
        holds = line.changes["hold"][1] in PAUSES
        self._hold_ns = line.at_ns if holds else None
        for kind in (ClockKind.RESOLUTION, ClockKind.UPDATE):
            one = self._open.get(kind)
            if one is not None and one.held != holds:
                self._open[kind] = _held(one, line.at_ns) if holds else _resumed(one, line.at_ns)

    def _stop(self, line: TicketEvent) -> None:
        """The work is over: resolved, or closed without being done."""
        resolved = line.to_state is TicketState.RESOLVED
        self._end(ClockKind.RESOLUTION, line.at_ns, met=resolved)
        for kind in (ClockKind.RESPONSE, ClockKind.CLAIM, ClockKind.UPDATE, ClockKind.DWELL):
            self._end(kind, line.at_ns, met=False)
        if not resolved:
            self._end(ClockKind.SIGNOFF, line.at_ns, met=True)
        elif line.from_state is not line.to_state:
            self._begin(ClockKind.SIGNOFF, line.at_ns)
        self._hold_ns = None

    def _begin(self, kind: ClockKind, at_ns: int) -> None:
        self._end(kind, at_ns, met=False)
        new = Stretch(kind, at_ns)
        held = self._hold_ns is not None and kind is ClockKind.UPDATE
        self._open[kind] = _held(new, at_ns) if held else new

    def _end(self, kind: ClockKind, at_ns: int, *, met: bool) -> None:
        one = self._open.pop(kind, None)
        if one is not None:
            one = _resumed(one, at_ns) if one.held else one
            self.ended.append(replace(one, to_ns=at_ns, met=met))


def _held(one: Stretch, at_ns: int) -> Stretch:
    return replace(one, holds=(*one.holds, (at_ns, None)))


def _resumed(one: Stretch, at_ns: int) -> Stretch:
    return replace(one, holds=(*one.holds[:-1], (one.holds[-1][0], at_ns)))


def stretches(ticket: Ticket, lines: Sequence[TicketEvent]) -> Sequence[Stretch]:
    """When each clock of the ticket ran and stood, by its audit; lines of what joined it may be left out.

    Response never stands. Resolution and update stand while the work waits for something (`hold`), dwell does not.
    """
    fold = _Fold(ticket)
    for line in lines:
        fold.take(line)
    return fold.result()


class Measure(Protocol):
    """How time is counted; a calendar is one."""

    def between(self, from_ns: int, to_ns: int) -> int:
        """How much of it lies between two moments."""

    def add(self, at_ns: int, working_ns: int) -> int:
        """The first moment by which so much has passed; if negative, the last before it."""


class Wall:
    """All time counts."""

    def between(self, from_ns: int, to_ns: int) -> int:
        """The time between two moments."""
        return to_ns - from_ns

    def add(self, at_ns: int, working_ns: int) -> int:
        """So much later."""
        return at_ns + working_ns


@dataclass(frozen=True, slots=True)
class Terms:
    """What holds for one clock of a ticket: the policy's limit, and by whose time; `calendar` is "" for all time."""

    policy: str
    limit: Limit
    calendar: str
    measure: Measure


def fits(when: Fitting, ticket: Ticket) -> bool:
    """Whether a policy is for that ticket."""
    asked = (
        (when.types, {str(ticket.type)}),
        (when.priorities, {ticket.priority}),
        (when.grades, {ticket.grade}),
        (when.lines, {ticket.line}),
        (when.conditions, _said(ticket)),
    )
    if when.urgent is not None and when.urgent != ticket.urgent:
        return False
    return all(not only or not is_.isdisjoint(only) for only, is_ in asked)


def policy_of(ticket: Ticket, plant: Plant) -> SlaPolicy:
    """The first of the plant's policies that fits the ticket, else the usual one."""
    return next((one for one in plant.sla.policies if fits(one.when, ticket)), plant.sla.usual)


def terms_of(kind: ClockKind, ticket: Ticket, plant: Plant) -> Terms | None:
    """The limit of that clock and by whose time it runs; None if it is not limited.

    For a line stop and what is critical all time counts, whatever the limit says.
    """
    policy = policy_of(ticket, plant)
    limit = policy.limit(kind.value) or plant.sla.usual.limit(kind.value)
    if kind.value in policy.without or limit is None:
        return None
    sla = plant.sla
    wall = ticket.priority in sla.wall_priorities or not _said(ticket).isdisjoint(sla.wall_conditions)
    name = "" if wall or limit.clock == "wall" else limit.calendar or sla.calendar
    calendar: Calendar | None = plant.calendars.get(name)
    return Terms(policy.name, limit, name if calendar else "", calendar or Wall())


def _said(ticket: Ticket) -> frozenset[str | None]:
    return frozenset({ticket.headline.condition, str(ticket.headline.family), ticket.fault_type})


@dataclass(frozen=True, slots=True)
class Level:
    """What is due at one moment of a clock; the first moment after the limit is the first that is too late."""

    number: int
    at_ns: int
    steps: tuple[EscalationStep, ...]


@dataclass(frozen=True, slots=True)
class ClockReading:
    """A clock as it stands: `due_ns` is the last moment in time, None while it stands; `left_ns` is negative after it."""

    kind: ClockKind
    from_ns: int
    policy: str
    calendar: str
    limit_ns: int
    state: ClockState
    due_ns: int | None
    taken_ns: int
    ended_ns: int | None
    levels: tuple[Level, ...] = ()

    @property
    def left_ns(self) -> int:
        """What is left of the limit, by the clock's own time."""
        return self.limit_ns - self.taken_ns

    @property
    def late(self) -> bool:
        """Whether it runs on although its limit has passed."""
        return self.ended_ns is None and self.state is ClockState.BREACHED


def read(stretch: Stretch, terms: Terms, now_ns: int) -> ClockReading:
    """What the clock shows: the limit is counted over the times in which it ran, so a pause moves the deadline."""
    limit_ns = round(terms.limit.minutes * MINUTE_NS)
    taken_ns, due_ns = _counted(stretch, terms.measure, limit_ns, now_ns)
    end_ns = now_ns if stretch.to_ns is None else stretch.to_ns
    runs = stretch.to_ns is None and due_ns is not None
    return ClockReading(
        kind=stretch.kind,
        from_ns=stretch.from_ns,
        policy=terms.policy,
        calendar=terms.calendar,
        limit_ns=limit_ns,
        state=_state(stretch, late=due_ns is not None and end_ns > due_ns),
        due_ns=due_ns,
        taken_ns=taken_ns,
        ended_ns=stretch.to_ns,
        levels=_levels(stretch, terms, due_ns) if runs and due_ns is not None else (),
    )


def _counted(stretch: Stretch, measure: Measure, limit_ns: int, now_ns: int) -> tuple[int, int | None]:
    """How much it has run, and when its limit is reached; None if it stood, or was stopped standing, before that."""
    taken_ns, due_ns = 0, None
    times = stretch.ran()
    goes_on = not stretch.held and times[-1][1] == stretch.to_ns
    for place, (from_ns, to_ns) in enumerate(times, 1):
        if due_ns is None:
            reached_ns = measure.add(from_ns, limit_ns - taken_ns)
            last = goes_on and place == len(times)
            due_ns = reached_ns if last or to_ns is None or reached_ns < to_ns else None
        taken_ns += measure.between(from_ns, max(from_ns, now_ns if to_ns is None else to_ns))
    return taken_ns, due_ns


def _state(stretch: Stretch, *, late: bool) -> ClockState:
    if stretch.to_ns is not None and not stretch.met:
        return ClockState.VOID
    if late:
        return ClockState.BREACHED
    if stretch.to_ns is not None:
        return ClockState.MET
    return ClockState.PAUSED if stretch.held else ClockState.RUN


def _levels(stretch: Stretch, terms: Terms, due_ns: int) -> tuple[Level, ...]:
    """The steps by the moment they are due; the limit itself is one, and a warning from before it began is none."""
    offsets: dict[float, list[EscalationStep]] = {0.0: []}
    for step in terms.limit.steps:
        for time in range(step.repeat):
            offsets.setdefault(step.at_min + time * step.every_min, []).append(step)
    levels = (
        Level(number, _moment(terms.measure, due_ns, at_min), tuple(offsets[at_min]))
        for number, at_min in enumerate(sorted(offsets))
    )
    return tuple(level for level in levels if level.at_ns > stretch.from_ns)


def _moment(measure: Measure, due_ns: int, at_min: float) -> int:
    at_ns = measure.add(due_ns, round(at_min * MINUTE_NS))
    return at_ns if at_min < 0 else at_ns + 1


def readings(
    ticket: Ticket, lines: Sequence[TicketEvent], plant: Plant, now_ns: int
) -> Sequence[ClockReading]:
    """Every clock of the ticket that is limited, in the order in which they began."""
    found = ((one, terms_of(one.kind, ticket, plant)) for one in stretches(ticket, lines))
    return [read(stretch, terms, now_ns) for stretch, terms in found if terms is not None]
