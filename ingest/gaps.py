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
    Row,
    Select,
    Table,
    Text,
    bindparam,
    insert,
    select,
    update,
)

from andon.database import Machines, among, behind
from andon.events import Gap, Json, Origin

Key = tuple[str, str, int, str | None, str | None]
"""Source, cause, beginning, asset, point: what makes a gap the same."""
LOOK_UP = 500
"""Gaps in one query: databases bound the number of its parameters."""

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


_KNOWN = select(gaps).where(
    gaps.c.source == bindparam("source"),
    gaps.c.cause == bindparam("cause"),
    gaps.c.from_ns.in_(bindparam("from_ns", expanding=True)),
)
_CHANGE = (
    update(gaps)
    .where(gaps.c.id == bindparam("_id"))
    .values(to_ns=bindparam("_to_ns"), backfilled=bindparam("_backfilled"))
)


def save(conn: Connection, missing: Sequence[Gap]) -> None:
    """Keep gaps, in the caller's transaction; what is known of them is looked up together.

    A gap of the same source, asset, point, cause and beginning is the same gap: a later word about it gives
    it its end, or says that it was filled after all.
    """
    known = _known(conn, missing)
    fresh: dict[Key, dict[str, Json]] = {}
    changed: dict[Key, dict[str, Json]] = {}
    for gap in missing:
        key = gap.source, gap.cause, gap.from_ns, gap.asset, gap.point
        row = fresh.get(key) or known.get(key)
        if row is None:
            fresh[key] = _row(gap)
            continue
        if gap.to_ns is not None:
            row["to_ns"] = gap.to_ns
        row["backfilled"] = row["backfilled"] or gap.backfilled
        if key in known:
            changed[key] = row
    if fresh:
        conn.execute(insert(gaps), list(fresh.values()))
    if changed:
        conn.execute(
            _CHANGE,
            [
                {"_id": row["id"], "_to_ns": row["to_ns"], "_backfilled": row["backfilled"]}
                for row in changed.values()
            ],
        )


def _known(conn: Connection, missing: Sequence[Gap]) -> dict[Key, dict[str, Json]]:
    """The rows that these gaps may be about."""
    begins: dict[tuple[str, str], list[int]] = {}
    for gap in missing:
        begins.setdefault((gap.source, gap.cause), []).append(gap.from_ns)
    found: dict[Key, dict[str, Json]] = {}
    for (source, cause), from_ns in begins.items():
        for part in (from_ns[at : at + LOOK_UP] for at in range(0, len(from_ns), LOOK_UP)):
            asked = {"source": source, "cause": cause, "from_ns": part}
            for row in conn.execute(_KNOWN, asked).mappings():
                key = row["source"], row["cause"], row["from_ns"], row["asset"], row["point"]
                found[key] = dict(row)
    return found


def listed(
    conn: Connection,
    limit: int,
    *,
    still_open: bool = False,
    machines: Machines = None,
    after: Sequence[object] | None = None,
) -> list[tuple[int, Gap]]:
    """The latest by their beginning, newest first, or those that have not ended, each with its number."""
    order = (gaps.c.from_ns.desc(), gaps.c.id.desc())
    wanted = (
        select(gaps).where(behind(order, after), among(gaps.c.asset, machines)).order_by(*order).limit(limit)
    )
    if still_open:
        wanted = wanted.where(gaps.c.to_ns.is_(None))
    return [(row.id, _gap_of(row)) for row in conn.execute(wanted)]


def recent(conn: Connection, limit: int, source: str | None = None) -> list[Gap]:
    """The latest by their beginning, newest first; of one source, if it is named."""
    newest = select(gaps).order_by(gaps.c.from_ns.desc(), gaps.c.id.desc()).limit(limit)
    return _read(conn, newest if source is None else newest.where(gaps.c.source == source))


def open_gaps(conn: Connection, source: str | None = None) -> list[Gap]:
    """Those that have not ended, the longest first."""
    unended = select(gaps).where(gaps.c.to_ns.is_(None)).order_by(gaps.c.from_ns, gaps.c.id)
    return _read(conn, unended if source is None else unended.where(gaps.c.source == source))


def between(conn: Connection, asset: str, source: str, from_ns: int, to_ns: int) -> list[Gap]:
    """Those of an asset, or of all that a source says, that touch this time and were not filled, oldest first."""
    of_it = (gaps.c.asset == asset) | (gaps.c.asset.is_(None) & (gaps.c.source == source))
    ended = gaps.c.to_ns.is_(None) | (gaps.c.to_ns > from_ns)
    wanted = select(gaps).where(of_it, gaps.c.from_ns < to_ns, ended, gaps.c.backfilled.is_(False))
    return _read(conn, wanted.order_by(gaps.c.from_ns, gaps.c.id))


def _row(gap: Gap) -> dict[str, Json]:
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
    return [_gap_of(row) for row in conn.execute(rows)]


def _gap_of(row: Row[tuple[object, ...]]) -> Gap:
    return Gap(
        source=row.source,
        asset=row.asset,
        point=row.point,
        from_ns=row.from_ns,
        to_ns=row.to_ns,
        cause=row.cause,
        backfilled=row.backfilled,
        origin=Origin(row.source, row.position, row.received_ns),
    )
