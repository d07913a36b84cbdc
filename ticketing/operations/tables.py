"""The operations of tickets, each as its template was when the ticket took it, and every value that was measured."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    ForeignKeyConstraint,
    Index,
    Integer,
    String,
    Table,
    Text,
)

from andon.database import append_only
from ticketing.sql import metadata

operation = Table(
    "ticket_operation",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("template", String(32), nullable=False),
    Column("code", String(32), nullable=False),
    Column("zh", Text, nullable=False),
    Column("en", Text, nullable=False),
    Column("std_minutes", Float),
    Column("parallel", Boolean, nullable=False),
    Column("optional", Boolean, nullable=False),
    Column("asks", Text, nullable=False),
    Column("state", String(10), nullable=False),
    Column("done_by", Text),
    Column("done_ns", BigInteger),
    Column("minutes", Float),
    Column("note", Text, nullable=False),
)
"""`asks` is what has to be measured, as JSON; `parallel`: beside the one before it, not after it."""

measurement = Table(
    "measurement",
    metadata,
    Column("ticket", BigInteger, primary_key=True, autoincrement=False),
    Column("seq", Integer, primary_key=True, autoincrement=False),
    Column("name", String(32), primary_key=True),
    Column("revision", Integer, primary_key=True, autoincrement=False),
    Column("value", Float, nullable=False),
    Column("unit", String(16), nullable=False),
    Column("low", Float),
    Column("high", Float),
    Column("instrument", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("reason", Text, nullable=False),
    ForeignKeyConstraint(["ticket", "seq"], ["ticket_operation.ticket", "ticket_operation.seq"]),
)
"""Every value that was ever said: the one of the highest `revision` holds, the others are what it corrects."""
append_only(measurement)
Index("measurement_by_time", measurement.c.name, measurement.c.at_ns)
