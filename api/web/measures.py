"""What a root cause led to, in the visitor's words: sister machines, frozen batches, audits, and what their forms offer."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, select

from andon.access.roles import Right
from andon.plant import Asset
from api.visit import Visit
from api.web.wording import asset_name, person_name
from ticketing.parts.suppliers import suppliers
from ticketing.parts.tables import part_use
from ticketing.problem import Problem
from ticketing.problem_store import look
from ticketing.quality import audits, batches, sisters
from ticketing.quality.audits import Audit, AuditState
from ticketing.quality.batches import EDGES, Batch, Deed
from ticketing.quality.sisters import Sister, SisterState
from ticketing.tables import ticket as tickets
from ticketing.ticket import Ticket

Options = Sequence[tuple[str, str]]
_MOST_LOTS = 200


@dataclass(frozen=True, slots=True)
class SisterRow:
    """A task on a sister machine."""

    one: Sister
    machine: str
    owner: str
    overdue: bool
    source: str
    source_name: str


@dataclass(frozen=True, slots=True)
class BatchRow:
    """A batch, with what can be done to it by who looks: nobody decides on what they asked for."""

    one: Batch
    problem: str
    asked_by: str
    deeds: tuple[Deed, ...]


@dataclass(frozen=True, slots=True)
class AuditRow:
    """An audit of a supplier."""

    one: Audit
    problem: str
    supplier: str
    auditor: str
    overdue: bool


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """The machines like a ticket's: whether a decision waits, what can be ticked, and what was decided."""

    waits: bool
    machines: Options
    text: str
    because: Sequence[str]
    rows: Sequence[SisterRow]


@dataclass(frozen=True, slots=True)
class Measures:
    """What a task led to, and what the forms on its page offer."""

    sisters: Sequence[SisterRow]
    batches: Sequence[BatchRow]
    audits: Sequence[AuditRow]
    machines: Options
    lots: Options
    suppliers: Options
    auditors: Options
    types: Options


def elsewhere_of(conn: Connection, ticket: Ticket, visit: Visit) -> Elsewhere | None:
    """The ticket's sisters; None, and nothing looked up, where its handler did not say "elsewhere too"."""
    if not ticket.same_kind:
        return None
    decided = sisters.of_ticket(conn, ticket.id)
    like = [one for one in sisters.sisters_of(visit.plant, ticket.asset) if visit.sight.sees(one.id)]
    tasks = [one for made in decided for one in made.tasks]
    return Elsewhere(
        waits=sisters.waits(ticket, decided),
        machines=_machines(like, visit),
        text=ticket.summary,
        because=[made.text for made in decided if not made.tasks],
        rows=rows_of(conn, tasks, visit),
    )


def measures_of(conn: Connection, problem: Problem, visit: Visit) -> Measures:
    """What a task led to, and what can be done from it: machines like those that failed, lots that were put into them."""
    numbers = {one.ticket for one in problem.links} | {one.ticket for one in problem.counted}
    failed = sorted(
        conn.execute(select(tickets.c.asset).where(tickets.c.id.in_(numbers)).distinct()).scalars()
    )
    known = [one for one in map(visit.plant.asset, failed) if one is not None]
    like = {
        one.id: one for machine in known for one in (machine, *sisters.sisters_of(visit.plant, machine.id))
    }
    c = part_use.c
    put_in = select(c.part, c.lot).where(c.asset.in_(like), c.lot != "").distinct().order_by(c.part, c.lot)
    lots = conn.execute(put_in.limit(_MOST_LOTS)).all() if like else []
    whole = visit.sight.assets is None
    bought = suppliers(conn) if whole else ()
    kinds = [one for one in visit.plant.ticket_types if not one.retired]
    tasks = [one for made in sisters.of_problem(conn, problem.id) for one in made.tasks]
    return Measures(
        sisters=rows_of(conn, tasks, visit),
        batches=batch_rows(conn, batches.of_problem(conn, problem.id), visit),
        audits=audit_rows(conn, audits.of_problem(conn, problem.id), visit),
        machines=_machines([one for one in like.values() if visit.sight.sees(one.id)], visit),
        lots=[(f"{row.part}\x1f{row.lot}", f"{row.part} · {row.lot}") for row in lots],
        suppliers=[(one.code, f"{one.code} · {one.name} · {one.grade}") for one in bought],
        auditors=[(one.id, f"{one.name} · {one.role}") for one in visit.plant.people],
        types=[(one.code, str(getattr(one, visit.words.language))) for one in kinds],
    )


def rows_of(conn: Connection, some: Iterable[Sister], visit: Visit) -> Sequence[SisterRow]:
    """Tasks on machines that are seen."""
    seen = [one for one in some if visit.sight.sees(one.asset)]
    names = _sources(conn, seen)
    return [
        SisterRow(
            one=one,
            machine=asset_name(visit.plant.asset(one.asset), one.asset, visit.words),
            owner=person_name(one.owner, visit.plant),
            overdue=one.state is SisterState.OPEN and one.due_ns < visit.time.now_ns,
            source=f"/problems/{one.problem}" if one.ticket is None else f"/tickets/{one.ticket}",
            source_name=names[one.ticket, one.problem],
        )
        for one in seen
    ]


def batch_rows(conn: Connection, some: Iterable[Batch], visit: Visit) -> Sequence[BatchRow]:
    """Batches with what can be done to them."""
    may = visit.may(Right.ANALYSE) and visit.sight.assets is None
    return [
        BatchRow(
            one=one,
            problem=look(conn, one.problem).number,
            asked_by=person_name(one.asked_by, visit.plant),
            deeds=tuple(
                deed
                for state, deed in EDGES
                if may and state is one.state and (deed is Deed.ASK_RELEASE or visit.actor != one.asked_by)
            ),
        )
        for one in some
    ]


def audit_rows(conn: Connection, some: Iterable[Audit], visit: Visit) -> Sequence[AuditRow]:
    """Audits with the names of supplier and auditor."""
    names = {one.code: one.name for one in suppliers(conn)}
    return [
        AuditRow(
            one=one,
            problem=look(conn, one.problem).number,
            supplier=names.get(one.supplier, one.supplier),
            auditor=person_name(one.auditor, visit.plant),
            overdue=one.state is AuditState.OPEN and one.due_ns < visit.time.now_ns,
        )
        for one in some
    ]


def _machines(some: Iterable[Asset], visit: Visit) -> Options:
    return [(one.id, asset_name(one, one.id, visit.words)) for one in some]


def _sources(conn: Connection, some: Sequence[Sister]) -> Mapping[tuple[int | None, int | None], str]:
    """The numbers of the tickets and tasks that they go back to."""
    wanted = {one.ticket for one in some if one.ticket is not None}
    found = conn.execute(select(tickets.c.id, tickets.c.number).where(tickets.c.id.in_(wanted))).all()
    names: dict[tuple[int | None, int | None], str] = {(row.id, None): row.number for row in found}
    for number in {one.problem for one in some if one.problem is not None}:
        names[None, number] = look(conn, number).number
    return names
