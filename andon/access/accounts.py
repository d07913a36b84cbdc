"""Accounts: who has one, what it may do where, and its password."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from argon2 import PasswordHasher
from sqlalchemy import Connection, RowMapping, func, insert, select, update

from andon.access import attempts, audit, keys, passwords, sessions
from andon.access.audit import By
from andon.access.errors import AccessRefused
from andon.access.passwords import HASHER
from andon.access.roles import Role
from andon.access.tables import accounts

_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}")
"""As the plant names people."""


@dataclass(frozen=True, slots=True)
class Account:
    """One account. `person` is who acts, as the plant names them; `places` are ISA-95 paths, none: everywhere.

    `locked_until_ns` is set while too many failures keep it from being tried.
    """

    id: str
    person: str
    roles: tuple[Role, ...]
    places: tuple[str, ...]
    must_change: bool
    disabled: bool
    created_ns: int
    secret_ns: int
    signed_in_ns: int | None
    locked_until_ns: int | None = None


def any_there(conn: Connection) -> bool:
    """Whether people sign in here: there is at least one account."""
    return conn.execute(select(accounts.c.id).limit(1)).first() is not None


def every(conn: Connection, now_ns: int) -> Sequence[Account]:
    """All accounts by name."""
    rows = conn.execute(select(accounts).order_by(accounts.c.id)).mappings()
    return [_account(conn, row, now_ns) for row in rows]


def find(conn: Connection, name: str, now_ns: int) -> Account:
    """That account; AccessRefused if there is none."""
    return _account(conn, _row(conn, name), now_ns)


def create(
    conn: Connection,
    name: str,
    *,
    roles: Iterable[Role],
    by: By,
    places: Iterable[str] = (),
    person: str | None = None,
    password: str | None = None,
    must_change: bool = True,
    hasher: PasswordHasher = HASHER,
) -> str:
    """Make an account; gives its password, which is random unless given and is kept nowhere but as a hash."""
    if not _ID.fullmatch(name):
        raise AccessRefused(
            "account_name", f"{name[:64]!r} is no name of an account: letters, digits and . _ : -"
        )
    if conn.execute(select(accounts.c.id).where(func.lower(accounts.c.id) == name.lower())).first():
        raise AccessRefused("account_exists", f"there is an account {name} already")
    if password is not None:
        passwords.check(password, name)
    secret = password or passwords.random_password()
    row = {
        "id": name,
        "person": person or name,
        "secret_hash": passwords.hashed(secret, hasher),
        "roles": _roles(roles),
        "places": _places(places),
        "must_change": must_change,
        "disabled": False,
        "created_ns": by.now_ns,
        "secret_ns": by.now_ns,
    }
    conn.execute(insert(accounts).values(row))
    audit.note(conn, by, "account_made", name, roles=row["roles"], places=row["places"], person=row["person"])
    return secret


def set_roles(conn: Connection, name: str, roles: Iterable[Role], by: By) -> None:
    """Give it these roles and no others; who is signed in there has to sign in again."""
    wanted = _roles(roles)
    before = _row(conn, name)["roles"]
    if Role.ADMINISTRATOR not in wanted:
        _keep_an_administrator(conn, name)
    _change(conn, name, {"roles": wanted}, by, "roles_set", before=before, after=wanted)


def set_places(conn: Connection, name: str, places: Iterable[str], by: By) -> None:
    """Let its rights hold at these ISA-95 paths and below; none: everywhere."""
    wanted = _places(places)
    before = _row(conn, name)["places"]
    _change(conn, name, {"places": wanted}, by, "places_set", before=before, after=wanted)


def disable(conn: Connection, name: str, by: By) -> None:
    """Let nobody in under that name, and revoke its keys; what it did stays on record."""
    _keep_an_administrator(conn, name)
    _change(conn, name, {"disabled": True}, by, "account_disabled")
    keys.revoke_all(conn, name, by.now_ns)


def enable(conn: Connection, name: str, by: By) -> None:
    """Let its owner in again."""
    _change(conn, name, {"disabled": False}, by, "account_enabled")


def unlock(conn: Connection, name: str, by: By) -> None:
    """Forget its failed attempts, and those of all addresses: its owner may share one with whoever guessed."""
    _row(conn, name)
    attempts.forget(conn, name)
    attempts.forget_addresses(conn)
    audit.note(conn, by, "account_unlocked", name)


def reset(conn: Connection, name: str, by: By, hasher: PasswordHasher = HASHER) -> str:
    """Give it a random password, to be changed at the next sign-in; gives it."""
    _row(conn, name)
    secret = passwords.random_password()
    changed = {"secret_hash": passwords.hashed(secret, hasher), "must_change": True, "secret_ns": by.now_ns}
    _change(conn, name, changed, by, "password_reset")
    attempts.forget(conn, name)
    return secret


def set_password(conn: Connection, name: str, new_hash: str, by: By) -> None:
    """Keep the hash of a password that its owner chose, and end all its sessions."""
    changed = {"secret_hash": new_hash, "must_change": False, "secret_ns": by.now_ns}
    _change(conn, name, changed, by, "password_changed")


def _change(
    conn: Connection, name: str, values: Mapping[str, Any], by: By, action: str, **facts: Any
) -> None:
    _row(conn, name)
    conn.execute(update(accounts).where(accounts.c.id == name).values(values))
    sessions.end_all(conn, name)
    audit.note(conn, by, action, name, **facts)


def _keep_an_administrator(conn: Connection, but: str) -> None:
    rows = conn.execute(select(accounts.c.id, accounts.c.roles, accounts.c.disabled))
    left = [row.id for row in rows if Role.ADMINISTRATOR in row.roles and not row.disabled]
    if left == [but]:
        raise AccessRefused(
            "last_administrator", f"{but} is the only administrator: make somebody else one first"
        )


def _row(conn: Connection, name: str) -> RowMapping:
    found = conn.execute(select(accounts).where(accounts.c.id == name)).mappings().first()
    if found is None:
        raise AccessRefused("unknown_account", f"there is no account {name[:64]!r}; see: andon user list")
    return found


def _account(conn: Connection, row: RowMapping, now_ns: int) -> Account:
    kept = {column: value for column, value in row.items() if column != "secret_hash"}
    kept |= {"roles": tuple(Role(role) for role in row["roles"]), "places": tuple(row["places"])}
    return Account(**kept, locked_until_ns=attempts.locked_until(conn, row["id"], now_ns))


def _roles(roles: Iterable[Role]) -> list[str]:
    wanted = sorted({str(role) for role in roles})
    if not wanted:
        raise AccessRefused("no_role", f"an account has at least one role: {', '.join(Role)}")
    return wanted


def _places(places: Iterable[str]) -> list[str]:
    wanted = sorted({place.strip("/ ") for place in places})
    if "" in wanted:
        raise AccessRefused(
            "no_place", "a place is a path like acme/east/press; leave all out for everywhere"
        )
    return wanted
