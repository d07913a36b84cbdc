"""The tables of quality work: what is done on sister machines, batches that are frozen, suppliers that are audited."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.parts import tables as _parts  # noqa: F401 - a supplier that is audited is one of the store's
from ticketing.sql import metadata

deployment = Table(
    "deployment",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("ticket", ForeignKey("ticket.id")),
    Column("problem", ForeignKey("problem.id")),
    Column("text", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""A decision about the sister machines of one that was mended: what is done there; without tasks: nothing, and why."""
Index("deployment_by_ticket", deployment.c.ticket)
Index("deployment_by_problem", deployment.c.problem)

sister_task = Table(
    "sister_task",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("deployment", ForeignKey("deployment.id"), nullable=False),
    Column("asset", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("state", String(12), nullable=False),
    Column("note", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("done_by", Text),
    Column("done_ns", BigInteger),
)
"""What is to be done on one sister machine, by whom and until when."""
Index("sister_task_by_deployment", sister_task.c.deployment)
Index("sister_task_by_state", sister_task.c.state, sister_task.c.due_ns)
Index("sister_task_by_asset", sister_task.c.asset, sister_task.c.state)

batch = Table(
    "product_batch",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("code", String(64), nullable=False),
    Column("problem", ForeignKey("problem.id"), nullable=False),
    Column("state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("frozen_by", Text),
    Column("frozen_ns", BigInteger),
    Column("ended_by", Text),
    Column("ended_ns", BigInteger),
    Column("version", Integer, nullable=False),
)
"""A batch of the product that is kept back. `asked_by` asked for what is pending: its freeze, or its release."""
Index("product_batch_by_state", batch.c.state, batch.c.id)
Index("product_batch_by_problem", batch.c.problem)

batch_lot = Table(
    "batch_lot",
    metadata,
    Column("batch", ForeignKey("product_batch.id"), primary_key=True),
    Column("part", String(64), primary_key=True),
    Column("lot", String(64), primary_key=True),
)
"""The lots of parts that a batch was made with; while it is frozen the store hands none of them out."""
Index("batch_lot_by_lot", batch_lot.c.part, batch_lot.c.lot)

batch_event = Table(
    "batch_event",
    metadata,
    Column("batch", ForeignKey("product_batch.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", String(24), nullable=False),
    Column("to_state", String(16), nullable=False),
    Column("reason", Text, nullable=False),
)
append_only(batch_event)

supplier_audit = Table(
    "supplier_audit",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("supplier", ForeignKey("supplier.code"), nullable=False),
    Column("problem", ForeignKey("problem.id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("reason", Text, nullable=False),
    Column("auditor", Text, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("grade_before", String(1), nullable=False),
    Column("grade_after", String(1)),
    Column("result", String(12)),
    Column("findings", Text, nullable=False),
    Column("evidence", Text, nullable=False),
    Column("done_by", Text),
    Column("done_ns", BigInteger),
)
"""An audit of a supplier that a root-cause task asked for, and what it came to."""
Index("supplier_audit_by_supplier", supplier_audit.c.supplier, supplier_audit.c.id)
Index("supplier_audit_by_state", supplier_audit.c.state, supplier_audit.c.due_ns)
Index("supplier_audit_by_problem", supplier_audit.c.problem)
