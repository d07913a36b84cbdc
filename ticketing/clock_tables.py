"""The tables of what happens later: one row for each step that is due, and for each clock of a ticket."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from ticketing.sql import Row, metadata

timer = Table(
    "ticket_timer",
    metadata,
    Column("kind", String(32), primary_key=True),
    Column("subject", Text, primary_key=True),
    Column("step", Integer, primary_key=True, autoincrement=False),
    Column("cycle", BigInteger, primary_key=True, autoincrement=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("try_ns", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("body", Text, nullable=False),
    Column("set_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
    Column("attempts", Integer, nullable=False, server_default="0"),
    Column("error", Text, nullable=False, server_default=""),
)
Index("timer_due", timer.c.state, timer.c.try_ns)
Index("timer_of", timer.c.subject, timer.c.state)
Index("timer_by_kind", timer.c.kind, timer.c.state)
"""What has to happen later; see ticketing.timers."""


clock = Table(
    "ticket_clock",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("kind", String(16), primary_key=True),
    Column("from_ns", BigInteger, primary_key=True, autoincrement=False),
    Column("policy", Text, nullable=False),
    Column("calendar", Text, nullable=False),
    Column("limit_ns", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("due_ns", BigInteger),
    Column("taken_ns", BigInteger, nullable=False),
    Column("ended_ns", BigInteger),
    Column("late", Boolean, nullable=False),
    Column("level", Integer, nullable=False),
)
"""One clock of a ticket: `level` is the first of its levels that has not been taken, `late` that it runs overdue.

`taken_ns` is by the clock's own time: as of the last review while it runs, for good once it has ended.
"""
Index("clock_late", clock.c.late, clock.c.due_ns)

REVIEW = "sla"
"""The kind of the one timer that each ticket's clocks have; see ticketing.sla."""
REVIEWED = ("due_ns", "try_ns", "state", "set_ns", "done_ns", "attempts", "error")


def review_row(ticket_id: int, due_ns: int, now_ns: int) -> Row:
    """The timer at which a ticket's clocks are looked at next, as a row; upserted with `REVIEWED` it runs again."""
    row: Row = dict.fromkeys(("step", "cycle", "attempts"), 0)
    row |= {"kind": REVIEW, "subject": f"ticket/{ticket_id}", "state": "run", "body": "{}", "error": ""}
    return row | {"due_ns": due_ns, "try_ns": due_ns, "set_ns": now_ns, "done_ns": None}
