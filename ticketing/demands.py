"""What a step can be refused without, and what each of these demands looks at."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from andon.events import MINUTE_NS
from andon.rules.closing import SCENE_TAGS, Label
from andon.rules.types import TicketType
from ticketing.causes import CAUSES, Cause, refuses
from ticketing.outcomes import proposed
from ticketing.ticket import PLANNED, SubState, Ticket
from ticketing.vague import is_unsolved, is_vague


class Demand(StrEnum):
    """What a step is refused without."""

    PERSON = "person"
    BACKUP = "backup"
    REASON = "reason"
    EVIDENCE = "evidence"
    ASSIGNEE_ACCEPTS = "assignee_accepts"
    AT_WORK = "at_work"
    ARRIVAL = "arrival"
    SUB_STATE = "sub_state"
    HOLD = "hold"
    ON_HOLD = "on_hold"
    REQUISITION = "requisition"
    NO_REQUISITION = "no_requisition"
    OPERATIONS = "operations"
    SAFETY = "safety"
    SAFETY_END = "safety_end"
    APPROVALS = "approvals"
    PHOTO = "photo"
    SUMMARY = "summary"
    CAUSE = "cause"
    SAME_KIND = "same_kind"
    FIELDS = "fields"
    SCENE_TAG = "scene_tag"
    NOT_ARCHIVED = "not_archived"
    THREE_TICKS = "three_ticks"
    SIGNATURE = "signature"
    OTHER_SIGNER = "other_signer"
    APPROVER = "approver"
    ADMINISTRATOR = "administrator"
    MASTER = "master"
    WAS_ASSIGNED = "was_assigned"
    NEVER_ASSIGNED = "never_assigned"
    PROPOSAL = "proposal"


class Hold(StrEnum):
    """What work in progress waits for; "cannot be solved for now" is said here, never as resolved (rule 52)."""

    WAITING_PARTS = "waiting_parts"
    WAITING_REQUESTER = "waiting_requester"
    PLANNED_STOP = "planned_stop"
    UNSOLVED = "unsolved"


class SignedBy(StrEnum):
    """How the second signature was given (rules 46, 47)."""

    LOGIN = "login"
    SIGNATURE = "signature"
    SMS = "sms"


@dataclass(frozen=True, slots=True)
class Ticks:
    """The three ticks of the requester at the sign-off (rule 46)."""

    solved: bool = False
    no_derived_risk: bool = False
    no_further_support: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What comes with a step, and what the store knows of this round of the work.

    `photos` and `signatures` count those taken since the ticket was last reopened, `requisitions` those neither issued
    nor withdrawn, `operations` those neither done nor left out. `unsigned` are the safety checklists to be signed
    before work begins, `unended` those before it ends, `levels` the levels of approval that its costs still need.
    `scanned` are the codes that stand for its machine. Of people who may approve or administer, None says that nobody
    asks.
    """

    actor: str = ""
    now_ns: int = 0
    person: str = ""
    backup: str = ""
    known_people: frozenset[str] | None = None
    reason: str = ""
    evidence: tuple[str, ...] = ()
    sub_state: SubState | None = None
    hold: Hold | None = None
    scan: str = ""
    position: str = ""
    codes: frozenset[str] = frozenset()
    photos: int = 0
    signatures: int = 0
    requisitions: int = 0
    operations: int = 0
    unsigned: tuple[str, ...] = ()
    unended: tuple[str, ...] = ()
    levels: tuple[str, ...] = ()
    summary: str = ""
    cause: str | None = None
    causes: Mapping[str, Cause] = field(default_factory=lambda: CAUSES)
    same_kind: bool | None = None
    types: tuple[TicketType, ...] = ()
    scene_tag: str | None = None
    scene_tags: Mapping[str, Label] = field(default_factory=lambda: SCENE_TAGS)
    ticks: Ticks = Ticks()
    signed_by: SignedBy = SignedBy.LOGIN
    signer: str = ""
    code_refused: str | None = None
    approver: str = ""
    approvers: frozenset[str] | None = None
    administrators: frozenset[str] | None = None
    reopen_within_min: float = 15.0
    master: int | None = None


def _named(who: str, known: frozenset[str] | None) -> str | None:
    if not who.strip():
        return "absent"
    return "unknown" if known is not None and who not in known else None


