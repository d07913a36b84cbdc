"""An IMAP server on this machine with one mailbox in memory: as much of RFC 3501 as reading unread mails takes, strictly.

Literals, sequences of UIDs, partial fetches and flags are as the standard has them; what it does not know it refuses.
"""

import re
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import ClassVar

_FETCH = re.compile(rb"(\d+) \((BODY\.PEEK\[\])<(\d+)\.(\d+)>\)", re.IGNORECASE)
_STORE = re.compile(rb"(\d+) \+FLAGS\.SILENT \(\\Seen\)", re.IGNORECASE)
_LOGIN = re.compile(rb'LOGIN ("?)([^" ]+)\1 "([^"]*)"', re.IGNORECASE)


@dataclass
class Letters:
    """The mailbox: mails by UID, those that were read, and who may look; `refuses` signs nobody in."""

    user: str
    password: str
    mails: dict[int, bytes] = field(default_factory=dict)
    seen: set[int] = field(default_factory=set)
    refuses: bool = False

    def put(self, body: bytes) -> int:
        """A mail arrives; gives its UID."""
        uid = max(self.mails, default=0) + 1
        self.mails[uid] = body
        return uid

    @property
    def unread(self) -> list[int]:
        """The UIDs of the mails that nobody has marked as read."""
        return sorted(self.mails.keys() - self.seen)


@contextmanager
def served(letters: Letters) -> Iterator[int]:
    """The server on a free port of this machine; gives the port."""

    class Handler(_Handler):
        of = letters

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield int(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


class _Handler(socketserver.StreamRequestHandler):
    of: ClassVar[Letters]
    state = "not authenticated"

    def handle(self) -> None:
        self._line(b"* OK IMAP4rev1 ready")
        while line := self.rfile.readline(8192):
            tag, _, rest = line.strip().partition(b" ")
            word = rest.split(b" ", 1)[0].upper()
            if word == b"LOGOUT":
                self._line(b"* BYE")
                self._line(tag + b" OK done")
                return
            self._line(tag + b" " + self._done(word, rest))

    def _done(self, word: bytes, rest: bytes) -> bytes:
        if word == b"CAPABILITY":
            self._line(b"* CAPABILITY IMAP4rev1")
            return b"OK done"
        if word == b"LOGIN":
            return self._login(rest)
        if word == b"SELECT" and self.state != "not authenticated":
            return self._select(rest)
        if word == b"UID" and self.state == "selected":
            return self._uid(rest[4:])
        return b"BAD not in this state, or not known"

    def _login(self, rest: bytes) -> bytes:
        given = _LOGIN.fullmatch(rest)
        who = (given[2].decode(), given[3].decode()) if given else ("", "")
        if self.of.refuses or who != (self.of.user, self.of.password):
            return b"NO [AUTHENTICATIONFAILED] not with this password"
        self.state = "authenticated"
        return b"OK done"

    def _select(self, rest: bytes) -> bytes:
        if rest[7:].strip(b'"').upper() != b"INBOX":
            return b"NO no such folder"
        self.state = "selected"
        self._line(b"* %d EXISTS" % len(self.of.mails))
        self._line(b"* OK [UIDVALIDITY 1] stands")
        return b"OK [READ-WRITE]"

    def _uid(self, command: bytes) -> bytes:
        word, _, rest = command.partition(b" ")
        if word.upper() == b"SEARCH" and rest.upper() == b"UNSEEN":
            self._line(b" ".join([b"* SEARCH", *(b"%d" % uid for uid in self.of.unread)]))
            return b"OK done"
        if word.upper() == b"FETCH" and (asked := _FETCH.fullmatch(rest)):
            self._fetch(int(asked[1]), int(asked[3]), int(asked[4]))
            return b"OK done"
        if word.upper() == b"STORE" and (asked := _STORE.fullmatch(rest)):
            self.of.seen.add(int(asked[1]))
            return b"OK done"
        return b"BAD what is asked for is not known here"

    def _fetch(self, uid: int, start: int, length: int) -> None:
        body = self.of.mails.get(uid)
        if body is None:
            return
        part = body[start : start + length]
        place = sorted(self.of.mails).index(uid) + 1
        self.wfile.write(b"* %d FETCH (UID %d BODY[]<%d> {%d}\r\n" % (place, uid, start, len(part)))
        self.wfile.write(part + b")\r\n")

    def _line(self, line: bytes) -> None:
        self.wfile.write(line + b"\r\n")
