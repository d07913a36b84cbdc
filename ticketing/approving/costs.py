"""What a ticket costs: hours at the rate of their day, parts at the price of their issue, and whatever else was paid.

A line is never changed: what was wrong is taken back by its negative, and said anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, exists, func, select

from andon.events import MINUTE_NS
from andon.plant import Plant
from andon.rules.approvals import MOST, cents_of
from ticketing.approving.tables import cost_line, estimate
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.parts.tables import part_use
from ticketing.ticket import Ticket
from ticketing.vague import is_vague

MOST_CENTS = cents_of(MOST)
LONGEST_MIN = 7 * 24 * 60
"""No single line of work is longer; who works longer says it day by day."""


class Kind(StrEnum):
    """What a line is for."""

    LABOUR = "labour"
    OTHER = "other"


@dataclass(frozen=True, slots=True)
class CostLine:
    """One line: minutes of a person's work at `rate_cents` an hour, or an amount that was paid. `cents` is signed."""

    id: int
    ticket: int
    kind: Kind
    person: str | None
    role: str
    from_ns: int | None
    until_ns: int | None
    minutes: int
    rate_cents: int
    cents: int
    note: str
    by: str
    at_ns: int
    takes_back: int | None = None


@dataclass(frozen=True, slots=True)
class Sums:
    """What a ticket was thought to cost, and what it cost so far, in cents."""

    estimate_cents: int | None = None
    labour_cents: int = 0
    labour_minutes: int = 0
    parts_cents: int = 0
    other_cents: int = 0

    @property
    def actual_cents(self) -> int:
        """What was spent so far."""
        return self.labour_cents + self.parts_cents + self.other_cents

    @property
    def amount_cents(self) -> int:
        """What has to be agreed to: what it is thought to cost, or what it cost if that is more."""
        return max(self.estimate_cents or 0, self.actual_cents)

    @property
    def basis(self) -> str:
        """Which of the two that is."""
        return "actual" if self.actual_cents > (self.estimate_cents or 0) else "estimate"


def think(book: Book, ticket: Ticket, *, cents: int, reason: str, actor: str, channel: str) -> Ticket:
    """State what the ticket will cost; the newest word holds. The ticket must be locked."""
    _refuse("estimate", ticket, [*_amount(cents, least=0), *_words(reason)])
    row = {"ticket": ticket.id, "cents": cents, "reason": reason.strip(), "by": actor, "at_ns": book.now_ns}
    book.conn.execute(estimate.insert().values(row))
    return book.record(
        ticket,
        action="estimate",
        actor=actor,
        channel=channel,
        reason=reason.strip(),
        numbers={"cents": float(cents)},
    )


def work(
    book: Book,
    ticket: Ticket,
    plant: Plant,
    *,
    person: str,
    minutes: int | None,
    span_ns: tuple[int, int] | None,
    note: str,
    actor: str,
    channel: str,
) -> CostLine:
    """Put hours down, as minutes or from when until when; nobody works in two places at once. The ticket must be locked."""
    who = next((one for one in plant.people if one.id == person), None)
    wrong = [] if who is not None or not plant.people else [Missing("person", "unknown")]
    if span_ns is not None:
        minutes = max(1, round((span_ns[1] - span_ns[0]) / MINUTE_NS)) if span_ns[1] > span_ns[0] else None
        wrong += [Missing("until", "in_future")] if span_ns[1] > book.now_ns else []
    if minutes is None or not 0 < minutes <= LONGEST_MIN:
        wrong.append(Missing("minutes", "not_so_long"))
    _refuse("labour", ticket, wrong)
    if span_ns is not None:
        _must_be_free(book.conn, person, span_ns)
    role = who.role if who is not None else ""
    rate = cents_of(plant.hourly_rates.get(role, 0.0))
    line = CostLine(
        id=book.next_number("cost_line"),
        ticket=ticket.id,
        kind=Kind.LABOUR,
        person=person,
        role=role,
        from_ns=span_ns[0] if span_ns else None,
        until_ns=span_ns[1] if span_ns else None,
        minutes=minutes or 0,
        rate_cents=rate,
        cents=((minutes or 0) * rate + 30) // 60,
        note=note.strip(),
        by=actor,
        at_ns=book.now_ns,
    )
    return _written(book, ticket, line, action="labour", reason=note, channel=channel)


