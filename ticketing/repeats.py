"""Repeat faults: what counts as a failure of a machine, and which of them within 72 h asks for an RCA (rule 4.4).

A failure begins with an activation when the machine had run again in between and the one before began at least
15 minutes earlier. Whether it opened a ticket or joined an open one makes no difference. Alarms that stand
together on one machine are one failure, and so is a standing, chattering or flooding alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family

FAILURE_FAMILIES = frozenset({Family.MACHINE_CONDITION, Family.TEMPERATURE, Family.ELECTRICAL, Family.STOP})
"""A silent sensor is no failure of the machine."""

NO_FAILURE = frozenset(
    {
        *("stop_rate", "minor_stops", "longer_stops"),
        *("chattering", "fleeting_alarm", "standing_alarm"),
        "operating_change",
    }
)
"""What is said about many stops, about an alarm, or about the way of running, is no failure besides those it counts:
standing for hours, it would hide that the machine stops again."""

APART_NS = 15 * MINUTE_NS
REPEAT_NS = 72 * HOUR_NS
DUE_NS = 7 * 24 * HOUR_NS
"""An RCA is due a week after it began, until a policy says otherwise."""


@dataclass(frozen=True, slots=True)
class Activation:
    """An alarm from its first word to its end. `failure` is the finding that its failure began with.

    `last_ns` is when it was last raised; `clear_ns` None while it stands (a repaired ticket ends it too).
    """

    finding: str
    key: str
    source: str
    asset: str
    family: Family
    ticket: int | None
    at_ns: int
    last_ns: int
    clear_ns: int | None
    failure: str
    failure_ns: int

    def stands_at(self, at_ns: int) -> bool:
        """Whether it was active then."""
        return self.at_ns <= at_ns and (self.clear_ns is None or self.clear_ns > at_ns)


class FailureRule(StrEnum):
    """Why an activation begins a failure, or belongs to one; the catalogue has a sentence for each."""

    NOTHING_STOOD = "nothing_stood"
    STOPPED_AGAIN = "stopped_again"
    WITHIN_15_MIN = "within_15_min"
    ACTIVE_TOGETHER = "active_together"


@dataclass(frozen=True, slots=True)
class Begins:
    """The activation begins a failure of its own."""

    rule: FailureRule


@dataclass(frozen=True, slots=True)
class Belongs:
    """The activation is part of a failure that had begun."""

    rule: FailureRule
    failure: str
    failure_ns: int


def failure_of(at_ns: int, family: Family, others: Sequence[Activation]) -> Begins | Belongs:
    """Whether an activation begins a failure. `others` are the machine's activations, this one left out.

    A stop while a machine condition stands is its consequence, once: after the machine has run again, the
    next stop is a failure of its own, for a standing alarm must not hide that the machine stops again and again.
    """
    near = [a for a in others if _near(at_ns, a)]
    if near:
        nearest = min(near, key=lambda a: (abs(at_ns - a.at_ns), a.finding))
        return Belongs(FailureRule.WITHIN_15_MIN, nearest.failure, nearest.failure_ns)
    standing = [a for a in others if a.stands_at(at_ns)]
    if not standing:
        return Begins(FailureRule.NOTHING_STOOD)
    if family is Family.STOP and _stopped_since(standing, [a for a in others if a.at_ns <= at_ns]):
        return Begins(FailureRule.STOPPED_AGAIN)
    latest = max(standing, key=lambda a: (a.failure_ns, a.finding))
    return Belongs(FailureRule.ACTIVE_TOGETHER, latest.failure, latest.failure_ns)


def _near(at_ns: int, other: Activation) -> bool:
    """Within 15 minutes: of one before, or of one that came after and began a failure, if this one is heard late."""
    if other.at_ns > at_ns:
        return other.failure_ns > at_ns and other.at_ns - at_ns < APART_NS
    return abs(at_ns - other.last_ns) < APART_NS or at_ns - other.at_ns < APART_NS


def _stopped_since(standing: Sequence[Activation], before: Sequence[Activation]) -> bool:
    """Whether a stop has come and gone since the failure of what stands began, and no stop stands."""
    if any(a.family is Family.STOP for a in standing):
        return False
    began_ns = min(a.failure_ns for a in standing)
    return any(a.family is Family.STOP and a.failure_ns >= began_ns for a in before)


@dataclass(frozen=True, slots=True)
class Failure:
    """A failure that had happened before: `resolved_ns` is when its ticket was repaired, if it was."""

    finding: str
    key: str
    ticket: int
    start_ns: int
    resolved_ns: int | None = None

    def counts_from(self, at_ns: int) -> tuple[int, str]:
        """The time that the 72 h count from, and which one it is: the repair, else the start."""
        if self.resolved_ns is not None and self.resolved_ns <= at_ns:
            return self.resolved_ns, "resolved"
        return self.start_ns, "activation"


@dataclass(frozen=True, slots=True)
class Repeat:
    """A failure within 72 h of the one before: the ground of an RCA, with its numbers."""

    previous: Failure
    interval_ns: int
    counted_from: str
    same_fault: bool
    numbers: Mapping[str, float] = field(default_factory=dict)


def repeat_of(at_ns: int, key: str, previous: Sequence[Failure]) -> Repeat | None:
    """The repeat that a failure of `at_ns` makes with the machine's earlier ones; None if all are longer ago.

    Inclusive: 72:00:00 counts. Counting from the repair takes in the one that took 80 h and held for one.
    """
    earlier = [failure for failure in previous if failure.start_ns < at_ns]
    if not earlier:
        return None
    latest = max(earlier, key=lambda failure: (failure.counts_from(at_ns)[0], failure.start_ns))
    from_ns, counted_from = latest.counts_from(at_ns)
    interval_ns = at_ns - from_ns
    if interval_ns > REPEAT_NS:
        return None
    numbers = {"hours": interval_ns / HOUR_NS, "within_hours": REPEAT_NS / HOUR_NS}
    return Repeat(latest, interval_ns, counted_from, latest.key == key, numbers)


def due_ns(opened_ns: int) -> int:
    """When an RCA that was opened then is due, on the whole second."""
    return (opened_ns + DUE_NS) // SECOND_NS * SECOND_NS
