"""What happens when a limit comes near or has passed: named people are told, it is on record, a claim goes to the backup."""

from collections.abc import Mapping
from dataclasses import dataclass

from andon.events import SECOND_NS, Json, rfc3339
from andon.plant import Plant
from andon.rules.sla import EscalationStep
from ticketing.book import Book
from ticketing.clocks import MINUTE_NS, ClockKind, ClockReading, Level
from ticketing.duty import DUTY, Duty, Roster, of_role
from ticketing.presence import recall_presence
from ticketing.standing_in import Reason, to_backup
from ticketing.ticket import Ticket

ESCALATED, REMINDED = "escalated", "reminded"


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
        late_min = round(due.clock.limit_ns / MINUTE_NS)
        why = Reason(f"not accepted within {late_min} min", actor=f"rule/{due.clock.policy}", missed=True)
        ticket = to_backup(book, plant, ticket, why)
    for step, one in told:
        ticket = _escalate(book, ticket, due, step, one)
    if not told:  # nobody is to be told; that the limit has passed is on record all the same
        _record(book, ticket, due, ())
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


def _escalate(book: Book, ticket: Ticket, due: Due, step: EscalationStep, one: Duty) -> Ticket:
    ticket = _record(book, ticket, due, (f"{one.role}: {one.person or 'nobody'} ({one.rule})",))
    book.tell(ticket, f"ticket.{_action(due)}", (one.person or "dispatch", one.backup), _said(due, step))
    return ticket


def _record(book: Book, ticket: Ticket, due: Due, evidence: tuple[str, ...]) -> Ticket:
    return book.record(
        ticket,
        action=_action(due),
        actor=f"rule/{due.clock.policy}",
        reason=str(due.clock.kind),
        numbers=_numbers(due),
        evidence=evidence,
    )


def _action(due: Due) -> str:
    return REMINDED if due.clock.kind is ClockKind.SIGNOFF else ESCALATED


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
