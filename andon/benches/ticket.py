"""What a ticket costs: findings a second through the whole transaction, bytes kept, and a million tickets beside a thousand.

The first thousand tickets are folded from findings like any other; the rest are their copies, row by row in every
table, closed, under keys of their own: what a store holds after years.
"""

import contextlib
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import (
    Engine,
    text,
)

from andon import schema
from andon.benches import Row
from andon.benches.postgres import programs, server
from andon.benches.years import BASE, OPEN, copy, settle
from andon.clock import wall
from andon.database import open_database, reading, writing
from andon.events import MINUTE_NS, SECOND_NS, Action, Family, Finding, Number, Origin
from andon.plant import Asset, Person, Plant
from andon.rules.suppression import Flood, Suppressing
from ticketing import store
from ticketing.clockwork import turn
from ticketing.service import Tickets
from ticketing.ticket import TicketState

GOAL_PER_S, GOAL_TIMES = 2000.0, 3.0
GROUP = 256
_MACHINES = 500
_FEW, _MANY = 20_000, 1_000_000
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
        fold(engine, [stop(n, at_ns) for n in range(first, min(first + GROUP, BASE))], at_ns)
    settle(engine, PLANT, at_ns)
    small, small_mb = _asked(engine, seconds, at_ns), _memory_mb(where)
    step(f"{name}: {many:,} tickets")
    before = _size(engine)
    copy(engine, many // BASE - 1)
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


def stop(number: int, at_ns: int) -> Finding:
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


def fold(engine: Engine, findings: list[Finding], now_ns: int) -> None:
    """Findings through the whole transaction."""
    with writing(engine) as conn:
        Tickets(engine).apply(conn, findings, PLANT, now_ns)


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
        fold(engine, [stop(BASE - 1 - number % OPEN, now_ns + number)], now_ns)

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
            findings.append(stop(number, now_ns + folded + place))
        fold(engine, findings, now_ns)
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
        fold(engine, [stop(BASE - 1 - n, now_ns + first) for n in range(OPEN)], now_ns)
    engine.dispose()
    status = Path("/proc/self/status").read_text()  # ru_maxrss would count what the parent was when it forked
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024
