"""What is wanted of an OPC UA server and how each piece of it is doing: one state per item, never one for all."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.events import Json
from ingest.opcua_words import BAD, Value, status_name

Address = Annotated[
    str,
    Field(
        pattern=r"^(nsu=[^;]+;)?[isgb]=.+$",
        description="node id with its namespace's URI: nsu=urn:x;s=M1.T, or i=2253 for the standard's own",
    ),
]
MIN_QUEUE = 10
SHOWN = 50
STATE, STOP = "state", "stop"


class Item(BaseModel):
    """One variable to watch, and the channel of the asset that it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    node: Address
    asset: str = Field(min_length=1)
    channel: str = Field(
        min_length=1,
        description="point/quantity; state; stop for PackML's alarm structures; a point for waveform blocks",
    )
    inner: tuple[Address, ...] = Field(
        default=(), description="the current states of the state machines inside this one, from outside in"
    )
    sampling_ms: float | None = Field(default=None, gt=0, description="None takes the source's")
    deadband: float | None = Field(default=None, gt=0, description="smaller changes are not sent")
    deadband_percent: float | None = Field(
        default=None, gt=0, le=100, description="the same in percent of the variable's EURange"
    )
    silent_after_s: float | None = Field(
        default=None, gt=0, description="look whether it is still alive after so long without a change"
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.deadband is not None and self.deadband_percent is not None:
            raise ValueError("an item has one deadband: absolute or in percent")
        if self.inner and self.channel != STATE:
            raise ValueError("only a state has states inside")
        return self


class Standing(StrEnum):
    """How an item stands, from good to worst."""

    GOOD = "good"
    WAITING = "waiting"  # subscribed, and no value yet
    BAD = "bad"  # the server says that the value is bad
    SILENT = "silent"  # it changed and did not say so, or cannot be read
    FAILED = "failed"  # the server does not take it
    AWAY = "away"  # no connection


_WORST_FIRST = list(reversed(Standing))


@dataclass(slots=True)
class Layers:
    """What the nested state machines of one asset last said, from the outside in."""

    words: list[str | int | None]
    waiting: bool = False


@dataclass(slots=True, eq=False)
class Watched:
    """One item on the server: how it stands, and its last word.

    `handle` is its number in what the server publishes, from 1. `missing_since_ns` is since when it is known to
    be missing although there is a connection. `note` says what is not as it was asked for.
    """

    item: Item
    handle: int
    node: str
    layers: Layers | None = None
    layer: int = 0
    standing: Standing = Standing.AWAY
    reason: str = "not connected"
    note: str = ""
    server_handle: int | None = None
    sampling_ms: float | None = None
    queue: int | None = None
    heard_s: float = -math.inf
    looked_s: float = -math.inf
    last: Value | None = None
    last_ns: int = 0
    overflows: int = 0
    missing_since_ns: int | None = None

    @property
    def point(self) -> str | None:
        """The measuring point of the channel, None for the machine's state and stops."""
        return None if self.item.channel in {STATE, STOP} else self.item.channel.partition("/")[0]

    @property
    def has_plain_history(self) -> bool:
        """Whether its old values mean the same as its new ones: nested states and alarm lists do not."""
        return self.layers is None and self.item.channel != STOP

    def is_(self, standing: Standing, reason: str = "") -> None:
        """Say how it stands now."""
        self.standing, self.reason = standing, reason

    def said(self, value: Value, at_ns: int, heard_s: float) -> None:
        """Keep its last word."""
        self.heard_s = self.looked_s = heard_s
        self.last, self.last_ns = value, at_ns
        if value.status >= BAD:
            self.is_(Standing.BAD, status_name(value.status))
        else:
            self.is_(Standing.GOOD)

    def facts(self) -> dict[str, Json]:
        """For people."""
        return {
            "node": self.node,
            "asset": self.item.asset,
            "channel": self.item.channel,
            "state": self.standing,
            "reason": self.reason,
            "note": self.note,
            "last_value_ns": self.last_ns or None,
            "overflows": self.overflows,
            "sampling_ms": self.sampling_ms,
            "queue": self.queue,
        }


@dataclass(slots=True)
class Board:
    """How the source is doing, for people, and the items by their handles."""

    items: dict[int, Watched] = field(default_factory=dict)
    connected: bool = False
    reason: str = "not connected yet"
    events: str = "not connected"
    refresh: str = "not connected"
    reload: str = ""
    connections: int = 0
    foreign_events: int = 0
    unreadable: int = 0
    limits: dict[str, int] = field(default_factory=dict)
    _handle: int = 0

    def want(self, items: Sequence[Item]) -> list[Watched]:
        """Watch these items from now on; what was watched and is wanted no more is given back.

        An item that is wanted as before keeps its place on the server; a changed one is another.
        """
        kept = set(items)
        gone = [watched for watched in self.items.values() if watched.item not in kept]
        for watched in gone:
            del self.items[watched.handle]
        known = {watched.item for watched in self.items.values()}
        for item in items:
            if item not in known:
                self._add(item)
        return gone

    def _add(self, item: Item) -> None:
        nodes = (item.node, *item.inner)
        layers = Layers([None] * len(nodes)) if item.inner else None
        for layer, node in enumerate(nodes):
            self._handle += 1
            self.items[self._handle] = Watched(item, self._handle, node, layers, layer)

    def lost(self, reason: str) -> None:
        """The connection is gone, and all items with it."""
        self.connected, self.reason = False, reason
        self.events = self.refresh = "not connected"
        for watched in self.items.values():
            watched.is_(Standing.AWAY, "not connected")
            watched.server_handle, watched.note = None, ""

    def watched(self, handle: int) -> Watched | None:
        """The item of that handle, None for one that is wanted no more; KeyError for one that never was."""
        if not 0 < handle <= self._handle:
            raise KeyError(handle)
        return self.items.get(handle)

    def facts(self) -> dict[str, Json]:
        """The counts by standing, and the worst items with what is known of them (at most 50)."""
        standing = Counter(str(watched.standing) for watched in self.items.values())
        return {
            "connected": self.connected,
            "reason": self.reason,
            "connections": self.connections,
            "items": {str(state): standing[state] for state in Standing},
            "worst_items": [watched.facts() for watched in worst(self.items.values())],
            "events": self.events,
            "refresh": self.refresh,
            "reload": self.reload,
            "foreign_events": self.foreign_events,
            "unreadable": self.unreadable,
            "limits": self.limits,
        }


def worst(items: Iterable[Watched]) -> list[Watched]:
    """The items that a person should look at, the worst first: not good, overflowing, or not as asked for."""
    doubtful = [w for w in items if w.standing is not Standing.GOOD or w.overflows or w.note]
    return sorted(doubtful, key=lambda w: (_WORST_FIRST.index(w.standing), -w.overflows))[:SHOWN]


def queue_size(publishing_ms: float, sampling_ms: float) -> int:
    """How many values the server keeps between two publishings: twice what it can sample, and some room.

    >>> queue_size(1000, 10), queue_size(250, 1000)
    (200, 10)
    """
    return max(MIN_QUEUE, 2 * math.ceil(publishing_ms / sampling_ms))
