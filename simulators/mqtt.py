"""A publisher that loses nothing: QoS 1, a bounded number in flight, sent again until acknowledged.

paho-mqtt talks to the broker on its own thread and publishes again, after a reconnect, what was not
acknowledged; everything else happens on the event loop.
"""

import asyncio
import ssl
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

IN_FLIGHT = 64
KEEPALIVE_S = 30


class Publisher:
    """A connection to a broker or listener, kept up until it is left: `async with Publisher(...) as publisher`."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        client_id: str,
        username: str | None = None,
        password: str | None = None,
        in_flight: int = IN_FLIGHT,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.acknowledged = 0
        self.refusal: str | None = None
        self._address = host, port
        self._in_flight = in_flight
        self._unacknowledged: dict[int, int] = {}
        self._moved = asyncio.Event()
        self._connected = asyncio.Event()
        self._client = paho.Client(CallbackAPIVersion.VERSION2, client_id=client_id)
        self._client.max_inflight_messages_set(in_flight)
        self._client.reconnect_delay_set(min_delay=1, max_delay=4)
        if username is not None:
            self._client.username_pw_set(username, password)
        if tls is not None:
            self._client.tls_set_context(tls)

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        self._client.on_connect = self._on_connect
        self._client.on_disconnect = self._on_disconnect
        self._client.on_publish = self._on_publish
        self._client.connect_async(*self._address, keepalive=KEEPALIVE_S)
        self._client.loop_start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._client.disconnect()
        await asyncio.to_thread(self._client.loop_stop)

    @property
    def connected(self) -> bool:
        """Whether the broker has accepted the connection."""
        return self._connected.is_set()

    async def publish(self, at_ns: int, topic: str, body: bytes, *, retain: bool = False) -> None:
        """Send it, as soon as there is a connection and room in flight."""
        while len(self._unacknowledged) >= self._in_flight or not self.connected:
            await self._next_move()
        sent = self._client.publish(topic, body, qos=1, retain=retain)
        self._unacknowledged[sent.mid] = at_ns

    def acknowledged_until(self, published_ns: int) -> int:
        """The time before which everything is acknowledged, if everything before `published_ns` was published."""
        return min(self._unacknowledged.values(), default=published_ns)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all is acknowledged; False if it is not by then."""
        try:
            async with asyncio.timeout(timeout_s):
                while self._unacknowledged:
                    await self._next_move()
        except TimeoutError:
            return False
        return True

    async def _next_move(self) -> None:
        self._moved.clear()
        await self._moved.wait()

    def _on_connect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._note_connection, None if not reason.is_failure else str(reason))

    def _on_disconnect(
        self,
        _client: paho.Client,
        _userdata: object,
        _flags: paho.DisconnectFlags,
        _reason: ReasonCode,
        _p: Properties | None,
    ) -> None:
        self._loop.call_soon_threadsafe(self._connected.clear)

    def _on_publish(
        self, _client: paho.Client, _userdata: object, mid: int, _reason: ReasonCode, _p: Properties
    ) -> None:
        self._loop.call_soon_threadsafe(self._note_acknowledged, mid)

    def _note_connection(self, refusal: str | None) -> None:
        self.refusal = refusal
        if refusal is None:
            self._connected.set()
        self._moved.set()

    def _note_acknowledged(self, mid: int) -> None:
        if self._unacknowledged.pop(mid, None) is not None:
            self.acknowledged += 1
        self._moved.set()
