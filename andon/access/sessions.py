"""Sessions: who is signed in from where, until it ends by itself, by its owner or by an administrator."""

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from andon.access import tokens
from andon.access.tables import accounts, sessions
from andon.events import HOUR_NS, MINUTE_NS, Json

_SEEN_EVERY_NS = MINUTE_NS
"""How exactly it is noted when a session was last used."""

_AGENT_MAX = 200


@dataclass(frozen=True, slots=True)
class Lifetimes:
    """How long a session lasts (ns): without being used, and in all."""

    idle_ns: int = 12 * HOUR_NS
    whole_ns: int = 7 * 24 * HOUR_NS


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in; times in ns UTC."""

    id: int
    account: str
    begun_ns: int
    seen_ns: int
    address: str
    agent: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who a session or key speaks for, as their account is now."""

    account: str
    person: str
    roles: tuple[str, ...]
    places: tuple[str, ...]
    must_change: bool
    session: Session


def begin(
    conn: Connection, account: str, now_ns: int, lifetimes: Lifetimes, *, address: str = "", agent: str = ""
) -> str:
    """A new session; gives its token, which is kept as a hash. What has expired is swept out."""
    conn.execute(delete(sessions).where(_over(now_ns, lifetimes)))
    token = tokens.token()
    row: dict[str, Json] = {
        "token_hash": tokens.hash_of(token),
        "account": account,
        "begun_ns": now_ns,
        "seen_ns": now_ns,
    }
    row |= {"address": address, "agent": agent[:_AGENT_MAX]}
    conn.execute(insert(sessions).values(row))
    return token


def find(conn: Connection, token: str, now_ns: int, lifetimes: Lifetimes) -> SignedIn | None:
    """Whose session that is; None if it is none, is over, or its account was disabled."""
    asked = (
        select(*_COLUMNS, accounts.c.person, accounts.c.roles, accounts.c.places, accounts.c.must_change)
        .join_from(sessions, accounts, sessions.c.account == accounts.c.id)
        .where(sessions.c.token_hash == tokens.hash_of(token), accounts.c.disabled.is_(False))
        .where(~_over(now_ns, lifetimes))
    )
    row = conn.execute(asked).first()
    if row is None:
        return None
    session = Session(*row[: len(_COLUMNS)])
    return SignedIn(row.account, row.person, tuple(row.roles), tuple(row.places), row.must_change, session)


def is_to_be_noted(session: Session, now_ns: int) -> bool:
    """Whether its last use was noted so long ago that `seen` is due."""
    return now_ns - session.seen_ns >= _SEEN_EVERY_NS


def seen(conn: Connection, session: int, now_ns: int) -> None:
    """Note that it was used."""
    conn.execute(update(sessions).where(sessions.c.id == session).values(seen_ns=now_ns))


def of(conn: Connection, account: str, now_ns: int, lifetimes: Lifetimes) -> Sequence[Session]:
    """Where an account is signed in, last used first."""
    mine = select(*_COLUMNS).where(sessions.c.account == account, ~_over(now_ns, lifetimes))
    return [
        Session(*row) for row in conn.execute(mine.order_by(sessions.c.seen_ns.desc(), sessions.c.id.desc()))
    ]


def stands(conn: Connection, session: int, now_ns: int, lifetimes: Lifetimes) -> bool:
    """Whether it has not ended."""
    asked = select(sessions.c.id).where(sessions.c.id == session, ~_over(now_ns, lifetimes))
    return conn.execute(asked).first() is not None


def end(conn: Connection, session: int, account: str) -> bool:
    """End one session of that account; False if it has none of that number."""
    mine = delete(sessions).where(sessions.c.id == session, sessions.c.account == account)
    return conn.execute(mine).rowcount == 1


def end_all(conn: Connection, account: str) -> int:
    """End all sessions of an account; gives how many."""
    return conn.execute(delete(sessions).where(sessions.c.account == account)).rowcount


_COLUMNS = tuple(sessions.c[name] for name in Session.__slots__)


def _over(now_ns: int, lifetimes: Lifetimes) -> ColumnElement[bool]:
    return or_(
        sessions.c.seen_ns <= now_ns - lifetimes.idle_ns, sessions.c.begun_ns <= now_ns - lifetimes.whole_ns
    )
