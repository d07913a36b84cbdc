"""One collector or listener: its file in ingest/ is its kind."""

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

from andon.clock import Now
from andon.config import Keeping
from andon.events import Json
from andon.memory import cap_growth
from andon.nudges import Nudger
from andon.parts import Job, heard, ready, status, until
from andon.ports import SourceContext
from andon.sources import kind_of, parameters_of
from andon.upkeep import bound_history
from ingest.devices import devices_at
from ingest.disk import Disk
from ingest.journal import ROTATE_BYTES, SqliteJournal
from ingest.retention import rotate_bytes, rotate_ns


def run(job: Job, now: Now, stopping: threading.Event) -> None:
    """Collect into the source's journal until told to stop."""
    kind = kind_of(job["name"], job["kind"])
    parameters = parameters_of(job["name"], job["kind"], job["parameters"])
    cap_growth(job["memory_max_mb"] * 1024**2)
    folder = Path(job["data"]) / "journal" / job["name"]
    with Nudger(job["nudge"]) as nudge:
        keeping = Keeping.model_validate(job["keeping"])
        journal = SqliteJournal(
            folder,
            on_commit=nudge,
            rotate_bytes=rotate_bytes(keeping, ROTATE_BYTES),
            rotate_ns=rotate_ns(keeping),
            is_full=Disk(Path(job["data"]), keeping).is_full,
        )
        try:
            upkeep = (folder, keeping, now, stopping)
            threading.Thread(target=bound_history, args=upkeep, name="history", daemon=True).start()

            async def collect(event: asyncio.Event) -> None:
                data = Path(job["data"])
                devices = devices_at(data, job["name"])
                at = SourceContext(
                    journal, now, event, ready, status, folder, pki=data / "pki", devices=devices
                )
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