def _backup(_ticket: Ticket, given: Given) -> str | None:
    if given.backup and given.backup == given.person:
        return "same_as_person"
    return _named(given.backup, given.known_people)


def _words(text: str) -> str | None:
    if not text.strip():
        return "absent"
    return "vague" if is_vague(text) else None


def _reason(ticket: Ticket, given: Given) -> str | None:
    """The planner's words; the scores of routing are reason enough where its suggestion is taken."""
    suggested = ticket.suggestion.person if ticket.suggestion else None
    if given.person and given.person == suggested and not given.reason.strip():
        return None
    return _words(given.reason)


def _summary(_ticket: Ticket, given: Given) -> str | None:
    return "unsolved" if is_unsolved(given.summary) else _words(given.summary)


def _ticks(_ticket: Ticket, given: Given) -> str | None:
    t = given.ticks
    return None if t.solved and t.no_derived_risk and t.no_further_support else "not_all_three"


def _signature(_ticket: Ticket, given: Given) -> str | None:
    if given.signed_by is SignedBy.SMS:
        return given.code_refused
    return _unless(given.signed_by is SignedBy.LOGIN or given.signatures > 0)


def signer_of(ticket: Ticket, given: Given) -> str:
    """Who signs: who is logged in, who is said to have drawn the signature, or whose phone the code was sent to."""
    if given.signed_by is SignedBy.SMS:
        return ticket.reporter or ticket.requester or ""
    return given.signer or given.actor


def _other_signer(ticket: Ticket, given: Given) -> str | None:
    """Neither the one who signs nor the one who takes the signature in did the work.

    A code proves the requester's phone, whoever types it.
    """
    if not given.actor:
        return "absent"
    who = {signer_of(ticket, given)} | ({given.actor} if given.signed_by is not SignedBy.SMS else set())
    return "is_handler" if who & {ticket.handler, ticket.assignee} else None


def _assignee_accepts(ticket: Ticket, given: Given) -> str | None:
    return None if given.actor and given.actor == ticket.assignee else "not_the_assignee"


def _at_work(ticket: Ticket, given: Given) -> str | None:
    working = {ticket.assignee, ticket.backup, *ticket.collaborators}
    return None if given.actor and given.actor in working else "not_at_work"


def _arrival(ticket: Ticket, given: Given) -> str | None:
    """The machine's code, scanned where it hangs; else a position, or a note of why neither can be had."""
    if given.scan.strip():
        code = plain_code(given.scan)
        return None if code in {plain_code(ticket.asset), *map(plain_code, given.codes)} else "other_asset"
    return _unless(bool(given.position.strip()) or any(_words(e) is None for e in given.evidence))


def plain_code(scanned: str) -> str:
    """What a scanned code says: the end of its address, without case and blanks.

    >>> plain_code("https://andon.example/report/m7?x=1")
    'M7'
    """
    return scanned.strip().partition("?")[0].rstrip("/").rpartition("/")[2].upper()


def _hold(ticket: Ticket, given: Given) -> str | None:
    if given.hold is None:
        return "absent"
    return "on_hold" if ticket.hold is not None else None


def _requisition(ticket: Ticket, given: Given) -> str | None:
    """Waiting for parts needs an open requisition; who goes on has each of them issued, or withdrawn."""
    if given.sub_state is SubState.PARTS_ALLOCATION:
        return _unless(given.requisitions > 0)
    return _none_open(given) if ticket.sub_state is SubState.PARTS_ALLOCATION else None


def _none_open(given: Given) -> str | None:
    return "open" if given.requisitions > 0 else None


def _safety(_ticket: Ticket, given: Given) -> str | None:
    """Hands on the machine, and the end of the work, need every checklist signed; a look from afar needs none."""
    if given.sub_state in {SubState.REMOTE_DIAGNOSIS, SubState.PARTS_ALLOCATION}:
        return None
    return ",".join(given.unsigned) or None


def _scene_tag(ticket: Ticket, given: Given) -> str | None:
    """The handler is asked for it, the archive refused without it; what is named has to be one of the site's."""
    code = given.scene_tag or ticket.scene_tag
    if not code:
        return None if ticket.is_open else "absent"
    if code not in given.scene_tags:
        return "unknown"
    return "retired" if given.scene_tag and given.scene_tags[code].retired else None


