"""Stock below the safety stock (rule 62): told once when it falls there, and again only after it was above."""

from hashlib import sha256
from typing import TYPE_CHECKING

from sqlalchemy import select, update

from ticketing.book import Book
from ticketing.message_tables import outbox
from ticketing.parts.tables import part, stock_movement

if TYPE_CHECKING:
    from ticketing.parts.catalogue import Part

TOPIC = "part.low"


def look(book: Book, now: "Part", ticket: int | None) -> None:
    """Tell that the part is low if that is new; the ticket is the one that took it, else the last that did.

    Where no ticket ever took of it there is none to tell it with: the store's page shows it, and the next that takes
    of it tells.
    """
    if now.is_low == (now.low_ns is not None):
        return
    if now.is_low:
        about = ticket if ticket is not None else _last(book, now.code)
        if about is None:
            return
        content = {name: getattr(now, name) for name in ("unit", "on_hand", "min_stock")}
        content |= {"part": now.code, "part_name": now.name, "part_name_zh": now.name_zh}
        which = sha256(now.code.encode()).hexdigest()[:8]
        step = f"part-low-{which}-{book.now_ns}-{len(book.rows(outbox))}"  # a file may count a lot twice
        book.tell(book.ticket(about), TOPIC, ("store",), content, step=step)
    since = book.now_ns if now.is_low else None
    book.conn.execute(update(part).where(part.c.code == now.code).values(low_ns=since))


def _last(book: Book, code: str) -> int | None:
    c = stock_movement.c
    last = select(c.ticket).where(c.part == code, c.ticket.is_not(None)).order_by(c.id.desc()).limit(1)
    return book.conn.execute(last).scalar()
