"""People's reports: each is stored as it came before anything is decided, then becomes a ticket or a refusal.

Two tables: what came in, which the database itself lets nobody change, and what became of it. A record without a fate is
a report that somebody has made and nobody has answered; a timer takes it up, so that none is ever lost (rule 13).
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    ForeignKey,
    Index,
    LargeBinary,
    RowMapping,
    Select,
    String,
    Table,
    Text,
    UniqueConstraint,
    bindparam,
    func,
    insert,
    or_,
    select,
)

from andon.database import Machines, append_only, behind
from andon.events import MINUTE_NS, Json
from andon.plant import Plant
from andon.rules.types import contradict
from ticketing.book import Book
from ticketing.dedup import Related
from ticketing.errors import Missing, ReportRefused
from ticketing.intake import fold
from ticketing.report import MAX_BYTES, Report, read
from ticketing.rows import occurrence_of
from ticketing.service import Tickets
from ticketing.sql import metadata, to_json
from ticketing.tables import occurrence, of_machines
from ticketing.tables import ticket as tickets_table
from ticketing.ticket import UNRESOLVED, FoldRule, Occurrence
from ticketing.timers import Timer, cancel, set_timer

TIMER = "report"
AFTER_NS = MINUTE_NS
"""A report that has no fate by then is taken up by the engine: whoever brought it is gone."""

intake = Table(
    "report",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("came_by", String(32), nullable=False),
    Column("idempotency", Text),
    Column("body", LargeBinary, nullable=False),
    UniqueConstraint("idempotency"),
)
Index("report_by_time", intake.c.at_ns)
append_only(intake)

fate = Table(
    "report_fate",
    metadata,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("finding", ForeignKey("occurrence.finding")),
    Column("order_number", Text),
    Column("phone", Text),
    Column("refusal", String(32)),
    Column("missing", Text, nullable=False),
    Column("decided_ns", BigInteger, nullable=False),
)
Index("report_by_finding", fate.c.finding)
Index("report_by_order", fate.c.order_number)
Index("report_by_phone", fate.c.phone)

_MISSING = msgspec.json.Decoder(list[Missing])


@dataclass(frozen=True, slots=True)
class Intake:
    """A report as it came, and what became of it: a ticket with the rule that led there, a refusal, or nothing yet."""

    id: int
    at_ns: int
    actor: str
    came_by: str
    body: bytes
    ticket: int | None = None
    rule: FoldRule | None = None
    refusal: str | None = None
    missing: tuple[Missing, ...] = ()
    decided_ns: int | None = None

    @property
    def lost(self) -> bool:
        """Whether it has neither ticket nor refusal."""
        return self.decided_ns is None


def receive(
    tickets: Tickets,
    body: bytes,
    *,
    actor: str,
    came_by: str,
    now_ns: int,
    idempotency: str | None = None,
    then: Callable[[Book, int], None] | None = None,
) -> Intake:
    """Store a report as it came, in a transaction of its own, with the timer that takes it up if nobody else does.

    The same `idempotency` key of the same person again is the same report; with another body it is stored and refused.
    `then` is done with the number of a new report in the same transaction: files that came with it are never without it.
    """
    with tickets.transaction(now_ns) as book:
        return one(
            book.conn,
            store_in(book, body, actor=actor, came_by=came_by, idempotency=idempotency, then=then),
        )


def store_in(
    book: Book,
    body: bytes,
    *,
    actor: str,
    came_by: str,
    idempotency: str | None = None,
    then: Callable[[Book, int], None] | None = None,
) -> int:
    """The same inside the book's transaction, with what else came with it; gives the report's number."""
    key = f"{actor}/{idempotency}" if idempotency else None
    said = body[: MAX_BYTES + 1]
    before = _one(book.conn, intake.c.idempotency == key) if key else None
    if before is not None and before.body == said:
        return before.id
    number = book.next_number("report")
    row = {"id": number, "at_ns": book.now_ns, "actor": actor, "came_by": came_by, "body": said}
    book.conn.execute(insert(intake), row | {"idempotency": None if before else key})
    if before is not None:
        used = ReportRefused("idempotency_key_reused", [Missing("Idempotency-Key", "used")])
        _decide(book, number, refusal=used)
        return number
    set_timer(book, Timer(TIMER, f"report/{number}", book.now_ns + AFTER_NS))
    if then is not None:
        then(book, number)
    return number


def take(tickets: Tickets, number: int, plant: Plant, now_ns: int) -> Intake:
    """Decide about a stored report: a ticket or a refusal, in one transaction; the same again changes nothing."""
    with tickets.transaction(now_ns) as book:
        take_up(book, plant, number)
    with tickets.looking() as conn:
        return one(conn, number)


def due(book: Book, plant: Plant, timer: Timer) -> None:
    """The timer's handler: finish or refuse a report whose bringer has vanished."""
    take_up(book, plant, int(timer.subject.removeprefix("report/")))


def take_up(book: Book, plant: Plant, number: int) -> None:
    """Inside the book's transaction: fold the report into tickets, or note why it cannot be."""
    was = one(book.conn, number)
    if not was.lost:
        return
    try:
        report = read(was.body, plant)
    except ReportRefused as refused:
        _decide(book, number, refusal=refused)
    else:
        finding = report.finding(number, was.at_ns, was.actor)
        same = _same_number(book.conn, report, was.at_ns, plant)
        fold(book, [finding], plant, {finding.id: same} if same else None)
        _decide(book, number, finding=finding.id, report=report)
    cancel(book, TIMER, f"report/{number}")


