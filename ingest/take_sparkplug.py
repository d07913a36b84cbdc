"""Sparkplug B messages become readings, waveforms, stop alarms and gaps, with what their births have said.

The order of one message: identity (twice is once), its number in the sequence, its birth, then its values. State
is taken in before values are refused, so that an unknown machine does not make the next message wrong.
"""

import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NoReturn

from andon.redrive import REDRIVEN
from ingest.blocks import Run, row
from ingest.once import accept
from ingest.refusal import Reason, Refused
from ingest.sparkplug import CODECS, Metric, Payload
from ingest.sparkplug_host import ASK_AGAIN_NS, DEATH, LOST, NO_BIRTH, Edge, Host, Known, Lost, Member, Told
from ingest.sparkplug_values import STALE, Values, is_own

_MS = 1_000_000
_COMMANDS = frozenset({"NCMD", "DCMD", "STATE"})


@dataclass(frozen=True, slots=True)
class Address:
    """Whose message it is: `device` is empty where the edge node speaks of itself."""

    namespace: str
    group: str
    kind: str
    edge: str
    device: str

    @property
    def node(self) -> str:
        """The edge node's name, unique within a broker."""
        return f"{self.group}/{self.edge}"


def address(topic: str) -> Address:
    """The parts of a Sparkplug topic; Refused (unknown_topic) if it has others."""
    levels = topic.split("/")
    if len(levels) == 3 and levels[1] == "STATE":
        return Address(levels[0], "", "STATE", levels[2], "")
    wanted = 5 if levels[2:3] and levels[2].startswith("D") else 4
    if len(levels) != wanted or levels[2] not in {*_TAKES, *_COMMANDS} or not all(levels):
        layout = "namespace/group/type/edge node[/device]"
        raise Refused(Reason.UNKNOWN_TOPIC, f"Sparkplug topics are {layout}; there is no such type or level")
    return Address(levels[0], levels[1], levels[2], levels[3], levels[4] if wanted == 5 else "")


@dataclass(frozen=True, slots=True)
class _Message:
    """A message, and the edge node and the member of it that it is from."""

    run: Run
    host: Host
    edge: Edge
    where: Address
    payload: Payload
    sent_ms: int | None

    @property
    def member(self) -> Member:
        return self.edge.member(self.where.device)

    @property
    def again(self) -> bool:
        """Whether it was refused once and comes back: what it says of the state is long past."""
        return bool(self.run.record.flags & REDRIVEN)

    def at_ns(self) -> int:
        return self.run.received_ns if self.sent_ms is None else self.run.at(self.sent_ms * _MS)

    def is_new(self, bd_seq: int | None, born_ms: int) -> bool:
        """Whether it is here for the first time; without any time in it, nobody can tell."""
        if self.sent_ms is None:
            return True
        said = f"\x00{bd_seq}\x00{born_ms}\x00{self.payload.seq}\x00{self.sent_ms}"
        checksum = zlib.crc32(self.run.record.body)
        verdict = self.run.identity.opaque(self.run.source, self.run.record.topic + said.encode(), checksum)
        return accept(self.run, verdict, f"seq {self.payload.seq}")


class Sparkplug:
    """The host's side of Sparkplug: takes messages, and looks at what waits when a second has passed."""

    def __init__(self) -> None:
        self._host = Host()
        self.snapshot, self.restore = self._host.snapshot, self._host.restore

    def take(self, run: Run) -> None:
        """Take a message on a topic of a known namespace."""
        stored, duplicates = run.stored, run.duplicates
        where = address(run.record.topic.decode())
        codec = CODECS.get(where.namespace)
        if codec is None:
            known = ", ".join(CODECS)
            raise Refused(Reason.UNKNOWN_TOPIC, f"Sparkplug {where.namespace} is not read here; {known} is")
        if where.kind in _COMMANDS:
            run.tally("sparkplug_commands", 1)
        else:
            edge = self._host.edge(run.source, where.node)
            payload = codec(run.record.body)
            self._host.check_members(edge, where.device)
            message = _Message(run, self._host, edge, where, payload, _sent_ms(payload))
            try:
                _TAKES[where.kind](message)
            finally:
                run.stored = stored  # the message counts, not what was in it
                self._host.note(edge, where.device)
        run.stored += run.duplicates == duplicates

    def tick(self, run: Run) -> None:
        """Look at numbers that have not come in time, and ask for the births that are wanted."""
        for edge in self._host.due():
            _tell_lost(run, edge, edge.overdue(run.received_ns))
            if edge.wants and run.received_ns - edge.asked_ns >= ASK_AGAIN_NS:
                edge.asked_ns = run.received_ns
                run.rebirths.append((edge.source, edge.name))
            self._host.note(edge)


