"""The words of ticketing: a ticket, what was folded into it, what was done about it, and what it taught."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from andon.events import Action, Family, Json, Number, Priority


class TicketState(StrEnum):
    """The five states, in order; there is no sixth (rule 36)."""

    PENDING_DISPATCH = "pending_dispatch"
    ASSIGNED = "assigned"
    IN_PROGRESS = "in_progress"
    RESOLVED = "resolved"
    CLOSED = "closed"


UNRESOLVED = frozenset({TicketState.PENDING_DISPATCH, TicketState.ASSIGNED, TicketState.IN_PROGRESS})
"""Work that is still to be done."""


class SubState(StrEnum):
    """What "in progress" means just now (rule 36)."""

    REMOTE_DIAGNOSIS = "remote_diagnosis"
    SITE_SURVEY = "site_survey"
    PARTS_ALLOCATION = "parts_allocation"


class Closure(StrEnum):
    """Why a ticket is closed: signed for by the requester, or one of the ways that need an approver."""

    SIGNED = "signed"
    UNSIGNED = "unsigned"
    CANCELLED = "cancelled"
    DUPLICATE = "duplicate"
    FALSE_ALARM = "false_alarm"


NOT_A_FAILURE = frozenset({Closure.CANCELLED, Closure.DUPLICATE, Closure.FALSE_ALARM})
"""Tickets closed in these ways count neither for repeats nor for first-time-fix (4.4, 4.9)."""


PLANNED, OUT_OF_LIMIT = "planned_maintenance", "measured_out_of_limit"
"""The conditions of tickets that a plan opened, and that a value measured in an operation opened."""


class Outcome(StrEnum):
    """What a closed ticket turned out to be: the label by which detectors are judged (4.8, 4.9)."""

    FIXED = "fixed"
    FALSE_ALARM = "false_alarm"
    PLANNED = "planned"
    OPERATING_CHANGE = "operating_change"
    DUPLICATE = "duplicate"


class Clock(StrEnum):
    """Which clock an occurrence's time was taken from."""

    SOURCE = "source"
    UNCHECKED = (
        "unchecked"  # the source's, more than 5 min before it was received: buffered, or a clock that is slow
    )
    RECEIVED = "received"  # the source said a time in the future


class FoldRule(StrEnum):
    """Why a finding lies on the ticket it lies on; the catalogue has a sentence for each."""

    FIRST = "first"
    AFTER_CLOSED = "after_closed"
    WINDOW_OVER = "window_over"
    SAME_EVENT = "same_event"
    WHILE_OPEN = "while_open"
    BEFORE_SETTLED = "before_settled"
    CONSEQUENCE = "consequence"
    CAUSE = "cause"
    OPERATING_CHANGE = "operating_change"
    REPORTED = "reported"
    SAME_NUMBER = "same_number"
    AGAIN_WITHIN_WINDOW = "again_within_window"
    FAILED_AFTER_RESOLVED = "failed_after_resolved"
    LATE = "late"
    CLEARED = "cleared"
    CLEARED_FIRST = "cleared_first"
    HELD_ON_DELAY = "held_on_delay"
    HELD_OFF_DELAY = "held_off_delay"
    HELD_DEADBAND = "held_deadband"
    HELD_FLEETING = "held_fleeting"
    HELD_COUNT = "held_count"
    SUPPRESSED_SHELVED = "suppressed_shelved"
    SUPPRESSED_WINDOW = "suppressed_window"
    SUPPRESSED_INHIBITED = "suppressed_inhibited"
    SUPPRESSED_OOSRV = "suppressed_oosrv"


HELD = frozenset(rule for rule in FoldRule if rule.startswith("held_"))
SUPPRESSED = frozenset(rule for rule in FoldRule if rule.startswith("suppressed_"))
"""Rules by which a finding is recorded without a ticket; it may be folded later (`ticketing.holding`)."""


@dataclass(frozen=True, slots=True)
class Fold:
    """How a finding was folded: the rule and the numbers of its sentence."""

    rule: FoldRule
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Headline:
    """What the ticket is about, as catalogue key `finding.<condition>` with its arguments; never a sentence."""

    family: Family
    component: str
    condition: str
    severity: int
    confidence: float
    at_ns: int
    finding: str
    numbers: tuple[Number, ...] = ()
    text: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Candidate:
    """One person weighed for a ticket: `misses` names what speaks against, `score` (0 to 1) ranks those who are equal.

    `parts` says what each part gave to the score. `done_here` counts the tickets on the machine that the person did
    lately, `distance_m` is None if it is not known.
    """

    person: str
    name: str
    load: int
    max_load: int
    score: float
    misses: tuple[str, ...] = ()
    parts: Mapping[str, float] = field(default_factory=dict)
    distance_m: float | None = None
    done_here: int = 0
    seniority: int = 0
    company: str = ""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """Whom routing names, whom it names as backup, why, and those it weighed (best first; a ticket has the first few).

    `routing` is the plant's rule that decided, `skills` what it asked for: of each group one tag is enough. `offer_to`
    are those who are asked at once, the first to accept has it.
    """

    person: str | None
    backup: str | None
    rule: str
    skills: tuple[tuple[str, ...], ...] = ()
    candidates: tuple[Candidate, ...] = ()
    routing: str = ""
    offer_to: tuple[str, ...] = ()


