"""What the engine has done, batch by batch: enough to repeat it exactly, and to count every message once."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    delete,
    select,
    text,
)
from sqlalchemy import func as sql

metadata = MetaData()

batches = Table(
    "batch",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
)
slices = Table(
    "batch_slice",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("after", BigInteger, nullable=False),
)
positions = Table(
    "source_position",
    metadata,
    Column("source", Text, primary_key=True),
    Column("after", BigInteger, nullable=False),
)
counters = Table(
    "counter",
    metadata,
    Column("stage", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Taken:
    """The records `first` up to but not including `after` of one source."""

    source: str
    first: int
    after: int


_BATCH = text("INSERT INTO batch (number, digest) VALUES (:number, :digest)")
_SLICE = text(
    "INSERT INTO batch_slice (number, place, source, first, after)"
    " VALUES (:number, :place, :source, :first, :after)"
)
_POSITION = text(
    "INSERT INTO source_position (source, after) VALUES (:source, :after)"
    " ON CONFLICT (source) DO UPDATE SET after = excluded.after"
)
_COUNT = text(
    "INSERT INTO counter (stage, name, value) VALUES (:stage, :name, :value)"
    " ON CONFLICT (stage, name) DO UPDATE SET value = counter.value + excluded.value"
)
"""Plain text, and all rows of a table at once: each batch pays for its statements, however few messages it holds."""


def save(conn: Connection, number: int, digest: str, taken: Sequence[Taken]) -> None:
    """Record one batch and move the sources' positions."""
    rows = [
        {"number": number, "place": place, "source": part.source, "first": part.first, "after": part.after}
        for place, part in enumerate(taken)
    ]
    conn.execute(_BATCH, {"number": number, "digest": digest})
    if rows:
        conn.execute(_SLICE, rows)
        conn.execute(_POSITION, [{"source": part.source, "after": part.after} for part in taken])


def count(conn: Connection, stages: Mapping[str, Mapping[str, int]]) -> None:
    """Add to the counters of these stages."""
    rows = [
        {"stage": stage, "name": name, "value": value}
        for stage, counts in stages.items()
        for name, value in counts.items()
        if value
    ]
    if rows:
        conn.execute(_COUNT, rows)


def counted(conn: Connection) -> dict[str, Counter[str]]:
    """All counters, by stage."""
    stages: dict[str, Counter[str]] = {}
    for stage, name, value in conn.execute(select(counters)):
        stages.setdefault(stage, Counter())[name] = value
    return stages


def where_each_source_stands(conn: Connection) -> dict[str, int]:
    """The next position to take of each source."""
    return {row.source: row.after for row in conn.execute(select(positions))}


def last_number(conn: Connection) -> int:
    """The number of the last batch, 0 if there was none."""
    return conn.execute(select(sql.max(batches.c.number))).scalar() or 0


def since(conn: Connection, number: int) -> list[tuple[int, str, list[Taken]]]:
    """The batches after `number` as (number, digest, what each took), in order."""
    taken: dict[int, list[Taken]] = {}
    rows = conn.execute(
        select(slices).where(slices.c.number > number).order_by(slices.c.number, slices.c.place)
    )
    for row in rows:
        taken.setdefault(row.number, []).append(Taken(row.source, row.first, row.after))
    digests = conn.execute(select(batches).where(batches.c.number > number).order_by(batches.c.number))
    return [(row.number, row.digest, taken.get(row.number, [])) for row in digests]


def forget_before(conn: Connection, number: int) -> None:
    """Drop the rows of batches before `number`: a snapshot stands for them."""
    conn.execute(delete(slices).where(slices.c.number < number))
    conn.execute(delete(batches).where(batches.c.number < number))
