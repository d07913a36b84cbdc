"""What happens when a limit comes near or has passed: named people are told, it is on record, a claim goes to the backup."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from andon.events import SECOND_NS, Json, rfc3339
from andon.plant import Plant
from andon.rules.sla import EscalationStep
from ticketing.book import Book
from ticketing.clocks import MINUTE_NS, MISSED, ClockKind, ClockReading, Level
from ticketing.dispatch import ask_again
from ticketing.duty import DUTY, Duty, Roster, of_role
from ticketing.presence import recall_presence
from ticketing.ticket import Ticket, TicketState

ESCALATED, REMINDED = "escalated", "reminded"
LEADER = "line_leader"
MISSES = 2
"""So many misses in a row send a ticket back to dispatch, and onto the drift list (rule 30)."""


@dataclass(frozen=True, slots=True)
class Due:
    """A level of a clock that is due, and of how many that were due together it is the last."""

    clock: ClockReading
    level: Level
    together: int = 1

    @property
    def over(self) -> bool:
        """Whether the limit has passed; before that it is a warning."""
        return self.clock.due_ns is not None and self.level.at_ns > self.clock.due_ns


def take(book: Book, plant: Plant, ticket: Ticket, due: Due) -> int | None:
    """Tell whom the level names and put it on record; the beginning of the next shift if that has to wait for it."""
    roster = Roster(plant, book.now_ns, recall_presence(book.conn))
    told = [(step, meant(step, ticket, roster)) for step in due.level.steps]
    if told and all(one.rule == "next_shift" and one.from_ns > book.now_ns for _, one in told):
        return min(one.from_ns for _, one in told)
    if due.clock.kind is ClockKind.CLAIM and due.over:
        ticket = _missed(book, ticket, due, roster)
    for step, one in told or [(None, None)]:
        ticket = _escalate(book, ticket, due, step, one)
    return None


def meant(step: EscalationStep, ticket: Ticket, roster: Roster) -> Duty:
    """The named person whom a step means now, and who stands in; whoever is on leave or off shift has a backup.

    Where somebody of the ticket is meant and there is none, it is the person on duty.
    """
    people = {
        "assignee": (
            ticket.assignee or (ticket.suggestion.person if ticket.suggestion else None),
            ticket.backup,
        ),
        "backup": (ticket.backup, ticket.assignee),
        "requester": (ticket.requester or ticket.reporter, None),
    }
    if step.to not in people:
        return of_role(step.to, ticket.line, roster)
    person, backup = people[step.to]
    if person is None:
        return of_role(DUTY, ticket.line, roster)
    if backup is not None and roster.at_work(backup) and not roster.at_work(person):
        return Duty(step.to, backup, person, "backup", roster.at_ns)
    return Duty(step.to, person, backup, "named", roster.at_ns)


def _escalate(book: Book, ticket: Ticket, due: Due, step: EscalationStep | None, one: Duty | None) -> Ticket:
    clock = due.clock
    action = REMINDED if clock.kind is ClockKind.SIGNOFF else ESCALATED
    ticket = book.record(
        ticket,
        action=action,
        actor=f"rule/{clock.policy}",
        reason=str(clock.kind),
        numbers=_numbers(due),
        evidence=(f"{one.role}: {one.person or 'nobody'} ({one.rule})",) if one is not None else (),
    )
    if step is not None and one is not None:
        named = (one.person or "dispatch", one.backup)
        book.tell(ticket, f"ticket.{action}", named, _said(due, step))
    return ticket


def _numbers(due: Due) -> Mapping[str, float]:
    """In minutes: the limit, how much has gone by; and which level it is, and of how many together the last."""
    return {
        "limit_min": due.clock.limit_ns / MINUTE_NS,
        "taken_min": round(due.clock.taken_ns / MINUTE_NS, 3),
        "level": due.level.number,
        "together": due.together,
    }


def _said(due: Due, step: EscalationStep) -> Mapping[str, Json]:
    clock = due.clock
    return {
        "clock": str(clock.kind),
        "policy": clock.policy,
        "due": rfc3339(clock.due_ns) if clock.due_ns is not None else "",
        "limit_s": clock.limit_ns / SECOND_NS,
        "taken_s": clock.taken_ns / SECOND_NS,
        "channel": step.channel,
    }


def _missed(book: Book, ticket: Ticket, due: Due, roster: Roster) -> Ticket:
    """Nobody accepted in time: the backup gets it, or whoever leads the line; after two misses in a row, dispatch again."""
    misses = ticket.claim_misses + 1
    leader = of_role(LEADER, ticket.line, roster)
    free = [who for who in (ticket.backup, leader.person, leader.backup) if who and roster.at_work(who)]
    others = [who for who in dict.fromkeys(free) if who != ticket.assignee]
    again = misses % MISSES == 0 or not others
    if again:
        changed = replace(ticket, assignee=None, backup=None, state=TicketState.PENDING_DISPATCH)
    else:
        backup = next(iter([*others[1:], ticket.assignee]))
        changed = replace(ticket, assignee=others[0], backup=backup, assigned_ns=book.now_ns)
    ticket = book.record(
        replace(changed, claim_misses=misses),
        action=MISSED,
        actor=f"rule/{due.clock.policy}",
        reason=str(ClockKind.CLAIM),
        numbers=_numbers(due),
        evidence=(ticket.assignee or "",),
    )
    if again:
        ask_again(book, ticket, MISSED)
    named = (ticket.assignee, ticket.backup) if not again else (leader.person or "dispatch", leader.backup)
    book.tell(ticket, f"ticket.{MISSED}", named, _said(due, EscalationStep(to=LEADER)))
    return ticket
