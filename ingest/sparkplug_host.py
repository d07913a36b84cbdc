"""What a Sparkplug host remembers of its edge nodes: births, aliases, the sequence of 0 to 255, what is missing.

State only, and a function of the records so far; `take_sparkplug` says what follows from it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

import msgspec

from andon.events import SECOND_NS, Gap, GapCause, Json, Origin
from ingest.refusal import Reason, Refused
from ingest.sparkplug import Metric

REORDER_NS = 5 * SECOND_NS
"""How long a number that was jumped over may still come before it counts as lost."""
ASK_AGAIN_NS = 10 * SECOND_NS
"""How often a rebirth that has not come is asked for again; the source limits what really leaves."""
MAX_EDGES = 4_096
MAX_MEMBERS = 65_536
"""Edge nodes and devices together."""
MAX_KNOWN = 200_000
"""Metrics of all edge nodes together."""
MAX_TOLD = 16
LAP, _BEHIND = 256, 128
DEATH, LOST, NO_BIRTH = GapCause.SPARKPLUG_DEATH, GapCause.SPARKPLUG_SEQ, GapCause.SPARKPLUG_NO_BIRTH


@dataclass(slots=True)
class Known:
    """A metric as its birth describes it, with the value last heard; `stop` is the checksum of its last stop."""

    datatype: int
    unit: str | None
    alias: int | None = None
    asset: str | None = None
    channel: str = ""
    unit_stored: str = ""
    value: float | None = None
    quality: int = 0
    stop: int | None = None


@dataclass(slots=True)
class Told:
    """A gap that ended; `seen` once historical values of that time have come."""

    cause: str
    asset: str
    from_ns: int
    to_ns: int
    seen: bool = False


@dataclass(slots=True)
class Member:
    """A device, or the edge node itself (""): its metrics by name, the assets it feeds, since when it is away."""

    born: bool = False
    metrics: dict[str, Known] = field(default_factory=dict)
    aliases: dict[int, str] = field(default_factory=dict)
    assets: dict[str, None] = field(default_factory=dict)
    cause: str = ""
    away_ns: int = 0
    told: list[Told] = field(default_factory=list)

    def is_known(self) -> bool:
        """Whether anything is known of it: names alone cost nothing to invent, and are not kept."""
        return bool(self.born or self.metrics or self.assets or self.cause)

    def learn(self, metrics: Mapping[str, Known]) -> None:
        """Take a birth: what is no longer named is forgotten, what was last heard is kept."""
        for name, known in metrics.items():
            before = self.metrics.get(name)
            if before is not None:
                known.stop = before.stop
        self.born = True
        self.metrics = dict(metrics)
        self.aliases = {known.alias: name for name, known in metrics.items() if known.alias is not None}

    def name_of(self, metric: Metric) -> str:
        """The metric's name, by its alias if need be; Refused if no birth has named it."""
        name = self.aliases.get(metric.alias) if metric.name is None and metric.alias is not None else None
        name = metric.name if name is None else name
        if name is None or (name not in self.metrics and not metric.datatype):
            what = f"alias {metric.alias}" if metric.name is None else f"metric {metric.name[:80]!r}"
            raise Refused(Reason.SPARKPLUG_UNKNOWN_ALIAS, f"no birth that we have heard describes {what}")
        return name

    def tell(self, told: Told) -> None:
        """Keep in mind that this gap may still be filled by historical values."""
        self.told = [*self.told, told][-MAX_TOLD:]

    def see(self, asset: str, at_ns: int) -> None:
        """Historical values of that time have come."""
        for told in self.told:
            told.seen = told.seen or (told.asset == asset and told.from_ns <= at_ns <= told.to_ns)

    def leave(self, cause: str, from_ns: int) -> bool:
        """Be away from then on; False if it was already."""
        if self.cause:
            return False
        self.cause, self.away_ns = cause, from_ns
        return True


@dataclass(slots=True)
class Hole:
    """Numbers that were jumped over and have not come since; `told` once they count as lost."""

    from_ns: int
    to_ns: int
    since_ns: int
    numbers: list[int]
    told: bool = False


Lost = list[tuple[Hole, bool]]
"""Holes that count as lost now, and (true) such that were told before and have since been filled."""


