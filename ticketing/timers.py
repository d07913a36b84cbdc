"""What has to happen later: one durable row for each step, done once, whatever stops and starts in between.

A timer is named by its kind, what it is about, its step and its cycle. Setting it again moves it as long as it runs;
once done it stays done, and a new round is a new cycle. Times are the server's.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Index, Integer, RowMapping, String, Table, Text, select
from sqlalchemy import update as sql_update

from andon.events import Json
from ticketing.book import Book
from ticketing.tables import metadata, to_json, upsert

timer = Table(
    "ticket_timer",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("cycle", Integer, primary_key=True, autoincrement=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("body", Text, nullable=False),
    Column("set_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
)
Index("timer_due", timer.c.state, timer.c.due_ns)
Index("timer_of", timer.c.subject, timer.c.state)

_BODY = msgspec.json.Decoder(dict[str, Json])


class TimerState(StrEnum):
    """RUN until it is due; PAUSED while its clock stands; then DONE, or CANCELLED before."""

    RUN = "run"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True)
class Timer:
    """One step that is to be done at `due_ns`; `subject` is like "ticket/12", `body` what its handler needs."""

    kind: str
    subject: str
    due_ns: int
    step: int = 0
    cycle: int = 0
    body: Mapping[str, Json] = field(default_factory=dict)
    state: TimerState = TimerState.RUN
    set_ns: int = 0
    done_ns: int | None = None


def set_timer(book: Book, wanted: Timer) -> None:
    """Start a timer, or move one that has not been done; written at once, inside the book's transaction."""
    row = {
        "kind": wanted.kind,
        "subject": wanted.subject,
        "step": wanted.step,
        "cycle": wanted.cycle,
        "due_ns": wanted.due_ns,
        "state": str(wanted.state),
        "body": to_json(wanted.body),
        "set_ns": book.now_ns,
        "done_ns": None,
    }
    found = one(book.conn, wanted.kind, wanted.subject, wanted.step, wanted.cycle)
    if found is None or found.state is not TimerState.DONE:
        upsert(book.conn, timer, [row], ("due_ns", "state", "body", "set_ns", "done_ns"))


def cancel(book: Book, kind: str, subject: str) -> None:
    """No step of that kind is to happen any more, in any cycle begun so far."""
    book.conn.execute(
        sql_update(timer)
        .where(
            timer.c.kind == kind,
            timer.c.subject == subject,
            timer.c.state.in_((TimerState.RUN, TimerState.PAUSED)),
        )
        .values(state=str(TimerState.CANCELLED), done_ns=book.now_ns)
    )


def one(conn: Connection, kind: str, subject: str, step: int = 0, cycle: int = 0) -> Timer | None:
    """That timer as it is stored; None if it was never set."""
    c = timer.c
    wanted = select(timer).where(c.kind == kind, c.subject == subject, c.step == step, c.cycle == cycle)
    row = conn.execute(wanted).mappings().first()
    return None if row is None else timer_of(row)


def of(conn: Connection, subject: str) -> Sequence[Timer]:
    """All timers about something, the next due first."""
    wanted = select(timer).where(timer.c.subject == subject)
    rows = conn.execute(wanted.order_by(timer.c.due_ns, timer.c.kind, timer.c.step)).mappings()
    return [timer_of(row) for row in rows]


def due(conn: Connection, now_ns: int, limit: int) -> Sequence[Timer]:
    """The running timers whose time has come, the longest due first."""
    wanted = select(timer).where(timer.c.state == str(TimerState.RUN), timer.c.due_ns <= now_ns)
    ordered = wanted.order_by(timer.c.due_ns, timer.c.kind, timer.c.subject, timer.c.step).limit(limit)
    return [timer_of(row) for row in conn.execute(ordered).mappings()]


def done(book: Book, which: Timer) -> bool:
    """Mark it as done; False if it is not running any more: then it is not to be done."""
    c = timer.c
    marked = book.conn.execute(
        sql_update(timer)
        .where(
            c.kind == which.kind,
            c.subject == which.subject,
            c.step == which.step,
            c.cycle == which.cycle,
            c.state == str(TimerState.RUN),
        )
        .values(state=str(TimerState.DONE), done_ns=book.now_ns)
    )
    return marked.rowcount == 1


def timer_of(row: RowMapping) -> Timer:
    """The timer of a row of its table."""
    return Timer(**{**row, "body": _BODY.decode(row["body"]), "state": TimerState(row["state"])})
