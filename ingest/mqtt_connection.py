"""One connection to a broker: paho-mqtt driven by our event loop, with no thread of its own.

paho's network thread ends at the first exception in a callback while `is_connected()` stays true, and its
acknowledgements are bound to no connection: one that comes late acknowledges another message after a reconnect
(both measured). So each connection has a client of its own, whose late acknowledgements go nowhere, and whatever
fails closes the connection.
"""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TypeVar, cast

import paho.mqtt.client as paho
from paho.mqtt.enums import MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from ingest.mqtt_paho import BatchClient, Message
from ingest.mqtt_wire import Limits

_T = TypeVar("_T")
_NO_TOPIC = "andon/v1/no/topic"


class Retained(IntEnum):
    """Which retained messages a subscription brings (MQTT 5, 3.8.3.1): those of every SUBSCRIBE, or of a new one."""

    ALWAYS = 0
    NEW = 1


class ConnectionLost(OSError):
    """There is no connection to the broker, or no longer; the text says why."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where a broker is and how to speak to it; `will` is what it says for us, retained, if we go without a word."""

    host: str
    port: int
    client_id: str
    version: MQTTProtocolVersion
    keep_alive_s: int
    timeout_s: float
    session_expiry_s: int
    receive_maximum: int
    user: str | None
    password: str | None
    tls: ssl.SSLContext | None
    will: tuple[str, bytes] | None = None


