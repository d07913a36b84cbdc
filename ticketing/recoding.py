"""A root cause that was named wrongly is named anew: what was counted by it is counted again, and nothing is deleted."""

from dataclasses import replace

from andon.plant import Plant
from ticketing.aftermath import settle
from ticketing.causes import causes_of, refuses
from ticketing.demands import Demand, Given
from ticketing.errors import Missing, NoEdge, StepRefused
from ticketing.outcomes import repaired
from ticketing.service import Tickets
from ticketing.states import next_steps
from ticketing.stepping import CONSOLE, look
from ticketing.ticket import Closure, Ticket

RECODE = "recode"


def recode(
    tickets: Tickets,
    ticket_id: int,
    *,
    cause: str,
    reason: str,
    plant: Plant,
    actor: str,
    now_ns: int,
    expected_version: int,
    channel: str = CONSOLE,
) -> Ticket:
    """Name another root cause of a ticket that was repaired; gives it as it then is.

    Raises
    ------
    TicketNotFound, StaleVersion
        There is no such ticket, or someone else was faster.
    NoEdge, StepRefused
        It was not repaired, or the code or the reason is missing or cannot be chosen.
    """
    with tickets.transaction(now_ns) as book:
        before = look(book, expected_version, ticket_id)
        if before.resolved_ns is None or before.cause is None:
            raise NoEdge(before.state, RECODE, tuple(next_steps(before, Given())))
        wrong = "same" if cause == before.cause else refuses(cause, causes_of(plant))
        missing = [Missing(Demand.CAUSE, wrong)] if wrong else []
        if not reason.strip():
            missing.append(Missing(Demand.REASON))
        if missing:
            raise StepRefused(RECODE, before.state, missing)
        after = replace(before, cause=cause)
        if before.closure in {Closure.SIGNED, Closure.UNSIGNED}:
            after = replace(after, outcome=repaired(after))
        after = book.record(after, action=RECODE, actor=actor, channel=channel, reason=reason.strip())
        settle(book, before, after, Given(actor=actor, reason=reason))
    return after
