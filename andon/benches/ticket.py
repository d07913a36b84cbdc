"""What a ticket costs: findings a second through the whole transaction, bytes kept, and a million tickets beside a thousand.

The first thousand tickets are folded from findings like any other; the rest are their copies, row by row in every
table, closed, under keys of their own: what a store holds after years.
"""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    Engine,
    Integer,
    String,
    Table,
    cast,
    false,
    func,
    insert,
    literal,
    select,
    text,
    true,
)

from andon import schema
from andon.benches import Row
from andon.benches.postgres import programs, server
from andon.clock import wall
from andon.database import open_database, reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Action, Family, Finding, Number, Origin
from andon.plant import Asset, Person, Plant
from andon.rules.suppression import Flood, Suppressing
from ticketing import store
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

GOAL_PER_S, GOAL_TIMES = 2000.0, 3.0
BASE, OPEN = 1000, 200
"""Tickets that are folded one by one; so many of them stay open."""
GROUP = 256
_MACHINES = 500
_FEW, _MANY = 20_000, 1_000_000
_COPIED = (
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
_AT_ONCE = 50
_DAY_NS = 24 * HOUR_NS
PLANT = Plant(
    name="Bench",
    assets=tuple(
        Asset(id=f"M{n}", name=f"Press {n}", asset_class="press", path=f"acme/north/area/L{n % 20}/c{n}")
        for n in range(_MACHINES)
    ),
    people=tuple(
        Person(id=f"p{n}", name=f"P {n}", role="technician", tags=("mechanics",)) for n in range(20)
    ),
    skills={"stop": "mechanics"},
    suppression=Suppressing(
        flood=Flood(on=False)
    ),  # all that is folded here is one: it would be a ticket more
)


def databases() -> list[str]:
    """Those that can be measured here."""
    return ["sqlite", *(["postgresql"] if programs() else [])]


def steps() -> int:
    """How often `rows` says what it is at."""
    return 5 * len(databases())


def rows(step: Callable[[str], None], *, quick: bool) -> list[Row]:
    """All figures, on each database; both write as in a plant, to the disk before they say so."""
    found = []
    for name in databases():
        with _store(name) as where:
            found += _rows(name, where, step, _FEW if quick else _MANY, 0.4 if quick else 5.0)
    return found


def _rows(name: str, where: Path | str, step: Callable[[str], None], many: int, seconds: float) -> list[Row]:
    engine = open_database(where)
    schema.bring_up(engine)
    step(f"{name}: the first {BASE:,} tickets")
    at_ns = wall() - 30 * 24 * 60 * MINUTE_NS
    for first in range(0, BASE, GROUP):
        _fold(engine, [_stop(n, at_ns) for n in range(first, min(first + GROUP, BASE))], at_ns)
    _settled(engine, at_ns)
    small, small_mb = _asked(engine, seconds, at_ns), _memory_mb(where)
    step(f"{name}: {many:,} tickets")
    before = _size(engine)
    _copy(engine, many // BASE - 1)
    per_100k_mb = (_size(engine) - before) / (many - BASE) * 100_000 / 1e6
    step(f"{name}: board, search and attach among {many:,}")
    large, large_mb = _asked(engine, seconds, at_ns), _memory_mb(where)
    step(f"{name}: findings a second")
    what = f"{name}: findings through the whole transaction"
    one, many_at_once = _rate(engine, 1, seconds), _rate(engine, GROUP, 4 * seconds)
    found = [
        Row(f"{what}, 1 in one", one, "/s"),
        Row(f"{what}, {GROUP} in one", many_at_once, "/s", limit=GOAL_PER_S, at_least=True),
    ]
    step(f"{name}: done")
    engine.dispose()
    found += [
        Row(
            f"{name}: {what} among {many:,} tickets, p95",
            large[what],
            "ms",
            f"{BASE:,}: {small[what]:.2f} ms",
            large[what] / small[what],
            goal="G8",
            limit=GOAL_TIMES,
        )
        for what in small
    ]
    found.append(Row(f"{name}: store for each 100,000 tickets", per_100k_mb, "MB"))
    versus = f"{BASE:,}: {small_mb:.0f} MB"
    what = f"{name}: memory of a process that folds findings among {many:,} tickets"
    return [*found, Row(what, large_mb, "MB", versus, large_mb / small_mb, limit=1.1)]


@contextlib.contextmanager
def _store(name: str) -> Iterator[Path | str]:
    if name == "sqlite":
        with tempfile.TemporaryDirectory(prefix="andon-bench-") as folder:
            yield Path(folder) / "andon.sqlite"
    else:
        with server(durable=True) as running:
            yield running.create()


def _stop(number: int, at_ns: int) -> Finding:
    """A stop of its own reason on one of the machines."""
    return Finding(
        id=f"{number}/{at_ns}",
        asset=f"M{number % _MACHINES}",
        component=f"E{number}",
        family=Family.STOP,
        condition="stop",
        action=Action.RAISE,
        at_ns=at_ns,
        onset_ns=at_ns,
        severity=600,
        confidence=1.0,
        numbers=(Number("severity", 600.0, "1"),),
        evidence={},
        detector="stop_alarm",
        version="1",
        parameters_hash="0" * 16,
        origin=Origin("mes", number, at_ns + SECOND_NS),
        text={"message": f"conveyor jam {number}", "category": "mechanical"},
    )


def _fold(engine: Engine, findings: list[Finding], now_ns: int) -> None:
    with writing(engine) as conn:
        Tickets(engine).apply(conn, findings, PLANT, now_ns)


def _settled(engine: Engine, at_ns: int) -> None:
    """Start the clocks, then close all but the newest, with their keys."""
    ticket, master, timer, clock = t.ticket.c, t.master.c, timers.c, clocks.c
    while turn(Tickets(engine), PLANT, at_ns):
        pass
    with writing(engine) as conn:
        conn.execute(t.ticket.update().where(ticket.id <= BASE - OPEN).values(_REPAIRED))
        conn.execute(t.activation.update().where(t.activation.c.ticket <= BASE - OPEN).values(_OVER))
        conn.execute(t.master.update().where(master.ticket <= BASE - OPEN).values(open=False))
        done = [_subject(number) for number in range(1, BASE - OPEN + 1)]
        conn.execute(timers.update().where(timer.subject.in_(done)).values(_DONE))
        conn.execute(clocks.update().where(clock.ticket <= BASE - OPEN).values(_ENDED))
    _analyze(engine)


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


def _subject(ticket: int | ColumnElement[str]) -> Any:
    """What a ticket's timers are about."""
    return "ticket/" + (str(ticket) if isinstance(ticket, int) else ticket)


def _copy(engine: Engine, times: int) -> None:
    """Each of the first tickets again, so many times, closed, each time a day earlier."""
    for first in range(1, times + 1, _AT_ONCE):
        counting = select(literal(first, Integer).label("i")).cte("copies", recursive=True)
        last = min(first + _AT_ONCE - 1, times)
        counting = counting.union_all(select(counting.c.i + 1).where(counting.c.i < last))
        with writing(engine) as conn:
            for table in _COPIED:
                values = _copied(table, counting.c.i)
                base = select(*values.values()).select_from(table).join(counting, literal(value=True))
                conn.execute(insert(table).from_select(list(values), base.where(_original(table))))
            made = select(t.ticket.c.id, t.ticket.c.search)
            made = made.where(t.ticket.c.id > first * BASE, t.ticket.c.id <= (last + 1) * BASE)
            index(conn, [(row.id, None, row.search) for row in conn.execute(made)])
    with writing(engine) as conn:
        conn.execute(t.counter.update().where(t.counter.c.name == "ticket").values(value=(times + 1) * BASE))
    _analyze(engine)


def _analyze(engine: Engine) -> None:
    """Let PostgreSQL know what it holds, as it does by itself after a minute; SQLite does not."""
    if engine.dialect.name == "postgresql":
        with writing(engine) as conn:
            conn.execute(text("ANALYZE"))


def _original(table: Table) -> ColumnElement[bool]:
    """Of the first tickets, and no copy: a copied key is shorter."""
    if table is alarm_state:
        return func.length(table.c.key) == 64
    if table is timers:
        return table.c.subject.in_([_subject(number) for number in range(1, BASE + 1)])
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
        ticket = cast(func.substr(timers.c.subject, len(_subject(0))), BigInteger)
        values["subject"] = _subject(cast(ticket + shift, String))
    if table is outbox:
        del values["id"]
    return values


def _asked(engine: Engine, seconds: float, before_ns: int) -> dict[str, float]:
    """The p95, in ms, of what a console and the engine ask most; nothing is due at `before_ns`."""
    now_ns = wall()
    words = iter(range(10**9))
    unclosed = tuple(state for state in TicketState if state is not TicketState.CLOSED)

    def board() -> None:
        with reading(engine) as conn:
            store.tickets(conn, store.Filter(states=unclosed))

    def search() -> None:
        with reading(engine) as conn:
            wanted = store.Filter(states=unclosed, text=f"jam {BASE - 1 - next(words) % OPEN}")
            store.tickets(conn, wanted)

    def search_all() -> None:
        with reading(engine) as conn:
            store.tickets(conn, store.Filter(text=f"conveyor jam {next(words) % BASE}"))

    def attach() -> None:
        number = next(words)
        _fold(engine, [_stop(BASE - 1 - number % OPEN, now_ns + number)], now_ns)

    def idle() -> None:
        turn(Tickets(engine), PLANT, before_ns)

    return {
        "board": _p95_ms(board, seconds),
        "search among the open": _p95_ms(search, seconds),
        "search among all": _p95_ms(search_all, seconds),
        "a finding that joins": _p95_ms(attach, seconds),
        "a second in which nothing is due": _p95_ms(idle, seconds),
    }


def _p95_ms(do: Callable[[], None], seconds: float) -> float:
    do()
    took: list[float] = []
    until_s = time.monotonic() + seconds
    while time.monotonic() < until_s or len(took) < 20:
        began_s = time.perf_counter()
        do()
        took.append(time.perf_counter() - began_s)
    return sorted(took)[int(0.95 * len(took))] * 1000


def _rate(engine: Engine, size: int, seconds: float) -> float:
    """Findings a second in transactions of that size: one in ten opens a ticket, the others join."""
    now_ns, number, folded = wall(), 10_000_000 * size, 0
    began_s = time.monotonic()
    while time.monotonic() - began_s < seconds:
        findings = []
        for place in range(size):
            number += place % 10 == 0
            findings.append(_stop(number, now_ns + folded + place))
        _fold(engine, findings, now_ns)
        folded += size
    return folded / (time.monotonic() - began_s)


def _size(engine: Engine) -> int:
    """Bytes of the store."""
    sizes = {
        "sqlite": "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        "postgresql": "SELECT pg_database_size(current_database())",
    }
    with reading(engine) as conn:
        return int(conn.execute(text(sizes[engine.dialect.name])).scalar_one())


def _memory_mb(where: Path | str) -> float:
    """The most memory that a process of its own takes to fold findings on that store."""
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        return pool.apply(_most_memory_mb, (where,))


def _most_memory_mb(where: Path | str) -> float:
    engine = open_database(where)
    now_ns = wall()
    for first in range(4):
        _fold(engine, [_stop(BASE - 1 - n, now_ns + first) for n in range(OPEN)], now_ns)
    engine.dispose()
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count what the parent was when it forked
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
