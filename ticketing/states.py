"""A state is a contract: which steps lead where, and what each of them demands (rules 36 to 40).

`EDGES` is the whole of it. `check` says where a step leads, or raises what is missing.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from andon.events import Declared, Family
from ticketing.causes import CAUSES, refuses
from ticketing.errors import Missing, NoEdge, StepRefused
from ticketing.ticket import Outcome, SubState, Ticket, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


class Step(StrEnum):
    """What can be done to a ticket. FAIL_AGAIN is the machine's own, the rest are people's."""

    ASSIGN = "assign"
    TRANSFER = "transfer"
    DECLINE = "decline"
    ACCEPT = "accept"
    SUBSTATE = "substate"
    RESOLVE = "resolve"
    SIGN = "sign"
    CLOSE_UNSIGNED = "close_unsigned"
    REJECT = "reject"
    FAIL_AGAIN = "fail_again"
    REOPEN = "reopen"
    CANCEL = "cancel"
    DUPLICATE = "duplicate"
    FALSE_ALARM = "false_alarm"
    RELEARN = "relearn"
    KEEP_BASELINE = "keep_baseline"


class Demand(StrEnum):
    """What a step is refused without."""

    PERSON = "person"
    BACKUP = "backup"
    REASON = "reason"
    EVIDENCE = "evidence"
    ASSIGNEE_ACCEPTS = "assignee_accepts"
    SUB_STATE = "sub_state"
    PHOTO = "photo"
    SUMMARY = "summary"
    CAUSE = "cause"
    SAME_KIND = "same_kind"
    THREE_TICKS = "three_ticks"
    OTHER_SIGNER = "other_signer"
    APPROVER = "approver"
    MASTER = "master"
    WAS_ASSIGNED = "was_assigned"
    NEVER_ASSIGNED = "never_assigned"
    PROPOSAL = "proposal"


@dataclass(frozen=True, slots=True)
class Ticks:
    """The three ticks of the requester at the sign-off (rule 46)."""

    solved: bool = False
    no_derived_risk: bool = False
    no_further_support: bool = False


@dataclass(frozen=True, slots=True)
class Given:
    """What comes with a step. `photos` counts those taken since the ticket was last reopened."""

    actor: str = ""
    person: str = ""
    backup: str = ""
    known_people: frozenset[str] | None = None
    reason: str = ""
    evidence: tuple[str, ...] = ()
    sub_state: SubState | None = None
    photos: int = 0
    summary: str = ""
    cause: str | None = None
    same_kind: bool | None = None
    ticks: Ticks = Ticks()
    approver: str = ""
    master: int | None = None


_BACK = frozenset({Demand.REASON, Demand.EVIDENCE})
_DISPATCH = frozenset({Demand.PERSON, Demand.BACKUP, Demand.REASON})
_GIVE_UP = {
    Step.CANCEL: frozenset({Demand.REASON, Demand.APPROVER}),
    Step.FALSE_ALARM: frozenset({Demand.REASON, Demand.APPROVER}),
    Step.DUPLICATE: frozenset({Demand.REASON, Demand.APPROVER, Demand.MASTER}),
}

EDGES: Mapping[tuple[TicketState, TicketState], Mapping[Step, frozenset[Demand]]] = {
    (PENDING, ASSIGNED): {Step.ASSIGN: _DISPATCH},
    (PENDING, CLOSED): _GIVE_UP,
    (ASSIGNED, PENDING): {Step.DECLINE: _BACK},
    (ASSIGNED, ASSIGNED): {Step.TRANSFER: _DISPATCH | _BACK},
    (ASSIGNED, IN_PROGRESS): {Step.ACCEPT: frozenset({Demand.ASSIGNEE_ACCEPTS, Demand.SUB_STATE})},
    (ASSIGNED, CLOSED): _GIVE_UP,
    (IN_PROGRESS, ASSIGNED): {Step.TRANSFER: _DISPATCH | _BACK},
    (IN_PROGRESS, IN_PROGRESS): {Step.SUBSTATE: frozenset({Demand.SUB_STATE, Demand.REASON})},
    (IN_PROGRESS, RESOLVED): {
        Step.RESOLVE: frozenset({Demand.PHOTO, Demand.SUMMARY, Demand.CAUSE, Demand.SAME_KIND})
    },
    (IN_PROGRESS, CLOSED): _GIVE_UP,
    (RESOLVED, IN_PROGRESS): {Step.REJECT: _BACK, Step.FAIL_AGAIN: _BACK},
    (RESOLVED, CLOSED): {
        Step.SIGN: frozenset({Demand.THREE_TICKS, Demand.OTHER_SIGNER}),
        Step.CLOSE_UNSIGNED: frozenset({Demand.REASON, Demand.APPROVER}),
    },
    (CLOSED, CLOSED): {
        Step.RELEARN: frozenset({Demand.PROPOSAL}),
        Step.KEEP_BASELINE: frozenset({Demand.PROPOSAL, Demand.REASON}),
    },
    (CLOSED, PENDING): {
        Step.FAIL_AGAIN: _BACK | {Demand.NEVER_ASSIGNED},
        Step.REOPEN: _BACK | {Demand.APPROVER, Demand.NEVER_ASSIGNED},
    },
    (CLOSED, IN_PROGRESS): {
        Step.FAIL_AGAIN: _BACK | {Demand.WAS_ASSIGNED},
        Step.REOPEN: _BACK | {Demand.APPROVER, Demand.WAS_ASSIGNED},
    },
}
"""(from, to) -> step -> demands. A pair that is not here is no edge."""

OUTCOMES: Mapping[Step, tuple[Outcome | None, ...]] = {
    Step.FALSE_ALARM: (Outcome.FALSE_ALARM, Outcome.PLANNED, Outcome.OPERATING_CHANGE),
    Step.CANCEL: (None, Outcome.PLANNED, Outcome.OPERATING_CHANGE),
}
"""What a ticket that is given up can have been; the first where nothing is said. None is no label at all."""

_LEARNED = frozenset({Family.MACHINE_CONDITION, Family.TEMPERATURE})
_PROPOSES = {
    Outcome.FIXED: Declared.REPAIR,
    Outcome.OPERATING_CHANGE: Declared.OPERATING_CHANGE,
}


def repaired(ticket: Ticket) -> Outcome:
    """What a ticket that was worked on turned out to be: its root cause may say that nothing was wrong."""
    cause = CAUSES.get(ticket.cause or "")
    return Outcome.FALSE_ALARM if cause is not None and cause.tunes else Outcome.FIXED


def proposed(ticket: Ticket) -> Declared | None:
    """What closing it proposes to declare, so that the component's baseline is learned anew (law 6); None: nothing."""
    if ticket.is_open or ticket.outcome is None or ticket.headline.family not in _LEARNED:
        return None
    return _PROPOSES.get(ticket.outcome)


