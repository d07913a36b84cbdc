"""Which sequence numbers of one producer have arrived, and which are missing for so long that they count as lost."""

from array import array
from bisect import bisect_right
from dataclasses import dataclass, field
from enum import StrEnum

from andon.events import MINUTE_NS

MAX_INTERVALS = 1024
MAX_HOLES = 64
PATIENCE = 100
"""A hole is a gap once this many later numbers stand behind it, or after `PATIENCE_NS` of received time."""
PATIENCE_NS = MINUTE_NS
RECENT = 16
_NO_NUMBERS = array("q", [-1] * RECENT)
_NO_CHECKSUMS = array("I", [0] * RECENT)


class Verdict(StrEnum):
    """Whether a message was here before."""

    NEW = "new"
    DUPLICATE = "duplicate"
    CONFLICT = "conflict"  # the identity was used for another payload
    FORGOTTEN = "forgotten"  # too old to tell


NEW = Verdict.NEW
"""Looked up with each message: the member of an enum costs more than a name."""


@dataclass(slots=True)
class Hole:
    """The numbers `first` .. `end` - 1, jumped over; `missing` of them have not come since."""

    first: int
    end: int
    missing: int
    from_ns: int
    to_ns: int
    since_ns: int
    asset: str | None
    point: str | None
    told: bool = False


@dataclass(slots=True)
class Sequence:
    """The numbers of one (producer, boot): what has arrived, exactly and for ever in a few integers.

    `bounds` holds the arrived numbers as half-open intervals [b0, b1), [b2, b3) ... that never touch. Of
    more than `MAX_INTERVALS` the lowest hole is given up: numbers below `floor` can no longer be told apart.
    `numbers` and `checksums` hold the last `RECENT` numbers with their payloads' CRC-32 (arrays: a producer is
    under 1 KB).
    """

    bounds: list[int] = field(default_factory=list)
    floor: int = 0
    last_ns: int = 0
    latest_source_ns: int = 0
    asset: str | None = None
    numbers: "array[int]" = field(default_factory=lambda: _NO_NUMBERS[:])
    checksums: "array[int]" = field(default_factory=lambda: _NO_CHECKSUMS[:])
    holes: list[Hole] = field(default_factory=list)

    def take(
        self,
        number: int,
        checksum: int,
        *,
        source_ns: int,
        at_ns: int,
        received_ns: int,
        asset: str | None,
        point: str | None = None,
    ) -> Verdict:
        """Judge a number, and keep it if it is new. `source_ns` is the sender's time, 0 if it gave none.

        `at_ns`, `received_ns`, `asset` and `point` say when and about what a hole before it opened.
        """
        bounds = self.bounds
        end = bounds[-1] if bounds else number
        if bounds and number == end:
            bounds[-1] = number + 1
        else:
            verdict = self._judge(number, checksum, source_ns)
            if verdict is not NEW:
                return verdict
            if number > end:
                # A message of another asset on either side: the missing ones may be of any.
                whose = asset if asset == self.asset else None
                first_ns, last_ns = sorted((self.last_ns, at_ns))
                where = point if whose else None
                self.holes.append(
                    Hole(end, number, number - end, first_ns, last_ns, received_ns, whose, where)
                )
            for hole in self.holes:
                hole.missing -= hole.first <= number < hole.end
            self._insert(number)
        if number >= end:
            self.last_ns, self.asset = at_ns, asset
        if source_ns > self.latest_source_ns:  # noqa: PLR1730 -- a call costs more, per message
            self.latest_source_ns = source_ns
        at = number % RECENT
        self.numbers[at] = number
        self.checksums[at] = checksum
        return NEW

    def _judge(self, number: int, checksum: int, source_ns: int) -> Verdict:
        """Whether that number was here before.

        A used number with another payload, or with a time later than all before it, is a conflict: a
        producer that starts over without a new boot id would otherwise lose everything silently.
        """
        if bisect_right(self.bounds, number) % 2 == 0:
            return Verdict.NEW
        at = number % RECENT
        if self.numbers[at] == number:
            return Verdict.DUPLICATE if self.checksums[at] == checksum else Verdict.CONFLICT
        if source_ns > self.latest_source_ns:
            return Verdict.CONFLICT
        return Verdict.FORGOTTEN if number < self.floor else Verdict.DUPLICATE

    def _insert(self, number: int) -> None:
        bounds = self.bounds
        at = bisect_right(bounds, number)
        follows = at > 0 and bounds[at - 1] == number
        precedes = at < len(bounds) and bounds[at] == number + 1
        if follows and precedes:
            del bounds[at - 1 : at + 1]
        elif follows:
            bounds[at - 1] = number + 1
        elif precedes:
            bounds[at] = number
        else:
            bounds[at:at] = (number, number + 1)
        if len(bounds) > 2 * MAX_INTERVALS:
            self.floor = bounds[2]
            del bounds[1:3]

    def news(self, received_ns: int) -> list[tuple[Hole, bool]]:
        """The holes that have now become gaps, and (true) those told before that have since been filled."""
        end = self.bounds[-1]
        spare = len(self.holes) - MAX_HOLES
        said, kept = [], []
        for at, hole in enumerate(self.holes):
            late = hole.end + PATIENCE <= end or received_ns - hole.since_ns >= PATIENCE_NS or at < spare
            if hole.missing and late and not hole.told:
                hole.told = True
                said.append((hole, False))
            elif not hole.missing and hole.told:
                said.append((hole, True))
            if hole.missing and at >= spare:
                kept.append(hole)
        self.holes = kept
        return said

    def next_ns(self) -> int | None:
        """When the first untold hole becomes a gap by time; None if there is none."""
        waiting = [hole.since_ns + PATIENCE_NS for hole in self.holes if not hole.told]
        return min(waiting, default=None)
