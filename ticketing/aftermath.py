"""What a step means beyond its ticket: alarms a repair ends, RCAs whose ground has gone, baselines learned anew."""

from sqlalchemy import BindParameter, Connection, bindparam, select, update

from andon import declarations
from ticketing import offers, requisitions
from ticketing.book import Book
from ticketing.demands import Given
from ticketing.dispatch import ask_again
from ticketing.grounds import flag
from ticketing.improvements import name_cause
from ticketing.outcomes import proposed, was_no_fault
from ticketing.plans.review import settled
from ticketing.presence import gave
from ticketing.tables import activation, master
from ticketing.ticket import Closure, Ticket, TicketState

_TICKET: BindParameter[int] = bindparam("_ticket")
_END = (
    update(activation)
    .where(activation.c.ticket == _TICKET, activation.c.clear_ns.is_(None))
    .values(ended_by_repair=True)
)
_REVIVE = (
    update(activation)
    .where(activation.c.ticket == _TICKET, activation.c.ended_by_repair.is_(True))
    .values(ended_by_repair=False, clear_ns=None)
)
_GIVEN_UP = frozenset({Closure.CANCELLED, Closure.FALSE_ALARM})
"""Closures after which no part is wanted; a duplicate's work goes on elsewhere, and its parts with it."""


def settle(book: Book, before: Ticket, after: Ticket, given: Given) -> None:
    """Carry a step's meaning to the failures and RCAs of its ticket.

    Work that is done ends what stands, for a source that never says "over" must not hide the next failure; work
    that was not done after all brings it back. An RCA that rests on a false alarm is flagged, never deleted.
    A proposal that is accepted is declared, for the engine to take into the stream. What a plan has due next follows
    from what was done. A ticket that leaves dispatch is not offered any more; one that comes back is routed again. One
    that is given up wants no parts any more.
    """
    if after.assignee is not None and before.assignee != after.assignee:
        gave(book, after.assignee)
    if before.state is not after.state and TicketState.PENDING_DISPATCH in {before.state, after.state}:
        offers.withdraw(book, after)
    if before.state is not after.state is TicketState.PENDING_DISPATCH:
        ask_again(book, after, "reopened" if not before.is_open else "declined")
    if before.settled_ns is None and after.settled_ns is not None:
        book.later(_END, {"_ticket": after.id, "clear_ns": book.now_ns})
    if before.settled_ns is not None and after.settled_ns is None:
        book.later(_REVIVE, {"_ticket": after.id})
    if was_no_fault(after) and not was_no_fault(before):
        flag(book, after)
    if before.is_open and after.closure in _GIVEN_UP:
        requisitions.let_go(book, after, given.actor)
    name_cause(book, before, after)
    settled(book, before, after)
    what = proposed(after)
    if after.relearn and not before.relearn and what is not None:
        declarations.ask(
            book.conn,
            asset=after.asset,
            component=after.headline.component,
            what=what,
            by=given.actor,
            note=given.reason or after.summary or after.closure_note,
            ticket=after.number,
            now_ns=book.now_ns,
        )


def other_open_ticket(conn: Connection, ticket: Ticket) -> int | None:
    """The ticket that is open for one of this ticket's keys, or that took them over; None if there is none."""
    if ticket.closure is Closure.DUPLICATE:
        return ticket.duplicate_of
    mine = select(master.c.key).where(master.c.ticket == ticket.id)
    found = select(master.c.ticket).where(
        master.c.key.in_(mine), master.c.open.is_(True), master.c.ticket != ticket.id
    )
    return conn.execute(found.limit(1)).scalar()
