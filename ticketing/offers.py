"""A ticket offered to several at once: the first to accept has it, the others are told that it is gone (rule 19)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    select,
)
from sqlalchemy import update as sql_update

from andon.database import Machines, behind
from andon.events import SECOND_NS
from ticketing.book import Book
from ticketing.sql import metadata
from ticketing.tables import of_machines
from ticketing.ticket import Suggestion, Ticket
from ticketing.timers import Timer, cancel, set_timer

KIND = "offer"
"""The timer that ends a round of offers."""

offer = Table(
    "ticket_offer",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("round", BigInteger, primary_key=True, autoincrement=False),
    Column("person", Text, primary_key=True),
    Column("place", Integer, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("answered_ns", BigInteger),
    Column("reason", Text, nullable=False),
)
Index("offer_of_person", offer.c.person, offer.c.state)


class OfferState(StrEnum):
    """OPEN until somebody accepts, the person declines, or the time is over."""

    OPEN = "open"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Offer:
    """One person asked to take a ticket, `place` 0 the best; `round` counts up when it is offered again."""

    ticket: int
    round: int
    person: str
    place: int
    at_ns: int
    until_ns: int
    state: OfferState
    answered_ns: int | None = None
    reason: str = ""


def make(book: Book, ticket: Ticket, chosen: Suggestion, offer_s: float) -> Ticket:
    """Offer the ticket to those chosen, for so long; put on record and told to them."""
    until_ns = book.now_ns + int(offer_s * SECOND_NS)
    withdraw(book, ticket)
    ticket = book.record(
        ticket,
        action="offered",
        actor=f"rule/{chosen.routing}",
        reason=", ".join(chosen.offer_to),
        numbers={"offer_s": offer_s},
    )
    for place, person in enumerate(chosen.offer_to):
        row = {
            "ticket": ticket.id,
            "round": ticket.audit_seq,
            "person": person,
            "place": place,
            "at_ns": book.now_ns,
            "until_ns": until_ns,
            "state": str(OfferState.OPEN),
            "answered_ns": None,
            "reason": "",
        }
        book.add(offer, row)
    set_timer(book, Timer(KIND, _subject(ticket.id), until_ns, cycle=ticket.audit_seq))
    book.tell(ticket, "ticket.offered", chosen.offer_to, {"rule": chosen.routing, "offer_s": offer_s})
    return ticket


def withdraw(book: Book, ticket: Ticket, state: OfferState = OfferState.WITHDRAWN) -> Sequence[str]:
    """End the open offers of a ticket; who is told that it is gone is named."""
    still = [one.person for one in of(book.conn, ticket.id) if one.state is OfferState.OPEN]
    for row in book.rows(offer):  # made in this very transaction, and not stored yet
        if row["ticket"] == ticket.id and row["state"] == str(OfferState.OPEN):
            row |= {"state": str(state), "answered_ns": book.now_ns}
            still.append(row["person"])
    if still:
        _answer(book, ticket.id, still, state)
        cancel(book, KIND, _subject(ticket.id))
    if still and state is OfferState.WITHDRAWN and ticket.audit_seq:
        book.tell(ticket, "ticket.offer_withdrawn", still, {"rule": "", "offer_s": None})
    return still


def answer(book: Book, ticket: Ticket, person: str, state: OfferState, reason: str = "") -> None:
    """Put down what one person says to an open offer."""
    _answer(book, ticket.id, [person], state, reason)


def end_now(book: Book, ticket: Ticket, this_round: int) -> None:
    """Nobody is left to answer: the round ends in a moment instead of at its time."""
    set_timer(book, Timer(KIND, _subject(ticket.id), book.now_ns, cycle=this_round))


def of(conn: Connection, ticket_id: int) -> Sequence[Offer]:
    """All offers of a ticket, the newest round first, in the order in which they were ranked."""
    wanted = select(offer).where(offer.c.ticket == ticket_id)
    rows = conn.execute(wanted.order_by(offer.c.round.desc(), offer.c.place)).mappings()
    return [_offer_of(row) for row in rows]


def open_for(
    conn: Connection,
    person: str,
    limit: int = 200,
    after: Sequence[object] | None = None,
    machines: Machines = None,
) -> Sequence[Offer]:
    """The tickets that a person could accept now."""
    c = offer.c
    order = (c.at_ns, c.ticket)
    wanted = select(offer).where(c.person == person, c.state == str(OfferState.OPEN), behind(order, after))
    wanted = wanted.where(of_machines(c.ticket, machines))
    return [_offer_of(row) for row in conn.execute(wanted.order_by(*order).limit(limit)).mappings()]


def _answer(book: Book, ticket_id: int, people: Sequence[str], state: OfferState, reason: str = "") -> None:
    book.conn.execute(
        sql_update(offer)
        .where(offer.c.ticket == ticket_id, offer.c.person.in_(people), offer.c.state == str(OfferState.OPEN))
        .values(state=str(state), answered_ns=book.now_ns, reason=reason)
    )


def _subject(ticket_id: int) -> str:
    return f"ticket/{ticket_id}"


def _offer_of(row: RowMapping) -> Offer:
    return Offer(**{**row, "state": OfferState(row["state"])})
