"""A state is a contract: which steps lead where, and what each of them demands (rules 36 to 40).

`EDGES` is the whole of it. `check` says where a step leads, or raises what is missing.
"""

from collections.abc import Mapping
from dataclasses import replace
from enum import StrEnum

from ticketing.demands import CHECKS, Demand, Given
from ticketing.errors import Missing, NoEdge, StepRefused
from ticketing.ticket import Outcome, SubState, Ticket, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


class Step(StrEnum):
    """What can be done to a ticket. FAIL_AGAIN is the machine's own, the rest are people's."""

    ASSIGN = "assign"
    TRANSFER = "transfer"
    DECLINE = "decline"
    ACCEPT = "accept"
    DEPART = "depart"
    ARRIVE = "arrive"
    SUBSTATE = "substate"
    HOLD = "hold"
    RESUME = "resume"
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
    ARCHIVE = "archive"


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
    (ASSIGNED, IN_PROGRESS): {
        Step.ACCEPT: frozenset({Demand.ASSIGNEE_ACCEPTS, Demand.SUB_STATE, Demand.REQUISITION, Demand.SAFETY})
    },
    (ASSIGNED, CLOSED): _GIVE_UP,
    (IN_PROGRESS, ASSIGNED): {Step.TRANSFER: _DISPATCH | _BACK},
    (IN_PROGRESS, IN_PROGRESS): {
        Step.DEPART: frozenset({Demand.AT_WORK}),
        Step.ARRIVE: frozenset({Demand.AT_WORK, Demand.ARRIVAL, Demand.SAFETY}),
        Step.SUBSTATE: _BACK | {Demand.SUB_STATE, Demand.REQUISITION, Demand.SAFETY},
        Step.HOLD: _BACK | {Demand.HOLD},
        Step.RESUME: frozenset({Demand.REASON, Demand.ON_HOLD}),
    },
    (IN_PROGRESS, RESOLVED): {
        Step.RESOLVE: frozenset(
            {
                *(Demand.PHOTO, Demand.SUMMARY, Demand.CAUSE, Demand.SAME_KIND),
                *(Demand.FIELDS, Demand.NO_REQUISITION, Demand.OPERATIONS, Demand.SCENE_TAG),
                *(Demand.SAFETY, Demand.SAFETY_END, Demand.APPROVALS),
            }
        )
    },
    (IN_PROGRESS, CLOSED): _GIVE_UP,
    (RESOLVED, IN_PROGRESS): {Step.REJECT: _BACK, Step.FAIL_AGAIN: _BACK},
    (RESOLVED, CLOSED): {
        Step.SIGN: frozenset({Demand.THREE_TICKS, Demand.SIGNATURE, Demand.OTHER_SIGNER}),
        Step.CLOSE_UNSIGNED: frozenset({Demand.REASON, Demand.APPROVER}),
    },
    (CLOSED, CLOSED): {
        Step.RELEARN: frozenset({Demand.PROPOSAL}),
        Step.KEEP_BASELINE: frozenset({Demand.PROPOSAL, Demand.REASON}),
        Step.ARCHIVE: frozenset({Demand.SCENE_TAG, Demand.NOT_ARCHIVED}),
    },
    (CLOSED, PENDING): {
        Step.FAIL_AGAIN: _BACK | {Demand.NEVER_ASSIGNED},
        Step.REOPEN: _BACK | {Demand.ADMINISTRATOR, Demand.NEVER_ASSIGNED},
    },
    (CLOSED, IN_PROGRESS): {
        Step.FAIL_AGAIN: _BACK | {Demand.WAS_ASSIGNED},
        Step.REOPEN: _BACK | {Demand.ADMINISTRATOR, Demand.WAS_ASSIGNED},
    },
}
"""(from, to) -> step -> demands. A pair that is not here is no edge."""

OUTCOMES: Mapping[Step, tuple[Outcome | None, ...]] = {
    Step.FALSE_ALARM: (Outcome.FALSE_ALARM, Outcome.PLANNED, Outcome.OPERATING_CHANGE),
    Step.CANCEL: (None, Outcome.PLANNED, Outcome.OPERATING_CHANGE),
}
"""What a ticket that is given up can have been; the first where nothing is said. None is no label at all."""

NEED_APPROVAL = (Step.CANCEL, Step.FALSE_ALARM, Step.DUPLICATE, Step.CLOSE_UNSIGNED)
"""Ways to close a ticket without a repair or a signature: one asks, and another whose role it is grants it."""

_MOOT = frozenset({Demand.PROPOSAL, Demand.ON_HOLD, Demand.NOT_ARCHIVED})
"""Where one of these is not met, there is nothing to do, rather than something missing."""


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

    What is moot is left out: there is no proposal to answer, no hold to end, nothing left to archive.
    """
    possible = [step for (source, _), steps in EDGES.items() if source is ticket.state for step in steps]
    unmet = {step: lacks(ticket, step, given) for step in possible if step is not Step.FAIL_AGAIN}
    return {step: missing for step, missing in unmet.items() if _MOOT.isdisjoint(m.demand for m in missing)}


def handed_over(ticket: Ticket, person: str, backup: str, now_ns: int) -> Ticket:
    """The ticket with another person, who has to accept it and says anew how the work goes and what it waits for."""
    return replace(
        ticket,
        assignee=person,
        backup=backup,
        assigned_ns=now_ns,
        accepted_ns=None,
        sub_state=None,
        hold=None,
    )


def again(ticket: Ticket, state: TicketState) -> Ticket:
    """The ticket with its work undone: what was said at the end is void, and new evidence is needed.

    The audit keeps what was said; the photos stay, but count for the round they were taken in.
    """
    return replace(
        ticket,
        state=state,
        sub_state=SubState.SITE_SURVEY if state is IN_PROGRESS else None,
        hold=None,
        arrived_ns=None,
        resolved_ns=None,
        closed_ns=None,
        handler=None,
        signer=None,
        signed_by=None,
        archived_ns=None,
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
