"""The table of safety sign-offs: it only grows."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.sql import Serial, metadata

signoff = Table(
    "safety_signoff",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("cycle", Integer, nullable=False),
    Column("checklist", String(32), nullable=False),
    Column("items", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""Who signed which checklist in which round of the work; `items` are the words that stood there."""
Index("signoff_by_ticket", signoff.c.ticket, signoff.c.cycle)
append_only(signoff)
