"""The tables of ticketing, for SQLite and PostgreSQL alike."""

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any, TypeVar

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
)
from sqlalchemy.dialects import postgresql, sqlite

from andon.database import append_only
from andon.events import Json

metadata = MetaData()
_Serial = BigInteger().with_variant(Integer, "sqlite")
Row = dict[str, Any]  # a row on its way into the database
Value = TypeVar("Value", int, str)

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
Index("ticket_by_change", ticket.c.change)
Index("ticket_by_recurrence", ticket.c.recurrence_of)
Index("ticket_by_duplicate", ticket.c.duplicate_of)
Index("ticket_by_last_event", ticket.c.last_event_ns)
Index("ticket_by_urgency", ticket.c.priority, ticket.c.last_event_ns, ticket.c.id)
Index("ticket_by_line", ticket.c.line, ticket.c.state)
Index("ticket_by_person", ticket.c.assignee, ticket.c.state)

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

outbox = Table(
    "outbox",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("number", String(24), nullable=False),
    Column("kind", Text, nullable=False),
    Column("channel", String(24), nullable=False),
    Column("recipient", Text, nullable=False),
    Column("trace_id", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("content", Text, nullable=False),
    Column("state", String(8), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("next_ns", BigInteger, nullable=False),
    Column("last_error", Text, nullable=False),
    Column("sent_ns", BigInteger),
    Column("critical", Boolean, nullable=False, server_default="0"),
    Column("parcel", BigInteger),
    UniqueConstraint("key", name="outbox_once"),
)
"""Messages, first to the bus, then one for each channel and recipient; `parcel` is the first of those it left with."""
Index("outbox_due", outbox.c.state, outbox.c.next_ns)
Index("outbox_in_order", outbox.c.ticket, outbox.c.channel, outbox.c.state)
Index("outbox_of_channel", outbox.c.channel, outbox.c.state, outbox.c.sent_ns)

delivery = Table(
    "delivery",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
    Column("message", BigInteger, nullable=False),
    Column("channel", String(32), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("answer", Text, nullable=False),
)
"""Each call to the outside: the first message of what was sent, what became of it, the head of the answer (rule 84)."""
Index("delivery_by_message", delivery.c.message)
Index("delivery_by_time", delivery.c.at_ns)

label = Table(
    "label",
    metadata,
    Column("id", _Serial, primary_key=True, autoincrement=True),
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


CHUNK = 500
"""Values per IN list; SQLite allows 32,766 variables, older ones 999."""


def chunks(values: Iterable[Value]) -> Iterable[list[Value]]:
    """The distinct values in order, in runs short enough for an IN list."""
    distinct = sorted(set(values))
    return (distinct[start : start + CHUNK] for start in range(0, len(distinct), CHUNK))


def upsert(conn: Connection, table: Table, rows: Sequence[Row], update: Sequence[str] = ()) -> None:
    """Insert rows; where the primary key is taken, set the columns of `update` (none: leave the row alone).

    The same clause on SQLite and PostgreSQL; rows should stand in key order, so that two writers never deadlock.
    """
    if rows:
        conn.execute(_upsert(conn.dialect.name, table, tuple(update)), rows)


def count(conn: Connection, counts: Mapping[str, int]) -> None:
    """Add to counters; the rows stay locked until the transaction ends."""
    rows = [{"name": f"count.{name}", "value": n} for name, n in sorted(counts.items()) if n]
    if rows:
        conn.execute(_add(conn.dialect.name), rows)


Upsert = sqlite.Insert | postgresql.Insert


@cache
def _upsert(dialect: str, table: Table, update: tuple[str, ...]) -> Upsert:
    statement = _insert(dialect, table)
    index = [column.name for column in table.primary_key]
    if not update:
        return statement.on_conflict_do_nothing(index_elements=index)
    changed: Mapping[str, Any] = {name: statement.excluded[name] for name in update}
    return statement.on_conflict_do_update(index_elements=index, set_=changed)


@cache
def _add(dialect: str) -> Upsert:
    statement = _insert(dialect, counter)
    total = counter.c.value + statement.excluded.value
    return statement.on_conflict_do_update(index_elements=["name"], set_={"value": total})


def _insert(dialect: str, table: Table) -> Upsert:
    return postgresql.insert(table) if dialect == "postgresql" else sqlite.insert(table)


def _plain(value: object) -> Json:
    """A numpy scalar as the number it is."""
    item = getattr(value, "item", None)
    if item is None:
        raise TypeError(f"{type(value).__name__} is not JSON")
    return item()


def to_json(value: object) -> str:
    """Canonical JSON: keys sorted, NaN and infinities as null."""
    return msgspec.json.encode(value, enc_hook=_plain, order="deterministic").decode()
