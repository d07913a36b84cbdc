"""One publishing client of the listener: from CONNECT to its last word, each message acknowledged once it is on disk.

Nothing here waits. What is read goes to the group commit; the PUBACKs leave when it is durable, joined and in the
order of arrival. A client that asks too much is held (not read) or closed, and no other notices.
"""

import asyncio
import functools
import math
import secrets
import struct
from collections.abc import Callable, Sequence
from typing import Literal, cast

from andon.ports import Record, RecordKind
from ingest.credentials import Rights
from ingest.desk import Desk, common_name
from ingest.errors import ProtocolError
from ingest.mqtt_grants import Grants
from ingest.mqtt_packets import (
    PINGRESP,
    V3,
    V5,
    Connect,
    Kind,
    Oversized,
    Packet,
    Property,
    Publish,
    Reason,
    connack,
    disconnect,
    puback,
    publish,
    read_disconnect,
    read_subscribe,
    read_unsubscribe,
    suback,
    unsuback,
)
from ingest.mqtt_wire import AnyPacket, PacketParser
from ingest.own_records import not_authorised, too_large

_QOS_2 = 2
_RETAIN = 0b10
_MESSAGE = RecordKind.MESSAGE
_PUBACK = struct.Struct(">BBH")
_LAST_WORDS_S = 5.0
"""How long a client may take to read what was written to it before its connection was closed."""
Hold = Literal["full", "checking", "in_flight", "unread", "stopping"]


