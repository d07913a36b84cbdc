"""The runs of the plans, what each machine is due next, and the readings of meters."""

from sqlalchemy import (
    BigInteger,
    Column,
    Date,
    Float,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from andon.database import append_only
from ticketing.sql import metadata

plan_asset = Table(
    "plan_asset",
    metadata,
    Column("plan", String(32), primary_key=True),
    Column("asset", String(200), primary_key=True),
    Column("since_ns", BigInteger, nullable=False),
    Column("state", String(10), nullable=False),
    Column("due_ns", BigInteger),
    Column("opens_ns", BigInteger),
    Column("ticket", ForeignKey("ticket.id")),
)
"""A plan on a machine: since when nothing is owed from before, and what was found when it was looked at last."""
Index("plan_asset_by_asset", plan_asset.c.asset)
Index("plan_asset_by_due", plan_asset.c.due_ns)

plan_run = Table(
    "plan_run",
    metadata,
    Column("plan", String(32), primary_key=True),
    Column("asset", String(200), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("first_due_ns", BigInteger, nullable=False),
    Column("covers", Integer, nullable=False),
    Column("for_day", Date),
    Column("due_total", Float),
    Column("why", String(10), nullable=False),
    Column("from_ns", BigInteger),
    Column("until_ns", BigInteger, nullable=False),
    Column("opened_ns", BigInteger, nullable=False),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    UniqueConstraint("ticket"),
)
"""A ticket that a plan opened. It `covers` so many dates, the first `first_due_ns`, the last `due_ns`: `for_day` is that
date before it was moved off a holiday; `due_total` what the meter was to show; `why`: "calendar" or "meter"."""
append_only(plan_run)
Index("plan_run_by_due", plan_run.c.due_ns)

meter_reading = Table(
    "meter_reading",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("asset", String(200), nullable=False),
    Column("meter", String(32), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("kind", String(8), nullable=False),
    Column("value", Float, nullable=False),
    Column("replaces", BigInteger, ForeignKey("meter_reading.id")),
    Column("source", String(8), nullable=False),
    Column("by", Text, nullable=False),
    Column("told_ns", BigInteger, nullable=False),
    Column("note", Text, nullable=False),
)
"""What a meter showed at its event time `at_ns`; one that `replaces` another says what that should have said."""
append_only(meter_reading)
Index("meter_reading_of", meter_reading.c.asset, meter_reading.c.meter, meter_reading.c.at_ns)
