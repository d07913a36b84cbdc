"""What has to happen later: one durable row for each step, done once, whatever stops and starts in between.

A timer is named by its kind, what it is about, its step and its cycle. Setting it again moves it as long as it runs;
once done it stays done, and a new round is a new cycle. Times are the server's. `due_ns` is when it should happen and
never changes by itself; `try_ns` is when it is tried next, later than `due_ns` only if it failed before.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, RowMapping, and_, bindparam, func, select
from sqlalchemy import update as sql_update

from andon.events import SECOND_NS, Json
from ticketing.book import Book
from ticketing.clock_tables import timer
from ticketing.sql import Row, to_json, upsert

_BODY = msgspec.json.Decoder(dict[str, Json])
_SET = ("due_ns", "try_ns", "state", "body", "set_ns", "done_ns", "attempts", "error")

ATTEMPTS = 8
"""So often a step that fails is tried; then it is listed as failed and waits for a person (two hours and a half)."""
_AGAIN_NS, _LONGEST_NS = 5 * SECOND_NS, 3600 * SECOND_NS


class TimerState(StrEnum):
    """RUN until it is due; PAUSED while its clock stands; then DONE, or CANCELLED before. FAILED waits for a person."""

    RUN = "run"
    PAUSED = "paused"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Timer:
    """One step that is to be done at `due_ns`; `subject` is like "ticket/12", `body` what its handler needs.

    `attempts` counts how often it failed, `error` says how it did last, `try_ns` is when it is tried next.
    """

    kind: str
    subject: str
    due_ns: int
    step: int = 0
    cycle: int = 0
    body: Mapping[str, Json] = field(default_factory=dict)
    state: TimerState = TimerState.RUN
    set_ns: int = 0
    done_ns: int | None = None
    try_ns: int = 0
    attempts: int = 0
    error: str = ""


def set_timer(book: Book, wanted: Timer) -> None:
    """Start a timer, or move one that has not been done; written at once, inside the book's transaction.

    With state PAUSED it stands: it is not done whatever its time, until it is set again with state RUN.
    """
    row = {
        "kind": wanted.kind,
        "subject": wanted.subject,
        "step": wanted.step,
        "cycle": wanted.cycle,
        "due_ns": wanted.due_ns,
        "try_ns": wanted.due_ns,
        "state": str(wanted.state),
        "body": to_json(wanted.body),
        "set_ns": book.now_ns,
        "done_ns": None,
        "attempts": 0,
        "error": "",
    }
    found = one(book.conn, wanted.kind, wanted.subject, wanted.step, wanted.cycle)
    if found is None or found.state is not TimerState.DONE:
        upsert(book.conn, timer, [row], _SET)


def cancel(book: Book, kind: str, subject: str) -> int:
    """No step of that kind is to happen any more, in any cycle begun so far; gives how many were to."""
    cancelled = book.conn.execute(
        sql_update(timer)
        .where(
            timer.c.kind == kind,
            timer.c.subject == subject,
            timer.c.state.in_((TimerState.RUN, TimerState.PAUSED, TimerState.FAILED)),
        )
        .values(state=str(TimerState.CANCELLED), done_ns=book.now_ns)
    )
    return cancelled.rowcount


def one(conn: Connection, kind: str, subject: str, step: int = 0, cycle: int = 0) -> Timer | None:
    """That timer as it is stored; None if it was never set."""
    row = conn.execute(_ONE, _named(Timer(kind, subject, 0, step, cycle))).mappings().first()
    return None if row is None else timer_of(row)


def of(conn: Connection, subject: str) -> Sequence[Timer]:
    """All timers about something, the next due first."""
    wanted = select(timer).where(timer.c.subject == subject)
    rows = conn.execute(wanted.order_by(timer.c.due_ns, timer.c.kind, timer.c.step)).mappings()
    return [timer_of(row) for row in rows]


def due(conn: Connection, now_ns: int, limit: int) -> Sequence[Timer]:
    """The running timers whose time has come, the longest due first; one that failed comes when it is tried again."""
    return [timer_of(row) for row in conn.execute(_DUE, {"_now_ns": now_ns, "limit": limit}).mappings()]


def done(book: Book, which: Timer) -> bool:
    """Mark it as done; False if it is not to be done: no longer running, or moved to later since it was looked at."""
    now = {"_now_ns": book.now_ns, "done_ns": book.now_ns}
    return book.conn.execute(_DONE, _named(which) | now).rowcount == 1


def failed(conn: Connection, which: Timer, now_ns: int, error: str) -> Timer:
    """Put on record that its step failed: tried again in 5 s, 20 s, 80 s ... at most an hour; FAILED after `ATTEMPTS`."""
    attempts = which.attempts + 1
    state = TimerState.FAILED if attempts >= ATTEMPTS else TimerState.RUN
    wait_ns = min(_AGAIN_NS * 4 ** (attempts - 1), _LONGEST_NS)
    values = {"attempts": attempts, "error": error[:500], "try_ns": now_ns + wait_ns, "state": str(state)}
    conn.execute(sql_update(timer).where(_IS, _RUNS).values(**values), _named(which))
    found = one(conn, which.kind, which.subject, which.step, which.cycle)
    assert found is not None  # noqa: S101 - no timer is ever taken away
    return found


def again(book: Book, which: Timer) -> bool:
    """Try a step that was given up once more, at once; False if it had not been given up."""
    values = {"state": str(TimerState.RUN), "try_ns": book.now_ns, "attempts": 0}
    tried = sql_update(timer).where(_IS, timer.c.state == str(TimerState.FAILED)).values(**values)
    return book.conn.execute(tried, _named(which)).rowcount == 1


def given_up(conn: Connection, limit: int = 200) -> Sequence[Timer]:
    """The steps that failed too often and wait for a person, the longest due first."""
    wanted = select(timer).where(timer.c.state == str(TimerState.FAILED))
    ordered = wanted.order_by(timer.c.due_ns, timer.c.kind, timer.c.subject).limit(limit)
    return [timer_of(row) for row in conn.execute(ordered).mappings()]


def failing(conn: Connection) -> Mapping[str, int]:
    """Kinds of timers with steps that wait for a person, and how many."""
    wanted = select(timer.c.kind, func.count()).where(timer.c.state == str(TimerState.FAILED))
    return {row[0]: row[1] for row in conn.execute(wanted.group_by(timer.c.kind))}


def timer_of(row: RowMapping) -> Timer:
    """The timer of a row of its table."""
    return Timer(**{**row, "body": _BODY.decode(row["body"]), "state": TimerState(row["state"])})


def _named(which: Timer) -> Row:
    """What tells a timer from all others, for `_IS`."""
    return {f"_{name}": getattr(which, name) for name in _NAMES}


_NAMES = tuple(column.name for column in timer.primary_key)
_IS = and_(*(timer.c[name] == bindparam(f"_{name}") for name in _NAMES))
_RUNS = timer.c.state == str(TimerState.RUN)
_IN_TIME = timer.c.try_ns <= bindparam("_now_ns")
_ONE = select(timer).where(_IS)
_DUE = (
    select(timer)
    .where(_RUNS, _IN_TIME)
    .order_by(timer.c.try_ns, *(timer.c[name] for name in _NAMES))
    .limit(bindparam("limit"))
)
_DONE = sql_update(timer).where(_IS, _RUNS, _IN_TIME).values(state=str(TimerState.DONE))
