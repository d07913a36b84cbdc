"""How long a machine stood because of a ticket: as a person said, else as long as its stop alarms stood together."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, func, select

from andon.events import MINUTE_NS, Family
from ticketing.approving.tables import downtime
from ticketing.book import Book
from ticketing.errors import Missing, StepRefused
from ticketing.sql import chunks
from ticketing.tables import activation
from ticketing.ticket import Ticket
from ticketing.vague import is_vague

Span = tuple[int, int]
"""From when until when, in ns UTC."""


class Said(StrEnum):
    """Who says so."""

    PERSON = "person"
    MACHINE = "machine"


@dataclass(frozen=True, slots=True)
class Standstill:
    """`minutes` of downtime; `stands`: the machine stands still, and the end is the moment that was asked at."""

    minutes: float
    said: Said
    stands: bool
    from_ns: int
    until_ns: int


def together(spans: Iterable[Span]) -> Sequence[Span]:
    """Spans that overlap or touch as one, in order.

    >>> together([(5, 9), (0, 3), (2, 4), (9, 10)])
    [(0, 4), (5, 10)]
    """
    whole: list[Span] = []
    for begins, ends in sorted(spans):
        if whole and begins <= whole[-1][1]:
            whole[-1] = whole[-1][0], max(whole[-1][1], ends)
        else:
            whole.append((begins, ends))
    return whole


def state(book: Book, ticket: Ticket, *, span_ns: Span, reason: str, actor: str, channel: str) -> Ticket:
    """Say from when until when the machine stood; the newest word holds. The ticket must be locked."""
    begins, ends = span_ns
    wrong = [] if begins < ends else [Missing("until", "before_from")]
    wrong += [] if ends <= book.now_ns else [Missing("until", "in_future")]
    if not reason.strip() or is_vague(reason):
        wrong.append(Missing("reason", "vague" if reason.strip() else "absent"))
    if wrong:
        raise StepRefused("downtime", ticket.state, wrong)
    row = {
        "ticket": ticket.id,
        "from_ns": begins,
        "until_ns": ends,
        "reason": reason.strip(),
        "by": actor,
        "at_ns": book.now_ns,
    }
    book.conn.execute(downtime.insert().values(row))
    return book.record(
        ticket,
        action="downtime",
        actor=actor,
        channel=channel,
        reason=reason.strip(),
        numbers={"minutes": (ends - begins) / MINUTE_NS},
    )


def of_tickets(conn: Connection, numbers: Iterable[int], now_ns: int) -> Mapping[int, Standstill]:
    """The downtime of each of these tickets that has any."""
    found: dict[int, Standstill] = {}
    for some in chunks(numbers):
        stops = _stops(conn, some, now_ns)
        found |= {ticket: _of_machine(spans, now_ns) for ticket, spans in stops.items()}
        newest = (
            select(func.max(downtime.c.id)).where(downtime.c.ticket.in_(some)).group_by(downtime.c.ticket)
        )
        for row in conn.execute(select(downtime).where(downtime.c.id.in_(newest))):
            minutes = (row.until_ns - row.from_ns) / MINUTE_NS
            found[row.ticket] = Standstill(minutes, Said.PERSON, False, row.from_ns, row.until_ns)
    return found


def of_ticket(conn: Connection, ticket_id: int, now_ns: int) -> Standstill | None:
    """The downtime of one ticket; None if its machine did not stand, as far as anybody said."""
    return of_tickets(conn, [ticket_id], now_ns).get(ticket_id)


def _stops(conn: Connection, numbers: Sequence[int], now_ns: int) -> Mapping[int, list[Span]]:
    c = activation.c
    wanted = select(c.ticket, c.at_ns, c.clear_ns).where(c.ticket.in_(numbers), c.family == str(Family.STOP))
    spans: dict[int, list[Span]] = {}
    for ticket, begins, ends in conn.execute(wanted):
        spans.setdefault(ticket, []).append((begins, max(begins, now_ns if ends is None else ends)))
    return spans


def _of_machine(spans: Sequence[Span], now_ns: int) -> Standstill:
    whole = together(spans)
    minutes = sum(ends - begins for begins, ends in whole) / MINUTE_NS
    return Standstill(minutes, Said.MACHINE, whole[-1][1] == now_ns, whole[0][0], whole[-1][1])
