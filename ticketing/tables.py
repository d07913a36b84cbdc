"""The tables of ticketing, for SQLite and PostgreSQL alike."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ColumnElement,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    exists,
    true,
)

from andon.database import Machines, among, append_only
from ticketing.sql import Serial, Upsert, insert_into, metadata

counter = Table(
    "ticket_counter",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
"""Ticket and problem numbers, the change number, and what was counted: moved inside the transactions they count."""

asset_lock = Table("ticket_asset", metadata, Column("asset", Text, primary_key=True))
"""One row per machine: upserting it is the lock under which its tickets change (4.1, step 1)."""

dedup_key = Table(
    "dedup_key",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("inputs", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("last_ticket", BigInteger),
)

ticket = Table(
    "ticket",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", String(24), nullable=False, unique=True),
    Column("type", String(32), nullable=False),
    Column("asset", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("family", String(32), nullable=False),
    Column("component", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("headline", Text, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("state", String(20), nullable=False),
    Column("sub_state", String(20)),
    Column("key", String(64), nullable=False),
    Column("anchor_ns", BigInteger, nullable=False),
    Column("first_event_ns", BigInteger, nullable=False),
    Column("last_event_ns", BigInteger, nullable=False),
    Column("occurrence_count", BigInteger, nullable=False),
    Column("alarm_active", Boolean, nullable=False),
    Column("requester", Text),
    Column("assignee", Text),
    Column("backup", Text),
    Column("suggested", Text),
    Column("suggestion", Text),
    Column("opened_ns", BigInteger, nullable=False),
    Column("assigned_ns", BigInteger),
    Column("accepted_ns", BigInteger),
    Column("resolved_ns", BigInteger),
    Column("closed_ns", BigInteger),
    Column("handler", Text),
    Column("signer", Text),
    Column("summary", Text, nullable=False),
    Column("cause", String(16)),
    Column("same_kind", Boolean),
    Column("closure", String(16)),
    Column("closure_note", Text, nullable=False),
    Column("outcome", String(20)),
    Column("relearn", Boolean),
    Column("approver", Text),
    Column("duplicate_of", BigInteger),
    Column("recurrence_of", BigInteger),
    Column("reopen_count", Integer, nullable=False),
    Column("claim_misses", Integer, nullable=False),
    Column("description", Text, nullable=False, server_default=""),
    Column("fault_type", String(64)),
    Column("priority_held", Integer),
    Column("urgent", Boolean, nullable=False, server_default="0"),
    Column("channel", String(32), nullable=False, server_default=""),
    Column("event_id", Text),
    Column("reporter", Text),
    Column("phone", Text),
    Column("grade", String(16)),
    Column("region", Text, nullable=False, server_default=""),
    Column("fields", Text, nullable=False, server_default="{}"),
    Column("collaborators", Text, nullable=False, server_default="{}"),
    Column("hold", String(32)),
    Column("arrived_ns", BigInteger),
    Column("signed_by", String(16)),
    Column("scene_tag", String(64)),
    Column("archived_ns", BigInteger),
    Column("parent", BigInteger),
    Column("trace_id", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("audit_seq", BigInteger, nullable=False),
    Column("audit_hash", String(64), nullable=False),
)
Index(
    "ticket_unclosed",
    ticket.c.id,
    sqlite_where=ticket.c.state != "closed",
    postgresql_where=ticket.c.state != "closed",
)
Index("ticket_by_state", ticket.c.state, ticket.c.priority, ticket.c.last_event_ns)
Index("ticket_by_load", ticket.c.state, ticket.c.suggested, ticket.c.assignee, ticket.c.assigned_ns)
Index("ticket_by_asset", ticket.c.asset, ticket.c.state)
Index("ticket_by_repair", ticket.c.asset, ticket.c.resolved_ns, ticket.c.handler)
Index("ticket_by_condition", ticket.c.condition, ticket.c.asset, ticket.c.resolved_ns)
Index("ticket_by_change", ticket.c.change)
Index("ticket_by_recurrence", ticket.c.recurrence_of)
Index("ticket_by_duplicate", ticket.c.duplicate_of)
Index("ticket_by_last_event", ticket.c.last_event_ns)
Index("ticket_by_urgency", ticket.c.priority, ticket.c.last_event_ns, ticket.c.id)
Index("ticket_by_line", ticket.c.line, ticket.c.state)
Index("ticket_by_person", ticket.c.assignee, ticket.c.state)
Index("ticket_by_opened", ticket.c.opened_ns)
Index("ticket_by_closed", ticket.c.closed_ns)

master = Table(
    "ticket_master",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("anchor_ns", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Column("exclusive", Boolean, nullable=False, server_default="1"),
)
"""Which tickets hold a key: mostly one key and one ticket; a stop that joins its cause brings its key along.

