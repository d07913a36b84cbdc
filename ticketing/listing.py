"""Lists of tickets: by filters and words, in an order, a page at a time, with how many there are in each state."""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, case, func, select

from andon.database import Machines, among, behind
from andon.events import HOUR_NS, Priority
from ticketing import tables as t
from ticketing.clock_tables import clock
from ticketing.report import telephone
from ticketing.rows import ticket_of
from ticketing.search import MOST, newest, words_of
from ticketing.ticket import Ticket, TicketState
from ticketing.urgency import ORDER

_CLOSED = TicketState.CLOSED
STUCK_NS = 2 * HOUR_NS
"""So long in one state, and a ticket is stuck (rule 32)."""
NEVER_NS = 2**62
"""Where what is never due stands among what is due."""
_TELEPHONE = re.compile(r"[\d\s()+./-]{7,}")
"""What may be a telephone number, however it is written; tickets hold it as digits."""


class Sort(StrEnum):
    """How a list of tickets is ordered."""

    URGENCY = "urgency"
    LAST_EVENT = "last_event"
    NEWEST = "newest"
    OLDEST = "oldest"
    DUE = "due"


_NEXT_DUE = (
    select(func.min(clock.c.due_ns))
    .where(clock.c.ticket == t.ticket.c.id, clock.c.ended_ns.is_(None))
    .scalar_subquery()
)
SINCE_NS: ColumnElement[int] = func.coalesce(
    select(func.max(clock.c.from_ns))
    .where(clock.c.ticket == t.ticket.c.id, clock.c.kind == "dwell", clock.c.ended_ns.is_(None))
    .scalar_subquery(),
    case(
        (t.ticket.c.state == "assigned", t.ticket.c.assigned_ns),
        (t.ticket.c.state == "in_progress", t.ticket.c.accepted_ns),
        (t.ticket.c.state == "resolved", t.ticket.c.resolved_ns),
        (t.ticket.c.state == "closed", t.ticket.c.closed_ns),
    ),
    t.ticket.c.opened_ns,
)
"""Since when a ticket is in its state: as its clock says, else by the step that led there."""

ORDERS: Mapping[Sort, tuple[ColumnElement[Any], ...]] = {
    Sort.URGENCY: (t.ticket.c.priority.desc(), t.ticket.c.last_event_ns.desc(), t.ticket.c.id.desc()),
    Sort.LAST_EVENT: (t.ticket.c.last_event_ns.desc(), t.ticket.c.id.desc()),
    Sort.NEWEST: (t.ticket.c.id.desc(),),
    Sort.OLDEST: (t.ticket.c.id,),
    Sort.DUE: (func.coalesce(_NEXT_DUE, NEVER_NS), t.ticket.c.id),
}


Place = tuple[Any, ...]
"""Where a ticket stands in a list of an order: its values of what the list is ordered by."""
_PLACES: Mapping[Sort, Callable[[RowMapping], Place]] = {
    Sort.URGENCY: lambda row: (row["priority"], row["last_event_ns"], row["id"]),
    Sort.LAST_EVENT: lambda row: (row["last_event_ns"], row["id"]),
    Sort.NEWEST: lambda row: (row["id"],),
    Sort.OLDEST: lambda row: (row["id"],),
    Sort.DUE: lambda row: (NEVER_NS if row["next_due_ns"] is None else row["next_due_ns"], row["id"]),
}
_FALLING = frozenset({Sort.URGENCY, Sort.LAST_EVENT, Sort.NEWEST})
"""The orders whose places fall from page to page; in the others they rise."""


