"""What a ticket's work used of the store, and so what was replaced on a machine (rule 66)."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, select

from ticketing.book import Book
from ticketing.parts.catalogue import Part
from ticketing.parts.movements import DIGITS
from ticketing.parts.tables import part, part_lot, part_use, supplier
from ticketing.sql import chunks, upsert
from ticketing.tables import ticket as tickets


@dataclass(frozen=True, slots=True)
class PartUse:
    """A part that stayed in a machine: of which lot, brand and supplier, by which ticket, and what it cost in cents."""

    ticket: int
    number: str
    asset: str
    part: str
    name: str
    name_zh: str
    unit: str
    lot: str
    quantity: float
    cents: int | None
    at_ns: int
    brand: str
    supplier: str | None
    grade: str | None


def used(book: Book, ticket: int, one: Part, lot: str, quantity: float) -> None:
    """Add to what a ticket used; a negative quantity came back, and takes its share of the cost with it."""
    here = part_use.c.ticket == ticket, part_use.c.part == one.code, part_use.c.lot == lot
    known = book.conn.execute(select(part_use).where(*here)).mappings().first()
    total = round((known["quantity"] if known else 0.0) + quantity, DIGITS)
    if total <= 0:
        book.conn.execute(delete(part_use).where(*here))
        return
    row = {"ticket": ticket, "part": one.code, "lot": lot, "quantity": total}
    if known is None:
        row |= {"asset": book.ticket(ticket).asset, "cents": _cost(one, quantity), "at_ns": book.now_ns}
    else:
        row |= {"asset": known["asset"], "at_ns": known["at_ns"]}
        row["cents"] = _summed(known["cents"], known["quantity"], one, quantity)
    upsert(book.conn, part_use, [row], update=("quantity", "cents"))


def of_ticket(conn: Connection, ticket: int) -> tuple[PartUse, ...]:
    """What one ticket used."""
    return _read(conn, part_use.c.ticket == ticket)


def of_asset(conn: Connection, asset: str, *, limit: int = 200) -> tuple[PartUse, ...]:
    """What was replaced on a machine, the newest first."""
    return _read(conn, part_use.c.asset == asset, limit)


def about(conn: Connection, ticket_ids: Iterable[int]) -> Mapping[int, tuple[str, str]]:
    """The number and the machine of each of these tickets."""
    c = tickets.c
    found: dict[int, tuple[str, str]] = {}
    for some in chunks(ticket_ids):
        rows = conn.execute(select(c.id, c.number, c.asset).where(c.id.in_(some)))
        found |= {row.id: (row.number, row.asset) for row in rows}
    return found


def _read(conn: Connection, which: ColumnElement[bool], limit: int = 200) -> tuple[PartUse, ...]:
    lot = (part_lot.c.part == part_use.c.part) & (part_lot.c.lot == part_use.c.lot)
    wanted = (
        select(
            part_use,
            *(part.c.name, part.c.name_zh, part.c.unit),
            *(part_lot.c.brand, part_lot.c.supplier, supplier.c.grade, tickets.c.number),
        )
        .join(part, part.c.code == part_use.c.part)
        .join(tickets, tickets.c.id == part_use.c.ticket)
        .join(part_lot, lot)
        .outerjoin(supplier, supplier.c.code == part_lot.c.supplier)
        .where(which)
        .order_by(part_use.c.at_ns.desc(), part_use.c.ticket.desc(), part_use.c.part, part_use.c.lot)
        .limit(limit)
    )
    return tuple(PartUse(**row) for row in conn.execute(wanted).mappings())


def _cost(one: Part, quantity: float) -> int | None:
    return None if one.cents is None else round(one.cents * quantity)


def _summed(cents: int | None, had: float, one: Part, quantity: float) -> int | None:
    """The cost after more was issued, at today's price, or some came back, at what it had cost."""
    if quantity < 0:
        return None if cents is None else round(cents * (had + quantity) / had)
    more = _cost(one, quantity)
    return None if cents is None or more is None else cents + more
