"""What closing leaves to do: the knowledge entry (rule 34), the review of a bad rating (rule 33), each with an owner.

An obligation is told when it begins to press and once more, to others too, when it is overdue. Opening the ticket again
voids a knowledge entry, for there will be another; a review stays.
"""

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
    Select,
    String,
    Table,
    Text,
    or_,
    select,
    update,
)

from andon.database import Machines, among, behind
from andon.events import HOUR_NS
from andon.plant import Plant
from ticketing.book import MACHINE, Book
from ticketing.demands import Demand
from ticketing.duty import who
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.sql import metadata, upsert
from ticketing.stepping import lock
from ticketing.tables import ticket as tickets
from ticketing.ticket import Ticket
from ticketing.timers import Timer, set_timer
from ticketing.vague import is_vague

obligation = Table(
    "obligation",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("cycle", Integer, primary_key=True, autoincrement=False),
    Column("owner", Text, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
    Column("done_by", Text),
    Column("note", Text, nullable=False),
)
Index("obligation_by_owner", obligation.c.owner, obligation.c.done_ns)

_ORDER = (obligation.c.due_ns, obligation.c.ticket, obligation.c.kind, obligation.c.cycle)
TIMER = "obligation"
PRESSES = 0.75
"""The owner is reminded when so much of the time has passed."""


class Owed(StrEnum):
    """KNOWLEDGE: what was learned is written down. REVIEW: a meeting about a rating that was low."""

    KNOWLEDGE = "knowledge"
    REVIEW = "review"


@dataclass(frozen=True, slots=True)
class Obligation:
    """Who owes what about a ticket, by when, and what became of it."""

    ticket: int
    kind: Owed
    cycle: int
    owner: str
    since_ns: int
    due_ns: int
    done_ns: int | None = None
    done_by: str | None = None
    note: str = ""


def owe(book: Book, ticket: Ticket, kind: Owed, plant: Plant, *, role: str, within_h: float) -> None:
    """Someone of that role has to do it in so many hours: a named person, the requester where the role has none."""
    duty = who(role, ticket.line, book.now_ns, plant, {})
    span_ns = round(within_h * HOUR_NS)
    due_ns = book.now_ns + span_ns
    row = {
        "ticket": ticket.id,
        "kind": str(kind),
        "cycle": ticket.reopen_count,
        "owner": duty.person or ticket.requester or ticket.assignee or "",
        "since_ns": book.now_ns,
        "due_ns": due_ns,
        "note": "",
    }
    upsert(book.conn, obligation, [row])
    subject = f"ticket/{ticket.id}/{kind}"
    for step, at_ns in enumerate((book.now_ns + round(PRESSES * span_ns), due_ns)):
        set_timer(book, Timer(TIMER, subject, at_ns, step=step, cycle=ticket.reopen_count))


def fulfil(book: Book, ticket: Ticket, kind: Owed, *, note: str, actor: str, channel: str) -> Obligation:
    """It is done, and the note says where it lies; DeedRefused if it is not owed. The ticket must be locked."""
    if not note.strip() or is_vague(note):
        why = "vague" if note.strip() else "absent"
        raise StepRefused(str(kind), ticket.state, [Missing(Demand.REASON, why)])
    owed = owed_now(book.conn, ticket.id, kind)
    if owed is None:
        raise DeedRefused("not_owed", f"{ticket.number}: no {kind} is owed, or it is done")
    c = obligation.c
    book.conn.execute(
        update(obligation)
        .where(c.ticket == ticket.id, c.kind == str(kind), c.cycle == owed.cycle)
        .values(done_ns=book.now_ns, done_by=actor, note=note.strip())
    )
    book.record(ticket, action=f"{kind}_done", actor=actor, channel=channel, reason=note.strip())
    return next(o for o in of_ticket(book.conn, ticket.id) if (o.kind, o.cycle) == (kind, owed.cycle))


def remind(book: Book, plant: Plant, timer: Timer) -> None:
    """An obligation presses (step 0: its owner hears it), or is overdue (step 1: the line leader too)."""
    _, number, kind = timer.subject.split("/")
    lock(book.conn, int(number))
    owed = next(
        (
            one
            for one in of_ticket(book.conn, int(number))
            if one.kind == kind and one.cycle == timer.cycle and one.done_ns is None
        ),
        None,
    )
    if owed is None:
        return
    ticket = book.ticket(owed.ticket)
    action = "obligation_overdue" if timer.step else "obligation"
    leader = who("line_leader", ticket.line, book.now_ns, plant, {}).person if timer.step else None
    ticket = book.record(ticket, action=action, actor=f"rule/{kind}", channel=MACHINE, evidence=(owed.owner,))
    told = {"reason": str(owed.kind), "actor": f"rule/{kind}"}
    book.tell(ticket, f"ticket.{action}", (owed.owner, leader), told)


def owed_now(conn: Connection, ticket_id: int, kind: Owed) -> Obligation | None:
    """What is still owed of that kind about a ticket."""
    return next((one for one in of_ticket(conn, ticket_id) if one.kind is kind and not one.done_ns), None)


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Obligation, ...]:
    """What is or was owed about a ticket."""
    return _read(conn, _standing().where(obligation.c.ticket == ticket_id))


def open_obligations(
    conn: Connection,
    owner: str = "",
    *,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Obligation, ...]:
    """What is still owed, by one person or by all, the next due first."""
    wanted = _standing().where(obligation.c.done_ns.is_(None), behind(_ORDER, after)).limit(limit)
    wanted = wanted.where(among(tickets.c.asset, machines))
    return _read(conn, wanted.where(obligation.c.owner == owner) if owner else wanted)


def _standing() -> Select[tuple[object, ...]]:
    """All but the knowledge entries of rounds that were opened again before they were written."""
    c = obligation.c
    joined = select(obligation).join(tickets, tickets.c.id == c.ticket)
    void = or_(c.kind == str(Owed.REVIEW), c.done_ns.is_not(None), c.cycle == tickets.c.reopen_count)
    return joined.where(void).order_by(*_ORDER)


def _read(conn: Connection, wanted: Select[tuple[object, ...]]) -> tuple[Obligation, ...]:
    return tuple(_of(row) for row in conn.execute(wanted).mappings())


def _of(row: RowMapping) -> Obligation:
    return Obligation(**{**row, "kind": Owed(row["kind"])})
