"""Requests by e-mail: each unread mail is heard once, answered, and only then marked as read.

Whatever stops in between, the mail is still unread: it is found to be known, and answered as it was.
"""

import logging
from collections import Counter
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path

from andon.plant import Plant
from andon.ports import NotifyError
from ticketing.errors import AttachmentRefused, PhotoRefused
from ticketing.notify.smtp import Notifier, Parameters
from ticketing.requests import attachments, talks
from ticketing.requests.attachments import Kept
from ticketing.requests.mail import Mail, read, reply
from ticketing.requests.mailbox import Mailbox, opened
from ticketing.requests.talking import Outcome, Said
from ticketing.requests.talks import Answer, Incoming
from ticketing.service import Tickets

CHANNEL = "email"
MOST = 10
"""Mails of one person that are heard within an hour; the others wait for the next."""
Say = Callable[[Answer], str]
"""The words of an answer."""
log = logging.getLogger(__name__)


class Mailing:
    """One mailbox and the server that answers leave by."""

    def __init__(self, given: Parameters, tickets: Tickets, photos: Path, say: Say) -> None:
        assert given.inbox is not None  # noqa: S101 - made for those that have one
        self._given, self._inbox, self._notifier = given, given.inbox, Notifier(given)
        self._tickets, self._photos, self._say = tickets, photos, say

    def turn(self, plant: Plant, now_ns: int) -> Mapping[str, int]:
        """Look into the mailbox once; gives counts of what became of the mails. MailboxAway if it cannot be read."""
        counts: Counter[str] = Counter()
        with opened(self._inbox, self._given.ca) as mailbox:
            for uid, body in mailbox.unread():
                counts[self._take(mailbox, uid, body, plant, now_ns)] += 1
        return counts

    def _take(self, mailbox: Mailbox, uid: str, body: bytes, plant: Plant, now_ns: int) -> str:
        mail = read(body, self._given.sender)
        said = Said(CHANNEL, f"mailto:{mail.sender}", mail.words, type=self._inbox.type)
        if mail.machine:
            came = Incoming(mail.id, said, mail.machine, now_ns)
            talks.note(self._tickets, came, Outcome.REFUSED)
            mailbox.done(uid)
            return mail.machine
        came = Incoming(mail.id, said, "mail", now_ns, self._kept(mail, plant))
        answer = talks.hear(self._tickets, came, plant, most=MOST)
        if answer.outcome is Outcome.REFUSED:
            return "too_many"
        if not self._answered(mail, answer):
            return "unanswered"
        mailbox.done(uid)
        return str(answer.outcome)

    def _kept(self, mail: Mail, plant: Plant) -> list[Kept]:
        """The files of a mail that can be kept; what is none is left out, the words are taken without it."""
        kept = []
        for body in mail.files[: plant.requests.files]:
            try:
                kept.append(attachments.keep(BytesIO(body), self._photos, plant.requests))
            except (AttachmentRefused, PhotoRefused) as error:
                log.warning("a file of a mail is left out", extra={"mail": mail.id, "why": error.code})
        return kept

    def _answered(self, mail: Mail, answer: Answer) -> bool:
        """Whether the mail is answered, or never can be; otherwise it is answered the next time."""
        try:
            self._notifier.post(reply(mail, self._given.sender, self._say(answer)))
        except (NotifyError, ValueError) as error:
            log.warning("a mail could not be answered", extra={"mail": mail.id, "error": str(error)})
            return isinstance(error, ValueError) or error.permanent
        return True
