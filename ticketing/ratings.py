"""What the requester thought of it: one to five stars after closing; few of them call for a review (rule 33)."""

from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, Connection, ForeignKey, Integer, Table, Text, select

from andon.plant import Plant
from ticketing.book import Book
from ticketing.demands import Demand
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.obligations import Owed, owe
from ticketing.sql import metadata
from ticketing.ticket import Closure, Ticket

rating = Table(
    "ticket_rating",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("cycle", Integer, primary_key=True, autoincrement=False),
    Column("stars", Integer, nullable=False),
    Column("comment", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
MOST = 5
_RATED = frozenset({Closure.SIGNED, Closure.UNSIGNED})


@dataclass(frozen=True, slots=True)
class Rating:
    """The stars of one round of a ticket, and who gave them."""

    ticket: int
    cycle: int
    stars: int
    comment: str
    by: str
    at_ns: int


def rate(
    book: Book, ticket: Ticket, plant: Plant, *, stars: int, comment: str, actor: str, channel: str
) -> Rating:
    """Rate work that is closed, once a round, by someone who did not do it; the ticket must be locked."""
    if ticket.closure not in _RATED:
        raise NoEdge(ticket.state, "rating", ())
    if actor in {ticket.handler, ticket.assignee}:
        raise StepRefused("rating", ticket.state, [Missing(Demand.OTHER_SIGNER, "is_handler")])
    if not 1 <= stars <= MOST:
        raise StepRefused("rating", ticket.state, [Missing("stars", "not_1_to_5")])
    if of_round(book.conn, ticket) is not None:
        raise DeedRefused("already_rated", f"{ticket.number} has been rated")
    given = Rating(ticket.id, ticket.reopen_count, stars, comment.strip(), actor, book.now_ns)
    book.add(rating, {column.name: getattr(given, column.name) for column in rating.columns})
    ticket = book.record(
        ticket,
        action="rating",
        actor=actor,
        channel=channel,
        reason=given.comment,
        numbers={"stars": float(stars)},
    )
    book.tell(ticket, "ticket.rating", (ticket.handler,), {"reason": given.comment, "actor": actor})
    closing = plant.closing
    if stars < closing.review_below_stars:
        owe(book, ticket, Owed.REVIEW, plant, role=closing.review_by, within_h=closing.review_within_h)
    return given


def of_round(conn: Connection, ticket: Ticket) -> Rating | None:
    """The rating of the round that a ticket is in."""
    c = rating.c
    wanted = select(rating).where(c.ticket == ticket.id, c.cycle == ticket.reopen_count)
    row = conn.execute(wanted).mappings().first()
    return None if row is None else Rating(**row)
