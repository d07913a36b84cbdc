"""When each measuring point was last heard, and what follows from it: fresh, stale or never seen.

Connected is not alive: half of all complaints about collectors are "connected, but no data". So each point has
its own state, by the server's clock: a sensor with a wrong clock is not silent.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    MetaData,
    Table,
    Text,
    select,
    text,
)

from andon.events import SECOND_NS, Gap
from andon.plant import Plant, Point

PERIODS, MINIMUM_S = 3.0, 30.0
"""A point is stale after so many of its periods, at the least after so many seconds."""

Place = tuple[str, str]
"""(asset, point)."""

metadata = MetaData()

heard_points = Table(
    "heard_point",
    metadata,
    Column("asset", Text, primary_key=True),
    Column("point", Text, primary_key=True),
    Column("heard_ns", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
)


class State(StrEnum):
    """How far a point can be believed to be alive."""

    FRESH = "fresh"
    STALE = "stale"
    NEVER_SEEN = "never_seen"


@dataclass(frozen=True, slots=True)
class Heard:
    """When a point was last received, on the server's clock, and from which source."""

    heard_ns: int
    source: str


@dataclass(frozen=True, slots=True)
class Freshness:
    """One point: `limit_s` is how long it may be silent (None: nobody said how often it speaks).

    `why` is the cause of a stale state: `silent`, or the cause of the open gap that covers the point.
    """

    asset: str
    point: str
    state: State
    heard_ns: int | None
    source: str
    limit_s: float | None
    why: str


_HEARD = text(
    "INSERT INTO heard_point (asset, point, heard_ns, source) VALUES (:asset, :point, :heard_ns, :source)"
    " ON CONFLICT (asset, point) DO UPDATE SET heard_ns = excluded.heard_ns, source = excluded.source"
)


def save(conn: Connection, news: Mapping[Place, tuple[int, str]]) -> None:
    """Keep who was heard, (heard_ns, source) by place, in the caller's transaction."""
    rows = [
        {"asset": asset, "point": point, "heard_ns": heard_ns, "source": source}
        for (asset, point), (heard_ns, source) in news.items()
    ]
    if rows:
        conn.execute(_HEARD, rows)


def heard(conn: Connection) -> dict[Place, Heard]:
    """All points that were ever heard."""
    rows = conn.execute(select(heard_points))
    return {(row.asset, row.point): Heard(row.heard_ns, row.source) for row in rows}


def judge(
    plant: Plant, known: Mapping[Place, Heard], open_gaps: Iterable[Gap], now_ns: int
) -> list[Freshness]:
    """The state of every point of the plant document, in its order."""
    gaps = list(open_gaps)
    return [
        _judge(asset.id, point, known.get((asset.id, point.id)), gaps, now_ns)
        for asset in plant.assets
        for point in asset.points
    ]


def _judge(asset: str, point: Point, known: Heard | None, open_gaps: Sequence[Gap], now_ns: int) -> Freshness:
    limit_s = None if point.period_s is None else max(PERIODS * point.period_s, MINIMUM_S)
    if known is None:
        return Freshness(asset, point.id, State.NEVER_SEEN, None, "", limit_s, "")
    why = next((gap.cause for gap in open_gaps if _covers(gap, asset, point.id, known)), "")
    if limit_s is not None and now_ns - known.heard_ns > limit_s * SECOND_NS:
        why = why or "silent"
    state = State.STALE if why else State.FRESH
    return Freshness(asset, point.id, state, known.heard_ns, known.source, limit_s, why)


def _covers(gap: Gap, asset: str, point: str, known: Heard) -> bool:
    """Whether an open gap speaks of this point, and nothing has been heard of it since it began."""
    if gap.asset is None:
        meant = gap.source == known.source
    else:
        meant = gap.asset == asset and gap.point in {None, point}
    return meant and known.heard_ns <= max(gap.from_ns, gap.origin.received_ns)
