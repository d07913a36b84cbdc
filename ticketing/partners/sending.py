"""Sending again by hand: what a partner has not confirmed leaves now, and no wait counts any more."""

from sqlalchemy import select, update

from andon.plant import Plant
from andon.rules.partners import Partner
from ticketing.book import Book
from ticketing.message_tables import outbox
from ticketing.partners.following import tell_truth
from ticketing.partners.saying import MOVED, STATE
from ticketing.partners.tables import partner_sync

AT_ONCE = 1000


def send_again(book: Book, plant: Plant, partner: Partner) -> int:
    """Have all that waits for that partner sent now, with all tries; gives how many messages. At most 1,000 at once."""
    c, now_ns = outbox.c, book.now_ns
    waits = c.channel == partner.code, c.kind.in_((STATE, MOVED)), c.state.in_(("pending", "dead"))
    again = update(outbox).where(*waits).values(state="pending", attempts=0, next_ns=now_ns)
    count = book.conn.execute(again).rowcount
    mine = partner_sync.c.partner == partner.code, partner_sync.c.confirmed_ns.is_(None)
    under_way = select(c.ticket).where(*waits)
    rest = select(partner_sync.c.ticket).where(*mine, partner_sync.c.ticket.not_in(under_way)).distinct()
    numbers = book.conn.execute(rest.limit(AT_ONCE)).scalars().all()
    for number in numbers:
        tell_truth(book, plant, partner, number)
    return count + len(numbers)
