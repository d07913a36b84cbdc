"""Rows on their way in and out, the same on SQLite and PostgreSQL: upserts, runs of values, canonical JSON."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import BigInteger, Connection, Integer, MetaData, Table
from sqlalchemy.dialects import postgresql, sqlite

from andon.events import Json

metadata = MetaData()
"""All tables of ticketing."""
Serial = BigInteger().with_variant(Integer, "sqlite")
"""Numbers that the database gives."""
Row = dict[str, Any]  # a row on its way into the database
Value = TypeVar("Value", int, str)

CHUNK = 500
"""Values per IN list; SQLite allows 32,766 variables, older ones 999."""


def chunks(values: Iterable[Value]) -> Iterable[list[Value]]:
    """The distinct values in order, in runs short enough for an IN list."""
    distinct = sorted(set(values))
    return (distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK))


def upsert(conn: Connection, table: Table, rows: Sequence[Row], update: Sequence[str] = ()) -> None:
    """Insert rows; where the primary key is taken, set the columns of `update` (none: leave the row alone).

    The same clause on SQLite and PostgreSQL; rows should stand in key order, so that two writers never deadlock.
    """
    if rows:
        conn.execute(_upsert(conn.dialect.name, table, tuple(update)), rows)


Upsert = sqlite.Insert | postgresql.Insert


@cache
def _upsert(dialect: str, table: Table, update: tuple[str, ...]) -> Upsert:
    statement = insert_into(dialect, table)
    index = [column.name for column in table.primary_key]
    if not update:
        return statement.on_conflict_do_nothing(index_elements=index)
    changed: Mapping[str, Any] = {name: statement.excluded[name] for name in update}
    return statement.on_conflict_do_update(index_elements=index, set_=changed)


def insert_into(dialect: str, table: Table) -> Upsert:
    """An insert that can say what to do where the primary key is taken, in that dialect."""
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _plain(value: object) -> Json:
    """A numpy scalar as the number it is."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return item()


def to_json(value: object) -> str:
    """Canonical JSON: keys sorted, NaN and infinities as null."""
    return msgspec.json.encode(value, enc_hook=_plain, order="deterministic").decode()
