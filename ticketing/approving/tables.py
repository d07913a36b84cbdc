"""The tables of money: what was estimated, worked and spent, what was asked for and decided. All but the requests only grow."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.sql import Serial, metadata

estimate = Table(
    "cost_estimate",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""What a ticket is thought to cost; the newest holds."""
Index("estimate_by_ticket", estimate.c.ticket, estimate.c.id)
append_only(estimate)

cost_line = Table(
    "cost_line",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("person", Text),
    Column("role", Text, nullable=False),
    Column("from_ns", BigInteger),
    Column("until_ns", BigInteger),
    Column("minutes", Integer, nullable=False),
    Column("rate_cents", BigInteger, nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("takes_back", ForeignKey("cost_line.id"), unique=True),
)
"""Hours (`labour`, at the rate of that day) and whatever else was paid (`other`). What takes a line back is its negative.

Parts stand in `part_use`."""
Index("cost_by_ticket", cost_line.c.ticket, cost_line.c.id)
Index("labour_by_person", cost_line.c.person, cost_line.c.from_ns)
append_only(cost_line)

cost_request = Table(
    "cost_request",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("basis", String(8), nullable=False),
    Column("levels", Text, nullable=False),
    Column("level", String(32)),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("settled_ns", BigInteger),
)
"""An amount that waits for levels: `levels` in order, `level` whose turn it is since `since_ns`."""
Index("request_by_ticket", cost_request.c.ticket, cost_request.c.id)
Index("request_by_state", cost_request.c.state, cost_request.c.id)
Index(
    "one_pending_request_per_ticket",
    cost_request.c.ticket,
    unique=True,
    sqlite_where=cost_request.c.state == "pending",
    postgresql_where=cost_request.c.state == "pending",
)

cost_decision = Table(
    "cost_decision",
    metadata,
    Column("request", ForeignKey("cost_request.id"), primary_key=True),
    Column("level", String(32), primary_key=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("cents", BigInteger, nullable=False),
    Column("verdict", String(8), nullable=False),
    Column("by", Text, nullable=False),
    Column("via", String(16), nullable=False),
    Column("on_behalf_of", Text),
    Column("note", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""One row for each level of a request, for ever: the key is why two at once decide once."""
Index("decision_by_ticket", cost_decision.c.ticket)
append_only(cost_decision)

delegation = Table(
    "approval_delegation",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("giver", Text, nullable=False),
    Column("taker", Text, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("revoked_ns", BigInteger),
    Column("revoked_by", Text),
)
"""Who decides for whom, from when until when."""
Index("delegation_by_end", delegation.c.until_ns)

downtime = Table(
    "downtime",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""How long the machine stood, as a person says it; the newest holds, before what the machine said."""
Index("downtime_by_ticket", downtime.c.ticket, downtime.c.id)
append_only(downtime)
