"""Messages that could not be used: what they were, why, and where their whole bytes lie in the journal."""

from collections.abc import Mapping, Sequence

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Index,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    func,
    insert,
    select,
)

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
    Index("dead_letter_received", "received_ns"),
)


def save(conn: Connection, dead: Sequence[DeadLetter]) -> None:
    """Keep dead letters, in the caller's transaction. A record has at most one: IntegrityError if it has it already."""
    if dead:
        conn.execute(
            insert(letters),
            [{column.name: getattr(letter, column.name) for column in letters.columns} for letter in dead],
        )


def recent(conn: Connection, limit: int) -> list[DeadLetter]:
    """The latest by time of receipt, newest first."""
    newest = select(letters).order_by(letters.c.received_ns.desc(), letters.c.position.desc()).limit(limit)
    return [DeadLetter(**row) for row in conn.execute(newest).mappings()]


def counts(conn: Connection) -> Mapping[str, int]:
    """How many are kept for each reason."""
    kept = (
        select(letters.c.reason, func.count().label("kept"))
        .group_by(letters.c.reason)
        .order_by(letters.c.reason)
    )
    return {row.reason: row.kept for row in conn.execute(kept)}


def drop_before(conn: Connection, received_ns: int) -> int:
    """Forget those received before; gives how many."""
    return conn.execute(delete(letters).where(letters.c.received_ns < received_ns)).rowcount
