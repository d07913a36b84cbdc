"""Deeds of money and safety: each locks its ticket, is one transaction, and asks whom the changed costs need."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from andon.plant import Plant
from ticketing.approving import costs, deciding, delegations, requests, standstill
from ticketing.approving.costs import CostLine
from ticketing.approving.delegations import Delegation
from ticketing.approving.requests import Request, Verdict
from ticketing.approving.standstill import Span
from ticketing.book import Book
from ticketing.deeds import Doer
from ticketing.safety import signoff
from ticketing.stepping import lock
from ticketing.ticket import Ticket

Done = TypeVar("Done")


def think(by: Doer, plant: Plant, ticket_id: int, *, cents: int, reason: str) -> None:
    """State what it will cost."""
    _changed(
        by,
        plant,
        ticket_id,
        lambda book, ticket: costs.think(
            book, ticket, cents=cents, reason=reason, actor=by.actor, channel=by.channel
        ),
        reason=reason,
        anew=True,
    )


def work(
    by: Doer,
    plant: Plant,
    ticket_id: int,
    *,
    person: str,
    minutes: int | None,
    span_ns: Span | None,
    note: str,
) -> CostLine:
    """Put hours down."""
    return _changed(
        by,
        plant,
        ticket_id,
        lambda book, ticket: costs.work(
            book,
            ticket,
            plant,
            person=person or by.actor,
            minutes=minutes,
            span_ns=span_ns,
            note=note,
            actor=by.actor,
            channel=by.channel,
        ),
        reason=note,
    )


def pay(by: Doer, plant: Plant, ticket_id: int, *, cents: int, note: str) -> CostLine:
    """Put down what was paid besides."""
    return _changed(
        by,
        plant,
        ticket_id,
        lambda book, ticket: costs.pay(
            book, ticket, cents=cents, note=note, actor=by.actor, channel=by.channel
        ),
        reason=note,
    )


def take_back(by: Doer, plant: Plant, ticket_id: int, number: int, *, reason: str) -> CostLine:
    """A line was wrong."""
    return _changed(
        by,
        plant,
        ticket_id,
        lambda book, ticket: costs.take_back(
            book, ticket, number, reason=reason, actor=by.actor, channel=by.channel
        ),
        reason=reason,
    )


def ask(by: Doer, plant: Plant, ticket_id: int, *, reason: str) -> None:
    """Ask whom the costs need as they are now: after a refusal, or where parts have made them dearer."""
    _changed(by, plant, ticket_id, lambda _book, _ticket: None, reason=reason, anew=True)


def decide(by: Doer, plant: Plant, number: int, verdict: Verdict, *, level: str, note: str) -> Request:
    """One level agrees or refuses."""
    with by.tickets.transaction(by.now_ns) as book:
        asked = requests.numbered(book.conn, number)
        lock(book.conn, asked.ticket)
        return deciding.decide(
            book, plant, asked, verdict, level=level, note=note, actor=by.actor, channel=by.channel
        )


def stood(by: Doer, ticket_id: int, *, span_ns: Span, reason: str) -> Ticket:
    """Say how long the machine stood."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        return standstill.state(
            book, book.ticket(ticket_id), span_ns=span_ns, reason=reason, actor=by.actor, channel=by.channel
        )


def sign_safety(
    by: Doer, plant: Plant, ticket_id: int, code: str, *, ticked: Sequence[int], note: str
) -> Ticket:
    """Sign a checklist of a ticket that one has."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        return signoff.sign(
            book,
            plant,
            book.ticket(ticket_id),
            code,
            ticked=ticked,
            note=note,
            actor=by.actor,
            channel=by.channel,
        )


def delegate(by: Doer, plant: Plant, *, giver: str, taker: str, span_ns: Span, reason: str) -> Delegation:
    """Give somebody else one's own approvals for a time."""
    with by.tickets.transaction(by.now_ns) as book:
        return delegations.delegate(
            book,
            plant,
            giver=giver or by.actor,
            taker=taker,
            from_ns=span_ns[0],
            until_ns=span_ns[1],
            reason=reason,
            actor=by.actor,
        )


def revoke(by: Doer, plant: Plant, number: int) -> Delegation:
    """Take it back."""
    with by.tickets.transaction(by.now_ns) as book:
        return delegations.revoke(book, plant, number, actor=by.actor)


def _changed(
    by: Doer,
    plant: Plant,
    ticket_id: int,
    deed: Callable[[Book, Ticket], Done],
    *,
    reason: str,
    anew: bool = False,
) -> Done:
    """Change what a ticket costs, and ask whom that needs."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        done = deed(book, book.ticket(ticket_id))
        deciding.look(
            book,
            plant,
            book.ticket(ticket_id),
            reason=reason,
            actor=by.actor,
            channel=by.channel,
            anew=anew,
        )
    return done
