"""The tables of a problem's causes, actions and audit, and of the tickets that an improvement task counts."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.sql import metadata

problem_cause = Table(
    "problem_cause",
    metadata,
    Column("problem", ForeignKey("problem.id"), primary_key=True),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("text", Text, nullable=False),
    Column("code", String(16), nullable=False),
    Column("category", String(16)),
    Column("parent", Integer),
    Column("root", Boolean, nullable=False),
    Column("verified", Boolean),
    Column("evidence", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("verified_by", Text),
    Column("verified_ns", BigInteger),
    Column("kind", String(12), nullable=False, server_default="occurrence"),
)

problem_action = Table(
    "problem_action",
    metadata,
    Column("problem", ForeignKey("problem.id"), primary_key=True),
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("kind", String(16), nullable=False),
    Column("text", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("state", String(16), nullable=False),
    Column("evidence", Text, nullable=False),
    Column("approver", Text),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("done_ns", BigInteger),
    Column("cycle", Integer, nullable=False),
    Column("moved", Integer, nullable=False),
)
Index("problem_action_by_owner", problem_action.c.owner, problem_action.c.state)

problem_counted = Table(
    "problem_counted",
    metadata,
    Column("problem", ForeignKey("problem.id"), primary_key=True),
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("resolved_ns", BigInteger, nullable=False),
    Column("linked_ns", BigInteger, nullable=False),
    Column("left_ns", BigInteger),
)
Index("problem_counted_by_ticket", problem_counted.c.ticket)

named_cause = Table(
    "ticket_cause",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("cause", String(16), nullable=False),
    Column("model", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("resolved_ns", BigInteger, nullable=False),
)
"""The root cause of each ticket that is resolved or closed, with what it befell: what is counted (rule 54)."""
Index("ticket_cause_by_time", named_cause.c.resolved_ns, named_cause.c.cause)

problem_event = Table(
    "problem_event",
    metadata,
    Column("problem", ForeignKey("problem.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("from_state", String(20)),
    Column("to_state", String(20), nullable=False),
    Column("changes", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("numbers", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
append_only(problem_event)