@dataclass(slots=True)
class Edge:
    """One edge node. `holes` are the numbers that were jumped over within the last half lap."""

    source: str
    name: str
    bd_seq: int | None = None
    born_ms: int = 0
    alive: bool = False
    died: bool = False
    next: int = 0
    last_ns: int = 0
    last_ms: int = 0
    wants: bool = False
    asked_ns: int = 0
    members: dict[str, Member] = field(default_factory=dict)
    holes: list[Hole] = field(default_factory=list)

    def member(self, device: str) -> Member:
        """The device of that name, known or not yet."""
        found = self.members.get(device)
        if found is None:
            found = self.members[device] = Member()
        return found

    def begin(self, bd_seq: int | None, seq: int, at_ms: int, at_ns: int) -> None:
        """A birth: everything before it is over, and each device has to be born anew."""
        self.bd_seq, self.born_ms, self.alive, self.died = bd_seq, at_ms, True, False
        self.next, self.last_ms, self.last_ns = (seq + 1) % LAP, at_ms, at_ns
        self.wants, self.asked_ns, self.holes = False, 0, []
        for member in self.members.values():
            member.born = False

    def give_up(self) -> Lost:
        """All holes: what was not here by now will not come."""
        return self._lost(lambda _: True, forget=True)

    def follow(self, seq: int, at_ms: int | None, at_ns: int, received_ns: int) -> Lost:
        """Take a number: the holes that are lost with it (False), and those told before and now filled (True).

        Ahead by less than half a lap is a hole that may still be filled. Behind, it fills one, or it is late and
        changes nothing; but a later time says that it is ahead by more, and then nobody can tell what is missing.
        """
        ahead = (seq - self.next) % LAP
        if ahead >= _BEHIND:
            filled = self._fill(seq)
            if filled is not None:
                return filled
            if at_ms is None or at_ms <= self.last_ms:
                return []
        if ahead:
            first_ns, last_ns = sorted((self.last_ns or at_ns, at_ns))
            numbers = [(self.next + step) % LAP for step in range(ahead)]
            self.holes.append(Hole(first_ns, last_ns, received_ns, numbers))
        self.next = (seq + 1) % LAP
        self.last_ns, self.last_ms = max(self.last_ns, at_ns), max(self.last_ms, at_ms or 0)
        return self._lost(
            lambda hole: any((self.next - seq) % LAP > _BEHIND for seq in hole.numbers), forget=True
        )

    def overdue(self, received_ns: int) -> Lost:
        """The holes that nothing has filled in time."""
        return self._lost(lambda hole: received_ns - hole.since_ns >= REORDER_NS, forget=False)

    def _fill(self, seq: int) -> Lost | None:
        """The hole that this number was the last of, if it was told; None if the number is in no hole."""
        for hole in self.holes:
            if seq in hole.numbers:
                hole.numbers.remove(seq)
                if hole.numbers:
                    return []
                self.holes.remove(hole)
                return [(hole, True)] if hole.told else []
        return None

    def _lost(self, gone: Callable[[Hole], bool], *, forget: bool) -> Lost:
        """The holes that count as lost now; to forget them is to take their numbers for other messages from here on."""
        if not self.holes:
            return []
        found = [hole for hole in self.holes if gone(hole)]
        said = [(hole, False) for hole in found if not hole.told]
        for hole in found:
            hole.told = True
        if forget and found:
            self.holes = [hole for hole in self.holes if hole not in found]
        return said

    def waits(self) -> bool:
        """Whether time changes anything here."""
        return self.wants or any(not hole.told for hole in self.holes)

    def is_stranger(self) -> bool:
        """Whether nothing is known of it that would be missed: it was never born, and feeds no machine."""
        return not (self.alive or self.died or any(member.is_known() for member in self.members.values()))

    def assets(self) -> list[str]:
        """Every asset that it feeds, each once."""
        return list(dict.fromkeys(asset for member in self.members.values() for asset in member.assets))

    def gap(
        self, cause: str, asset: str, span: tuple[int, int | None], origin: Origin, *, filled: bool = False
    ) -> Gap:
        """A gap of one asset of this edge node."""
        return Gap(self.source, asset, None, span[0], span[1], GapCause(cause), filled, origin)


class Host:
    """All edge nodes, by the source that hears them; `waiting` are those for which a tick means something."""

    def __init__(self) -> None:
        self._edges: dict[str, Edge] = {}
        self.waiting: dict[str, None] = {}

    def edge(self, source: str, name: str) -> Edge:
        """The edge node `group/edge`, known or not yet; Refused if there are too many that were ever born."""
        key = f"{source}\x00{name}"
        found = self._edges.get(key)
        if found is None:
            if len(self._edges) >= MAX_EDGES:
                self._forget_strangers()
            if len(self._edges) >= MAX_EDGES:
                raise Refused(Reason.TOO_LARGE, f"more than {MAX_EDGES} edge nodes")
            found = self._edges[key] = Edge(source, name)
        return found

    def _forget_strangers(self) -> None:
        self._edges = {key: edge for key, edge in self._edges.items() if not edge.is_stranger()}
        self.waiting = {key: None for key in self.waiting if key in self._edges}

    def check_members(self, edge: Edge, device: str) -> None:
        """Refused if one more member would be too many."""
        if device not in edge.members and sum(len(e.members) for e in self._edges.values()) >= MAX_MEMBERS:
            raise Refused(Reason.TOO_LARGE, f"more than {MAX_MEMBERS} edge nodes and devices together")

    def check_room(self, edge: Edge, device: str, wanted: int) -> None:
        """Refused if the metrics of that birth would be too many."""
        before = edge.members.get(device)
        known = sum(len(m.metrics) for e in self._edges.values() for m in e.members.values())
        if known + wanted - (len(before.metrics) if before else 0) > MAX_KNOWN:
            raise Refused(Reason.TOO_LARGE, f"more than {MAX_KNOWN} metrics of all edge nodes together")

    def note(self, edge: Edge, device: str = "") -> None:
        """Keep in mind whether that edge node has to be looked at when time passes, and no mere name of a device."""
        member = edge.members.get(device)
        if member is not None and not member.is_known():
            del edge.members[device]
        key = f"{edge.source}\x00{edge.name}"
        if edge.waits():
            self.waiting[key] = None
        else:
            self.waiting.pop(key, None)

    def due(self) -> Iterator[Edge]:
        """The edge nodes to look at; they may leave `waiting` meanwhile."""
        for key in list(self.waiting):
            yield self._edges[key]

    def snapshot(self) -> Json:
        """All of it as JSON."""
        edges = [msgspec.to_builtins(edge, str_keys=True) for edge in self._edges.values()]
        return {"edges": edges, "waiting": list(self.waiting)}

    def restore(self, state: Json) -> None:
        """Go on exactly where `snapshot` was taken."""
        edges = [msgspec.convert(edge, Edge, str_keys=True) for edge in state["edges"]]
        self._edges = {f"{edge.source}\x00{edge.name}": edge for edge in edges}
        self.waiting = dict.fromkeys(state["waiting"])
