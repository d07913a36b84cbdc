"""What became of the messages: how many wait, which are dead and why, every call with its answer, and again.

A message that is taken up again by hand keeps its key and goes with those it went with.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import ColumnElement, Connection, Engine, case, delete, func, select, update

from andon.database import behind, reading, writing
from andon.events import Json
from ticketing.book import BUS
from ticketing.message_tables import delivery, outbox
from ticketing.subscriptions import PHONE
from ticketing.topics import OF_KIND

HIDDEN = "••••"
STATES = ("pending", "sent", "dead")


@dataclass(frozen=True, slots=True)
class Sent:
    """One message on one channel, as it stands."""

    id: int
    key: str
    ticket: str
    kind: str
    channel: str
    recipient: str
    trace_id: str
    at_ns: int
    state: str
    attempts: int
    next_ns: int
    last_error: str
    sent_ns: int | None


@dataclass(frozen=True, slots=True)
class Call:
    """One call to the outside."""

    at_ns: int
    took_ms: int
    outcome: str
    answer: str


@dataclass(frozen=True, slots=True)
class Which:
    """Which messages: what is None is any."""

    state: str | None = None
    channel: str | None = None
    ids: tuple[int, ...] | None = None
    recipient: str | None = None

    def clauses(self) -> list[ColumnElement[bool]]:
        """As SQL; the bus itself is no channel."""
        found = [outbox.c.channel != BUS]
        if self.state is not None:
            found.append(outbox.c.state == self.state)
        if self.channel is not None:
            found.append(outbox.c.channel == self.channel)
        if self.recipient is not None:
            found.append(outbox.c.recipient == self.recipient)
        if self.ids is not None:
            found.append(outbox.c.id.in_(self.ids))
        return found


def recent(conn: Connection, which: Which, limit: int, after: Sequence[object] | None = None) -> list[Sent]:
    """The newest of these, at most `limit`."""
    order = (outbox.c.id.desc(),)
    wanted = select(outbox).where(*which.clauses(), behind(order, after))
    rows = conn.execute(wanted.order_by(*order).limit(limit))
    return [
        Sent(
            id=row.id,
            key=row.key,
            ticket=row.number,
            kind=row.kind,
            channel=row.channel,
            recipient=_unread(row.recipient),
            trace_id=row.trace_id,
            at_ns=row.at_ns,
            state=row.state,
            attempts=row.attempts,
            next_ns=row.next_ns,
            last_error=row.last_error,
            sent_ns=row.sent_ns,
        )
        for row in rows
    ]


def one(conn: Connection, message: int) -> tuple[Sent, Mapping[str, Json], Sequence[Call]] | None:
    """A message with its content and every call that was made for it or the parcel it went in; None if there is none."""
    found = recent(conn, Which(ids=(message,)), 1)
    if not found:
        return None
    row = conn.execute(select(outbox.c.content, outbox.c.parcel).where(outbox.c.id == message)).one()
    chosen = select(delivery).where(delivery.c.message == (row.parcel or message)).order_by(delivery.c.id)
    calls = [Call(call.at_ns, call.took_ms, call.outcome, call.answer) for call in conn.execute(chosen)]
    content = msgspec.json.decode(row.content, type=dict[str, Json])
    if OF_KIND[found[0].kind].secret:
        content = {**content, "code": HIDDEN, "people": [_unread(who) for who in content["people"]]}
    return found[0], content, calls


def _unread(recipient: str) -> str:
    """A recipient as it is shown: of a telephone number the last four digits."""
    return f"{PHONE}{HIDDEN}{recipient[-4:]}" if recipient.startswith(PHONE) else recipient


def waiting(conn: Connection) -> Mapping[str, Mapping[str, int]]:
    """Per channel how many are `pending` and `dead`, and since when the oldest waits (`oldest_ns`)."""
    rows = conn.execute(_WAITING)
    found: dict[str, dict[str, int]] = {}
    for row in rows:
        here = found.setdefault(row.channel, {})
        here[row.state] = row.n
        if row.oldest_ns is not None:
            here["oldest_ns"] = row.oldest_ns
    return found


def last_errors(conn: Connection) -> Mapping[str, str]:
    """Per channel what the newest failure said that has not been made good."""
    newest = (
        select(func.max(outbox.c.id))
        .where(outbox.c.state.in_(("pending", "dead")), outbox.c.last_error != "")
        .group_by(outbox.c.channel)
    )
    rows = conn.execute(select(outbox.c.channel, outbox.c.last_error).where(outbox.c.id.in_(newest)))
    return {row.channel: row.last_error for row in rows}


def redrive(engine: Engine, which: Which, now_ns: int) -> int:
    """Take dead ones up again, at once and with all tries; gives how many."""
    with writing(engine) as conn:
        again = update(outbox).where(*which.clauses(), outbox.c.state == "dead")
        return conn.execute(again.values(state="pending", attempts=0, next_ns=now_ns)).rowcount


def prune(engine: Engine, before_ns: int) -> int:
    """Forget what was sent and the calls from before that, not what waits or was given up; gives how many rows."""
    with reading(engine) as conn:
        if all(conn.execute(select(func.count()).where(old)).scalar_one() == 0 for old in _old(before_ns)):
            return 0
    with writing(engine) as conn:
        tables = (outbox, delivery)
        old = zip(tables, _old(before_ns), strict=True)
        return sum(conn.execute(delete(table).where(clause)).rowcount for table, clause in old)


def _old(before_ns: int) -> tuple[ColumnElement[bool], ColumnElement[bool]]:
    return (outbox.c.state == "sent") & (outbox.c.next_ns < before_ns), delivery.c.at_ns < before_ns


_WAITING = (
    select(
        outbox.c.channel,
        outbox.c.state,
        func.count().label("n"),
        func.min(case((outbox.c.state == "pending", outbox.c.at_ns))).label("oldest_ns"),
    )
    .where(outbox.c.state.in_(("pending", "dead")))
    .group_by(outbox.c.channel, outbox.c.state)
)
