"""What can be asked about tickets: frozen answers for the console, the API and the reports.

Every function takes a connection and reads one snapshot; nothing here writes. `metadata` holds the tables.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec
from sqlalchemy import Connection, func, select

from andon.database import Machines, among, behind
from andon.events import Declared, Json
from ticketing import approvals, obligations, ratings, requisitions
from ticketing import tables as t
from ticketing.approvals import Approval
from ticketing.audit import Responsibility, responsibility
from ticketing.demands import Given
from ticketing.errors import Missing, TicketNotFound
from ticketing.links import Linked, links
from ticketing.listing import Filter, Page, Sort, counts, place_kinds, tickets
from ticketing.nodes import Node, nodes
from ticketing.obligations import Obligation
from ticketing.outcomes import proposed
from ticketing.parts import use
from ticketing.parts.use import PartUse
from ticketing.problem import Problem, ProblemState
from ticketing.problem_store import of_ticket as problems_of_ticket
from ticketing.problem_store import problem, problems
from ticketing.ratings import Rating
from ticketing.requisitions import Requisition
from ticketing.rows import event_of, occurrence_of, photo_of, ticket_of
from ticketing.sql import metadata
from ticketing.states import Step, next_steps
from ticketing.stepping import known
from ticketing.ticket import (
    FoldRule,
    Occurrence,
    Photo,
    Ticket,
    TicketEvent,
    TicketState,
)

__all__ = [
    "AssetHistory",
    "Changes",
    "Drawing",
    "Filter",
    "HeldKey",
    "Metrics",
    "Page",
    "Sort",
    "TicketDetail",
    "asset_history",
    "change_number",
    "changes_since",
    "evidence",
    "late",
    "metadata",
    "metrics",
    "occurrences",
    "place_kinds",
    "problem",
    "problems",
    "ticket",
    "tickets",
]

_NEWEST_FIRST = (t.occurrence.c.at_ns.desc(), t.occurrence.c.finding)
_DRAWN_FROM = 20  # newest findings with evidence that a ticket's page looks through


@dataclass(frozen=True, slots=True)
class Drawing:
    """One part of the evidence ("trend", "spectrum", ...), from the newest finding that has it."""

    finding: str
    at_ns: int
    body: Json


@dataclass(frozen=True, slots=True)
class HeldKey:
    """A cause that lies on a ticket: what can be split off."""

    key: str
    inputs: Mapping[str, str]
    anchor_ns: int


@dataclass(frozen=True, slots=True)
class TicketDetail:
    """All that stands on a ticket's page. `occurrences` are the newest; the ticket has their number."""

    ticket: Ticket
    occurrences: tuple[Occurrence, ...]
    drawings: Mapping[str, Drawing]
    events: tuple[TicketEvent, ...]
    responsibility: Responsibility | None
    photos: tuple[Photo, ...]
    problems: tuple[Problem, ...]
    keys: tuple[HeldKey, ...]
    given: Given
    next_steps: Mapping[Step, tuple[Missing, ...]]
    proposal: Declared | None
    recurrences: tuple[Ticket, ...] = field(default=())
    links: tuple[Linked, ...] = ()
    nodes: tuple[Node, ...] = ()
    requisitions: tuple[Requisition, ...] = ()
    approval: Approval | None = None
    obligations: tuple[Obligation, ...] = ()
    rating: Rating | None = None


def ticket(conn: Connection, ticket_id: int, *, limit: int = 200) -> TicketDetail:
    """Everything about one ticket; TicketNotFound if there is none."""
    row = conn.execute(select(t.ticket).where(t.ticket.c.id == ticket_id)).mappings().first()
    if row is None:
        raise TicketNotFound(ticket_id)
    found = ticket_of(row)
    events = select(t.ticket_event).where(t.ticket_event.c.ticket == ticket_id).order_by(t.ticket_event.c.seq)
    said = tuple(event_of(line) for line in conn.execute(events).mappings())
    photos = select(t.photo).where(t.photo.c.ticket == ticket_id).order_by(t.photo.c.at_ns, t.photo.c.sha256)
    taken = tuple(photo_of(line) for line in conn.execute(photos).mappings())
    again = select(t.ticket).where(t.ticket.c.recurrence_of == ticket_id).order_by(t.ticket.c.id)
    given = known(conn, found, Given())
    return TicketDetail(
        ticket=found,
        occurrences=occurrences(conn, ticket_id, limit=limit),
        drawings=_drawings(conn, ticket_id),
        events=said,
        responsibility=responsibility(said),
        photos=taken,
        problems=problems_of_ticket(conn, ticket_id),
        keys=_keys(conn, ticket_id),
        given=given,
        next_steps=next_steps(found, given),
        proposal=proposed(found) if found.relearn is None else None,
        recurrences=tuple(ticket_of(line) for line in conn.execute(again).mappings()),
        links=links(conn, ticket_id),
        nodes=nodes(said),
        requisitions=requisitions.of_ticket(conn, ticket_id),
        approval=approvals.pending_of(conn, ticket_id),
        obligations=obligations.of_ticket(conn, ticket_id),
        rating=ratings.of_round(conn, found),
    )


def occurrences(
    conn: Connection,
    ticket_id: int,
    *,
    limit: int = 200,
    offset: int = 0,
    after: Sequence[object] | None = None,
) -> tuple[Occurrence, ...]:
    """What was folded into a ticket, newest first, each with the rule that put it there."""
    wanted = (
        select(t.occurrence)
        .where(t.occurrence.c.ticket == ticket_id, behind(_NEWEST_FIRST, after))
        .order_by(*_NEWEST_FIRST)
        .limit(limit)
        .offset(offset)
    )
    return tuple(occurrence_of(row) for row in conn.execute(wanted).mappings())