def _node_birth(message: _Message) -> None:
    run, edge, payload = message.run, message.edge, message.payload
    bd_seq = _bd_seq(payload.metrics)
    if message.again:
        raise Refused(Reason.SPARKPLUG_NO_BIRTH, "a birth that is long past says nothing of now")
    if not message.is_new(bd_seq, payload.timestamp_ms or 0):
        return
    described = _describe(message)
    at_ns = message.at_ns()
    _tell_lost(run, edge, edge.give_up())
    if edge.alive and bd_seq != edge.bd_seq:  # its death was not heard
        for member in edge.members.values():
            _leave(run, edge, member, DEATH, min(edge.last_ns, at_ns))
    edge.begin(bd_seq, payload.seq or 0, payload.timestamp_ms or 0, at_ns)
    _born(message, described, at_ns)


def _device_birth(message: _Message) -> None:
    if not message.is_new(message.edge.bd_seq, message.edge.born_ms):
        return
    _of_the_living(message)
    described = _describe(message)
    _in_sequence(message)
    _born(message, described, message.at_ns())


def _data(message: _Message) -> None:
    edge, member = message.edge, message.member
    if not message.is_new(edge.bd_seq, edge.born_ms):
        return
    _of_the_living(message)
    _in_sequence(message)
    if not member.born:
        _unborn(message, f"{message.where.device or 'the edge node'} has sent no birth that we have heard")
    try:
        names = [member.name_of(metric) for metric in message.payload.metrics]
    except Refused as refusal:
        _unborn(message, refusal.detail, refusal.reason)
    _values(message, names, birth=False)


def _node_death(message: _Message) -> None:
    run, edge = message.run, message.edge
    bd_seq = _bd_seq(message.payload.metrics)
    if message.again or bd_seq != edge.bd_seq or not (edge.alive or edge.died):
        run.tally("sparkplug_old_deaths", 1)
    elif edge.died:
        run.duplicates += 1
    else:
        _tell_lost(run, edge, edge.give_up())
        edge.alive, edge.died = False, True
        for member in edge.members.values():
            # Its own time is that of the connection's beginning: the will was written then.
            _die(run, edge, member, run.received_ns)


def _device_death(message: _Message) -> None:
    if not message.is_new(message.edge.bd_seq, message.edge.born_ms):
        return
    _of_the_living(message)
    _in_sequence(message)
    if not message.again:
        _die(message.run, message.edge, message.member, message.at_ns())


_TAKES: Mapping[str, Callable[[_Message], None]] = {
    "NBIRTH": _node_birth,
    "DBIRTH": _device_birth,
    "NDATA": _data,
    "DDATA": _data,
    "NDEATH": _node_death,
    "DDEATH": _device_death,
}


def _of_the_living(message: _Message) -> None:
    """Go on only if the edge node's birth was heard, and is the one that this message belongs to."""
    edge, sent_ms = message.edge, message.sent_ms
    if not edge.alive:
        _unborn(message, f"{edge.name} has sent no birth that we have heard, or is dead")
    if message.again and sent_ms is not None and sent_ms < edge.born_ms:
        raise Refused(Reason.SPARKPLUG_NO_BIRTH, f"{edge.name} was born anew since: its aliases may differ")


def _in_sequence(message: _Message) -> None:
    payload = message.payload
    if payload.seq is None:
        raise Refused(Reason.SCHEMA, "a Sparkplug message without seq")
    if message.again:
        return
    run, edge = message.run, message.edge
    lost = edge.follow(payload.seq, message.sent_ms, message.at_ns(), run.received_ns)
    _tell_lost(run, edge, lost + edge.overdue(run.received_ns))


