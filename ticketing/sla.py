"""The clocks of every ticket, kept: what each shows, which steps were taken, and one timer for the next that is due.

A change of a ticket asks for a review (`Book.record`), a changed plant document for one of all; the review computes
every clock anew, takes what is due once, and sets the ticket's timer. So no step can forget a timer.
"""

from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256

from sqlalchemy import Connection, bindparam, delete, select

from andon.plant import Plant
from ticketing.book import Book
from ticketing.clock_tables import REVIEW, REVIEWED, clock, review_row
from ticketing.clock_tables import timer as timers
from ticketing.clocks import KEPT, ClockKind, ClockReading, ClockState, readings
from ticketing.escalation import Due, take
from ticketing.rows import event_of
from ticketing.sql import Row, chunks, upsert
from ticketing.tables import ticket as tickets
from ticketing.tables import ticket_event
from ticketing.ticket import Ticket, TicketEvent, TicketState
from ticketing.timers import Timer, TimerState, one, set_timer

KIND, TERMS = REVIEW, "sla_terms"

_COLUMNS = tuple(column.name for column in clock.columns if not column.primary_key)
_JOINED = ("joined", "joined_many", "returned")
_CLOCKS = select(clock).where(clock.c.ticket == bindparam("ticket"))
_LINES = (
    select(ticket_event)
    .where(ticket_event.c.ticket == bindparam("ticket"), ticket_event.c.action.not_in(_JOINED))
    .order_by(ticket_event.c.seq)
)


def review(book: Book, plant: Plant, timer: Timer) -> None:
    """Compute a ticket's clocks, take what is due, and set its timer to what is due next."""
    ticket = book.ticket(int(timer.subject.partition("/")[2]))
    now_ns = book.now_ns
    stored = _stored(book.conn, ticket.id)
    current = [
        _frozen(one, stored) for one in readings(ticket, lines_of(book.conn, ticket.id), plant, now_ns)
    ]
    rows: dict[tuple[str, int], Row] = {}
    coming: list[int] = []
    for reading in current:
        was = stored.get((reading.kind, reading.from_ns))
        level: int = was["level"] if was is not None else 0
        if reading.ended_ns is None:
            level, next_ns = _take_due(book, plant, ticket, reading, level)
            coming += [] if next_ns is None else [next_ns]
        if reading.kind in KEPT or reading.ended_ns is None or level:
            rows[reading.kind, reading.from_ns] = _row(ticket, reading, level)
    _keep(book, ticket, stored, rows)
    _set(book, ticket, coming, paused=any(one.state is ClockState.PAUSED for one in current))


def _take_due(
    book: Book, plant: Plant, ticket: Ticket, reading: ClockReading, level: int
) -> tuple[int, int | None]:
    """Take the highest level that is due and new, in place of all below it; gives the next, and when it is due."""
    waiting = [one for one in reading.levels if one.number >= level]
    overdue = [one for one in waiting if one.at_ns <= book.now_ns]
    if overdue:
        later_ns = take(book, plant, book.ticket(ticket.id), Due(reading, overdue[-1], len(overdue)))
        if later_ns is not None:  # nobody is on shift: at the beginning of the next
            return level, later_ns
        level = overdue[-1].number + 1
    return level, min((one.at_ns for one in waiting if one.number >= level), default=None)


def _frozen(reading: ClockReading, stored: Mapping[tuple[str, int], Row]) -> ClockReading:
    """What has ended stays as it was measured then, whatever is configured since."""
    was = stored.get((reading.kind, reading.from_ns))
    if was is None or was["ended_ns"] is None or was["ended_ns"] != reading.ended_ns:
        return reading
    return of_row(was)


