"""What came of each detector's tickets: how many it opened, and how many of them were false."""

from dataclasses import dataclass

from sqlalchemy import Connection, case, distinct, func, or_, select

from andon.database import Machines, among
from ticketing.tables import occurrence, ticket
from ticketing.ticket import Closure, FoldRule, Outcome, TicketState

_OPENING = (FoldRule.FIRST, FoldRule.AFTER_CLOSED, FoldRule.WINDOW_OVER)


@dataclass(frozen=True, slots=True)
class Record:
    """Tickets that a detector opened; `false` of the `closed` ones were no fault, `false_at` is the last one's asset."""

    detector: str
    opened: int
    closed: int
    false: int
    last_ns: int
    false_at: str

    @property
    def share(self) -> float:
        """The share of the closed tickets that were false, 0 while none is closed."""
        return self.false / self.closed if self.closed else 0.0


def records(conn: Connection, since_ns: int, machines: Machines = None) -> list[Record]:
    """Of each detector that opened a ticket since then, by event time; the one with the largest false share first."""
    o, t = occurrence.c, ticket.c
    was_false = or_(t.closure == Closure.FALSE_ALARM, t.outcome == Outcome.FALSE_ALARM)
    counted = (t.state == TicketState.CLOSED) & (func.coalesce(t.closure, "") != Closure.DUPLICATE)
    rows = conn.execute(
        select(
            o.detector,
            func.count(distinct(t.id)),
            func.count(distinct(case((counted, t.id)))),
            func.count(distinct(case((counted & was_false, t.id)))),
            func.max(o.at_ns),
            func.max(case((counted & was_false, t.id))),
        )
        .join(ticket, t.id == o.ticket)
        .where(o.rule.in_(_OPENING), o.at_ns >= since_ns, among(t.asset, machines))
        .group_by(o.detector)
    ).all()
    last_false = [row[5] for row in rows if row[5] is not None]
    asset = {row[0]: row[1] for row in conn.execute(select(t.id, t.asset).where(t.id.in_(last_false)))}
    found = [
        Record(kind, opened, closed, false, last_ns, asset.get(false_id, ""))
        for kind, opened, closed, false, last_ns, false_id in rows
    ]
    return sorted(found, key=lambda one: (-one.share, -one.opened, one.detector))
