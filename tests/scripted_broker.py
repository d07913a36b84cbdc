"""A broker that does exactly what a test tells it to, one connection at a time; it keeps no session of its own."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

from ingest.mqtt_packets import Connect, Kind, Packet, Reason, connack, suback, unsuback
from ingest.mqtt_wire import AnyPacket, Limits, PacketParser
from tests.mqtt_client import publish

WAIT_S = 10.0


class Visit:
    """One connection of a client to the broker."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._parser = PacketParser(Limits())
        self._heard: list[AnyPacket] = []

    @property
    def version(self) -> int:
        """The protocol level that the client speaks."""
        return self._parser.version

    async def hear(self) -> AnyPacket | None:
        """The next packet; None when the client has gone."""
        while not self._heard:
            try:
                read = await asyncio.wait_for(self._reader.read(65536), WAIT_S)
            except ConnectionError:
                return None
            if not read:
                return None
            self._heard += self._parser.feed(read)
        return self._heard.pop(0)

    async def silent(self, for_s: float = 0.15) -> bool:
        """Whether nothing is heard for that long."""
        if self._heard:
            return False
        try:
            self._heard += self._parser.feed(await asyncio.wait_for(self._reader.read(65536), for_s))
        except TimeoutError:
            return True
        return False

    def say(self, data: bytes) -> None:
        """Send these bytes."""
        self._writer.write(data)

    def publish(
        self, topic: str, body: bytes, packet_id: int = 0, *, retain: bool = False, dup: bool = False
    ) -> None:
        """Send a message, with QoS 1 if there is a packet id."""
        self.say(publish(topic, body, packet_id, version=self.version, retain=retain, dup=dup))

    async def acknowledged(self, count: int) -> list[int]:
        """The packet ids of the next PUBACKs."""
        found = []
        while len(found) < count:
            heard = await self.hear()
            assert isinstance(heard, Packet), heard
            assert heard.kind == Kind.PUBACK, heard
            found.append(int.from_bytes(heard.body[:2], "big"))
        return found

    async def welcome(self, *, session_present: bool = False, codes: tuple[int, ...] = (1,)) -> Connect:
        """Answer CONNECT and SUBSCRIBE; gives the CONNECT."""
        connect = await self.hear()
        assert isinstance(connect, Connect), connect
        answer = bytearray(connack(self.version, Reason.SUCCESS))
        answer[2] = session_present
        self.say(bytes(answer))
        subscribe = await self.hear()
        assert isinstance(subscribe, Packet)
        assert subscribe.kind == Kind.SUBSCRIBE
        self.say(suback(int.from_bytes(subscribe.body[:2], "big"), self.version, codes))
        return connect

    async def settled(self) -> None:
        """Answer the UNSUBSCRIBE with which a collector makes sure that it was heard."""
        heard = await self.hear()
        assert isinstance(heard, Packet)
        assert heard.kind == Kind.UNSUBSCRIBE
        self.say(unsuback(int.from_bytes(heard.body[:2], "big"), self.version, 1))

    def drop(self) -> None:
        """End the connection without a word."""
        self._writer.transport.abort()


@dataclass
class ScriptedBroker:
    """Where the broker is, and who comes."""

    port: int
    visits: "asyncio.Queue[Visit]" = field(default_factory=asyncio.Queue)

    async def visit(self) -> Visit:
        """The next connection."""
        return await asyncio.wait_for(self.visits.get(), WAIT_S)


@contextlib.asynccontextmanager
async def scripted_broker() -> AsyncIterator[ScriptedBroker]:
    """A broker on a free port."""
    everyone: list[Visit] = []

    def come(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        everyone.append(Visit(reader, writer))
        broker.visits.put_nowait(everyone[-1])

    server = await asyncio.start_server(come, "127.0.0.1", 0)
    broker = ScriptedBroker(server.sockets[0].getsockname()[1])
    try:
        yield broker
    finally:
        server.close()
        for visit in everyone:
            visit.drop()
        await asyncio.sleep(0)
