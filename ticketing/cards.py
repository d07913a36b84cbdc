"""Tickets as cards of a board: of each only what a card shows, since hundreds of them are read at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec
from sqlalchemy import ColumnElement, Connection, Row, bindparam, select

from andon.events import Priority
from ticketing import tables as t
from ticketing.clock_tables import clock
from ticketing.listing import ORDERS, SINCE_NS, Filter, Sort, counts, tickets, wheres_of
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
    said: Mapping[str, str]
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
_RUNS = clock.c.ticket == _C.id, clock.c.ended_ns.is_(None), clock.c.due_ns.is_not(None)
_NEXT = select(clock.c.due_ns).where(*_RUNS).order_by(clock.c.due_ns, clock.c.kind).limit(1)
_DUE_NS = _NEXT.scalar_subquery()
_LIMIT_NS = _NEXT.with_only_columns(clock.c.limit_ns).scalar_subquery()
_CARD = select(
    *(_C.id, _C.number, _C.priority, _C.state, _C.asset, _C.line, _C.condition, _C.headline),
    *(_C.assignee, _C.occurrence_count),
    *(SINCE_NS.label("since_ns"), _DUE_NS.label("due_ns"), _LIMIT_NS.label("limit_ns")),
)
_SPEAKS = '"message"'
"""What the headline of a ticket has in it if a machine or a person put it in words."""


def _is(state: TicketState) -> ColumnElement[bool]:
    """In that state. Closed is said as none of the others: asked for it, SQLite sorts all that are to find the newest."""
    if state is not TicketState.CLOSED:
        return _C.state == str(state)
    return _C.state.not_in([str(one) for one in TicketState if one is not TicketState.CLOSED])


_ORDER = {state: Sort.NEWEST if state is TicketState.CLOSED else Sort.URGENCY for state in TicketState}
_PILES = {
    state: _CARD.where(_is(state)).order_by(*ORDERS[_ORDER[state]]).limit(bindparam("most"))
    for state in TicketState
}
"""The question for each column, made once: a board asks five of them every time somebody looks."""


def columns(conn: Connection, wanted: Filter, limit: int) -> Sequence[Column]:
    """The board: of each state the most urgent tickets that fit, of the closed the newest; at most `limit` each."""
    wished = wanted.states or tuple(TicketState)
    if wanted.text.strip():
        counted = tickets(conn, replace(wanted, states=()), limit=0).counts
        return [Column(state, _worded(conn, wanted, state, limit), counted[state]) for state in wished]
    wheres = wheres_of(wanted)
    counted = counts(conn, wheres)
    there = [state for state in wished if counted[state]]
    piles = {state: _PILES[state].where(*wheres) if wheres else _PILES[state] for state in there}
    found = {
        state: [_card(row) for row in conn.execute(pile, {"most": limit})] for state, pile in piles.items()
    }
    return [Column(state, found.get(state, ()), counted[state]) for state in wished]


def _worded(conn: Connection, wanted: Filter, state: TicketState, limit: int) -> Sequence[Card]:
    """Of one state those with all the words."""
    order = _ORDER[state]
    named = tickets(conn, replace(wanted, states=(state,)), sort=order, limit=limit).tickets
    chosen = _CARD.where(_C.id.in_([one.id for one in named])).order_by(*ORDERS[order])
    return [_card(row) for row in conn.execute(chosen)]


def due_cards(conn: Connection, wanted: Filter, until_ns: int, limit: int) -> Sequence[Card]:
    """Open tickets of which a clock ends before then, the first to end first."""
    states = [str(one) for one in wanted.states or TicketState if one is not TicketState.CLOSED]
    chosen = _CARD.where(*wheres_of(wanted), _C.state.in_(states), until_ns > _DUE_NS)
    if wanted.text.strip():
        found = tickets(conn, wanted, sort=Sort.DUE, limit=limit).tickets
        chosen = chosen.where(_C.id.in_([one.id for one in found]))
    return [_card(row) for row in conn.execute(chosen.order_by(_DUE_NS, _C.id).limit(limit))]


def _card(row: Row[*tuple[Any, ...]]) -> Card:
    speaks, is_open = _SPEAKS in row.headline, row.state != TicketState.CLOSED
    return Card(
        id=row.id,
        number=row.number,
        priority=ORDER[row.priority],
        state=TicketState(row.state),
        asset=row.asset,
        line=row.line,
        condition=row.condition,
        said=_SAID.decode(row.headline).text if speaks else {},
        assignee=row.assignee,
        occurrence_count=row.occurrence_count,
        since_ns=row.since_ns,
        due_ns=row.due_ns if is_open else None,
        limit_ns=row.limit_ns or 1,
    )
