"""The schema as it was when migrations began; it also completes the stores of builds before that.

Frozen: what the tables are today stands in their modules.
"""

from alembic import op
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    false,
    inspect,
    text,
)
from sqlalchemy.schema import CreateColumn, CreateIndex, CreateTable

revision = "0001"
down_revision = None
metadata = MetaData()
SERIAL = BigInteger().with_variant(Integer, "sqlite")

Table(
    "batch",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False),
)
Table(
    "batch_slice",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("place", Integer, primary_key=True, autoincrement=False),
    Column("source", Text, nullable=False),
    Column("first", BigInteger, nullable=False),
    Column("after", BigInteger, nullable=False),
)
Table(
    "counter",
    metadata,
    Column("stage", Text, primary_key=True),
    Column("name", Text, primary_key=True),
    Column("value", BigInteger, nullable=False),
)
Table(
    "source_position",
    metadata,
    Column("source", Text, primary_key=True),
    Column("after", BigInteger, nullable=False),
)
Table(
    "plant",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
)
Table(
    "plant_asked",
    metadata,
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
)
Table(
    "declaration",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("asked_ns", BigInteger, nullable=False),
    Column("asset", Text, nullable=False),
    Column("component", Text),
    Column("what", String(24), nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("ticket", String(24)),
    Column("at_ns", BigInteger),
    Column("position", BigInteger),
    Index("declaration_asked", "position"),
    Index("declaration_by_asset", "asset", "id"),
    sqlite_autoincrement=True,
)
Table(
    "dead_letter",
    metadata,
    Column("source", Text, primary_key=True),
    Column("position", BigInteger, primary_key=True, autoincrement=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("topic", LargeBinary, nullable=False),
    Column("reason", Text, nullable=False),
    Column("detail", Text, nullable=False),
    Column("head", LargeBinary, nullable=False),
    Column("length", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("identified", Boolean, nullable=False, server_default=false()),
    Column("asked_ns", BigInteger),
    Column("redriven_ns", BigInteger),
    Index("dead_letter_asked", "asked_ns"),
    Index("dead_letter_received", "received_ns"),
)
Table(
    "gap",
    metadata,
    Column("id", Integer, primary_key=True),
    Column("source", Text, nullable=False),
    Column("asset", Text),
    Column("point", Text),
    Column("cause", Text, nullable=False),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger),
    Column("backfilled", Boolean, nullable=False),
    Column("position", BigInteger, nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Index("gap_key", "source", "cause", "from_ns"),
)
Table(
    "heard_point",
    metadata,
    Column("asset", Text, primary_key=True),
    Column("point", Text, primary_key=True),
    Column("heard_ns", BigInteger, nullable=False),
    Column("source", Text, nullable=False),
)
Table(
    "dedup_key",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("inputs", Text, nullable=False),
    Column("rule_version", Integer, nullable=False),
    Column("n", BigInteger, nullable=False),
    Column("last_ticket", BigInteger),
)
Table(
    "delivery",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("message", BigInteger, nullable=False),
    Column("channel", String(32), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("took_ms", Integer, nullable=False),
    Column("outcome", String(8), nullable=False),
    Column("answer", Text, nullable=False),
    Index("delivery_by_message", "message"),
    Index("delivery_by_time", "at_ns"),
)
Table(
    "label",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("asset", Text, nullable=False),
    Column("component", Text),
    Column("from_ns", BigInteger, nullable=False),
    Column("to_ns", BigInteger, nullable=False),
    Column("what", String(24), nullable=False),
    Column("by", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Index("label_by_asset", "asset", "from_ns"),
)
Table(
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
    Index(
        "one_open_problem_per_scope",
        "kind",
        "scope",
        unique=True,
        sqlite_where=text("state != 'closed'"),
        postgresql_where=text("state != 'closed'"),
    ),
)
Table(
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
    Column("trace_id", Text, nullable=False),
    Column("search", Text, nullable=False),
    Column("version", BigInteger, nullable=False),
    Column("change", BigInteger, nullable=False),
    Column("audit_seq", BigInteger, nullable=False),
    Column("audit_hash", String(64), nullable=False),
    Index("ticket_by_asset", "asset", "state"),
    Index("ticket_by_change", "change"),
    Index("ticket_by_last_event", "last_event_ns"),
    Index("ticket_by_load", "state", "suggested", "assignee", "assigned_ns"),
    Index("ticket_by_recurrence", "recurrence_of"),
    Index("ticket_by_repair", "asset", "resolved_ns"),
    Index("ticket_by_state", "state", "priority", "last_event_ns"),
)
Table(
    "ticket_asset",
    metadata,
    Column("asset", Text, primary_key=True),
)
Table(
    "ticket_counter",
    metadata,
    Column("name", String(40), primary_key=True),
    Column("value", BigInteger, nullable=False),
)
Table(
    "activation",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("family", String(32), nullable=False),
    Column("ticket", BigInteger, ForeignKey("ticket.id")),
    Column("at_ns", BigInteger, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    Column("clear_ns", BigInteger),
    Column("ended_by_repair", Boolean, nullable=False),
    Column("failure", Text, nullable=False),
    Column("failure_ns", BigInteger, nullable=False),
    Index("activation_by_asset", "asset", "family", "at_ns"),
    Index("activation_by_end", "asset", "clear_ns"),
    Index("activation_by_ticket", "ticket"),
)
Table(
    "failure",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("asset", Text, nullable=False),
    Column("key", String(64), nullable=False),
    Column("ticket", BigInteger, ForeignKey("ticket.id"), nullable=False),
    Column("start_ns", BigInteger, nullable=False),
    Column("rule", String(24), nullable=False),
    Index("failure_by_asset", "asset", "start_ns"),
    Index("failure_by_ticket", "ticket"),
)
Table(
    "occurrence",
    metadata,
    Column("finding", Text, primary_key=True),
    Column("ticket", BigInteger, ForeignKey("ticket.id")),
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
    Index("occurrence_by_key", "key", "at_ns"),
    Index("occurrence_by_rule", "rule", "at_ns"),
    Index("occurrence_by_ticket", "ticket", "at_ns"),
)
Table(
    "outbox",
    metadata,
    Column("id", SERIAL, primary_key=True, autoincrement=True),
    Column("key", Text, nullable=False),
    Column("ticket", BigInteger, ForeignKey("ticket.id"), nullable=False),
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
    Index("outbox_due", "state", "next_ns"),
    Index("outbox_in_order", "ticket", "channel", "state"),
    Index("outbox_of_channel", "channel", "state", "sent_ns"),
)
Table(
    "photo",
    metadata,
    Column("ticket", BigInteger, ForeignKey("ticket.id"), primary_key=True),
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
Table(
    "ticket_alarm",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("source", Text, nullable=False),
    Column("raise_ns", BigInteger),
    Column("clear_ns", BigInteger),
    Column("ticket", BigInteger, ForeignKey("ticket.id")),
    Index("alarm_by_ticket", "ticket"),
)
Table(
    "ticket_event",
    metadata,
    Column("ticket", BigInteger, ForeignKey("ticket.id"), primary_key=True),
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
Table(
    "ticket_master",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("ticket", BigInteger, ForeignKey("ticket.id"), primary_key=True),
    Column("anchor_ns", BigInteger, nullable=False),
    Column("open", Boolean, nullable=False),
    Index("master_by_ticket", "ticket"),
    Index(
        "one_open_master_per_key",
        "key",
        unique=True,
        sqlite_where=text("open IS true"),
        postgresql_where=text("open IS true"),
    ),
)
Table(
    "finding_evidence",
    metadata,
    Column("finding", Text, ForeignKey("occurrence.finding"), primary_key=True),
    Column("body", Text, nullable=False),
)
Table(
    "problem_link",
    metadata,
    Column("problem", BigInteger, ForeignKey("problem.id"), primary_key=True),
    Column("failure", Text, ForeignKey("failure.finding"), primary_key=True),
    Column("ticket", BigInteger, ForeignKey("ticket.id"), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("same_fault", Boolean, nullable=False),
    Column("counted_from", String(12), nullable=False),
    Column("interval_ns", BigInteger),
    Column("linked_ns", BigInteger, nullable=False),
    Index("problem_link_by_ticket", "ticket"),
)

TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER IF NOT EXISTS ticket_event_no_{deed} BEFORE {deed} ON ticket_event "
        "BEGIN SELECT RAISE(ABORT, 'ticket_event is append-only'); END"
        for deed in ("update", "delete")
    ],
    "postgresql": [
        (
            "CREATE OR REPLACE FUNCTION ticket_event_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION 'ticket_event is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        ),
        (
            "CREATE OR REPLACE TRIGGER ticket_event_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON ticket_event "
            "EXECUTE FUNCTION ticket_event_refuse()"
        ),
    ],
}


def upgrade() -> None:
    """Make the tables; give those of an earlier build what they lack: each such column is nullable or has a default."""
    context = op.get_context()
    there = None if context.as_sql else inspect(op.get_bind())
    for table in metadata.sorted_tables:
        if there is None or not there.has_table(table.name):
            op.execute(CreateTable(table))
            known, indexes = set(table.columns.keys()), set()
        else:
            known = {column["name"] for column in there.get_columns(table.name)}
            indexes = {index["name"] for index in there.get_indexes(table.name)}
        for column in table.columns:
            if column.name not in known:
                said = CreateColumn(column).compile(dialect=context.dialect)
                op.execute(f"ALTER TABLE {table.name} ADD COLUMN {said}")
        for index in table.indexes:
            if index.name not in indexes:
                op.execute(CreateIndex(index))
    for words in TRIGGERS[context.dialect.name]:
        op.execute(words)
