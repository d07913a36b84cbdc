"""People are taken into a ticket beside the one who does it, or let go, with a reason on record (RACI, rule 25)."""

from dataclasses import replace

from andon.plant import Plant
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.raci import Role, joined, left
from ticketing.service import Tickets
from ticketing.stepping import CONSOLE, lock
from ticketing.ticket import Ticket

STEP = "collaborate"


def join(
    tickets: Tickets,
    ticket_id: int,
    *,
    person: str,
    role: Role,
    plant: Plant,
    reason: str,
    actor: str,
    now_ns: int,
    channel: str = CONSOLE,
) -> Ticket:
    """Take a person in, or give them another role; a second accountable takes over from the first."""
    with tickets.transaction(now_ns) as book:
        ticket = _open(book, ticket_id, reason)
        if all(one.id != person for one in plant.people):
            raise StepRefused(STEP, ticket.state, [Missing("person", "unknown")])
        after = replace(ticket, collaborators=joined(ticket.collaborators, person, role))
        return _keep(book, ticket, after, reason, actor, channel=channel)


def leave(
    tickets: Tickets,
    ticket_id: int,
    *,
    person: str,
    reason: str,
    actor: str,
    now_ns: int,
    channel: str = CONSOLE,
) -> Ticket:
    """Let a person go; DeedRefused for one who is not in (not_collaborator), or the only accountable (accountable)."""
    with tickets.transaction(now_ns) as book:
        ticket = _open(book, ticket_id, reason)
        role = ticket.collaborators.get(person)
        if role is None:
            raise DeedRefused("not_collaborator", f"{person} is not in on {ticket.number}")
        if role == Role.ACCOUNTABLE and ticket.requester is None:
            raise DeedRefused(
                "accountable",
                f"{person} answers for {ticket.number}: name who does instead, then let them go",
            )
        after = replace(ticket, collaborators=left(ticket.collaborators, person))
        return _keep(book, ticket, after, reason, actor, channel=channel)


def _open(book: Book, ticket_id: int, reason: str) -> Ticket:
    lock(book.conn, ticket_id)
    ticket = book.ticket(ticket_id)
    if not ticket.is_open:
        raise NoEdge(ticket.state, STEP, ())
    if not reason.strip():
        raise StepRefused(STEP, ticket.state, [Missing("reason")])
    return ticket


def _keep(book: Book, before: Ticket, after: Ticket, reason: str, actor: str, *, channel: str) -> Ticket:
    """Put on record who is in, and tell those whose part has changed."""
    if before.collaborators == after.collaborators:
        return before
    ticket = book.record(after, action="collaborator", actor=actor, channel=channel, reason=reason)
    people = sorted({*before.collaborators, *after.collaborators})
    changed = [one for one in people if before.collaborators.get(one) != after.collaborators.get(one)]
    book.tell(ticket, "ticket.collaborator", changed, {"actor": actor, "reason": reason})
    return ticket
