"""The one place that reads the time of day. Everything else is given a `Now`."""

import json
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

Now = Callable[[], int]
"""Gives nanoseconds UTC."""


def wall() -> int:
    """The time of day in nanoseconds UTC."""
    return time.time_ns()


@dataclass(slots=True)
class SharedStory:
    """A story that several processes tell by one clock: it stands still until somebody says `go`, then runs.

    The file holds where the story stands, and since when and how fast it runs.
    """

    path: Path
    _running: tuple[int, int, float] | None = None

    def __call__(self) -> int:
        """The story's time now."""
        if self._running is None:
            story_ns, wall_ns, speed = json.loads(self.path.read_text())
            if wall_ns is None:
                return int(story_ns)
            self._running = story_ns, wall_ns, speed
        story_ns, wall_ns, speed = self._running
        return int(story_ns + int((time.time_ns() - wall_ns) * speed))

    @property
    def pace(self) -> float:
        """How fast it runs beside the wall clock; 1 while it stands."""
        self()
        return self._running[2] if self._running else 1.0

    def stand_at(self, story_ns: int) -> None:
        """Let the story stand at this time."""
        self._running = None
        self._write(story_ns, None, 0.0)

    def go(self, speed: float) -> None:
        """Let it run from where it stands, `speed` times as fast as the wall clock."""
        self._write(self(), time.time_ns(), speed)

    def _write(self, story_ns: int, wall_ns: int | None, speed: float) -> None:
        partial = self.path.with_suffix(".partial")
        partial.write_text(json.dumps([story_ns, wall_ns, speed]))
        partial.rename(self.path)


def pace_of(now: Now) -> float:
    """How fast that clock runs beside a person's: 1, but for a story's."""
    return now.pace if isinstance(now, SharedStory) else 1.0


class StoryClock:
    """A story told as fast as it goes: the teller advances it, and it never steps back."""

    def __init__(self, start_ns: int) -> None:
        self._now_ns = start_ns

    def __call__(self) -> int:
        """The latest time that was told."""
        return self._now_ns

    def advance(self, to_ns: int) -> None:
        """Move on to `to_ns`; an earlier time changes nothing."""
        self._now_ns = max(self._now_ns, to_ns)
