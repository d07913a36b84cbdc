"""Who did what to accounts, sessions and keys: one append-only chain, each line's hash covering the one before."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256

from sqlalchemy import Connection, RowMapping, insert, select

from andon.access.tables import deeds
from andon.events import Json

GENESIS = "0" * 64
_HASHED = tuple(column.name for column in deeds.columns if column.name != "hash")


@dataclass(frozen=True, slots=True)
class By:
    """Who does it and when (ns UTC). `channel` is web, api or command; `address` where a browser was, if there is one."""

    actor: str
    now_ns: int
    channel: str = "command"
    address: str = ""


def note(conn: Connection, by: By, action: str, account: str, **facts: Json) -> None:
    """Write the next line, in the transaction of the deed itself."""
    last = conn.execute(select(deeds.c.seq, deeds.c.hash).order_by(deeds.c.seq.desc()).limit(1)).first()
    row: dict[str, Json] = {
        "seq": last.seq + 1 if last else 1,
        "at_ns": by.now_ns,
        "actor": by.actor,
        "channel": by.channel,
        "address": by.address,
        "action": action,
        "account": account,
        "facts": json.dumps(facts, ensure_ascii=False, sort_keys=True),
        "prev_hash": last.hash if last else GENESIS,
    }
    conn.execute(insert(deeds).values(row | {"hash": _hash(row)}))


def recent(conn: Connection, limit: int, account: str = "") -> Sequence[RowMapping]:
    """The latest lines, newest first, of one account or of all."""
    newest = select(deeds).order_by(deeds.c.seq.desc()).limit(limit)
    return conn.execute(newest.where(deeds.c.account == account) if account else newest).mappings().all()


def first_break(conn: Connection) -> int | None:
    """The number of the first line that was changed or is missing, None if the chain holds."""
    previous = GENESIS
    for seq, row in enumerate(conn.execute(select(deeds).order_by(deeds.c.seq)).mappings(), 1):
        if row["seq"] != seq or row["prev_hash"] != previous or row["hash"] != _hash(row):
            return seq
        previous = row["hash"]
    return None


def _hash(row: RowMapping | dict[str, Json]) -> str:
    return sha256(json.dumps([row[name] for name in _HASHED], ensure_ascii=False).encode()).hexdigest()
