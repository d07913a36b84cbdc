"""What is wanted of an OPC UA server and how each piece of it is doing: one state per item, never one for all."""

import math
from dataclasses import dataclass
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from andon.events import Json
from ingest.opcua_words import Value

Address = Annotated[
    str,
    Field(
        pattern=r"^(nsu=[^;]+;)?[isgb]=.+$",
        description="node id with its namespace's URI: nsu=urn:x;s=M1.T, or i=2253 for the standard's own",
    ),
]
MIN_QUEUE = 10
SHOWN = 100


class Item(BaseModel):
    """One variable to watch, and the channel of the asset that it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: Address
    asset: str = Field(min_length=1)
    channel: str = Field(min_length=1, description="point/quantity, or state; a point for waveform blocks")
    sampling_ms: float | None = Field(default=None, gt=0, description="None takes the source's")
    silent_after_s: float | None = Field(
        default=None, gt=0, description="look whether it is still alive after so long without a change"
    )


@dataclass(slots=True, eq=False)
class Watched:
    """The state of one item: `reason` is empty while it is good; `heard_s` and `last` are its last word.

    `handle` is its number in what the server publishes, from 1.
    """

    item: Item
    handle: int
    reason: str = "not connected"
    server_handle: int | None = None
    heard_s: float = -math.inf
    last: Value | None = None
    last_ns: int = 0

    @property
    def point(self) -> str | None:
        """The measuring point of the channel, None for the machine's state."""
        return None if self.item.channel == "state" else self.item.channel.partition("/")[0]


@dataclass(slots=True)
class Board:
    """How the source is doing, for people."""

    items: list[Watched]
    connected: bool = False
    reason: str = "not connected yet"
    events: str = "not connected"
    refresh: str = "not connected"
    connections: int = 0
    foreign_events: int = 0
    unreadable: int = 0

    def lost(self, reason: str) -> None:
        """The connection is gone, and all items with it."""
        self.connected, self.reason = False, reason
        self.events = self.refresh = "not connected"
        for watched in self.items:
            watched.reason, watched.server_handle = "not connected", None

    def facts(self) -> dict[str, Json]:
        """The counts, and the items that are not good with their reasons (the first 100)."""
        bad = [
            {"node": w.item.node, "asset": w.item.asset, "channel": w.item.channel, "reason": w.reason}
            for w in self.items
            if w.reason
        ]
        return {
            "connected": self.connected,
            "reason": self.reason,
            "connections": self.connections,
            "items_good": len(self.items) - len(bad),
            "items_bad": bad[:SHOWN],
            "events": self.events,
            "refresh": self.refresh,
            "foreign_events": self.foreign_events,
            "unreadable": self.unreadable,
        }


def queue_size(publishing_ms: float, sampling_ms: float) -> int:
    """How many values the server keeps between two publishings: twice what it can sample, and some room.

    >>> queue_size(1000, 10), queue_size(250, 1000)
    (200, 10)
    """
    return max(MIN_QUEUE, 2 * math.ceil(publishing_ms / sampling_ms))
