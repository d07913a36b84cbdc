"""The mailbox of requests over IMAP: what is unread in it is looked at, and marked as read once it is done with.

Source: RFC 9051; RFC 3501 for servers that know no more.
"""

import contextlib
import imaplib
import ssl
from collections.abc import Iterator
from pathlib import Path

from ticketing.notify.smtp import Inbox

AT_ONCE = 20
MIB = 1024**2


class MailboxAway(Exception):
    """The mailbox cannot be read now; the text says why, and never holds the password."""


class Mailbox:
    """One look into the mailbox; an `opened` context."""

    def __init__(self, server: imaplib.IMAP4, inbox: Inbox) -> None:
        self._server = server
        self._inbox = inbox

    def unread(self) -> Iterator[tuple[str, bytes]]:
        """(UID, bytes) of unread mails, the oldest first; of one that is too large its beginning."""
        for uid in self._words("SEARCH", "UNSEEN").split()[:AT_ONCE]:
            name = uid.decode("ascii")
            asked = f"(BODY.PEEK[]<0.{self._inbox.size_max_mb * MIB}>)"
            found = self._asked("FETCH", name, asked)
            body = next((part[1] for part in found if isinstance(part, tuple)), None)
            if body is not None:
                yield name, body

    def done(self, uid: str) -> None:
        """It is taken in, or is none for us."""
        self._asked("STORE", uid, "+FLAGS.SILENT", "(\\Seen)")

    def _words(self, *command: str) -> bytes:
        found = self._asked(*command)
        return b" ".join(part for part in found if isinstance(part, bytes))

    def _asked(self, *command: str) -> list[object]:
        status, found = self._server.uid(*command)
        if status != "OK":
            raise MailboxAway(f"{command[0]}: {status}")
        return list(found or ())


@contextlib.contextmanager
def opened(inbox: Inbox, ca: Path | None) -> Iterator[Mailbox]:
    """The mailbox, signed in and selected; MailboxAway if that cannot be."""
    server: imaplib.IMAP4 | None = None
    try:
        trust = ssl.create_default_context(cafile=str(ca) if ca else None)
        if inbox.security == "tls":
            server = imaplib.IMAP4_SSL(inbox.host, inbox.port, ssl_context=trust, timeout=inbox.timeout_s)
        else:
            server = imaplib.IMAP4(inbox.host, inbox.port, timeout=inbox.timeout_s)
            if inbox.security == "starttls":
                server.starttls(trust)
        server.login(inbox.user, inbox.password.read())
        status, _ = server.select(f'"{inbox.folder}"')
        if status != "OK":
            raise MailboxAway(f"there is no folder {inbox.folder}")
        yield Mailbox(server, inbox)
    except (imaplib.IMAP4.error, OSError, ssl.SSLError) as error:
        raise MailboxAway(f"{type(error).__name__}: {error}") from error
    finally:
        if server is not None:
            with contextlib.suppress(imaplib.IMAP4.error, OSError):
                server.logout()
