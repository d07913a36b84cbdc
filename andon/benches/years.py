"""A store as it is after years: the first thousand tickets are folded like any other, the rest are their copies.

They are copied row by row in every table, closed, under keys of their own, each time a day earlier.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Connection,
    Engine,
    Integer,
    String,
    Table,
    cast,
    event,
    false,
    func,
    insert,
    literal,
    select,
    text,
    true,
)

from andon.database import writing
from andon.events import HOUR_NS
from andon.plant import Plant
from ticketing import tables as t
from ticketing.alarm_rows import alarm_state
from ticketing.clock_tables import clock as clocks
from ticketing.clock_tables import timer as timers
from ticketing.clocks import ClockState
from ticketing.clockwork import turn
from ticketing.dispatch import routing_decision
from ticketing.message_tables import outbox
from ticketing.search import index
from ticketing.service import Tickets
from ticketing.ticket import TicketState
from ticketing.timers import TimerState

BASE, OPEN = 1000, 200
"""Tickets that are folded one by one; so many of them stay open."""
_AT_ONCE = 20
_DAY_NS = 24 * HOUR_NS
COPIED = (
    t.dedup_key,
    t.ticket,
    t.master,
    t.occurrence,
    t.alarm,
    t.activation,
    t.failure,
    t.ticket_event,
    timers,
    clocks,
    outbox,
    alarm_state,
    routing_decision,
)
"""Tables that have more rows with every ticket."""
LOOKED_AT = (t.dedup_key, t.ticket, t.master, t.occurrence, t.ticket_event, clocks)
"""Those that lists, a search and a ticket's page read."""
_REPAIRED: Mapping[str, Any] = {
    "state": literal(TicketState.CLOSED, String),
    "handler": literal("p1"),
    "resolved_ns": t.ticket.c.opened_ns,
    "closed_ns": t.ticket.c.opened_ns,
}
_OVER: Mapping[str, Any] = {"clear_ns": t.activation.c.at_ns, "ended_by_repair": true()}
_ENDED: Mapping[str, Any] = {"state": literal(ClockState.MET, String), "ended_ns": clocks.c.from_ns}
_DONE: Mapping[str, Any] = {"state": literal(TimerState.DONE, String), "done_ns": timers.c.due_ns}
_SENT: Mapping[str, Any] = {"state": literal("sent"), "sent_ns": outbox.c.at_ns}
"""What lies in their rows when the work on a ticket is done."""


def settle(engine: Engine, plant: Plant, at_ns: int) -> None:
    """Start the clocks, then close all but the newest, with their keys."""
    ticket, master, timer, clock = t.ticket.c, t.master.c, timers.c, clocks.c
    while turn(Tickets(engine), plant, at_ns):
        pass
    with writing(engine) as conn:
        conn.execute(t.ticket.update().where(ticket.id <= BASE - OPEN).values(_REPAIRED))
        conn.execute(t.activation.update().where(t.activation.c.ticket <= BASE - OPEN).values(_OVER))
        conn.execute(t.master.update().where(master.ticket <= BASE - OPEN).values(open=False))
        done = [subject_of(number) for number in range(1, BASE - OPEN + 1)]
        conn.execute(timers.update().where(timer.subject.in_(done)).values(_DONE))
        conn.execute(clocks.update().where(clock.ticket <= BASE - OPEN).values(_ENDED))
    analyze(engine)


def subject_of(ticket: int | ColumnElement[str]) -> Any:
    """What a ticket's timers are about."""
    return "ticket/" + (str(ticket) if isinstance(ticket, int) else ticket)


def copy(engine: Engine, times: int, tables: Sequence[Table] = COPIED) -> None:
    """Each of the first tickets again, so many times, closed, each time a day earlier: at some 10,000 a second.

    A store that is only measured needs no journal of its making, and an index is made faster than it is kept.
    """
    with _hastily(engine), _without_indexes(engine, tables):
        for first in range(1, times + 1, _AT_ONCE):
            with writing(engine) as conn:
                _copy(conn, tables, first, min(first + _AT_ONCE - 1, times))
    with writing(engine) as conn:
        conn.execute(t.counter.update().where(t.counter.c.name == "ticket").values(value=(times + 1) * BASE))
    analyze(engine)


