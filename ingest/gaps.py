"""Data known to be missing: one row per gap, opened when it is noticed and closed when it ends or is filled."""

from collections.abc import Sequence

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    MetaData,
    Select,
    Table,
    Text,
    insert,
    select,
    update,
)

from andon.events import Gap, Origin

metadata = MetaData()

gaps = Table(
    "gap",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("asset", Text),
    Column("point", Text),
    Column("cause", Text, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger),
    Column("backfilled", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Index("gap_key", "source", "cause", "from_ns"),
)


def save(conn: Connection, missing: Sequence[Gap]) -> None:
    """Keep gaps, in the caller's transaction.

    A gap of the same source, asset, point, cause and beginning is the same gap: a later word about it gives
    it its end, or says that it was filled after all.
    """
    for gap in missing:
        same = (
            gaps.c.source == gap.source,
            gaps.c.cause == gap.cause,
            gaps.c.from_ns == gap.from_ns,
            gaps.c.asset.is_not_distinct_from(gap.asset),
            gaps.c.point.is_not_distinct_from(gap.point),
        )
        known = conn.execute(select(gaps.c.id, gaps.c.to_ns, gaps.c.backfilled).where(*same)).first()
        if known is None:
            conn.execute(insert(gaps).values(_row(gap)))
            continue
        end_ns = known.to_ns if gap.to_ns is None else gap.to_ns
        filled = known.backfilled or gap.backfilled
        conn.execute(update(gaps).where(gaps.c.id == known.id).values(to_ns=end_ns, backfilled=filled))


def recent(conn: Connection, limit: int, source: str | None = None) -> list[Gap]:
    """The latest by their beginning, newest first; of one source, if it is named."""
    newest = select(gaps).order_by(gaps.c.from_ns.desc(), gaps.c.id.desc()).limit(limit)
    return _read(conn, newest if source is None else newest.where(gaps.c.source == source))


def open_gaps(conn: Connection, source: str | None = None) -> list[Gap]:
    """Those that have not ended, the longest first."""
    unended = select(gaps).where(gaps.c.to_ns.is_(None)).order_by(gaps.c.from_ns, gaps.c.id)
    return _read(conn, unended if source is None else unended.where(gaps.c.source == source))


def _row(gap: Gap) -> dict[str, str | int | bool | None]:
    return {
        "source": gap.source,
        "asset": gap.asset,
        "point": gap.point,
        "cause": gap.cause,
        "from_ns": gap.from_ns,
        "to_ns": gap.to_ns,
        "backfilled": gap.backfilled,
        "position": gap.origin.position,
        "received_ns": gap.origin.received_ns,
    }


def _read(conn: Connection, rows: Select[tuple[object, ...]]) -> list[Gap]:
    return [
        Gap(
            source=row.source,
            asset=row.asset,
            point=row.point,
            from_ns=row.from_ns,
            to_ns=row.to_ns,
            cause=row.cause,
            backfilled=row.backfilled,
            origin=Origin(row.source, row.position, row.received_ns),
        )
        for row in conn.execute(rows)
    ]