@dataclass(frozen=True)  # no slots: changed for every finding that joins, see `andon.frozen`
class Ticket:
    """The one piece of work of one cause.

    `key` and `anchor_ns` are those of the event that opened it; `anchor_ns` never moves. `version` rises with
    every step a person could trip over (optimistic lock), `change` with anything at all (live updates).
    `relearn` is what was answered when its closure proposed to learn a baseline anew.

    `type` is the code of one of the plant's types of tickets (rule 1).
    `description` holds the reporter's own words and never changes; `channel` is how it came in, `event_id` the serial
    number, order number or phone it was reported under, `grade` that of the requester. `fields` are the type's own,
    `collaborators` people beside the one who answers for it, each with a RACI role; `hold` says what the work waits
    for. `signed_by` is how it was signed, `scene_tag` what it is archived under, `parent` the ticket that groups it.

    `audit_seq` and `audit_hash`
    are the head of its audit chain.
    """

    id: int
    number: str
    type: str
    asset: str
    line: str
    headline: Headline
    priority: Priority
    state: TicketState
    key: str
    anchor_ns: int
    first_event_ns: int
    last_event_ns: int
    opened_ns: int
    trace_id: str
    search: str = ""
    sub_state: SubState | None = None
    occurrence_count: int = 0
    alarm_active: bool = False
    requester: str | None = None
    assignee: str | None = None
    backup: str | None = None
    suggestion: Suggestion | None = None
    assigned_ns: int | None = None
    accepted_ns: int | None = None
    resolved_ns: int | None = None
    closed_ns: int | None = None
    handler: str | None = None
    signer: str | None = None
    summary: str = ""
    cause: str | None = None
    same_kind: bool | None = None
    closure: Closure | None = None
    closure_note: str = ""
    outcome: Outcome | None = None
    relearn: bool | None = None
    approver: str | None = None
    duplicate_of: int | None = None
    recurrence_of: int | None = None
    reopen_count: int = 0
    claim_misses: int = 0
    description: str = ""
    fault_type: str | None = None
    urgent: bool = False
    priority_held: int | None = None
    channel: str = ""
    event_id: str | None = None
    reporter: str | None = None
    phone: str | None = None
    grade: str | None = None
    region: str = ""
    fields: Mapping[str, Json] = field(default_factory=dict)
    collaborators: Mapping[str, str] = field(default_factory=dict)
    hold: str | None = None
    arrived_ns: int | None = None
    signed_by: str | None = None
    scene_tag: str | None = None
    archived_ns: int | None = None
    parent: int | None = None
    version: int = 1
    change: int = 0
    audit_seq: int = 0
    audit_hash: str = ""

    @property
    def settled_ns(self) -> int | None:
        """When the work was said to be done: resolved, else closed without a repair."""
        return self.resolved_ns if self.resolved_ns is not None else self.closed_ns

    @property
    def is_open(self) -> bool:
        """Whether it is in any state but closed."""
        return self.state is not TicketState.CLOSED


@dataclass(frozen=True, slots=True)
class Occurrence:
    """One finding as it was folded. `at_ns` is the time it counts with, `event_ns` what the source said."""

    finding: str
    ticket: int | None
    key: str
    asset: str
    component: str
    family: Family
    condition: str
    action: Action
    severity: int
    confidence: float
    at_ns: int
    event_ns: int
    onset_ns: int
    received_ns: int
    recorded_ns: int
    clock: Clock
    fold: Fold
    numbers: tuple[Number, ...]
    text: Mapping[str, str]
    detector: str
    detector_version: str
    parameters_hash: str
    trace_id: str
    has_evidence: bool
    set_version: int = 0


@dataclass(frozen=True, slots=True)
class TicketEvent:
    """One line of a ticket's audit: who did what, what changed, why, on what evidence; chained by hashes.

    `changes` maps a field to [before, after]. `hash` covers every other field and `prev_hash`.
    """

    ticket: int
    seq: int
    at_ns: int
    actor: str
    channel: str
    action: str
    from_state: TicketState | None
    to_state: TicketState
    changes: Mapping[str, Json]
    reason: str
    numbers: Mapping[str, float]
    evidence: tuple[str, ...]
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Photo:
    """A photo of a ticket; its bytes lie in the photo folder under `sha256`."""

    ticket: int
    sha256: str
    mime: str
    size: int
    width: int
    height: int
    stage: str
    by: str
    at_ns: int
    cycle: int