def _copy(conn: Connection, tables: Sequence[Table], first: int, last: int) -> None:
    counting = select(literal(first, Integer).label("i")).cte("copies", recursive=True)
    counting = counting.union_all(select(counting.c.i + 1).where(counting.c.i < last))
    for table in tables:
        values = _copied(table, counting.c.i)
        base = select(*values.values()).select_from(table).join(counting, literal(value=True))
        conn.execute(insert(table).from_select(list(values), base.where(_original(table))))
    made = select(t.ticket.c.id, t.ticket.c.search)
    made = made.where(t.ticket.c.id > first * BASE, t.ticket.c.id <= (last + 1) * BASE)
    index(conn, [(row.id, None, row.search) for row in conn.execute(made)])


@contextmanager
def _hastily(engine: Engine) -> Iterator[None]:
    """Meanwhile no commit waits for the disk."""
    sqlite = engine.dialect.name == "sqlite"

    def loosen(connection: Any, _record: object) -> None:
        for pragma in ("synchronous=OFF", "cache_size=-300000", "wal_autocheckpoint=20000"):
            connection.execute(f"PRAGMA {pragma}")

    if sqlite:
        engine.dispose()
        event.listen(engine, "connect", loosen)
    yield
    if sqlite:
        event.remove(engine, "connect", loosen)
        engine.dispose()


@contextmanager
def _without_indexes(engine: Engine, tables: Sequence[Table]) -> Iterator[None]:
    """Meanwhile these tables have no indexes beside their keys; afterwards they have them again."""
    indexes = [one for table in tables for one in sorted(table.indexes, key=lambda one: str(one.name))]
    with writing(engine) as conn:
        for one in indexes:
            one.drop(conn)
    yield
    with writing(engine) as conn:
        for one in indexes:
            one.create(conn)


def analyze(engine: Engine) -> None:
    """Let PostgreSQL know what it holds, as it does by itself after a minute; SQLite does not."""
    if engine.dialect.name == "postgresql":
        with writing(engine) as conn:
            conn.execute(text("ANALYZE"))


def _original(table: Table) -> ColumnElement[bool]:
    """Of the first tickets, and no copy: a copied key is shorter."""
    if table is alarm_state:
        return func.length(table.c.key) == 64
    if table is timers:
        return table.c.subject.in_([subject_of(number) for number in range(1, BASE + 1)])
    whose = next(name for name in ("ticket", "last_ticket", "id") if name in table.c)
    return table.c[whose] <= BASE


def _copied(table: Table, i: ColumnElement[int]) -> dict[str, ColumnElement[Any]]:
    """The columns of a table's row as they are in its i-th copy."""
    shift, mark = cast(i, BigInteger) * BASE, "-" + cast(i, String)
    values: dict[str, ColumnElement[Any]] = {column.name: column for column in table.columns}
    done = {t.ticket: _REPAIRED, t.activation: _OVER, clocks: _ENDED, timers: _DONE, outbox: _SENT}
    values |= done.get(table, {})
    for name in {name for name in values if name.endswith("_ns")} - {"limit_ns", "taken_ns"}:
        values[name] -= cast(i, BigInteger) * _DAY_NS
    for name in values.keys() & {"ticket", "last_ticket"}:
        values[name] += shift
    for name in values.keys() & {"key", "finding", "failure"}:
        values[name] = func.substr(values[name], 1, 55) + mark
    if table is t.ticket:
        values |= {"id": t.ticket.c.id + shift, "number": "B-" + cast(t.ticket.c.id + shift, String)}
    if table in {t.alarm, alarm_state}:
        values["id"] += mark
    if table is t.master:
        values["open"] = false()
    if table is timers:
        ticket = cast(func.substr(timers.c.subject, len(subject_of(0))), BigInteger)
        values["subject"] = subject_of(cast(ticket + shift, String))
    if table is outbox:
        del values["id"]
    return values
