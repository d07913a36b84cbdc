"""What can be asked about tickets: frozen answers for the console, the API and the reports.

Every function takes a connection and reads one snapshot; nothing here writes. `metadata` holds the tables.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Select, func, select

from andon.events import Declared, Json, Priority
from ticketing import approvals, obligations, ratings, requisitions
from ticketing import tables as t
from ticketing.approvals import Approval
from ticketing.audit import Responsibility, responsibility
from ticketing.demands import Given
from ticketing.errors import Missing, TicketNotFound
from ticketing.links import Linked, links
from ticketing.nodes import Node, nodes
from ticketing.obligations import Obligation
from ticketing.outcomes import proposed
from ticketing.problem import Problem, ProblemState
from ticketing.problem_store import of_ticket as problems_of_ticket
from ticketing.problem_store import problem, problems
from ticketing.ratings import Rating
from ticketing.requisitions import Requisition
from ticketing.rows import event_of, occurrence_of, photo_of, ticket_of
from ticketing.search import MOST, newest, words_of
from ticketing.states import Step, next_steps
from ticketing.stepping import known
from ticketing.tables import metadata
from ticketing.ticket import (
    FoldRule,
    Occurrence,
    Photo,
    Ticket,
    TicketEvent,
    TicketState,
)
from ticketing.urgency import ORDER

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
    "changes_since",
    "evidence",
    "late",
    "metadata",
    "metrics",
    "occurrences",
    "problem",
    "problems",
    "ticket",
    "tickets",
]

_CLOSED = TicketState.CLOSED
_DRAWN_FROM = 20  # newest findings with evidence that a ticket's page looks through


class Sort(StrEnum):
    """How a list of tickets is ordered."""

    URGENCY = "urgency"
    LAST_EVENT = "last_event"
    NEWEST = "newest"
    OLDEST = "oldest"
    DUE = "due"


_NEXT_DUE = (
    select(func.min(t.clock.c.due_ns))
    .where(t.clock.c.ticket == t.ticket.c.id, t.clock.c.ended_ns.is_(None))
    .scalar_subquery()
)
_ORDERS: Mapping[Sort, tuple[ColumnElement[Any], ...]] = {
    Sort.URGENCY: (t.ticket.c.priority.desc(), t.ticket.c.last_event_ns.desc(), t.ticket.c.id.desc()),
    Sort.LAST_EVENT: (t.ticket.c.last_event_ns.desc(), t.ticket.c.id.desc()),
    Sort.NEWEST: (t.ticket.c.id.desc(),),
    Sort.OLDEST: (t.ticket.c.id,),
    Sort.DUE: (func.coalesce(_NEXT_DUE, 2**62), t.ticket.c.id),
}


_KEYS: Mapping[Sort, Callable[[Any], tuple[int, ...]]] = {
    Sort.URGENCY: lambda row: (-row.priority, -row.last_event_ns, -row.id),
    Sort.LAST_EVENT: lambda row: (-row.last_event_ns, -row.id),
    Sort.NEWEST: lambda row: (-row.id,),
    Sort.OLDEST: lambda row: (row.id,),
}
"""The same orders for rows that were read."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tickets; what is empty does not restrict. `text`: all of its words, see `ticketing.search`."""

    states: tuple[TicketState, ...] = ()
    asset: str = ""
    line: str = ""
    text: str = ""
    priority: Priority | None = None
    person: str = ""
    overdue: bool = False


@dataclass(frozen=True, slots=True)
class Page:
    """One page of tickets. `counts` has every state, under the same filter without its states.

    With words, the closed are counted only where they are asked for. `capped`: there are more of them with these words
    than were looked at; the newest were.
    """

    tickets: tuple[Ticket, ...]
    total: int
    counts: Mapping[TicketState, int]
    capped: bool = False


def tickets(
    conn: Connection,
    wanted: Filter = Filter(),
    *,
    sort: Sort = Sort.URGENCY,
    limit: int = 50,
    offset: int = 0,
) -> Page:
    """One page of the tickets wanted, and how many there are in each state."""
    if wanted.text.strip():
        return _searched(conn, wanted, sort, slice(offset, offset + limit))
    wheres = _wheres(wanted)
    counts = _counts(conn, wheres)
    rows = select(t.ticket).where(*wheres).order_by(*_ORDERS[sort]).limit(limit).offset(offset)
    if wanted.states:
        rows = rows.where(t.ticket.c.state.in_(wanted.states))
    return Page(
        tickets=tuple(ticket_of(row) for row in conn.execute(rows).mappings()),
        total=sum(counts[state] for state in wanted.states or TicketState),
        counts=counts,
    )


