"""A merge is taken back: what lay on the duplicate, and what has come for its keys since, lies on it again."""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any, Unpack

from sqlalchemy import BindParameter, RowMapping, bindparam, delete, select, update

from ticketing.book import Book, lock_assets
from ticketing.dispatch import ask_again
from ticketing.errors import KeyTaken, Missing, NoEdge, StepRefused
from ticketing.moving import with_words
from ticketing.recall import Alarm
from ticketing.rows import headline_of_row
from ticketing.service import By, Tickets
from ticketing.stepping import CONSOLE, look
from ticketing.tables import (
    activation,
    alarm,
    dedup_key,
    failure,
    master,
    merged_key,
    occurrence,
    problem_link,
)
from ticketing.ticket import Closure, SubState, Ticket, TicketState

_FROM: BindParameter[Any] = bindparam("_from")
_KEY: BindParameter[Any] = bindparam("_key")
_NAME: BindParameter[Any] = bindparam("_name")
_BACK = (
    update(occurrence).where(occurrence.c.ticket == _FROM, occurrence.c.finding == _NAME),
    update(activation).where(activation.c.ticket == _FROM, activation.c.finding == _NAME),
    update(failure).where(failure.c.ticket == _FROM, failure.c.finding == _NAME),
    update(problem_link).where(problem_link.c.ticket == _FROM, problem_link.c.failure == _NAME),
)
_ALARM_BACK = update(alarm).where(alarm.c.id == _NAME)
_MASTER_BACK = (
    update(master).where(master.c.ticket == _FROM, master.c.key == _KEY).values(open=master.c.exclusive)
)
_STAND_AGAIN = (
    update(activation)
    .where(activation.c.ticket == bindparam("_ticket"), activation.c.ended_by_repair.is_(True))
    .values(ended_by_repair=False, clear_ns=None)
)
"""The other ticket's repair was none of this cause."""
_LAST_BACK = update(dedup_key).where(dedup_key.c.last_ticket == _FROM, dedup_key.c.key == _KEY)


def take_back(
    tickets: Tickets, ticket_id: int, *, reason: str, evidence: Sequence[str], **by: Unpack[By]
) -> Ticket:
    """`unmerge` as a deed of its own; gives the ticket that goes on."""
    with tickets.transaction(by["now_ns"]) as book:
        duplicate = look(book, by["expected_version"], ticket_id)
        lock_assets(book.conn, [book.ticket(one).asset for one in _merged_into(book, duplicate)])
        channel = by.get("channel", CONSOLE)
        opened, _ = unmerge(
            book, duplicate, reason=reason, evidence=evidence, actor=by["actor"], channel=channel
        )
    return opened


def unmerge(
    book: Book, duplicate: Ticket, *, reason: str, evidence: Sequence[str], actor: str, channel: str
) -> tuple[Ticket, Ticket]:
    """Open a duplicate again with its keys, occurrences, alarms and failures; gives it and the ticket that held them.

    It goes on where work can go on: with its person, else at dispatch. Anchors stay what they were, so I1 holds.
    NoEdge for what is no duplicate, StepRefused without reason and evidence, KeyTaken if another ticket has been opened
    for one of its causes since: one of the two has to be merged first (I2).
    """
    if duplicate.closure is not Closure.DUPLICATE or duplicate.duplicate_of is None:
        raise NoEdge(duplicate.state, "unmerge", ())
    lacks = [Missing("reason")] if not reason.strip() else []
    lacks += [] if any(one.strip() for one in evidence) else [Missing("evidence")]
    if lacks:
        raise StepRefused("unmerge", duplicate.state, lacks)
    holder = _holder(book, duplicate)
    belongs = _Belongs(book, duplicate, holder)
    if belongs.taken_by is not None:
        raise KeyTaken(duplicate.id, belongs.taken_by)
    back, left = (_part(book, holder, belongs, it_does=it_does) for it_does in (True, False))
    said = partial(book.record, actor=actor, channel=channel, reason=reason)
    opened = said(_again(duplicate, back), action="unmerged", evidence=(*evidence, holder.number))
    rest = with_words(holder, left.words, alarm_active=left.stands)
    kept = said(rest, action="unmerged_from", evidence=(*evidence, duplicate.number))
    _move(book, duplicate, holder, belongs, back)
    if opened.state is TicketState.PENDING_DISPATCH:
        ask_again(book, opened, "reopened")
    who = (opened.assignee or "dispatch", opened.backup)
    book.tell(opened, "ticket.unmerged", who, {"reason": kept.number, "actor": actor})
    return opened, kept