def _named(who: str, known: frozenset[str] | None) -> str | None:
    if not who.strip():
        return "absent"
    return "unknown" if known is not None and who not in known else None


def _backup(_ticket: Ticket, given: Given) -> str | None:
    if given.backup and given.backup == given.person:
        return "same_as_person"
    return _named(given.backup, given.known_people)


def _reason(ticket: Ticket, given: Given) -> str | None:
    """The planner's words; the scores of routing are reason enough where its suggestion is taken."""
    suggested = ticket.suggestion.person if ticket.suggestion else None
    if given.reason.strip() or (given.person and given.person == suggested):
        return None
    return "absent"


def _ticks(_ticket: Ticket, given: Given) -> str | None:
    t = given.ticks
    return None if t.solved and t.no_derived_risk and t.no_further_support else "not_all_three"


def _other_signer(ticket: Ticket, given: Given) -> str | None:
    if not given.actor:
        return "absent"
    return "is_handler" if given.actor in {ticket.handler, ticket.assignee} else None


def _assignee_accepts(ticket: Ticket, given: Given) -> str | None:
    return None if given.actor and given.actor == ticket.assignee else "not_the_assignee"


def _master(ticket: Ticket, given: Given) -> str | None:
    if given.master is None:
        return "absent"
    return "itself" if given.master == ticket.id else None


def _proposal(ticket: Ticket, _given: Given) -> str | None:
    if proposed(ticket) is None:
        return "absent"
    return None if ticket.relearn is None else "answered"


def _unless(met: bool) -> str | None:
    return None if met else "absent"


