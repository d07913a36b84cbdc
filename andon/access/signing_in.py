"""Signing in, changing one's password, signing out: each try counted before it is judged, each on record."""

from dataclasses import dataclass, field

from argon2 import PasswordHasher
from sqlalchemy import Engine as Database
from sqlalchemy import select, update

from andon.access import accounts, attempts, audit, keys, passwords, sessions
from andon.access.audit import By
from andon.access.errors import AccessRefused, SignInRefused
from andon.access.passwords import HASHER
from andon.access.sessions import Lifetimes
from andon.access.speaking import Speaker
from andon.access.tables import accounts as table
from andon.database import reading, writing

_WRONG = "the name or the password is wrong"
_LOCKED = "too many attempts under that name or from that address; wait until the time that is said"


@dataclass(frozen=True, slots=True)
class Desk:
    """Where people sign in. A wrong name takes as long as a wrong password, and is refused and locked in the same words."""

    database: Database
    lifetimes: Lifetimes = field(default_factory=Lifetimes)
    hasher: PasswordHasher = HASHER

    def sign_in(self, name: str, password: str, *, now_ns: int, address: str = "", agent: str = "") -> str:
        """The token of a new session; SignInRefused if the two do not belong together or it is too early to try."""
        name = name.strip()
        kept = self._judge(name, password, address, now_ns)
        anew = passwords.hashed(password, self.hasher) if passwords.is_outdated(kept, self.hasher) else kept
        with writing(self.database) as conn:
            attempts.succeed(conn, name, address)
            still = (table.c.id == name) & (table.c.secret_hash == kept) & table.c.disabled.is_(False)
            let_in = update(table).where(still).values(secret_hash=anew, signed_in_ns=now_ns)
            if conn.execute(let_in).rowcount == 0:  # changed or disabled while it was judged
                raise SignInRefused("sign_in_wrong", _WRONG)
            audit.note(conn, By(name, now_ns, "web", address), "signed_in", name)
            return sessions.begin(conn, name, now_ns, self.lifetimes, address=address, agent=agent)

    def change(self, account: str, old: str, new: str, *, by: By, agent: str = "") -> str:
        """Change a password by the one before it, end all sessions, and give the token of a new one."""
        if old == new:
            raise AccessRefused("password_same", "choose another password than the one before")
        passwords.check(new, account)
        self._judge(account, old, by.address, by.now_ns)
        anew = passwords.hashed(new, self.hasher)
        with writing(self.database) as conn:
            attempts.succeed(conn, account, by.address)
            accounts.set_password(conn, account, anew, by)
            return sessions.begin(conn, account, by.now_ns, self.lifetimes, address=by.address, agent=agent)

    def stands(self, speaker: Speaker, now_ns: int) -> bool:
        """Whether the session or key that somebody came in with has not ended."""
        with reading(self.database) as conn:
            if speaker.session is not None:
                return sessions.stands(conn, speaker.session, now_ns, self.lifetimes)
            return any(one.id == speaker.key and one.works(now_ns) for one in keys.of(conn, speaker.account))

    def sign_out(self, session: int, account: str, by: By) -> bool:
        """End one session of that account; False if there is none of that number."""
        with writing(self.database) as conn:
            ended = sessions.end(conn, session, account)
            if ended:
                audit.note(conn, by, "session_ended", account, session=session)
            return ended

    def _judge(self, name: str, password: str, address: str, now_ns: int) -> str:
        """The hash that is kept, if the password is right and the try was not too early; SignInRefused if not."""
        with writing(self.database) as conn:
            until_ns = attempts.begin(conn, name, address, now_ns)
        if until_ns is not None:
            raise SignInRefused("sign_in_locked", _LOCKED, until_ns)
        with reading(self.database) as conn:
            row = conn.execute(
                select(table.c.secret_hash, table.c.disabled).where(table.c.id == name)
            ).first()
        kept = row.secret_hash if row is not None and not row.disabled else None
        right = passwords.is_right(password, kept, self.hasher)
        if kept is None or not right:
            with writing(self.database) as conn:
                by = By(name if row is not None else "", now_ns, "web", address)
                audit.note(conn, by, "sign_in_refused", by.actor)
            raise SignInRefused("sign_in_wrong", _WRONG)
        return str(kept)
