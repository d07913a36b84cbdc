"""The tables of accounts, sessions, keys, failed attempts, and of what was done to them."""

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
)

from andon.database import append_only

metadata = MetaData()
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

accounts = Table(
    "account",
    metadata,
    Column("id", String(64), primary_key=True),
    Column("person", String(64), nullable=False),
    Column("secret_hash", Text, nullable=False),
    Column("roles", JSON, nullable=False),
    Column("places", JSON, nullable=False),
    Column("must_change", Boolean, nullable=False),
    Column("disabled", Boolean, nullable=False),
    Column("created_ns", BigInteger, nullable=False),
    Column("secret_ns", BigInteger, nullable=False),
    Column("signed_in_ns", BigInteger),
)
sessions = Table(
    "access_session",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("account", String(64), ForeignKey(accounts.c.id), nullable=False),
    Column("begun_ns", BigInteger, nullable=False),
    Column("seen_ns", BigInteger, nullable=False),
    Column("address", Text, nullable=False),
    Column("agent", Text, nullable=False),
    sqlite_autoincrement=True,  # the number of a session that ended is never another's
)
Index("access_session_by_account", sessions.c.account)
keys = Table(
    "access_key",
    metadata,
    Column("id", _NUMBER, primary_key=True, autoincrement=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("prefix", String(24), nullable=False),
    Column("account", String(64), ForeignKey(accounts.c.id), nullable=False),
    Column("name", Text, nullable=False),
    Column("rights", JSON, nullable=False),
    Column("made_ns", BigInteger, nullable=False),
    Column("expires_ns", BigInteger, nullable=False),
    Column("used_ns", BigInteger),
    Column("revoked_ns", BigInteger),
    sqlite_autoincrement=True,
)
Index("access_key_by_account", keys.c.account)
attempts = Table(
    "access_attempt",
    metadata,
    Column("subject", String(80), primary_key=True),
    Column("failures", Integer, nullable=False),
    Column("last_ns", BigInteger, nullable=False),
    Column("until_ns", BigInteger, nullable=False),
)
"""Failures by account and by address: a name that nobody has is counted like any other, so it tells nothing."""

deeds = Table(
    "access_event",
    metadata,
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("channel", String(16), nullable=False),
    Column("address", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("account", Text, nullable=False),
    Column("facts", Text, nullable=False),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
append_only(deeds)
