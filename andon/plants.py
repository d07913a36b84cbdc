"""The plant documents that were in force, newest last: what the console shows and `andon plant export` writes."""

from collections.abc import Mapping

from sqlalchemy import JSON, BigInteger, Column, Connection, MetaData, Table, delete, insert, select

from andon.events import ConfigChanged, Json
from andon.plant import Plant

metadata = MetaData()

plants = Table(
    "plant",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
)


def save(conn: Connection, changed: ConfigChanged) -> None:
    """Keep the document that came into force; the same version again replaces it."""
    document: Mapping[str, Json] = dict(changed.document)
    conn.execute(delete(plants).where(plants.c.version == changed.version))
    conn.execute(insert(plants).values(version=changed.version, at_ns=changed.at_ns, document=document))


def latest(conn: Connection) -> Plant | None:
    """The plant in force, None before the first."""
    row = conn.execute(select(plants.c.document).order_by(plants.c.version.desc()).limit(1)).first()
    return Plant.model_validate(row.document) if row else None
