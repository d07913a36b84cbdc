"""What the decoder has to say of the line itself: told once when it begins, and once when it has been quiet for an hour."""

from collections.abc import Sequence

from andon.events import HOUR_NS, Json

QUIET_NS = HOUR_NS
_NEVER_NS = 2**63


class Remarks:
    """What is going on now, by code and subject. Nothing is over before `due_ns`."""

    def __init__(self) -> None:
        self._last_ns: dict[tuple[str, str], int] = {}
        self.due_ns = _NEVER_NS

    def begins(self, code: str, subject: str, at_ns: int) -> bool:
        """Note that it is so at `at_ns`; whether that has to be told, because it was not so before."""
        known = self._last_ns.get((code, subject))
        self._last_ns[code, subject] = at_ns if known is None else max(known, at_ns)
        self.due_ns = min(self.due_ns, at_ns + QUIET_NS)
        return known is None

    def over(self, at_ns: int) -> Sequence[tuple[str, str]]:
        """The (code, subject) of those that have been quiet for so long that they are over."""
        gone = [key for key, last_ns in self._last_ns.items() if last_ns + QUIET_NS <= at_ns]
        for key in gone:
            del self._last_ns[key]
        self.due_ns = min(self._last_ns.values(), default=_NEVER_NS - QUIET_NS) + QUIET_NS
        return gone

    def snapshot(self) -> list[Json]:
        """All of it as JSON."""
        return [[code, subject, last_ns] for (code, subject), last_ns in self._last_ns.items()]

    def restore(self, state: Sequence[Json]) -> None:
        """Go on exactly where `snapshot` was taken."""
        self._last_ns = {(code, subject): last_ns for code, subject, last_ns in state}
        self.due_ns = min(self._last_ns.values(), default=_NEVER_NS - QUIET_NS) + QUIET_NS
