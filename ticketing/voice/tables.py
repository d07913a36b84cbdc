"""The tables of what those say who wait: enquiries, answers to the NPS question, what one department asks of another."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.sql import Serial, metadata

enquiry = Table(
    "enquiry",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("ticket", ForeignKey("ticket.id"), nullable=False),
    Column("by", Text, nullable=False),
    Column("channel", String(32), nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("counted", Boolean, nullable=False),
    Column("note", Text, nullable=False),
)
"""Each time somebody asked where the work stands; of those that come within ten minutes only the first is counted."""
Index("enquiry_by_ticket", enquiry.c.ticket, enquiry.c.at_ns)
append_only(enquiry)

nps_answer = Table(
    "nps_answer",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("cycle", Integer, primary_key=True, autoincrement=False),
    Column("score", Integer, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""How likely they are to recommend us, 0 to 10: one answer for each round of a ticket."""
Index("nps_answer_by_time", nps_answer.c.at_ns)

acknowledgement = Table(
    "acknowledgement",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("from_department", Text, nullable=False),
    Column("to_department", Text, nullable=False),
    Column("person", Text, nullable=False),
    Column("asked_by", Text, nullable=False),
    Column("asked_ns", BigInteger, nullable=False),
    Column("due_ns", BigInteger, nullable=False),
    Column("acknowledged_ns", BigInteger),
    Column("by", Text),
    Column("void_ns", BigInteger),
)
"""What a department asked of another, by the audit line (`seq`) that did; `void_ns`: it was no longer asked, unanswered."""
Index("acknowledgement_by_time", acknowledgement.c.asked_ns)
Index(
    "acknowledgement_waiting",
    acknowledgement.c.acknowledged_ns,
    acknowledgement.c.void_ns,
    acknowledgement.c.due_ns,
)