class BrokerConnection:
    """One connection. `take` is called on the event loop with the messages that were read together.

    `session_present` says whether the broker had kept our session; `lost` is done when the connection is, with
    the reason.
    """

    def __init__(self, address: Address, limits: Limits, take: Callable[[Sequence[Message]], None]) -> None:
        self._address = address
        self._take = take
        self._loop = asyncio.get_running_loop()
        self._file: int | None = None
        self._reading = self._writing = False
        self._why = ""
        self._accepted: asyncio.Future[bool] = self._loop.create_future()
        self._answers: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._settling = False
        self.lost: asyncio.Future[str] = self._loop.create_future()
        self.session_present = False
        self._client = _Client(address, limits, self._hand_on)

    async def open(self) -> None:
        """Connect; ConnectionLost if the broker cannot be reached or does not want us."""
        address, client = self._address, self._client
        five = address.version == MQTTProtocolVersion.MQTTv5
        try:
            await asyncio.to_thread(
                client.connect,
                address.host,
                address.port,
                address.keep_alive_s,
                # paho's own default wipes the session at the first connect of each process (measured)
                clean_start=False if five else paho.MQTT_CLEAN_START_FIRST_ONLY,
                properties=_connect_properties(address) if five else None,
            )
        except (OSError, ValueError) as error:
            raise ConnectionLost(f"{address.host}:{address.port}: {error}") from error
        sock = client.socket()
        if sock is None:
            raise ConnectionLost(f"{address.host}:{address.port}: closed at once")
        self._file = sock.fileno()
        client.on_connect, client.on_disconnect = self._on_connect, self._on_disconnect
        client.on_subscribe = client.on_unsubscribe = self._on_answer
        client.on_socket_close = self._on_socket_close
        self.read(on=True)
        self._write()
        self.session_present = await self._answer(self._accepted, "CONNECT")

    async def subscribe(
        self, topics: Sequence[str], qos: int, *, retained: Retained = Retained.NEW
    ) -> list[str]:
        """Subscribe to these filters; gives those that the broker refuses. `retained` holds with MQTT 5 only."""
        if self._address.version == MQTTProtocolVersion.MQTTv5:
            options = SubscribeOptions(qos, retainHandling=retained)
            _, packet = self._client.subscribe([(topic, options) for topic in topics])
        else:
            _, packet = self._client.subscribe([(topic, qos) for topic in topics])
        codes = await self._codes(packet, "SUBSCRIBE")
        if len(codes) != len(topics):
            self._lose(f"the broker answered {len(codes)} of {len(topics)} subscriptions")
            raise ConnectionLost(self.lost.result())
        return [topic for topic, code in zip(topics, codes, strict=True) if code.is_failure]

    async def unsubscribe(self, topics: Sequence[str]) -> None:
        """End these subscriptions; one that the broker does not know is none."""
        _, packet = self._client.unsubscribe(list(topics))
        await self._codes(packet, "UNSUBSCRIBE")

    async def _codes(self, packet: int | None, to: str) -> list[ReasonCode]:
        if packet is None:
            raise ConnectionLost("the connection ended")
        answer = self._answers[packet] = self._loop.create_future()
        self._write()
        return await self._answer(answer, to)

    def read(self, *, on: bool) -> None:
        """Read what the broker sends, or let it wait."""
        if self._file is None or on == self._reading:
            return
        self._reading = on
        if on:
            self._loop.add_reader(self._file, self._readable)
            self._loop.call_soon(self._readable)  # TLS may hold what the socket no longer tells of
        else:
            self._loop.remove_reader(self._file)

    def acknowledge(self, packets: Sequence[int]) -> None:
        """Send PUBACK for these packet ids, in this order; nothing if the connection is lost."""
        if self.lost.done():
            return
        with self._closing_on_failure():
            self._client.acknowledge(packets)
        self._write()

    async def settle(self, within_s: float) -> None:
        """Take no more, and wait until the broker has taken in our acknowledgements: else it would send those again.

        Brokers answer in order, so the answer to any question will do; this one changes nothing.
        """
        self._settling = True
        self.read(on=True)
        with contextlib.suppress(TimeoutError, ConnectionLost):
            await asyncio.wait_for(self.unsubscribe([_NO_TOPIC]), within_s)

    def say(self, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Publish a message; nothing if the connection is lost."""
        if self.lost.done():
            return
        with self._closing_on_failure():
            self._client.publish(topic, body, qos=1 if retain else 0, retain=retain)
        self._write()

    def look_after(self) -> None:
        """Ping, and notice a broker that has gone silent; to be called about once a second."""
        with self._closing_on_failure():
            self._client.loop_misc()
        self._write()

    def close(self) -> None:
        """Say goodbye if that is still possible, and let go of the socket. The broker keeps the session."""
        if not self.lost.done():
            with self._closing_on_failure():
                self._client.disconnect()
        self._lose("closed")

    async def _answer(self, answer: asyncio.Future[_T], to: str) -> _T:
        await asyncio.wait(
            cast("set[asyncio.Future[object]]", {answer, self.lost}),
            timeout=self._address.timeout_s,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if not answer.done():
            self._lose(f"the broker did not answer {to} within {self._address.timeout_s:g} s")
            raise ConnectionLost(self.lost.result())
        return answer.result()

    def _readable(self) -> None:
        with self._closing_on_failure():
            self._client.loop_read()
            if self._reading and self._client.holds_more():
                self._loop.call_soon(self._readable)
        self._write()

    def _hand_on(self, messages: Sequence[Message]) -> None:
        if not self._settling:  # what comes after that is not acknowledged, and stays with the broker
            self._take(messages)

    def _write(self) -> None:
        with self._closing_on_failure():
            if self._client.want_write():
                self._client.loop_write()
        waiting = self._client.want_write() and not self.lost.done()
        if self._file is not None and waiting != self._writing:
            self._writing = waiting
            if waiting:
                self._loop.add_writer(self._file, self._write)
            else:
                self._loop.remove_writer(self._file)

    def _lose(self, why: str) -> None:
        if not self.lost.done():
            self.lost.set_result(why)
        self._let_go()
        if (sock := self._client.socket()) is not None:
            sock.close()

    def _let_go(self) -> None:
        self.read(on=False)
        if self._writing and self._file is not None:
            self._loop.remove_writer(self._file)
        self._writing, self._file = False, None

    @contextlib.contextmanager
    def _closing_on_failure(self) -> Iterator[None]:
        try:
            yield
        except Exception as error:  # noqa: BLE001 -- whatever a packet does to paho costs the connection, not the process
            self._lose(f"{type(error).__name__}: {error}")

    # What paho tells

    def _on_connect(
        self,
        _client: paho.Client,
        _: object,
        flags: paho.ConnectFlags,
        reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._why = f"the broker refuses us: {reason}"
        elif not self._accepted.done():
            self._accepted.set_result(flags.session_present)

    def _on_answer(
        self, _client: paho.Client, _: object, packet: int, codes: list[ReasonCode], _p: Properties | None
    ) -> None:
        answer = self._answers.pop(packet, None)
        if answer is not None and not answer.done():
            answer.set_result(codes)

    def _on_disconnect(
        self,
        _client: paho.Client,
        _: object,
        _f: paho.DisconnectFlags,
        reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        self._lose(self._why or f"the connection ended: {reason}")

    def _on_socket_close(self, _client: paho.Client, _: object, _sock: object) -> None:
        self._let_go()


class _Client(BatchClient):
    """The client of one address, which leaves no socket open where a handshake fails."""

    def __init__(self, address: Address, limits: Limits, take: Callable[[Sequence[Message]], None]) -> None:
        super().__init__(address.client_id, address.version, limits, take)
        self.connect_timeout = address.timeout_s
        if address.user is not None:
            self.username_pw_set(address.user, address.password)
        if address.will is not None:
            self.will_set(*address.will, qos=1, retain=True)
        self._address = address
        if address.tls is not None:
            self.tls_set_context(address.tls)

    def _ssl_wrap_socket(self, tcp_sock: socket.socket) -> ssl.SSLSocket:
        address = self._address
        if address.tls is None:
            raise ConnectionLost("TLS without its settings")
        wrapped = address.tls.wrap_socket(
            tcp_sock, server_hostname=address.host, do_handshake_on_connect=False
        )
        try:
            wrapped.settimeout(address.timeout_s)
            wrapped.do_handshake()
        except BaseException:
            wrapped.close()
            raise
        return wrapped


def _connect_properties(address: Address) -> Properties:
    """What MQTT 5 has to be told at every connect: without an expiry the session ends with the connection."""
    properties = Properties(PacketTypes.CONNECT)  # type: ignore[no-untyped-call]
    properties.SessionExpiryInterval = address.session_expiry_s
    properties.ReceiveMaximum = address.receive_maximum
    return properties
