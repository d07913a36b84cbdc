"""The tables of what was learned: articles, every version of them, the words they are found by, who cited them."""

from sqlalchemy import BigInteger, Boolean, Column, ForeignKey, Index, Integer, String, Table, Text

from andon.database import append_only
from ticketing.sql import metadata

article = Table(
    "article",
    metadata,
    Column("id", BigInteger, primary_key=True, autoincrement=False),
    Column("number", String(24), nullable=False, unique=True),
    Column("state", String(12), nullable=False),
    Column("version", Integer, nullable=False),
    Column("title", Text, nullable=False),
    Column("problem", Text, nullable=False),
    Column("solution", Text, nullable=False),
    Column("keywords", Text, nullable=False),
    Column("attachments", Text, nullable=False),
    Column("cause", String(16)),
    Column("asset", Text, nullable=False),
    Column("model", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("condition", Text, nullable=False),
    Column("fault_type", String(64)),
    Column("ticket", ForeignKey("ticket.id")),
    Column("cycle", Integer),
    Column("shared", Boolean, nullable=False),
    Column("merged_into", BigInteger),
    Column("note", Text, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("changed_ns", BigInteger, nullable=False),
    Column("due_ns", BigInteger),
    Column("reviewer", Text),
    Column("reviewed_ns", BigInteger),
)
"""An article in its newest version; `ticket` and `cycle` say which round of which ticket it was drawn from."""
Index("article_by_ticket", article.c.ticket, article.c.cycle, unique=True)
Index("article_by_state", article.c.state, article.c.due_ns, article.c.id)
Index("article_by_condition", article.c.condition, article.c.state)
Index("article_by_fault", article.c.fault_type, article.c.state)

article_version = Table(
    "article_version",
    metadata,
    Column("article", ForeignKey("article.id"), primary_key=True),
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("by", Text, nullable=False),
    Column("state", String(12), nullable=False),
    Column("note", Text, nullable=False),
    Column("body", Text, nullable=False),
)
"""Every version as it was written (canonical JSON), by whom and why."""
append_only(article_version)

article_word = Table(
    "article_word",
    metadata,
    Column("word", Text().with_variant(Text(collation="C"), "postgresql"), primary_key=True),
    Column("article", ForeignKey("article.id"), primary_key=True),
)
"""The words of published articles, cut as those of tickets are; ordered by their bytes, so that beginnings are a range."""
Index("article_word_by_article", article_word.c.article)

citation = Table(
    "citation",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("article", ForeignKey("article.id"), primary_key=True),
    Column("by", Text, nullable=False),
    Column("at_ns", BigInteger, nullable=False),
)
"""Which article helped on which ticket; counted once (rule 50)."""
Index("citation_by_article", citation.c.article, citation.c.at_ns)
