"""The words of root-cause work: a problem with what it rests on, its causes, its actions and the check of their effect.

ITIL's problem beside its incidents; ISO 14224's failure mode, mechanism and cause are three different fields.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from andon.events import Json


class ProblemKind(StrEnum):
    """RCA: failures that came back within 72 h (rule 53); IMPROVEMENT: a cause named three times a month (rule 54).

    INVESTIGATION: opened by a person, or by a metric, on tickets that stand out together (rules 56 and 59).
    """

    RCA = "rca"
    IMPROVEMENT = "improvement"
    INVESTIGATION = "investigation"


class ProblemState(StrEnum):
    """How far a problem has come (4.7); REOPENED means that what was done had no effect."""

    OPEN = "open"
    ANALYSING = "analysing"
    ACTIONS = "actions"
    VERIFYING = "verifying"
    REOPENED = "reopened"
    CLOSED = "closed"


class ProblemOutcome(StrEnum):
    """What a closed problem came to."""

    EFFECTIVE = "effective"
    WITHDRAWN = "withdrawn"


class Category(StrEnum):
    """The six M of a fishbone (Ishikawa): where a cause lies."""

    MAN = "man"
    MACHINE = "machine"
    MATERIAL = "material"
    METHOD = "method"
    MEASUREMENT = "measurement"
    ENVIRONMENT = "environment"


class CauseKind(StrEnum):
    """Why it happened, or why it was not noticed in time (8D, D4)."""

    OCCURRENCE = "occurrence"
    ESCAPE = "escape"


class ActionKind(StrEnum):
    """What an action is for: to hold the damage, to end the cause, to keep it from coming back elsewhere."""

    CONTAINMENT = "containment"
    CORRECTIVE = "corrective"
    PREVENTIVE = "preventive"


class ActionState(StrEnum):
    """How far an action has come."""

    OPEN = "open"
    DONE = "done"
    DROPPED = "dropped"


@dataclass(frozen=True, slots=True)
class Statement:
    """What is wrong, in 5W2H, with the failure's mode, mechanism and cause, and what it led to."""

    what: str = ""
    where: str = ""
    when: str = ""
    who: str = ""
    how_found: str = ""
    how_many: str = ""
    failure_mode: str = ""
    failure_mechanism: str = ""
    failure_cause: str = ""
    downtime_min: float | None = None
    cost: float | None = None
    safety: str = ""


@dataclass(frozen=True, slots=True)
class RootCause:
    """One cause that was considered. `verified` is None until it was looked into; `parent` is what it is the cause of.

    `root` marks the end of a chain of whys; `code` is one of the 23 classes. `kind` says whether it is why it happened,
    or why it was not noticed.
    """

    id: int
    text: str
    code: str
    category: Category | None = None
    parent: int | None = None
    root: bool = False
    verified: bool | None = None
    evidence: tuple[str, ...] = ()
    by: str = ""
    at_ns: int = 0
    verified_by: str | None = None
    verified_ns: int | None = None
    kind: CauseKind = CauseKind.OCCURRENCE


@dataclass(frozen=True, slots=True)
class EightD:
    """What an 8D report says beside the task itself: D0, D1, D5, D7 and D8 (Ford's Global 8D; VDA 8D, 2018).

    D2 is the statement, D3 the containments, D4 the causes, D6 the actions done and the check of their effect.
    """

    emergency: str = ""
    team: tuple[str, ...] = ()
    chosen_because: str = ""
    standards: str = ""
    recognition: str = ""


@dataclass(frozen=True, slots=True)
class ProblemAction:
    """Something that somebody does about it until `due_ns`. `moved` counts new due dates, `cycle` is the problem's."""

    id: int
    kind: ActionKind
    text: str
    owner: str
    due_ns: int
    state: ActionState = ActionState.OPEN
    evidence: tuple[str, ...] = ()
    approver: str | None = None
    by: str = ""
    at_ns: int = 0
    done_ns: int | None = None
    cycle: int = 0
    moved: int = 0


@dataclass(frozen=True, slots=True)
class Check:
    """Whether the actions had an effect: judged at `due_ns` by `checker`, who owns none of them.

    `passed` is None until then. What comes back after `from_ns` makes it fail by itself.
    """

    metric: str
    target: str
    checker: str
    from_ns: int
    due_ns: int
    passed: bool | None = None
    measured: str = ""
    checked_by: str | None = None
    checked_ns: int | None = None


@dataclass(frozen=True, slots=True)
class ProblemLink:
    """One failure that belongs to a problem.

    `interval_ns` counts from the failure before, from its repair (`counted_from` "resolved") or its start
    ("activation"), or from when the effectiveness was begun to be watched ("watched"); None for the failure that
    the counting began with.
    """

    problem: int
    failure: str
    ticket: int
    at_ns: int
    same_fault: bool
    counted_from: str
    interval_ns: int | None
    linked_ns: int


@dataclass(frozen=True, slots=True)
class Counted:
    """A repaired ticket that an improvement task counts; `left_ns` when it no longer did: recoded, or reopened."""

    problem: int
    ticket: int
    resolved_ns: int
    linked_ns: int
    left_ns: int | None = None


@dataclass(frozen=True, slots=True)
class Problem:
    """A root-cause task (RCA) or an improvement task.

    `scope` is what it is about: a machine, or one fault or component of it, or a cause and what it befalls; there is
    at most one open problem of a scope. `period` is the month that an improvement task was counted in. `review` says
    why its ground should be looked at again ("false_alarm", "below"); it is never deleted. `cycle` counts how often
    its actions had no effect. `eight_d` is there where it is worked as an 8D report. `audit_seq` and `audit_hash` are
    the head of its audit chain.
    """

    id: int
    number: str
    kind: ProblemKind
    scope: str
    asset: str
    state: ProblemState
    opened_ns: int
    due_ns: int
    review: str = ""
    period: str | None = None
    leader: str | None = None
    statement: Statement = Statement()
    eight_d: EightD | None = None
    check: Check | None = None
    outcome: ProblemOutcome | None = None
    closed_ns: int | None = None
    cycle: int = 0
    version: int = 1
    change: int = 0
    audit_seq: int = 0
    audit_hash: str = ""
    links: tuple[ProblemLink, ...] = ()
    counted: tuple[Counted, ...] = ()
    causes: tuple[RootCause, ...] = ()
    actions: tuple[ProblemAction, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether there is still work to do."""
        return self.state is not ProblemState.CLOSED

    @property
    def watched_ns(self) -> int | None:
        """Since when a recurrence shows that the actions had no effect; None while nothing is being verified."""
        watched = self.state is ProblemState.VERIFYING and self.check is not None
        return self.check.from_ns if watched and self.check else None

    @property
    def last_ticket(self) -> int:
        """The ticket that it was last about."""
        named = [link.ticket for link in self.links] or [one.ticket for one in self.counted]
        return named[-1]


@dataclass(frozen=True, slots=True)
class ProblemEvent:
    """One line of a problem's audit, chained by hashes as a ticket's are."""

    problem: int
    seq: int
    at_ns: int
    actor: str
    channel: str
    action: str
    from_state: ProblemState | None
    to_state: ProblemState
    changes: Mapping[str, Json]
    reason: str
    numbers: Mapping[str, float] = field(default_factory=dict)
    evidence: tuple[str, ...] = ()
    prev_hash: str = ""
    hash: str = ""
