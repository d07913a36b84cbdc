"""What a broker throws away: its own counter is watched, and when it rises that is a gap and a notice.

A broker whose queue is full drops what it has already acknowledged, and tells nobody but its statistics (Mosquitto's
`$SYS/broker/publish/messages/dropped`; measured: of 3,000 messages published while a subscriber was away the last
2,000 were gone). The counter is of all the broker's clients, so that the loss need not have been ours; a person
can tell, a program cannot.
"""

from collections.abc import Mapping, Sequence

from andon.events import MINUTE_NS, SECOND_NS, GapCause, Json
from andon.ports import Record
from ingest.mqtt_subscriptions import Kept, matches
from ingest.notices import Notices
from ingest.own_records import missing

CODE = "broker_dropped"
DEFAULT_COUNTERS = (
    "$SYS/broker/publish/messages/dropped",  # Mosquitto
    "$SYS/brokers/+/metrics/delivery/dropped/queue_full",  # EMQX
)
SEVERITY = 800
CALM_NS = 15 * MINUTE_NS
"""The notice is over once the counter has stood still for this long: the time within which repeats join a ticket."""
TOLD_EVERY_NS = 60 * SECOND_NS
"""Brokers tell their counters at least this often unless set otherwise (Mosquitto every 10 s, EMQX every minute)."""


class DropWatch:
    """The counters of one broker, over all connections and restarts of ours."""

    def __init__(self, filters: Sequence[str], kept: Kept, notices: Notices) -> None:
        self._filters = tuple(filters)
        self._kept = kept
        self._notices = notices
        facts = kept.read()
        counters: Mapping[str, Json] = facts.get("counters", {})
        self._counters = {topic: int(count) for topic, count in counters.items()}
        self._known_ns = int(facts.get("known_ns", 0))
        self._rose_ns: int | None = facts.get("rose_ns")
        self._heard = False
        self.dropped = 0

    def begin(self, alive_ns: int | None) -> None:
        """A new connection; until `alive_ns` there was one, so that a counter that rose would have been told."""
        self._heard = False
        if alive_ns is not None:
            self._known_ns = max(self._known_ns, alive_ns - TOLD_EVERY_NS)

    def watch(self, filters: Sequence[str]) -> None:
        """Go on with the counters under these filters."""
        self._filters = tuple(filters)

    def watches(self, topic: bytes) -> bool:
        """Whether this topic is one of the counters."""
        if topic[:1] != b"$":
            return False
        text = topic.decode("utf-8", "replace")
        return any(matches(name, text) for name in self._filters)

    def take(self, topic: bytes, body: bytes, at_ns: int) -> Record | None:
        """A counter was told: the gap, if it rose.

        The first word ever is where counting begins; one below the last is a broker that began anew at 0.
        """
        name, text = topic.decode("utf-8", "replace"), body.strip()
        if not text.isdigit() or len(text) > 18:
            return None
        count, last = int(text), self._counters.get(name)
        from_ns, self._known_ns, self._heard = self._known_ns, at_ns, True
        if count == last:
            return None
        self._counters[name] = count
        lost = 0 if last is None else count - last if count > last else count
        self._rose_ns = at_ns if lost else self._rose_ns
        self._keep()
        if not lost:
            return None
        self.dropped += lost
        said = f"the broker has dropped {lost} messages from its clients' queues; {name} stands at {count}"
        self._notices.say(CODE, SEVERITY, said)
        return missing(min(from_ns, at_ns), at_ns, GapCause.BROKER_DROPPED)

    def stand(self, at_ns: int) -> None:
        """We are connected and nothing was told: the counters stood still up to a moment ago; the notice may be over."""
        if not self._heard:
            return
        self._known_ns = max(self._known_ns, at_ns - TOLD_EVERY_NS)
        if self._rose_ns is not None and at_ns - self._rose_ns >= CALM_NS:
            self._rose_ns = None
            self._keep()
            self._notices.over(CODE)

    def _keep(self) -> None:
        self._kept.write({"counters": self._counters, "known_ns": self._known_ns, "rose_ns": self._rose_ns})
