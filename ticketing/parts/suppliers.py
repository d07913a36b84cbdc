"""Who parts are bought from: their grade, and whether they may still be bought from."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, select

from andon.events import Json
from ticketing.book import Book
from ticketing.errors import FieldsRefused, Missing
from ticketing.parts.catalogue import CODE, changes, note_change, plain
from ticketing.parts.tables import supplier
from ticketing.sql import upsert

_CARD = ("name", "name_zh", "grade", "status")


class Grade(StrEnum):
    """How far a supplier is trusted, A the most."""

    A = "A"
    B = "B"
    C = "C"


class Status(StrEnum):
    """ACTIVE; AUDIT: being audited; BLOCKED: nothing more is taken in from them."""

    ACTIVE = "active"
    AUDIT = "audit"
    BLOCKED = "blocked"


@dataclass(frozen=True, slots=True)
class Supplier:
    """A supplier; `since_ns` is when it was taken in."""

    code: str
    name: str
    name_zh: str = ""
    grade: Grade = Grade.C
    status: Status = Status.ACTIVE
    since_ns: int = 0


def suppliers(conn: Connection) -> tuple[Supplier, ...]:
    """All suppliers by their code."""
    rows = conn.execute(select(supplier).order_by(supplier.c.code)).mappings()
    return tuple(
        Supplier(**{**row, "grade": Grade(row["grade"]), "status": Status(row["status"])}) for row in rows
    )


def save(book: Book, code: str, wanted: Mapping[str, Json], *, by: str) -> Supplier:
    """Take a supplier in, or change the fields that are given; FieldsRefused names each that cannot stand."""
    code = plain(code)
    before = next((one for one in suppliers(book.conn) if one.code == code), None)
    card = {name: plain(str(wanted[name])) for name in _CARD if name in wanted}
    wrong = [Missing("supplier", "too_long" if code else "absent")] if not 0 < len(code) <= CODE else []
    for name, kind in (("grade", Grade), ("status", Status)):
        if name in card and card[name] not in set(kind):
            wrong.append(Missing(name, "unknown"))
    if not (card.get("name") or (before and before.name)):
        wrong.append(Missing("name"))
    if wrong:
        raise FieldsRefused(wrong)
    card |= {name: kind(card[name]) for name, kind in (("grade", Grade), ("status", Status)) if name in card}
    after = replace(before or Supplier(code, "", since_ns=book.now_ns), **card)  # type: ignore[arg-type]
    if after != before:
        row = {name: str(getattr(after, name)) for name in ("code", *_CARD)}
        upsert(book.conn, supplier, [{**row, "since_ns": after.since_ns}], update=_CARD)
        note_change(book, "supplier", code, changes(before, after, _CARD), by)
    return after
