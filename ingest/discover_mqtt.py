"""Listens to a broker for a while, as a guest that leaves no trace: a clean session of its own, QoS 0, bounded memory."""

import secrets
import ssl
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from andon.clock import Now

MAX_TOPICS = 20_000
MAX_SAMPLES = 3
MAX_BYTES = 64 * 1024 * 1024
"""Of samples in all; beyond that topics are counted and no longer kept."""
_CONNECT_S = 10.0
_TURN_S = 0.1


class NotHeard(Exception):
    """The broker could not be listened to; the text says why."""


@dataclass(slots=True)
class Heard:
    """One topic: how often, how large, and a few payloads. `sizes` are the smallest and largest.

    `longest_ns` is the longest time between two messages, `spoke_ns` when it spoke first and last.
    """

    count: int = 0
    longest_ns: int = 0
    spoke_ns: tuple[int, int] = (0, 0)
    sizes: tuple[int, int] = (0, 0)
    retained: int = 0
    samples: list[bytes] = field(default_factory=list)
    received_ns: list[int] = field(default_factory=list)


@dataclass(slots=True)
class Minute:
    """What was heard in `seconds`; `beyond` messages were of topics that there was no room for."""

    seconds: float = 0.0
    messages: int = 0
    size: int = 0
    kept: int = 0
    beyond: int = 0
    topics: dict[str, Heard] = field(default_factory=dict)

    def hear(self, topic: str, body: bytes, received_ns: int, *, retained: bool) -> None:
        """Take note of a message."""
        self.messages += 1
        self.size += len(body)
        heard = self.topics.get(topic)
        if heard is None:
            if len(self.topics) >= MAX_TOPICS:
                self.beyond += 1
                return
            heard = self.topics[topic] = Heard(sizes=(len(body), len(body)))
        if heard.count:
            heard.longest_ns = max(heard.longest_ns, received_ns - heard.spoke_ns[1])
        heard.spoke_ns = (heard.spoke_ns[0] or received_ns, received_ns)
        heard.count += 1
        heard.retained += retained
        heard.sizes = (min(heard.sizes[0], len(body)), max(heard.sizes[1], len(body)))
        if self.kept + len(body) > MAX_BYTES or body in heard.samples:
            return
        if len(heard.samples) >= MAX_SAMPLES:
            return
        self.kept += len(body)
        heard.samples.append(body)
        heard.received_ns.append(received_ns)


@dataclass(frozen=True, slots=True)
class Broker:
    """Where to listen and who is asking."""

    host: str
    port: int
    tls: bool = False
    ca: Path | None = None
    user: str | None = None
    password: str | None = None


def listen(
    broker: Broker, topics: tuple[str, ...], seconds: float, now: Now, turn: Callable[[float, Minute], None]
) -> Minute:
    """What comes within so many seconds; `turn` is told the seconds passed several times a second. Else NotHeard."""
    ear = _Ear(broker, topics, now)
    try:
        ear.client.connect(broker.host, broker.port, keepalive=30)
    except OSError as error:
        raise NotHeard(f"{broker.host}:{broker.port}: {error}") from error
    ear.client.loop_start()
    try:
        if not ear.answered.wait(_CONNECT_S) or ear.trouble:
            raise NotHeard(ear.trouble or f"no answer within {_CONNECT_S:.0f} s")
        begun_s = time.monotonic()
        while (passed_s := time.monotonic() - begun_s) < seconds:
            with ear.lock:
                turn(passed_s, ear.minute)
            time.sleep(min(_TURN_S, seconds - passed_s))
    finally:
        ear.client.disconnect()
        ear.client.loop_stop()
    ear.minute.seconds = seconds
    return ear.minute


class _Ear:
    """The connection: its callbacks run on paho's thread and touch the minute under the lock only."""

    def __init__(self, broker: Broker, topics: tuple[str, ...], now: Now) -> None:
        self.minute = Minute()
        self.lock = threading.Lock()
        self.answered = threading.Event()
        self.trouble = ""
        self._topics = topics
        self._now = now
        name = f"andon-discover-{secrets.token_hex(4)}"
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id=name, clean_session=True)
        self.client.connect_timeout = _CONNECT_S
        if broker.user is not None:
            self.client.username_pw_set(broker.user, broker.password)
        if broker.tls:
            self.client.tls_set_context(
                ssl.create_default_context(cafile=None if broker.ca is None else str(broker.ca))
            )
        self.client.on_connect = self._connected
        self.client.on_subscribe = self._subscribed
        self.client.on_message = self._heard

    def _connected(
        self,
        client: paho.Client,
        _state: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        _properties: Properties | None,
    ) -> None:
        if reason.is_failure:
            self._give_up(f"the broker says: {reason}")
        else:
            client.subscribe([(topic, 0) for topic in self._topics])

    def _subscribed(
        self,
        _client: paho.Client,
        _state: object,
        _mid: int,
        reasons: list[ReasonCode],
        _properties: Properties | None,
    ) -> None:
        refused = [topic for topic, reason in zip(self._topics, reasons, strict=False) if reason.is_failure]
        if refused:
            self._give_up(f"the broker refuses {', '.join(refused)}")
        self.answered.set()

    def _give_up(self, why: str) -> None:
        self.trouble = why
        self.answered.set()

    def _heard(self, _client: paho.Client, _state: object, message: paho.MQTTMessage) -> None:
        with self.lock:
            try:
                self.minute.hear(message.topic, bytes(message.payload), self._now(), retained=message.retain)
            except UnicodeDecodeError:  # a topic that is not UTF-8
                self.minute.beyond += 1
