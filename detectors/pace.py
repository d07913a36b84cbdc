"""How often something comes, so that a pause can be told from a slow sensor: after one nothing is presumed."""

from dataclasses import dataclass

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
