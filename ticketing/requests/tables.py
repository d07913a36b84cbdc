"""Tables of requests: files that came with reports, messages of mail and chat as they came, talks that go on, files to fetch."""

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.sql import Serial, metadata

attachment = Table(
    "attachment",
    metadata,
    Column("report", ForeignKey("report.id"), primary_key=True),
    Column("sha256", String(64), primary_key=True),
    Column("mime", String(40), nullable=False),
    Column("size", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""Files belong to the report that they came with, and so to whichever ticket the report lies on."""
append_only(attachment)
Index("attachment_by_person", attachment.c.by, attachment.c.at_ns)

message = Table(
    "request_message",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("id", Text, primary_key=True),
    Column("peer", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("kind", String(24), nullable=False),
    Column("words", Text, nullable=False),
    Column("outcome", String(32), nullable=False),
    Column("answer", String(2), nullable=False),
    Column("report", ForeignKey("report.id")),
)
"""Each message once, by the sender's own id, with what came of it; `answer` is the language that was answered in."""
append_only(message)
Index("request_message_by_peer", message.c.channel, message.c.peer, message.c.at_ns)

talk = Table(
    "request_talk",
    metadata,
    Column("channel", String(16), primary_key=True),
    Column("peer", Text, primary_key=True),
    Column("draft", Text, nullable=False),
    Column("language", String(2), nullable=False),
    Column("began_ns", BigInteger, nullable=False),
    Column("heard_ns", BigInteger, nullable=False),
    Column("report", ForeignKey("report.id")),
)
"""What somebody has said so far and what is still asked of them; with a report, what more they say belongs to it."""

fetching = Table(
    "request_file",
    metadata,
    Column("id", Serial, primary_key=True, autoincrement=True),
    Column("channel", String(16), nullable=False),
    Column("peer", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("source", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("try_ns", BigInteger, nullable=False),
    Column("error", Text, nullable=False),
    Column("sha256", String(64)),
    Column("mime", String(40)),
    Column("size", BigInteger),
    Column("report", ForeignKey("report.id")),
    Column("at_ns", BigInteger, nullable=False),
)
"""A file of a message: to be fetched (`pending`), here (`kept`), or given up (`failed`); bound once there is a report."""
Index("request_file_by_state", fetching.c.state, fetching.c.try_ns)
Index("request_file_by_peer", fetching.c.channel, fetching.c.peer)
