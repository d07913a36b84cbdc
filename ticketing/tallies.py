"""How much work stands: counts for who watches the installation, each from an index however many tickets there are."""

from collections.abc import Mapping

from sqlalchemy import Connection, func, select

from andon.database import Machines, among
from andon.events import Priority
from ticketing.clock_tables import clock
from ticketing.tables import counter, ticket
from ticketing.ticket import TicketState
from ticketing.urgency import ORDER

_UNCLOSED = [state for state in TicketState if state is not TicketState.CLOSED]


def unclosed(conn: Connection) -> Mapping[tuple[TicketState, Priority], int]:
    """How many tickets that are not closed there are of each state and priority, every pair named."""
    c = ticket.c
    rows = (
        select(c.state, c.priority, func.count()).where(c.state.in_(_UNCLOSED)).group_by(c.state, c.priority)
    )
    found = {(row[0], ORDER[row[1]]): row[2] for row in conn.execute(rows)}
    return {(state, priority): found.get((state, priority), 0) for state in _UNCLOSED for priority in ORDER}


def waiting(conn: Connection, machines: Machines) -> int:
    """How many tickets of those machines wait for dispatch."""
    there = ticket.c.state == str(TicketState.PENDING_DISPATCH), among(ticket.c.asset, machines)
    return conn.execute(select(func.count()).where(*there)).scalar_one()


def overdue(conn: Connection) -> Mapping[str, int]:
    """How many clocks of each kind run on although their limit has passed."""
    rows = select(clock.c.kind, func.count()).where(clock.c.late.is_(True)).group_by(clock.c.kind)
    return {row[0]: row[1] for row in conn.execute(rows)}


def opened(conn: Connection) -> int:
    """How many tickets there have ever been."""
    return conn.execute(select(counter.c.value).where(counter.c.name == "ticket")).scalar() or 0
