"""Repeat faults: what counts as a failure of a machine, and which of them within 72 h asks for an RCA (rule 4.4).

A failure begins with an activation when the machine had run again in between and the one before began at least
15 minutes earlier. Whether it opened a ticket or joined an open one makes no difference. Alarms that stand
together on one machine are one failure, and so is a standing, chattering or flooding alarm.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

from andon.events import HOUR_NS, MINUTE_NS, Action, Family, Finding
from andon.rules.repeats import Repeats, Scope
from ticketing.ticket import OUT_OF_LIMIT, PLANNED

FAILURE_FAMILIES = frozenset(
    {Family.MACHINE_CONDITION, Family.TEMPERATURE, Family.ELECTRICAL, Family.STOP, Family.REPORT}
)
"""A silent sensor is no failure of the machine."""

NO_FAILURE = frozenset(
    {
        *("stop_rate", "minor_stops", "longer_stops"),
        *("chattering", "fleeting_alarm", "standing_alarm"),
        "operating_change",
        *("reported_fault", "reported_request"),
        *(PLANNED, OUT_OF_LIMIT),
    }
)
"""What is said about many stops, about an alarm, or about the way of running, is no failure besides those it counts:
standing for hours, it would hide that the machine stops again."""

APART_NS = 15 * MINUTE_NS


def is_failure(finding: Finding, rules: Repeats) -> bool:
    """Whether a finding may tell of a failure: not simulated, raised, of the machine, and not about alarms."""
    if finding.action is not Action.RAISE or finding.origin.source in rules.ignored_sources:
        return False
    return finding.family in FAILURE_FAMILIES and finding.condition not in NO_FAILURE


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
    """A failure: `scope` is what it counts for, `resolved_ns` when its ticket was repaired, if it was.

    `serial` is that of the machine at the time: one that was replaced since has not failed before.
    """

    finding: str
    key: str
    ticket: int
    start_ns: int
    resolved_ns: int | None = None
    scope: str = ""
    serial: str = ""

    def counts_for(self, scope: str, serial: str) -> bool:
        """Whether a failure of that scope and machine can be its repeat; an unknown serial number is the same one."""
        return self.scope == scope and (self.serial == serial or not (self.serial and serial))

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


def repeat_of(at_ns: int, key: str, previous: Sequence[Failure], within_h: float = 72.0) -> Repeat | None:
    """The repeat that a failure of `at_ns` makes with earlier ones of its scope; None if all are longer ago.

    Inclusive: 72:00:00 counts. Counting from the repair takes in the one that took 80 h and held for one.
    """
    earlier = [failure for failure in previous if failure.start_ns < at_ns]
    if not earlier:
        return None
    latest = max(earlier, key=lambda failure: (failure.counts_from(at_ns)[0], failure.start_ns))
    from_ns, counted_from = latest.counts_from(at_ns)
    interval_ns = at_ns - from_ns
    if interval_ns > round(within_h * HOUR_NS):
        return None
    numbers = {"hours": interval_ns / HOUR_NS, "within_hours": within_h}
    return Repeat(latest, interval_ns, counted_from, latest.key == key, numbers)


@dataclass(frozen=True, slots=True)
class Scoping:
    """What failures count for: a machine, or one fault or component of it, or the machine that it is a part of.

    >>> from andon.rules.repeats import Repeats
    >>> Scoping(Repeats(scope="asset_component")).of("M7", fault="line_stop", component="DE")
    'M7/component/DE'
    """

    rules: Repeats
    above: Mapping[str, str] = field(default_factory=dict)

    def whole(self, asset: str) -> str:
        """The machine that the failures of this one count for: itself, unless parts are rolled up."""
        return self.above.get(asset, asset)

    def parts(self, asset: str) -> frozenset[str]:
        """All whose failures count together with those of this one."""
        whole = self.whole(asset)
        return frozenset({asset, whole, *(part for part, top in self.above.items() if top == whole)})

    def of(self, asset: str, *, fault: str, component: str) -> str:
        """What a failure counts for: of one scope there is at most one open RCA."""
        whole = self.whole(asset)
        named: Mapping[Scope, str] = {
            "asset": whole,
            "asset_fault": f"{whole}/fault/{fault}",
            "asset_component": f"{whole}/component/{component}",
        }
        return named[self.rules.scope]


def scoping_of(rules: Repeats, paths: Mapping[str, str]) -> Scoping:
    """The scoping of a plant; `paths` says where each asset stands.

    With `roll_up` an asset counts for the topmost one that it stands below in the ISA-95 hierarchy.

    >>> from andon.rules.repeats import Repeats
    >>> scoping_of(Repeats(roll_up=True), {"press": "a/n/f/L1/c1", "pump": "a/n/f/L1/c1/hydraulics"}).whole("pump")
    'press'
    """
    if not rules.roll_up:
        return Scoping(rules)
    at: dict[str, str] = {}
    for asset, path in paths.items():
        at.setdefault(path, asset)
    above: dict[str, str] = {}
    for asset, path in paths.items():
        levels = path.split("/")
        higher = ("/".join(levels[:n]) for n in range(1, len(levels)))
        top = next((at[place] for place in higher if place in at), None)
        if top is not None:
            above[asset] = top
    return Scoping(rules, above)
