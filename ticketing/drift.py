"""The responsibility drift list (责任漂移预警清单): before the day's first shift, who has not taken what was theirs (rule 30)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import BigInteger, Column, Connection, Integer, String, Table, Text, or_, select

from andon.calendars import WEEKDAYS, Calendar, NoWorkingTime
from andon.database import Machines
from andon.events import SECOND_NS, rfc3339
from andon.plant import Plant
from ticketing.book import Book
from ticketing.clock_tables import clock
from ticketing.clocks import MINUTE_NS, ClockKind, readings
from ticketing.duty import Roster, of_role
from ticketing.presence import recall_presence
from ticketing.rows import ticket_of
from ticketing.sla import lines_of
from ticketing.sql import metadata, to_json, upsert
from ticketing.standing_in import MISSES
from ticketing.tables import ticket as tickets
from ticketing.ticket import UNRESOLVED, Ticket, TicketEvent, TicketState
from ticketing.timers import Timer, cancel, set_timer

KIND = "drift"
_LOOK_AHEAD_DAYS = 3 * 366

drift_list = Table(
    "drift_list",
    metadata,
    Column("day", String(10), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("number", Integer, nullable=False),
    Column("items", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Drifting:
    """A ticket on the list: who has it or is suggested, who let it pass (`missed_by`), how often in a row, since when no update came."""

    ticket: int
    number: str
    asset: str
    line: str
    priority: str
    state: str
    person: str
    backup: str | None
    missed_by: tuple[str, ...]
    misses: int
    update_due_ns: int | None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is on the list."""
        return (("claims",) if self.misses >= MISSES else ()) + (
            ("update",) if self.update_due_ns is not None else ()
        )


@dataclass(frozen=True, slots=True)
class DriftList:
    """The list of one day, as it was made at `at_ns`."""

    day: date
    at_ns: int
    items: tuple[Drifting, ...]


_ITEMS = msgspec.json.Decoder(tuple[Drifting, ...])


def make(book: Book, plant: Plant, _timer: Timer) -> None:
    """Make the day's list, tell whom it names and the line leaders, and set the timer of the next."""
    roster = Roster(plant, book.now_ns, recall_presence(book.conn))
    items = drifting(book.conn, plant, book.now_ns)
    day = _day(plant, book.now_ns + round(plant.sla.drift_before_min * MINUTE_NS))
    row = {"day": day.isoformat(), "at_ns": book.now_ns, "number": len(items), "items": to_json(items)}
    upsert(book.conn, drift_list, [row], ("at_ns", "number", "items"))
    for one in items:
        leader = of_role("line_leader", one.line, roster).person
        ticket = book.record(
            book.ticket(one.ticket),
            action="drifting",
            actor="rule/drift",
            reason=" ".join(one.reasons),
            numbers={"misses": one.misses},
            evidence=one.missed_by,
        )
        said = {"misses": one.misses, "missed_by": list(one.missed_by)}
        since = rfc3339(one.update_due_ns) if one.update_due_ns is not None else ""
        named = (one.person, *one.missed_by, leader)
        book.tell(ticket, "ticket.drifting", named, {**said, "update_due": since})
    expect(book, plant)


def expect(book: Book, plant: Plant) -> None:
    """Set the timer of the next list, in place of one that had been set."""
    cancel(book, KIND, "plant")
    due_ns = next_ns(plant, book.now_ns)
    set_timer(book, Timer(KIND, "plant", due_ns, cycle=due_ns))


def next_ns(plant: Plant, after_ns: int) -> int:
    """When the next list is made: so many minutes before the first shift of a day, after a moment.

    Days on which nobody works are left out; where the plant has no calendar, each begins at `sla.drift_at`.
    NoWorkingTime if nobody works for three years.
    """
    calendar, before_ns = _calendar(plant), round(plant.sla.drift_before_min * MINUTE_NS)
    today = _day(plant, after_ns)
    for days in range(_LOOK_AHEAD_DAYS):
        begins_ns = calendar.first_shift_ns(today + timedelta(days=days))
        if begins_ns is not None and begins_ns - before_ns > after_ns:
            return begins_ns - before_ns
    raise NoWorkingTime(f"the calendar has no shift in the three years after {today}")


