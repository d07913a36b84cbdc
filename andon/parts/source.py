"""One collector or listener: its file in ingest/ is its kind."""

import asyncio
import importlib
import json
import logging
import socket
import threading
from pathlib import Path
from typing import Self

from andon.clock import Now
from andon.config import check
from andon.parts import Job, ready, status, until
from ingest.journal import SqliteJournal

KEEP_FILE = "keep.json"
"""Where the engine says which position of a journal it still needs."""

log = logging.getLogger(__name__)


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Collect into the source's journal until told to stop."""
    kind = importlib.import_module(f"ingest.{job['kind']}")
    parameters = check(kind.Parameters, job["parameters"], f"source {job['name']}")
    folder = Path(job["data"]) / "journal" / job["name"]
    with Nudger(job["nudge"]) as nudge:
        journal = SqliteJournal(folder, on_commit=nudge)
        try:
            threading.Thread(target=_drop_what_is_done, args=(journal, folder, stopping), daemon=True).start()
            asyncio.run(
                until(stopping, lambda event: kind.run(parameters, journal, now, event, ready, status))
            )
        finally:
            journal.close()


class Nudger:
    """Tells the engine by a datagram that there is something new to read."""

    def __init__(self, port: int) -> None:
        self._address = ("127.0.0.1", port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.setblocking(False)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def __call__(self, _end: int) -> None:
        """Nudge; a lost nudge is made good by the engine's polling."""
        try:
            self._socket.sendto(b"\n", self._address)
        except OSError:
            log.debug("the engine was not there to be nudged")


def _drop_what_is_done(journal: SqliteJournal, folder: Path, stopping: threading.Event) -> None:
    """Drop whole journal files that no snapshot needs any more, where the engine says so."""
    while not stopping.wait(5.0):
        try:
            position = int(json.loads((folder / KEEP_FILE).read_text())["position"])
        except (OSError, ValueError, KeyError):
            continue
        journal.drop_before(position)
