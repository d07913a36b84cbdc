"""Closing without a repair or a signature takes two: one asks, and another whose role it is grants or refuses.

Who has the role needs to ask nobody. What is granted is checked again when it is granted: the ticket may have moved on.
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
    RowMapping,
    String,
    Table,
    Text,
    select,
    update,
)

from andon.database import Machines, behind
from andon.plant import Plant
from ticketing.book import Book
from ticketing.demands import Demand, Given
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.sql import Row, metadata
from ticketing.states import NEED_APPROVAL, OUTCOMES, Step, lacks, next_steps
from ticketing.stepping import as_duplicate, entitled, give_up
from ticketing.tables import of_machines
from ticketing.ticket import Outcome, Ticket
from ticketing.vague import is_vague

approval = Table(
    "ticket_approval",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("step", String(24), nullable=False),
    Column("reason", Text, nullable=False),
    Column("outcome", String(20)),
    Column("master", BigInteger),
    Column("asked_by", Text, nullable=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("note", Text, nullable=False),
    Column("decided_by", Text),
    Column("decided_ns", BigInteger),
)
Index(
    "one_pending_approval_per_ticket",
    approval.c.ticket,
    unique=True,
    sqlite_where=approval.c.state == "pending",
    postgresql_where=approval.c.state == "pending",
)
Index("approval_by_state", approval.c.state, approval.c.id)


class ApprovalState(StrEnum):
    """PENDING until another person has decided, or the ticket has moved on and nobody has to."""

    PENDING = "pending"
    GRANTED = "granted"
    REFUSED = "refused"
    LAPSED = "lapsed"


@dataclass(frozen=True, slots=True)
class Approval:
    """What is to be done to a ticket, why, who asked, and who decided."""

    id: int
    ticket: int
    step: Step
    reason: str
    outcome: Outcome | None
    master: int | None
    asked_by: str
    asked_ns: int
    state: ApprovalState = ApprovalState.PENDING
    note: str = ""
    decided_by: str | None = None
    decided_ns: int | None = None


def ask(
    book: Book,
    ticket: Ticket,
    step: Step,
    *,
    reason: str,
    outcome: Outcome | None,
    master: int | None,
    actor: str,
    channel: str,
) -> Approval:
    """Ask for a step of `NEED_APPROVAL`; the ticket must be locked, and able to take it but for the approver."""
    if step not in NEED_APPROVAL:
        raise DeedRefused(
            "no_approval_needed", f"{step} needs no approval; one of: {', '.join(NEED_APPROVAL)}"
        )
    lacking = lacks(ticket, step, Given(actor=actor, reason=reason, master=master))
    missing = [one for one in lacking if one.demand != Demand.APPROVER]
    if missing:
        raise StepRefused(step, ticket.state, missing)
    if pending_of(book.conn, ticket.id) is not None:
        raise DeedRefused("approval_pending", f"{ticket.number} waits for an approval already")
    asked = Approval(
        id=book.next_number("approval"),
        ticket=ticket.id,
        step=step,
        reason=reason.strip(),
        outcome=outcome if outcome is not None else OUTCOMES.get(step, (None,))[0],
        master=master,
        asked_by=actor,
        asked_ns=book.now_ns,
    )
    book.add(approval, _row(asked))
    evidence = (f"AP-{asked.id}", str(step))
    ticket = book.record(
        ticket, action="approval_asked", actor=actor, channel=channel, reason=asked.reason, evidence=evidence
    )
    book.tell(ticket, "ticket.approval_asked", (ticket.requester,), {"reason": asked.reason, "actor": actor})
    return asked


def grant(book: Book, asked: Approval, plant: Plant, *, actor: str, channel: str) -> Ticket:
    """Another person whose role it is agrees, and the ticket is closed; the tickets must be locked."""
    _decide(book, asked, plant, ApprovalState.GRANTED, actor=actor)
    ticket = book.ticket(asked.ticket)
    given = Given(
        actor=actor,
        reason=asked.reason,
        approver=actor,
        approvers=entitled(plant, plant.closing.approvers),
        evidence=(f"AP-{asked.id}", asked.asked_by),
    )
    if asked.step is Step.DUPLICATE:
        return as_duplicate(book, ticket, asked.master or 0, given, channel=channel)
    return give_up(book, ticket, asked.step, given, asked.outcome, channel=channel)


def refuse(book: Book, asked: Approval, plant: Plant, *, note: str, actor: str, channel: str) -> Approval:
    """Another person whose role it is does not agree, and says why; the work goes on."""
    ticket = book.ticket(asked.ticket)
    if not note.strip() or is_vague(note):
        why = "vague" if note.strip() else "absent"
        raise StepRefused("refuse", ticket.state, [Missing(Demand.REASON, why)])
    _decide(book, asked, plant, ApprovalState.REFUSED, actor=actor, note=note.strip())
    ticket = book.record(
        ticket,
        action="approval_refused",
        actor=actor,
        channel=channel,
        reason=note.strip(),
        evidence=(f"AP-{asked.id}", str(asked.step)),
    )
    told = {"reason": note.strip(), "actor": actor}
    book.tell(ticket, "ticket.approval_refused", (asked.asked_by,), told)
    return numbered(book.conn, asked.id)


def lapse(book: Book, ticket: Ticket) -> None:
    """What was asked for and cannot be done any more, for the ticket has moved on, waits for nobody."""
    asked = pending_of(book.conn, ticket.id)
    if asked is not None and asked.step not in next_steps(ticket, Given()):
        lapsed = {"state": str(ApprovalState.LAPSED), "decided_ns": book.now_ns}
        book.conn.execute(update(approval).where(approval.c.id == asked.id).values(lapsed))


def numbered(conn: Connection, approval_id: int) -> Approval:
    """That approval; DeedRefused if there is none."""
    row = conn.execute(select(approval).where(approval.c.id == approval_id)).mappings().first()
    if row is None:
        raise DeedRefused("approval_not_found", f"there is no approval {approval_id}")
    return _of(row)


def pending_of(conn: Connection, ticket_id: int) -> Approval | None:
    """What a ticket waits for."""
    c = approval.c
    wanted = select(approval).where(c.ticket == ticket_id, c.state == str(ApprovalState.PENDING))
    row = conn.execute(wanted).mappings().first()
    return None if row is None else _of(row)


def in_state(
    conn: Connection,
    state: ApprovalState,
    *,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Approval, ...]:
    """Approvals in that state, the oldest first."""
    order = (approval.c.id,)
    wanted = select(approval).where(approval.c.state == str(state), behind(order, after))
    wanted = wanted.where(of_machines(approval.c.ticket, machines))
    return tuple(_of(row) for row in conn.execute(wanted.order_by(*order).limit(limit)).mappings())


def _decide(
    book: Book, asked: Approval, plant: Plant, state: ApprovalState, *, actor: str, note: str = ""
) -> None:
    """Write the decision down, once: of two approvers at once the second is told that it is decided."""
    allowed = entitled(plant, plant.closing.approvers)
    if actor == asked.asked_by:
        raise DeedRefused("own_approval", "who asks cannot decide: another person has to")
    if allowed is not None and actor not in allowed:
        raise DeedRefused(
            "not_an_approver", f"{actor} may not decide; these may: {', '.join(sorted(allowed))}"
        )
    c = approval.c
    changed = book.conn.execute(
        update(approval)
        .where(c.id == asked.id, c.state == str(ApprovalState.PENDING))
        .values(state=str(state), note=note, decided_by=actor, decided_ns=book.now_ns)
    )
    if changed.rowcount != 1:
        raise DeedRefused("approval_decided", f"approval {asked.id} has been decided already")


def _row(one: Approval) -> Row:
    row = {column.name: getattr(one, column.name) for column in approval.columns}
    return row | {
        "step": str(one.step),
        "state": str(one.state),
        "outcome": one.outcome and str(one.outcome),
    }


def _of(row: RowMapping) -> Approval:
    outcome = Outcome(row["outcome"]) if row["outcome"] else None
    return Approval(
        **{**row, "step": Step(row["step"]), "state": ApprovalState(row["state"]), "outcome": outcome}
    )