def _decide(
    book: Book,
    number: int,
    *,
    finding: str | None = None,
    report: Report | None = None,
    refusal: ReportRefused | None = None,
) -> None:
    row = {
        "report": number,
        "finding": finding,
        "order_number": report.order_number if report else None,
        "phone": report.phone if report else None,
        "refusal": refusal.code if refusal else None,
        "missing": to_json(refusal.missing if refusal else []),
        "decided_ns": book.now_ns,
    }
    book.add(fate, row)
    book.counts["reports_refused" if refusal else "reports_taken"] += 1


def _same_number(conn: Connection, report: Report, at_ns: int, plant: Plant) -> Related | None:
    """The open ticket that a report of the same order or telephone number lies on, told within the window (rule 16).

    One party knows the serial number, another only whom it spoke with. Another machine, another order or a fault that
    contradicts is another event.
    """
    window_ns = plant.dedup.window_ns
    asked = {"order_number": report.order_number, "phone": report.phone}
    around = {"from_ns": at_ns - window_ns + 1, "to_ns": at_ns + window_ns - 1}
    near = [
        (abs(at_ns - row.at_ns), row.ticket)
        for row in conn.execute(_SAME_NUMBER, asked | around)
        if not (row.asset and report.asset and row.asset != report.asset)
        and not (row.order_number and report.order_number and row.order_number != report.order_number)
        and not contradict(row.fault_type, report.fault_type, plant.fault_types)
    ]
    if not near:
        return None
    apart_ns, ticket = min(near)
    return Related(ticket, FoldRule.SAME_NUMBER, apart_ns)


def one(conn: Connection, number: int) -> Intake:
    """The report of that number; KeyError if there is none."""
    found = _one(conn, intake.c.id == number)
    if found is None:
        raise KeyError(number)
    return found


def lost(
    conn: Connection, *, before_ns: int | None = None, limit: int = 200, after: Sequence[object] | None = None
) -> Sequence[Intake]:
    """Reports with neither ticket nor refusal, oldest first: those that came before `before_ns`; there must be none."""
    order = (intake.c.id,)
    wanted = _WANTED.where(fate.c.report.is_(None), behind(order, after)).order_by(*order).limit(limit)
    if before_ns is not None:
        wanted = wanted.where(intake.c.at_ns < before_ns)
    return [_intake(row) for row in conn.execute(wanted).mappings()]


def newest(
    conn: Connection,
    *,
    ticket: int | None = None,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> Sequence[Intake]:
    """Reports, newest first; those of one ticket, or of those machines."""
    order = (intake.c.id.desc(),)
    wanted = (
        _WANTED.where(behind(order, after), of_machines(occurrence.c.ticket, machines))
        .order_by(*order)
        .limit(limit)
    )
    if ticket is not None:
        wanted = wanted.where(occurrence.c.ticket == ticket)
    return [_intake(row) for row in conn.execute(wanted).mappings()]


def told(conn: Connection, ticket: int) -> Sequence[Occurrence]:
    """What people said of a ticket, whole and unchanged, in the order they said it (rule 14)."""
    said = select(occurrence).join(fate, fate.c.finding == occurrence.c.finding)
    rows = conn.execute(said.where(occurrence.c.ticket == ticket).order_by(fate.c.report)).mappings()
    return [occurrence_of(row) for row in rows]


def counts(conn: Connection, machines: Machines = None) -> Mapping[str, int]:
    """How many reports came in (of those machines), and what became of them: received = tickets + refusals + lost."""
    taken, refused = func.count(fate.c.finding), func.count(fate.c.refusal)
    joined = _JOINED if machines is None else _FOLDED
    seen = of_machines(occurrence.c.ticket, machines)
    row = conn.execute(select(func.count(), taken, refused).select_from(joined).where(seen)).one()
    return {"received": row[0], "tickets": row[1], "refusals": row[2], "lost": row[0] - row[1] - row[2]}


_JOINED = intake.outerjoin(fate, fate.c.report == intake.c.id)
_FOLDED = _JOINED.outerjoin(occurrence, occurrence.c.finding == fate.c.finding)
_WANTED = select(
    intake, fate.c.refusal, fate.c.missing, fate.c.decided_ns, occurrence.c.ticket, occurrence.c.rule
).select_from(_FOLDED)


_SAME_NUMBER = (
    select(
        occurrence.c.ticket,
        occurrence.c.at_ns,
        tickets_table.c.asset,
        fate.c.order_number,
        tickets_table.c.fault_type,
    )
    .join(occurrence, occurrence.c.finding == fate.c.finding)
    .join(tickets_table, tickets_table.c.id == occurrence.c.ticket)
    .where(
        or_(fate.c.order_number == bindparam("order_number"), fate.c.phone == bindparam("phone")),
        occurrence.c.at_ns.between(bindparam("from_ns"), bindparam("to_ns")),
        tickets_table.c.state.in_(sorted(UNRESOLVED)),
    )
)


def _one(conn: Connection, which: Any) -> Intake | None:
    wanted: Select[Any] = _WANTED.where(which)
    row = conn.execute(wanted).mappings().first()
    return None if row is None else _intake(row)


def _intake(row: RowMapping) -> Intake:
    values: dict[str, Json] = dict(row)
    del values["idempotency"]
    values["missing"] = tuple(_MISSING.decode(row["missing"] or "[]"))
    values["rule"] = FoldRule(row["rule"]) if row["rule"] else None
    return Intake(**values)
