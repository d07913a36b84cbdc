"""What a planner decides in the inbox: a deed that can be taken back for ten seconds, or a ticket put off until later.

A deed waits as a durable timer and is carried out when its time is up, by the rules that hold then; until that moment
taking it back leaves no trace, for nothing has happened: nobody was told, no claim counts as missed, no signature is
void. A reverse step could not do that: the rules let an assignment go back only as declined, and a closed ticket only be
reopened for a reason. Putting a ticket off silences no alarm (a shelf does) and stops no clock (a hold does): it is out
of sight until its time comes, or until it has become more urgent than it was.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Unpack

from sqlalchemy import Connection, select

from andon.database import Machines, among
from andon.events import SECOND_NS, Json
from andon.plant import Plant
from ticketing import tables as t
from ticketing.book import Book
from ticketing.clock_tables import timer as timers
from ticketing.demands import Given
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused, TicketingError
from ticketing.service import By, Tickets
from ticketing.states import Step, next_steps
from ticketing.stepping import CONSOLE, lock, look
from ticketing.ticket import Outcome, Ticket, TicketState
from ticketing.timers import Timer, TimerState, cancel, set_timer, timer_of
from ticketing.urgency import ORDER

DEED, SNOOZE = "triage_deed", "triage_snooze"
UNDO_NS = 10 * SECOND_NS
LONGEST_NS = 7 * 86_400 * SECOND_NS
"""So long a ticket can be put off."""
_RULE = "rule/triage"


class InBook(Tickets):
    """The deeds of `Tickets` inside a transaction that somebody else has opened and will save."""

    def __init__(self, book: Book) -> None:
        self._book = book

    @contextmanager
    def transaction(self, now_ns: int) -> Iterator[Book]:
        """The book that was given, whose time counts."""
        assert now_ns == self._book.now_ns  # noqa: S101 - a deed of one transaction has one time
        yield self._book


@dataclass(frozen=True, slots=True)
class Decision:
    """A step (one of `DEEDS`) with what it needs: person and backup, or an outcome, or the other ticket; and why."""

    step: Step
    said: Mapping[str, Json]


@dataclass(frozen=True, slots=True)
class Away:
    """Why a ticket is not in the inbox: what is about to be done to it (`step`), or None where it was put off."""

    ticket: int
    step: Step | None
    actor: str
    set_ns: int
    until_ns: int
    said: Mapping[str, Json]


def _assign(tickets: Tickets, ticket_id: int, said: Mapping[str, Json], plant: Plant, by: By) -> Ticket:
    return tickets.assign(
        ticket_id, person=said["person"], backup=said["backup"], reason=said["reason"], plant=plant, **by
    )


def _false_alarm(tickets: Tickets, ticket_id: int, said: Mapping[str, Json], plant: Plant, by: By) -> Ticket:
    return tickets.false_alarm(
        ticket_id,
        reason=said["reason"],
        approver=by["actor"],
        outcome=Outcome(said["outcome"]),
        plant=plant,
        **by,
    )


def _duplicate(tickets: Tickets, ticket_id: int, said: Mapping[str, Json], plant: Plant, by: By) -> Ticket:
    return tickets.duplicate(
        ticket_id, of=said["master"], reason=said["reason"], approver=by["actor"], plant=plant, **by
    )


_Deed = Callable[[Tickets, int, Mapping[str, Json], Plant, By], Ticket]
DEEDS: Mapping[Step, _Deed] = {
    Step.ASSIGN: _assign,
    Step.FALSE_ALARM: _false_alarm,
    Step.DUPLICATE: _duplicate,
}
"""What can be decided in the inbox."""


def decide(
    tickets: Tickets, ticket_id: int, what: Decision, plant: Plant, undo_ns: int = UNDO_NS, **by: Unpack[By]
) -> Away:
    """Have a deed done in ten seconds; it is refused now, as it would be then, if anything is missing."""
    now_ns = by["now_ns"]
    with tickets.transaction(now_ns) as book:
        _leave(
            book, ticket_id
        )  # before the ticket's lock: whoever carries a deed out takes the two in this order
        ticket = look(book, by["expected_version"], ticket_id)
        _try(book, ticket_id, what, plant, by)
        body = {
            **what.said,
            "do": what.step,
            "actor": by["actor"],
            "version": ticket.version,
            "opened_ns": ticket.opened_ns,
        }
        wanted = Timer(DEED, _subject(ticket_id), now_ns + undo_ns, cycle=now_ns, body=body)
        set_timer(book, wanted)
        book.next_number("change")
    return Away(ticket_id, what.step, by["actor"], now_ns, wanted.due_ns, body)


def _try(book: Book, ticket_id: int, what: Decision, plant: Plant, by: By) -> None:
    """Take the step in a book that is thrown away, so that what refuses it refuses it while the planner looks."""
    nested = book.conn.begin_nested()
    DEEDS[what.step](InBook(Book(book.conn, book.now_ns)), ticket_id, what.said, plant, by)
    nested.rollback()


def carry_out(book: Book, plant: Plant, timer: Timer) -> None:
    """The ten seconds are over: do it; what has become impossible meanwhile is said on the ticket, which is back in the inbox."""
    said, ticket_id = timer.body, _ticket_of(timer.subject)
    by = By(actor=said["actor"], now_ns=book.now_ns, expected_version=said["version"], channel=CONSOLE)
    try:
        DEEDS[Step(said["do"])](InBook(book), ticket_id, said, plant, by)
    except TicketingError as error:
        _not_done(book, book.ticket(ticket_id), said, error)
        return
    book.counts["triaged"] += 1
    book.counts["triage_s"] += max(0, timer.set_ns - said["opened_ns"]) // SECOND_NS


def _not_done(book: Book, ticket: Ticket, said: Mapping[str, Json], error: TicketingError) -> None:
    book.record(ticket, action="not_carried_out", actor=_RULE, reason=f"{said['do']}: {error.code}")


def snooze(tickets: Tickets, ticket_id: int, *, until_ns: int, reason: str = "", **by: Unpack[By]) -> Away:
    """Put a ticket that waits for dispatch out of sight until then, at most for a week; NoEdge for any other state."""
    now_ns = by["now_ns"]
    with tickets.transaction(now_ns) as book:
        _leave(book, ticket_id)
        ticket = look(book, by["expected_version"], ticket_id)
        if ticket.state is not TicketState.PENDING_DISPATCH:
            raise NoEdge(ticket.state, "snooze", tuple(next_steps(ticket, Given())))
        if not now_ns < until_ns <= now_ns + LONGEST_NS:
            raise StepRefused("snooze", ticket.state, [Missing("until")])
        body = {
            "actor": by["actor"],
            "reason": reason,
            "version": ticket.version,
            "priority": ORDER.index(ticket.priority),
        }
        set_timer(book, Timer(SNOOZE, _subject(ticket_id), until_ns, cycle=now_ns, body=body))
        channel = by.get("channel", CONSOLE)
        numbers = {"until_s": until_ns / SECOND_NS}
        book.record(
            ticket, action="snoozed", actor=by["actor"], channel=channel, reason=reason, numbers=numbers
        )
    return Away(ticket_id, None, by["actor"], now_ns, until_ns, body)


def wake(book: Book, _plant: Plant, timer: Timer) -> None:
    """Its time has come: it is back in the inbox, unless it has been dealt with."""
    ticket_id = _ticket_of(timer.subject)
    lock(book.conn, ticket_id)
    if (ticket := book.ticket(ticket_id)).state is TicketState.PENDING_DISPATCH:
        book.record(ticket, action="woken", actor=_RULE)


def take_back(tickets: Tickets, ticket_id: int, *, actor: str, now_ns: int) -> None:
    """Undo a deed that has not been carried out, or bring back what was put off; DeedRefused if there is neither."""
    with tickets.transaction(now_ns) as book:
        found = away(book.conn).get(ticket_id)
        if found is None or not _leave(book, ticket_id):
            raise DeedRefused("too_late", "it has been carried out already, or was never put off")
        if found.step is None:
            lock(book.conn, ticket_id)
            book.record(book.ticket(ticket_id), action="woken", actor=actor, channel=CONSOLE)
        book.next_number("change")


def _leave(book: Book, ticket_id: int) -> int:
    """Nothing of the kind is to happen to the ticket any more; gives how much was to."""
    return sum(cancel(book, kind, _subject(ticket_id)) for kind in (DEED, SNOOZE))


_AWAY = (
    select(timers)
    .where(timers.c.kind.in_((DEED, SNOOZE)), timers.c.state == str(TimerState.RUN))
    .order_by(timers.c.set_ns, timers.c.subject)
)


def away(conn: Connection, machines: Machines = None) -> Mapping[int, Away]:
    """The tickets that wait for dispatch and are out of sight nevertheless, by number, the last decided on last.

    What has moved on since, or has become more urgent than when it was put off, is in sight.
    """
    running = (timer_of(row) for row in conn.execute(_AWAY).mappings())
    found = {one.ticket: one for one in map(_away, running)}
    chosen = select(t.ticket.c.id, t.ticket.c.version, t.ticket.c.priority)
    waiting = chosen.where(t.ticket.c.id.in_(found), t.ticket.c.state == str(TicketState.PENDING_DISPATCH))
    seen = waiting.where(among(t.ticket.c.asset, machines))
    known = {row.id: (row.version, row.priority) for row in conn.execute(seen)} if found else {}
    return {n: one for n, one in found.items() if n in known and _is_out_of_sight(one, *known[n])}


def _is_out_of_sight(one: Away, version: int, priority: int) -> bool:
    return version == one.said["version"] and priority <= int(one.said.get("priority", priority))


def _away(timer: Timer) -> Away:
    step = Step(timer.body["do"]) if timer.kind == DEED else None
    actor = timer.body["actor"]
    return Away(_ticket_of(timer.subject), step, actor, timer.set_ns, timer.due_ns, timer.body)


def _subject(ticket_id: int) -> str:
    return f"ticket/{ticket_id}"


def _ticket_of(subject: str) -> int:
    return int(subject.partition("/")[2])
