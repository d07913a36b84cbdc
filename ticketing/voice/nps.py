"""How likely the requester is to recommend us, 0 to 10, asked beside the stars: % of 9 and 10 less % of 0 to 6 is the NPS."""

from sqlalchemy import Connection, select

from ticketing.book import Book
from ticketing.errors import Missing, StepRefused
from ticketing.ticket import Ticket
from ticketing.voice.tables import nps_answer

BEST = 10


def answer(book: Book, ticket: Ticket, *, score: int, actor: str) -> None:
    """Keep the answer of this round beside its stars, which say that it may be given; the ticket must be locked."""
    if not 0 <= score <= BEST:
        raise StepRefused("rating", ticket.state, [Missing("nps", "not_0_to_10")])
    row = {"ticket": ticket.id, "cycle": ticket.reopen_count, "score": score, "by": actor}
    book.add(nps_answer, row | {"at_ns": book.now_ns})


def of_round(conn: Connection, ticket: Ticket) -> int | None:
    """The answer of the round that a ticket is in."""
    c = nps_answer.c
    wanted = select(c.score).where(c.ticket == ticket.id, c.cycle == ticket.reopen_count)
    return conn.execute(wanted).scalar()
