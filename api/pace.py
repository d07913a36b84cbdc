"""How many requests one speaker may send: a bucket that fills steadily, and that a burst may empty."""

import math
import time
from collections.abc import Callable

_MOST = 10_000
"""Speakers that are remembered; who is forgotten begins with a full bucket."""


class Pace:
    """So many requests a minute each, and a burst of some before; both are for one process."""

    def __init__(self, per_minute: float, burst: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._left: dict[str, tuple[float, float]] = {}

    def wait_s(self, subject: str) -> int:
        """0 and one request less, or whole seconds until one is served again.

        >>> now = iter([0.0, 0.0, 0.0, 30.0])
        >>> pace = Pace(2, burst=2, clock=lambda: next(now))
        >>> [pace.wait_s("chen") for _ in range(4)]
        [0, 0, 30, 0]
        """
        now_s = self._clock()
        left, at_s = self._left.get(subject, (float(self._burst), now_s))
        left = min(self._burst, left + (now_s - at_s) * self._per_s)
        if left < 1:
            return math.ceil((1 - left) / self._per_s)
        if len(self._left) >= _MOST and subject not in self._left:
            self._left = dict(list(self._left.items())[_MOST // 2 :])
        self._left.pop(subject, None)  # the last used stand last
        self._left[subject] = left - 1, now_s
        return 0
