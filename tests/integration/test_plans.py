"""What is asked every second reads no table from end to end, however many tickets there are."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, Engine, event

from andon.benches import ticket as bench
from andon.benches import years
from andon.database import reading
from tests.stores import Stores
from ticketing import detector_record, store, tallies
from ticketing.cards import columns
from ticketing.clockwork import turn
from ticketing.service import Tickets
from ticketing.ticket import TicketState

AT_NS = 1_790_000_000_000_000_000
OPEN = tuple(state for state in TicketState if state is not TicketState.CLOSED)
GROWS = {table.name for table in years.COPIED}
"""Tables that have more rows with every ticket."""
Asked = dict[str, object]


@pytest.fixture
def engine(stores: Stores) -> Engine:
    engine = stores.open()
    bench.fold(engine, [bench.stop(n, AT_NS) for n in range(bench.BASE)], AT_NS)
    years.settle(engine, bench.PLANT, AT_NS)
    years.copy(engine, 4)
    return engine


@contextmanager
def heard(engine: Engine) -> Iterator[Asked]:
    """The questions that are asked meanwhile, each with the parameters of the first time."""
    found: Asked = {}

    def hear(_conn: object, _cursor: object, said: str, values: object, _context: object, many: bool) -> None:
        if said.startswith("SELECT") and not many:
            found.setdefault(said, values)

    event.listen(engine, "before_cursor_execute", hear)
    yield found
    event.remove(engine, "before_cursor_execute", hear)


def walks_numbers(said: str, scan: str) -> bool:
    """Whether tickets are read in the order of their numbers, and no further than what is wanted of them."""
    by_number = " ORDER BY ticket.id DESC" in said and "LIMIT" in said
    return by_number and scan == "SCAN ticket USING INDEX sqlite_autoindex_ticket_1"


def read_whole(conn: Connection, said: str, values: object) -> list[str]:
    """The tables that the plan reads from end to end, but for an index whose first rows are all that is wanted.

    PostgreSQL rightly reads a small table whole though it has an index, so it is told to do that only without one.
    """
    if conn.dialect.name == "sqlite":
        steps = [row[3] for row in conn.exec_driver_sql(f"EXPLAIN QUERY PLAN {said}", values)]  # type: ignore[arg-type]
        scans = [step for step in steps if step.startswith("SCAN ") and "ticket_unclosed" not in step]
        if "LIMIT" in said and not any("FOR ORDER BY" in step for step in steps):
            scans = [scan for scan in scans if " USING INDEX " not in scan]
        scans = [scan for scan in scans if not walks_numbers(said, scan)]
        return [scan for scan in scans if scan.split()[1] in GROWS | {"suppression"}]
    conn.exec_driver_sql("SET LOCAL enable_seqscan = off")
    plan = [row[0] for row in conn.exec_driver_sql(f"EXPLAIN {said}", values)]  # type: ignore[arg-type]
    return [
        step for step in plan if "Seq Scan on " in step and step.split("Seq Scan on ")[1].split()[0] in GROWS
    ]


def test_hot_questions_are_searches_in_an_index(engine: Engine) -> None:
    with heard(engine) as asked:
        joins = [bench.stop(bench.BASE - 1 - n, AT_NS + 1 + n) for n in range(10)]
        bench.fold(engine, [*joins, *(bench.stop(50_000 + n, AT_NS) for n in range(10))], AT_NS)
        turn(Tickets(engine), bench.PLANT, AT_NS)
        with reading(engine) as conn:
            for wanted in (
                store.Filter(states=OPEN),
                store.Filter(),
                store.Filter(line="L7"),
                store.Filter(person="p1"),
                store.Filter(asset="M7"),
                store.Filter(text="jam 850"),
                store.Filter(states=OPEN, text="jam 850"),
            ):
                store.tickets(conn, wanted)
            columns(conn, store.Filter(), 30)
            for sort in store.Sort:
                store.tickets(conn, sort=sort)
            store.changes_since(conn, 1)
            store.ticket(conn, bench.BASE)
            store.asset_history(conn, "M7")
            assert (
                sum(tallies.unclosed(conn).values()) == store.tickets(conn, store.Filter(states=OPEN)).total
            )
            assert tallies.opened(conn) == store.tickets(conn).total
            tallies.overdue(conn)
            assert sum(one.opened for one in detector_record.records(conn, AT_NS - 1)) > 0
            assert detector_record.records(conn, AT_NS - 1, {"nowhere"}) == []
    with reading(engine) as conn:
        whole = {said: found for said, values in asked.items() if (found := read_whole(conn, said, values))}
    assert len(asked) > 40
    assert not whole


def test_a_question_without_an_index_is_found(engine: Engine) -> None:
    with reading(engine) as conn:
        assert read_whole(conn, "SELECT * FROM ticket WHERE reopen_count = 7", ())
        assert not read_whole(conn, "SELECT * FROM ticket WHERE id = 7", ())
