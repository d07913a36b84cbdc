"""Parts that a ticket asks the store for: no ticket of their own, and no way to be done while one is open (rule 12)."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    select,
    update,
)

from andon.database import Machines, behind
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.sql import Row, metadata
from ticketing.tables import of_machines
from ticketing.ticket import UNRESOLVED, Ticket
from ticketing.vague import is_vague

requisition = Table(
    "requisition",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", String(24), nullable=False, unique=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("part", Text, nullable=False),
    Column("quantity", Float, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("lot", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("settled_by", Text),
    Column("settled_ns", BigInteger),
    Column("part_code", String(64)),
    Column("issued", Float, nullable=False, server_default="0"),
)
Index("requisition_by_ticket", requisition.c.ticket, requisition.c.state)
Index("requisition_by_state", requisition.c.state, requisition.c.id)


class RequisitionState(StrEnum):
    """OPEN until the store has issued the part, or it is not wanted any more."""

    OPEN = "open"
    ISSUED = "issued"
    WITHDRAWN = "withdrawn"


@dataclass(frozen=True, slots=True)
class Requisition:
    """A part asked for: its code or name, how many, why. `lot` is free text until there is a stock to book from."""

    id: int
    number: str
    ticket: int
    cycle: int
    part: str
    quantity: float
    reason: str
    by: str
    at_ns: int
    state: RequisitionState = RequisitionState.OPEN
    lot: str = ""
    note: str = ""
    settled_by: str | None = None
    settled_ns: int | None = None
    part_code: str | None = None
    issued: float = 0.0


def request(
    book: Book, ticket: Ticket, *, part: str, quantity: float, reason: str, actor: str, channel: str
) -> Requisition:
    """Ask the store for a part, for work that is not done yet; the ticket must be locked."""
    if ticket.state not in UNRESOLVED:
        raise NoEdge(ticket.state, "requisition", ())
    wrong = [Missing("part")] if not part.strip() else []
    wrong += [] if quantity > 0 else [Missing("quantity", "not_positive")]
    wrong += _reason(reason)
    if wrong:
        raise StepRefused("requisition", ticket.state, wrong)
    number = book.next_number("requisition")
    asked = Requisition(
        id=number,
        number=f"PR-{number}",
        ticket=ticket.id,
        cycle=ticket.reopen_count,
        part=part.strip(),
        quantity=quantity,
        reason=reason.strip(),
        by=actor,
        at_ns=book.now_ns,
    )
    book.add(requisition, _row(asked))
    ticket = _said(book, ticket, asked, action="requisition", reason=reason, actor=actor, channel=channel)
    book.tell(ticket, "ticket.requisition", ("store",), {"reason": _what(asked), "actor": actor})
    return asked


def issue(book: Book, asked: Requisition, *, lot: str, note: str, actor: str, channel: str) -> Requisition:
    """The store hands the part out; DeedRefused if that requisition is not open."""
    done = _settled(book, asked, RequisitionState.ISSUED, lot=lot, note=note, actor=actor)
    ticket = book.ticket(asked.ticket)
    ticket = _said(
        book, ticket, done, action="parts_issued", reason=note or lot, actor=actor, channel=channel
    )
    told = {"reason": _what(done), "actor": actor}
    book.tell(ticket, "ticket.parts_issued", (ticket.assignee, ticket.requester), told)
    return done


def withdraw(book: Book, asked: Requisition, *, reason: str, actor: str, channel: str) -> Requisition:
    """The part is not wanted any more, and why."""
    ticket = book.ticket(asked.ticket)
    if wrong := _reason(reason):
        raise StepRefused("withdraw", ticket.state, wrong)
    done = _settled(book, asked, RequisitionState.WITHDRAWN, lot="", note=reason.strip(), actor=actor)
    _said(book, ticket, done, action="requisition_withdrawn", reason=reason, actor=actor, channel=channel)
    return done


def requisition_numbered(conn: Connection, requisition_id: int) -> Requisition:
    """That requisition; DeedRefused if there is none."""
    wanted = select(requisition).where(requisition.c.id == requisition_id)
    row = conn.execute(wanted).mappings().first()
    if row is None:
        raise DeedRefused("requisition_not_found", f"there is no requisition {requisition_id}")
    return _of(row)


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Requisition, ...]:
    """All that a ticket asked for, in order."""
    wanted = select(requisition).where(requisition.c.ticket == ticket_id).order_by(requisition.c.id)
    return tuple(_of(row) for row in conn.execute(wanted).mappings())


def in_state(
    conn: Connection,
    state: RequisitionState,
    *,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Requisition, ...]:
    """Requisitions in that state, the oldest first: the store's list of parts to issue."""
    order = (requisition.c.id,)
    wanted = select(requisition).where(requisition.c.state == str(state), behind(order, after))
    wanted = wanted.where(of_machines(requisition.c.ticket, machines))
    rows = conn.execute(wanted.order_by(*order).limit(limit)).mappings()
    return tuple(_of(row) for row in rows)


def open_in(conn: Connection, ticket_id: int) -> Sequence[str]:
    """The numbers of a ticket's requisitions that are open."""
    c = requisition.c
    wanted = select(c.number).where(c.ticket == ticket_id, c.state == str(RequisitionState.OPEN))
    return conn.execute(wanted.order_by(c.id)).scalars().all()


def _reason(text: str) -> list[Missing]:
    if not text.strip():
        return [Missing("reason")]
    return [Missing("reason", "vague")] if is_vague(text) else []


def _settled(
    book: Book, asked: Requisition, state: RequisitionState, *, lot: str, note: str, actor: str
) -> Requisition:
    c = requisition.c
    changed = book.conn.execute(
        update(requisition)
        .where(c.id == asked.id, c.state == str(RequisitionState.OPEN))
        .values(
            state=str(state), lot=lot.strip(), note=note.strip(), settled_by=actor, settled_ns=book.now_ns
        )
    )
    if changed.rowcount != 1:
        raise DeedRefused("requisition_settled", f"requisition {asked.number} is not open any more")
    return requisition_numbered(book.conn, asked.id)


def _said(
    book: Book, ticket: Ticket, about: Requisition, *, action: str, reason: str, actor: str, channel: str
) -> Ticket:
    return book.record(
        ticket,
        action=action,
        actor=actor,
        channel=channel,
        reason=reason.strip(),
        evidence=(about.number, _what(about)),
    )


def _what(about: Requisition) -> str:
    return f"{about.quantity:g} × {about.part}"


def _row(one: Requisition) -> Row:
    return {column.name: getattr(one, column.name) for column in requisition.columns} | {
        "state": str(one.state)
    }


def _of(row: RowMapping) -> Requisition:
    return Requisition(**{**row, "state": RequisitionState(row["state"])})
