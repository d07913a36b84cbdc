"""Deeds of a ticket's work and closing beside its steps: each locks what it changes and is one transaction."""

from dataclasses import dataclass

from andon.plant import Plant
from ticketing import approvals, obligations, ratings, requisitions, signing
from ticketing.approvals import Approval
from ticketing.closing import after_closing
from ticketing.obligations import Obligation, Owed
from ticketing.ratings import Rating
from ticketing.requisitions import Requisition
from ticketing.service import Tickets
from ticketing.signing import Sent
from ticketing.states import Step
from ticketing.stepping import CONSOLE, lock
from ticketing.ticket import Outcome, Ticket
from ticketing.voice.nps import answer


@dataclass(frozen=True, slots=True)
class Doer:
    """Who does it to which installation's tickets, when (server time), and where they sit."""

    tickets: Tickets
    actor: str
    now_ns: int
    channel: str = CONSOLE


def request_part(by: Doer, ticket_id: int, *, part: str, quantity: float, reason: str) -> Requisition:
    """Ask the store for a part, for this ticket (rule 12)."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        return requisitions.request(
            book,
            book.ticket(ticket_id),
            part=part,
            quantity=quantity,
            reason=reason,
            actor=by.actor,
            channel=by.channel,
        )


def issue_part(
    by: Doer,
    requisition_id: int,
    *,
    lot: str = "",
    note: str = "",
    part: str = "",
    quantity: float | None = None,
) -> Requisition:
    """The store hands the part out, of that lot or of the oldest."""
    with by.tickets.transaction(by.now_ns) as book:
        asked = requisitions.requisition_numbered(book.conn, requisition_id)
        lock(book.conn, asked.ticket)
        return requisitions.issue(
            book,
            asked,
            lot=lot,
            note=note,
            actor=by.actor,
            channel=by.channel,
            part=part,
            quantity=quantity,
        )


def return_part(
    by: Doer, requisition_id: int, *, quantity: float, lot: str = "", note: str = ""
) -> Requisition:
    """What was not needed comes back into the store."""
    with by.tickets.transaction(by.now_ns) as book:
        issued = requisitions.requisition_numbered(book.conn, requisition_id)
        lock(book.conn, issued.ticket)
        return requisitions.put_back(
            book, issued, quantity=quantity, lot=lot, note=note, actor=by.actor, channel=by.channel
        )


def withdraw_part(by: Doer, requisition_id: int, *, reason: str) -> Requisition:
    """The part is not wanted any more."""
    with by.tickets.transaction(by.now_ns) as book:
        asked = requisitions.requisition_numbered(book.conn, requisition_id)
        lock(book.conn, asked.ticket)
        return requisitions.withdraw(book, asked, reason=reason, actor=by.actor, channel=by.channel)


def send_code(by: Doer, ticket_id: int) -> Sent:
    """Send the requester a code that signs the ticket."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        return signing.send_code(book, book.ticket(ticket_id), actor=by.actor, channel=by.channel)


def ask_approval(
    by: Doer,
    ticket_id: int,
    *,
    step: Step,
    reason: str,
    outcome: Outcome | None = None,
    master: int | None = None,
) -> Approval:
    """Ask another person to close it without a repair or a signature."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        return approvals.ask(
            book,
            book.ticket(ticket_id),
            step,
            reason=reason,
            outcome=outcome,
            master=master,
            actor=by.actor,
            channel=by.channel,
        )


def grant(by: Doer, approval_id: int, plant: Plant) -> Ticket:
    """Agree, and close the ticket."""
    with by.tickets.transaction(by.now_ns) as book:
        asked = approvals.numbered(book.conn, approval_id)
        lock(book.conn, asked.ticket, *([asked.master] if asked.master is not None else []))
        closed = approvals.grant(book, asked, plant, actor=by.actor, channel=by.channel)
        after_closing(book, closed, plant)
    return closed


def refuse(by: Doer, approval_id: int, plant: Plant, *, note: str) -> Approval:
    """Do not agree: the work goes on."""
    with by.tickets.transaction(by.now_ns) as book:
        asked = approvals.numbered(book.conn, approval_id)
        lock(book.conn, asked.ticket)
        return approvals.refuse(book, asked, plant, note=note, actor=by.actor, channel=by.channel)


def rate(
    by: Doer, ticket_id: int, plant: Plant, *, stars: int, comment: str = "", nps: int | None = None
) -> Rating:
    """The requester's stars, and if they answer it, how likely they are to recommend us (0 to 10)."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        given = ratings.rate(
            book,
            book.ticket(ticket_id),
            plant,
            stars=stars,
            comment=comment,
            actor=by.actor,
            channel=by.channel,
        )
        if nps is not None:
            answer(book, book.ticket(ticket_id), score=nps, actor=by.actor)
    return given


def fulfil(by: Doer, ticket_id: int, kind: Owed, *, note: str) -> Obligation:
    """The knowledge entry is written, or the review held."""
    with by.tickets.transaction(by.now_ns) as book:
        lock(book.conn, ticket_id)
        return obligations.fulfil(
            book, book.ticket(ticket_id), kind, note=note, actor=by.actor, channel=by.channel
        )
