"""Work that the console starts and does not wait for: one at a time, each a process of its own in a folder of its own."""

import contextlib
import re
import shutil
import subprocess
import threading
from collections.abc import Callable, Sequence
from pathlib import Path

KEPT = 20
_ID = re.compile(r"[0-9]{1,20}")
PERCENT, LOG = "percent", "log"
"""What a process writes into its folder: how far it is, and what it said."""


class Occupied(Exception):
    """One runs already."""


class Background:
    """The processes of one kind, each in a folder that stays until `KEPT` others have come."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None
        self._lock = threading.Lock()

    def start(self, now_ns: int, command: Callable[[Path], Sequence[str]]) -> str:
        """Start one and give its id; `command` is given the new folder. Occupied while another runs."""
        with self._lock:
            if self._running is not None and self._running[1].poll() is None:
                raise Occupied(self._running[0])
            self._forget_oldest()
            newest = max((int(path.name) for path in self._folder.glob("*/")), default=0)
            name = str(max(now_ns, newest + 1))  # a story's clock may stand still
            place = self._folder / name
            place.mkdir(parents=True)
            with (place / LOG).open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own command on files of ours
                    list(command(place)), stdin=subprocess.DEVNULL, stdout=log, stderr=log
                )
            self._running = name, process
            return name

    def place(self, name: str) -> Path | None:
        """The folder of one; None if there is none of that id."""
        place = self._folder / name
        return place if _ID.fullmatch(name) is not None and place.is_dir() else None

    def names(self) -> Sequence[str]:
        """All that are kept, newest first."""
        return sorted((path.name for path in self._folder.glob("*/")), key=int, reverse=True)

    def is_running(self, name: str) -> bool:
        """Whether it still works."""
        with self._lock:
            return self._running is not None and self._running[0] == name and self._running[1].poll() is None

    def close(self) -> None:
        """End what runs: nobody would see what comes of it."""
        with self._lock:
            if self._running is not None and self._running[1].poll() is None:
                self._running[1].terminate()
                self._running[1].wait()

    def _forget_oldest(self) -> None:
        names = sorted((path.name for path in self._folder.glob("*/")), key=int)
        for name in names[: max(0, len(names) - KEPT + 1)]:
            shutil.rmtree(self._folder / name, ignore_errors=True)


def percent_of(place: Path) -> int:
    """How far the one in that folder is; 0 while it has not said."""
    with contextlib.suppress(OSError, ValueError):
        return int((place / PERCENT).read_text())
    return 0


def error_of(place: Path) -> str:
    """The last thing that it said: why it came to nothing."""
    with contextlib.suppress(OSError):
        lines = (place / LOG).read_text("utf-8", "replace").strip().splitlines()
        return lines[-1].removeprefix("andon: ") if lines else ""
    return ""
