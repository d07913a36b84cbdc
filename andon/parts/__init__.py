"""What each process of an installation does: one file per role, each with `run(job, now, stopping)`.

A part gets its job as one JSON line on standard input and further words as lines after it (`heard`), says `ready`,
`status` and `tell` as JSON lines on standard output, and ends when its standard input closes.
"""

import asyncio
import importlib
import json
import logging
import queue
import signal
import sys
import threading
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from andon import clock
from andon.clock import Now, SharedStory
from andon.events import Json

Job = dict[str, Json]


def run_part() -> int:
    """Read the job and do it until standard input closes."""
    told = logging.StreamHandler()
    told.setFormatter(Told("%(asctime)s %(levelname)s %(name)s: %(message)s"))
    logging.basicConfig(level=logging.WARNING, handlers=[told])
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the supervisor decides
    job: Job = json.loads(sys.stdin.readline())
    stopping = threading.Event()
    threading.Thread(target=_listen, args=(stopping,), name="stdin", daemon=True).start()
    signal.signal(signal.SIGTERM, lambda *_: stopping.set())
    importlib.import_module(f"andon.parts.{job['role']}").run(job, now_of(job), stopping)
    return 0


def now_of(job: Mapping[str, Json]) -> Now:
    """The wall clock, or the clock of the story that the job tells."""
    story = job.get("clock")
    return SharedStory(Path(story)) if story else clock.wall


class Told(logging.Formatter):
    """A line of the log with all that was told beside its message (`extra`): a line without its why helps nobody."""

    _OWN = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802 -- logging's name
        """The line, without the traceback that may follow."""
        beside = [f"{name}={value!r}" for name, value in vars(record).items() if name not in self._OWN]
        return " ".join([super().formatMessage(record), *beside])


heard: "queue.SimpleQueue[Mapping[str, Json]]" = queue.SimpleQueue()
"""What the supervisor has told this part since it got its job, in order."""


def tell(to: str, word: Mapping[str, Json]) -> None:
    """Have the supervisor tell another part something, if that part runs."""
    _say({"tell": {"to": to, **word}})


def ready(text: str) -> None:
    """Tell the supervisor that this part works, and where."""
    _say({"ready": text})


def status(facts: Mapping[str, Json]) -> None:
    """Tell the supervisor how this part is doing."""
    _say({"status": dict(facts)})


async def until(stopping: threading.Event, work: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run the work with an asyncio event that follows the thread's."""
    event = asyncio.Event()
    loop = asyncio.get_running_loop()

    def follow() -> None:
        stopping.wait()
        loop.call_soon_threadsafe(event.set)

    threading.Thread(target=follow, name="follow", daemon=True).start()
    await work(event)
    stopping.set()


def _listen(stopping: threading.Event) -> None:
    while line := sys.stdin.readline():
        try:
            word: Mapping[str, Json] = json.loads(line)
        except ValueError:
            continue  # half a line: the supervisor was killed while it spoke
        heard.put(word)
    stopping.set()


def _say(word: Mapping[str, Json]) -> None:
    sys.stdout.write(json.dumps(word) + "\n")
    sys.stdout.flush()
