"""Whom a request speaks for: the owner of a session or of a key, with the rights that their account has now."""

from collections.abc import Callable
from dataclasses import dataclass

from sqlalchemy import Connection
from sqlalchemy import Engine as Database

from andon.access import keys, sessions
from andon.access.roles import OF_PEOPLE, Principal, Right, Role, rights_of
from andon.access.sessions import Lifetimes
from andon.database import reading, writing


@dataclass(frozen=True, slots=True)
class Speaker:
    """A principal and how it is known: by `session` or `key`, its number; `account` is empty for the operator of a demo.

    `subject` is whose requests are counted together. Who `must_change` a password may do nothing else before.
    """

    principal: Principal
    subject: str
    account: str = ""
    session: int | None = None
    must_change: bool = False
    key: int | None = None


def by_session(database: Database, token: str, now_ns: int, lifetimes: Lifetimes) -> Speaker | None:
    """Who is signed in with that token, None if nobody is; its use is noted."""
    with reading(database) as conn:
        found = sessions.find(conn, token, now_ns, lifetimes)
    if found is None:
        return None
    number = found.session.id
    if sessions.is_to_be_noted(found.session, now_ns):
        _note(database, lambda conn: sessions.seen(conn, number, now_ns))
    principal = _principal(found.person, found.roles, found.places)
    return Speaker(principal, f"account {found.account}", found.account, number, found.must_change)


def by_key(database: Database, key: str, now_ns: int) -> Speaker | None:
    """Who speaks with that key, None if it does not work; its use is noted."""
    with reading(database) as conn:
        found = keys.find(conn, key, now_ns)
    if found is None:
        return None
    number = found.key.id
    if keys.is_to_be_noted(found.key, now_ns):
        _note(database, lambda conn: keys.used(conn, number, now_ns))
    principal = _principal(found.person, found.roles, found.places, found.key.rights)
    return Speaker(principal, f"key {number}", found.key.account, key=number)


def _principal(
    person: str, roles: tuple[str, ...], places: tuple[str, ...], of_key: tuple[Right, ...] | None = None
) -> Principal:
    named = frozenset(Role(role) for role in roles)
    rights = rights_of(named)
    return Principal(
        person, named, rights if of_key is None else (rights - OF_PEOPLE) & frozenset(of_key), places
    )


def _note(database: Database, write: Callable[[Connection], None]) -> None:
    with writing(database) as conn:
        write(conn)
