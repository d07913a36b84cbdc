"""The words of MQTT 3.1.1 and 5: what stands inside the control packets, and the packets a server answers with."""

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import IntEnum
from typing import NamedTuple

from ingest.errors import ProtocolError

V3, V5 = 4, 5
"""The protocol levels of MQTT 3.1.1 and MQTT 5."""
_U16 = struct.Struct(">H")
Properties = Mapping[int, int | bytes]


class Kind(IntEnum):
    """The control packets (MQTT 5, 2.1.2)."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    PUBREC = 5
    PUBREL = 6
    PUBCOMP = 7
    SUBSCRIBE = 8
    SUBACK = 9
    UNSUBSCRIBE = 10
    UNSUBACK = 11
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14
    AUTH = 15


class Reason(IntEnum):
    """The reason codes in use here (MQTT 5, 2.4)."""

    SUCCESS = 0x00
    DISCONNECT_WITH_WILL = 0x04
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    UNSUPPORTED_VERSION = 0x84
    BAD_CLIENT_ID = 0x85
    BAD_USER_OR_PASSWORD = 0x86
    NOT_AUTHORISED = 0x87
    SERVER_UNAVAILABLE = 0x88
    SERVER_SHUTTING_DOWN = 0x8B
    BAD_AUTHENTICATION_METHOD = 0x8C
    KEEP_ALIVE_TIMEOUT = 0x8D
    TAKEN_OVER = 0x8E
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    PACKET_TOO_LARGE = 0x95
    QUOTA_EXCEEDED = 0x97
    QOS_NOT_SUPPORTED = 0x9B


class Property(IntEnum):
    """The properties in use here (MQTT 5, 2.2.2.2)."""

    SESSION_EXPIRY = 0x11
    ASSIGNED_CLIENT_ID = 0x12
    AUTHENTICATION_METHOD = 0x15
    RECEIVE_MAXIMUM = 0x21
    TOPIC_ALIAS = 0x23
    MAXIMUM_QOS = 0x24
    SUBSCRIPTION_IDENTIFIERS = 0x29
    SHARED_SUBSCRIPTIONS = 0x2A


class Publish(NamedTuple):
    """A PUBLISH. `flags` are those of a journal record: DUP (bit 0), RETAIN (bit 1), QoS (bits 2-3)."""

    topic: bytes
    body: bytes
    packet: int
    flags: int


class Oversized(NamedTuple):
    """A PUBLISH whose payload was over its limit and read past; `head` is its first 4 KiB."""

    topic: bytes
    packet: int
    flags: int
    length: int
    sha256: str
    head: bytes


class Packet(NamedTuple):
    """Any packet but PUBLISH and CONNECT, as it came; `body` is what follows the fixed header."""

    kind: Kind
    body: bytes


@dataclass(frozen=True, slots=True)
class Connect:
    """A CONNECT (MQTT 5, 3.1). `will` is what to take down if the client goes without a word."""

    version: int
    client_id: str
    clean: bool
    keep_alive_s: int
    user: str | None
    password: bytes | None = field(repr=False)
    will: Publish | None
    properties: Properties


class Subscribe(NamedTuple):
    """A SUBSCRIBE: the filters with the QoS asked for each."""

    packet: int
    filters: Sequence[tuple[bytes, int]]


_SIZES = {
    **dict.fromkeys((0x01, 0x17, 0x19, 0x24, 0x25, 0x28, 0x29, 0x2A), 1),
    **dict.fromkeys((0x13, 0x21, 0x22, 0x23), 2),
    **dict.fromkeys((0x02, 0x11, 0x18, 0x27), 4),
}
_STRINGS = frozenset((0x03, 0x08, 0x09, 0x12, 0x15, 0x16, 0x1A, 0x1C, 0x1F))
_SUBSCRIPTION_IDENTIFIER, _USER_PROPERTY = 0x0B, 0x26
_REPEATABLE = (_SUBSCRIPTION_IDENTIFIER, _USER_PROPERTY)
# What MQTT 3.1.1 has a CONNACK return code for (3.2.2.3); for all else it is told that the server is unavailable.
_RETURN_CODES = {
    Reason.SUCCESS: 0,
    Reason.UNSUPPORTED_VERSION: 1,
    Reason.BAD_CLIENT_ID: 2,
    Reason.BAD_USER_OR_PASSWORD: 4,
    Reason.NOT_AUTHORISED: 5,
}


def read_length(data: bytes, at: int, stop: int) -> tuple[int, int]:
    """The variable byte integer at `at` (MQTT 5, 1.5.5) and the offset after it; (0, 0) if `stop` cuts it short."""
    value = shift = 0
    for index in range(at, min(at + 4, stop)):
        byte = data[index]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, index + 1
        shift += 7
    if stop - at >= 4:
        raise ProtocolError(Reason.MALFORMED, "a length has more than four bytes")
    return 0, 0


class Reader:
    """The fields of one packet, one after another. ProtocolError where the packet ends too early."""

    __slots__ = ("_at", "_data", "_stop")

    def __init__(self, data: bytes, at: int = 0, stop: int | None = None) -> None:
        self._data, self._at = data, at
        self._stop = len(data) if stop is None else stop

    @property
    def at(self) -> int:
        """The offset of the next field."""
        return self._at

    @property
    def left(self) -> int:
        """How many bytes there still are."""
        return self._stop - self._at

    def take(self, count: int) -> bytes:
        """The next `count` bytes."""
        if count > self.left:
            raise ProtocolError(Reason.MALFORMED, "a field is longer than its packet")
        self._at += count
        return self._data[self._at - count : self._at]

    def number(self, size: int) -> int:
        """A big-endian unsigned integer of `size` bytes."""
        return int.from_bytes(self.take(size), "big")

    def string(self) -> bytes:
        """Bytes with their length before them."""
        return self.take(self.number(2))

    def text(self) -> str:
        """A string that must be UTF-8."""
        try:
            return self.string().decode()
        except UnicodeDecodeError as error:
            raise ProtocolError(Reason.MALFORMED, "a name is not UTF-8") from error

    def length(self) -> int:
        """A variable byte integer."""
        value, after = read_length(self._data, self._at, self._stop)
        if not after:
            raise ProtocolError(Reason.MALFORMED, "a length is cut short")
        self._at = after
        return value

    def properties(self) -> Properties:
        """Properties with their length before them; user properties are passed over."""
        inside = Reader(self._data, *self._span(self.length()))
        found: dict[int, int | bytes] = {}
        while inside.left:
            name = inside.number(1)
            if name in found and name not in _REPEATABLE:
                raise ProtocolError(Reason.PROTOCOL_ERROR, f"property 0x{name:02x} stands twice")
            if size := _SIZES.get(name):
                found[name] = inside.number(size)
            elif name in _STRINGS:
                found[name] = inside.string()
            elif name == _SUBSCRIPTION_IDENTIFIER:
                found[name] = inside.length()
            elif name == _USER_PROPERTY:
                inside.string(), inside.string()
            else:
                raise ProtocolError(Reason.MALFORMED, f"there is no property 0x{name:02x}")
        return found

    def _span(self, length: int) -> tuple[int, int]:
        start = self._at
        self.take(length)
        return start, self._at


def read_connect(body: bytes) -> Connect:
    """The fields of a CONNECT. ProtocolError with the reason to answer if it cannot be used."""
    fields = Reader(body)
    name, version = fields.string(), fields.number(1)
    if name != b"MQTT" or version not in {V3, V5}:
        raise ProtocolError(Reason.UNSUPPORTED_VERSION, f"{name[:10]!r} level {version} is not spoken here")
    flags, keep_alive_s = fields.number(1), fields.number(2)
    if flags & 1:
        raise ProtocolError(Reason.MALFORMED, "the reserved flag is set")
    properties = fields.properties() if version == V5 else {}
    client_id = fields.text()
    will = _read_will(fields, flags, version)
    user = fields.text() if flags & 0x80 else None
    password = fields.string() if flags & 0x40 else None
    return Connect(version, client_id, bool(flags & 2), keep_alive_s, user, password, will, properties)


def _read_will(fields: Reader, flags: int, version: int) -> Publish | None:
    if not flags & 0x04:
        if flags & 0x38:
            raise ProtocolError(Reason.MALFORMED, "flags of a will without a will")
        return None
    qos = flags >> 3 & 3
    if qos == 3:
        raise ProtocolError(Reason.MALFORMED, "there is no QoS 3")
    if version == V5:
        fields.properties()
    return Publish(fields.string(), fields.string(), 0, qos << 2 | (flags >> 5 & 1) << 1)


def read_subscribe(body: bytes, version: int) -> Subscribe:
    """The fields of a SUBSCRIBE."""
    return _read_filters(body, version, asking=True)


def read_unsubscribe(body: bytes, version: int) -> Subscribe:
    """The fields of an UNSUBSCRIBE; the QoS of each filter is 0."""
    return _read_filters(body, version, asking=False)


def _read_filters(body: bytes, version: int, *, asking: bool) -> Subscribe:
    fields = Reader(body)
    packet = fields.number(2)
    if version == V5:
        fields.properties()
    filters: list[tuple[bytes, int]] = []
    while fields.left:
        filters.append((fields.string(), fields.number(1) & 3 if asking else 0))
    if not filters or not packet:
        raise ProtocolError(Reason.PROTOCOL_ERROR, "a subscription without a filter or a packet id")
    return Subscribe(packet, filters)


def read_disconnect(body: bytes) -> int:
    """The reason code of a DISCONNECT."""
    return body[0] if body else Reason.SUCCESS


def connack(version: int, reason: Reason, properties: Properties | None = None) -> bytes:
    """CONNACK without a session: there is nothing here that would have to be kept for a client."""
    if version != V5:
        return bytes((Kind.CONNACK << 4, 2, 0, _RETURN_CODES.get(reason, 3)))
    encoded = b"".join(_property(name, value) for name, value in (properties or {}).items())
    return _packet(Kind.CONNACK, bytes((0, reason)) + _length(len(encoded)) + encoded)


def puback(packet: int, version: int, reason: Reason = Reason.SUCCESS) -> bytes:
    """PUBACK; MQTT 3.1.1 has no way to say a reason."""
    if reason == Reason.SUCCESS or version != V5:
        return b"\x40\x02" + _U16.pack(packet)
    return b"\x40\x03" + _U16.pack(packet) + bytes((reason,))


def publish(topic: bytes, body: bytes, version: int, *, retain: bool) -> bytes:
    """PUBLISH at QoS 0."""
    front = len(topic).to_bytes(2, "big") + topic + b"\0" * (version == V5)
    return bytes((Kind.PUBLISH << 4 | retain,)) + _length(len(front) + len(body)) + front + body


def suback(packet: int, version: int, codes: Sequence[int]) -> bytes:
    """SUBACK: for each filter the QoS granted, or a refusal (0x80 and above)."""
    if version != V5:
        codes = [min(code, 0x80) for code in codes]
    return _packet(Kind.SUBACK, _U16.pack(packet) + b"\0" * (version == V5) + bytes(codes))


def unsuback(packet: int, version: int, count: int) -> bytes:
    """UNSUBACK for `count` filters."""
    return _packet(Kind.UNSUBACK, _U16.pack(packet) + b"\0" * ((1 + count) * (version == V5)))


def disconnect(reason: Reason) -> bytes:
    """DISCONNECT from the server, which MQTT 5 alone has."""
    return bytes((Kind.DISCONNECT << 4, 1, reason))


PINGRESP = bytes((Kind.PINGRESP << 4, 0))


def _packet(kind: Kind, body: bytes) -> bytes:
    return bytes((kind << 4,)) + _length(len(body)) + body


def _length(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def _property(name: int, value: int | bytes) -> bytes:
    encoded = (
        _U16.pack(len(value)) + value if isinstance(value, bytes) else value.to_bytes(_SIZES[name], "big")
    )
    return bytes((name,)) + encoded
