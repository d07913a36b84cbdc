"""Which lots a frozen batch keeps back: the store asks here before it hands a part out."""

from collections.abc import Mapping

from sqlalchemy import Connection, select

from ticketing.quality.tables import batch, batch_lot

HELD = ("frozen", "release_asked")
"""The states in which a batch's lots stay where they are."""


def held_lots(conn: Connection, part: str) -> Mapping[str, str]:
    """The lots of a part that may not be handed out -> the batch that keeps each back, and why."""
    held = (
        select(batch_lot.c.lot, batch.c.id, batch.c.code, batch.c.reason)
        .join(batch, batch.c.id == batch_lot.c.batch)
        .where(batch_lot.c.part == part, batch.c.state.in_(HELD))
        .order_by(batch.c.id)
    )
    return {row.lot: f"FZ-{row.id} ({row.code}): {row.reason}" for row in conn.execute(held)}
