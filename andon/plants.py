"""The plant documents that were in force, newest last, and the one that is asked for and not yet taken.

Who wants another document asks here; the engine journals it, so that it has its place in the stream.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Connection,
    Engine,
    MetaData,
    Table,
    delete,
    func,
    insert,
    select,
)

from andon.database import reading
from andon.events import ConfigChanged, Json
from andon.plant import Plant
from andon.ports import Record, RecordKind

metadata = MetaData()

plants = Table(
    "plant",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
)
asked_for = Table(
    "plant_asked",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
)


class Outdated(Exception):
    """The plant document has changed since it was looked at, or is about to; the text says what to do."""


@dataclass(frozen=True, slots=True)
class InForce:
    """A plant document and since when it was in force."""

    plant: Plant
    at_ns: int


def save(conn: Connection, changed: ConfigChanged) -> None:
    """Keep the document that came into force; the same version again replaces it, and nobody waits for it any more."""
    document: Mapping[str, Json] = dict(changed.document)
    conn.execute(delete(plants).where(plants.c.version == changed.version))
    conn.execute(insert(plants).values(version=changed.version, at_ns=changed.at_ns, document=document))
    conn.execute(delete(asked_for).where(asked_for.c.version <= changed.version))


def latest(conn: Connection) -> Plant | None:
    """The plant in force, None before the first."""
    row = conn.execute(select(plants.c.document).order_by(plants.c.version.desc()).limit(1)).first()
    return Plant.model_validate(row.document) if row else None


class Current:
    """The plant in force for whoever asks often: read and checked anew only after another came into force."""

    def __init__(self, database: Engine) -> None:
        self._database = database
        self._read: tuple[object, Plant] = None, Plant(name="")

    def __call__(self) -> Plant:
        """The plant; one without a name and machines before the first."""
        known, plant = self._read
        newest = select(plants.c.version, plants.c.at_ns).order_by(plants.c.version.desc()).limit(1)
        with reading(self._database) as conn:
            row = conn.execute(newest).first()
            if row is not None and tuple(row) != known:
                plant = latest(conn) or plant
                self._read = tuple(row), plant
        return plant


def every(conn: Connection) -> list[InForce]:
    """All that were in force, newest first."""
    rows = conn.execute(select(plants).order_by(plants.c.version.desc()))
    return [InForce(Plant.model_validate(row.document), row.at_ns) for row in rows]


def ask(conn: Connection, wanted: Plant, now_ns: int) -> None:
    """Ask the engine to bring this document into force, in the caller's transaction; Outdated if it is not the next one."""
    known = conn.execute(select(func.max(plants.c.version))).scalar() or 0
    if conn.execute(select(func.count()).select_from(asked_for)).scalar():
        raise Outdated("another change of the plant is on its way: look again once it is in force")
    if wanted.version != known + 1:
        raise Outdated(f"the plant document is at version {known} by now: look again and decide anew")
    document = wanted.model_dump(mode="json")
    conn.execute(insert(asked_for).values(version=wanted.version, asked_ns=now_ns, document=document))


def asked(conn: Connection, now_ns: int) -> list[Record]:
    """The CONFIG record of what was asked for and is not in force yet; mostly none."""
    rows = conn.execute(select(asked_for).order_by(asked_for.c.version))
    return [
        Record(
            RecordKind.CONFIG,
            now_ns,
            b"",
            json.dumps({"version": row.version, "document": row.document}).encode(),
        )
        for row in rows
    ]
