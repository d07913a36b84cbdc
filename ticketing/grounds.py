"""A problem whose ground has gone is flagged for a person to look at again, never deleted."""

from dataclasses import replace

from ticketing.book import Book
from ticketing.problem import ProblemKind
from ticketing.problem_store import of_ticket, record
from ticketing.ticket import Closure, Ticket


def flag(book: Book, ticket: Ticket) -> None:
    """Flag the RCAs that rest on a ticket which turned out to be no fault."""
    for problem in of_ticket(book.conn, ticket.id):
        if problem.kind is ProblemKind.RCA and not problem.review:
            flagged = replace(problem, review=str(Closure.FALSE_ALARM))
            evidence = (ticket.number,)
            record(book, flagged, before=problem, action="flagged", actor="rule/ground", evidence=evidence)
