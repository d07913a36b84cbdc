"""A supplier is audited because a root-cause task points at it: who looks, what was found, which grade it has then (rule 59).

While it goes on the supplier's status is "audit"; passed or conditionally passed it is "active" again, failed "blocked".
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import msgspec
from sqlalchemy import ColumnElement, Connection, RowMapping, insert, select, update

from andon.database import behind
from andon.events import Json
from andon.plant import Plant
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.parts import suppliers
from ticketing.parts.suppliers import Grade, Status
from ticketing.problem_clock import quality
from ticketing.problem_deeds import later
from ticketing.problem_store import look
from ticketing.quality.news import Line, News, note_on, tell
from ticketing.quality.tables import supplier_audit
from ticketing.sql import to_json
from ticketing.timers import Timer, cancel, set_timer
from ticketing.vague import is_vague

TIMER = "audit.due"


class AuditState(StrEnum):
    """OPEN until it is DONE."""

    OPEN = "open"
    DONE = "done"


class Result(StrEnum):
    """What an audit came to."""

    PASSED = "passed"
    CONDITIONAL = "conditional"
    FAILED = "failed"


_STATUS: Mapping[Result, Status] = {
    Result.PASSED: Status.ACTIVE,
    Result.CONDITIONAL: Status.ACTIVE,
    Result.FAILED: Status.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Audit:
    """One audit: why, by whom, until when, and what it came to."""

    id: int
    supplier: str
    problem: int
    reason: str
    auditor: str
    due_ns: int
    by: str
    at_ns: int
    grade_before: str
    state: AuditState = AuditState.OPEN
    grade_after: str | None = None
    result: Result | None = None
    findings: str = ""
    evidence: tuple[str, ...] = ()
    done_by: str | None = None
    done_ns: int | None = None

    @property
    def number(self) -> str:
        """As people call it."""
        return f"SA-{self.id}"


def begin(
    book: Book,
    plant: Plant,
    problem_id: int,
    *,
    supplier: str,
    auditor: str,
    reason: str,
    due_ns: int | None = None,
    actor: str,
    channel: str,
) -> Audit:
    """Have a supplier audited by a person; without `due_ns` it is due after `quality.audit_d` days.

    Raises
    ------
    ProblemNotFound, StepRefused
        There is no such task; or supplier, auditor or reason is missing or unknown, or the date has passed.
    DeedRefused
        The supplier is being audited already ("audit_open").
    """
    problem = look(book.conn, problem_id)
    known = next((one for one in suppliers.suppliers(book.conn) if one.code == supplier), None)
    missing = [] if known else [Missing("supplier", "unknown" if supplier else "absent")]
    if auditor not in {person.id for person in plant.people}:
        missing.append(Missing("auditor", "unknown" if auditor.strip() else "absent"))
    missing += _said("reason", reason)
    missing += [Missing("due", "is_past")] if due_ns is not None and due_ns <= book.now_ns else []
    if missing or known is None:
        raise StepRefused("audit", problem.state, missing)
    going_on = _read(book.conn, supplier_audit.c.supplier == supplier, supplier_audit.c.state == "open")
    if going_on:
        raise DeedRefused("audit_open", f"{supplier} is being audited already: {going_on[0].number}")
    new = Audit(
        id=book.next_number("audit"),
        supplier=supplier,
        problem=problem.id,
        reason=reason.strip(),
        auditor=auditor,
        due_ns=due_ns or later(book.now_ns, plant.quality.audit_d),
        by=actor,
        at_ns=book.now_ns,
        grade_before=str(known.grade),
    )
    row = {name: getattr(new, name) for name in _ASKED}
    book.conn.execute(insert(supplier_audit).values(**row, state="open", findings="", evidence="[]"))
    suppliers.save(book, supplier, {"status": str(Status.AUDIT)}, by=actor)
    set_timer(book, Timer(TIMER, f"audit/{new.id}", new.due_ns))
    note_on(book, problem.id, Line("audit_begun", actor, channel, reason.strip(), (new.number, supplier)))
    news = News("audit.given", new.number, known.name, new.due_ns, reason.strip(), actor)
    tell(book, problem.last_ticket, news, (auditor,))
    return new


def finish(
    book: Book,
    audit_id: int,
    *,
    result: Result,
    findings: str,
    grade: Grade | None = None,
    evidence: Sequence[str] = (),
    actor: str,
    channel: str,
) -> Audit:
    """What it came to: the supplier's status follows from the result, its grade is the one given, else stays.

    StepRefused without findings or evidence; DeedRefused if there is no such audit, or it is done ("audit_done").
    """
    one = numbered(book.conn, audit_id)
    shown = [said.strip() for said in evidence if said.strip()]
    missing = _said("findings", findings) + ([] if shown else [Missing("evidence")])
    if missing:
        raise StepRefused("finish_audit", str(one.state), missing)
    after = str(grade or one.grade_before)
    c = supplier_audit.c
    changed = book.conn.execute(
        update(supplier_audit)
        .where(c.id == one.id, c.state == str(AuditState.OPEN))
        .values(
            state=str(AuditState.DONE),
            result=str(result),
            findings=findings.strip(),
            evidence=to_json(shown),
            grade_after=after,
            done_by=actor,
            done_ns=book.now_ns,
        )
    )
    if changed.rowcount != 1:
        raise DeedRefused("audit_done", f"{one.number} is done already")
    cancel(book, TIMER, f"audit/{one.id}")
    card: dict[str, Json] = {"status": str(_STATUS[result]), "grade": after}
    suppliers.save(book, one.supplier, card, by=actor)
    said = (one.number, one.supplier, str(result), f"{one.grade_before} -> {after}", *shown)
    note_on(book, one.problem, Line("audit_done", actor, channel, findings.strip(), said))
    return numbered(book.conn, audit_id)


def due(book: Book, plant: Plant, timer: Timer) -> None:
    """An audit is overdue: the auditor hears it, and the quality role."""
    one = numbered(book.conn, int(timer.subject.partition("/")[2]))
    if one.state is AuditState.DONE:
        return
    ticket = look(book.conn, one.problem).last_ticket
    people = (one.auditor, *quality(book, plant, book.ticket(ticket).line))
    tell(
        book,
        ticket,
        News("audit.overdue", one.number, one.supplier, one.due_ns, one.reason, "rule/due"),
        people,
    )


def numbered(conn: Connection, audit_id: int) -> Audit:
    """That audit; DeedRefused if there is none."""
    found = _read(conn, supplier_audit.c.id == audit_id)
    if not found:
        raise DeedRefused("audit_not_found", f"there is no audit {audit_id}")
    return found[0]


def audits(
    conn: Connection,
    state: AuditState | None = None,
    *,
    supplier: str = "",
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Audit, ...]:
    """Audits in a state, or all, the newest first."""
    c = supplier_audit.c
    wanted = [behind((c.id.desc(),), after)]
    wanted += [c.state == str(state)] if state is not None else []
    wanted += [c.supplier == supplier] if supplier else []
    return _read(conn, *wanted, limit=limit)


def of_problem(conn: Connection, problem_id: int) -> tuple[Audit, ...]:
    """The audits that a task asked for, the newest first."""
    return _read(conn, supplier_audit.c.problem == problem_id)


_ASKED = ("id", "supplier", "problem", "reason", "auditor", "due_ns", "by", "at_ns", "grade_before")


def _said(name: str, text: str) -> list[Missing]:
    if not text.strip():
        return [Missing(name)]
    return [Missing(name, "vague")] if is_vague(text) else []


def _read(conn: Connection, *wanted: ColumnElement[bool], limit: int | None = None) -> tuple[Audit, ...]:
    found = select(supplier_audit).where(*wanted).order_by(supplier_audit.c.id.desc()).limit(limit)
    return tuple(_of(row) for row in conn.execute(found).mappings())


def _of(row: RowMapping) -> Audit:
    values: dict[str, object] = {
        str(name): value for name, value in row.items()
    }  # a column's name is no plain text
    return msgspec.convert(values | {"evidence": msgspec.json.decode(row["evidence"])}, Audit)