def late(
    conn: Connection,
    *,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Occurrence, ...]:
    """What came too late (by default more than a day) and so opened nothing, newest first."""
    wanted = select(t.occurrence).where(t.occurrence.c.rule == FoldRule.LATE, behind(_NEWEST_FIRST, after))
    wanted = wanted.where(among(t.occurrence.c.asset, machines)).order_by(*_NEWEST_FIRST).limit(limit)
    return tuple(occurrence_of(row) for row in conn.execute(wanted).mappings())


def evidence(conn: Connection, finding: str) -> Json | None:
    """The evidence of one finding as the detector gave it; None if it has none."""
    body = select(t.finding_evidence.c.body).where(t.finding_evidence.c.finding == finding)
    found = conn.execute(body).scalar()
    return None if found is None else msgspec.json.decode(found)


def _drawings(conn: Connection, ticket_id: int) -> Mapping[str, Drawing]:
    c = t.occurrence.c
    newest = (
        select(c.finding, c.at_ns, t.finding_evidence.c.body)
        .join(t.finding_evidence, t.finding_evidence.c.finding == c.finding)
        .where(c.ticket == ticket_id)
        .order_by(c.at_ns.desc(), c.finding)
        .limit(_DRAWN_FROM)
    )
    drawings: dict[str, Drawing] = {}
    for row in conn.execute(newest):
        for part, body in msgspec.json.decode(row.body, type=dict[str, Json]).items():
            drawings.setdefault(part, Drawing(row.finding, row.at_ns, body))
    return drawings


def _keys(conn: Connection, ticket_id: int) -> tuple[HeldKey, ...]:
    held = (
        select(t.master.c.key, t.master.c.anchor_ns, t.dedup_key.c.inputs)
        .join(t.dedup_key, t.dedup_key.c.key == t.master.c.key)
        .where(t.master.c.ticket == ticket_id)
        .order_by(t.master.c.anchor_ns, t.master.c.key)
    )
    return tuple(
        HeldKey(row.key, msgspec.json.decode(row.inputs, type=dict[str, str]), row.anchor_ns)
        for row in conn.execute(held)
    )


@dataclass(frozen=True, slots=True)
class AssetHistory:
    """All past work on a machine (rule 66): tickets and replaced parts newest first, problems, how often it failed."""

    asset: str
    tickets: tuple[Ticket, ...]
    problems: tuple[Problem, ...]
    failures: int
    parts: tuple[PartUse, ...] = ()


def asset_history(conn: Connection, asset: str, *, limit: int = 200) -> AssetHistory:
    """The history of one machine."""
    found = tickets(conn, Filter(asset=asset), sort=Sort.NEWEST, limit=limit)
    failures = select(func.count()).where(t.failure.c.asset == asset)
    return AssetHistory(
        asset=asset,
        tickets=found.tickets,
        problems=problems(conn, asset=asset),
        failures=conn.execute(failures).scalar_one(),
        parts=use.of_asset(conn, asset, limit=limit),
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a number, and the number to ask with next."""

    number: int
    tickets: tuple[int, ...]
    problems: tuple[int, ...]


def change_number(conn: Connection) -> int:
    """The number that rises with every change of tickets and problems."""
    return conn.execute(_CHANGE).scalar() or 0


_CHANGE = select(t.counter.c.value).where(t.counter.c.name == "change")


def changes_since(conn: Connection, number: int) -> Changes:
    """The tickets and problems that changed after `number`; one indexed look where nothing did."""
    now = change_number(conn)
    if now == number:
        return Changes(now, (), ())
    touched = select(t.ticket.c.id).where(t.ticket.c.change > number).order_by(t.ticket.c.change)
    moved = select(t.problem.c.id).where(t.problem.c.change > number).order_by(t.problem.c.change)
    return Changes(now, tuple(conn.execute(touched).scalars()), tuple(conn.execute(moved).scalars()))


@dataclass(frozen=True, slots=True)
class Metrics:
    """What ticketing has done. findings = duplicates + opened + joined + reopened + late + cleared + held + suppressed."""

    by_state: Mapping[TicketState, int]
    findings: int
    duplicates: int
    opened: int
    joined: int
    reopened: int
    late: int
    cleared: int
    held: int
    suppressed: int
    failures: int
    problems_open: int
    triaged: int
    triage_s: int

    @property
    def folded(self) -> int:
        """Findings that opened no ticket because one was there."""
        return self.joined + self.reopened


def metrics(conn: Connection) -> Metrics:
    """The counts of ticketing so far."""
    counted = _counters(conn, "count.%")
    names = (
        *("findings", "duplicates", "opened", "joined", "reopened", "late", "cleared", "held", "suppressed"),
        *("failures", "triaged", "triage_s"),
    )
    still_open = select(func.count()).where(t.problem.c.state != ProblemState.CLOSED)
    return Metrics(
        by_state=counts(conn, ()),
        problems_open=conn.execute(still_open).scalar_one(),
        **{name: counted.get(f"count.{name}", 0) for name in names},
    )


def _counters(conn: Connection, like: str) -> dict[str, int]:
    wanted = select(t.counter.c.name, t.counter.c.value).where(t.counter.c.name.like(like))
    return {row[0]: row[1] for row in conn.execute(wanted)}