`open`: whatever comes belongs to it. Never so where the rules say `window_only`: then it is not `exclusive`."""
Index("master_by_ticket", master.c.ticket)
Index(
    "one_open_master_per_key",
    master.c.key,
    unique=True,
    sqlite_where=master.c.open.is_(True),
    postgresql_where=master.c.open.is_(True),
)

merged_key = Table(
    "merged_key",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("key", String(64), primary_key=True),
)
"""The keys that a duplicate handed over when it was merged, until that is undone."""

occurrence = Table(
    "occurrence",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("ticket", ForeignKey("ticket.id")),
    Column("key", String(64), nullable=False),
    Column("asset", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("family", String(32), nullable=False),
    Column("condition", Text, nullable=False),
    Column("action", String(8), nullable=False),
    Column("severity", Integer, nullable=False),
    Column("confidence", Float, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("event_ns", BigInteger, nullable=False),
    Column("onset_ns", BigInteger, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("recorded_ns", BigInteger, nullable=False),
    Column("clock", String(12), nullable=False),
    Column("rule", String(24), nullable=False),
    Column("fold", Text, nullable=False),
    Column("numbers", Text, nullable=False),
    Column("text", Text, nullable=False),
    Column("detector", Text, nullable=False),
    Column("detector_version", Text, nullable=False),
    Column("parameters_hash", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("has_evidence", Boolean, nullable=False),
    Column("set_version", BigInteger, nullable=False, server_default="0"),
)
Index("occurrence_by_ticket", occurrence.c.ticket, occurrence.c.at_ns)
Index("occurrence_by_key", occurrence.c.key, occurrence.c.at_ns)
Index("occurrence_by_rule", occurrence.c.rule, occurrence.c.at_ns)
_RAISED_OR_OVER = occurrence.c.action.in_(["raise", "clear"])
Index(
    "occurrence_by_time",
    occurrence.c.at_ns,
    sqlite_where=_RAISED_OR_OVER,
    postgresql_where=_RAISED_OR_OVER,
)

finding_evidence = Table(
    "finding_evidence",
    metadata,
    Column("finding", ForeignKey("occurrence.finding"), primary_key=True),
    Column("body", Text, nullable=False),
)

alarm = Table(
    "ticket_alarm",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("raise_ns", BigInteger),
    Column("clear_ns", BigInteger),
    Column("ticket", ForeignKey("ticket.id")),
)
"""Whether what speaks of a key stands: raised later than cleared. Kept by event time, so order does not matter.

`id` is key and source in one, so that many are found by one list."""
Index("alarm_by_ticket", alarm.c.ticket)

activation = Table(
    "activation",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("family", String(32), nullable=False),
    Column("ticket", ForeignKey("ticket.id")),
    Column("at_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    Column("clear_ns", BigInteger),
    Column("ended_by_repair", Boolean, nullable=False),
    Column("failure", Text, nullable=False),
    Column("failure_ns", BigInteger, nullable=False),
)
Index("activation_by_asset", activation.c.asset, activation.c.family, activation.c.at_ns)
Index("activation_by_end", activation.c.asset, activation.c.clear_ns)
Index("activation_by_ticket", activation.c.ticket)

failure = Table(
    "failure",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("asset", Text, nullable=False),
    Column("key", String(64), nullable=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("rule", String(24), nullable=False),
    Column("component", Text, nullable=False, server_default=""),
    Column("fault", Text, nullable=False, server_default=""),
    Column("serial", Text, nullable=False, server_default=""),
)
Index("failure_by_asset", failure.c.asset, failure.c.start_ns)
Index("failure_by_ticket", failure.c.ticket)

problem = Table(
    "problem",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", String(24), nullable=False, unique=True),
    Column("kind", String(16), nullable=False),
    Column("scope", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("review", Text, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("period", String(16)),
    Column("leader", Text),
    Column("statement", Text, nullable=False, server_default="{}"),
    Column("check", Text),
    Column("outcome", String(16)),
    Column("closed_ns", BigInteger),
    Column("cycle", Integer, nullable=False, server_default="0"),
    Column("version", BigInteger, nullable=False, server_default="1"),
    Column("audit_seq", BigInteger, nullable=False, server_default="0"),
    Column("audit_hash", String(64), nullable=False, server_default=""),
    Column("eight_d", Text),
)
Index("problem_by_change", problem.c.change)
Index("problem_by_asset", problem.c.asset, problem.c.state)
Index(
    "one_open_problem_per_scope",
    problem.c.kind,
    problem.c.scope,
    unique=True,
    sqlite_where=problem.c.state != "closed",
    postgresql_where=problem.c.state != "closed",
)

problem_link = Table(
    "problem_link",
    metadata,
    Column("problem", ForeignKey("problem.id"), primary_key=True),
    Column("failure", ForeignKey("failure.finding"), primary_key=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("same_fault", Boolean, nullable=False),
    Column("counted_from", String(12), nullable=False),
    Column("interval_ns", BigInteger),
    Column("linked_ns", BigInteger, nullable=False),
)
Index("problem_link_by_ticket", problem_link.c.ticket)

ticket_event = Table(
    "ticket_event",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
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
Index(
    "ticket_event_by_action",
    *(ticket_event.c[name] for name in ("action", "at_ns", "ticket", "seq")),
)
"""All that a question about when something was done needs: no line has to be read for it."""
append_only(ticket_event)

photo = Table(
    "photo",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("cycle", Integer, primary_key=True),
    Column("mime", String(32), nullable=False),
    Column("size", Integer, nullable=False),
    Column("width", Integer, nullable=False),
    Column("height", Integer, nullable=False),
    Column("stage", String(24), nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)

label = Table(
    "label",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("asset", Text, nullable=False),
    Column("component", Text),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),
    Column("what", String(24), nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""What people marked on plots; see ticketing.labels."""
Index("label_by_asset", label.c.asset, label.c.from_ns)


def of_machines(number: Column[Any], machines: Machines) -> ColumnElement[bool]:
    """What belongs to a ticket of those machines; `number` is the column that names the ticket."""
    if machines is None:
        return true()
    return exists().where(ticket.c.id == number, among(ticket.c.asset, machines))


def count(conn: Connection, counts: Mapping[str, int]) -> None:
    """Add to counters; the rows stay locked until the transaction ends."""
    rows = [{"name": f"count.{name}", "value": n} for name, n in sorted(counts.items()) if n]
    if rows:
        conn.execute(_add(conn.dialect.name), rows)


@cache
def _add(dialect: str) -> Upsert:
    statement = insert_into(dialect, counter)
    total = counter.c.value + statement.excluded.value
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": total})
