"""What moves in the store: taken in, reserved, handed out, put back, counted. Stock is the sum of it, never set by hand.

Whoever moves something holds the database's one write lock, so that looking at the stock and taking from it is one step.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, Select, func, or_, select

from andon.database import Machines, among, behind
from ticketing.book import Book
from ticketing.errors import DeedRefused, FieldsRefused, Missing
from ticketing.parts import low
from ticketing.parts.catalogue import CODE, MOST, Part, part_coded, plain
from ticketing.parts.tables import part_lot, stock, stock_movement, supplier
from ticketing.quality.holds import held_lots
from ticketing.sql import upsert

DIGITS = 3
"""Quantities are kept to a thousandth of the part's unit."""


class Kind(StrEnum):
    """RECEIVE and RETURN add to what is there, ISSUE takes from it, ADJUST sets it to what was counted.

    RESERVE and RELEASE change what is spoken for.
    """

    RECEIVE = "receive"
    ISSUE = "issue"
    RETURN = "return"
    ADJUST = "adjust"
    RESERVE = "reserve"
    RELEASE = "release"


_SPOKEN_FOR = frozenset({Kind.RESERVE, Kind.RELEASE})


@dataclass(frozen=True, slots=True)
class Cause:
    """Who moves it and for what: a ticket and its requisition, where there is one."""

    by: str
    note: str = ""
    ticket: int | None = None
    requisition: int | None = None


@dataclass(frozen=True, slots=True)
class Lot:
    """A lot of a part with what is left of it; `grade` is its supplier's."""

    part: str
    lot: str
    supplier: str | None
    brand: str
    received_ns: int
    on_hand: float
    supplier_name: str | None
    grade: str | None


@dataclass(frozen=True, slots=True)
class Movement:
    """One line of what moved; `quantity` is signed."""

    id: int
    part: str
    lot: str
    quantity: float
    kind: Kind
    ticket: int | None
    requisition: int | None
    asset: str | None
    note: str
    by: str
    at_ns: int


@dataclass(frozen=True, slots=True)
class Delivery:
    """What a delivery is known by; `received_ns`: None: now."""

    lot: str = ""
    supplier: str = ""
    brand: str = ""
    received_ns: int | None = None


def receive(book: Book, code: str, quantity: float, cause: Cause, came: Delivery) -> Part:
    """Take a delivery in; a lot keeps the supplier and brand that it first came with. None of it: the lot is known."""
    one, lot = part_coded(book.conn, plain(code)), plain(came.lot)
    from_, brand = plain(came.supplier), plain(came.brand)
    wrong = [] if 0 <= quantity <= MOST else [Missing("quantity", "out_of_range")]
    wrong += [Missing("lot", "too_long")] if len(lot) > CODE else []
    known = _row(book.conn, one.code, lot)
    if from_:
        status = book.conn.execute(select(supplier.c.status).where(supplier.c.code == from_)).scalar()
        wrong += [] if status else [Missing("supplier", "unknown")]
        wrong += [Missing("supplier", "blocked")] if status == "blocked" else []
    if known and lot and ((from_ and known["supplier"] != from_) or (brand and known["brand"] != brand)):
        wrong.append(Missing("lot", "of_another_delivery"))
    if wrong:
        raise FieldsRefused(wrong)
    if known is None:
        row = {"part": one.code, "lot": lot, "supplier": from_ or None, "brand": brand}
        received_ns = book.now_ns if came.received_ns is None else came.received_ns
        upsert(book.conn, part_lot, [{**row, "received_ns": received_ns}])
    if quantity:
        move(book, Kind.RECEIVE, one.code, round(quantity, DIGITS), cause, lot=lot)
    return part_coded(book.conn, one.code)


def count(book: Book, code: str, counted: float, cause: Cause, *, lot: str = "") -> Part:
    """Set a lot's stock to what was counted; the difference is what moves."""
    one, lot = part_coded(book.conn, plain(code)), plain(lot)
    if not 0 <= counted <= MOST:
        raise FieldsRefused([Missing("quantity", "out_of_range")])
    known = _row(book.conn, one.code, lot)
    if known is None:
        raise FieldsRefused([Missing("lot", "unknown")])
    difference = round(counted - (known["on_hand"] or 0.0), DIGITS)
    if difference:
        move(book, Kind.ADJUST, one.code, difference, cause, lot=lot)
    return part_coded(book.conn, one.code)


