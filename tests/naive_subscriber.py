"""A subscriber as the first page of a tutorial has it: paho-mqtt with its defaults, on its own thread."""

import threading
import time
from collections.abc import Callable, Sequence
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

WAIT_S = 10.0


class NaiveSubscriber:
    """Connects, subscribes and remembers what comes; a `with`. What a trap is about can be set."""

    def __init__(
        self,
        port: int,
        topics: Sequence[str],
        *,
        protocol: str = "3.1.1",
        client_id: str = "naive",
        qos: int = 1,
        expiry_s: int | None = None,
        clean_start: bool | None = None,
        manual_ack: bool = False,
        on_body: Callable[[bytes], None] | None = None,
    ) -> None:
        self._five = protocol == "5"
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=MQTTProtocolVersion.MQTTv5 if self._five else MQTTProtocolVersion.MQTTv311,
            clean_session=None if self._five else False,
            manual_ack=manual_ack,
        )
        self.client.reconnect_delay_set(1, 1)
        self.client.on_connect, self.client.on_message = self._on_connect, self._on_message
        self.client.on_subscribe = self._on_subscribe
        self._port, self._topics, self._qos = port, topics, qos
        self._expiry_s, self._clean_start, self._on_body = expiry_s, clean_start, on_body
        self._dead = False
        self.messages: list[paho.MQTTMessage] = []
        self.sessions: list[bool] = []
        self.subscribed = threading.Semaphore(0)

    def __enter__(self) -> Self:
        options: dict[str, Any] = {}
        if self._expiry_s is not None:
            options["properties"] = Properties(PacketTypes.CONNECT)
            options["properties"].SessionExpiryInterval = self._expiry_s
        if self._clean_start is not None:
            options["clean_start"] = self._clean_start
        self.client.connect("127.0.0.1", self._port, **options)
        self.client.loop_start()
        self.wait_subscribed()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._dead:
            self.client.disconnect()
            self.client.loop_stop()

    @property
    def bodies(self) -> list[bytes]:
        """What has come, in its order."""
        return [bytes(message.payload) for message in list(self.messages)]

    def wait_subscribed(self) -> None:
        """Wait for the next SUBACK."""
        assert self.subscribed.acquire(timeout=WAIT_S)

    def wait_for(self, count: int) -> list[bytes]:
        """Wait until so many have come."""
        give_up_s = time.monotonic() + WAIT_S
        while len(self.messages) < count:
            assert time.monotonic() < give_up_s, f"{len(self.messages)} of {count} have come"
            time.sleep(0.002)
        return self.bodies

    def die(self) -> None:
        """Go without a word, as a process that is killed."""
        self._dead = True
        self.client.loop_stop()
        sock = self.client.socket()
        assert sock is not None
        sock.close()

    def _on_connect(self, client: Any, _: Any, flags: Any, *_more: Any) -> None:
        self.sessions.append(flags.session_present)
        client.subscribe([(topic, self._qos) for topic in self._topics])

    def _on_subscribe(self, *_: Any) -> None:
        self.subscribed.release()

    def _on_message(self, _client: Any, _: Any, message: paho.MQTTMessage) -> None:
        self.messages.append(message)
        if self._on_body is not None:
            self._on_body(bytes(message.payload))
