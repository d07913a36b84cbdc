"""The house that a story is told in: journals, engine, store, console and notifier of one folder, on a virtual clock.

Nothing in it is made for stories but the clock: messages are decoded and judged, the console answers over HTTP, what is
told leaves through the outbox.
"""

import threading
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Self

import uvicorn
from sqlalchemy import Engine as Database

from andon import plants
from andon.app import make_engine, make_tickets
from andon.channels import make_channels
from andon.clock import StoryClock
from andon.config import Notify
from andon.database import reading, writing
from andon.engine import OWN
from andon.parts.web import bound
from andon.plant import Asset, Plant
from andon.ports import Message, Record, RecordKind, Said
from andon.stories.phones import Phones
from api.app import Context, create_app
from api.telling import say
from ingest.journal import SqliteJournal
from ingest.series import SeriesStore
from simulators.messages import MqttMessage
from ticketing import timers
from ticketing.clockwork import turn
from ticketing.fan_out import fan_out
from ticketing.outbox import deliver
from ticketing.subscriptions import Subscription

SOURCE = "plant_mqtt"
TOKEN = "told-to-nobody"  # noqa: S105 - of a console that lives as long as its story
CODES = "andon.ticket.sign-code.v1"
"""The topic of the codes for a signature: secret, so a channel that takes all has to name it as well."""


class House:
    """One installation while it is entered. `url` is where its console answers, `phones` are what people have on them."""

    def __init__(
        self, folder: Path, database: Database, plant: Plant, start_ns: int, numbers: dict[str, str]
    ) -> None:
        self._folder = folder
        self._database = database
        self._numbers = numbers
        self._plant = plant
        self.now = StoryClock(start_ns)
        self.phones = Phones()
        self._open = ExitStack()

    def __enter__(self) -> Self:
        folder, database = self._folder, self._database
        self._open.enter_context(self.phones)
        self._journals = {name: SqliteJournal(folder / "journal" / name) for name in (OWN, SOURCE)}
        self._engine = make_engine(folder, self._journals, database, self.now, notify=True)
        self._tickets = make_tickets(folder, database, notify=True)
        self._engine.configure(self._plant)
        self._channels = make_channels(folder, self._notify(), self._say)
        self.url = self._open.enter_context(self._served())
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()
        for journal in self._journals.values():
            journal.close()

    def moves_to(self, to_ns: int) -> None:
        """Let the time go by until then; what becomes due on the way is done when it is due."""
        while True:
            with self._tickets.looking() as conn:
                waiting = timers.due(conn, to_ns, 1)
            if not waiting:
                break
            self.now.advance(waiting[0].due_ns)
            self.settles()
        self.now.advance(to_ns)
        self._takes()

    def receives(self, messages: Sequence[MqttMessage]) -> None:
        """Messages of machines, as their source journals them."""
        for one in messages:
            self.moves_to(one.at_ns)
            record = Record(RecordKind.MESSAGE, one.at_ns, one.topic.encode(), one.body)
            self._journals[SOURCE].append([record])
        self._takes()

    def changes(self, plant: Plant) -> None:
        """Another plant document comes into force, asked for as `andon plant import` asks."""
        with writing(self._database) as conn:
            plants.ask(conn, plant, self.now())
        self._takes()

    def asset(self, asset_id: str) -> Asset:
        """A machine of the plant; the file was checked to name no other."""
        return next(one for one in self.plant.assets if one.id == asset_id)

    @property
    def plant(self) -> Plant:
        """The plant document in force."""
        return self._engine.plant

    def settles(self) -> None:
        """Do what is due now, and deliver what is to be told."""
        while turn(self._tickets, self._engine.plant, self.now()):
            pass
        subscriptions = [one.subscription for one in self._channels.values()]
        while fan_out(self._database, subscriptions, self._engine.plant, self.now()):
            pass
        for channel in self._channels.values():
            while deliver(self._database, channel, self.now()):
                pass

    def _takes(self) -> None:
        """Take what was received and what people ask for, then do what follows."""
        self._engine.turn(tick=True)
        while self._engine.turn(tick=False) is not None:
            pass
        self._engine.take_asked()
        self.settles()

    def _notify(self) -> list[Notify]:
        if not self._numbers:
            return []
        gateway = self._folder / "gateway.url"
        gateway.write_text(self.phones.url, "utf-8")
        gateway.chmod(0o600)
        said = {
            "name": "sms",
            "kind": "http_sms",
            "url": {"file": str(gateway)},
            "allow_private": ["127.0.0.0/8"],
            "people": self._numbers,
            "language": "zh",
            "topics": ["andon.*", CODES],
            "group_wait_s": 0,
            "digest_over": 0,
            "limit": 400,
        }
        return [Notify.model_validate(said)]

    def _say(self, message: Message, to: Subscription) -> Sequence[Said]:
        return say(message, to.languages, self._engine.plant, self.now(), to.link)

    def _in_force(self) -> Plant:
        with reading(self._database) as conn:
            return plants.latest(conn) or self._plant

    @contextmanager
    def _served(self) -> Iterator[str]:
        """The console, answering on a free port of loopback."""
        context = Context(
            database=self._database,
            series=SeriesStore(self._folder / "series.sqlite", read_only=True),
            tickets=self._tickets,
            plant=self._in_force,
            now=self.now,
            status=dict,
            token=TOKEN,
            readiness=list,
            photos=self._folder / "photos",
            journals=self._folder / "journal",
        )
        server = uvicorn.Server(uvicorn.Config(create_app(context), log_level="error"))
        with bound("127.0.0.1", 0) as listening:
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, name="console")
            thread.start()
            try:
                yield f"http://127.0.0.1:{listening.getsockname()[1]}"
            finally:
                server.should_exit = True
                thread.join()
