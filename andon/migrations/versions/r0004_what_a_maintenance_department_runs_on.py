"""Parts, costs and approvals, work in steps, plans, requests, quality, knowledge, metrics, partners, reports by mail."""

import sqlalchemy as sa
from alembic import context, op

revision = "0004"
down_revision = "0003"
ONLY_GROW = (
    "article_version",
    "attachment",
    "batch_event",
    "cost_decision",
    "cost_estimate",
    "cost_line",
    "downtime",
    "enquiry",
    "measurement",
    "meter_reading",
    "partner_event",
    "plan_run",
    "request_message",
    "safety_signoff",
    "stock_movement",
    "store_change",
)
TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER {name}_no_{deed} BEFORE {deed} ON {name} "
        f"BEGIN SELECT RAISE(ABORT, '{name} is append-only'); END"
        for name in ONLY_GROW
        for deed in ("update", "delete")
    ],
    "postgresql": [
        words
        for name in ONLY_GROW
        for words in (
            (
                f"CREATE FUNCTION {name}_refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"RAISE EXCEPTION '{name} is append-only' USING ERRCODE = 'integrity_constraint_violation'; END $$"
            ),
            (
                f"CREATE TRIGGER {name}_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
                f"EXECUTE FUNCTION {name}_refuse()"
            ),
        )
    ],
}


