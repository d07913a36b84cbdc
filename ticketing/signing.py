"""The second signature when nobody logs in: a code sent to the requester's phone, or a name drawn on a screen.

A code is six digits, known only to the message that carries it; what is kept is a slow hash with a salt of its own. It
is good for ten minutes, five tries and one signature; a new one voids the one before (rules 46, 47).
"""

import hashlib
import hmac
import secrets
from dataclasses import dataclass

from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, Table, select, update

from andon.events import MINUTE_NS
from ticketing.book import Book
from ticketing.errors import DeedRefused, NoEdge
from ticketing.sql import metadata, upsert
from ticketing.ticket import Ticket, TicketState

sign_code = Table(
    "sign_code",
    metadata,
    Column("ticket", ForeignKey("ticket.id"), primary_key=True),
    Column("cycle", Integer, nullable=False),
    Column("salt", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    Column("sent_ns", BigInteger, nullable=False),
    Column("tries", Integer, nullable=False),
    Column("used_ns", BigInteger),
)

DIGITS, TRIES = 6, 5
VALID_NS = 10 * MINUTE_NS
AGAIN_NS = MINUTE_NS
"""So long after one code no other is sent: tries cannot be had by asking for codes."""
_ROUNDS = 50_000


@dataclass(frozen=True, slots=True)
class Sent:
    """That a code is on its way, without the code: to which phone, and until when it is good."""

    phone: str
    sent_ns: int
    until_ns: int


def send_code(book: Book, ticket: Ticket, *, actor: str, channel: str) -> Sent:
    """Send the requester a new code; the ticket must be locked, resolved, and know a phone number."""
    if ticket.state is not TicketState.RESOLVED:
        raise NoEdge(ticket.state, "sign_code", ())
    if not ticket.phone:
        raise DeedRefused(
            "no_phone", f"{ticket.number} has no phone number: sign by login or by a drawn signature"
        )
    last = book.conn.execute(select(sign_code.c.sent_ns).where(sign_code.c.ticket == ticket.id)).scalar()
    if last is not None and book.now_ns - last < AGAIN_NS:
        raise DeedRefused("code_too_soon", "a code was sent less than a minute ago: wait, or use it")
    code = f"{secrets.randbelow(10**DIGITS):0{DIGITS}}"
    salt = secrets.token_bytes(16)
    row = {
        "ticket": ticket.id,
        "cycle": ticket.reopen_count,
        "salt": salt,
        "hash": _hash(code, salt),
        "sent_ns": book.now_ns,
        "tries": 0,
        "used_ns": None,
    }
    upsert(book.conn, sign_code, [row], [name for name in row if name != "ticket"])
    masked = "•" * max(0, len(ticket.phone) - 4) + ticket.phone[-4:]
    ticket = book.record(ticket, action="sign_code", actor=actor, channel=channel, evidence=(masked,))
    book.tell(ticket, "ticket.sign_code", (f"tel:{ticket.phone}",), {"code": code})
    return Sent(masked, book.now_ns, book.now_ns + VALID_NS)


def try_code(book: Book, ticket: Ticket, code: str) -> str | None:
    """Count a try and compare, in constant time; None if it is the code, else why not.

    Store it whatever comes of it, before anything is refused: a try that is rolled back would be no try.
    """
    found = book.conn.execute(select(sign_code).where(sign_code.c.ticket == ticket.id)).mappings().first()
    if found is None or found["cycle"] != ticket.reopen_count:
        return "code_absent"
    if found["used_ns"] is not None:
        return "code_used"
    if book.now_ns - found["sent_ns"] >= VALID_NS:
        return "code_expired"
    if found["tries"] >= TRIES:
        return "code_spent"
    counted = update(sign_code).where(sign_code.c.ticket == ticket.id)
    book.conn.execute(counted.values(tries=sign_code.c.tries + 1))
    right = hmac.compare_digest(found["hash"], _hash(code.strip(), found["salt"]))
    return None if right else "code_wrong"


def use_code(book: Book, ticket: Ticket) -> str | None:
    """The code has done its work; "code_used" if it had before."""
    once = update(sign_code).where(sign_code.c.ticket == ticket.id, sign_code.c.used_ns.is_(None))
    return None if book.conn.execute(once.values(used_ns=book.now_ns)).rowcount == 1 else "code_used"


def _hash(code: str, salt: bytes) -> bytes:
    return hashlib.pbkdf2_hmac("sha256", code.encode(), salt, _ROUNDS)