def _calendar(plant: Plant) -> Calendar:
    found = plant.calendars.get(plant.sla.calendar)
    from_then = (f"{plant.sla.drift_at}-24:00",)
    return found or Calendar(time_zone=plant.time_zone, week={day: from_then for day in WEEKDAYS})  # noqa: C420


def _day(plant: Plant, at_ns: int) -> date:
    return datetime.fromtimestamp(at_ns / SECOND_NS, ZoneInfo(_calendar(plant).time_zone)).date()


def drifting(conn: Connection, plant: Plant, now_ns: int) -> Sequence[Drifting]:
    """The tickets that drift now, the most urgent first: two claims missed in a row, or an update overdue."""
    c = tickets.c
    overdue = select(clock.c.ticket).where(clock.c.kind == str(ClockKind.UPDATE), clock.c.due_ns < now_ns)
    wanted = select(tickets).where(
        c.state.in_([str(state) for state in TicketState if state in UNRESOLVED]),
        or_(c.claim_misses >= MISSES, c.id.in_(overdue.where(clock.c.ended_ns.is_(None)))),
    )
    rows = conn.execute(wanted.order_by(c.priority.desc(), c.id)).mappings()
    found = (_drifting(conn, plant, ticket_of(row), now_ns) for row in rows)
    return [one for one in found if one.reasons]


def _drifting(conn: Connection, plant: Plant, ticket: Ticket, now_ns: int) -> Drifting:
    lines = lines_of(conn, ticket.id)
    clocks = readings(ticket, lines, plant, now_ns)
    update = next((one for one in clocks if one.kind is ClockKind.UPDATE and one.late), None)
    missed = _missed_in_a_row(lines)
    return Drifting(
        ticket=ticket.id,
        number=ticket.number,
        asset=ticket.asset,
        line=ticket.line,
        priority=ticket.priority,
        state=str(ticket.state),
        person=ticket.assignee or (ticket.suggestion and ticket.suggestion.person) or "",
        backup=ticket.backup,
        missed_by=tuple(missed),
        misses=len(missed),
        update_due_ns=update.due_ns if update is not None else None,
    )


def _missed_in_a_row(lines: Sequence[TicketEvent]) -> list[str]:
    """Who was given it and did not accept, declined or let it pass, since it was accepted last."""
    missed: list[str] = []
    for line in lines:
        if line.from_state is TicketState.ASSIGNED and line.to_state is TicketState.IN_PROGRESS:
            missed = []
        elif "claim_misses" in line.changes:
            missed.append(str(line.changes.get("assignee", [""])[0] or ""))
    return missed


def kept(conn: Connection, day: date | None = None, machines: Machines = None) -> DriftList | None:
    """The list of that day, or the newest, as far as it is of those machines; None if none was made."""
    wanted = select(drift_list).order_by(drift_list.c.day.desc()).limit(1)
    if day is not None:
        wanted = wanted.where(drift_list.c.day == day.isoformat())
    row = conn.execute(wanted).mappings().first()
    if row is None:
        return None
    return DriftList(date.fromisoformat(row["day"]), row["at_ns"], _seen(row["items"], machines))


def days(conn: Connection, limit: int = 31, machines: Machines = None) -> Mapping[date, int]:
    """The days that have a list, newest first, and how many tickets of those machines were on it."""
    c = drift_list.c
    wanted = select(c.day, c.number if machines is None else c["items"]).order_by(c.day.desc()).limit(limit)
    return {
        date.fromisoformat(day): found if machines is None else len(_seen(found, machines))
        for day, found in conn.execute(wanted)
    }


def _seen(items: str, machines: Machines) -> tuple[Drifting, ...]:
    return tuple(one for one in _ITEMS.decode(items) if machines is None or one.asset in machines)
