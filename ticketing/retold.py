"""What people did to tickets, done again to those that a told history has opened: without it nothing ever closes."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Connection, select

from ticketing.aftermath import settle
from ticketing.book import Book, lock_assets
from ticketing.demands import Given
from ticketing.tables import master
from ticketing.ticket import Closure, Ticket, TicketState

_RETOLD = "history"


@dataclass(frozen=True, slots=True)
class Deed:
    """The end of the work on one cause, at `at_ns` of the server's clock: resolved, or closed."""

    at_ns: int
    ticket: Ticket
    state: TicketState


def deeds(tickets: Sequence[Ticket]) -> list[Deed]:
    """Each ticket's last resolution and closure, in order of time; a duplicate's end is its merging and no deed."""
    return sorted(_ends(tickets), key=lambda deed: (deed.at_ns, deed.ticket.id))


def _ends(tickets: Sequence[Ticket]) -> Iterator[Deed]:
    for ticket in tickets:
        if ticket.closure is Closure.DUPLICATE:
            continue
        if ticket.resolved_ns is not None:
            yield Deed(ticket.resolved_ns, ticket, TicketState.RESOLVED)
        if ticket.closed_ns is not None:
            yield Deed(ticket.closed_ns, ticket, TicketState.CLOSED)


def do(conn: Connection, deed: Deed) -> bool:
    """Bring the open ticket of that cause to where people brought it then; False if no ticket is open for it."""
    found = conn.execute(
        select(master.c.ticket).where(master.c.key == deed.ticket.key, master.c.open.is_(True))
    ).scalar()
    return found is not None and bring(conn, found, deed)


def bring(conn: Connection, number: int, deed: Deed) -> bool:
    """Bring that ticket there; False if it was not open then."""
    then = deed.ticket
    lock_assets(conn, [then.asset])
    book = Book(conn, deed.at_ns, ())
    before = book.ticket(number)
    if not before.is_open or before.anchor_ns > deed.at_ns:
        return False
    after = replace(before, state=deed.state, sub_state=None, handler=then.handler, summary=then.summary)
    if deed.state is TicketState.RESOLVED:
        after = replace(after, resolved_ns=deed.at_ns, cause=then.cause)
    else:
        after = replace(after, closed_ns=deed.at_ns, closure=then.closure, closure_note=then.closure_note)
    after = book.record(after, action=_RETOLD, actor=then.handler or then.approver or _RETOLD)
    settle(book, before, after, Given())
    book.save()
    return True