def upgrade() -> None:
    """Bring a store of the schema before up to this one."""
    op.create_table(
        "approval_delegation",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("giver", sa.Text(), nullable=False),
        sa.Column("taker", sa.Text(), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("revoked_ns", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.Text(), nullable=True),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("approval_delegation", schema=None) as batch_op:
        batch_op.create_index("delegation_by_end", ["until_ns"], unique=False)

    op.create_table(
        "meter_reading",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("asset", sa.String(length=200), nullable=False),
        sa.Column("meter", sa.String(length=32), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("replaces", sa.BigInteger(), nullable=True),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("told_ns", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["replaces"],
            ["meter_reading.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("meter_reading", schema=None) as batch_op:
        batch_op.create_index("meter_reading_of", ["asset", "meter", "at_ns"], unique=False)

    op.create_table(
        "metric_action",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("rule", sa.String(length=32), nullable=False),
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("opened_ns", sa.BigInteger(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("problem", sa.BigInteger(), nullable=True),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("metric_action", schema=None) as batch_op:
        batch_op.create_index("metric_action_once", ["rule", "period"], unique=True)
        batch_op.create_index("metric_action_open", ["done_ns", "due_ns"], unique=False)

    op.create_table(
        "metric_snapshot",
        sa.Column("metric", sa.String(length=32), nullable=False),
        sa.Column("period", sa.String(length=7), nullable=False),
        sa.Column("final", sa.Boolean(), nullable=False),
        sa.Column("numerator", sa.BigInteger(), nullable=False),
        sa.Column("denominator", sa.BigInteger(), nullable=False),
        sa.Column("undecided", sa.Integer(), nullable=False),
        sa.Column("left_out", sa.Integer(), nullable=False),
        sa.Column("tickets", sa.String(length=64), nullable=False),
        sa.Column("taken_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("metric", "period"),
    )
    op.create_table(
        "part",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), server_default="", nullable=False),
        sa.Column("unit", sa.String(length=16), server_default="pcs", nullable=False),
        sa.Column("min_stock", sa.Float(), server_default="0", nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=True),
        sa.Column("barcode", sa.String(length=64), server_default="", nullable=False),
        sa.Column("place", sa.Text(), server_default="", nullable=False),
        sa.Column("retired", sa.Boolean(), server_default="0", nullable=False),
        sa.Column("search", sa.Text(), nullable=False),
        sa.Column("low_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("code"),
    )
    with op.batch_alter_table("part", schema=None) as batch_op:
        batch_op.create_index("part_by_barcode", ["barcode"], unique=False)

    op.create_table(
        "partner_cursor",
        sa.Column("partner", sa.String(length=64), nullable=False),
        sa.Column("change", sa.BigInteger(), nullable=False),
        sa.Column("movement", sa.BigInteger(), nullable=False),
        sa.Column("told", sa.BigInteger(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("alarm_ns", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("partner"),
    )
    op.create_table(
        "partner_event",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("partner", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=200), nullable=False),
        sa.Column("type", sa.String(length=100), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=True),
        sa.Column("outcome", sa.String(length=16), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.Column("answer", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("partner", "event", name="partner_event_once"),
    )
    with op.batch_alter_table("partner_event", schema=None) as batch_op:
        batch_op.create_index("partner_event_by_outcome", ["partner", "outcome", "id"], unique=False)
        batch_op.create_index("partner_event_by_ticket", ["ticket"], unique=False)

    op.create_table(
        "partner_stock",
        sa.Column("partner", sa.String(length=64), nullable=False),
        sa.Column("part", sa.Text(), nullable=False),
        sa.Column("lot", sa.Text(), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("on_hand", sa.Float(), nullable=False),
        sa.Column("through", sa.BigInteger(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("partner", "part", "lot"),
    )
    op.create_table(
        "report_mail",
        sa.Column("schedule", sa.Text(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_ns", sa.BigInteger(), nullable=False),
        sa.Column("said", sa.Text(), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("schedule", "due_ns", "channel", "person"),
    )
    op.create_table(
        "store_change",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("thing", sa.String(length=8), nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("changes", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("store_change", schema=None) as batch_op:
        batch_op.create_index("change_by_code", ["thing", "code", "id"], unique=False)

    op.create_table(
        "supplier",
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("name_zh", sa.Text(), server_default="", nullable=False),
        sa.Column("grade", sa.String(length=1), nullable=False),
        sa.Column("status", sa.String(length=12), server_default="active", nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("code"),
    )
    op.create_table(
        "acknowledgement",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("from_department", sa.Text(), nullable=False),
        sa.Column("to_department", sa.Text(), nullable=False),
        sa.Column("person", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("acknowledged_ns", sa.BigInteger(), nullable=True),
        sa.Column("by", sa.Text(), nullable=True),
        sa.Column("void_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "seq"),
    )
    with op.batch_alter_table("acknowledgement", schema=None) as batch_op:
        batch_op.create_index("acknowledgement_by_time", ["asked_ns"], unique=False)
        batch_op.create_index(
            "acknowledgement_waiting", ["acknowledged_ns", "void_ns", "due_ns"], unique=False
        )

    op.create_table(
        "article",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("number", sa.String(length=24), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("title", sa.Text(), nullable=False),
        sa.Column("problem", sa.Text(), nullable=False),
        sa.Column("solution", sa.Text(), nullable=False),
        sa.Column("keywords", sa.Text(), nullable=False),
        sa.Column("attachments", sa.Text(), nullable=False),
        sa.Column("cause", sa.String(length=16), nullable=True),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("model", sa.Text(), nullable=False),
        sa.Column("component", sa.Text(), nullable=False),
        sa.Column("condition", sa.Text(), nullable=False),
        sa.Column("fault_type", sa.String(length=64), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("cycle", sa.Integer(), nullable=True),
        sa.Column("shared", sa.Boolean(), nullable=False),
        sa.Column("merged_into", sa.BigInteger(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("created_ns", sa.BigInteger(), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=True),
        sa.Column("reviewer", sa.Text(), nullable=True),
        sa.Column("reviewed_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("number"),
    )
    with op.batch_alter_table("article", schema=None) as batch_op:
        batch_op.create_index("article_by_condition", ["condition", "state"], unique=False)
        batch_op.create_index("article_by_fault", ["fault_type", "state"], unique=False)
        batch_op.create_index("article_by_state", ["state", "due_ns", "id"], unique=False)
        batch_op.create_index("article_by_ticket", ["ticket", "cycle"], unique=True)

    op.create_table(
        "attachment",
        sa.Column("report", sa.BigInteger(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("mime", sa.String(length=40), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("report", "sha256"),
    )
    with op.batch_alter_table("attachment", schema=None) as batch_op:
        batch_op.create_index("attachment_by_person", ["by", "at_ns"], unique=False)

    op.create_table(
        "cost_estimate",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("cost_estimate", schema=None) as batch_op:
        batch_op.create_index("estimate_by_ticket", ["ticket", "id"], unique=False)

    op.create_table(
        "cost_line",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("person", sa.Text(), nullable=True),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=True),
        sa.Column("until_ns", sa.BigInteger(), nullable=True),
        sa.Column("minutes", sa.Integer(), nullable=False),
        sa.Column("rate_cents", sa.BigInteger(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("takes_back", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["takes_back"],
            ["cost_line.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("takes_back"),
    )
    with op.batch_alter_table("cost_line", schema=None) as batch_op:
        batch_op.create_index("cost_by_ticket", ["ticket", "id"], unique=False)
        batch_op.create_index("labour_by_person", ["person", "from_ns"], unique=False)

    op.create_table(
        "cost_request",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("basis", sa.String(length=8), nullable=False),
        sa.Column("levels", sa.Text(), nullable=False),
        sa.Column("level", sa.String(length=32), nullable=True),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("settled_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("cost_request", schema=None) as batch_op:
        batch_op.create_index(
            "one_pending_request_per_ticket",
            ["ticket"],
            unique=True,
            sqlite_where=sa.text("state = 'pending'"),
            postgresql_where=sa.text("state = 'pending'"),
        )
        batch_op.create_index("request_by_state", ["state", "id"], unique=False)
        batch_op.create_index("request_by_ticket", ["ticket", "id"], unique=False)

    op.create_table(
        "deployment",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("problem", sa.BigInteger(), nullable=True),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("deployment", schema=None) as batch_op:
        batch_op.create_index("deployment_by_problem", ["problem"], unique=False)
        batch_op.create_index("deployment_by_ticket", ["ticket"], unique=False)

    op.create_table(
        "downtime",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=False),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("downtime", schema=None) as batch_op:
        batch_op.create_index("downtime_by_ticket", ["ticket", "id"], unique=False)

    op.create_table(
        "enquiry",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("counted", sa.Boolean(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("enquiry", schema=None) as batch_op:
        batch_op.create_index("enquiry_by_ticket", ["ticket", "at_ns"], unique=False)

    op.create_table(
        "nps_answer",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("score", sa.Integer(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "cycle"),
    )
    with op.batch_alter_table("nps_answer", schema=None) as batch_op:
        batch_op.create_index("nps_answer_by_time", ["at_ns"], unique=False)

    op.create_table(
        "part_lot",
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=True),
        sa.Column("brand", sa.Text(), server_default="", nullable=False),
        sa.Column("received_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["part"],
            ["part.code"],
        ),
        sa.ForeignKeyConstraint(
            ["supplier"],
            ["supplier.code"],
        ),
        sa.PrimaryKeyConstraint("part", "lot"),
    )
    with op.batch_alter_table("part_lot", schema=None) as batch_op:
        batch_op.create_index("lot_by_supplier", ["supplier"], unique=False)

    op.create_table(
        "part_model",
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("model", sa.String(length=128), nullable=False),
        sa.ForeignKeyConstraint(
            ["part"],
            ["part.code"],
        ),
        sa.PrimaryKeyConstraint("part", "model"),
    )
    with op.batch_alter_table("part_model", schema=None) as batch_op:
        batch_op.create_index("part_by_model", ["model"], unique=False)

    op.create_table(
        "part_use",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["part"],
            ["part.code"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "part", "lot"),
    )
    with op.batch_alter_table("part_use", schema=None) as batch_op:
        batch_op.create_index("use_by_asset", ["asset", "at_ns"], unique=False)
        batch_op.create_index("use_by_lot", ["part", "lot"], unique=False)

    op.create_table(
        "partner_sync",
        sa.Column("partner", sa.String(length=64), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("state", sa.String(length=20), nullable=False),
        sa.Column("changed_ns", sa.BigInteger(), nullable=False),
        sa.Column("confirmed_ns", sa.BigInteger(), nullable=True),
        sa.Column("failed_ns", sa.BigInteger(), nullable=True),
        sa.Column("alarmed_ns", sa.BigInteger(), nullable=True),
        sa.Column("look_ns", sa.BigInteger(), nullable=True),
        sa.Column("sends", sa.Integer(), server_default="0", nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("partner", "ticket", "version"),
    )
    with op.batch_alter_table("partner_sync", schema=None) as batch_op:
        batch_op.create_index("partner_sync_by_change", ["changed_ns"], unique=False)
        batch_op.create_index(
            "partner_sync_failed",
            ["failed_ns"],
            unique=False,
            sqlite_where=sa.text("failed_ns IS NOT NULL"),
            postgresql_where=sa.text("failed_ns IS NOT NULL"),
        )
        batch_op.create_index(
            "partner_sync_unconfirmed",
            ["partner", "look_ns"],
            unique=False,
            sqlite_where=sa.text("confirmed_ns IS NULL"),
            postgresql_where=sa.text("confirmed_ns IS NULL"),
        )

    op.create_table(
        "plan_asset",
        sa.Column("plan", sa.String(length=32), nullable=False),
        sa.Column("asset", sa.String(length=200), nullable=False),
        sa.Column("since_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=True),
        sa.Column("opens_ns", sa.BigInteger(), nullable=True),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("plan", "asset"),
    )
    with op.batch_alter_table("plan_asset", schema=None) as batch_op:
        batch_op.create_index("plan_asset_by_asset", ["asset"], unique=False)
        batch_op.create_index("plan_asset_by_due", ["due_ns"], unique=False)

    op.create_table(
        "plan_run",
        sa.Column("plan", sa.String(length=32), nullable=False),
        sa.Column("asset", sa.String(length=200), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("first_due_ns", sa.BigInteger(), nullable=False),
        sa.Column("covers", sa.Integer(), nullable=False),
        sa.Column("for_day", sa.Date(), nullable=True),
        sa.Column("due_total", sa.Float(), nullable=True),
        sa.Column("why", sa.String(length=10), nullable=False),
        sa.Column("from_ns", sa.BigInteger(), nullable=True),
        sa.Column("until_ns", sa.BigInteger(), nullable=False),
        sa.Column("opened_ns", sa.BigInteger(), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("plan", "asset", "seq"),
        sa.UniqueConstraint("ticket"),
    )
    with op.batch_alter_table("plan_run", schema=None) as batch_op:
        batch_op.create_index("plan_run_by_due", ["due_ns"], unique=False)

    op.create_table(
        "product_batch",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("code", sa.String(length=64), nullable=False),
        sa.Column("problem", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("asked_by", sa.Text(), nullable=False),
        sa.Column("asked_ns", sa.BigInteger(), nullable=False),
        sa.Column("frozen_by", sa.Text(), nullable=True),
        sa.Column("frozen_ns", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.Text(), nullable=True),
        sa.Column("ended_ns", sa.BigInteger(), nullable=True),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("product_batch", schema=None) as batch_op:
        batch_op.create_index("product_batch_by_problem", ["problem"], unique=False)
        batch_op.create_index("product_batch_by_state", ["state", "id"], unique=False)

    op.create_table(
        "request_file",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("message", sa.Text(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("try_ns", sa.BigInteger(), nullable=False),
        sa.Column("error", sa.Text(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("mime", sa.String(length=40), nullable=True),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("report", sa.BigInteger(), nullable=True),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["report"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("request_file", schema=None) as batch_op:
        batch_op.create_index("request_file_by_peer", ["channel", "peer"], unique=False)
        batch_op.create_index("request_file_by_state", ["state", "try_ns"], unique=False)

    op.create_table(
        "request_message",
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("id", sa.Text(), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("kind", sa.String(length=24), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("outcome", sa.String(length=32), nullable=False),
        sa.Column("answer", sa.String(length=2), nullable=False),
        sa.Column("report", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["report"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("channel", "id"),
    )
    with op.batch_alter_table("request_message", schema=None) as batch_op:
        batch_op.create_index("request_message_by_peer", ["channel", "peer", "at_ns"], unique=False)

    op.create_table(
        "request_talk",
        sa.Column("channel", sa.String(length=16), nullable=False),
        sa.Column("peer", sa.Text(), nullable=False),
        sa.Column("draft", sa.Text(), nullable=False),
        sa.Column("language", sa.String(length=2), nullable=False),
        sa.Column("began_ns", sa.BigInteger(), nullable=False),
        sa.Column("heard_ns", sa.BigInteger(), nullable=False),
        sa.Column("report", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["report"],
            ["report.id"],
        ),
        sa.PrimaryKeyConstraint("channel", "peer"),
    )
    op.create_table(
        "safety_signoff",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cycle", sa.Integer(), nullable=False),
        sa.Column("checklist", sa.String(length=32), nullable=False),
        sa.Column("items", sa.Text(), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("safety_signoff", schema=None) as batch_op:
        batch_op.create_index("signoff_by_ticket", ["ticket", "cycle"], unique=False)

    op.create_table(
        "stock",
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=False),
        sa.Column("on_hand", sa.Float(), nullable=False),
        sa.Column("reserved", sa.Float(), nullable=False),
        sa.ForeignKeyConstraint(
            ["part"],
            ["part.code"],
        ),
        sa.PrimaryKeyConstraint("part", "lot"),
    )
    op.create_table(
        "stock_movement",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False
        ),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=False),
        sa.Column("quantity", sa.Float(), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=True),
        sa.Column("requisition", sa.BigInteger(), nullable=True),
        sa.Column("asset", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), server_default="", nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["part"],
            ["part.code"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("stock_movement", schema=None) as batch_op:
        batch_op.create_index("movement_by_part", ["part", "id"], unique=False)
        batch_op.create_index("movement_by_requisition", ["requisition"], unique=False)

    op.create_table(
        "supplier_audit",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("supplier", sa.String(length=64), nullable=False),
        sa.Column("problem", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.Column("auditor", sa.Text(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("grade_before", sa.String(length=1), nullable=False),
        sa.Column("grade_after", sa.String(length=1), nullable=True),
        sa.Column("result", sa.String(length=12), nullable=True),
        sa.Column("findings", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["problem"],
            ["problem.id"],
        ),
        sa.ForeignKeyConstraint(
            ["supplier"],
            ["supplier.code"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("supplier_audit", schema=None) as batch_op:
        batch_op.create_index("supplier_audit_by_problem", ["problem"], unique=False)
        batch_op.create_index("supplier_audit_by_state", ["state", "due_ns"], unique=False)
        batch_op.create_index("supplier_audit_by_supplier", ["supplier", "id"], unique=False)

    op.create_table(
        "ticket_operation",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("template", sa.String(length=32), nullable=False),
        sa.Column("code", sa.String(length=32), nullable=False),
        sa.Column("zh", sa.Text(), nullable=False),
        sa.Column("en", sa.Text(), nullable=False),
        sa.Column("std_minutes", sa.Float(), nullable=True),
        sa.Column("parallel", sa.Boolean(), nullable=False),
        sa.Column("optional", sa.Boolean(), nullable=False),
        sa.Column("asks", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.Column("minutes", sa.Float(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "seq"),
    )
    op.create_table(
        "article_version",
        sa.Column("article", sa.BigInteger(), nullable=False),
        sa.Column("version", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("body", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article"],
            ["article.id"],
        ),
        sa.PrimaryKeyConstraint("article", "version"),
    )
    op.create_table(
        "article_word",
        sa.Column("word", sa.Text().with_variant(sa.Text(collation="C"), "postgresql"), nullable=False),
        sa.Column("article", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article"],
            ["article.id"],
        ),
        sa.PrimaryKeyConstraint("word", "article"),
    )
    with op.batch_alter_table("article_word", schema=None) as batch_op:
        batch_op.create_index("article_word_by_article", ["article"], unique=False)

    op.create_table(
        "batch_event",
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.Text(), nullable=False),
        sa.Column("action", sa.String(length=24), nullable=False),
        sa.Column("to_state", sa.String(length=16), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["product_batch.id"],
        ),
        sa.PrimaryKeyConstraint("batch", "seq"),
    )
    op.create_table(
        "batch_lot",
        sa.Column("batch", sa.BigInteger(), nullable=False),
        sa.Column("part", sa.String(length=64), nullable=False),
        sa.Column("lot", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["batch"],
            ["product_batch.id"],
        ),
        sa.PrimaryKeyConstraint("batch", "part", "lot"),
    )
    with op.batch_alter_table("batch_lot", schema=None) as batch_op:
        batch_op.create_index("batch_lot_by_lot", ["part", "lot"], unique=False)

    op.create_table(
        "citation",
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("article", sa.BigInteger(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["article"],
            ["article.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("ticket", "article"),
    )
    with op.batch_alter_table("citation", schema=None) as batch_op:
        batch_op.create_index("citation_by_article", ["article", "at_ns"], unique=False)

    op.create_table(
        "cost_decision",
        sa.Column("request", sa.BigInteger(), nullable=False),
        sa.Column("level", sa.String(length=32), nullable=False),
        sa.Column("ticket", sa.BigInteger(), nullable=False),
        sa.Column("cents", sa.BigInteger(), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("via", sa.String(length=16), nullable=False),
        sa.Column("on_behalf_of", sa.Text(), nullable=True),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["request"],
            ["cost_request.id"],
        ),
        sa.ForeignKeyConstraint(
            ["ticket"],
            ["ticket.id"],
        ),
        sa.PrimaryKeyConstraint("request", "level"),
    )
    with op.batch_alter_table("cost_decision", schema=None) as batch_op:
        batch_op.create_index("decision_by_ticket", ["ticket"], unique=False)

    op.create_table(
        "measurement",
        sa.Column("ticket", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("seq", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("name", sa.String(length=32), nullable=False),
        sa.Column("revision", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("value", sa.Float(), nullable=False),
        sa.Column("unit", sa.String(length=16), nullable=False),
        sa.Column("low", sa.Float(), nullable=True),
        sa.Column("high", sa.Float(), nullable=True),
        sa.Column("instrument", sa.Text(), nullable=False),
        sa.Column("by", sa.Text(), nullable=False),
        sa.Column("at_ns", sa.BigInteger(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["ticket", "seq"],
            ["ticket_operation.ticket", "ticket_operation.seq"],
        ),
        sa.PrimaryKeyConstraint("ticket", "seq", "name", "revision"),
    )
    with op.batch_alter_table("measurement", schema=None) as batch_op:
        batch_op.create_index("measurement_by_time", ["name", "at_ns"], unique=False)

    op.create_table(
        "sister_task",
        sa.Column("id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("deployment", sa.BigInteger(), nullable=False),
        sa.Column("asset", sa.Text(), nullable=False),
        sa.Column("owner", sa.Text(), nullable=False),
        sa.Column("due_ns", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("note", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("done_by", sa.Text(), nullable=True),
        sa.Column("done_ns", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["deployment"],
            ["deployment.id"],
        ),
        sa.PrimaryKeyConstraint("id"),
    )
    with op.batch_alter_table("sister_task", schema=None) as batch_op:
        batch_op.create_index("sister_task_by_asset", ["asset", "state"], unique=False)
        batch_op.create_index("sister_task_by_deployment", ["deployment"], unique=False)
        batch_op.create_index("sister_task_by_state", ["state", "due_ns"], unique=False)

    with op.batch_alter_table("occurrence", schema=None) as batch_op:
        batch_op.create_index(
            "occurrence_by_time",
            ["at_ns"],
            unique=False,
            sqlite_where=sa.text("action IN ('raise', 'clear')"),
            postgresql_where=sa.text("action IN ('raise', 'clear')"),
        )

    with op.batch_alter_table("problem", schema=None) as batch_op:
        batch_op.add_column(sa.Column("eight_d", sa.Text(), nullable=True))

    with op.batch_alter_table("problem_cause", schema=None) as batch_op:
        batch_op.add_column(
            sa.Column("kind", sa.String(length=12), server_default="occurrence", nullable=False)
        )

    with op.batch_alter_table("report", schema=None) as batch_op:
        batch_op.create_index("report_by_time", ["at_ns"], unique=False)

    with op.batch_alter_table("requisition", schema=None) as batch_op:
        batch_op.add_column(sa.Column("part_code", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("issued", sa.Float(), server_default="0", nullable=False))
        batch_op.add_column(sa.Column("returned", sa.Float(), server_default="0", nullable=False))

    with op.batch_alter_table("ticket", schema=None) as batch_op:
        batch_op.create_index("ticket_by_closed", ["closed_ns"], unique=False)
        batch_op.create_index("ticket_by_condition", ["condition", "asset", "resolved_ns"], unique=False)
        batch_op.create_index("ticket_by_opened", ["opened_ns"], unique=False)

    with op.batch_alter_table("ticket_event", schema=None) as batch_op:
        batch_op.create_index("ticket_event_by_action", ["action", "at_ns", "ticket", "seq"], unique=False)

    for words in TRIGGERS[context.get_context().dialect.name]:
        op.execute(words)
