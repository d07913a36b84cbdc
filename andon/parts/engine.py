"""The engine's process: decode, detect, ticket, until told to stop; see andon.engine."""

import gc
import logging
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from andon import history
from andon.app import make_engine, make_tickets
from andon.backlogs import MESSAGES, RECORDS, SEVERITY, Backlogs
from andon.clock import Now
from andon.config import Keeping
from andon.database import reading
from andon.datadir import open_store
from andon.engine import OWN, Picture
from andon.events import SECOND_NS
from andon.memory import keep_freed_memory
from andon.nudges import Nudged
from andon.parts import Job, heard, ready, status, tell
from andon.plant import Plant
from andon.upkeep import DiskWatch, needed, say_needed
from andon.workload import Workload
from ingest.disk import Level, says_full
from ingest.journal import ROTATE_BYTES, SqliteJournal
from ingest.own_records import notice
from ingest.retention import enforce, rotate_bytes, rotate_ns
from ticketing import deliveries
from ticketing.clockwork import turn
from ticketing.timers import failing

TICK_EVERY_S = 0.2
STATUS_EVERY_S = 1.0
SNAPSHOT_EVERY_S = 15.0
BACKLOGS_EVERY_S = 5.0
NOTHING_NEEDED = 2**62
GIVEN_UP = "timer_failed"
log = logging.getLogger(__name__)


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Recover, bring the plant document into force, then turn until told to stop."""
    keep_freed_memory()
    with Nudged(job["nudge"]) as nudged:
        engine = LiveEngine(job, now)
        repeated = engine.start()
        gc.freeze()  # the plant and the state of its channels stay: no collection has to walk them all
        ready(f"{repeated} batches repeated")
        engine.run(stopping, nudged)


class LiveEngine:
    """The engine as a process: opens everything, recovers, then turns until it is told to stop."""

    def __init__(self, job: Job, now: Now) -> None:
        self._data = Path(job["data"])
        folder = self._data / "journal"
        self._keeping = keeping = Keeping.model_validate(job["keeping"])
        self._journals = {
            OWN: SqliteJournal(
                folder / OWN,
                rotate_bytes=rotate_bytes(keeping, ROTATE_BYTES),
                rotate_ns=rotate_ns(keeping),
            )
        }
        self._sources = set(job["sources"])
        self._follow([*job["sources"], *(path.name for path in folder.iterdir() if path.is_dir())])
        self._noted: set[tuple[str, str]] = set()
        self._database = open_store(self._data)
        self._now = now
        self._engine = make_engine(
            self._data, self._journals, self._database, now, notify=job["notify"], keeping=keeping
        )
        self._tickets = make_tickets(self._data, self._database, notify=job["notify"])
        self._plant = Plant.model_validate(job["plant"]) if job.get("plant") else None
        self._disk = Level.FINE
        self._workload = Workload(self._data)
        self._backlogs, self._backlogs_s = Backlogs(), 0.0
        self._keeper = ThreadPoolExecutor(1, "snapshot")
        self._kept = self._keeper.submit(lambda: None)

    def start(self) -> int:
        """Recover, bring the plant document into force, then what was asked meanwhile; gives the number of repeated batches."""
        repeated = self._engine.recover()
        if self._plant is not None:
            self._engine.configure(self._plant)
        self._engine.take_asked()
        return repeated

    def run(self, stopping: threading.Event, nudged: Nudged) -> None:
        """Turn; once told to stop, take what is left and save the state."""
        standing = [code for code, _ in self._engine.noticed()]
        disk = DiskWatch(
            self._data, self._keeping, self._now, self._engine.note, stopping=stopping, standing=standing
        )
        self._engine.make_room = disk.make_room
        last_tick_s = last_status_s = 0.0
        last_snapshot_s = time.monotonic()
        while not stopping.is_set():
            self._hear()
            now_s = time.monotonic()
            tick = now_s - last_tick_s >= TICK_EVERY_S
            last_tick_s = now_s if tick else last_tick_s
            if self._workload.timed(partial(self._engine.turn, tick=tick)) is None:
                nudged.wait()
            elif self._engine.all_read:
                nudged.rest(time.monotonic() - now_s)
            while self._engine.rebirths:
                source, edge = self._engine.rebirths.pop()
                tell(source, {"word": "rebirth", "edge": edge})
            if now_s - last_status_s >= STATUS_EVERY_S:
                last_status_s = now_s
                self._each_second(disk)
            if self._kept.done():
                self._kept.result()  # what it raised is raised here
                if now_s - last_snapshot_s >= SNAPSHOT_EVERY_S:
                    last_snapshot_s = now_s
                    self._keep()
        while self._engine.turn(tick=False) is not None:
            pass
        self._keep()
        self._keeper.shutdown()
        self._kept.result()
        for journal in self._journals.values():
            journal.close()

    def _each_second(self, disk: DiskWatch) -> None:
        self._disk = disk.look()
        self._engine.take_asked()
        self._unless_full(lambda: turn(self._tickets, self._engine.plant, self._now()))
        self._say_given_up()
        if time.monotonic() - self._backlogs_s >= BACKLOGS_EVERY_S:
            self._backlogs_s = time.monotonic()
            self._tell_backlogs()
        status(
            {
                "caught_up": self._engine.caught_up(),
                "differs": self._engine.differs,
                "untaken": dict(self._engine.untaken()),
                "lag_s": self._engine.lag_ns / SECOND_NS,
                **self._workload.report(time.monotonic()),
            }
        )

    def _tell_backlogs(self) -> None:
        """Journal a notice of each queue that has grown and does not come down."""
        with reading(self._database) as conn:
            messages = deliveries.waiting(conn)
        depths = {(MESSAGES, channel): found.get("pending", 0) for channel, found in messages.items()}
        depths |= {(RECORDS, source): n for source, n in self._engine.untaken().items()}
        for code, subject, depth in self._backlogs.look(depths, time.monotonic()):
            self._note(code, subject, active=depth > 0, severity=SEVERITY[code], detail=f"{depth:,}")

    def _say_given_up(self) -> None:
        """Say which kinds of steps that were due were given up, until somebody has had them done."""
        with self._tickets.looking() as conn:
            kinds = failing(conn)
        said = {kind for code, kind in (*self._noted, *self._engine.noticed()) if code == GIVEN_UP}
        for kind in said - kinds.keys():
            self._note(GIVEN_UP, kind, active=False)
            self._noted.discard((GIVEN_UP, kind))
        for kind in kinds.keys() - said:
            self._note(GIVEN_UP, kind, active=True, severity=700, detail=f"{kinds[kind]}")

    def _hear(self) -> None:
        """Do what the supervisor says: there are other sources now, or something that a person has to know."""
        while not heard.empty():
            word = heard.get()
            if word["word"] == "sources":
                self._follow(word["names"])
                gone, self._sources = self._sources - set(word["names"]), set(word["names"])
                for code, subject in self._engine.noticed():
                    if subject in gone:
                        self._note(code, subject, active=False)
            elif word["word"] == "notice":
                self._note(
                    word["code"],
                    word["subject"],
                    active=word["active"],
                    severity=word["severity"],
                    detail=word["detail"],
                )

    def _note(self, code: str, subject: str, *, active: bool, severity: int = 1, detail: str = "") -> None:
        """Journal a notice; that something is over only if it was ever said."""
        if not active and (code, subject) not in {*self._noted, *self._engine.noticed()}:
            return
        self._noted.add((code, subject))
        told = notice(code, subject, self._now(), active=active, severity=severity, detail=detail)
        self._engine.note([told])

    def _follow(self, names: Iterable[str]) -> None:
        """Read these sources too. One that was taken out stays: what it left is worked on, and repeated after a crash."""
        for name in names:
            if name not in self._journals:
                self._journals[name] = SqliteJournal(self._data / "journal" / name, read_only=True)

    def _keep(self) -> None:
        """Have the state kept by another thread: while that waits for the disk, alarms are taken."""
        picture = self._engine.picture()
        left = [name for name in self._journals if name not in self._sources]
        self._kept = self._keeper.submit(self._unless_full, lambda: self._snapshot(picture, left))

    def _snapshot(self, picture: Picture, left: Sequence[str]) -> None:
        for source, position in self._engine.keep(picture).items():
            folder = self._data / "journal" / source
            if folder.is_dir():
                say_needed(folder, position)
        shed = self._disk >= Level.SHED
        for name in left:  # those without a process that does it
            folder = self._data / "journal" / name
            enforce(folder, needed(folder), self._now(), self._keeping, shed=shed)
        enforce(self._data / history.FOLDER, NOTHING_NEEDED, self._now(), self._keeping, shed=shed)

    def _unless_full(self, write: Callable[[], object]) -> None:
        """Write what can wait: it is left for the next time while the disk is full."""
        try:
            write()
        except (OSError, sqlite3.Error, SQLAlchemyError) as error:
            if not says_full(error):
                raise
            log.warning("the disk is full: this is tried again later", extra={"error": str(error)})