def _searched(conn: Connection, wanted: Filter, sort: Sort, shown: slice) -> Page:
    """The same by words: all that are open are looked through, of the closed those that the index names."""
    c, words = t.ticket.c, words_of(wanted.text)
    holds = [*_wheres(wanted), *(c.search.contains(word, autoescape=True) for word in words)]
    chosen = select(c.id, c.state, c.priority, c.last_event_ns).where(*holds)
    found = [*conn.execute(chosen.where(c.state != _CLOSED))]
    index = newest(conn.dialect.name, words) if not wanted.states or _CLOSED in wanted.states else None
    named = [] if index is None else conn.execute(index).scalars().all()
    if named:
        found += conn.execute(chosen.where(c.state == _CLOSED, c.id.in_(named)))
    counted = Counter(row.state for row in found)
    listed = sorted(
        (row for row in found if not wanted.states or row.state in wanted.states), key=_KEYS[sort]
    )
    ids = [row.id for row in listed[shown]]
    rows = select(t.ticket).where(c.id.in_(ids)).order_by(*_ORDERS[sort])
    return Page(
        tickets=tuple(ticket_of(row) for row in conn.execute(rows).mappings()),
        total=len(listed),
        counts={state: counted[state] for state in TicketState},
        capped=len(named) == MOST,
    )


def _counts(conn: Connection, wheres: Sequence[ColumnElement[bool]]) -> dict[TicketState, int]:
    """How many of these tickets are in each state.

    Of all tickets the closed are not counted: no ticket is ever taken away, so they are the rest of the last number.
    """
    states = select(t.ticket.c.state, func.count()).where(*wheres).group_by(t.ticket.c.state)
    if not wheres:
        states = states.where(t.ticket.c.state.in_([state for state in TicketState if state is not _CLOSED]))
    found: dict[str, int] = {row[0]: row[1] for row in conn.execute(states)}
    if not wheres:
        found[_CLOSED] = _counters(conn, "ticket").get("ticket", 0) - sum(found.values())
    return {state: found.get(state, 0) for state in TicketState}


def _wheres(wanted: Filter) -> list[ColumnElement[bool]]:
    c = t.ticket.c
    wheres: list[ColumnElement[bool]] = [
        column == value
        for column, value in ((c.asset, wanted.asset), (c.line, wanted.line), (c.assignee, wanted.person))
        if value
    ]
    if wanted.priority is not None:
        wheres.append(c.priority == ORDER.index(wanted.priority))
    if wanted.overdue:
        wheres.append(c.id.in_(select(t.clock.c.ticket).where(t.clock.c.late.is_(True))))
    return wheres


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
    conn: Connection, ticket_id: int, *, limit: int = 200, offset: int = 0
) -> tuple[Occurrence, ...]:
    """What was folded into a ticket, newest first, each with the rule that put it there."""
    c = t.occurrence.c
    wanted = (
        select(t.occurrence)
        .where(c.ticket == ticket_id)
        .order_by(c.at_ns.desc(), c.finding)
        .limit(limit)
        .offset(offset)
    )
    return tuple(occurrence_of(row) for row in conn.execute(wanted).mappings())


def late(conn: Connection, *, limit: int = 200, offset: int = 0) -> tuple[Occurrence, ...]:
    """What came too late (by default more than a day) and so opened nothing, newest first."""
    c = t.occurrence.c
    wanted = select(t.occurrence).where(c.rule == FoldRule.LATE).order_by(c.at_ns.desc(), c.finding)
    wanted = wanted.limit(limit).offset(offset)
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
    """All past work on a machine (rule 66): tickets newest first, problems, and how often it failed."""

    asset: str
    tickets: tuple[Ticket, ...]
    problems: tuple[Problem, ...]
    failures: int


def asset_history(conn: Connection, asset: str, *, limit: int = 200) -> AssetHistory:
    """The history of one machine."""
    found = tickets(conn, Filter(asset=asset), sort=Sort.NEWEST, limit=limit)
    failures = select(func.count()).where(t.failure.c.asset == asset)
    return AssetHistory(
        asset, found.tickets, problems(conn, asset=asset), conn.execute(failures).scalar_one()
    )


@dataclass(frozen=True, slots=True)
class Changes:
    """What changed since a number, and the number to ask with next."""

    number: int
    tickets: tuple[int, ...]
    problems: tuple[int, ...]


def changes_since(conn: Connection, number: int) -> Changes:
    """The tickets and problems that changed after `number`; one indexed look where nothing did."""
    now = _counters(conn, "change").get("change", 0)
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

    @property
    def folded(self) -> int:
        """Findings that opened no ticket because one was there."""
        return self.joined + self.reopened


def metrics(conn: Connection) -> Metrics:
    """The counts of ticketing so far."""
    counted = _counters(conn, "count.%")
    names = (
        *("findings", "duplicates", "opened", "joined", "reopened", "late", "cleared", "held", "suppressed"),
        "failures",
    )
    still_open = select(func.count()).where(t.problem.c.state != ProblemState.CLOSED)
    return Metrics(
        by_state=_counts(conn, ()),
        problems_open=conn.execute(still_open).scalar_one(),
        **{name: counted.get(f"count.{name}", 0) for name in names},
    )


def _counters(conn: Connection, like: str) -> dict[str, int]:
    wanted = select(t.counter.c.name, t.counter.c.value).where(t.counter.c.name.like(like))
    return {row[0]: row[1] for row in conn.execute(wanted)}
