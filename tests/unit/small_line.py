"""A small line for the engine's tests: real journals, the real engine and its store, and nothing between."""

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path

from decoder_words import PLANT, T0

from andon import manifest
from andon.app import make_engine
from andon.clock import StoryClock
from andon.commands.finished import all_tickets, balance
from andon.database import reading, writing
from andon.datadir import open_store
from andon.engine import OWN, TakeAndCommit
from andon.events import Json
from andon.plant import Plant
from andon.ports import DeadLetter, Record
from ingest import deadletters
from ingest.journal import SqliteJournal

FLOOR: Mapping[str, Json] = {**PLANT, "classes": {"pump": [{"kind": "stop_alarm"}]}}
Make = Callable[..., TakeAndCommit]


class SmallLine:
    """One data directory: its sources are written here, its engine turns when it is told to."""

    def __init__(self, data: Path, *sources: str, make: Make = make_engine) -> None:
        self.data = data
        self.now = StoryClock(T0)
        self.database = open_store(data)
        self.journals = {name: SqliteJournal(data / "journal" / name) for name in (OWN, *sources)}
        self._make = make
        self.engine = make(data, self.journals, self.database, self.now)
        self.repeated = self.engine.recover()

    def configured(self, document: Mapping[str, Json] = FLOOR) -> "SmallLine":
        """Bring a plant document into force."""
        self.engine.configure(Plant.model_validate(document))
        return self

    def receives(self, source: str, *records: Record) -> "SmallLine":
        """Journal these, and let the clock stand at the last."""
        self.journals[source].append(records)
        self.now.advance(records[-1].received_ns)
        return self

    def works(self) -> "SmallLine":
        """Take all there is."""
        while self.engine.turn(tick=False) is not None:
            pass
        return self

    def killed(self) -> "SmallLine":
        """The same directory in another process: nothing was saved on the way out."""
        for journal in self.journals.values():
            journal.close()
        self.database.dispose()
        sources = [name for name in self.journals if name != OWN]
        again = SmallLine(self.data, *sources, make=self._make)
        again.now.advance(self.now())
        return again

    def redrives(self, which: deadletters.Which = deadletters.ALL) -> int:
        """Ask for refused messages and have them taken anew; gives how many were asked for."""
        with writing(self.database) as conn:
            asked = deadletters.ask(conn, which, self.now())
        while self.engine.take_asked():
            pass
        return asked

    def counts(self, source: str) -> Counter[str]:
        """The counters of a source."""
        with reading(self.database) as conn:
            return manifest.counted(conn).get(f"source.{source}", Counter())

    def balance(self, source: str) -> Mapping[str, Json]:
        """The same, added up."""
        return balance(self.counts(source))

    def letters(self) -> list[DeadLetter]:
        """What is refused now."""
        with reading(self.database) as conn:
            return deadletters.recent(conn, 1000)

    def tickets(self) -> list[tuple[str, str, str, int]]:
        """The tickets as (asset, component, state, number of events)."""
        with reading(self.database) as conn:
            return [
                (ticket.asset, ticket.headline.component, str(ticket.state), ticket.occurrence_count)
                for ticket in all_tickets(conn)
            ]

    def digests(self) -> list[tuple[int, str]]:
        """Every batch that is still in the manifest, with what it gave."""
        with reading(self.database) as conn:
            return [(number, digest) for number, digest, _ in manifest.since(conn, 0)]
