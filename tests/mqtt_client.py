"""A client that says exactly the bytes a test wants it to say: packet by packet, whether MQTT allows it or not."""

import asyncio
from collections.abc import Iterable
from typing import Self

from ingest.errors import ProtocolError
from ingest.mqtt_packets import V3, V5, Kind, Packet
from ingest.mqtt_wire import AnyPacket, Limits, PacketParser

WAIT_S = 10.0


def length(value: int) -> bytes:
    """A variable byte integer."""
    encoded = b""
    while value > 127:
        encoded += bytes((value & 127 | 128,))
        value >>= 7
    return encoded + bytes((value,))


def string(text: str | bytes) -> bytes:
    """A string with its length before it."""
    raw = text.encode() if isinstance(text, str) else text
    return len(raw).to_bytes(2, "big") + raw


def packet(first: int, body: bytes) -> bytes:
    """A packet with that first byte."""
    return bytes((first,)) + length(len(body)) + body


def connect(
    client_id: str = "press-1",
    *,
    version: int = V3,
    user: str | None = "press",
    password: bytes | None = b"secret",
    keep_alive_s: int = 60,
    will: tuple[str, bytes] | None = None,
    will_qos: int = 1,
    clean: bool = True,
    properties: bytes = b"",
) -> bytes:
    """CONNECT."""
    flags = 2 * clean | (4 | will_qos << 3) * (will is not None) | 0x80 * (user is not None)
    flags |= 0x40 * (password is not None)
    body = string("MQTT") + bytes((version, flags)) + keep_alive_s.to_bytes(2, "big")
    if version == V5:
        body += length(len(properties)) + properties
    body += string(client_id)
    if will is not None:
        body += b"\0" * (version == V5) + string(will[0]) + string(will[1])
    if user is not None:
        body += string(user)
    return packet(0x10, body + (string(password) if password is not None else b""))


def publish(
    topic: str | bytes,
    body: bytes,
    packet_id: int = 0,
    *,
    version: int = V3,
    qos: int | None = None,
    dup: bool = False,
    retain: bool = False,
    properties: bytes = b"",
) -> bytes:
    """PUBLISH, with QoS 1 if there is a packet id."""
    qos = (1 if packet_id else 0) if qos is None else qos
    front = string(topic) + (packet_id.to_bytes(2, "big") if qos else b"")
    if version == V5:
        front += length(len(properties)) + properties
    return packet(0x30 | dup << 3 | qos << 1 | retain, front + body)


def subscribe(packet_id: int, filters: Iterable[str], *, version: int = V3) -> bytes:
    """SUBSCRIBE with QoS 1."""
    body = packet_id.to_bytes(2, "big") + b"\0" * (version == V5)
    return packet(0x82, body + b"".join(string(name) + b"\1" for name in filters))


PINGREQ = b"\xc0\0"
DISCONNECT = b"\xe0\0"


class Client:
    """One connection to a listener; an `async with`. Waits fail after 10 s."""

    def __init__(self, port: int, *, version: int = V3) -> None:
        self.port = port
        self.version = version
        self._parser = PacketParser(Limits(), version=version)
        self._packets: list[AnyPacket] = []

    async def __aenter__(self) -> Self:
        self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self.port)
        return self

    async def __aexit__(self, *_: object) -> None:
        self.drop()

    async def connected(self, client_id: str = "press-1", **more: object) -> Self:
        """Say CONNECT and expect to be welcome."""
        self.say(connect(client_id, version=self.version, **more))  # type: ignore[arg-type]
        answer = await self.hear()
        assert isinstance(answer, Packet)
        assert answer.kind == Kind.CONNACK
        assert answer.body[1] == 0, answer
        return self

    def say(self, *packets: bytes) -> None:
        """Send these bytes."""
        self._writer.write(b"".join(packets))

    def publish(self, topic: str | bytes, body: bytes, packet_id: int = 0, **more: object) -> None:
        """Send a PUBLISH."""
        self.say(publish(topic, body, packet_id, version=self.version, **more))  # type: ignore[arg-type]

    async def hear(self) -> AnyPacket | None:
        """The next packet; None when the server has closed the connection."""
        while not self._packets:
            try:
                read = await asyncio.wait_for(self._reader.read(65536), WAIT_S)
            except ConnectionError:
                return None
            if not read:
                return None
            self._packets += self._parser.feed(read)
        return self._packets.pop(0)

    async def acknowledged(self, count: int) -> list[tuple[int, int]]:
        """The packet ids of the next `count` PUBACKs with their reasons."""
        found: list[tuple[int, int]] = []
        while len(found) < count:
            answer = await self.hear()
            assert isinstance(answer, Packet), answer
            assert answer.kind == Kind.PUBACK, answer
            found.append(
                (int.from_bytes(answer.body[:2], "big"), answer.body[2] if len(answer.body) > 2 else 0)
            )
        return found

    async def silent(self, for_s: float = 0.15) -> bool:
        """Whether nothing is heard for that long (which is all that a test of a silence can wait for)."""
        try:
            heard = await asyncio.wait_for(self._reader.read(65536), for_s)
        except TimeoutError:
            return True
        try:
            self._packets += self._parser.feed(heard)
        except ProtocolError:
            return False
        return False

    def drop(self) -> None:
        """Go without a word."""
        self._writer.transport.abort()
