"""The tables of what is told to people and systems: messages on their way, and each call to the outside."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from ticketing.sql import Serial, metadata

outbox = Table(
    "outbox",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
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
    Column("id", Serial, primary_key=True, autoincrement=True),
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
