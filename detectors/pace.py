"""How often something comes, so that a pause can be told from a slow sensor: after one nothing is presumed."""

from dataclasses import dataclass

import numpy as np

from andon.events import Int64

_PAUSE = 10  # times the usual interval


@dataclass(slots=True)
class Pace:
    """When something last came, and how long after what was before it."""

    last_ns: int = -1
    usual_ns: int = 0

    def pauses(self, at_ns: int, least_s: float) -> bool:
        """Whether this comes after a pause: longer than `least_s` and than ten times the usual interval.

        >>> pace = Pace(); [pace.pauses(at_s * 10**9, 60.0) for at_s in (0, 50, 120, 3600, 3650)]
        [False, False, False, True, False]
        """
        interval_ns = at_ns - self.last_ns if self.last_ns >= 0 else 0
        self.last_ns = at_ns
        if interval_ns <= max(least_s * 1e9, _PAUSE * self.usual_ns):
            self.usual_ns = interval_ns
            return False
        self.usual_ns = max(
            self.usual_ns, interval_ns // (_PAUSE - 2)
        )  # a daily reading is no pause the next day
        return True

    def goes_on(self, at_ns: Int64, least_s: float) -> int:
        """How many of these come before there is a pause; they are taken."""
        if self.last_ns < 0:
            return 0
        interval_ns = np.diff(at_ns, prepend=self.last_ns)
        usual_ns = np.concatenate(([self.usual_ns], interval_ns[:-1]))
        pauses = interval_ns > np.maximum(int(least_s * 1e9), _PAUSE * usual_ns)
        many = int(pauses.argmax()) if pauses.any() else at_ns.size
        if many:
            self.last_ns, self.usual_ns = int(at_ns[many - 1]), int(interval_ns[many - 1])
        return many
