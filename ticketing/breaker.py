"""A circuit breaker: after some failures in a row a channel is left alone, then tried with one message at a time."""

from dataclasses import dataclass
from enum import StrEnum

from andon.events import SECOND_NS


class Circuit(StrEnum):
    """Closed lets everything through, open nothing, half-open one message as a probe."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"


@dataclass(slots=True)
class Breaker:
    """Opens after `after` failures in a row; probes after `probe_s`, twice as long each time, up to `longest_s`.

    >>> breaker = Breaker(after=2, probe_s=10)
    >>> for at_s in (0, 1): breaker.failed(at_s * SECOND_NS)
    >>> [str(breaker.at(at_s * SECOND_NS)) for at_s in (1, 10.9, 11)]
    ['open', 'open', 'half_open']
    >>> breaker.worked(); str(breaker.at(12 * SECOND_NS))
    'closed'
    """

    after: int = 5
    probe_s: float = 30.0
    longest_s: float = 600.0
    failures: int = 0
    opened_ns: int = 0

    def at(self, now_ns: int) -> Circuit:
        """How it stands."""
        if self.failures < self.after:
            return Circuit.CLOSED
        wait_s = min(self.probe_s * 2.0 ** min(self.failures - self.after, 30), self.longest_s)
        return Circuit.HALF_OPEN if now_ns - self.opened_ns >= wait_s * SECOND_NS else Circuit.OPEN

    def failed(self, now_ns: int) -> None:
        """The channel could not do it."""
        self.failures += 1
        self.opened_ns = now_ns

    def worked(self) -> None:
        """The channel did it, or answered as one that works."""
        self.failures = 0
