"""Requests that are done once: the key a client gave one, and what was answered, for a day.

A request is written down before it is done, so that of two at the same time with one key only one is. What was refused
changed nothing and is forgotten, so that the key is good for another try; what was done is answered again from here.
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Engine,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    delete,
    insert,
    select,
    update,
)

from andon.database import writing
from andon.events import HOUR_NS, MINUTE_NS

KEPT_NS = 24 * HOUR_NS
LONGEST_NS = MINUTE_NS
"""No request takes longer; one that has no answer by then was cut off."""

metadata = MetaData()
requests = Table(
    "request_once",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("at_ns", BigInteger, nullable=False),
    Column("asked", String(64), nullable=False),
    Column("status", Integer),
    Column("headers", Text),
    Column("body", LargeBinary),
)
Index("request_once_by_time", requests.c.at_ns)


@dataclass(frozen=True, slots=True)
class Done:
    """What a request came to; `status` is None while it is being done. `asked` is the digest of what was asked."""

    asked: str
    at_ns: int
    status: int | None = None
    headers: str = "[]"
    body: bytes = b""


def begin(engine: Engine, key: str, asked: str, now_ns: int) -> Done | None:
    """Write down that a request begins; or what is known of the one that had this key before, and nothing is written."""
    c = requests.c
    with writing(engine) as conn:
        conn.execute(delete(requests).where(c.at_ns <= now_ns - KEPT_NS))
        before = _of(conn, key)
        if before is None:
            conn.execute(insert(requests).values(key=key, at_ns=now_ns, asked=asked))
        return before


def finish(engine: Engine, key: str, done: Done | None) -> None:
    """Keep the answer; None: it was refused, and the key is free again."""
    mine = requests.c.key == key
    with writing(engine) as conn:
        if done is None:
            conn.execute(delete(requests).where(mine))
        else:
            said = {"status": done.status, "headers": done.headers, "body": done.body}
            conn.execute(update(requests).where(mine).values(**said))


def _of(conn: Connection, key: str) -> Done | None:
    row = conn.execute(select(requests).where(requests.c.key == key)).first()
    return (
        None if row is None else Done(row.asked, row.at_ns, row.status, row.headers or "[]", row.body or b"")
    )
