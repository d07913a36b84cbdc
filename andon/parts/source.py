"""One collector or listener: its file in ingest/ is its kind."""

import asyncio
import importlib
import json
import logging
import socket
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from andon.clock import Now
from andon.config import check
from andon.events import Json
from andon.parts import Job, heard, ready, status, until
from andon.ports import SourceContext
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

            async def collect(event: asyncio.Event) -> None:
                pki = Path(job["data"]) / "pki"
                at = SourceContext(journal, now, event, ready, status, folder, pki=pki)
                _hand_on_words(at.words)
                await kind.run(parameters, at)

            asyncio.run(until(stopping, collect))
        finally:
            journal.close()


def _hand_on_words(words: asyncio.Queue[Mapping[str, Json]]) -> None:
    """Put what the supervisor tells this part into the queue of the running loop."""
    loop = asyncio.get_running_loop()

    def hand_on() -> None:
        while True:
            word = heard.get()
            loop.call_soon_threadsafe(words.put_nowait, word)

    threading.Thread(target=hand_on, name="words", daemon=True).start()


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