def _fields(ticket: Ticket, given: Given) -> str | None:
    """The type's own fields that must be there before the work is done, also those that became so meanwhile (rule 9)."""
    kind = next((one for one in given.types if one.code == ticket.type), None)
    missing = [one.name for one in (kind.fields if kind else ()) if one.asked("resolving", ticket.fields)]
    return ",".join(missing) or None


def _approver(_ticket: Ticket, given: Given) -> str | None:
    """Someone whose role it is: who has it decides at once, who has not asks another, who then takes the step."""
    if not given.approver.strip():
        return "absent"
    if given.approvers is None:
        return None
    if given.approver not in given.approvers:
        return "no_role"
    return None if given.actor in given.approvers else "to_be_asked"


def _administrator(ticket: Ticket, given: Given) -> str | None:
    limit_ns = given.reopen_within_min * MINUTE_NS
    if ticket.closed_ns is not None and given.now_ns - ticket.closed_ns < limit_ns:
        return None
    return _unless(given.administrators is None or given.actor in given.administrators)


def _master(ticket: Ticket, given: Given) -> str | None:
    if given.master is None:
        return "absent"
    return "itself" if given.master == ticket.id else None


def _proposal(ticket: Ticket, _given: Given) -> str | None:
    if proposed(ticket) is None:
        return "absent"
    return None if ticket.relearn is None else "answered"


def _planned(ticket: Ticket) -> bool:
    """Whether nothing had failed: work of a plan has no root cause, and no like of it elsewhere."""
    return ticket.headline.condition == PLANNED


def not_asked(ticket: Ticket) -> frozenset[Demand]:
    """What a ticket of its kind is never asked for."""
    return frozenset({Demand.CAUSE, Demand.SAME_KIND}) if _planned(ticket) else frozenset()


def _cause(ticket: Ticket, given: Given) -> str | None:
    return None if given.cause is None and _planned(ticket) else refuses(given.cause, given.causes)


def _unless(met: bool) -> str | None:
    return None if met else "absent"


CHECKS: Mapping[Demand, Callable[[Ticket, Given], str | None]] = {
    Demand.PERSON: lambda _, given: _named(given.person, given.known_people),
    Demand.BACKUP: _backup,
    Demand.REASON: _reason,
    Demand.EVIDENCE: lambda _, given: _unless(any(e.strip() for e in given.evidence)),
    Demand.ASSIGNEE_ACCEPTS: _assignee_accepts,
    Demand.AT_WORK: _at_work,
    Demand.ARRIVAL: _arrival,
    Demand.SUB_STATE: lambda _, given: _unless(given.sub_state is not None),
    Demand.HOLD: _hold,
    Demand.ON_HOLD: lambda ticket, _: _unless(ticket.hold is not None),
    Demand.REQUISITION: _requisition,
    Demand.NO_REQUISITION: lambda _, given: _none_open(given),
    Demand.OPERATIONS: lambda _, given: "open" if given.operations > 0 else None,
    Demand.SAFETY: _safety,
    Demand.SAFETY_END: lambda _, given: ",".join(given.unended) or None,
    Demand.APPROVALS: lambda _, given: ",".join(given.levels) or None,
    Demand.PHOTO: lambda _, given: _unless(given.photos > 0),
    Demand.SUMMARY: _summary,
    Demand.CAUSE: _cause,
    Demand.SAME_KIND: lambda ticket, given: _unless(given.same_kind is not None or _planned(ticket)),
    Demand.FIELDS: _fields,
    Demand.SCENE_TAG: _scene_tag,
    Demand.NOT_ARCHIVED: lambda ticket, _: _unless(ticket.archived_ns is None),
    Demand.THREE_TICKS: _ticks,
    Demand.SIGNATURE: _signature,
    Demand.OTHER_SIGNER: _other_signer,
    Demand.APPROVER: _approver,
    Demand.ADMINISTRATOR: _administrator,
    Demand.MASTER: _master,
    Demand.WAS_ASSIGNED: lambda ticket, _: _unless(ticket.assignee is not None),
    Demand.NEVER_ASSIGNED: lambda ticket, _: _unless(ticket.assignee is None),
    Demand.PROPOSAL: _proposal,
}
"""What each demand looks at; None if it is met, else why not."""
