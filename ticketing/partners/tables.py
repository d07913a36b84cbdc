"""The tables of two-way sync: what a partner has to know and has confirmed, what it said, and what it has in stock."""

from sqlalchemy import (
    BigInteger,
    Column,
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
from ticketing.sql import Serial, metadata

partner_sync = Table(
    "partner_sync",
    metadata,
    Column("partner", String(64), primary_key=True),
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("version", BigInteger, primary_key=True, autoincrement=False),
    Column("state", String(20), nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Column("confirmed_ns", BigInteger),
    Column("failed_ns", BigInteger),
    Column("alarmed_ns", BigInteger),
    Column("look_ns", BigInteger),
    Column("sends", Integer, nullable=False, server_default="0"),
)
"""Each change of a ticket's state that a partner has to know, until it has confirmed it; a later one confirms it too.

`failed_ns` is when its time to confirm was over: it stays when the partner confirms later, for K5 counts it.
`alarmed_ns` is when the failure went onto the partner's priority-1 ticket, `look_ns` when it is sent again if it is
still not confirmed, `sends` how often it was sent."""
Index("partner_sync_by_change", partner_sync.c.changed_ns)
Index(
    "partner_sync_unconfirmed",
    partner_sync.c.partner,
    partner_sync.c.look_ns,
    sqlite_where=partner_sync.c.confirmed_ns.is_(None),
    postgresql_where=partner_sync.c.confirmed_ns.is_(None),
)
Index(
    "partner_sync_failed",
    partner_sync.c.failed_ns,
    sqlite_where=partner_sync.c.failed_ns.is_not(None),
    postgresql_where=partner_sync.c.failed_ns.is_not(None),
)

partner_event = Table(
    "partner_event",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("partner", String(64), nullable=False),
    Column("event", String(200), nullable=False),
    Column("type", String(100), nullable=False),
    Column("sha256", String(64), nullable=False),
    Column("received_ns", BigInteger, nullable=False),
    Column("ticket", BigInteger),
    Column("version", BigInteger),
    Column("outcome", String(16), nullable=False),
    Column("code", String(64), nullable=False),
    Column("status", Integer, nullable=False),
    Column("answer", Text, nullable=False),
    Column("body", Text, nullable=False),
    UniqueConstraint("partner", "event", name="partner_event_once"),
)
"""What a partner said, with what became of it: said again, it is answered the same and nothing is done twice.

`version` is that of the ticket after it."""
Index("partner_event_by_ticket", partner_event.c.ticket)
Index("partner_event_by_outcome", partner_event.c.partner, partner_event.c.outcome, partner_event.c.id)
append_only(partner_event)

partner_cursor = Table(
    "partner_cursor",
    metadata,
    Column("partner", String(64), primary_key=True),
    Column("change", BigInteger, nullable=False),
    Column("movement", BigInteger, nullable=False),
    Column("told", BigInteger, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
    Column("alarm_ns", BigInteger),
)
"""How far the tickets and the movements of stock have been followed for a partner, and since when.

`told` is the last movement it was told, `alarm_ns` since when its priority-1 alarm stands."""

partner_stock = Table(
    "partner_stock",
    metadata,
    Column("partner", String(64), primary_key=True),
    Column("part", Text, primary_key=True),
    Column("lot", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("on_hand", Float, nullable=False),
    Column("through", BigInteger, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""What the master of the stock said last of a part: its level, after which of our movements, in its own order."""
