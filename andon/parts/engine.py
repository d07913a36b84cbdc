"""The engine's process: decode, detect, ticket, until told to stop; see andon.engine."""

import json
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path

from andon.app import make_engine, make_notifiers
from andon.clock import Now
from andon.datadir import open_store
from andon.engine import OWN
from andon.parts import Job, ready, status, tell
from andon.parts.source import KEEP_FILE
from andon.plant import Plant
from ingest.journal import SqliteJournal
from ticketing import outbox

POLL_S = 0.25  # where a nudge gets lost
TICK_EVERY_S = 0.2
STATUS_EVERY_S = 1.0
SNAPSHOT_EVERY_S = 15.0


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Recover, bring the plant document into force, then turn until told to stop."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as nudged:
        nudged.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        nudged.bind(("127.0.0.1", job["nudge"]))
        nudged.settimeout(POLL_S)
        engine = LiveEngine(job, now)
        ready(f"{engine.start()} batches repeated")
        engine.run(stopping, lambda: _wait_for_nudge(nudged))


class LiveEngine:
    """The engine as a process: opens everything, recovers, then turns until it is told to stop."""

    def __init__(self, job: Job, now: Now) -> None:
        self._data = Path(job["data"])
        folder = self._data / "journal"
        self._journals = {OWN: SqliteJournal(folder / OWN)}
        for source in job["sources"]:
            self._journals[source] = SqliteJournal(folder / source, read_only=True)
        self._database = open_store(self._data)
        self._now = now
        self._notifiers = make_notifiers(self._data) if job["notify"] else {}
        self._engine = make_engine(self._data, self._journals, self._database, now, notify=job["notify"])
        self._plant = Plant.model_validate(job["plant"]) if job.get("plant") else None

    def start(self) -> int:
        """Recover, then bring the plant document into force; gives the number of repeated batches."""
        repeated = self._engine.recover()
        if self._plant is not None:
            self._engine.configure(self._plant)
        return repeated

    def run(self, stopping: threading.Event, wait: Callable[[], None]) -> None:
        """Turn; once told to stop, take what is left and save the state."""
        last_tick_s = last_status_s = 0.0
        last_snapshot_s = time.monotonic()
        while not stopping.is_set():
            now_s = time.monotonic()
            tick = now_s - last_tick_s >= TICK_EVERY_S
            last_tick_s = now_s if tick else last_tick_s
            outcome = self._engine.turn(tick=tick)
            if outcome is None:
                wait()
            else:
                for source, edge in outcome.rebirths:
                    tell(source, {"word": "rebirth", "edge": edge})
            if now_s - last_status_s >= STATUS_EVERY_S:
                last_status_s = now_s
                if self._notifiers:
                    outbox.deliver(self._database, self._notifiers, self._now())
                status({"caught_up": self._engine.caught_up(), "differs": self._engine.differs})
            if now_s - last_snapshot_s >= SNAPSHOT_EVERY_S:
                last_snapshot_s = now_s
                self._snapshot()
        while self._engine.turn(tick=False) is not None:
            pass
        self._snapshot()
        for journal in self._journals.values():
            journal.close()

    def _snapshot(self) -> None:
        for source, position in self._engine.snapshot().items():
            folder = self._data / "journal" / source
            if source == OWN:
                self._journals[OWN].drop_before(position)
                continue
            partial = folder / f"{KEEP_FILE}.partial"
            partial.write_text(json.dumps({"position": position}))
            partial.rename(folder / KEEP_FILE)


def _wait_for_nudge(nudged: socket.socket) -> None:
    try:
        nudged.recv(16)
        nudged.setblocking(False)
        while nudged.recv(16):  # many commits are one nudge
            pass
    except (TimeoutError, BlockingIOError):
        pass
    finally:
        nudged.settimeout(POLL_S)
