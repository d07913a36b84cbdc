"""What the engine's work costs and where it stands: turns and their time, what waits, the disk and what lies on it."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

from andon.events import Json

T = TypeVar("T")
SIZES_EVERY_S = 10.0


class Workload:
    """Counts turns since the process began, and looks now and then how much lies under `data`."""

    def __init__(self, data: Path) -> None:
        self._data = data
        self._turns = 0
        self._turn_s = self._cpu_s = 0.0
        self._sizes: Mapping[str, Json] = {}
        self._sized_s = 0.0
        self._looking = threading.Thread(target=self._look, name="sizes", daemon=True)

    def timed(self, turn: Callable[[], T | None]) -> T | None:
        """What the turn gives; one that found nothing to take is not counted."""
        began_s, cpu_s = time.perf_counter(), time.thread_time()
        outcome = turn()
        if outcome is not None:
            self._turns += 1
            self._turn_s += time.perf_counter() - began_s
            self._cpu_s += time.thread_time() - cpu_s
        return outcome

    def report(self, now_s: float) -> dict[str, Json]:
        """The counts as a part's status tells them, with sizes in bytes.

        These are looked at beside the turns, now and then: a walk over a year's photos takes long.
        """
        if not self._sizes:
            self._look()
            self._sized_s = now_s
        elif now_s - self._sized_s >= SIZES_EVERY_S and not self._looking.is_alive():
            self._sized_s = now_s
            self._looking = threading.Thread(target=self._look, name="sizes", daemon=True)
            self._looking.start()
        return {"turns": self._turns, "turn_s": self._turn_s, "turn_cpu_s": self._cpu_s, **self._sizes}

    def _look(self) -> None:
        self._sizes = sizes(self._data)


def sizes(data: Path) -> dict[str, Json]:
    """Bytes of each source's journal, of the readings and the photos, and what the disk has left and has in all."""
    disk = os.statvfs(data)
    return {
        "journal_bytes": {path.name: _bytes(path) for path in data.glob("journal/*") if path.is_dir()},
        "series_bytes": _bytes(data / "series") + sum(map(_size, data.glob("series.sqlite*"))),
        "photos_bytes": _bytes(data / "photos"),
        "store_bytes": sum(map(_size, data.glob("andon.sqlite*"))),
        "disk_free_bytes": disk.f_bavail * disk.f_frsize,
        "disk_bytes": disk.f_blocks * disk.f_frsize,
    }


def _bytes(folder: Path) -> int:
    """Of all files below; one that goes meanwhile counts nothing."""
    return sum(_size(Path(at, name)) for at, _, names in os.walk(folder) for name in names)


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
