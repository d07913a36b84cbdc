"""What a machine cost over a time: the sums of its tickets, and each ticket that had any."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import Column, Connection, Select, Table, func, select

from ticketing.approving import standstill
from ticketing.approving.costs import Kind
from ticketing.approving.tables import cost_line
from ticketing.parts.tables import part_use
from ticketing.tables import ticket as tickets


@dataclass(frozen=True, slots=True)
class Spent:
    """One ticket's hours, money in cents, and downtime."""

    ticket: int
    number: str
    opened_ns: int
    labour_minutes: int
    labour_cents: int
    parts_cents: int
    other_cents: int
    downtime_minutes: float

    @property
    def cents(self) -> int:
        """All of it."""
        return self.labour_cents + self.parts_cents + self.other_cents


def of_asset(conn: Connection, asset: str, *, from_ns: int, until_ns: int, now_ns: int) -> Sequence[Spent]:
    """The tickets of a machine that were opened in that time and cost anything, or stopped it; the newest first."""
    c = tickets.c
    chosen = select(c.id, c.number, c.opened_ns).where(
        c.asset == asset, c.opened_ns >= from_ns, c.opened_ns < until_ns
    )
    opened = {row.id: row for row in conn.execute(chosen.order_by(c.id.desc()))}
    mine = chosen.with_only_columns(c.id)
    labour = _summed(conn, mine, cost_line, cost_line.c.cents, kind=Kind.LABOUR)
    minutes = _summed(conn, mine, cost_line, cost_line.c.minutes, kind=Kind.LABOUR)
    other = _summed(conn, mine, cost_line, cost_line.c.cents, kind=Kind.OTHER)
    parts = _summed(conn, mine, part_use, part_use.c.cents)
    stood = standstill.of_tickets(conn, opened, now_ns)
    return [
        Spent(
            ticket=number,
            number=row.number,
            opened_ns=row.opened_ns,
            labour_minutes=minutes.get(number, 0),
            labour_cents=labour.get(number, 0),
            parts_cents=parts.get(number, 0),
            other_cents=other.get(number, 0),
            downtime_minutes=stood[number].minutes if number in stood else 0.0,
        )
        for number, row in opened.items()
        if number in labour or number in other or number in parts or number in stood
    ]


def _summed(
    conn: Connection,
    mine: Select[tuple[int]],
    table: Table,
    what: Column[int],
    *,
    kind: Kind | None = None,
) -> dict[int, int]:
    wanted = select(table.c.ticket, func.coalesce(func.sum(what), 0)).where(table.c.ticket.in_(mine))
    if kind is not None:
        wanted = wanted.where(table.c.kind == str(kind))
    return {row[0]: int(row[1]) for row in conn.execute(wanted.group_by(table.c.ticket))}
