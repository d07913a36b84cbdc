"""`andon bench ticket`: its copies are a store that ticketing can work on, and every goal has its row on each database."""

import pytest
from sqlalchemy import Connection, func, select

from andon.benches import ticket, years
from andon.database import reading
from tests.stores import Stores
from ticketing import store
from ticketing import tables as t
from ticketing.clock_tables import timer
from ticketing.search import ticket_words
from ticketing.sla import clocks_of
from ticketing.timers import of

_OF_THE_PLANT = 3
"""Timers of the document's limits, of the drift list and of the night of the metrics."""


@pytest.mark.parametrize("stores", ["sqlite"], indirect=True)  # the other database: below, and by hand
def test_the_goals_have_their_rows(stores: Stores) -> None:
    said: list[str] = []
    found = ticket._rows("this", stores.new(), said.append, 2000, 0.01)
    assert {row.goal for row in found} >= {"G8"}
    assert len({(row.name, row.versus, row.unit) for row in found}) == len(found)
    assert all(row.value > 0 for row in found)
    assert len(said) * len(ticket.databases()) == ticket.steps()


def test_copied_tickets_are_closed_counted_and_found_and_no_key_is_shared(stores: Stores) -> None:
    engine = stores.open()
    at_ns = 1_790_000_000_000_000_000
    ticket.fold(engine, [ticket.stop(n, at_ns) for n in range(ticket.BASE)], at_ns)
    years.settle(engine, ticket.PLANT, at_ns)
    before = ticket._size(engine)
    with reading(engine) as conn:
        originals = _counted(conn)
    years.copy(engine, 3)
    assert ticket._size(engine) > before
    with reading(engine) as conn:
        page = store.tickets(conn)
        assert page.total == 4 * ticket.BASE
        assert page.counts["closed"] == page.total - ticket.OPEN
        assert conn.execute(select(func.count(t.ticket.c.key.distinct()))).scalar_one() == page.total
        assert store.tickets(conn, store.Filter(text="jam 7")).total >= 4
        assert _counted(conn) == {name: 4 * n for name, n in originals.items()}
        assert not clocks_of(conn, [ticket.BASE])[ticket.BASE][0].ended_ns
        assert clocks_of(conn, [2 * ticket.BASE])[2 * ticket.BASE][0].ended_ns
        assert len(of(conn, f"ticket/{2 * ticket.BASE}")) == 1
    ticket.fold(engine, [ticket.stop(ticket.BASE - 1, at_ns + 1), ticket.stop(5000, at_ns)], at_ns)
    with reading(engine) as conn:
        assert store.tickets(conn).total == 4 * ticket.BASE + 1


def _counted(conn: Connection) -> dict[str, int]:
    """The rows of everything that each ticket has, by table."""
    tables = (*years.COPIED, ticket_words)
    found = {one.name: conn.execute(select(func.count()).select_from(one)).scalar_one() for one in tables}
    return {**found, timer.name: found[timer.name] - _OF_THE_PLANT}
