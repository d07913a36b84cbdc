"""What changes about people from hour to hour, a row for each: where they were last seen, when they last got a ticket."""

from collections.abc import Mapping

import msgspec
from sqlalchemy import BigInteger, Boolean, Column, Connection, Table, Text, select

from andon.positions import Position
from ticketing.book import Book
from ticketing.duty import Presence
from ticketing.sql import metadata, to_json, upsert

presence = Table(
    "person_presence",
    metadata,
    Column("person", Text, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("online", Boolean),
    Column("position", Text),
    Column("leave_until_ns", BigInteger),
)

last_given = Table(
    "person_last_given",
    metadata,
    Column("person", Text, primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
)
"""When each person was last assigned a ticket: what ties are decided by."""


def gave(book: Book, person: str) -> None:
    """Note that a person is given a ticket now."""
    book.upsert(last_given, {"person": person, "at_ns": book.now_ns}, ("at_ns",))


def recall_last_given(conn: Connection) -> Mapping[str, int]:
    """Person -> when they were last given a ticket."""
    return {row.person: row.at_ns for row in conn.execute(select(last_given))}


def keep(book: Book, said: Presence) -> None:
    """Keep what was reported of a person in place of what was reported before."""
    row = {
        "person": said.person,
        "at_ns": said.at_ns,
        "online": said.online,
        "position": to_json(said.position.model_dump(exclude_none=True)) if said.position else None,
        "leave_until_ns": said.leave_until_ns,
    }
    upsert(book.conn, presence, [row], ("at_ns", "online", "position", "leave_until_ns"))


def recall_presence(conn: Connection) -> Mapping[str, Presence]:
    """What was last reported of everyone, however old it is."""
    rows = conn.execute(select(presence)).mappings()
    return {row["person"]: Presence(**{**row, "position": _position(row["position"])}) for row in rows}


def _position(text: str | None) -> Position | None:
    return Position(**msgspec.json.decode(text)) if text else None
