"""Bytes from an MQTT connection, in any split, to whole packets: many at once, and never more held than allowed.

A payload over its limit is read past and given as `Oversized` without ever being held whole. The parser serves
both ends of a connection: the listener (`version` 0: CONNECT must come first and tells it) and a client.
"""

import hashlib
from dataclasses import dataclass

from ingest.errors import ProtocolError
from ingest.mqtt_packets import (
    V5,
    Connect,
    Kind,
    Oversized,
    Packet,
    Property,
    Publish,
    Reader,
    Reason,
    read_connect,
    read_length,
)

HEAD_BYTES = 4096
"""What is kept of a payload that is refused."""
AnyPacket = Publish | Oversized | Connect | Packet

# Flags of a record by the low four bits of PUBLISH's first byte: DUP is its bit 3, QoS bits 2-1, RETAIN bit 0.
_FLAGS = tuple((low >> 3) | (low & 1) << 1 | (low >> 1 & 3) << 2 for low in range(16))
_CONTROL_FLAGS = {Kind.PUBREL: 2, Kind.SUBSCRIBE: 2, Kind.UNSUBSCRIBE: 2}
_KINDS = {kind << 4 | _CONTROL_FLAGS.get(kind, 0): kind for kind in Kind if kind != Kind.PUBLISH}
_PUBLISH_FIRST, _PUBLISH_LAST = 0x30, 0x3F
# All that may stand before a payload has to fit in this: topic, packet id and properties.
_FRONT_BYTES = 128 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How much one packet may hold, in bytes: a payload, a waveform's payload (topics with `/_wave/`), all else."""

    payload: int = 1024 * 1024
    waveform: int = 8 * 1024 * 1024
    control: int = 256 * 1024

    def of(self, topic: bytes) -> int:
        """The limit of a payload on `topic`."""
        return self.waveform if b"/_wave/" in topic else self.payload


class _Passing:
    """An oversized payload on its way past."""

    __slots__ = ("digest", "front", "head", "length", "remaining")

    def __init__(self, front: Publish, length: int) -> None:
        self.front = front
        self.length = self.remaining = length
        self.digest = hashlib.sha256()
        self.head = b""

    def take(self, part: bytes) -> None:
        self.digest.update(part)
        self.remaining -= len(part)
        self.head += part[: HEAD_BYTES - len(self.head)]

    def whole(self) -> Oversized:
        topic, _, packet, flags = self.front
        return Oversized(topic, packet, flags, self.length, self.digest.hexdigest(), self.head)


class PacketParser:
    """Bytes in any split to whole packets. After a ProtocolError the stream is lost: close the connection."""

    def __init__(self, limits: Limits, *, version: int = 0) -> None:
        self.version = version
        self._limits = limits
        self._unsuspicious = min(limits.payload, limits.waveform, limits.control)
        self._rest = bytearray()
        self._need = 0
        self._passing: _Passing | None = None

    @property
    def held_bytes(self) -> int:
        """How many bytes are held of a packet that is not whole yet."""
        return len(self._rest)

    def feed(self, data: bytes) -> list[AnyPacket]:
        """The packets that are whole now. ProtocolError, holding the packets before it, at the first fault."""
        packets: list[AnyPacket] = []
        if self._rest:
            self._rest += data
            if len(self._rest) < self._need:
                return packets
            data = bytes(self._rest)
            self._rest.clear()
        try:
            at = self._parse(data, packets)
        except ProtocolError as error:
            error.packets = packets
            raise
        if at < len(data):
            self._rest += memoryview(data)[at:]
        return packets

    def _parse(self, data: bytes, packets: list[AnyPacket]) -> int:
        """Append the packets that are whole; gives where the first one that is not begins."""
        at = self._pass(data, 0, packets) if self._passing else 0
        end = len(data)
        while end - at >= 2:
            first, length, start = data[at], data[at + 1], at + 2
            if length > 0x7F:
                length, start = read_length(data, at + 1, end)
                if not start:
                    self._need = end - at + 1
                    break
            stop = start + length
            if length > self._unsuspicious or not self.version:
                self._need, payload_at = self._examine(first, data, start, stop)
                self._need -= at
                if payload_at:
                    at = self._pass(data, payload_at, packets)
                    continue
            else:
                self._need = stop - at
            if at + self._need > end:
                break
            if _PUBLISH_FIRST <= first <= _PUBLISH_LAST:
                packets.append(self._publish(first, data, start, stop))
            else:
                packets.append(self._control(first, data[start:stop]))
            at = stop
        else:
            self._need = 2
        return at

    def _examine(self, first: int, data: bytes, start: int, stop: int) -> tuple[int, int]:
        """Look closer at a large or a first packet: up to where it is needed, and where a payload to pass begins.

        The payload's offset is 0 if the packet may be taken whole.
        """
        length = stop - start
        if not self.version and first != Kind.CONNECT << 4:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "the first packet is no CONNECT")
        if not _PUBLISH_FIRST <= first <= _PUBLISH_LAST:
            if length > self._limits.control:
                raise ProtocolError(Reason.PACKET_TOO_LARGE, f"a control packet of {length} bytes")
            return stop, 0
        judged_to = start + min(length, _FRONT_BYTES)
        if judged_to > len(data):
            return judged_to, 0
        front = self._publish(first, data, start, judged_to)
        payload_at = judged_to - len(front.body)
        if stop - payload_at <= self._limits.of(front.topic):
            return stop, 0
        self._passing = _Passing(front, stop - payload_at)
        return judged_to, payload_at

    def _pass(self, data: bytes, at: int, packets: list[AnyPacket]) -> int:
        """Go past the oversized payload as far as it is there; gives where that is."""
        passing = self._passing
        if passing is None:
            return at
        part = data[at : at + passing.remaining]
        passing.take(part)
        if not passing.remaining:
            packets.append(passing.whole())
            self._passing = None
        return at + len(part)

    def _publish(self, first: int, data: bytes, start: int, stop: int) -> Publish:
        flags = _FLAGS[first & 15]
        if stop - start < 2 or flags >= 0b1100:
            raise ProtocolError(Reason.MALFORMED, "a PUBLISH without a topic, or with QoS 3")
        topic_end = body_at = start + 2 + (data[start] << 8 | data[start + 1])
        packet = 0
        if flags > 3:
            body_at += 2
        if body_at > stop:
            raise ProtocolError(Reason.MALFORMED, "a topic is longer than its packet")
        if flags > 3:
            packet = data[topic_end] << 8 | data[topic_end + 1]
            if not packet:
                raise ProtocolError(Reason.PROTOCOL_ERROR, "a packet id of 0")
        if self.version == V5:
            if body_at < stop and not data[body_at]:
                body_at += 1
            else:
                body_at = _after_properties(data, body_at, stop)
        return Publish(data[start + 2 : topic_end], data[body_at:stop], packet, flags)

    def _control(self, first: int, body: bytes) -> Connect | Packet:
        kind = _KINDS.get(first)
        if kind is None:
            raise ProtocolError(Reason.MALFORMED, f"no packet begins with 0x{first:02x}")
        if kind is not Kind.CONNECT:
            return Packet(kind, body)
        connect = read_connect(body)
        self.version = connect.version
        return connect


def _after_properties(data: bytes, at: int, stop: int) -> int:
    """Where the payload begins. An alias is refused: none was offered (MQTT 5, 3.3.2.3.4)."""
    fields = Reader(data, at, stop)
    if Property.TOPIC_ALIAS in fields.properties():
        raise ProtocolError(Reason.TOPIC_ALIAS_INVALID, "a topic alias where none was offered")
    return fields.at