def _keep(
    book: Book, ticket: Ticket, stored: Mapping[tuple[str, int], Row], rows: Mapping[tuple[str, int], Row]
) -> None:
    changed = [row for key, row in sorted(rows.items()) if stored.get(key) != row]
    upsert(book.conn, clock, changed, _COLUMNS)
    for kind, from_ns in stored.keys() - rows.keys():
        c = clock.c
        book.conn.execute(delete(clock).where(c.ticket == ticket.id, c.kind == kind, c.from_ns == from_ns))


def _set(book: Book, ticket: Ticket, coming: Sequence[int], *, paused: bool) -> None:
    """The ticket's one timer: at what is due next, standing while its clocks do, done when there are none."""
    if coming or paused:
        state = TimerState.RUN if coming else TimerState.PAUSED
        row = review_row(ticket.id, min(coming, default=book.now_ns), book.now_ns) | {"state": str(state)}
        upsert(book.conn, timers, [row], REVIEWED)


def _row(ticket: Ticket, reading: ClockReading, level: int) -> Row:
    return {
        "ticket": ticket.id,
        "kind": str(reading.kind),
        "from_ns": reading.from_ns,
        "policy": reading.policy,
        "calendar": reading.calendar,
        "limit_ns": reading.limit_ns,
        "state": str(reading.state),
        "due_ns": reading.due_ns,
        "taken_ns": reading.taken_ns,
        "ended_ns": reading.ended_ns,
        "late": reading.late,
        "level": level,
    }


def of_row(row: Row) -> ClockReading:
    """The clock of a row of its table, without its levels."""
    known = {name: row[name] for name in ("from_ns", "policy", "calendar", "limit_ns", "due_ns", "taken_ns")}
    kind, state = ClockKind(row["kind"]), ClockState(row["state"])
    return ClockReading(kind=kind, state=state, ended_ns=row["ended_ns"], **known)


def _stored(conn: Connection, ticket_id: int) -> Mapping[tuple[str, int], Row]:
    rows = conn.execute(_CLOCKS, {"ticket": ticket_id}).mappings()
    return {(row["kind"], row["from_ns"]): dict(row) for row in rows}


def lines_of(conn: Connection, ticket_id: int) -> Sequence[TicketEvent]:
    """The ticket's audit without what only joined it: that moves no clock, and may be thousands of lines."""
    return [event_of(row) for row in conn.execute(_LINES, {"ticket": ticket_id}).mappings()]


def clocks_of(conn: Connection, ticket_ids: Iterable[int]) -> Mapping[int, Sequence[ClockReading]]:
    """The clocks of these tickets as they were last reviewed, those of one in the order in which they began."""
    found: dict[int, list[ClockReading]] = {}
    for some in chunks(ticket_ids):
        rows = conn.execute(
            select(clock).where(clock.c.ticket.in_(some)).order_by(clock.c.from_ns, clock.c.kind)
        )
        for row in rows.mappings():
            found.setdefault(row["ticket"], []).append(of_row(dict(row)))
    return found


def changed(conn: Connection, plant: Plant) -> bool:
    """Whether limits or calendars are not those that the clocks were last computed by."""
    known = one(conn, TERMS, "plant")
    return known is None or known.body.get("terms") != _mark(plant)


def review_all(book: Book, plant: Plant) -> None:
    """Have every open ticket reviewed under the plant document that is now in force."""
    standing = Timer(TERMS, "plant", book.now_ns, body={"terms": _mark(plant)}, state=TimerState.PAUSED)
    set_timer(book, standing)  # never due: it only says by what the clocks were computed
    still_open = select(tickets.c.id).where(tickets.c.state != str(TicketState.CLOSED)).order_by(tickets.c.id)
    numbers = book.conn.execute(still_open).scalars().all()
    upsert(book.conn, timers, [review_row(n, book.now_ns, book.now_ns) for n in numbers], REVIEWED)


def _mark(plant: Plant) -> str:
    calendars = [f"{name}={one.model_dump_json()}" for name, one in sorted(plant.calendars.items())]
    return sha256("|".join([plant.sla.model_dump_json(), *calendars]).encode()).hexdigest()
