"""The real service on a real store, driven through a week: everything but the store is thrown away when it restarts.

After each event the store is read into a `Snapshot`; invariants compare one with the next.
"""

from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Connection, Engine, Table, event, select

from andon import schema
from andon.database import reading, writing
from andon.events import MINUTE_NS
from andon.plant import Plant
from tests.weeks.invent import Event, Week
from ticketing import tables as t
from ticketing.clockwork import turn
from ticketing.errors import TicketingError
from ticketing.service import Tickets
from ticketing.sql import metadata

Row = Mapping[str, Any]
ENDLESS = 60
"""A turn of the clockwork that is not done by then never will be."""


class PowerCut(BaseException):
    """The process dies here: nobody catches it, and nothing after it happens."""


class Broken(AssertionError):
    """A law does not hold."""


@dataclass(frozen=True)
class Turn:
    """The clockwork was turned; `settled` until nothing was left to do. `cut`: only begun."""

    at_ns: int
    plant: Plant
    settled: bool
    cut: bool


@dataclass
class Snapshot:
    """What is stored: rows by their key. `lines` is each ticket's audit, `new_lines` what came since the last snapshot."""

    tickets: dict[int, Row] = field(default_factory=dict)
    lines: dict[int, list[Row]] = field(default_factory=dict)
    new_lines: list[Row] = field(default_factory=list)
    suppressions: dict[int, Row] = field(default_factory=dict)
    failures: dict[str, Row] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    owed: Sequence[Row] = ()


@dataclass(frozen=True)
class Step:
    """One event with what was before and after it."""

    n: int
    event: Event
    said: str
    before: Snapshot
    after: Snapshot
    plant: Plant
    turns: Sequence[Turn]
    """Those of this step."""


