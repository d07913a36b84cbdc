"""The one place that reads the time of day. Everything else is given a `Now`."""

import time
from collections.abc import Callable
from dataclasses import dataclass

Now = Callable[[], int]
"""Gives nanoseconds UTC."""


def wall() -> int:
    """The time of day in nanoseconds UTC."""
    return time.time_ns()


@dataclass(frozen=True, slots=True)
class ScaledClock:
    """A story that runs `speed` times as fast as the wall clock; shared by processes through its three numbers."""

    story_ns: int
    wall_ns: int
    speed: float

    def __call__(self) -> int:
        """The story's time now."""
        return self.story_ns + int((time.time_ns() - self.wall_ns) * self.speed)


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
