"""What a ticket turned out to be, and what its closure proposes for the machine's baselines."""

from collections.abc import Mapping

from andon.events import Declared, Family
from ticketing.causes import CAUSES
from ticketing.ticket import PLANNED, Closure, Outcome, Ticket

_LEARNED = frozenset({Family.MACHINE_CONDITION, Family.TEMPERATURE})
_PROPOSES: Mapping[Outcome, Declared] = {
    Outcome.FIXED: Declared.REPAIR,
    Outcome.OPERATING_CHANGE: Declared.OPERATING_CHANGE,
}


def repaired(ticket: Ticket) -> Outcome:
    """What a ticket that was worked on turned out to be: planned, or its root cause may say that nothing was wrong."""
    if ticket.headline.condition == PLANNED:
        return Outcome.PLANNED
    cause = CAUSES.get(ticket.cause or "")
    return Outcome.FALSE_ALARM if cause is not None and cause.tunes else Outcome.FIXED


def proposed(ticket: Ticket) -> Declared | None:
    """What closing it proposes to declare, so that the component's baseline is learned anew (law 6); None: nothing."""
    if ticket.is_open or ticket.outcome is None or ticket.headline.family not in _LEARNED:
        return None
    return _PROPOSES.get(ticket.outcome)


def was_no_fault(ticket: Ticket) -> bool:
    """Whether it turned out that nothing had failed: closed as a false alarm, or by the class of its root cause."""
    cause = CAUSES.get(ticket.cause or "")
    if ticket.closure is Closure.FALSE_ALARM or ticket.outcome is Outcome.FALSE_ALARM:
        return True
    return cause is not None and cause.tunes
