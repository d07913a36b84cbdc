"""Someone else takes over: the backup of a person who is on leave, does not accept, or has left (rules 21 and 27)."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlalchemy import or_, select

from andon.plant import Plant
from ticketing import presence
from ticketing.book import MACHINE, Book
from ticketing.demands import Given
from ticketing.dispatch import Dispatch, ask_again
from ticketing.duty import Presence
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.service import Tickets
from ticketing.states import Step, handed_over, next_steps
from ticketing.stepping import lock, take
from ticketing.tables import ticket as tickets_table
from ticketing.ticket import Ticket, TicketState

MISSES = 2
"""So many claims missed in a row are a matter for a dispatcher, and for the drift list (rule 30)."""

GIVEN = (TicketState.ASSIGNED, TicketState.IN_PROGRESS)
"""States in which somebody has the ticket."""


@dataclass(frozen=True, slots=True)
class Reason:
    """Why somebody else takes over, who says so, and from where; `missed`: it counts as a claim that was missed."""

    text: str
    actor: str = "rule/backup"
    channel: str = MACHINE
    missed: bool = False


def to_backup(book: Book, plant: Plant, ticket: Ticket, why: Reason) -> Ticket:
    """Hand a ticket over to its backup, who gets one in turn; back to dispatch if there is nobody else at all.

    A backup who is on leave or has left is passed over for the best that routing finds. A ticket that nobody has is
    left as it is; one whose claim was missed twice in a row goes back to dispatch, else it would go to and fro for ever.
    """
    if ticket.state not in GIVEN or ticket.assignee is None:
        return ticket
    out = frozenset({ticket.assignee})
    dispatch = Dispatch(book, plant)
    person = _stands_in(ticket, dispatch)
    backup = dispatch.backup_for(ticket, person, without=out) if person else None
    misses = ticket.claim_misses + why.missed
    if person is None or backup is None or (why.missed and misses >= MISSES):
        return _to_dispatch(book, dispatch.decide(ticket, "takeover", without=out), why, misses)
    given = Given(
        actor=why.actor,
        person=person,
        backup=backup,
        known_people=frozenset(dispatch.roster.people),
        reason=why.text,
        evidence=(why.text,),
    )
    return take(
        book,
        dispatch.decide(ticket, "takeover", without=out),
        Step.TRANSFER,
        given,
        lambda t: replace(handed_over(t, person, backup, book.now_ns), claim_misses=misses),
        channel=why.channel,
        tell=(person, backup, *out),
    )


def hand_to_backup(tickets: Tickets, plant: Plant, ticket_id: int, now_ns: int, why: Reason) -> Ticket:
    """Hand one ticket to its backup by hand; NoEdge if nobody has it, StepRefused without a reason."""
    with tickets.transaction(now_ns) as book:
        lock(book.conn, ticket_id)
        ticket = book.ticket(ticket_id)
        if ticket.state not in GIVEN:
            raise NoEdge(ticket.state, "to_backup", tuple(next_steps(ticket, Given())))
        if not why.text.strip():
            raise StepRefused("to_backup", ticket.state, [Missing("reason")])
        return to_backup(book, plant, ticket, why)


def report(tickets: Tickets, plant: Plant, said: Presence) -> Sequence[Ticket]:
    """Keep what is reported of a person; if that is leave, the backups take over: gives the tickets that moved.

    DeedRefused (unknown_person).
    """
    with tickets.transaction(said.at_ns) as book:
        _known(plant, said.person)
        before = presence.recall_presence(book.conn).get(said.person)
        presence.keep(book, said)
        began = said.at_ns < (said.leave_until_ns or 0)
        if not began or (before is not None and said.at_ns < (before.leave_until_ns or 0)):
            return []
        return _hand_over(book, plant, said.person, Reason(f"{said.person} is on leave"))


def reassign(tickets: Tickets, plant: Plant, person: str, now_ns: int, why: Reason) -> Sequence[Ticket]:
    """Give everything that a person has or backs up to others, as when the person leaves; gives the tickets that moved.

    The person may be gone from the plant document already.
    """
    with tickets.transaction(now_ns) as book:
        if not why.text.strip():
            raise StepRefused("reassign", "", [Missing("reason")])
        moved = _hand_over(book, plant, person, why)
        for ticket in _of_person(book, person, TicketState.PENDING_DISPATCH):
            ask_again(book, ticket, "reassigned")
        return moved


def _hand_over(book: Book, plant: Plant, person: str, why: Reason) -> list[Ticket]:
    moved = []
    for ticket in _of_person(book, person, *GIVEN):
        if ticket.assignee == person:
            moved.append(to_backup(book, plant, ticket, why))
        else:
            moved.append(_other_backup(book, plant, ticket, why))
    return moved


def _of_person(book: Book, person: str, *states: TicketState) -> list[Ticket]:
    """The person's tickets in these states, locked: those they have, back up or are suggested for."""
    c = tickets_table.c
    mine = or_(c.assignee == person, c.backup == person, c.suggested == person)
    if TicketState.PENDING_DISPATCH not in states:
        mine = or_(c.assignee == person, c.backup == person)
    found = book.conn.execute(select(c.id).where(c.state.in_(states), mine).order_by(c.id)).scalars().all()
    lock(book.conn, *found)
    return [book.ticket(one) for one in found]


def _other_backup(book: Book, plant: Plant, ticket: Ticket, why: Reason) -> Ticket:
    """The same assignee with another backup."""
    gone = frozenset({ticket.backup or ""})
    backup = Dispatch(book, plant).backup_for(ticket, ticket.assignee or "", without=gone)
    ticket = book.record(
        replace(ticket, backup=backup), action="backup", actor=why.actor, channel=why.channel, reason=why.text
    )
    told = {"actor": why.actor, "reason": why.text}
    book.tell(ticket, "ticket.transfer", (backup, ticket.assignee), told)
    return ticket


def _stands_in(ticket: Ticket, dispatch: Dispatch) -> str | None:
    """The ticket's backup, if that person is there and not on leave; else the best of the others."""
    backup = dispatch.roster.people.get(ticket.backup or "")
    if backup is not None and backup.id != ticket.assignee and not dispatch.roster.of(backup).on_leave:
        return backup.id
    out = frozenset(one for one in (ticket.assignee, ticket.backup) if one is not None)
    return dispatch.backup_for(ticket, ticket.assignee or "", without=out)


def _to_dispatch(book: Book, ticket: Ticket, why: Reason, misses: int) -> Ticket:
    """Nobody can stand in. Work in progress stays with its person: only what is not begun goes back."""
    if ticket.state is not TicketState.ASSIGNED:
        return ticket
    given = Given(actor=why.actor, reason=why.text, evidence=(why.text,))
    return take(
        book,
        ticket,
        Step.DECLINE,
        given,
        lambda t: replace(t, assignee=None, backup=None, claim_misses=misses),
        channel=why.channel,
        tell=("dispatch",),
    )


def _known(plant: Plant, person: str) -> None:
    if all(one.id != person for one in plant.people):
        raise DeedRefused("unknown_person", f"the plant has no person {person!r}")
