"""The tables of metrics: what each came to in a month, as it was known then, and what somebody has to do about it."""

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, String, Table, Text

from ticketing.sql import Serial, metadata

metric_snapshot = Table(
    "metric_snapshot",
    metadata,
    Column("metric", String(32), primary_key=True),
    Column("period", String(7), primary_key=True),
    Column("final", Boolean, nullable=False),
    Column("numerator", BigInteger, nullable=False),
    Column("denominator", BigInteger, nullable=False),
    Column("undecided", Integer, nullable=False),
    Column("left_out", Integer, nullable=False),
    Column("tickets", String(64), nullable=False),
    Column("taken_ns", BigInteger, nullable=False),
)
"""A month of a metric; once `final` it stays. `tickets` is the SHA-256 of what was counted: the same set, the same hash."""

metric_action = Table(
    "metric_action",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("rule", String(32), nullable=False),
    Column("metric", String(32), nullable=False),
    Column("period", String(7), nullable=False),
    Column("numerator", BigInteger, nullable=False),
    Column("denominator", BigInteger, nullable=False),
    Column("owner", Text, nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("problem", BigInteger),
    Column("done_ns", BigInteger),
    Column("done_by", Text),
    Column("note", Text, nullable=False),
)
"""What a metric beyond its bound asks of somebody; one of a rule and a period (rule 56)."""
Index("metric_action_once", metric_action.c.rule, metric_action.c.period, unique=True)
Index("metric_action_open", metric_action.c.done_ns, metric_action.c.due_ns)
