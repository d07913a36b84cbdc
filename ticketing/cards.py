"""Tickets as cards of a board: of each only what a card shows, since hundreds of them are read at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import Connection, Row, func, select

from andon.events import Priority
from ticketing import tables as t
from ticketing.clock_tables import clock
from ticketing.listing import ORDERS, SINCE_NS, Filter, Sort, tickets, wheres_of
from ticketing.sql import chunks
from ticketing.ticket import TicketState
from ticketing.urgency import ORDER


class _Said(msgspec.Struct):
    text: dict[str, str] = {}


_SAID = msgspec.json.Decoder(_Said)


@dataclass(frozen=True, slots=True)
class Card:
    """One ticket. `since_ns`: in its state since then; `due_ns` of the clock that ends next, which allows `limit_ns`."""

    id: int
    number: str
    priority: Priority
    state: TicketState
    asset: str
    line: str
    condition: str
    message: str
    assignee: str | None
    occurrence_count: int
    since_ns: int
    due_ns: int | None
    limit_ns: int


@dataclass(frozen=True, slots=True)
class Column:
    """The cards of one state, at most so many as were asked for, and how many tickets there are in it."""

    state: TicketState
    cards: Sequence[Card]
    total: int


_C = t.ticket.c
_SHOWN = (
    *(_C.id, _C.number, _C.priority, _C.asset, _C.line, _C.condition, _C.headline),
    *(_C.assignee, _C.occurrence_count),
)
_SPEAKS = '"message"'
"""What the headline of a ticket has in it if a machine or a person put it in words."""


def columns(conn: Connection, wanted: Filter, limit: int) -> Sequence[Column]:
    """The board: of each state the most urgent tickets that fit, of the closed the newest; at most `limit` each."""
    counted = tickets(conn, replace(wanted, states=()), limit=0).counts
    wished = wanted.states or tuple(TicketState)
    rows = {state: _of_state(conn, wanted, state, limit) for state in wished}
    dues = _dues(conn, [row.id for state in wished for row in rows[state] if state is not TicketState.CLOSED])
    return [
        Column(state, [_card(row, state, dues.get(row.id)) for row in rows[state]], counted[state])
        for state in wished
    ]


def due_cards(conn: Connection, wanted: Filter, until_ns: int, limit: int) -> Sequence[Card]:
    """Open tickets of which a clock ends before then, the first to end first."""
    c = clock.c
    ends = select(func.min(c.due_ns)).where(c.ticket == _C.id, c.ended_ns.is_(None)).scalar_subquery()
    states = [str(one) for one in wanted.states or TicketState if one is not TicketState.CLOSED]
    chosen = select(*_SHOWN, _C.state, SINCE_NS.label("since_ns")).where(
        *wheres_of(wanted), _C.state.in_(states), ends < until_ns
    )
    if wanted.text.strip():
        found = tickets(conn, wanted, sort=Sort.DUE, limit=limit).tickets
        chosen = chosen.where(_C.id.in_([one.id for one in found]))
    rows = conn.execute(chosen.order_by(ends, _C.id).limit(limit)).all()
    dues = _dues(conn, [row.id for row in rows])
    return [_card(row, TicketState(row.state), dues.get(row.id)) for row in rows]


def _of_state(conn: Connection, wanted: Filter, state: TicketState, limit: int) -> Sequence[Row[Any]]:
    order = Sort.NEWEST if state is TicketState.CLOSED else Sort.URGENCY
    chosen = select(*_SHOWN, SINCE_NS.label("since_ns")).order_by(*ORDERS[order])
    if wanted.text.strip():
        found = tickets(conn, replace(wanted, states=(state,)), sort=order, limit=limit).tickets
        return conn.execute(chosen.where(_C.id.in_([one.id for one in found]))).all()
    return conn.execute(chosen.where(*wheres_of(wanted), _C.state == str(state)).limit(limit)).all()


def _dues(conn: Connection, ticket_ids: Sequence[int]) -> Mapping[int, tuple[int, int]]:
    """When the clock of each ticket ends that ends next, and how long it allows."""
    c = clock.c
    found: dict[int, tuple[int, int]] = {}
    for some in chunks(ticket_ids):
        running = c.ticket.in_(some), c.ended_ns.is_(None), c.due_ns.is_not(None)
        for row in conn.execute(select(c.ticket, c.due_ns, c.limit_ns).where(*running)):
            due = (row.due_ns, row.limit_ns)
            found[row.ticket] = min(found.get(row.ticket, due), due)
    return found


def _card(row: Row[Any], state: TicketState, due: tuple[int, int] | None) -> Card:
    speaks = _SPEAKS in row.headline
    return Card(
        id=row.id,
        number=row.number,
        priority=ORDER[row.priority],
        state=state,
        asset=row.asset,
        line=row.line,
        condition=row.condition,
        message=_SAID.decode(row.headline).text.get("message", "") if speaks else "",
        assignee=row.assignee,
        occurrence_count=row.occurrence_count,
        since_ns=row.since_ns,
        due_ns=due[0] if due else None,
        limit_ns=due[1] if due else 1,
    )
