"""What people do to tickets and alarms, what happens later, and an index of the words that tickets are found by."""

import sqlalchemy as sa
from alembic import context, op

from ticketing.search import index

revision = "0002"
down_revision = "0001"
AT_ONCE = 5000
APPEND_ONLY = ("alarm_event", "problem_event", "suppression_event", "report")
TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER {{table}}_no_{deed} BEFORE {deed} ON {{table}} "
        "BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END"
        for deed in ("update", "delete")
    ],
    "postgresql": [
        (
            "CREATE FUNCTION {table}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
            "RAISE EXCEPTION '{table} is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
        ),
        (
            "CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table} "
            "EXECUTE FUNCTION {table}_refuse()"
        ),
    ],
}
WORDS = {
    "sqlite": [
        (
            "CREATE VIRTUAL TABLE ticket_words USING "
            "fts5(words, content='', detail=none, tokenize='unicode61 remove_diacritics 0')"
        )
    ],
    "postgresql": [
        "CREATE TABLE ticket_words (rowid BIGINT NOT NULL PRIMARY KEY, words TSVECTOR NOT NULL)",
        "CREATE INDEX ticket_words_found ON ticket_words USING gin (words)",
    ],
}


def upgrade() -> None:
    """Bring a store of the schema before up to this one."""
    op.create_table(
        "alarm_event",
        sa.Column("alarm", sa.Text(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("from_state", sa.String(length=8), nullable=False),
        sa.Column("to_state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=True),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("alarm", "seq"),
    )
    op.create_table(
        "alarm_state",
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("detector", sa.Text(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("line", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("family", sa.String(length=32), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("definition", sa.String(length=64), nullable=False),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("severity", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("active_since_ns", sa.BigInteger(), nullable=True),
        sa.Column("last_change_ns", sa.BigInteger(), nullable=False),
        sa.Column("standing", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("acknowledged", sa.Boolean(), nullable=False),
        sa.Column("acked_ns", sa.BigInteger(), nullable=True),
        sa.Column("acked_by", sa.Text(), nullable=True),
        sa.Column("shelved_until_ns", sa.BigInteger(), nullable=True),
        sa.Column("suppressed_by", sa.Text(), nullable=False),
        sa.Column("out_of_service", sa.Text(), nullable=True),
        sa.Column("activations", sa.BigInteger(), nullable=False),
        sa.Column("fleeting", sa.BigInteger(), nullable=False),
        sa.Column("chatters", sa.BigInteger(), nullable=False),
        sa.Column("chattering_since_ns", sa.BigInteger(), nullable=True),
        sa.Column("chattering_until_ns", sa.BigInteger(), nullable=True),
        sa.Column("told_ns", sa.BigInteger(), nullable=True),
        sa.Column("audit_seq", sa.BigInteger(), nullable=False),
        sa.Column("audit_hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("alarm_state", schema=None) as batch_op:
        batch_op.create_index("alarm_by_asset", ["asset", "state"], unique=False)
        batch_op.create_index("alarm_by_chattering", ["chattering_until_ns"], unique=False)
        batch_op.create_index("alarm_by_key", ["key"], unique=False)
        batch_op.create_index("alarm_by_state", ["state", "active_since_ns"], unique=False)

    op.create_table(
        "area_alarms",
        sa.Column("area", sa.Text(), nullable=False),
        sa.Column("raised", sa.Text(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("since_ns", sa.BigInteger(), nullable=True),
        sa.Column("over_ns", sa.BigInteger(), nullable=True),
        sa.Column("told_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("area"),
    )
    op.create_table(
        "dedup_rule",
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("rules", sa.Text(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("version"),
    )
    op.create_table(
        "drift_list",
        sa.Column("day", sa.String(length=10), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("day"),
    )
    op.create_table(
        "person_last_given",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "person_presence",
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("online", sa.Boolean(), nullable=True),
        sa.Column("position", sa.Text(), nullable=True),
        sa.Column("leave_until_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("person"),
    )
    op.create_table(
        "report",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("came_by", sa.String(length=32), nullable=False),
        sa.Column("idempotency", sa.Text(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("idempotency"),
    )
    op.create_table(
        "suppression",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("matcher", sa.Text(), nullable=False),
        sa.Column("starts_ns", sa.BigInteger(), nullable=False),
        sa.Column("ends_ns", sa.BigInteger(), nullable=True),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("origin", sa.Text(), nullable=False),
        sa.Column("one_shot", sa.Boolean(), nullable=False),
        sa.Column("made_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("suppression", schema=None) as batch_op:
        batch_op.create_index("suppression_by_end", ["ended_ns"], unique=False)

    op.create_table(
        "ticket_timer",
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("step", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("cycle", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("try_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.Column("set_ns", sa.BigInteger(), nullable=False),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("error", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("kind", "subject", "step", "cycle"),
    )
    with op.batch_alter_table("ticket_timer", schema=None) as batch_op:
        batch_op.create_index("timer_due", ["state", "try_ns"], unique=False)
        batch_op.create_index("timer_of", ["subject", "state"], unique=False)

    op.create_table(
        "merged_key",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "key"),
    )
    op.create_table(
        "obligation",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("cycle", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "kind", "cycle"),
    )
    with op.batch_alter_table("obligation", schema=None) as batch_op:
        batch_op.create_index("obligation_by_owner", ["owner", "done_ns"], unique=False)

    op.create_table(
        "problem_action",
        sa.Column("problem", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("approver", sa.Text(), nullable=True),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("moved", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.PrimaryKeyConstraint("problem", "id"),
    )
    with op.batch_alter_table("problem_action", schema=None) as batch_op:
        batch_op.create_index("problem_action_by_owner", ["owner", "state"], unique=False)

    op.create_table(
        "problem_cause",
        sa.Column("problem", sa.BigInteger(), nullable=False),
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("code", sa.String(length=16), nullable=False),
        sa.Column("category", sa.String(length=16), nullable=True),
        sa.Column("parent", sa.Integer(), nullable=True),
        sa.Column("root", sa.Boolean(), nullable=False),
        sa.Column("verified", sa.Boolean(), nullable=True),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("verified_by", sa.Text(), nullable=True),
        sa.Column("verified_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.PrimaryKeyConstraint("problem", "id"),
    )
    op.create_table(
        "problem_counted",
        sa.Column("problem", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("resolved_ns", sa.BigInteger(), nullable=False),
        sa.Column("linked_ns", sa.BigInteger(), nullable=False),
        sa.Column("left_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("problem", "ticket"),
    )
    with op.batch_alter_table("problem_counted", schema=None) as batch_op:
        batch_op.create_index("problem_counted_by_ticket", ["ticket"], unique=False)

    op.create_table(
        "problem_event",
        sa.Column("problem", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("from_state", sa.String(length=20), nullable=True),
        sa.Column("to_state", sa.String(length=20), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("numbers", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("prev_hash", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.PrimaryKeyConstraint("problem", "seq"),
    )
    op.create_table(
        "requisition",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(length=24), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("lot", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("settled_by", sa.Text(), nullable=True),
        sa.Column("settled_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    with op.batch_alter_table("requisition", schema=None) as batch_op:
        batch_op.create_index("requisition_by_state", ["state", "id"], unique=False)
        batch_op.create_index("requisition_by_ticket", ["ticket", "state"], unique=False)

    op.create_table(
        "routing_decision",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(length=24), nullable=False),
        sa.Column("plant_version", sa.BigInteger(), nullable=False),
        sa.Column("routing", sa.String(length=64), nullable=False),
        sa.Column("rule", sa.String(length=24), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("backup", sa.Text(), nullable=True),
        sa.Column("offer_to", sa.Text(), nullable=False),
        sa.Column("need", sa.Text(), nullable=False),
        sa.Column("candidates", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "seq"),
    )
    op.create_table(
        "sign_code",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("salt", sa.LargeBinary(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("sent_ns", sa.BigInteger(), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("used_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket"),
    )
    op.create_table(
        "suppression_event",
        sa.Column("suppression", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["suppression"],
            ["suppression.id"],
        ),
        sa.PrimaryKeyConstraint("suppression", "seq"),
    )
    op.create_table(
        "ticket_approval",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("step", sa.String(length=24), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=20), nullable=True),
        sa.Column("master", sa.BigInteger(), nullable=True),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("decided_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("ticket_approval", schema=None) as batch_op:
        batch_op.create_index("approval_by_state", ["state", "id"], unique=False)
        batch_op.create_index(
            "one_pending_approval_per_ticket",
            ["ticket"],
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )

    op.create_table(
        "ticket_cause",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("resolved_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket"),
    )
    with op.batch_alter_table("ticket_cause", schema=None) as batch_op:
        batch_op.create_index("ticket_cause_by_time", ["resolved_ns", "cause"], unique=False)

    op.create_table(
        "ticket_clock",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.Column("calendar", sa.Text(), nullable=False),
        sa.Column("limit_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=True),
        sa.Column("taken_ns", sa.BigInteger(), nullable=False),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("late", sa.Boolean(), nullable=False),
        sa.Column("level", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "kind", "from_ns"),
    )
    with op.batch_alter_table("ticket_clock", schema=None) as batch_op:
        batch_op.create_index("clock_late", ["late", "due_ns"], unique=False)

    op.create_table(
        "ticket_link",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("other", sa.BigInteger(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["other"],
            ["ticket.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "kind", "other"),
    )
    with op.batch_alter_table("ticket_link", schema=None) as batch_op:
        batch_op.create_index("ticket_link_by_other", ["other"], unique=False)

    op.create_table(
        "ticket_offer",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("round", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("place", sa.Integer(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("answered_ns", sa.BigInteger(), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "round", "person"),
    )
    with op.batch_alter_table("ticket_offer", schema=None) as batch_op:
        batch_op.create_index("offer_of_person", ["person", "state"], unique=False)

    op.create_table(
        "ticket_rating",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("stars", sa.Integer(), nullable=False),
        sa.Column("comment", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "cycle"),
    )
    op.create_table(
        "report_fate",
        sa.Column("report", sa.BigInteger(), nullable=False),
        sa.Column("finding", sa.Text(), nullable=True),
        sa.Column("order_number", sa.Text(), nullable=True),
        sa.Column("phone", sa.Text(), nullable=True),
        sa.Column("refusal", sa.String(length=32), nullable=True),
        sa.Column("missing", sa.Text(), nullable=False),
        sa.Column("decided_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["finding"],
            ["occurrence.finding"],
        ),
        sa.ForeignKeyConstraint(
            ["report"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("report"),
    )
    with op.batch_alter_table("report_fate", schema=None) as batch_op:
        batch_op.create_index("report_by_finding", ["finding"], unique=False)
        batch_op.create_index("report_by_order", ["order_number"], unique=False)
        batch_op.create_index("report_by_phone", ["phone"], unique=False)

    op.create_table(
        "suppressed_occurrence",
        sa.Column("finding", sa.Text(), nullable=False),
        sa.Column("suppression", sa.BigInteger(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("maintenance", sa.Boolean(), nullable=False),
        sa.Column("held_ns", sa.BigInteger(), nullable=False),
        sa.Column("outcome", sa.String(length=8), nullable=True),
        sa.Column("outcome_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["finding"],
            ["occurrence.finding"],
        ),
        sa.ForeignKeyConstraint(
            ["suppression"],
            ["suppression.id"],
        ),
        sa.PrimaryKeyConstraint("finding"),
    )
    with op.batch_alter_table("suppressed_occurrence", schema=None) as batch_op:
        batch_op.create_index("suppressed_by_asset", ["asset", "outcome"], unique=False)
        batch_op.create_index("suppressed_by_suppression", ["suppression", "outcome"], unique=False)

    with op.batch_alter_table("failure", schema=None) as batch_op:
        batch_op.add_column(sa.Column("component", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("fault", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("serial", sa.Text(), server_default="", nullable=False))

    with op.batch_alter_table("problem", schema=None) as batch_op:
        batch_op.add_column(sa.Column("period", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("leader", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("statement", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("check", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("outcome", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("closed_ns", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("cycle", sa.Integer(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("version", sa.BigInteger(), server_default="1", nullable=False))
        batch_op.add_column(sa.Column("audit_seq", sa.BigInteger(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("audit_hash", sa.String(length=64), server_default="", nullable=False))
        batch_op.create_index("problem_by_asset", ["asset", "state"], unique=False)
        batch_op.create_index("problem_by_change", ["change"], unique=False)

    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.add_column(sa.Column("description", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("fault_type", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("priority_held", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("urgent", sa.Boolean(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("channel", sa.String(length=32), server_default="", nullable=False))
        batch_op.add_column(sa.Column("event_id", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("reporter", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("phone", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("grade", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("region", sa.Text(), server_default="", nullable=False))
        batch_op.add_column(sa.Column("fields", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("collaborators", sa.Text(), server_default="{}", nullable=False))
        batch_op.add_column(sa.Column("hold", sa.String(length=32), nullable=True))
        batch_op.add_column(sa.Column("arrived_ns", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("signed_by", sa.String(length=16), nullable=True))
        batch_op.add_column(sa.Column("scene_tag", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("archived_ns", sa.BigInteger(), nullable=True))
        batch_op.add_column(sa.Column("parent", sa.BigInteger(), nullable=True))
        batch_op.create_index("ticket_by_duplicate", ["duplicate_of"], unique=False)
        batch_op.create_index("ticket_by_urgency", ["priority", "last_event_ns", "id"], unique=False)
        batch_op.create_index("ticket_by_line", ["line", "state"], unique=False)
        batch_op.create_index("ticket_by_person", ["assignee", "state"], unique=False)
        batch_op.drop_index("ticket_by_repair")
        batch_op.create_index("ticket_by_repair", ["asset", "resolved_ns", "handler"], unique=False)
        batch_op.create_index(
            "ticket_unclosed",
            ["id"],
            unique=False,
            sqlite_where=sa.text("state != 'closed'"),
            postgresql_where=sa.text("state != 'closed'"),
        )

    with op.batch_alter_table("ticket_master", schema=None) as batch_op:
        batch_op.add_column(sa.Column("exclusive", sa.Boolean(), server_default="1", nullable=False))

    dialect = context.get_context().dialect.name
    for table in APPEND_ONLY:
        for words in TRIGGERS[dialect]:
            op.execute(words.format(table=table))
    for words in WORDS[dialect]:
        op.execute(words)
    if not context.is_offline_mode():
        found = op.get_bind().execute(sa.text("SELECT id, search FROM ticket")).all()
        for first in range(0, len(found), AT_ONCE):
            index(op.get_bind(), [(row.id, None, row.search) for row in found[first : first + AT_ONCE]])
