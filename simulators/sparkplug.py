"""A Sparkplug B edge node: its payloads, its births and deaths, and the node itself on any broker.

Written from the Sparkplug 3.0 specification alone and sharing nothing with Andon's reader, so that each checks the
other.
"""

import json
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

INT32, INT64, UINT64, DOUBLE, BOOLEAN, STRING, BYTES = 3, 4, 8, 10, 11, 12, 17
Value = float | int | bool | str | bytes | None
REBIRTH = "Node Control/Rebirth"


def varint(value: int) -> bytes:
    """A Protocol Buffers number."""
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes((*out, value))


def number(at: int, value: int) -> bytes:
    """A field that holds a number."""
    return varint(at << 3) + varint(value & 2**64 - 1)


def octets(at: int, value: bytes | str) -> bytes:
    """A field that holds bytes or a text."""
    raw = value.encode() if isinstance(value, str) else value
    return varint(at << 3 | 2) + varint(len(raw)) + raw


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric of a message. In data `name` is left out where there is an alias, and so is the datatype."""

    name: str
    value: Value
    at_ms: int
    alias: int | None = None
    unit: str = ""
    quality: int | None = None
    is_historical: bool = False
    datatype: int | None = None

    def encoded(self, *, birth: bool) -> bytes:
        """The metric as its bytes."""
        datatype = _datatype(self.value) if self.datatype is None else self.datatype
        out = octets(1, self.name) if birth or self.alias is None else b""
        if self.alias is not None:
            out += number(2, self.alias)
        out += number(3, self.at_ms)
        if birth or self.alias is None:
            out += number(4, datatype)
        if self.is_historical:
            out += number(5, 1)
        properties = self._properties(birth=birth)
        return out + (octets(9, properties) if properties else b"") + _value(datatype, self.value)

    def _properties(self, *, birth: bool) -> bytes:
        keys = values = b""
        if birth and self.unit:
            keys, values = octets(1, "engUnit"), octets(2, number(1, STRING) + octets(8, self.unit))
        if self.quality is not None:
            keys += octets(1, "Quality")
            values += octets(2, number(1, INT32) + number(3, self.quality))
        return keys + values


def _datatype(value: Value) -> int:
    kinds: tuple[tuple[type, int], ...] = (
        (bool, BOOLEAN),
        (int, INT64),
        (float, DOUBLE),
        (str, STRING),
        (bytes, BYTES),
    )
    return next((code for kind, code in kinds if isinstance(value, kind)), DOUBLE)


def _value(datatype: int, value: Value) -> bytes:
    if value is None:
        return number(7, 1)
    if isinstance(value, bytes):
        return octets(16, value)
    if isinstance(value, str):
        return octets(15, value)
    if datatype == BOOLEAN:
        return number(14, int(value))
    if datatype == DOUBLE:
        return varint(13 << 3 | 1) + struct.pack("<d", value)
    return number(10 if datatype <= INT32 else 11, int(value) & (2**32 - 1 if datatype <= INT32 else -1))


def payload(at_ms: int | None, seq: int | None, metrics: Sequence[bytes]) -> bytes:
    """A whole payload."""
    head = b"" if at_ms is None else number(1, at_ms)
    return head + b"".join(octets(2, one) for one in metrics) + (b"" if seq is None else number(3, seq))


Said = tuple[str, bytes]


@dataclass(slots=True)
class EdgeNode:
    """What an edge node with its devices says: (topic, payload) of each message, numbered 0 to 255.

    `devices` has the metrics of each device as they stand; "" is the node itself.
    """

    group: str
    name: str
    devices: dict[str, list[Metric]] = field(default_factory=dict)
    bd_seq: int = 0
    seq: int = 0

    def topic(self, kind: str, device: str = "") -> str:
        """The topic of a message of that type."""
        return f"spBv1.0/{self.group}/{kind}/{self.name}" + (f"/{device}" if device else "")

    def will(self, at_ms: int) -> Said:
        """The death that the broker publishes if we go without a word."""
        return self.topic("NDEATH"), payload(at_ms, None, [self._bd_seq(at_ms)])

    def births(self, at_ms: int) -> Iterator[Said]:
        """The birth of the node, and of each device."""
        self.seq = 0
        control = Metric(REBIRTH, False, at_ms).encoded(birth=True)
        own = [metric.encoded(birth=True) for metric in self.devices.get("", ())]
        yield self._numbered("NBIRTH", "", at_ms, [self._bd_seq(at_ms), control, *own])
        for device in self.devices:
            if device:
                yield self.device_birth(device, at_ms)

    def device_birth(self, device: str, at_ms: int) -> Said:
        """The birth of one device."""
        return self._numbered("DBIRTH", device, at_ms, [m.encoded(birth=True) for m in self.devices[device]])

    def data(self, device: str, at_ms: int, *metrics: Metric) -> Said:
        """Values of a device, or of the node."""
        kind = "DDATA" if device else "NDATA"
        return self._numbered(kind, device, at_ms, [metric.encoded(birth=False) for metric in metrics])

    def device_death(self, device: str, at_ms: int) -> Said:
        """The death of one device."""
        return self._numbered("DDEATH", device, at_ms, [])

    def _numbered(self, kind: str, device: str, at_ms: int, metrics: Sequence[bytes]) -> Said:
        seq, self.seq = self.seq, (self.seq + 1) % 256
        return self.topic(kind, device), payload(at_ms, seq, metrics)

    def _bd_seq(self, at_ms: int) -> bytes:
        return Metric("bdSeq", self.bd_seq, at_ms, datatype=INT64).encoded(birth=True)


def asks_for_rebirth(body: bytes) -> bool:
    """Whether a command is `Node Control/Rebirth` with the value true."""
    return octets(1, REBIRTH) in body and number(14, 1) in body


class LiveEdgeNode:
    """An edge node on a broker: born when it connects, born anew when it is told to.

    With `host_id` it waits for that primary host: it is born only while the host says that it is online.
    """

    def __init__(self, node: EdgeNode, now_ms: Callable[[], int], *, host_id: str = "") -> None:
        self.node = node
        self.rebirths = 0
        self.host_states: list[Mapping[str, object]] = []
        self.born = threading.Event()
        self._now_ms = now_ms
        self._host_id = host_id
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=f"{node.group}-{node.name}")

    def connect(
        self, host: str, port: int, *, username: str | None = None, password: str | None = None
    ) -> Self:
        """Connect with the will of a new session; the births follow."""
        topic, body = self.node.will(self._now_ms())
        self._client.will_set(topic, body, qos=1)
        self._client.username_pw_set(username, password)
        self._client.on_connect, self._client.on_message = self._on_connect, self._on_message
        self._client.connect(host, port, keepalive=30)
        self._client.loop_start()
        return self

    def say(self, said: Said) -> None:
        """Publish a message as Sparkplug does: QoS 0."""
        self._client.publish(*said, qos=0)

    def leave(self) -> None:
        """Die as one should: the death first, then DISCONNECT."""
        topic, body = self.node.will(self._now_ms())
        self._client.publish(topic, body, qos=1).wait_for_publish(5.0)
        self._client.disconnect()
        self._client.loop_stop()

    def vanish(self) -> None:
        """Go without a word: the broker publishes the will."""
        sock = self._client.socket()
        if sock is not None:
            sock.close()
        self._client.loop_stop()

    def _be_born(self) -> None:
        for said in self.node.births(self._now_ms()):
            self.say(said)
        self.born.set()

    def _on_connect(
        self,
        client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        _reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        client.subscribe([(self.node.topic("NCMD"), 1), ("spBv1.0/STATE/+", 1)])
        if not self._host_id:
            self._be_born()

    def _on_message(self, _client: paho.Client, _userdata: object, message: paho.MQTTMessage) -> None:
        if "/NCMD/" in message.topic:
            if asks_for_rebirth(bytes(message.payload)):
                self.rebirths += 1
                self._be_born()
            return
        state = json.loads(message.payload)
        self.host_states.append(state)
        if message.topic.endswith(f"/{self._host_id}") and state["online"] and not self.born.is_set():
            self._be_born()
