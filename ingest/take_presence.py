"""Last wills: a device that went without a word leaves a gap, which its next message ends.

Topic `andon/v1/…/{equipment}/_state/online`, payload `{"online": false}` as the device's will and `true` when it
comes back. The broker (or our listener) publishes the will when the connection has broken, so that the gap begins up
to one and a half keep-alives late. What another source says of the same machine does not end it.
"""

from andon.events import Gap, GapCause, Json
from ingest import envelope as words
from ingest.blocks import Run
from ingest.envelope import parse
from ingest.refusal import Reason, Refused
from ingest.retained import RETAIN

CAUSE = GapCause.OFFLINE
ONLINE = "online"


class Presence:
    """Which machines are away, by source, and since when."""

    def __init__(self) -> None:
        self.away: dict[tuple[str, str], int] = {}

    def take(self, run: Run) -> None:
        """Take a word about a machine's connection; said twice it is said once."""
        if run.route.name != ONLINE:
            raise Refused(Reason.UNKNOWN_TOPIC, f"under _state/ only {ONLINE!r} is known")
        online = parse(words.PRESENCE, run.record.body).online
        key = run.source, run.equipment().id
        if online:
            self._back(run, key)
        elif key not in self.away:
            self.away[key] = run.received_ns
            self._gap(run, key[1], run.received_ns, None)
        run.stored += 1

    def heard(self, run: Run) -> None:
        """A message of the machine has come; it is back, unless a broker had only retained it."""
        if run.route.equipment is not None and not run.record.flags & RETAIN:
            self._back(run, (run.source, run.route.equipment.id))

    def snapshot(self) -> Json:
        """All of it as JSON."""
        return [[source, asset, since_ns] for (source, asset), since_ns in self.away.items()]

    def restore(self, state: Json) -> None:
        """Go on exactly where `snapshot` was taken."""
        self.away = {(source, asset): int(since_ns) for source, asset, since_ns in state}

    def _back(self, run: Run, key: tuple[str, str]) -> None:
        since_ns = self.away.pop(key, None)
        if since_ns is not None:
            self._gap(run, key[1], since_ns, run.received_ns)

    def _gap(self, run: Run, asset: str, from_ns: int, to_ns: int | None) -> None:
        run.put(Gap(run.source, asset, None, from_ns, to_ns, CAUSE, False, run.origin()), asset)
