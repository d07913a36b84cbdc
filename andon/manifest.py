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
    insert,
    select,
    update,
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


def save(conn: Connection, number: int, digest: str, taken: Sequence[Taken]) -> None:
    """Record one batch and move the sources' positions."""
    conn.execute(insert(batches).values(number=number, digest=digest))
    for place, part in enumerate(taken):
        conn.execute(
            insert(slices).values(
                number=number, place=place, source=part.source, first=part.first, after=part.after
            )
        )
        moved = conn.execute(
            update(positions).where(positions.c.source == part.source).values(after=part.after)
        )
        if moved.rowcount == 0:
            conn.execute(insert(positions).values(source=part.source, after=part.after))


def count(conn: Connection, stage: str, counts: Mapping[str, int]) -> None:
    """Add to a stage's counters."""
    for name, value in counts.items():
        if not value:
            continue
        here = (counters.c.stage == stage) & (counters.c.name == name)
        added = conn.execute(update(counters).where(here).values(value=counters.c.value + value))
        if added.rowcount == 0:
            conn.execute(insert(counters).values(stage=stage, name=name, value=value))


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
