"""How each source does: what it said of itself, what became of its messages, and whether the counters balance."""

import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass

from andon.config import PARTS
from andon.events import Json

OWN = "engine"
"""The engine's own stream of ticks and configuration: no source of the plant's."""

_RATE_OVER_S = 30.0
_TROUBLES = ("error", "reason", "stalled", "configuration_error", "reload")
"""Where a source says what is in its way, in its own words."""


@dataclass(frozen=True, slots=True)
class SourceState:
    """One source. `condition` is connected, disconnected, down or unknown; `why` says what is in its way, if anything is.

    `rate` is messages a second, `heard_ns` when the last one came; None where that is not known yet.
    """

    name: str
    condition: str
    why: str
    address: str
    restarts: int
    received: int
    stored: int
    duplicates: int
    ignored: int
    overflow: int
    refused: Mapping[str, int]
    late: int
    rate: float | None
    heard_ns: int | None
    said: Mapping[str, Json]

    @property
    def refused_in_all(self) -> int:
        """Messages that became dead letters."""
        return sum(self.refused.values())

    @property
    def off_by(self) -> int:
        """Received less all that is accounted for: 0, or messages were lost or counted twice."""
        ends = self.stored + self.duplicates + self.ignored + self.overflow + self.refused_in_all
        return self.received - ends


class Rates:
    """Messages a second of each source and when its counter last rose, from the counters as they were seen before."""

    def __init__(self) -> None:
        self._seen: dict[str, deque[tuple[float, int]]] = {}
        self._heard: dict[str, int] = {}

    def look(self, source: str, received: int, now_ns: int) -> tuple[float | None, int | None]:
        """The rate over the last half minute and the time of the last rise; None until a second look."""
        now_s = time.monotonic()
        seen = self._seen.setdefault(source, deque())
        if seen and received > seen[-1][1]:
            self._heard[source] = now_ns
        while len(seen) > 1 and now_s - seen[1][0] > _RATE_OVER_S:
            seen.popleft()
        rate = None
        if seen and now_s - seen[0][0] > 0.5 and received >= seen[0][1]:
            rate = (received - seen[0][1]) / (now_s - seen[0][0])
        if not seen or now_s - seen[-1][0] > 1.0 or received > seen[-1][1]:
            seen.append((now_s, received))
        return rate, self._heard.get(source)


def sources_of(
    stages: Mapping[str, Mapping[str, int]], status: Mapping[str, Json], rates: Rates, now_ns: int
) -> list[SourceState]:
    """Every source that is configured or ever counted something."""
    parts: Mapping[str, Json] = status.get("parts", {})
    counted = {
        stage.removeprefix("source."): counts
        for stage, counts in stages.items()
        if stage.startswith("source.")
    }
    names = (set(parts) - PARTS) | (set(counted) - {OWN})
    return [_source(name, counted.get(name, {}), parts.get(name), rates, now_ns) for name in sorted(names)]


def _source(
    name: str, counts: Mapping[str, int], part: Mapping[str, Json] | None, rates: Rates, now_ns: int
) -> SourceState:
    said: Mapping[str, Json] = (part or {}).get("status", {})
    received = counts.get("received", 0)
    rate, heard_ns = rates.look(name, received, now_ns)
    return SourceState(
        name=name,
        condition=_condition(part, said),
        why=str((part or {}).get("quarantined") or next(filter(None, map(said.get, _TROUBLES)), "")),
        address=str((part or {}).get("ready", "")),
        restarts=int((part or {}).get("restarts", 0)),
        received=received,
        stored=counts.get("stored", 0),
        duplicates=counts.get("duplicates", 0),
        ignored=counts.get("ignored", 0),
        overflow=counts.get("overflow", 0),
        refused={
            what.removeprefix("refused."): count
            for what, count in counts.items()
            if what.startswith("refused.")
        },
        late=counts.get("late", 0),
        rate=rate,
        heard_ns=said.get("last_received_ns", heard_ns),
        said=said,
    )


def _condition(part: Mapping[str, Json] | None, said: Mapping[str, Json]) -> str:
    if part is None:
        return "unknown"
    if not part.get("running"):
        return "down"
    if "connected" not in said:
        return "unknown"
    return "connected" if said["connected"] else "disconnected"
