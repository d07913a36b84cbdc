"""What a client of the listener has asked to hear, of the little that there is to hear.

A Sparkplug edge node has to hear commands and whether its host is there; nobody is sent anything else.
"""

import re
from collections.abc import Iterable, Sequence

from ingest.mqtt_packets import Reason
from ingest.mqtt_subscriptions import matches

_GRANTED = re.compile(rb"sp[A-Z]v\d+\.\d+/[^/]+/[ND]CMD/.+|(sp[A-Z]v\d+\.\d+/)?STATE/.+", re.DOTALL)
_MOST = 100


class Grants:
    """The filters of one client, at most a hundred."""

    __slots__ = ("_filters",)

    def __init__(self) -> None:
        self._filters: dict[str, None] = {}

    def ask(self, filters: Sequence[tuple[bytes, int]]) -> list[int]:
        """Take in (filter, QoS); gives for each the QoS that is granted, or why it is not."""
        codes = []
        for name, qos in filters:
            if not _GRANTED.fullmatch(name):
                codes.append(int(Reason.NOT_AUTHORISED))
            elif len(self._filters) >= _MOST:
                codes.append(int(Reason.QUOTA_EXCEEDED))
            else:
                self._filters[_text(name)] = None
                codes.append(min(qos, 1))
        return codes

    def drop(self, filters: Iterable[tuple[bytes, int]]) -> None:
        """Forget these."""
        for name, _ in filters:
            self._filters.pop(_text(name), None)

    def hears(self, topic: str) -> bool:
        """Whether messages on that topic go to this client."""
        return any(matches(name, topic) for name in self._filters)


def hears(filters: Iterable[tuple[bytes, int]], topic: str) -> bool:
    """Whether one of these filters takes that topic."""
    return any(matches(_text(name), topic) for name, _ in filters)


def _text(name: bytes) -> str:
    return name.decode("utf-8", "replace")
