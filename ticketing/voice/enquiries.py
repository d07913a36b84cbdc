"""Somebody asks where the work stands: on record each time, told and counted once in ten minutes (K4)."""

from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from andon.events import MINUTE_NS
from andon.plant import Plant
from ticketing.book import Book
from ticketing.deeds import Doer
from ticketing.errors import Missing, NoEdge, StepRefused
from ticketing.stepping import lock
from ticketing.ticket import Ticket
from ticketing.voice.tables import enquiry


@dataclass(frozen=True, slots=True)
class Enquiry:
    """One question where a ticket stands: who asked, by which channel, and whether it counts."""

    ticket: int
    by: str
    channel: str
    at_ns: int
    counted: bool
    note: str = ""


def enquire(
    by: Doer, plant: Plant, ticket_id: int, *, caller: str = "", channel: str = "", note: str = ""
) -> Enquiry:
    """Put a question on record: the actor's own, or that of a `caller` which the actor takes down (phone, message).

    Not by who works on it: that is no customer who chases.
    """
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        if not ticket.is_open:
            raise NoEdge(ticket.state, "enquiry", ())
        if not caller.strip() and by.actor in {ticket.assignee, ticket.handler}:
            raise StepRefused("enquiry", ticket.state, [Missing("caller", "works_on_it")])
        asked = Enquiry(
            ticket=ticket_id,
            by=caller.strip() or by.actor,
            channel=channel or by.channel,
            at_ns=book.now_ns,
            counted=_counts(book, ticket_id, plant),
            note=note.strip(),
        )
        _put_down(book, ticket, asked, by)
        return asked


def _counts(book: Book, ticket_id: int, plant: Plant) -> bool:
    """Whether as long has passed since the last that counted as there is to be between two."""
    c = enquiry.c
    last_ns = book.conn.execute(
        select(func.max(c.at_ns)).where(c.ticket == ticket_id, c.counted.is_(True))
    ).scalar()
    return last_ns is None or book.now_ns - last_ns >= round(plant.voice.enquiry_every_min * MINUTE_NS)


def _put_down(book: Book, ticket: Ticket, asked: Enquiry, by: Doer) -> None:
    book.add(
        enquiry, {column.name: getattr(asked, column.name) for column in enquiry.c if column.name != "id"}
    )
    evidence = (asked.by,) if asked.by != by.actor else ()
    ticket = book.record(
        ticket, action="enquiry", actor=by.actor, channel=by.channel, reason=asked.note, evidence=evidence
    )
    if asked.counted:
        told = {"actor": asked.by, "reason": asked.note}
        book.tell(ticket, "ticket.enquiry", (ticket.assignee or "dispatch", ticket.backup), told)


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Enquiry, ...]:
    """Every question about a ticket, the newest first."""
    c = enquiry.c
    columns = (c.ticket, c.by, c.channel, c.at_ns, c.counted, c.note)
    rows = conn.execute(select(*columns).where(c.ticket == ticket_id).order_by(c.at_ns.desc(), c.id.desc()))
    return tuple(Enquiry(*row) for row in rows)
