"""What a part does beside its work: history within its bounds, a full disk told and survived."""

import json
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from andon.clock import Now
from andon.config import Keeping
from andon.ports import Record
from ingest.disk import Disk, Level, Reserve
from ingest.own_records import notice
from ingest.retention import enforce

KEEP_FILE = "keep.json"
"""Where the engine says which position of a journal it still needs."""
LOOK_EVERY_S = 5.0
WAIT_FOR_ROOM_S = 0.5
DISK_LOW, DISK_FULL = "disk_low", "disk_full"
SUBJECT = "data"
_log = logging.getLogger(__name__)


def needed(folder: Path) -> int:
    """The first position that the engine needs of the journal in `folder`; 0 as long as it has not said so."""
    try:
        return int(json.loads((folder / KEEP_FILE).read_text())["position"])
    except (OSError, ValueError, KeyError):
        return 0


def say_needed(folder: Path, position: int) -> None:
    """Say which position of the journal in `folder` is the first that is needed."""
    partial = folder / f"{KEEP_FILE}.partial"
    partial.write_text(json.dumps({"position": position}))
    partial.rename(folder / KEEP_FILE)


def bound_history(folder: Path, keeping: Keeping, now: Now, stopping: threading.Event) -> None:
    """Until told to stop, drop from the journal in `folder` what is too old or too much and no longer needed."""
    disk = Disk(folder, keeping)
    while not stopping.wait(LOOK_EVERY_S):
        try:
            enforce(folder, needed(folder), now(), keeping, shed=disk.look() >= Level.SHED)
        except OSError:
            _log.exception("history could not be looked through")


class DiskWatch:
    """Tells how full the disk of a data directory is, and gives up the reserve when the engine cannot go on.

    `standing` are the codes of notices that were said before and hold until something else is said.
    """

    def __init__(
        self,
        data: Path,
        keeping: Keeping,
        now: Now,
        note: Callable[[Sequence[Record]], None],
        *,
        stopping: threading.Event,
        standing: Collection[str] = (),
    ) -> None:
        self._disk = Disk(data, keeping)
        self._reserve = Reserve(data / "reserve", keeping.reserve_bytes)
        self._now = now
        self._note = note
        self._stopping = stopping
        self._said = dict.fromkeys(standing, "")
        self._hit = False

    def look(self) -> Level:
        """Look at the disk, and journal what has changed."""
        level = Level.FULL if self._hit else self._disk.look()
        self._say(
            DISK_FULL, 950, "messages are not received: senders and brokers keep them", level is Level.FULL
        )
        shed = "; the oldest history goes" if level >= Level.SHED else ""
        self._say(DISK_LOW, 600, f"little space is left{shed}", level >= Level.LOW)
        self._hit = not self._reserve.make() and self._hit
        return level

    def make_room(self) -> None:
        """Give up the reserve; if that is gone, wait a moment. RuntimeError once there is no use in waiting."""
        self._hit = True
        if self._reserve.give_up():
            _log.error("the disk is full: the reserve is given up, tickets and alarms go on")
            return
        if self._stopping.is_set():
            raise RuntimeError("the disk is full to the last byte: free space under the data directory")
        time.sleep(WAIT_FOR_ROOM_S)

    def _say(self, code: str, severity: int, text: str, active: bool) -> None:
        """Journal a notice if it is another than the last; the figures in it are those of that moment."""
        said = text if active else None
        if said == self._said.get(code):
            return
        if said is None:
            self._said.pop(code, None)
        else:
            self._said[code] = text
        detail = (
            f"{self._disk.used_percent:.0f} % used, {self._disk.free_bytes / 1024**2:.0f} MiB free: {text}"
        )
        self._note(
            [
                notice(
                    code,
                    SUBJECT,
                    self._now(),
                    active=active,
                    severity=severity if active else 1,
                    detail=detail,
                )
            ]
        )
