"""Messages that could not be used: what they were, why, and where their whole bytes lie in the journal.

One that is asked for again (`ask`) is decoded anew by the engine; if it is used this time, it is `redriven` and
stands here no longer as refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    and_,
    delete,
    false,
    func,
    insert,
    select,
    update,
)

from andon.database import behind
from andon.ports import DeadLetter

metadata = MetaData()

letters = Table(
    "dead_letter",
    metadata,
    Column("source", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("topic", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("identified", Boolean, nullable=False, server_default=false()),
    Column("asked_ns", BigInteger),
    Column("redriven_ns", BigInteger),
    Index("dead_letter_received", "received_ns"),
    Index("dead_letter_asked", "asked_ns"),
)
_LETTER = [letters.c[field.name] for field in fields(DeadLetter)]
_REFUSED = letters.c.redriven_ns.is_(None)


@dataclass(frozen=True, slots=True)
class Which:
    """Some of the dead letters; what is None does not narrow them."""

    reason: str | None = None
    source: str | None = None
    since_ns: int | None = None
    position: int | None = None

    def rows(self) -> ColumnElement[bool]:
        """The condition in SQL."""
        wanted = [
            (letters.c.reason, self.reason),
            (letters.c.source, self.source),
            (letters.c.position, self.position),
        ]
        since = [] if self.since_ns is None else [letters.c.received_ns >= self.since_ns]
        return and_(_REFUSED, *(column == value for column, value in wanted if value is not None), *since)


ALL = Which()


def save(conn: Connection, dead: Sequence[DeadLetter]) -> None:
    """Keep dead letters, in the caller's transaction. A record has at most one: a later word about it replaces the former."""
    for letter in dead:
        values = {column.name: getattr(letter, column.name) for column in _LETTER}
        again = update(letters).where(_is(letter.source, letter.position)).values(**values, asked_ns=None)
        if conn.execute(again).rowcount == 0:
            conn.execute(insert(letters).values(**values))


def settle(conn: Connection, redriven: Sequence[tuple[str, int]], now_ns: int) -> None:
    """Note that these (source, position) have been used after all."""
    for source, position in redriven:
        conn.execute(update(letters).where(_is(source, position)).values(asked_ns=None, redriven_ns=now_ns))


def ask(conn: Connection, which: Which, now_ns: int) -> int:
    """Ask the engine to decode these anew; gives how many there are. Those already used are not asked for."""
    return conn.execute(update(letters).where(which.rows()).values(asked_ns=now_ns)).rowcount


def asked(conn: Connection, limit: int) -> list[DeadLetter]:
    """Those that are asked for, in the order in which they were received."""
    due = select(*_LETTER).where(letters.c.asked_ns.is_not(None), _REFUSED)
    return _read(conn, due.order_by(letters.c.received_ns, letters.c.source, letters.c.position).limit(limit))


def underway(conn: Connection) -> int:
    """How many are asked for and not taken yet."""
    wanted = select(func.count()).select_from(letters).where(letters.c.asked_ns.is_not(None), _REFUSED)
    return int(conn.execute(wanted).scalar_one())


def unanswerable(conn: Connection, letter: DeadLetter) -> None:
    """Take back the asking: the whole message is kept nowhere."""
    conn.execute(update(letters).where(_is(letter.source, letter.position)).values(asked_ns=None))


def recent(
    conn: Connection, limit: int, which: Which = ALL, after: Sequence[object] | None = None
) -> list[DeadLetter]:
    """The latest by time of receipt, newest first."""
    order = (letters.c.received_ns.desc(), letters.c.position.desc(), letters.c.source.desc())
    newest = select(*_LETTER).where(which.rows(), behind(order, after))
    return _read(conn, newest.order_by(*order).limit(limit))


def one(conn: Connection, source: str, position: int) -> tuple[DeadLetter, int | None] | None:
    """The dead letter of that record, and when it was used after all (None: it was not)."""
    row = conn.execute(select(letters).where(_is(source, position))).mappings().first()
    if row is None:
        return None
    return DeadLetter(**{column.name: row[column.name] for column in _LETTER}), row["redriven_ns"]


def counts(conn: Connection, which: Which = ALL) -> Mapping[str, int]:
    """How many are kept for each reason."""
    kept = (
        select(letters.c.reason, func.count().label("kept"))
        .where(which.rows())
        .group_by(letters.c.reason)
        .order_by(letters.c.reason)
    )
    return {row.reason: row.kept for row in conn.execute(kept)}


def keep_newest(conn: Connection, limit: int) -> int:
    """Forget all but the newest by time of receipt; gives how many were forgotten."""
    last = select(letters.c.received_ns).order_by(letters.c.received_ns.desc()).offset(limit).limit(1)
    newest_gone = conn.execute(last).scalar()
    if newest_gone is None:
        return 0
    return conn.execute(delete(letters).where(letters.c.received_ns <= newest_gone)).rowcount


def _is(source: str, position: int) -> ColumnElement[bool]:
    return and_(letters.c.source == source, letters.c.position == position)


def _read(conn: Connection, query: object) -> list[DeadLetter]:
    return [DeadLetter(**row) for row in conn.execute(query).mappings()]  # type: ignore[call-overload]