def take_out(book: Book, code: str, quantity: float, cause: Cause, *, lot: str = "") -> dict[str, float]:
    """Hand out of that lot, or of the oldest first; gives how much of which. DeedRefused where there is not enough.

    What a frozen batch keeps back is not there: DeedRefused "lot_frozen" where it was asked for by its number.
    """
    kept = held_lots(book.conn, code)
    if lot in kept:
        raise DeedRefused("lot_frozen", f"lot {lot} of {code} is kept back by {kept[lot]}")
    there = [one for one in at_hand(book.conn, code) if not lot or one.lot == lot]
    if round(sum(one.on_hand for one in there), DIGITS) < quantity:
        held = ", ".join(f"{one.on_hand:g} of lot {one.lot or '-'}" for one in lots(book.conn, code))
        of = f"lot {lot} of {code}" if lot else code
        text = (
            f"the store has not {quantity:g} of {of}, but {held or 'none'}: issue fewer, or count the stock"
        )
        raise DeedRefused("stock_short", text)
    out: dict[str, float] = {}
    for one in there:
        some = round(min(one.on_hand, quantity - sum(out.values())), DIGITS)
        if some > 0:
            out[one.lot] = some
            move(book, Kind.ISSUE, code, -some, cause, lot=one.lot)
    return out


def move(book: Book, kind: Kind, code: str, quantity: float, cause: Cause, *, lot: str = "") -> None:
    """Write one movement and add it to the stock; tells it where the stock falls below what is safe."""
    asset = book.ticket(cause.ticket).asset if cause.ticket is not None else None
    row = {"part": code, "lot": lot, "quantity": quantity, "kind": str(kind), "asset": asset}
    row |= {"ticket": cause.ticket, "requisition": cause.requisition, "note": cause.note}
    book.add(stock_movement, {**row, "by": cause.by, "at_ns": book.now_ns})
    here = stock.c.part == code, stock.c.lot == lot
    found = book.conn.execute(select(stock.c.on_hand, stock.c.reserved).where(*here)).first()
    on_hand, reserved = (found.on_hand, found.reserved) if found else (0.0, 0.0)
    if kind in _SPOKEN_FOR:
        reserved = round(reserved + quantity, DIGITS)
    else:
        on_hand = round(on_hand + quantity, DIGITS)
    held = {"part": code, "lot": lot, "on_hand": on_hand, "reserved": reserved}
    upsert(book.conn, stock, [held], update=("on_hand", "reserved"))
    low.look(book, part_coded(book.conn, code), cause.ticket)


def still_out(conn: Connection, requisition: int) -> dict[str, float]:
    """How much of which lots a requisition took and has not brought back."""
    c = stock_movement.c
    taken = select(c.lot, func.sum(c.quantity).label("moved")).where(c.requisition == requisition)
    taken = taken.where(c.kind.in_([Kind.ISSUE, Kind.RETURN])).group_by(c.lot)
    out = {row.lot: -round(row.moved, DIGITS) for row in conn.execute(taken)}
    return {lot: some for lot, some in out.items() if some > 0}


def lots(conn: Connection, code: str | None = None) -> tuple[Lot, ...]:
    """A part's lots, or all, the oldest first: in this order they are handed out."""
    wanted = _lots() if code is None else _lots().where(part_lot.c.part == code)
    rows = conn.execute(wanted).mappings()
    return tuple(Lot(**{**row, "on_hand": round(row["on_hand"], DIGITS)}) for row in rows)


def at_hand(conn: Connection, code: str) -> tuple[Lot, ...]:
    """The lots that can be handed out, the oldest first: not those that a frozen batch keeps back."""
    kept = held_lots(conn, code)
    return tuple(one for one in lots(conn, code) if one.on_hand > 0 and one.lot not in kept)


def movements(
    conn: Connection,
    code: str = "",
    *,
    machines: Machines = None,
    limit: int = 100,
    after: Sequence[object] | None = None,
) -> tuple[Movement, ...]:
    """What moved of a part, or of all, the newest first; for whom machines are bounded, without what went to others."""
    c = stock_movement.c
    order = (c.id.desc(),)
    wanted = select(stock_movement).where(behind(order, after))
    if code:
        wanted = wanted.where(c.part == code)
    if machines is not None:
        wanted = wanted.where(or_(c.asset.is_(None), among(c.asset, machines)))
    rows = conn.execute(wanted.order_by(*order).limit(limit)).mappings()
    return tuple(Movement(**{**row, "kind": Kind(row["kind"])}) for row in rows)


def _lots() -> Select[tuple[object, ...]]:
    held = func.coalesce(stock.c.on_hand, 0.0).label("on_hand")
    here = (stock.c.part == part_lot.c.part) & (stock.c.lot == part_lot.c.lot)
    joined = part_lot.outerjoin(stock, here).outerjoin(supplier, supplier.c.code == part_lot.c.supplier)
    return (
        select(part_lot, held, supplier.c.name.label("supplier_name"), supplier.c.grade)
        .select_from(joined)
        .order_by(part_lot.c.received_ns, part_lot.c.lot)
    )


def _row(conn: Connection, code: str, lot: str) -> RowMapping | None:
    wanted = _lots().where(part_lot.c.part == code, part_lot.c.lot == lot)
    return conn.execute(wanted).mappings().first()
