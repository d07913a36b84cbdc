"""Queues that grow and do not come down again: messages on the bus and its channels, records that a source has written.

It is the engine that looks, not who empties them: a consumer that has stopped cannot say so.
"""

from collections.abc import Iterator, Mapping

MESSAGES, RECORDS = "messages_backlog", "records_backlog"
SEVERITY: Mapping[str, int] = {MESSAGES: 700, RECORDS: 700}
MOST: Mapping[str, int] = {MESSAGES: 1_000, RECORDS: 100_000}
"""So many are a backlog once they have been as many for `LASTS_S`; it is over at half of it."""
LASTS_S = 60.0


class Backlogs:
    """Says of each queue, named by code and subject, when it begins to be a backlog and when it is over."""

    def __init__(self) -> None:
        self._since_s: dict[tuple[str, str], float] = {}
        self._stands: dict[tuple[str, str], bool] = {}

    def look(self, depths: Mapping[tuple[str, str], int], now_s: float) -> Iterator[tuple[str, str, int]]:
        """(code, subject, depth) of each queue about which there is news; depth 0: it is none any more.

        At the first look all that are none are news, for somebody may have been told before a restart. A queue that
        is not in `depths` is empty.

        >>> backlogs = Backlogs()
        >>> list(backlogs.look({(MESSAGES, "bus"): 23_000}, 0.0))
        []
        >>> list(backlogs.look({(MESSAGES, "bus"): 23_500}, 60.0))
        [('messages_backlog', 'bus', 23500)]
        >>> list(backlogs.look({}, 65.0))
        [('messages_backlog', 'bus', 0)]
        """
        for which in sorted({*depths, *self._stands}):
            depth = depths.get(which, 0)
            stood = self._stands.get(which)
            stands = self._is_one(which, depth, now_s, stood=bool(stood))
            if stands != stood and (stands or which not in self._since_s):
                self._stands[which] = stands
                yield (*which, depth if stands else 0)

    def _is_one(self, which: tuple[str, str], depth: int, now_s: float, *, stood: bool) -> bool:
        most = MOST[which[0]]
        if depth <= (most // 2 if stood else most - 1):
            self._since_s.pop(which, None)
            return False
        return now_s - self._since_s.setdefault(which, now_s) >= LASTS_S
