"""Failed attempts to sign in, and how long the next one has to wait: by account name and by address."""

import ipaddress
from hashlib import sha256

from sqlalchemy import ColumnElement, Connection, delete, insert, or_, select, update

from andon.access.tables import attempts
from andon.events import MINUTE_NS

FREE_OF_ACCOUNT, FREE_OF_ADDRESS = 5, 20
"""Failures that cost no wait; a shift may share an address (one gateway, one terminal), never a name."""

LONGEST_NS = 60 * MINUTE_NS
FORGOTTEN_NS, ADDRESS_FORGOTTEN_NS = 24 * 60 * MINUTE_NS, 15 * MINUTE_NS
"""After so long without a failure a count begins anew; an address that a plant shares is not kept from it all day."""

_DOUBLINGS = 6


def wait_ns(failures: int, free: int) -> int:
    """How long to wait after so many failures in a row: a minute, then twice as long each time, an hour at most.

    >>> [wait_ns(n, 5) // MINUTE_NS for n in (4, 5, 6, 7, 10, 11, 1000)]
    [0, 1, 2, 4, 32, 60, 60]
    """
    if failures < free:
        return 0
    return min(MINUTE_NS << min(failures - free, _DOUBLINGS), LONGEST_NS)


def subject_of_account(name: str) -> str:
    """A name as it is counted: hashed, since what is typed there by mistake may be a password."""
    return "account:" + sha256(name.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def subject_of_address(address: str) -> str:
    """An address as it is counted: of IPv6 the network of 64 bits, which one machine has all of.

    >>> subject_of_address("2001:db8::1:2"), subject_of_address("10.0.0.7")
    ('address:2001:db8::/64', 'address:10.0.0.7')
    """
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return "address:" + address[:64]
    return f"address:{ipaddress.ip_network((found, 64), strict=False) if found.version == 6 else found}"


def begin(conn: Connection, name: str, address: str, now_ns: int) -> int | None:
    """Count a try before it is judged, so that many at once are counted too; gives until when (ns UTC) none is heard."""
    subjects = {subject_of_account(name): FREE_OF_ACCOUNT}
    if address:
        subjects[subject_of_address(address)] = FREE_OF_ADDRESS
    conn.execute(delete(attempts).where(_forgotten(now_ns)))
    rows = conn.execute(select(attempts).where(attempts.c.subject.in_(subjects)))
    known = {row.subject: row for row in rows}
    until_ns = max((row.until_ns for row in known.values()), default=0)
    if until_ns > now_ns:
        return int(until_ns)
    for subject, free in subjects.items():
        failures = (known[subject].failures if subject in known else 0) + 1
        counted = {"failures": failures, "last_ns": now_ns, "until_ns": now_ns + wait_ns(failures, free)}
        if subject in known:
            conn.execute(update(attempts).where(attempts.c.subject == subject).values(counted))
        else:
            conn.execute(insert(attempts).values(subject=subject, **counted))
    return None


def succeed(conn: Connection, name: str, address: str) -> None:
    """Forget an account's failures; of the address only the one that this try was counted as."""
    forget(conn, name)
    of_address = attempts.c.subject == subject_of_address(address)
    conn.execute(update(attempts).where(of_address).values(failures=attempts.c.failures - 1, until_ns=0))


def forget(conn: Connection, name: str) -> None:
    """Let that account be tried again at once."""
    conn.execute(delete(attempts).where(attempts.c.subject == subject_of_account(name)))


def forget_addresses(conn: Connection) -> None:
    """Let all addresses be tried from at once: who shares one with a guesser is kept out with them."""
    conn.execute(delete(attempts).where(attempts.c.subject.startswith("address:")))


def locked_until(conn: Connection, name: str, now_ns: int) -> int | None:
    """Until when (ns UTC) nobody is heard under that name, None if at once."""
    found = conn.execute(
        select(attempts.c.until_ns).where(attempts.c.subject == subject_of_account(name))
    ).scalar()
    return found if found is not None and found > now_ns else None


def _forgotten(now_ns: int) -> ColumnElement[bool]:
    of_address = attempts.c.subject.startswith("address:") & (attempts.c.until_ns <= now_ns)
    return or_(
        attempts.c.last_ns < now_ns - FORGOTTEN_NS,
        of_address & (attempts.c.last_ns < now_ns - ADDRESS_FORGOTTEN_NS),
    )