CHECKS: Mapping[Demand, Callable[[Ticket, Given], str | None]] = {
    Demand.PERSON: lambda _, given: _named(given.person, given.known_people),
    Demand.BACKUP: _backup,
    Demand.REASON: _reason,
    Demand.EVIDENCE: lambda _, given: _unless(any(e.strip() for e in given.evidence)),
    Demand.ASSIGNEE_ACCEPTS: _assignee_accepts,
    Demand.SUB_STATE: lambda _, given: _unless(given.sub_state is not None),
    Demand.PHOTO: lambda _, given: _unless(given.photos > 0),
    Demand.SUMMARY: lambda _, given: _unless(bool(given.summary.strip())),
    Demand.CAUSE: lambda _, given: refuses(given.cause),
    Demand.SAME_KIND: lambda _, given: _unless(given.same_kind is not None),
    Demand.THREE_TICKS: _ticks,
    Demand.OTHER_SIGNER: _other_signer,
    Demand.APPROVER: lambda _, given: _unless(bool(given.approver.strip())),
    Demand.MASTER: _master,
    Demand.WAS_ASSIGNED: lambda ticket, _: _unless(ticket.assignee is not None),
    Demand.NEVER_ASSIGNED: lambda ticket, _: _unless(ticket.assignee is None),
    Demand.PROPOSAL: _proposal,
}
"""What each demand looks at; None if it is met, else why not."""


def steps_between(from_state: TicketState, to_state: TicketState) -> Mapping[Step, frozenset[Demand]]:
    """The steps of that edge with their demands; NoEdge, naming where one can go, if there is none."""
    try:
        return EDGES[from_state, to_state]
    except KeyError:
        reachable = [str(to) for source, to in EDGES if source is from_state]
        raise NoEdge(from_state, to_state, reachable) from None


def target(ticket: Ticket, step: Step) -> TicketState:
    """Where a step leads from the ticket's state; NoEdge if it cannot be taken there.

    A closed ticket that nobody had been assigned goes back to dispatch: work in progress has a person.
    """
    ways = [to for (source, to), steps in EDGES.items() if source is ticket.state and step in steps]
    if not ways:
        allowed = [str(s) for (source, _), steps in EDGES.items() if source is ticket.state for s in steps]
        raise NoEdge(ticket.state, step, allowed)
    if len(ways) > 1:
        return IN_PROGRESS if ticket.assignee is not None else PENDING
    return ways[0]


def lacks(ticket: Ticket, step: Step, given: Given) -> tuple[Missing, ...]:
    """The demands of the step that are not met, in the order of `Demand`."""
    demands = EDGES[ticket.state, target(ticket, step)][step]
    unmet = ((demand, CHECKS[demand](ticket, given)) for demand in Demand if demand in demands)
    return tuple(Missing(demand, why) for demand, why in unmet if why is not None)


def check(ticket: Ticket, step: Step, given: Given) -> TicketState:
    """The state that the step leads to; NoEdge or StepRefused with all that is missing."""
    missing = lacks(ticket, step, given)
    if missing:
        raise StepRefused(step, ticket.state, missing)
    return target(ticket, step)


def next_steps(ticket: Ticket, given: Given) -> Mapping[Step, tuple[Missing, ...]]:
    """Every step that can be taken from here, each with what is still missing: the page's checklist.

    Where nothing is proposed, there is nothing to answer.
    """
    possible = [step for (source, _), steps in EDGES.items() if source is ticket.state for step in steps]
    unmet = {step: lacks(ticket, step, given) for step in possible if step is not Step.FAIL_AGAIN}
    return {
        step: missing for step, missing in unmet.items() if Demand.PROPOSAL not in {m.demand for m in missing}
    }


def again(ticket: Ticket, state: TicketState) -> Ticket:
    """The ticket with its work undone: what was said at the end is void, and new evidence is needed.

    The audit keeps what was said; the photos stay, but count for the round they were taken in.
    """
    return replace(
        ticket,
        state=state,
        sub_state=SubState.SITE_SURVEY if state is IN_PROGRESS else None,
        resolved_ns=None,
        closed_ns=None,
        handler=None,
        signer=None,
        summary="",
        cause=None,
        same_kind=None,
        closure=None,
        closure_note="",
        outcome=None,
        relearn=None,
        approver=None,
        reopen_count=ticket.reopen_count + 1,
    )
