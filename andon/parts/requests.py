"""The process that brings requests in: looks into mailboxes, and fetches the photos and videos that chats only name.

A mailbox that is away holds nobody up but itself, and is told to the engine on a path that does not use it.
"""

import logging
import threading
from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from andon import plants
from andon.app import make_tickets
from andon.channels import inboxes, wechat_accounts
from andon.clock import Now
from andon.config import Notify
from andon.datadir import open_store
from andon.events import Json
from andon.parts import Job, ready, status, tell
from andon.parts.notify import DOWN, SEVERITY
from andon.plant import Plant
from api.replies import reply
from ticketing.requests.attachments import MIB
from ticketing.requests.fetching import fetch
from ticketing.requests.mailbox import MailboxAway
from ticketing.requests.mailing import Mailing
from ticketing.requests.wechat_api import Server
from ticketing.service import Tickets

FETCH_S, STATUS_EVERY_S = 1.0, 1.0
WECHAT = "wechat"
log = logging.getLogger(__name__)
Turn = Callable[[Plant, int], Mapping[str, int]]


class Watch:
    """One way in, looked at again and again; what goes wrong at it is counted, told, and tried again."""

    def __init__(self, name: str, turn: Turn, every_s: float) -> None:
        self.name = name
        self.counts: Counter[str] = Counter()
        self.error = ""
        self._turn, self._every_s = turn, every_s
        self._told: str | None = None

    def run(self, plant: Callable[[], Plant], now: Now, stopping: threading.Event) -> None:
        """Look until told to stop."""
        while True:
            try:
                self.counts.update(self._turn(plant(), now()))
                self._tell("")
            except (MailboxAway, OSError, SQLAlchemyError) as error:
                self._tell(str(error))
            except Exception as error:  # what strangers send must not end it
                log.exception("a request could not be taken in; it is tried again", extra={"way": self.name})
                self._tell(f"{type(error).__name__}: {error}")
            if stopping.wait(self._every_s):
                return

    def _tell(self, error: str) -> None:
        """Have the engine make a ticket of what is wrong, once, and end it once it is well again."""
        self.error = error
        if bool(error) == bool(self._told) and self._told is not None:
            return
        self._told = error
        word = {"word": "notice", "code": DOWN, "subject": self.name, "severity": SEVERITY[DOWN]}
        tell("engine", {**word, "active": bool(error), "detail": error})


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Bring requests in until told to stop."""
    data = Path(job["data"])
    database = open_store(data)
    tickets = make_tickets(data, database, notify=bool(job["notify"]))
    plant = plants.Current(database)
    watches = _watches(data, tickets, [Notify.model_validate(one) for one in job["notify_through"]], plant)
    threads = [
        threading.Thread(target=one.run, args=(plant, now, stopping), name=one.name, daemon=True)
        for one in watches
    ]
    for thread in threads:
        thread.start()
    ready(", ".join(one.name for one in watches))
    while not stopping.wait(STATUS_EVERY_S):
        said: dict[str, Json] = {one.name: {**one.counts, "error": one.error} for one in watches}
        status({"requests": said})
    for thread in threads:
        thread.join(2.0)


def _watches(data: Path, tickets: Tickets, notify: list[Notify], plant: Callable[[], Plant]) -> list[Watch]:
    photos = data / "photos"
    found = []
    for name, given in inboxes(notify).items():
        mailing = Mailing(given, tickets, photos, lambda answer: reply(answer, plant().name))
        assert given.inbox is not None  # noqa: S101 - that is what they were chosen by
        found.append(Watch(f"{name}_inbox", mailing.turn, given.inbox.poll_s))
    servers = {name: Server(given) for name, given in wechat_accounts(notify).items()}
    if servers:
        found.append(Watch(f"{WECHAT}_files", partial(_fetch, tickets, photos, servers), FETCH_S))
    return found


def _fetch(
    tickets: Tickets, photos: Path, servers: Mapping[str, Server], plant: Plant, now_ns: int
) -> Mapping[str, int]:
    """Fetch what messages named; `source` is the account that heard it, and the id of what is to be fetched."""

    def download(source: str) -> bytes:
        account, _, media = source.partition("/")
        return servers[account].media(media, now_ns, plant.requests.video_mb * MIB)

    return {"fetched": fetch(tickets, photos, plant, channel=WECHAT, download=download, now_ns=now_ns)}