def _unborn(message: _Message, detail: str, reason: Reason = Reason.SPARKPLUG_NO_BIRTH) -> NoReturn:
    """Refuse it, want a birth, and say that data of its asset is missing until that comes."""
    run, edge = message.run, message.edge
    if not message.again:
        edge.wants = True
        equipment = run.route.equipment
        if equipment is not None:
            message.member.assets[equipment.id] = None
            _leave(run, edge, message.member, NO_BIRTH, run.received_ns)
    raise Refused(reason, detail)


def _describe(message: _Message) -> dict[str, Known]:
    described: dict[str, Known] = {}
    for metric in message.payload.metrics:
        if metric.name is None:
            raise Refused(Reason.SCHEMA, "a birth with a metric that has no name")
        unit = metric.properties.get("engUnit")
        short = unit if isinstance(unit, str) and 0 < len(unit) <= 40 else None
        described[metric.name] = Known(metric.datatype, short, metric.alias)
    message.host.check_room(message.edge, message.where.device, len(described))
    return described


def _born(message: _Message, described: dict[str, Known], at_ns: int) -> None:
    run, edge, member = message.run, message.edge, message.member
    if not message.again:
        member.learn(described)
        if member.cause:
            span = (member.away_ns, max(member.away_ns, at_ns))
            for asset in member.assets:
                run.put(edge.gap(member.cause, asset, span, run.origin()), asset)
                member.tell(Told(member.cause, asset, *span))
            member.cause = ""
    _values(message, [metric.name or "" for metric in message.payload.metrics], birth=True)


def _values(message: _Message, names: Sequence[str], *, birth: bool) -> None:
    """Take the values; the message is refused only if none of them could be used."""
    where, payload = message.where, message.payload
    values = Values(message.run, message.member, payload.timestamp_ms, birth=birth)
    for name, metric in zip(names, payload.metrics, strict=True):
        if not is_own(name):
            values.take(name, metric)
    for asset, told in values.filled(settled=all(hole.told for hole in message.edge.holes)):
        span = (told.from_ns, told.to_ns)
        message.run.put(message.edge.gap(told.cause, asset, span, message.run.origin(), filled=True), asset)
    unknown = message.run.route.equipment is None
    # An edge node is seldom a machine itself: what it says of itself then is nobody's value.
    values.end(must_be_used=bool(where.device) if unknown else not birth)


def _die(run: Run, edge: Edge, member: Member, at_ns: int) -> None:
    """What was last heard of it is stale from then on, and what comes until its next birth is missing."""
    if not member.born:
        return
    member.born = False
    for known in member.metrics.values():
        if known.asset is not None:
            channel = (known.channel, known.unit_stored)
            run.add(known.asset, [row(at_ns, channel, known.value, max(known.quality, STALE))])
    _leave(run, edge, member, DEATH, min(edge.last_ns or at_ns, at_ns))


def _leave(run: Run, edge: Edge, member: Member, cause: str, from_ns: int) -> None:
    if member.leave(cause, from_ns):
        for asset in member.assets:
            run.put(edge.gap(cause, asset, (from_ns, None), run.origin()), asset)


def _tell_lost(run: Run, edge: Edge, lost: Lost) -> None:
    """Say what is missing of every asset that the edge node feeds: nobody knows whose the lost messages were."""
    for hole, filled in lost:
        edge.wants = edge.wants or not filled
        span = (hole.from_ns, hole.to_ns)
        for member in edge.members.values():
            for asset in member.assets:
                run.put(edge.gap(LOST, asset, span, run.origin(), filled=filled), asset)
                if not filled:
                    member.tell(Told(LOST, asset, *span))


def _sent_ms(payload: Payload) -> int | None:
    if payload.timestamp_ms is None and payload.metrics:
        return payload.metrics[0].timestamp_ms
    return payload.timestamp_ms


def _bd_seq(metrics: Sequence[Metric]) -> int | None:
    said = next((metric.raw for metric in metrics if metric.name == "bdSeq" and metric.held_in), None)
    return said if isinstance(said, int) else None