def pay(book: Book, ticket: Ticket, *, cents: int, note: str, actor: str, channel: str) -> CostLine:
    """Put down what was paid besides: a contractor's bill, a crane, a taxi. The ticket must be locked."""
    _refuse("cost", ticket, [*_amount(cents, least=1), *_words(note)])
    line = CostLine(
        id=book.next_number("cost_line"),
        ticket=ticket.id,
        kind=Kind.OTHER,
        person=None,
        role="",
        from_ns=None,
        until_ns=None,
        minutes=0,
        rate_cents=0,
        cents=cents,
        note=note.strip(),
        by=actor,
        at_ns=book.now_ns,
    )
    return _written(book, ticket, line, action="cost", reason=note, channel=channel)


def take_back(book: Book, ticket: Ticket, number: int, *, reason: str, actor: str, channel: str) -> CostLine:
    """A line was wrong: its negative, once. The ticket must be locked."""
    _refuse("take_back", ticket, _words(reason))
    c = cost_line.c
    row = book.conn.execute(select(cost_line).where(c.id == number, c.ticket == ticket.id)).mappings().first()
    if row is None or row["takes_back"] is not None:
        raise DeedRefused(
            "cost_line_not_found", f"{ticket.number} has no line {number} that can be taken back"
        )
    if book.conn.execute(select(c.id).where(c.takes_back == number)).first() is not None:
        raise DeedRefused("cost_line_taken_back", f"line {number} was taken back already")
    wrong = _of(row)
    line = replace(
        wrong,
        id=book.next_number("cost_line"),
        minutes=-wrong.minutes,
        cents=-wrong.cents,
        note=reason.strip(),
        by=actor,
        at_ns=book.now_ns,
        takes_back=wrong.id,
    )
    return _written(book, ticket, line, action="cost_taken_back", reason=reason, channel=channel)


def sums(conn: Connection, ticket_id: int) -> Sums:
    """What one ticket costs."""
    c = cost_line.c
    spent = select(c.kind, func.sum(c.cents), func.sum(c.minutes)).where(c.ticket == ticket_id)
    by_kind = {row[0]: (int(row[1]), int(row[2])) for row in conn.execute(spent.group_by(c.kind))}
    parts = select(func.coalesce(func.sum(part_use.c.cents), 0)).where(part_use.c.ticket == ticket_id)
    newest = select(estimate.c.cents).where(estimate.c.ticket == ticket_id).order_by(estimate.c.id.desc())
    labour, other = by_kind.get(Kind.LABOUR, (0, 0)), by_kind.get(Kind.OTHER, (0, 0))
    return Sums(
        estimate_cents=conn.execute(newest.limit(1)).scalar(),
        labour_cents=labour[0],
        labour_minutes=labour[1],
        parts_cents=int(conn.execute(parts).scalar_one()),
        other_cents=other[0],
    )


def lines(conn: Connection, ticket_id: int) -> Sequence[CostLine]:
    """Every line of a ticket, in order."""
    wanted = select(cost_line).where(cost_line.c.ticket == ticket_id).order_by(cost_line.c.id)
    return [_of(row) for row in conn.execute(wanted).mappings()]


def _must_be_free(conn: Connection, person: str, span_ns: tuple[int, int]) -> None:
    c, back = cost_line.c, cost_line.alias("back")
    wanted = select(c.ticket).where(
        c.person == person,
        c.from_ns < span_ns[1],
        c.until_ns > span_ns[0],
        c.takes_back.is_(None),
        ~exists().where(back.c.takes_back == c.id),
    )
    other = conn.execute(wanted.limit(1)).scalar()
    if other is not None:
        raise DeedRefused("labour_overlaps", f"{person} worked on ticket {other} at that time already")


def _written(
    book: Book, ticket: Ticket, line: CostLine, *, action: str, reason: str, channel: str
) -> CostLine:
    row = {column.name: getattr(line, column.name) for column in cost_line.columns}
    book.conn.execute(cost_line.insert().values(row | {"kind": str(line.kind)}))
    book.record(
        ticket,
        action=action,
        actor=line.by,
        channel=channel,
        reason=reason.strip(),
        numbers={"cents": float(line.cents), "minutes": float(line.minutes)},
        evidence=tuple(one for one in (f"C-{line.id}", line.person) if one),
    )
    return line


def _refuse(what: str, ticket: Ticket, wrong: Sequence[Missing]) -> None:
    if wrong:
        raise StepRefused(what, ticket.state, wrong)


def _amount(cents: int, *, least: int) -> list[Missing]:
    return [] if least <= cents <= MOST_CENTS else [Missing("amount", "not_so_much")]


def _words(text: str) -> list[Missing]:
    if not text.strip():
        return [Missing("reason")]
    return [Missing("reason", "vague")] if is_vague(text) else []


def _of(row: RowMapping) -> CostLine:
    return CostLine(**{**row, "kind": Kind(row["kind"])})
