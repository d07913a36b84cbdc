"""Back-tests that the console runs: one at a time, each a process of its own that works when nobody else does."""

import contextlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from andon.detector_sets import ChangeSet, read_change, text_of
from andon.events import Json, rfc3339
from api.background import PERCENT, Background, Occupied, error_of, percent_of

__all__ = ["Backtests", "Job", "Occupied"]

_CHANGE = "change.toml"


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
        self._command = tuple(command)
        self._work = Background(folder)

    def start(
        self, change: ChangeSet, now_ns: int, *, from_ns: int | None = None, to_ns: int | None = None
    ) -> str:
        """Start one and give its id; Occupied while another runs."""
        times = [("--from", from_ns), ("--to", to_ns)]
        span = [word for flag, at_ns in times if at_ns is not None for word in (flag, rfc3339(at_ns))]

        def command(place: Path) -> Sequence[str]:
            (place / _CHANGE).write_text(text_of(change), "utf-8")
            files = ["--json", str(place / "result.json"), "--progress", str(place / PERCENT)]
            return [*self._command, str(place / _CHANGE), *files, *span]

        return self._work.start(now_ns, command)

    def get(self, name: str) -> Job | None:
        """One of them; None if there is none of that id."""
        place = self._work.place(name)
        if place is None or not (place / _CHANGE).exists():
            return None
        change = read_change((place / _CHANGE).read_text("utf-8"))
        alive = self._work.is_running(name)
        facts = None if alive else _facts(place)
        state: Literal["running", "done", "failed"] = "running" if alive else "done" if facts else "failed"
        error = error_of(place) if state == "failed" else ""
        return Job(name, state, change, 100 if facts else percent_of(place), facts, error)

    def recent(self) -> list[Job]:
        """All that are kept, newest first."""
        return [job for name in self._work.names() if (job := self.get(name)) is not None]

    def close(self) -> None:
        """End what runs: nobody would see what comes of it."""
        self._work.close()


def _facts(place: Path) -> Mapping[str, Json] | None:
    """What came of one that no longer runs; None if nothing did."""
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads((place / "result.json").read_text("utf-8")))
    return None
