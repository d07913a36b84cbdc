"""API keys: for programs, of an account, with some of its rights, for a while. Shown once, kept as a hash."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from andon.access import audit, tokens
from andon.access.audit import By
from andon.access.errors import AccessRefused
from andon.access.roles import OF_PEOPLE, Right, Role, rights_of
from andon.access.tables import accounts, keys
from andon.events import HOUR_NS, MINUTE_NS, Json

PREFIX = "andon_"
"""What every key begins with, so that a scanner of repositories and logs knows one when it sees it."""

DAY_NS = 24 * HOUR_NS
LONGEST_DAYS = 366
_SHOWN = len(PREFIX) + 8
_USED_EVERY_NS = MINUTE_NS
_MOST = 50


@dataclass(frozen=True, slots=True)
class Key:
    """One key; `prefix` is how it begins, which tells it from others. Times in ns UTC."""

    id: int
    prefix: str
    account: str
    name: str
    rights: tuple[Right, ...]
    made_ns: int
    expires_ns: int
    used_ns: int | None
    revoked_ns: int | None

    def works(self, now_ns: int) -> bool:
        """Whether it is neither revoked nor expired."""
        return self.revoked_ns is None and now_ns < self.expires_ns


@dataclass(frozen=True, slots=True)
class Holder:
    """Who a key speaks for, as their account is now."""

    key: Key
    person: str
    roles: tuple[str, ...]
    places: tuple[str, ...]


def add(conn: Connection, account: str, *, name: str, rights: Iterable[Right], days: float, by: By) -> str:
    """Make a key; gives it, this once. AccessRefused for rights that the account has not, or too long a life.

    A key has no right to accounts, its own or others' (`OF_PEOPLE`): who finds one cannot make more of them.
    """
    found = conn.execute(
        select(accounts.c.roles, accounts.c.disabled).where(accounts.c.id == account)
    ).first()
    if found is None or found.disabled:
        raise AccessRefused("unknown_account", f"there is no account {account[:64]!r} that could have keys")
    wanted = frozenset(rights)
    lacking = wanted - grantable(Role(role) for role in found.roles)
    if lacking or not wanted:
        named = ", ".join(sorted(lacking)) or "none"
        raise AccessRefused("key_rights", f"a key has some of its account's rights; not of it: {named}")
    if not 0 < days <= LONGEST_DAYS:
        raise AccessRefused("key_days", f"a key lives at most {LONGEST_DAYS} days")
    name = name.strip()[:80]
    if not name:
        raise AccessRefused("key_nameless", "say what the key is for: its name is how you will know it")
    if sum(key.works(by.now_ns) for key in of(conn, account)) >= _MOST:
        raise AccessRefused("key_many", f"{account} has {_MOST} keys that work: revoke some first")
    key = PREFIX + tokens.token()
    row: dict[str, Json] = {
        "token_hash": tokens.hash_of(key),
        "prefix": key[:_SHOWN],
        "account": account,
        "name": name,
    }
    row |= {"rights": sorted(wanted), "made_ns": by.now_ns, "expires_ns": by.now_ns + int(days * DAY_NS)}
    conn.execute(insert(keys).values(row))
    audit.note(conn, by, "key_made", account, key=row["prefix"], rights=row["rights"], days=days)
    return key


def grantable(roles: Iterable[Role]) -> frozenset[Right]:
    """What a key of an account with these roles may have.

    >>> sorted(grantable([Role.STOREKEEPER]))
    [<Right.READ: 'read'>, <Right.REPORT: 'report'>, <Right.STOCK: 'stock'>]
    """
    return rights_of(roles) - OF_PEOPLE


def find(conn: Connection, key: str, now_ns: int) -> Holder | None:
    """Whom that key speaks for; None if it does not work, or its account is disabled or has a first password."""
    asked = (
        select(*_COLUMNS, accounts.c.person, accounts.c.roles, accounts.c.places)
        .join_from(keys, accounts, keys.c.account == accounts.c.id)
        .where(keys.c.token_hash == tokens.hash_of(key))
        .where(accounts.c.disabled.is_(False), accounts.c.must_change.is_(False))
    )
    row = conn.execute(asked).first()
    found = _key(row) if row is not None else None
    if row is None or found is None or not found.works(now_ns):
        return None
    return Holder(found, row.person, tuple(row.roles), tuple(row.places))


def is_to_be_noted(key: Key, now_ns: int) -> bool:
    """Whether its last use was noted so long ago that `used` is due."""
    return key.used_ns is None or now_ns - key.used_ns >= _USED_EVERY_NS


def used(conn: Connection, key: int, now_ns: int) -> None:
    """Note that it was used."""
    conn.execute(update(keys).where(keys.c.id == key).values(used_ns=now_ns))


def of(conn: Connection, account: str = "") -> Sequence[Key]:
    """The keys of an account or of all, newest first, those that ended among them."""
    asked = select(*_COLUMNS).order_by(keys.c.id.desc())
    return [_key(row) for row in conn.execute(asked.where(keys.c.account == account) if account else asked)]


def revoke(conn: Connection, key: int, by: By, account: str = "") -> None:
    """Let it work no more; AccessRefused if there is none of that number (of that account)."""
    found = next((one for one in of(conn, account) if one.id == key), None)
    if found is None:
        raise AccessRefused("unknown_key", f"there is no key {key}; see: andon key list")
    if found.revoked_ns is None:
        conn.execute(update(keys).where(keys.c.id == key).values(revoked_ns=by.now_ns))
        audit.note(conn, by, "key_revoked", found.account, key=found.prefix)


def revoke_all(conn: Connection, account: str, now_ns: int) -> None:
    """Let none of an account's keys work any more."""
    live = keys.c.revoked_ns.is_(None)
    conn.execute(update(keys).where(keys.c.account == account, live).values(revoked_ns=now_ns))


_COLUMNS = tuple(keys.c[name] for name in Key.__slots__)


def _key(row: object) -> Key:
    fields = {name: getattr(row, name) for name in Key.__slots__}
    return Key(**fields | {"rights": tuple(Right(right) for right in fields["rights"])})
