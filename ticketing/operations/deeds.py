"""What people do to a ticket's operations: take a template, do one with what was measured, correct a value, take one back.

A value out of its limits opens a ticket of its own, linked to this one: the same value again, corrected or measured
anew, opens no second.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select

from andon.events import Action, Family, Finding, Origin
from andon.plant import Plant
from andon.rules.operations import Measurement
from ticketing.book import Book
from ticketing.dedup import EVENT_ID
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.intake import fold
from ticketing.links import split_from
from ticketing.operations import work
from ticketing.operations.work import Measured, OperationState, Step
from ticketing.report import SEVERITY
from ticketing.stepping import lock
from ticketing.tables import occurrence
from ticketing.ticket import OUT_OF_LIMIT, UNRESOLVED, Ticket, TicketState
from ticketing.vague import is_vague

DID, CORRECTED, TOOK_BACK, LEFT_OUT, TAKEN = (
    "operation_done",
    "measurement_corrected",
    "operation_taken_back",
    "operation_left_out",
    "operations_taken",
)
MOST_MINUTES = 100_000.0


@dataclass(frozen=True, slots=True)
class Said:
    """A value as it is told: of which measurement, and with which instrument."""

    name: str
    value: float
    instrument: str = ""


def take_template(by: Doer, ticket_id: int, plant: Plant, code: str) -> tuple[Step, ...]:
    """The ticket takes the operations of a template, behind those it has; refused once it has some of that template."""
    with by.tickets.transaction(by.now_ns) as book:
        ticket, steps = _locked(book, ticket_id)
        if ticket.state not in UNRESOLVED:
            raise NoEdge(ticket.state, TAKEN, ())
        template = work.template_of(plant, code)
        if template is None or template.retired:
            raise StepRefused(
                TAKEN, ticket.state, [Missing("template", "retired" if template else "unknown")]
            )
        if any(one.template == code for one in steps):
            raise DeedRefused("operations_there", f"{ticket.number} has the operations of {code} already")
        work.attach(book, ticket, template, after=len(steps))
        _said(book, ticket, TAKEN, by, evidence=(code,))
    return _now(by, ticket_id)


def do(
    by: Doer,
    ticket_id: int,
    seq: int,
    plant: Plant,
    *,
    minutes: float | None,
    values: Sequence[Said] = (),
    note: str = "",
    done_by: str = "",
) -> Step:
    """An operation is done: in how many minutes, by whom (who tells of it, if nobody is named), with what it asks for.

    Raises
    ------
    NoEdge
        The ticket is not in progress.
    DeedRefused
        `operation_not_found`, `operation_settled`: it is done or left out already; `operation_too_early`: others come
        before it.
    StepRefused
        What is missing or wrong: `minutes`, `done_by`, `measurement.<name>`, `instrument.<name>`.
    """
    with by.tickets.transaction(by.now_ns) as book:
        ticket, step = _open_step(book, ticket_id, seq)
        wrong = _wrong_minutes(minutes) + _wrong_person(done_by, plant) + _wrong_values(step, values)
        if wrong:
            raise StepRefused(DID, ticket.state, wrong)
        who = done_by or by.actor
        work.settle(
            book.conn, step, OperationState.DONE, by=who, at_ns=by.now_ns, minutes=minutes, note=note.strip()
        )
        told = [_measured(step, one, who, by.now_ns) for one in values]
        work.keep(book.conn, step, told)
        evidence = (step.code, *(f"{one.name}={one.value:g} {one.unit}" for one in told))
        ticket = _said(
            book, ticket, DID, by, reason=note, numbers={"minutes": minutes or 0.0}, evidence=evidence
        )
        _open_tickets(book, ticket, step, told, plant)
    return _now(by, ticket_id)[seq - 1]


def correct(by: Doer, ticket_id: int, seq: int, plant: Plant, *, said: Said, reason: str) -> Step:
    """A value was read or written wrong: what it should have said, and why; the one before stays on record."""
    with by.tickets.transaction(by.now_ns) as book:
        ticket, steps = _locked(book, ticket_id)
        step = _numbered(ticket, steps, seq)
        before = step.measured.get(said.name)
        if before is None:
            raise DeedRefused("measurement_not_found", f"{step.code}: {said.name!r} has not been measured")
        said = Said(said.name, said.value, said.instrument or before.instrument)
        wrong = _wrong_values(step, [said], every=False) + _wrong_reason(reason)
        if ticket.state is TicketState.CLOSED:
            raise NoEdge(ticket.state, CORRECTED, ())
        if wrong:
            raise StepRefused(CORRECTED, ticket.state, wrong)
        told = _measured(step, said, by.actor, by.now_ns, reason=reason)
        work.keep(book.conn, step, [told])
        change = f"{said.name}: {before.value:g} → {told.value:g} {told.unit}"
        ticket = _said(book, ticket, CORRECTED, by, reason=reason, evidence=(step.code, change))
        _open_tickets(book, ticket, step, [told], plant)
    return _now(by, ticket_id)[seq - 1]


def take_back(by: Doer, ticket_id: int, seq: int, *, reason: str) -> Step:
    """An operation was not done after all, or has to be done again: it and what was measured stay on record."""
    return _settle(by, ticket_id, seq, OperationState.OPEN, action=TOOK_BACK, reason=reason)


def leave_out(by: Doer, ticket_id: int, seq: int, *, reason: str) -> Step:
    """An optional operation is not needed here, and why."""
    return _settle(by, ticket_id, seq, OperationState.LEFT_OUT, action=LEFT_OUT, reason=reason)


def _settle(by: Doer, ticket_id: int, seq: int, state: OperationState, *, action: str, reason: str) -> Step:
    with by.tickets.transaction(by.now_ns) as book:
        ticket, steps = _locked(book, ticket_id)
        step = _numbered(ticket, steps, seq)
        if ticket.state is not TicketState.IN_PROGRESS:
            raise NoEdge(ticket.state, action, ())
        if (step.state is OperationState.OPEN) is (state is OperationState.OPEN):
            raise DeedRefused("operation_settled", f"{step.code}: it is {step.state}")
        if state is OperationState.LEFT_OUT and not step.optional:
            raise DeedRefused("operation_needed", f"{step.code}: its template does not let it be left out")
        if wrong := _wrong_reason(reason):
            raise StepRefused(action, ticket.state, wrong)
        work.settle(book.conn, step, state, by=by.actor, at_ns=by.now_ns, minutes=None, note=reason.strip())
        _said(book, ticket, action, by, reason=reason, evidence=(step.code,))
    return _now(by, ticket_id)[seq - 1]


def _locked(book: Book, ticket_id: int) -> tuple[Ticket, tuple[Step, ...]]:
    lock(book.conn, ticket_id)
    return book.ticket(ticket_id), work.of_ticket(book.conn, ticket_id)


def _numbered(ticket: Ticket, steps: Sequence[Step], seq: int) -> Step:
    if not 1 <= seq <= len(steps):
        raise DeedRefused("operation_not_found", f"{ticket.number} has no operation {seq}")
    return steps[seq - 1]


def _open_step(book: Book, ticket_id: int, seq: int) -> tuple[Ticket, Step]:
    """The operation that can be done now; refused if the ticket is not worked on, or another comes first."""
    ticket, steps = _locked(book, ticket_id)
    step = _numbered(ticket, steps, seq)
    if ticket.state is not TicketState.IN_PROGRESS:
        raise NoEdge(ticket.state, DID, ())
    if step.state is not OperationState.OPEN:
        raise DeedRefused("operation_settled", f"{step.code}: it is {step.state}")
    if before := work.waits_for(steps, seq):
        named = ", ".join(one.code for one in before)
        raise DeedRefused("operation_too_early", f"{step.code}: first {named}")
    return ticket, step


def _now(by: Doer, ticket_id: int) -> tuple[Step, ...]:
    with by.tickets.looking() as conn:
        return work.of_ticket(conn, ticket_id)


def _said(
    book: Book,
    ticket: Ticket,
    action: str,
    by: Doer,
    *,
    reason: str = "",
    numbers: Mapping[str, float] | None = None,
    evidence: Sequence[str] = (),
) -> Ticket:
    return book.record(
        ticket,
        action=action,
        actor=by.actor,
        channel=by.channel,
        reason=reason.strip(),
        numbers=numbers,
        evidence=evidence,
    )


def _wrong_minutes(minutes: float | None) -> list[Missing]:
    if minutes is None:
        return [Missing("minutes")]
    return [] if 0 < minutes <= MOST_MINUTES else [Missing("minutes", "not_positive")]


def _wrong_person(done_by: str, plant: Plant) -> list[Missing]:
    known = not plant.people or not done_by or done_by in {one.id for one in plant.people}
    return [] if known else [Missing("done_by", "unknown")]


def _wrong_reason(reason: str) -> list[Missing]:
    if not reason.strip():
        return [Missing("reason")]
    return [Missing("reason", "vague")] if is_vague(reason) else []


def _wrong_values(step: Step, values: Sequence[Said], *, every: bool = True) -> list[Missing]:
    """What is wrong with the values: each that is asked for once, a finite number, with its instrument."""
    asked = {one.name: one for one in step.asks}
    said = [one.name for one in values]
    wrong = [Missing(f"measurement.{name}") for name in asked if every and name not in said]
    for one in values:
        if one.name not in asked:
            wrong.append(Missing(f"measurement.{one.name}", "unknown"))
        elif said.count(one.name) > 1:
            wrong.append(Missing(f"measurement.{one.name}", "twice"))
        elif not math.isfinite(one.value):
            wrong.append(Missing(f"measurement.{one.name}", "not_a_number"))
        elif asked[one.name].instrument and not one.instrument.strip():
            wrong.append(Missing(f"instrument.{one.name}"))
    return wrong


def _measured(step: Step, said: Said, by: str, at_ns: int, reason: str = "") -> Measured:
    """The value as it is kept, with the limits that hold; a revision later than all that were said of it."""
    asked = _asked(step, said.name)
    return Measured(
        name=said.name,
        revision=sum(one.name == said.name for one in step.values),
        value=float(said.value),
        unit=asked.unit,
        low=asked.low,
        high=asked.high,
        instrument=said.instrument.strip(),
        by=by,
        at_ns=at_ns,
        reason=reason.strip(),
    )


def _asked(step: Step, name: str) -> Measurement:
    return next(one for one in step.asks if one.name == name)


def _open_tickets(book: Book, ticket: Ticket, step: Step, told: Sequence[Measured], plant: Plant) -> None:
    """For each value that is out of its limits a ticket of its own, split off this one; never a second for the same."""
    findings = [_finding(ticket, step, one, plant, book.now_ns) for one in told if one.is_out]
    known = select(occurrence.c.finding).where(occurrence.c.finding.in_([one.id for one in findings]))
    there = set(book.conn.execute(known).scalars()) if findings else set()
    new = [one for one in findings if one.id not in there]
    if not new:
        return
    fold(book, new, plant)
    opened = {row["finding"]: row["ticket"] for row in book.rows(occurrence)}
    for one in new:
        split_from(book, book.ticket(opened[one.id]), ticket, by=one.text["by"], note=one.text["message"])


def _finding(ticket: Ticket, step: Step, one: Measured, plant: Plant, now_ns: int) -> Finding:
    """The word of a value that is out of its limits: a fault of the machine, found before it failed."""
    asked = _asked(step, one.name)
    limits = f"{_limit(one.low)} … {_limit(one.high)}"
    en, zh = (f"{label}: {one.value:g} {one.unit} ({limits})" for label in (asked.en, asked.zh))
    kind = _type_of(step, plant)
    name = f"{ticket.number}/{step.seq}/{one.name}"
    return Finding(
        id=f"measured-{name}",
        asset=ticket.asset,
        component=ticket.headline.component,
        family=Family.REPORT,
        condition=OUT_OF_LIMIT,
        action=Action.RAISE,
        at_ns=now_ns,
        onset_ns=now_ns,
        severity=SEVERITY[ticket.priority],
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="operation",
        version="1",
        parameters_hash="",
        origin=Origin(f"operation/{ticket.number}", step.seq, now_ns),
        text={
            "message": f"{step.en}, {en}",
            "message_zh": f"{step.zh}，{zh}",
            "description": f"{ticket.number} · {step.zh} / {step.en} · {asked.zh} / {asked.en}: "
            f"{one.value:g} {one.unit} ({limits}), {one.instrument or '-'}",
            EVENT_ID: name,
            "type": kind,
            "priority": ticket.priority,
            "channel": "operation",
            "by": one.by,
        },
    )


def _type_of(step: Step, plant: Plant) -> str:
    """The type that the template names, else the plant's first for failures, else its first."""
    template = work.template_of(plant, step.template)
    if template is not None and template.opens is not None:
        return template.opens
    usable = [one for one in plant.ticket_types if not one.retired]
    return next((one.code for one in usable if one.about == "failure"), usable[0].code)


def _limit(value: float | None) -> str:
    return "–" if value is None else f"{value:g}"
