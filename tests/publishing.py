"""A publisher as in a plant: paho-mqtt on a thread, which keeps what is not acknowledged and connects anew by itself."""

import asyncio
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion

WAIT_S = 20.0
TOPIC = "andon/v1/acme/sz/a1/l1/c1/m7/_telemetry/t"


class Publisher:
    """Publishes numbered messages with QoS 1 and remembers which were acknowledged; a `with`."""

    def __init__(
        self, port: int, *, protocol: str = "3.1.1", client_id: str = "publisher", login: bool = True
    ) -> None:
        version = MQTTProtocolVersion.MQTTv5 if protocol == "5" else MQTTProtocolVersion.MQTTv311
        self.client = paho.Client(
            CallbackAPIVersion.VERSION2,
            client_id,
            protocol=version,
            clean_session=None if protocol == "5" else False,
        )
        if login:
            self.client.username_pw_set("press", "secret")
        self.client.reconnect_delay_set(min_delay=1, max_delay=1)
        self.client.max_inflight_messages_set(100)
        self.client.max_queued_messages_set(0)
        self.client.on_publish = self._on_publish
        self.client.on_connect = self._on_connect
        self._port = port
        self._bodies: dict[int, bytes] = {}
        self.connected = threading.Event()
        self.reasons: list[str] = []
        self._acknowledged: set[int] = set()

    def __enter__(self) -> Self:
        self.client.connect_async("127.0.0.1", self._port, keepalive=5)
        self.client.loop_start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.client.disconnect()
        self.client.loop_stop()

    def publish(self, topic: str, body: bytes) -> None:
        """Hand a message to paho."""
        self._bodies[self.client.publish(topic, body, qos=1).mid] = body

    @property
    def acknowledged(self) -> set[bytes]:
        """The bodies of the acknowledged messages."""
        return {self._bodies[mid] for mid in list(self._acknowledged)}

    def wait_for(self, count: int) -> None:
        """Wait until so many are acknowledged."""
        give_up_s = time.monotonic() + WAIT_S
        while len(self._acknowledged) < count:
            assert time.monotonic() < give_up_s, f"{len(self._acknowledged)} of {count} are acknowledged"
            time.sleep(0.002)

    def _on_publish(self, _client: Any, _: Any, mid: int, _reason: Any, _properties: Any) -> None:
        self._acknowledged.add(mid)

    def _on_connect(self, _client: Any, _: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        self.reasons.append(str(reason))
        if not reason.is_failure:
            self.connected.set()


def publish(
    port: int, bodies: Sequence[bytes], topic: str = TOPIC, *, qos: int = 1, retain: bool = False
) -> None:
    """Publish without a login, in this order, and return when the broker has taken all of it."""
    with Publisher(port, login=False) as publisher:
        assert publisher.connected.wait(WAIT_S)  # before that paho sends out of order, and twice
        for told in [publisher.client.publish(topic, body, qos, retain) for body in bodies]:
            told.wait_for_publish(WAIT_S)


async def published(
    port: int, bodies: Sequence[bytes], topic: str = TOPIC, *, qos: int = 1, retain: bool = False
) -> None:
    """The same beside other tasks."""
    await asyncio.to_thread(publish, port, bodies, topic, qos=qos, retain=retain)
