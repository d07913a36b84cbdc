"""Stock whose master is a partner: it says the level, we say what tickets took, and neither undoes the other.

The partner says a part's level and up to which of our movements it holds (`through`); what moved here after that is added
to it. So a level that was on its way while a part was handed out takes nothing back. Levels carry a sequence of the
partner's own, and an older one changes nothing.
"""

import math
from collections.abc import Mapping

from sqlalchemy import Connection, RowMapping, func, insert, select, update

from andon.events import Json, rfc3339
from andon.plant import Plant
from andon.rules.partners import Partner
from ticketing.book import Book
from ticketing.errors import FieldsRefused, Missing
from ticketing.message_tables import outbox
from ticketing.partners.saying import MOVED, message
from ticketing.partners.tables import partner_cursor, partner_stock
from ticketing.parts.catalogue import MOST, part_coded
from ticketing.parts.movements import DIGITS, Cause, Delivery, Kind, move, receive
from ticketing.parts.tables import part_lot, stock, stock_movement
from ticketing.sql import upsert

_m = stock_movement.c
_ON_HAND = (Kind.ISSUE, Kind.RETURN, Kind.RECEIVE, Kind.ADJUST)


def newest_movement(conn: Connection) -> int:
    """The number of the last movement in the store; 0 if there was none."""
    return int(conn.execute(select(func.coalesce(func.max(_m.id), 0))).scalar_one())


def send_movements(book: Book, plant: Plant, partner: Partner, cursor: RowMapping) -> None:
    """Tell the master of the stock what tickets took or brought back since, each behind the one before it."""
    conn, told = book.conn, cursor["told"]
    newest = newest_movement(conn)
    if partner.stock:
        since = select(stock_movement).where(
            _m.id > cursor["movement"], _m.id <= newest, _m.by != actor_of(partner)
        )
        since = since.where(_m.ticket.is_not(None), _m.kind.in_(_ON_HAND)).order_by(_m.id)
        for row in conn.execute(since).mappings().all():
            ticket = book.ticket(row["ticket"])
            said = _moved(plant, partner, row, number=ticket.number, after=told)
            key = f"{ticket.number}/stock/{row['id']}/{partner.code}/"
            there = message(partner.code, MOVED, ticket, key=key, content=said, now_ns=book.now_ns)
            conn.execute(insert(outbox), there)
            told = row["id"]
    mine = update(partner_cursor).where(partner_cursor.c.partner == partner.code)
    conn.execute(mine.values(movement=newest, told=told))


def _moved(plant: Plant, partner: Partner, row: RowMapping, *, number: str, after: int) -> Mapping[str, Json]:
    theirs = {ours: number for number, ours in partner.parts.items()}
    return {
        "plant": plant.name,
        "number": number,
        "movement": row["id"],
        "after": after,
        "kind": row["kind"],
        "part": theirs.get(row["part"], row["part"]),
        "lot": row["lot"],
        "quantity": row["quantity"],
        "asset": row["asset"] or "",
        "at": rfc3339(row["at_ns"]),
        "people": [],
    }


def level(book: Book, partner: Partner, said: Mapping[str, Json]) -> tuple[str, Mapping[str, Json]]:
    """Set a part's stock to what the master says; gives the outcome and the level that follows from it here.

    FieldsRefused where what it says cannot be, DeedRefused for a part that the plant does not have.
    """
    if not partner.stock:
        raise FieldsRefused([Missing("stock", "not_the_master")])
    one = part_coded(book.conn, partner.parts.get(_text(said, "part"), _text(said, "part")))
    lot, sequence, through = _text(said, "lot"), _whole(said, "sequence"), _whole(said, "through")
    on_hand = said.get("on_hand")
    if isinstance(on_hand, bool) or not isinstance(on_hand, int | float) or not 0 <= on_hand <= MOST:
        raise FieldsRefused([Missing("on_hand", "out_of_range")])
    last = _last(book.conn, partner, one.code, lot)
    held = _held(book.conn, one.code, lot)
    if last is not None and sequence <= last:
        return "already", {"on_hand": held, "sequence": last}
    wanted = round(on_hand + _since(book.conn, partner, one.code, lot, through), DIGITS)
    if wanted < 0:
        raise FieldsRefused([Missing("on_hand", f"less_than_was_issued_since_{through}")])
    _set(
        book,
        one.code,
        lot,
        round(wanted - held, DIGITS),
        Cause(actor_of(partner), f"{partner.code} {sequence}"),
    )
    row = {"partner": partner.code, "part": one.code, "lot": lot, "sequence": sequence, "on_hand": on_hand}
    row |= {"through": through, "at_ns": book.now_ns}
    upsert(book.conn, partner_stock, [row], ("sequence", "on_hand", "through", "at_ns"))
    return "applied", {"on_hand": wanted, "sequence": sequence}


def _set(book: Book, code: str, lot: str, difference: float, cause: Cause) -> None:
    known = select(part_lot.c.lot).where(part_lot.c.part == code, part_lot.c.lot == lot)
    if not difference:
        return
    if book.conn.execute(known).first() is None:
        receive(book, code, difference, cause, Delivery(lot=lot))
    else:
        move(book, Kind.ADJUST, code, difference, cause, lot=lot)


def actor_of(partner: Partner) -> str:
    """Who acts where the partner names nobody."""
    return f"partner/{partner.code}"


def _since(conn: Connection, partner: Partner, code: str, lot: str, through: int) -> float:
    """What moved here that the partner's level does not hold yet."""
    mine = select(func.coalesce(func.sum(_m.quantity), 0.0)).where(
        _m.part == code, _m.lot == lot, _m.id > through
    )
    return float(conn.execute(mine.where(_m.kind.in_(_ON_HAND), _m.by != actor_of(partner))).scalar_one())


def _held(conn: Connection, code: str, lot: str) -> float:
    here = select(stock.c.on_hand).where(stock.c.part == code, stock.c.lot == lot)
    return float(conn.execute(here).scalar() or 0.0)


def _last(conn: Connection, partner: Partner, code: str, lot: str) -> int | None:
    c = partner_stock.c
    mine = select(c.sequence).where(c.partner == partner.code, c.part == code, c.lot == lot)
    return conn.execute(mine).scalar()


def _text(said: Mapping[str, Json], name: str) -> str:
    value = said.get(name, "")
    if not isinstance(value, str) or len(value) > 64:
        raise FieldsRefused([Missing(name, "no_text")])
    return value


def _whole(said: Mapping[str, Json], name: str) -> int:
    value = said.get(name)
    if (
        isinstance(value, bool)
        or not isinstance(value, int)
        or not 0 <= value < 2**62
        or not math.isfinite(value)
    ):
        raise FieldsRefused([Missing(name, "no_whole_number")])
    return value