@dataclass(frozen=True, slots=True)
class Filter:
    """Which tickets; what is empty does not restrict. `text`: all of its words, see `ticketing.search`.

    `machines` are those that whoever asks sees: no other ticket is listed, counted or found. `area` are those of one
    area. `stuck_ns`: open ones that entered their state at that moment or before.
    """

    states: tuple[TicketState, ...] = ()
    asset: str = ""
    line: str = ""
    text: str = ""
    priority: Priority | None = None
    person: str = ""
    overdue: bool = False
    type: str = ""
    area: Machines = None
    stuck_ns: int | None = None
    machines: Machines = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of tickets. `counts` has every state, under the same filter without its states.

    With words, the closed are counted only where they are asked for. `capped`: there are more of them with these words
    than were looked at; the newest were. `last` is where the next page begins behind, None if there is none.
    """

    tickets: tuple[Ticket, ...]
    total: int
    counts: Mapping[TicketState, int]
    capped: bool = False
    last: Place | None = None


def place_kinds(sort: Sort) -> tuple[type, ...]:
    """What a place in that order is made of."""
    return tuple(int for _ in ORDERS[sort])


def tickets(
    conn: Connection,
    wanted: Filter = Filter(),
    *,
    sort: Sort = Sort.URGENCY,
    limit: int = 50,
    offset: int = 0,
    after: Place | None = None,
) -> Page:
    """One page of the tickets wanted, and how many there are in each state. Only what is open is due.

    It begins behind the place `after`, which is a page's `last`, or after so many as `offset` says.
    """
    if sort is Sort.DUE and not wanted.states:
        wanted = replace(wanted, states=tuple(state for state in TicketState if state is not _CLOSED))
    if wanted.text.strip():
        shown = slice(offset, offset + limit)
        page = _searched(conn, wanted, sort, shown, after)
        if page.total or _TELEPHONE.fullmatch(wanted.text) is None:
            return page
        return _searched(conn, replace(wanted, text=telephone(wanted.text)), sort, shown, after)
    wheres = wheres_of(wanted)
    counted = counts(conn, wheres)
    rows = select(t.ticket).where(*wheres, behind(ORDERS[sort], after)).order_by(*ORDERS[sort])
    if sort is Sort.DUE:
        rows = rows.add_columns(_NEXT_DUE.label("next_due_ns"))
    if wanted.states:
        rows = rows.where(t.ticket.c.state.in_(wanted.states))
    found = conn.execute(rows.limit(limit + 1).offset(offset)).mappings().all() if limit else []
    return Page(
        tickets=tuple(ticket_of(row) for row in found[:limit]),
        total=sum(counted[state] for state in wanted.states or TicketState),
        counts=counted,
        last=_PLACES[sort](found[limit - 1]) if len(found) > limit else None,
    )


def _searched(conn: Connection, wanted: Filter, sort: Sort, shown: slice, after: Place | None) -> Page:
    """The same by words: all that are open are looked through, of the closed those that the index names."""
    c, words = t.ticket.c, words_of(wanted.text)
    holds = [*wheres_of(wanted), *(c.search.contains(word, autoescape=True) for word in words)]
    chosen = select(c.id, c.state, c.priority, c.last_event_ns).where(*holds)
    if sort is Sort.DUE:
        chosen = chosen.add_columns(_NEXT_DUE.label("next_due_ns"))
    found = [*conn.execute(chosen.where(c.state != _CLOSED)).mappings()]
    named = newest(conn, words, wanted.machines) if not wanted.states or _CLOSED in wanted.states else ()
    if named:
        rows_named = conn.execute(chosen.where(c.id.in_(named))).mappings()
        found += [  # asked for the state too, SQLite reads all closed
            row for row in rows_named if row["state"] == _CLOSED
        ]
    counted = Counter(row["state"] for row in found)
    place, falls = _PLACES[sort], sort in _FALLING
    fits = [row for row in found if not wanted.states or row["state"] in wanted.states]
    listed = sorted(fits, key=place, reverse=falls)
    if after is not None:
        listed = [row for row in listed if (place(row) < after if falls else place(row) > after)]
    ids = [row["id"] for row in listed[shown]]
    rows = select(t.ticket).where(c.id.in_(ids)).order_by(*ORDERS[sort])
    return Page(
        tickets=tuple(ticket_of(row) for row in conn.execute(rows).mappings()),
        total=len(fits),
        counts={state: counted[state] for state in TicketState},
        capped=len(named) == MOST,
        last=place(listed[shown][-1]) if ids and listed[shown.stop :] else None,
    )


def counts(conn: Connection, wheres: Sequence[ColumnElement[bool]]) -> dict[TicketState, int]:
    """How many of these tickets are in each state.

    Of all tickets the closed are not counted: no ticket is ever taken away, so they are the rest of the last number.
    """
    states = _COUNTS.where(*wheres) if wheres else _UNCLOSED_COUNTS
    found: dict[str, int] = {row[0]: row[1] for row in conn.execute(states)}
    if not wheres:
        found[_CLOSED] = _numbered(conn) - sum(found.values())
    return {state: found.get(state, 0) for state in TicketState}


_COUNTS = select(t.ticket.c.state, func.count()).group_by(t.ticket.c.state)
_UNCLOSED_COUNTS = _COUNTS.where(
    t.ticket.c.state.in_([state for state in TicketState if state is not _CLOSED])
)


def wheres_of(wanted: Filter) -> list[ColumnElement[bool]]:
    """The filter as SQL, but for its states and words."""
    c = t.ticket.c
    wheres: list[ColumnElement[bool]] = [
        column == value
        for column, value in (
            *((c.asset, wanted.asset), (c.line, wanted.line)),
            *((c.assignee, wanted.person), (c.type, wanted.type)),
        )
        if value
    ]
    if wanted.area is not None:
        wheres.append(among(c.asset, wanted.area))
    if wanted.stuck_ns is not None:
        wheres += [c.state != _CLOSED, wanted.stuck_ns >= SINCE_NS]
    if wanted.priority is not None:
        wheres.append(c.priority == ORDER.index(wanted.priority))
    if wanted.machines is not None:
        wheres.append(among(c.asset, wanted.machines))
    if wanted.overdue:
        wheres.append(c.id.in_(select(clock.c.ticket).where(clock.c.late.is_(True))))
    return wheres


def _numbered(conn: Connection) -> int:
    """How many tickets there have ever been."""
    return conn.execute(_LAST).scalar() or 0


_LAST = select(t.counter.c.value).where(t.counter.c.name == "ticket")
