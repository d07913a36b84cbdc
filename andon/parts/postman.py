"""Sends reports by e-mail on their schedule: made by the command that people use, attached, and handed to the mail server."""

import logging
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from hashlib import sha256
from pathlib import Path

from sqlalchemy import Engine as Database

from andon.clock import Now
from andon.database import reading, writing
from andon.events import SECOND_NS
from andon.plant import Plant
from andon.plants import Current
from andon.ports import NotifyError
from andon.rules.reports import ReportSchedule
from api.catalogue import Language, words_of
from ticketing import distribution
from ticketing.distribution import Mail
from ticketing.notify import smtp
from ticketing.outbox import Channel

log = logging.getLogger(__name__)
MAKING_S = 300.0


class Postman:
    """The reports that go out through the channels of e-mail, one at a time."""

    def __init__(
        self, database: Database, data: Path, channels: Mapping[str, Channel], plant: Current, now: Now
    ) -> None:
        self._database, self._data, self._plant, self._now = database, data, plant, now
        self._ways = {
            name: (one.notifier, dict(one.subscription.people))
            for name, one in channels.items()
            if isinstance(one.notifier, smtp.Notifier)
        }

    def turn(self) -> int:
        """Send what is due; gives how many mails went out."""
        plant, now_ns = self._plant(), self._now()
        if not self._ways or not plant.reports:
            return 0
        reached = {name: people.keys() for name, (_, people) in self._ways.items()}
        with reading(self._database) as conn:
            new = distribution.expected(conn, plant, reached, now_ns)
        if new:
            with writing(self._database) as conn:
                distribution.put_down(conn, new)
        with reading(self._database) as conn:
            due = distribution.waiting(conn, now_ns)
        return sum(self._send(mail, plant, now_ns) for mail in due)

    def _send(self, mail: Mail, plant: Plant, now_ns: int) -> bool:
        schedule = next((one for one in plant.reports if one.id == mail.schedule), None)
        notifier, people = self._ways.get(mail.channel, (None, {}))
        if schedule is None or notifier is None or mail.person not in people:
            self._gave_up(mail, "it is not to be sent to them any more", now_ns, permanent=True)
            return False
        try:
            letter = self._letter(mail, schedule, plant, notifier.sender, people[mail.person])
            answer = notifier.post(letter)
        except NotifyError as error:
            self._gave_up(mail, str(error), now_ns, permanent=error.permanent)
            return False
        with writing(self._database) as conn:
            distribution.sent(conn, mail, answer)
        return True

    def _gave_up(self, mail: Mail, why: str, now_ns: int, *, permanent: bool) -> None:
        log.warning("report %s to %s: %s", mail.schedule, mail.person, why)
        with writing(self._database) as conn:
            distribution.failed(conn, mail, why, now_ns, permanent=permanent)

    def _letter(
        self, mail: Mail, schedule: ReportSchedule, plant: Plant, sender: str, address: str
    ) -> EmailMessage:
        """The mail with the report in each language, made once for all who get it."""
        about = schedule.about(mail.due_ns, plant.time_zone)
        letter = EmailMessage()
        letter["From"], letter["To"] = sender, address
        titles = [words_of(one)(f"paper.{schedule.report}") for one in schedule.languages]
        letter["Subject"] = " ".join(f"{' / '.join(titles)} {about} {plant.name}".split())
        letter["Date"] = format_datetime(datetime.fromtimestamp(mail.due_ns / SECOND_NS, UTC))
        name = sha256(mail.key.encode()).hexdigest()[:32]
        letter["Message-ID"] = f"<{name}@{sender.rpartition('@')[2]}>"
        letter["Auto-Submitted"] = "auto-generated"
        letter.set_content(
            "\n\n".join(words_of(one)("paper.attached", plant=plant.name) for one in schedule.languages)
        )
        for language in schedule.languages:
            letter.add_attachment(
                self._made(schedule, about, language, mail.due_ns),
                maintype="application",
                subtype="pdf",
                filename=f"{schedule.report}{f'-{about}' if about else ''}-{language}.pdf",
            )
        return letter

    def _made(self, schedule: ReportSchedule, about: str, language: Language, due_ns: int) -> bytes:
        """The report; NotifyError if it cannot be made, to be tried again: a drift list may come a little later."""
        folder = self._data / "reports-sent"
        folder.mkdir(mode=0o700, exist_ok=True)
        file = folder / f"{schedule.id}-{language}.pdf"
        kept = folder / f"{schedule.id}-{language}.due"
        if not (file.exists() and kept.exists() and kept.read_text() == str(due_ns)):
            asks = ["--month", about] if about else []
            order = [sys.executable, "-m", "andon", "report", schedule.report, "--data", str(self._data)]
            files = ["--language", language, "--out", str(file), "--progress", str(folder / "percent")]
            try:
                done = subprocess.run(  # noqa: S603 - our own command
                    [*order, *asks, *files], capture_output=True, text=True, check=False, timeout=MAKING_S
                )
            except subprocess.TimeoutExpired as error:
                raise NotifyError(f"the report took more than {MAKING_S:.0f} s", permanent=False) from error
            if done.returncode != 0:
                said = done.stderr.strip().splitlines() or ["it ended without a word"]
                raise NotifyError(f"the report could not be made: {said[-1]}", permanent=False)
            kept.write_text(str(due_ns))
        return file.read_bytes()
