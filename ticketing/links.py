"""How tickets stand to each other: duplicate, come back, split off, related, in the way; readable from both ends."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import partial

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    String,
    Table,
    Text,
    delete,
    or_,
    select,
)

from ticketing.book import Book, lock_assets
from ticketing.errors import Missing, StepRefused
from ticketing.sql import Row, chunks, metadata
from ticketing.tables import ticket as tickets
from ticketing.ticket import Ticket, TicketState


class LinkKind(StrEnum):
    """What one ticket is to another, in the words of work-order systems."""

    DUPLICATE_OF = "duplicate_of"
    RECURRENCE_OF = "recurrence_of"
    SPLIT_FROM = "split_from"
    RELATED_TO = "related_to"
    BLOCKS = "blocks"


SEEN_FROM_THERE = {
    LinkKind.DUPLICATE_OF: "duplicated_by",
    LinkKind.RECURRENCE_OF: "recurred_as",
    LinkKind.SPLIT_FROM: "split_into",
    LinkKind.RELATED_TO: "related_to",
    LinkKind.BLOCKS: "blocked_by",
}
"""What the same link is called from its other end."""

BY_HAND = frozenset({LinkKind.RELATED_TO, LinkKind.BLOCKS})
"""Links that people make and take away; the others follow from what is done to tickets."""

ticket_link = Table(
    "ticket_link",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("other", ForeignKey("ticket.id"), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
)
"""Split off, related, in the way. What a duplicate or a recurrence is of stands on the ticket itself."""
Index("ticket_link_by_other", ticket_link.c.other)

_ENDS = (
    *(tickets.c.id, tickets.c.number, tickets.c.state, tickets.c.asset),
    *(tickets.c.duplicate_of, tickets.c.recurrence_of),
)


@dataclass(frozen=True, slots=True)
class Linked:
    """One link as seen from a ticket: `kind` reads from it to `ticket` ("blocked_by" is BLOCKS from its other end)."""

    kind: str
    ticket: int
    number: str
    state: TicketState
    asset: str
    at_ns: int | None = None
    by: str = ""
    note: str = ""


def links(conn: Connection, ticket_id: int) -> tuple[Linked, ...]:
    """All links of a ticket, whichever end it stands at, by kind and number."""
    said = [*_made(conn, ticket_id), *_on_tickets(conn, ticket_id)]
    ends = {
        row.id: row
        for some in chunks(other for _, other, *_ in said)
        for row in conn.execute(select(*_ENDS).where(tickets.c.id.in_(some)))
    }
    found = []
    for kind, other, at_ns, by, note in said:
        end = ends[other]
        found.append(Linked(kind, other, end.number, TicketState(end.state), end.asset, at_ns, by, note))
    return tuple(sorted(found, key=lambda one: (one.kind, one.ticket)))


_Said = tuple[str, int, int | None, str, str]


def _made(conn: Connection, ticket_id: int) -> Iterator[_Said]:
    c = ticket_link.c
    for row in conn.execute(select(ticket_link).where(or_(c.ticket == ticket_id, c.other == ticket_id))):
        yield *_seen(row.kind, row.ticket, row.other, ticket_id), row.at_ns, row.by, row.note


def _seen(kind: str, ticket: int, other: int, from_ticket: int) -> tuple[str, int]:
    return (kind, other) if ticket == from_ticket else (SEEN_FROM_THERE[LinkKind(kind)], ticket)


def _on_tickets(conn: Connection, ticket_id: int) -> Iterator[_Said]:
    """Duplicates and recurrences, from both ends."""
    c = tickets.c
    wanted = or_(c.id == ticket_id, c.duplicate_of == ticket_id, c.recurrence_of == ticket_id)
    for row in conn.execute(select(*_ENDS).where(wanted)).mappings():
        for kind in (LinkKind.DUPLICATE_OF, LinkKind.RECURRENCE_OF):
            other = row[str(kind)]
            if other is not None and ticket_id in {row["id"], other}:
                yield *_seen(kind, row["id"], other, ticket_id), None, "", ""


def split_from(book: Book, new: Ticket, old: Ticket, *, by: str, note: str) -> None:
    """Note where a ticket that was split off comes from."""
    book.add(ticket_link, _row(book, new.id, LinkKind.SPLIT_FROM, old.id, by=by, note=note))


def link(
    book: Book, ticket_id: int, kind: LinkKind, other_id: int, *, note: str, actor: str, channel: str
) -> Ticket:
    """Say that a ticket is related to another, or stands in its way; on record on both. Gives the ticket.

    Refused (StepRefused) for itself, for a link that is there, and for two that would block each other, directly or
    round a circle. What is blocked is not refused any step: people may know better.
    """
    one, other = _both(book, ticket_id, other_id)
    wrong = _wrong(book.conn, ticket_id, kind, other_id)
    if wrong is not None:
        raise StepRefused("link", one.state, [wrong])
    book.add(ticket_link, _row(book, ticket_id, kind, other_id, by=actor, note=note))
    return _on_record(book, one, other, kind, "linked", note=note, actor=actor, channel=channel)


def unlink(
    book: Book, ticket_id: int, kind: LinkKind, other_id: int, *, note: str, actor: str, channel: str
) -> Ticket:
    """Take such a link away; StepRefused if there is none. Gives the ticket."""
    one, other = _both(book, ticket_id, other_id)
    ends = _there(book.conn, ticket_id, kind, other_id)
    if kind not in BY_HAND or ends is None:
        raise StepRefused(
            "unlink", one.state, [Missing("link", "absent" if kind in BY_HAND else "not_by_hand")]
        )
    c = ticket_link.c
    book.conn.execute(delete(ticket_link).where(c.ticket == ends[0], c.kind == kind, c.other == ends[1]))
    return _on_record(book, one, other, kind, "unlinked", note=note, actor=actor, channel=channel)


def _both(book: Book, ticket_id: int, other_id: int) -> tuple[Ticket, Ticket]:
    """Both tickets, on locked machines; TicketNotFound if one is missing."""
    one, other = book.ticket(ticket_id), book.ticket(other_id)
    lock_assets(book.conn, (one.asset, other.asset))
    return one, other


def _wrong(conn: Connection, ticket_id: int, kind: LinkKind, other_id: int) -> Missing | None:
    if kind not in BY_HAND:
        return Missing("kind", "not_by_hand")
    if ticket_id == other_id:
        return Missing("other", "itself")
    if _there(conn, ticket_id, kind, other_id) is not None:
        return Missing("link", "is_there")
    if kind is LinkKind.BLOCKS and ticket_id in _blocked_by(conn, other_id):
        return Missing("other", "blocks_this_one")
    return None


def _there(conn: Connection, ticket_id: int, kind: LinkKind, other_id: int) -> tuple[int, int] | None:
    """The ends of the link as it is stored; being related reads both ways."""
    ways = [(ticket_id, other_id)]
    if kind is LinkKind.RELATED_TO:
        ways.append((other_id, ticket_id))
    c = ticket_link.c
    for one, other in ways:
        wanted = select(c.ticket).where(c.ticket == one, c.kind == kind, c.other == other)
        if conn.execute(wanted).scalar() is not None:
            return one, other
    return None


def _blocked_by(conn: Connection, ticket_id: int) -> set[int]:
    """All that cannot go on before this ticket, over others too."""
    c = ticket_link.c
    reached, ahead = set[int](), {ticket_id}
    while ahead:
        blocked = select(c.other).where(c.kind == LinkKind.BLOCKS, c.ticket.in_(sorted(ahead)))
        ahead = set(conn.execute(blocked).scalars()) - reached
        reached |= ahead
    return reached


def _row(book: Book, ticket: int, kind: LinkKind, other: int, *, by: str, note: str) -> Row:
    ends = {"ticket": ticket, "kind": str(kind), "other": other}
    return {**ends, "at_ns": book.now_ns, "by": by, "note": note.strip()}


def _on_record(
    book: Book,
    one: Ticket,
    other: Ticket,
    kind: LinkKind,
    action: str,
    *,
    note: str,
    actor: str,
    channel: str,
) -> Ticket:
    said = partial(book.record, action=action, actor=actor, channel=channel, reason=note.strip())
    said(other, evidence=(SEEN_FROM_THERE[kind], one.number))
    return said(one, evidence=(str(kind), other.number))
