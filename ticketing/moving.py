"""Two tickets turn out to be one cause, or one ticket two: what was folded moves over, and the keys with it."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial, reduce
from typing import Any

from sqlalchemy import BindParameter, bindparam, exists, insert, select, update

from ticketing import offers
from ticketing.book import MACHINE, Book
from ticketing.demands import Given
from ticketing.errors import NotOnTicket
from ticketing.links import split_from
from ticketing.recall import Alarm
from ticketing.rows import headline_of_row
from ticketing.search import more
from ticketing.states import Step, check
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
from ticketing.ticket import Closure, Headline, Outcome, Ticket, TicketState
from ticketing.urgency import graver, higher

_FROM: BindParameter[Any] = bindparam("_from")
_KEY: BindParameter[Any] = bindparam("_key")
_HOLD_A_KEY = (master, occurrence, alarm, activation, failure)
_MOVE_ALL = tuple(update(table).where(table.c.ticket == _FROM) for table in (*_HOLD_A_KEY[1:], problem_link))
_HELD_THERE = master.alias("there")
_MOVE_MASTERS = (
    update(master)
    .where(
        master.c.ticket == _FROM,
        ~exists().where(_HELD_THERE.c.ticket == bindparam("_to"), _HELD_THERE.c.key == master.c.key),
    )
    .values(open=master.c.exclusive)
)
"""A key that the other ticket holds as well (`window_only`) stays: who looks it up goes on to the other ticket."""
_NOTE_KEYS = insert(merged_key).from_select(
    ["ticket", "key"], select(master.c.ticket, master.c.key).where(master.c.ticket == _FROM)
)
_MOVE_LAST = update(dedup_key).where(dedup_key.c.last_ticket == _FROM)
_MOVE_KEY = tuple(update(table).where(table.c.ticket == _FROM, table.c.key == _KEY) for table in _HOLD_A_KEY)
_MOVE_KEY_LINKS = update(problem_link).where(
    problem_link.c.ticket == _FROM,
    problem_link.c.failure.in_(select(failure.c.finding).where(failure.c.key == _KEY)),
)
_MOVE_KEY_LAST = update(dedup_key).where(dedup_key.c.key == _KEY)


Route = Callable[[Ticket, str], Ticket]
"""A ticket with whom routing names for it, and what that is done for."""


def merge(
    book: Book,
    loser: Ticket,
    winner: Ticket,
    *,
    reason: str,
    approver: str,
    actor: str,
    channel: str = MACHINE,
    as_part: bool = False,
) -> tuple[Ticket, Ticket]:
    """Close a ticket as the duplicate of an open one, which takes over its keys and all that was folded into it.

    With `as_part` the headline stays that of the open one, whatever the other says.
    """
    state = check(
        loser, Step.DUPLICATE, Given(actor=actor, reason=reason, approver=approver, master=winner.id)
    )
    closed = replace(
        loser,
        state=state,
        sub_state=None,
        hold=None,
        closed_ns=book.now_ns,
        closure=Closure.DUPLICATE,
        outcome=Outcome.DUPLICATE,
        closure_note=reason,
        approver=approver,
        duplicate_of=winner.id,
        occurrence_count=0,
        alarm_active=False,
    )
    here = {"_from": loser.id, "ticket": winner.id}
    book.later(_NOTE_KEYS, {"_from": loser.id})
    for statement in _MOVE_ALL:
        book.later(statement, here)
    book.later(_MOVE_MASTERS, here | {"_to": winner.id})
    book.later(_MOVE_LAST, {"_from": loser.id, "last_ticket": winner.id})
    both = _with_all_of(winner, loser)
    both = replace(both, headline=winner.headline) if as_part else both
    said = partial(book.record, actor=actor, channel=channel, reason=reason)
    closed = said(closed, action=Step.DUPLICATE, evidence=(winner.number,))
    offers.withdraw(book, closed)
    both = said(both, action="merged", evidence=(loser.number,))
    book.tell(closed, "ticket.duplicate", (closed.assignee,), {"reason": winner.number, "actor": actor})
    return closed, both


def split(
    book: Book,
    ticket: Ticket,
    key: str,
    *,
    route: Route,
    reason: str,
    actor: str,
    channel: str,
) -> tuple[Ticket, Ticket]:
    """Take one key off a ticket into a ticket of its own, with all its occurrences; NotOnTicket if that cannot be."""
    anchors = {row.key: row.anchor_ns for row in book.conn.execute(_ANCHORS, {"_from": ticket.id})}
    moved, kept = _words(book, ticket, key)
    if key not in anchors or len(anchors) < 2 or not moved or not kept:
        raise NotOnTicket(ticket.id, key)
    stands = {
        side: any(
            Alarm(row.raise_ns, row.clear_ns).stands
            for row in book.conn.execute(_ALARMS, {"_from": ticket.id})
            if (row.key == key) is side
        )
        for side in (True, False)
    }
    new = _of_its_own(book, with_words(ticket, moved, alarm_active=stands[True]), key, anchors[key])
    new = route(new, "split")
    book.open(new)
    said = partial(book.record, actor=actor, channel=channel, reason=reason)
    new = said(new, action="split", evidence=(ticket.number,))
    split_from(book, new, ticket, by=actor, note=reason)
    old = with_words(ticket, kept, alarm_active=stands[False])
    old = said(old, action="split_off", evidence=(new.number,))
    book.tell(new, "ticket.split", (old.assignee or "dispatch",), {"reason": old.number, "actor": actor})
    here = {"_from": ticket.id, "_key": key, "ticket": new.id}
    for statement in (*_MOVE_KEY, _MOVE_KEY_LINKS):
        book.later(statement, here)
    book.later(_MOVE_KEY_LAST, {"_key": key, "last_ticket": new.id})
    return old, new


def _with_all_of(winner: Ticket, loser: Ticket) -> Ticket:
    """What both say; a ticket on which nothing is left says nothing any more."""
    speak = [one for one in (winner, loser) if one.occurrence_count] or [winner]
    return replace(
        winner,
        headline=reduce(graver, (one.headline for one in speak)),
        priority=higher(winner.priority, loser.priority),
        first_event_ns=min(one.first_event_ns for one in speak),
        last_event_ns=max(one.last_event_ns for one in speak),
        occurrence_count=winner.occurrence_count + loser.occurrence_count,
        alarm_active=winner.alarm_active or loser.alarm_active,
    )


def _of_its_own(book: Book, taken: Ticket, key: str, anchor_ns: int) -> Ticket:
    number = book.next_number("ticket")
    return replace(
        taken,
        id=number,
        number=f"A-{number}",
        search=more(f"a-{number}", taken.search.removeprefix(taken.number.lower())),
        key=key,
        anchor_ns=anchor_ns,
        opened_ns=book.now_ns,
        state=TicketState.PENDING_DISPATCH,
        sub_state=None,
        hold=None,
        arrived_ns=None,
        assignee=None,
        backup=None,
        suggestion=None,
        assigned_ns=None,
        accepted_ns=None,
        reopen_count=0,
        claim_misses=0,
        recurrence_of=None,
        version=1,
        audit_seq=0,
        audit_hash="",
    )


def _words(book: Book, ticket: Ticket, key: str) -> tuple[list[Headline], list[Headline]]:
    moved: list[Headline] = []
    kept: list[Headline] = []
    for row in book.conn.execute(_OCCURRENCES, {"_from": ticket.id}).mappings():
        (moved if row["key"] == key else kept).append(headline_of_row(row))
    return moved, kept


def with_words(ticket: Ticket, words: Sequence[Headline], *, alarm_active: bool) -> Ticket:
    """The ticket with these words on it and no other; what none are left of keeps the headline it was opened with."""
    if not words:
        return replace(ticket, occurrence_count=0, alarm_active=alarm_active)
    times = [word.at_ns for word in words]
    return replace(
        ticket,
        headline=reduce(graver, words),
        first_event_ns=min(times),
        last_event_ns=max(times),
        occurrence_count=len(words),
        alarm_active=alarm_active,
    )


_ANCHORS = select(master.c.key, master.c.anchor_ns).where(master.c.ticket == _FROM)
_ALARMS = select(alarm.c.key, alarm.c.raise_ns, alarm.c.clear_ns).where(alarm.c.ticket == _FROM)
_OCCURRENCES = select(occurrence).where(occurrence.c.ticket == _FROM, occurrence.c.action != "clear")
