"""The notifier's process: takes messages off the bus and delivers them, a thread for each channel, until told to stop.

A channel that is slow or away holds nobody up but itself. Once a minute a canary goes through each channel that has
them on; the age of the last that arrived says whether the next message would.
"""

import contextlib
import logging
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from sqlalchemy import Engine as Database
from sqlalchemy.exc import SQLAlchemyError

from andon import plants
from andon.channels import make_channels
from andon.clock import Now
from andon.config import Notify
from andon.database import reading
from andon.datadir import open_store
from andon.events import SECOND_NS, Json
from andon.parts import Job, ready, status, tell
from andon.parts.postman import Postman
from andon.plant import Plant
from andon.ports import Message, NotifyError, Said
from andon.rules.partners import Partner
from api.telling import say
from ticketing import deliveries
from ticketing.breaker import Circuit
from ticketing.fan_out import fan_out
from ticketing.nodes import KINDS
from ticketing.outbox import Channel, deliver
from ticketing.partners.confirming import on_answer
from ticketing.requests.floor_plan import drawn
from ticketing.subscriptions import Audience, Subscription
from ticketing.topics import CANARY

POLL_S, STATUS_EVERY_S, PRUNE_EVERY_S, POST_EVERY_S = 0.25, 1.0, 60.0, 10.0
CANARY_EVERY_NS = 60 * SECOND_NS
KEEP_NS = 30 * 24 * 3600 * SECOND_NS
"""How long what was sent and the record of calls stay."""
DOWN, UNDELIVERED, NO_CANARY = "channel_down", "messages_undelivered", "canary_failed"
SEVERITY = {DOWN: 900, UNDELIVERED: 500, NO_CANARY: 500}
log = logging.getLogger(__name__)


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Deliver until told to stop; what is left then is delivered after the next start."""
    database = open_store(Path(job["data"]))
    notify = [Notify.model_validate(settings) for settings in job["notify_through"]]
    plant = plants.Current(database)

    def speak(message: Message, to: Subscription) -> Sequence[Said]:
        return say(message, to.languages, plant(), now(), to.link)

    channels = make_channels(Path(job["data"]), notify, speak, partial(_plan, plant))
    for name, channel in channels.items():
        if channel.subscription.audience is Audience.PARTNER:
            channel.taken = on_answer(partial(_partner, plant, name), now)
    couriers = [Courier(database, channel, now) for channel in channels.values()]
    threads = [
        threading.Thread(target=one.run, args=(stopping,), name=f"notify-{one.name}", daemon=True)
        for one in couriers
    ]
    for thread in threads:
        thread.start()
    postman = Postman(database, Path(job["data"]), channels, plant, now)
    threads.append(threading.Thread(target=_post, args=(postman, stopping), name="postman", daemon=True))
    threads[-1].start()
    ready(", ".join(channels))
    said_s = pruned_s = 0.0
    while not stopping.wait(POLL_S):
        with _unless_full():
            fan_out(database, [one.subscription for one in channels.values()], plant(), now())
            if time.monotonic() - pruned_s >= PRUNE_EVERY_S:
                pruned_s = time.monotonic()
                deliveries.prune(database, now() - KEEP_NS)
        if time.monotonic() - said_s >= STATUS_EVERY_S:
            said_s = time.monotonic()
            with _unless_full():
                _say(database, couriers, now())
    for thread in threads:
        thread.join(
            2.0
        )  # one that waits for an answer is left: its message is sent again, under the same key


def _post(postman: Postman, stopping: threading.Event) -> None:
    """Look for reports that are due until told to stop: on a thread of its own, since making one takes seconds."""
    while not stopping.wait(POST_EVERY_S):
        with _unless_full():
            postman.turn()


def _partner(plant: plants.Current, name: str) -> Partner | None:
    return plant().partner(name)


def _plan(plant: Callable[[], Plant], message: Message) -> Sequence[bytes]:
    """The floor plan with the machine of a message that tells of a node of the work (rule 71)."""
    if message.kind not in KINDS:
        return ()
    plan = drawn(plant(), message.content["asset"], message.content["assignee"])
    return (plan,) if plan is not None else ()


class Courier:
    """One channel at work: delivers what is due, sends canaries, and knows how it goes."""

    def __init__(self, database: Database, channel: Channel, now: Now) -> None:
        self.name = channel.subscription.name
        self.channel = channel
        self._database = database
        self._now = now
        self._counts: Counter[str] = Counter()
        self._tried_ns: int | None = None
        self._arrived_ns: int | None = None
        self._why = ""
        self._told: dict[str, str] = {}

    def run(self, stopping: threading.Event) -> None:
        """Turn until told to stop."""
        wait_s = 0.0
        while not stopping.wait(wait_s):
            with _unless_full():
                wait_s = 0.0 if self.turn() else POLL_S

    def turn(self) -> bool:
        """Send what is due, and a canary each minute; whether messages left."""
        now_ns = self._now()
        counts = deliver(self._database, self.channel, now_ns)
        self._counts.update(counts)
        if counts.get("sent"):  # as good as a canary
            self._why, self._arrived_ns = "", now_ns
        wanted = self.channel.subscription.canary and not counts
        if wanted and (self._tried_ns is None or now_ns - self._tried_ns >= CANARY_EVERY_NS):
            self._send_canary(now_ns)
        return bool(counts.get("sent"))

    def report(self, now_ns: int, waiting: Mapping[str, int]) -> dict[str, Json]:
        """How it goes, for the pipeline page and the metrics."""
        since = self._arrived_ns
        return {
            "kind": getattr(self.channel.notifier, "kind", ""),
            "circuit": str(self.channel.breaker.at(now_ns)),
            **waiting,
            **self._counts,
            "canary": self.channel.subscription.canary,
            "canary_age_s": None if since is None else round((now_ns - since) / SECOND_NS, 1),
            "error": self._why,
        }

    def notices(self, now_ns: int, waiting: Mapping[str, int], last_error: str) -> Iterator[tuple[str, str]]:
        """(code, detail) of each thing that a person has to know; detail is empty where all is well."""
        is_open = self.channel.breaker.at(now_ns) is not Circuit.CLOSED
        yield DOWN, (last_error or self._why or "it does not answer") if is_open else ""
        dead = waiting.get("dead", 0)
        yield UNDELIVERED, f"{dead} messages, see: andon outbox list" if dead else ""
        yield NO_CANARY, self._why

    def tell(self, now_ns: int, waiting: Mapping[str, int], last_error: str) -> None:
        """Say what is news of it: the engine makes a ticket of it, on a path that does not use this channel."""
        for code, detail in self.notices(now_ns, waiting, last_error):
            if bool(self._told.get(code)) != bool(detail) or code not in self._told:
                self._told[code] = detail
                tell(
                    "engine",
                    {
                        "word": "notice",
                        "code": code,
                        "subject": self.name,
                        "active": bool(detail),
                        "severity": self._severity(code),
                        "detail": detail,
                    },
                )

    def _severity(self, code: str) -> int:
        """A partner that is down has one ticket of the highest priority once it fails a ticket, see `ticketing.partners`."""
        of_partner = self.channel.subscription.audience is Audience.PARTNER
        return SEVERITY[NO_CANARY] if of_partner else SEVERITY[code]

    def _send_canary(self, now_ns: int) -> None:
        """One canary: marked as such, of no ticket, in no statistics."""
        self._tried_ns = now_ns
        if self.channel.breaker.at(now_ns) is Circuit.OPEN:
            return
        message = Message(
            key=f"canary/{now_ns // CANARY_EVERY_NS}/{self.name}/",
            ticket="",
            kind=CANARY,
            trace_id=f"canary:{now_ns // CANARY_EVERY_NS}",
            at_ns=now_ns,
            content={"plant": "", "canary": True, "channel": self.name},
            said=(Said("en", "Andon canary", ("This channel works. 通道正常。",)),),
            addresses=self.channel.subscription.addresses("", ()),
        )
        try:
            self.channel.notifier.send(message, now_ns)
        except NotifyError as error:
            self._why = str(error)
            self.channel.breaker.failed(now_ns)
        except Exception as error:  # noqa: BLE001 - a notifier is a stranger's code at the edge
            self._why = f"{type(error).__name__}: {error}"
            self.channel.breaker.failed(now_ns)
        else:
            self._why, self._arrived_ns = "", now_ns
            self.channel.breaker.worked()


def _say(database: Database, couriers: Sequence[Courier], now_ns: int) -> None:
    with reading(database) as conn:
        waiting = deliveries.waiting(conn)
        errors = deliveries.last_errors(conn)
    for courier in couriers:
        courier.tell(now_ns, waiting.get(courier.name, {}), errors.get(courier.name, ""))
    status(
        {
            "on_bus": waiting.get("bus", {}).get("pending", 0),
            "channels": {one.name: one.report(now_ns, waiting.get(one.name, {})) for one in couriers},
        }
    )


@contextlib.contextmanager
def _unless_full() -> Iterator[None]:
    """The store may be full or locked: what waits is delivered later, and the thread lives on."""
    try:
        yield
    except (OSError, SQLAlchemyError) as error:
        log.warning("the store cannot be written: this is tried again", extra={"error": str(error)})
        time.sleep(POLL_S)
