"""Back-tests that the console runs: one at a time, each a process of its own that works when nobody else does."""

import contextlib
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from andon.detector_sets import ChangeSet, read_change, text_of
from andon.events import Json, rfc3339

KEPT = 20
_ID = re.compile(r"[0-9]{1,20}")


class Occupied(Exception):
    """One back-test runs already."""


@dataclass(frozen=True, slots=True)
class Job:
    """One back-test: `facts` once it is done, `error` if it failed, `percent` meanwhile."""

    id: str
    state: Literal["running", "done", "failed"]
    change: ChangeSet
    percent: int
    facts: Mapping[str, Json] | None
    error: str


class Backtests:
    """The back-tests of one installation, in a folder; `command` is `andon backtest` with the data directory."""

    def __init__(self, folder: Path, command: Sequence[str]) -> None:
        self._folder = folder
        self._command = tuple(command)
        self._running: tuple[str, subprocess.Popen[bytes]] | None = None
        self._lock = threading.Lock()

    def start(
        self, change: ChangeSet, now_ns: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> str:
        """Start one and give its id; Occupied while another runs."""
        with self._lock:
            if self._running is not None and self._running[1].poll() is None:
                raise Occupied(self._running[0])
            self._forget_oldest()
            newest = max((int(path.name) for path in self._folder.glob("*/")), default=0)
            name = str(max(now_ns, newest + 1))  # a story's clock may stand still
            place = self._folder / name
            place.mkdir(parents=True)
            (place / "change.toml").write_text(text_of(change), "utf-8")
            times = [("--from", from_ns), ("--to", to_ns)]
            span = [word for flag, at_ns in times if at_ns is not None for word in (flag, rfc3339(at_ns))]
            files = ["--json", str(place / "result.json"), "--progress", str(place / "percent")]
            with (place / "log").open("wb") as log:
                process = subprocess.Popen(  # noqa: S603 - our own command on a file of ours
                    [*self._command, str(place / "change.toml"), *files, *span],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                )
            self._running = name, process
            return name

    def get(self, name: str) -> Job | None:
        """One of them; None if there is none of that id."""
        place = self._folder / name
        if _ID.fullmatch(name) is None or not (place / "change.toml").exists():
            return None
        change = read_change((place / "change.toml").read_text("utf-8"))
        alive = self._alive(name)
        facts, error = (None, "") if alive else _ended(place)
        state: Literal["running", "done", "failed"] = "running" if alive else "done" if facts else "failed"
        percent = 100 if facts else 0
        with contextlib.suppress(OSError, ValueError):
            percent = int((place / "percent").read_text())
        return Job(name, state, change, percent, facts, error)

    def recent(self) -> list[Job]:
        """All that are kept, newest first."""
        names = sorted((path.name for path in self._folder.glob("*/")), key=int, reverse=True)
        return [job for name in names if (job := self.get(name)) is not None]

    def close(self) -> None:
        """End what runs: nobody would see what comes of it."""
        with self._lock:
            if self._running is not None and self._running[1].poll() is None:
                self._running[1].terminate()
                self._running[1].wait()

    def _alive(self, name: str) -> bool:
        with self._lock:
            return self._running is not None and self._running[0] == name and self._running[1].poll() is None

    def _forget_oldest(self) -> None:
        names = sorted((path.name for path in self._folder.glob("*/")), key=int)
        for name in names[: max(0, len(names) - KEPT + 1)]:
            shutil.rmtree(self._folder / name, ignore_errors=True)


def _ended(place: Path) -> tuple[Mapping[str, Json] | None, str]:
    """What came of one that no longer runs: its facts, or why there are none."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((place / "result.json").read_text("utf-8"))), ""
    with contextlib.suppress(OSError):
        lines = (place / "log").read_text("utf-8", "replace").strip().splitlines()
        return None, lines[-1].removeprefix("andon: ") if lines else ""
    return None, ""
