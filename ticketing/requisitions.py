"""Parts that a ticket asks the store for: no ticket of their own, and no way to be done while one is open (rule 12).

What the store knows is reserved when it is asked for, taken from a lot when it is handed out, and put back if it was
not needed; what it does not know is a text, and stands on the ticket alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
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
from ticketing.parts import movements, use
from ticketing.parts.catalogue import matching, part_coded
from ticketing.parts.movements import DIGITS, Cause, Kind
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
    Column("returned", Float, nullable=False, server_default="0"),
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
    """A part asked for: its code or name, how many, why; how many were issued, and came back, of which lots.

    `part_code` is the part of the store that it is; None: the store knows no such part, and `lot` is what somebody wrote.
    """

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
    returned: float = 0.0


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
    known = matching(book.conn, part)
    if known is not None and known.retired:
        raise StepRefused("requisition", ticket.state, [Missing("part", "retired")])
    number = book.next_number("requisition")
    asked = Requisition(
        id=number,
        number=f"PR-{number}",
        ticket=ticket.id,
        cycle=ticket.reopen_count,
        part=part.strip() if known is None else known.code,
        quantity=round(quantity, DIGITS),
        reason=reason.strip(),
        by=actor,
        at_ns=book.now_ns,
        part_code=None if known is None else known.code,
    )
    book.add(requisition, _row(asked))
    _reserve(book, asked, Kind.RESERVE, actor)
    ticket = _said(book, ticket, asked, action="requisition", reason=reason, actor=actor, channel=channel)
    book.tell(ticket, "ticket.requisition", ("store",), {"reason": _what(asked), "actor": actor})
    return asked


def issue(
    book: Book,
    asked: Requisition,
    *,
    lot: str,
    note: str,
    actor: str,
    channel: str,
    part: str = "",
    quantity: float | None = None,
) -> Requisition:
    """The store hands the part out: of that lot, or of the oldest; DeedRefused if it is not open or not there.

    `part` says which part of the store it is, where that was asked for as a text or another one serves; `quantity` how
    many, where there are fewer than were asked for.
    """
    if asked.state is not RequisitionState.OPEN:
        raise _settled_already(asked)
    ticket = book.ticket(asked.ticket)
    given = round(asked.quantity if quantity is None else quantity, DIGITS)
    if not 0 < given <= asked.quantity:
        raise StepRefused("issue", ticket.state, [Missing("quantity", "out_of_range")])
    _reserve(book, asked, Kind.RELEASE, actor)
    code = asked.part_code
    if part.strip():
        known = matching(book.conn, part)
        code = part_coded(book.conn, part.strip() if known is None else known.code).code
    asked = replace(asked, part_code=code, issued=given, lot=lot.strip(), note=note.strip())
    lots = ", ".join(filter(None, _handed_out(book, asked, actor))) if code else asked.lot
    settled = {"lot": lots, "note": asked.note, "issued": given, "part_code": code}
    done = _settled(book, asked, RequisitionState.ISSUED, actor, settled)
    ticket = _said(
        book, ticket, done, action="parts_issued", reason=note or lot, actor=actor, channel=channel
    )
    told = {"reason": _what(done), "actor": actor}
    book.tell(ticket, "ticket.parts_issued", (ticket.assignee, ticket.requester), told)
    return done


def put_back(
    book: Book, issued: Requisition, *, quantity: float, lot: str, note: str, actor: str, channel: str
) -> Requisition:
    """What was handed out and not needed comes back into the store; it stays in no machine and costs nothing."""
    if issued.part_code is None or issued.state is not RequisitionState.ISSUED:
        raise DeedRefused(
            "not_from_stock", f"requisition {issued.number} took nothing from the store's stock"
        )
    ticket, quantity = book.ticket(issued.ticket), round(quantity, DIGITS)
    out = movements.still_out(book.conn, issued.id)
    lot = lot.strip() or (next(iter(out)) if len(out) == 1 else "")
    if lot not in out:
        raise StepRefused("return", ticket.state, [Missing("lot", "unknown" if lot else "absent")])
    if not 0 < quantity <= out[lot]:
        raise StepRefused("return", ticket.state, [Missing("quantity", "out_of_range")])
    cause = Cause(actor, note.strip(), ticket.id, issued.id)
    movements.move(book, Kind.RETURN, issued.part_code, quantity, cause, lot=lot)
    use.used(book, ticket.id, part_coded(book.conn, issued.part_code), lot, -quantity)
    c = requisition.c
    returned = {"returned": round(issued.returned + quantity, DIGITS)}
    book.conn.execute(update(requisition).where(c.id == issued.id).values(returned))
    done = requisition_numbered(book.conn, issued.id)
    ticket = _said(
        book, ticket, done, action="parts_returned", reason=note or lot, actor=actor, channel=channel
    )
    back = f"{quantity:g} × {done.part}"
    book.tell(ticket, "ticket.parts_returned", ("store",), {"reason": back, "actor": actor})
    return done


def withdraw(book: Book, asked: Requisition, *, reason: str, actor: str, channel: str) -> Requisition:
    """The part is not wanted any more, and why."""
    ticket = book.ticket(asked.ticket)
    if wrong := _reason(reason):
        raise StepRefused("withdraw", ticket.state, wrong)
    done = _settled(book, asked, RequisitionState.WITHDRAWN, actor, {"note": reason.strip()})
    _reserve(book, asked, Kind.RELEASE, actor)
    _said(book, ticket, done, action="requisition_withdrawn", reason=reason, actor=actor, channel=channel)
    return done


def let_go(book: Book, ticket: Ticket, actor: str) -> None:
    """The ticket is closed without a repair: what it had asked for is not wanted any more, and free for others."""
    for asked in of_ticket(book.conn, ticket.id):
        if asked.state is RequisitionState.OPEN:
            _settled(book, asked, RequisitionState.WITHDRAWN, actor, {"note": str(ticket.closure)})
            _reserve(book, asked, Kind.RELEASE, actor)


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


def _reserve(book: Book, asked: Requisition, kind: Kind, actor: str) -> None:
    """Speak for what is asked for, or let it go."""
    if asked.part_code is not None:
        quantity = asked.quantity if kind is Kind.RESERVE else -asked.quantity
        cause = Cause(actor, ticket=asked.ticket, requisition=asked.id)
        movements.move(book, kind, asked.part_code, quantity, cause)


def _handed_out(book: Book, asked: Requisition, actor: str) -> Sequence[str]:
    """Take it from the stock and put it on the ticket's account; the lots it came from."""
    one = part_coded(book.conn, asked.part_code or "")
    cause = Cause(actor, asked.note, asked.ticket, asked.id)
    out = movements.take_out(book, one.code, asked.issued, cause, lot=asked.lot)
    for lot, some in out.items():
        use.used(book, asked.ticket, one, lot, some)
    return list(out)


def _settled(book: Book, asked: Requisition, state: RequisitionState, actor: str, more: Row) -> Requisition:
    c = requisition.c
    changed = book.conn.execute(
        update(requisition)
        .where(c.id == asked.id, c.state == str(RequisitionState.OPEN))
        .values(**more, state=str(state), settled_by=actor, settled_ns=book.now_ns)
    )
    if changed.rowcount != 1:
        raise _settled_already(asked)
    return requisition_numbered(book.conn, asked.id)


def _settled_already(asked: Requisition) -> DeedRefused:
    return DeedRefused("requisition_settled", f"requisition {asked.number} is not open any more")


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