class Session(asyncio.BufferedProtocol):
    """One connection. Everything happens in callbacks on the event loop."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._parser = PacketParser(desk.limits)
        self._held_bytes = 0
        self._holds: set[Hold] = set()
        self._since_s = self._heard_s = self._loop.time()
        self._closing_s: float | None = None
        self.gone: asyncio.Future[bool] = self._loop.create_future()
        self._check: asyncio.Future[bool] | None = None
        self._stash: list[AnyPacket] = []
        self._connect: Connect | None = None
        self._key: tuple[str | None, str] = (None, "")
        self._rights = Rights(())
        self._connection = 0
        self._in_flight = 0
        self._will: Publish | None = None
        self._records: list[Record] = []
        self._acknowledgements: list[bytes] = []
        self._grants = Grants()

    # What asyncio tells

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Take a place among those that have not said who they are yet."""
        self._transport = cast("asyncio.Transport", transport)
        self._desk.make_room()
        self._desk.connecting[self] = None

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 -- asyncio's signature
        """One buffer for all connections: it is emptied before the next one is read."""
        return self._desk.buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Take what was read."""
        self._heard_s = self._loop.time()
        if self._closing_s is not None:
            return
        try:
            packets = self._parser.feed(bytes(self._desk.buffer[:nbytes]))
        except ProtocolError as error:
            self._take(cast("Sequence[AnyPacket]", error.packets))
            self._fail(error)
        else:
            self._take(packets)
        self._count_held()

    def pause_writing(self) -> None:
        """Do not read a client that does not read its acknowledgements."""
        self.hold("unread")

    def resume_writing(self) -> None:
        """Read again a client that has caught up."""
        self.release("unread")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 -- asyncio's signature
        """Leave; the will of a client that went without a word becomes a message."""
        self._leave_desk()
        self._desk.closing.discard(self)
        self._desk.held_bytes -= self._held_bytes
        self._held_bytes = 0
        if not self.gone.done():
            self.gone.set_result(True)

    # What the listener asks

    def _is_checking(self) -> bool:
        return self._check is not None

    @property
    def host(self) -> str:
        """The address it comes from."""
        return str((self._transport.get_extra_info("peername") or ("",))[0])

    def hold(self, why: Hold) -> None:
        """Do not read this connection."""
        if not self._holds:
            self._transport.pause_reading()
        self._holds.add(why)

    def release(self, why: Hold) -> None:
        """Read again, unless it is held for something else; its silence meanwhile was ours."""
        if why in self._holds:
            self._holds.remove(why)
            if not self._holds:
                self._heard_s = self._loop.time()
                self._transport.resume_reading()

    def judge_time(self) -> None:
        """Close a connection that has been silent for too long."""
        now_s = self._loop.time()
        if self._closing_s is not None:
            if now_s - self._closing_s > _LAST_WORDS_S:
                self._transport.abort()
        elif self._connect is None:
            if self._check is None and now_s - self._since_s > self._desk.connect_timeout_s:
                self.turn_away("no CONNECT in time")
        elif not self._holds and now_s - self._heard_s > 1.5 * (self._connect.keep_alive_s or math.inf):
            self.leave(Reason.KEEP_ALIVE_TIMEOUT)

    def turn_away(self, why: str) -> None:
        """Close a connection that never became a session, or broke the rules of one."""
        self._desk.note_turned_away(self.host, self._key, why)
        self._close()

    def leave(self, reason: Reason, *, with_will: bool = True) -> None:
        """Close the connection, saying why where MQTT can."""
        self._will = self._will if with_will else None
        if self._connect is not None and self._parser.version == V5:
            self._transport.write(disconnect(reason))
        self._close()

    def abort(self) -> None:
        """Close at once, whatever was not written yet."""
        self._transport.abort()

    # Messages

    def _take(self, packets: Sequence[AnyPacket]) -> None:
        """Go through what has arrived: messages to the journal, all else to its answer."""
        if self._is_checking():
            self._stash += packets
            return
        at_ns = self._desk.now()
        try:
            for index, packet in enumerate(packets):
                if isinstance(packet, (Publish, Oversized)):
                    self._message(packet, at_ns)
                    continue
                self._answer(packet)
                if self._closing_s is not None:
                    break
                if self._is_checking():
                    self._stash += packets[index + 1 :]
                    break
        except ProtocolError as error:
            self._commit()
            self._fail(error)
        else:
            self._commit()

    def _message(self, message: Publish | Oversized, at_ns: int) -> None:
        # RETAIN asks a broker to keep a copy; there is none here, and in a record it would mean an old one.
        flags, desk = message.flags & ~_RETAIN, self._desk
        qos = flags >> 2
        if qos == _QOS_2:
            raise ProtocolError(Reason.QOS_NOT_SUPPORTED, "QoS 2 is not spoken here")
        desk.received += 1
        if not qos and desk.group.may_lose:
            desk.group.lose()
            return
        topic, packet = message.topic, message.packet
        if isinstance(message, Oversized) or not self._rights.allow(topic):
            self._refused_message(message, at_ns)
            return
        self._records.append(Record(_MESSAGE, at_ns, topic, message.body, self._connection, packet, flags))
        if qos:
            self._acknowledgements.append(_PUBACK.pack(0x40, 2, packet))

    def _refused_message(self, message: Publish | Oversized, at_ns: int) -> None:
        self._desk.refused += 1
        topic, packet, reason = message.topic, message.packet, Reason.SUCCESS
        if not self._rights.allow(topic):
            body, reason = not_authorised(message), Reason.NOT_AUTHORISED
        elif isinstance(message, Oversized):
            body = too_large(message)
        self._records.append(
            Record(RecordKind.REFUSED, at_ns, topic, body, self._connection, packet, message.flags & ~_RETAIN)
        )
        if message.flags >> 2:
            self._acknowledgements.append(puback(packet, self._parser.version, reason))

    def _commit(self) -> None:
        """Hand on what was read; its acknowledgements leave together when all of it is durable."""
        if not self._records:
            return
        count = len(self._acknowledgements)
        durable = functools.partial(self._durable, b"".join(self._acknowledgements), count) if count else None
        self._desk.group.add(self._records, durable)
        self._records, self._acknowledgements = [], []
        self._in_flight += count
        if self._in_flight > self._desk.receive_maximum:
            if self._parser.version == V5:
                self._fail(ProtocolError(Reason.RECEIVE_MAXIMUM_EXCEEDED, "too many messages in flight"))
            else:  # MQTT 3.1.1 has no way to ask for less
                self.hold("in_flight")

    def _durable(self, acknowledgements: bytes, count: int) -> None:
        self._in_flight -= count
        if self._closing_s is None:
            self._transport.write(acknowledgements)
            if 2 * self._in_flight <= self._desk.receive_maximum:
                self.release("in_flight")

    def _count_held(self) -> None:
        """Close a client whose unfinished packets would take more memory than all of them together may."""
        held = self._parser.held_bytes if self._closing_s is None else 0
        self._desk.held_bytes += held - self._held_bytes
        self._held_bytes = held
        if held and self._desk.held_bytes > self._desk.held_bytes_max:
            self._fail(ProtocolError(Reason.QUOTA_EXCEEDED, "too many bytes of unfinished packets"))

    # Everything but messages

    def _answer(self, packet: Connect | Packet) -> None:
        if isinstance(packet, Connect):
            self._welcome(packet)
            return
        answer = _ANSWERS.get(packet.kind)
        if answer is None:
            raise ProtocolError(Reason.PROTOCOL_ERROR, f"{packet.kind.name} has no place here")
        answer(self, packet.body)

    def _welcome(self, connect: Connect) -> None:
        if self._connect is not None:
            raise ProtocolError(Reason.PROTOCOL_ERROR, "a second CONNECT")
        certificate = self._transport.get_extra_info("peercert")
        user = common_name(certificate) if certificate else connect.user
        doorkeeper = self._desk.doorkeeper
        if reason := self._desk.objection(connect, user):
            self._refuse(connect, reason)
        elif certificate:
            self._decide(connect, user, welcome=user is not None and doorkeeper.certifies(user))
        elif doorkeeper.welcomes(user, connect.password):
            self._decide(connect, user, welcome=True)
        else:
            self.hold("checking")
            self._check = self._loop.run_in_executor(
                self._desk.checker, doorkeeper.check, user, connect.password
            )
            self._check.add_done_callback(functools.partial(self._checked, connect, user))

    def _checked(self, connect: Connect, user: str | None, check: asyncio.Future[bool]) -> None:
        if self._closing_s is not None or check.cancelled():
            return
        stash, self._stash, self._check = self._stash, [], None
        self._decide(connect, user, welcome=check.result())
        self.release("checking")
        if self._closing_s is None:
            self._take(stash)

    def _decide(self, connect: Connect, user: str | None, *, welcome: bool) -> None:
        rights = self._desk.doorkeeper.rights(user)
        if not welcome:
            self._refuse(connect, Reason.BAD_USER_OR_PASSWORD)
        elif connect.will is not None and not rights.allow(connect.will.topic):
            self._refuse(connect, Reason.NOT_AUTHORISED)
        else:
            self._admit(connect, user, rights)

    def _admit(self, connect: Connect, user: str | None, rights: Rights) -> None:
        desk = self._desk
        client_id = connect.client_id or f"andon-{secrets.token_hex(8)}"
        self._key = (user, client_id)
        if before := desk.sessions.get(self._key):
            before.leave(Reason.TAKEN_OVER)
        desk.connecting.pop(self, None)
        desk.sessions[self._key] = self
        self._connect, self._rights, self._will = connect, rights, connect.will
        self._connection = desk.next_connection
        desk.next_connection += 1
        properties: dict[int, int | bytes] = {
            Property.SESSION_EXPIRY: 0,
            Property.RECEIVE_MAXIMUM: desk.receive_maximum,
            Property.MAXIMUM_QOS: 1,
            Property.SUBSCRIPTION_IDENTIFIERS: 0,
            Property.SHARED_SUBSCRIPTIONS: 0,
        }
        if not connect.client_id:
            properties[Property.ASSIGNED_CLIENT_ID] = client_id.encode()
        self._transport.write(connack(connect.version, Reason.SUCCESS, properties))
        if desk.group.full:
            self.hold("full")

    def _refuse(self, connect: Connect, reason: Reason) -> None:
        self._key = (connect.user, connect.client_id)
        self._transport.write(connack(connect.version, reason))
        self.turn_away(reason.name.lower())

    def _ping(self, _body: bytes) -> None:
        self._transport.write(PINGRESP)

    def _subscribe(self, body: bytes) -> None:
        asked = read_subscribe(body, self._parser.version)
        self._transport.write(suback(asked.packet, self._parser.version, self._grants.ask(asked.filters)))
        self._desk.greet(self, asked.filters)

    def send(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Send a message, if the client has subscribed to its topic."""
        if self._closing_s is None and self._grants.hears(topic):
            self._transport.write(publish(topic.encode(), body, self._parser.version, retain=retain))

    def _unsubscribe(self, body: bytes) -> None:
        asked = read_unsubscribe(body, self._parser.version)
        self._grants.drop(asked.filters)
        self._transport.write(unsuback(asked.packet, self._parser.version, len(asked.filters)))

    def _goodbye(self, body: bytes) -> None:
        if read_disconnect(body) == Reason.SUCCESS:
            self._will = None
        self._close()

    # The end

    def _fail(self, error: ProtocolError) -> None:
        if self._closing_s is not None:
            return
        if error.reason == Reason.UNSUPPORTED_VERSION and self._connect is None:
            self._transport.write(connack(V3, Reason.UNSUPPORTED_VERSION))
        elif self._connect is not None and self._parser.version == V5:
            self._transport.write(disconnect(Reason(error.reason)))
        self.turn_away(str(error))

    def _close(self) -> None:
        if self._closing_s is None:
            self._closing_s = self._loop.time()
            self._leave_desk()
            self._desk.closing.add(self)
            self._transport.close()

    def _leave_desk(self) -> None:
        """Give up the place of this connection; a will that still stands becomes a message."""
        desk = self._desk
        desk.connecting.pop(self, None)
        if desk.sessions.get(self._key) is self:
            del desk.sessions[self._key]
        if self._check is not None:
            self._check.cancel()
        will, self._will = self._will, None
        if will is not None:
            desk.received += 1
            at_ns, flags = desk.now(), will.flags & ~_RETAIN
            desk.group.add([Record(_MESSAGE, at_ns, will.topic, will.body, self._connection, 0, flags)])


_ANSWERS: dict[Kind, Callable[[Session, bytes], None]] = {
    Kind.PINGREQ: Session._ping,  # noqa: SLF001 -- the table of this class
    Kind.SUBSCRIBE: Session._subscribe,  # noqa: SLF001
    Kind.UNSUBSCRIBE: Session._unsubscribe,  # noqa: SLF001
    Kind.DISCONNECT: Session._goodbye,  # noqa: SLF001
}