class World:
    """A plant's installation, as it lives through a week."""

    def __init__(self, week: Week, engine: Engine, photos: Path) -> None:
        self.week = week
        self.engine = engine
        self.now_ns = week.place.start_ns
        self.document = 0
        self.turns: list[Turn] = []
        self.told: set[str] = set()
        self.twice = 0
        self.refused = 0
        self.steps: list[Step] = []
        self.last: deque[str] = deque(maxlen=20)
        self.snapshot = Snapshot()
        self._photos = photos
        self._countdown: int | None = None
        event.listen(engine, "before_cursor_execute", self._power)
        self.restart()

    def close(self) -> None:
        """Let the engine be used for another week."""
        event.remove(self.engine, "before_cursor_execute", self._power)
        self.engine.dispose()

    def _power(self, *_args: object) -> None:
        if self._countdown is not None:
            self._countdown -= 1
            if self._countdown < 0:
                self._countdown = None
                raise PowerCut

    @property
    def plant(self) -> Plant:
        """The document in force."""
        return self.week.plants[self.document]

    def restart(self) -> None:
        """Nothing is left but the store."""
        self.engine.dispose()
        self.tickets = Tickets(self.engine, photos=self._photos)

    @contextmanager
    def looking(self):
        """One look at the store."""
        with reading(self.engine) as conn:
            yield conn

    def clockwork(self, *, settle: bool, cut: bool = False) -> int:
        """Turn it once, or until nothing is left to do."""
        done = total = turn(self.tickets, self.plant, self.now_ns, turn_s=0 if cut else 60)
        for _ in range(ENDLESS) if settle else ():
            if not done:
                break
            done = turn(self.tickets, self.plant, self.now_ns, turn_s=60)
            total += done
        if settle and done:
            raise Broken("the clockwork comes to rest")
        self.turns.append(Turn(self.now_ns, self.plant, settle, cut))
        return total

    def hears(self, one: Event) -> str:
        """The engine's transaction about what was heard."""
        with writing(self.engine) as conn:
            counts = self.tickets.apply(conn, one.findings, self.plant, self.now_ns)
        for finding in one.findings:
            self.twice += finding.id in self.told
            self.told.add(finding.id)
        return ", ".join(f"{n} {name}" for name, n in sorted(counts.items()))

    def lives(self, deeds: Mapping[str, Callable[["World", Random], str]], checks: "Checks") -> None:
        """All of the week; Broken says which law does not hold."""
        for n, one in enumerate(self.week.events):
            self.now_ns = max(self.now_ns, one.at_ns)
            turns = len(self.turns)
            self._countdown = one.power_cut
            try:
                said = self._does(one, deeds)
            except PowerCut:
                self.restart()
                if len(self.turns) == turns and one.deed in {"turn", "restart"}:
                    self.turns.append(Turn(self.now_ns, self.plant, settled=False, cut=True))
                said = "power cut; " + self._does(one, deeds)
            self._countdown = None
            self.last.append(f"{n}: {one}: {said}")
            before, self.snapshot = self.snapshot, self.look()
            step = Step(n, one, said, before, self.snapshot, self.plant, self.turns[turns:])
            self.steps.append(step)
            checks.after_step(self, step)
        self.now_ns += MINUTE_NS
        self.clockwork(settle=True)
        self.last.append("the end")
        before, self.snapshot = self.snapshot, self.look()
        end = Step(
            len(self.steps),
            Event(self.now_ns, "turn", 0),
            "",
            before,
            self.snapshot,
            self.plant,
            self.turns[-1:],
        )
        checks.after_step(self, end)
        checks.at_the_end(self)

    def _does(self, one: Event, deeds: Mapping[str, Callable[["World", Random], str]]) -> str:
        match one.deed:
            case "hears":
                return self.hears(one)
            case "document":
                self.document = one.die
                return "another document"
            case "restart":
                done = self.clockwork(settle=False, cut=True)
                self.restart()
                return f"restarted after {done}"
        mark = self.mark() if one.die % 16 == 0 else None
        try:
            return deeds[one.deed](self, Random(one.die))  # noqa: S311 - as above
        except TicketingError as error:
            self.refused += 1
            if mark is not None and mark != self.mark():
                raise Broken("a step that is refused leaves nothing behind") from error
            return f"refused: {error}"

    def mark(self) -> Mapping[str, int]:
        """Every row of the store, hashed by table."""
        with self.looking() as conn:
            return {
                table.name: hash(tuple(sorted(map(repr, conn.execute(select(table)).all()))))
                for metadata in schema.METADATA
                for table in metadata.sorted_tables
                if table.name != "ticket_words"
            }

    def look(self) -> Snapshot:
        """What is stored now."""
        last = self.snapshot
        with self.looking() as conn:
            tickets = {row["id"]: row for row in rows(conn, t.ticket)}
            lines = dict(last.lines)
            new: list[Row] = []
            for number, row in tickets.items():
                known = lines.get(number, [])
                if row["audit_seq"] != len(known):
                    c = t.ticket_event.c
                    wanted = (
                        select(t.ticket_event).where(c.ticket == number, c.seq > len(known)).order_by(c.seq)
                    )
                    some = conn.execute(wanted).mappings().all()
                    lines[number] = [*known, *some]
                    new += some
            return Snapshot(
                tickets=tickets,
                lines=lines,
                new_lines=new,
                suppressions={row["id"]: row for row in rows(conn, _suppression())},
                failures={row["finding"]: row for row in rows(conn, t.failure)},
                counts={row["name"]: row["value"] for row in rows(conn, t.counter)},
                owed=rows(conn, metadata.tables["obligation"]),
            )


class Checks:
    """What is looked at after each step and at the end; see `tests.weeks.invariants`."""

    def after_step(self, world: World, step: Step) -> None:
        """Look at one step."""

    def at_the_end(self, world: World) -> None:
        """Look at the whole week."""


def _suppression() -> Table:
    return metadata.tables["suppression"]


def rows(conn: Connection, table: Table) -> Sequence[Row]:
    """All rows of a table."""
    return conn.execute(select(table)).mappings().all()