def _holder(book: Book, duplicate: Ticket) -> Ticket:
    """The ticket that has what the duplicate had."""
    return book.ticket(_merged_into(book, duplicate)[-1])


def _merged_into(book: Book, duplicate: Ticket) -> list[int]:
    """The ticket that it was merged into, the one that this was merged into, and so on."""
    way: list[int] = []
    held = duplicate
    while held.duplicate_of is not None:
        held = book.ticket(held.duplicate_of)
        way.append(held.id)
    return way


class _Belongs:
    """What of a ticket belongs to the duplicate: its keys; of a key that both hold, what is nearer to its own anchor."""

    def __init__(self, book: Book, duplicate: Ticket, holder: Ticket) -> None:
        conn, c = book.conn, master.c
        noted = select(merged_key.c.key).where(merged_key.c.ticket == duplicate.id)
        rows = conn.execute(select(master).where(c.key.in_(noted))).all()
        self._own = {row.key: row.anchor_ns for row in rows if row.ticket == duplicate.id}
        self._there = {row.key: row.anchor_ns for row in rows if row.ticket == holder.id}
        self.moved = sorted(self._there.keys() - self._own.keys())
        others = [row for row in rows if row.open and row.ticket not in {duplicate.id, holder.id}]
        self.taken_by: int | None = next((row.ticket for row in others if row.key in self._there), None)

    def __call__(self, key: str, at_ns: int | None) -> bool:
        if key not in self._own or key not in self._there:
            return key in self._there
        return at_ns is not None and abs(at_ns - self._own[key]) < abs(at_ns - self._there[key])


class _Part:
    """One side of what lies on a ticket: the names of its findings and alarms, its words, whether anything stands."""

    def __init__(self, rows: Sequence[RowMapping], alarms: Sequence[RowMapping]) -> None:
        self.names = [row["finding"] for row in rows]
        self.alarms = [row["id"] for row in alarms]
        self.words = [headline_of_row(row) for row in rows if row["action"] != "clear"]
        self.stands = any(Alarm(row["raise_ns"], row["clear_ns"]).stands for row in alarms)


def _part(book: Book, holder: Ticket, belongs: _Belongs, *, it_does: bool) -> _Part:
    said = book.conn.execute(select(occurrence).where(occurrence.c.ticket == holder.id)).mappings()
    rows = [row for row in said if belongs(row["key"], row["at_ns"]) is it_does]
    found = book.conn.execute(select(alarm).where(alarm.c.ticket == holder.id)).mappings()
    alarms = [row for row in found if belongs(row["key"], row["raise_ns"] or row["clear_ns"]) is it_does]
    return _Part(rows, alarms)


def _again(duplicate: Ticket, part: _Part) -> Ticket:
    """The duplicate as it was before it was merged: in progress if it had been accepted, else with its person, if any."""
    state, sub_state = TicketState.PENDING_DISPATCH, None
    if duplicate.assignee is not None:
        state = TicketState.ASSIGNED
    if duplicate.accepted_ns is not None:
        state, sub_state = TicketState.IN_PROGRESS, SubState.SITE_SURVEY
    opened = replace(
        duplicate,
        state=state,
        sub_state=sub_state,
        closed_ns=None,
        closure=None,
        closure_note="",
        outcome=None,
        approver=None,
        duplicate_of=None,
    )
    return with_words(opened, part.words, alarm_active=part.stands)


def _move(book: Book, duplicate: Ticket, holder: Ticket, belongs: _Belongs, part: _Part) -> None:
    way = _merged_into(book, duplicate)
    here = {"_from": holder.id, "ticket": duplicate.id}
    for name in part.names:
        for statement in _BACK:
            book.later(statement, here | {"_name": name})
    for name in part.alarms:
        book.later(_ALARM_BACK, {"_name": name, "ticket": duplicate.id})
    for key in belongs.moved:
        book.later(_MASTER_BACK, here | {"_key": key})
        book.later(_LAST_BACK, {"_from": holder.id, "_key": key, "last_ticket": duplicate.id})
    if holder.settled_ns is not None:
        book.later(_STAND_AGAIN, {"_ticket": duplicate.id})
    noted = merged_key.c
    its_own = select(noted.key).where(noted.ticket == duplicate.id)
    others = delete(merged_key).where(noted.ticket.in_(way), noted.key.in_(its_own))
    book.conn.execute(others)
    book.conn.execute(delete(merged_key).where(noted.ticket == duplicate.id))
