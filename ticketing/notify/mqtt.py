"""CloudEvents to a broker, QoS 1, on a connection of its own: what others build on without asking for it.

It never speaks where machines do: topics of Sparkplug and of Andon's own layout are refused.
"""

import ssl
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from andon.config import Secret, is_loopback
from andon.ports import Message, NotifyError
from ticketing.cloud_events import as_json, cloud_event
from ticketing.subscriptions import Audience

PLANTS = ("spBv1.0/", "andon/v1/", "STATE/", "$")
"""Where machines, hosts and brokers speak."""


class Parameters(BaseModel):
    """The broker and the topic."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    host: str = Field(description="the broker")
    port: int = Field(default=8883, ge=1, le=65535, description="8883 with TLS, 1883 without")
    topic: str = Field(
        default="andon-events/{type}",
        description="{type}, {ticket}, {asset}, {line}, {priority} are filled in",
    )
    client_id: str = Field(default="andon-notify", min_length=1, description="its name at the broker")
    user: str | None = Field(default=None, description="login, if the broker asks for one")
    password: Secret | None = Field(default=None, description="its password")
    tls: bool = Field(default=True, description="without it only to this machine")
    ca: Path | None = Field(default=None, description="PEM file: who signed the broker's certificate")
    timeout_s: float = Field(default=10.0, gt=0, le=120, description="s; until the broker has confirmed")

    @field_validator("topic")
    @classmethod
    def _no_plant(cls, topic: str) -> str:
        if topic.startswith(PLANTS):
            raise ValueError(f"machines speak on {topic}; Andon does not")
        if "+" in topic or "#" in topic or topic_of(topic, {}, "", "").endswith("/"):
            raise ValueError("it names one topic, without wildcards or an end that is empty")
        return topic

    @model_validator(mode="after")
    def _private(self) -> Self:
        if not self.tls and not is_loopback(self.host):
            raise ValueError(f"events to {self.host} would leave this machine in the clear; use tls")
        return self


class Notifier:
    """Connects when there is something to say, and stays; a message is delivered when the broker confirms it."""

    kind = "mqtt"
    audience = Audience.SYSTEMS

    def __init__(self, parameters: Parameters) -> None:
        self._parameters = parameters
        self._password = parameters.password.read() if parameters.password else None
        self._client: paho.Client | None = None
        self._refused: dict[int, str] = {}
        self._why = ""
        self._answer = threading.Event()

    def send(self, message: Message, now_ns: int) -> str:  # noqa: ARG002 - the broker has no clock
        """Publish and wait for the confirmation; NotifyError, with a new connection next time, if none comes."""
        client = self._client = self._client or self._connected()
        where = topic_of(self._parameters.topic, message.content, message.ticket, cloud_type(message))
        properties = Properties(PacketTypes.PUBLISH)  # type: ignore[no-untyped-call]
        properties.ContentType = "application/cloudevents+json"
        try:
            sent = client.publish(where, as_json(message), qos=1, properties=properties)
            sent.wait_for_publish(self._parameters.timeout_s)
            refused = self._refused.pop(sent.mid, None)
            confirmed = sent.is_published() and refused is None
        except (ValueError, RuntimeError, OSError) as error:
            self.close()
            raise NotifyError(f"{self._place()}: {self._why or error}", permanent=False) from error
        if not confirmed:
            self.close()
            why = refused or self._why or f"not confirmed within {self._parameters.timeout_s:g} s"
            raise NotifyError(f"{self._place()}: {why}", permanent=False)
        return f"confirmed on {where}"

    def close(self) -> None:
        """End the connection."""
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            client.loop_stop()

    def _connected(self) -> paho.Client:
        given = self._parameters
        client = paho.Client(
            CallbackAPIVersion.VERSION2, client_id=given.client_id, protocol=MQTTProtocolVersion.MQTTv5
        )
        if given.user is not None:
            client.username_pw_set(given.user, self._password)
        if given.tls:
            client.tls_set_context(ssl.create_default_context(cafile=str(given.ca) if given.ca else None))
        client.connect_timeout = given.timeout_s
        client.on_connect = self._answered
        client.on_publish = self._confirmed
        try:
            client.connect(given.host, given.port, keepalive=30)
        except (OSError, ValueError) as error:
            raise NotifyError(f"{self._place()}: {error}", permanent=False) from error
        self._answer.clear()
        client.loop_start()
        if not self._answer.wait(given.timeout_s) or self._why:
            client.disconnect()
            client.loop_stop()
            why = self._why or f"no answer within {given.timeout_s:g} s"
            raise NotifyError(f"{self._place()}: {why}", permanent=False)
        return client

    def _answered(
        self, _client: paho.Client, _data: object, _flags: object, reason: ReasonCode, _properties: object
    ) -> None:
        self._why = str(reason) if reason.is_failure else ""
        self._answer.set()

    def _confirmed(
        self, _client: paho.Client, _data: object, mid: int, reason: ReasonCode, _properties: object
    ) -> None:
        if reason.is_failure:  # MQTT 5 confirms what it refuses, too
            self._refused[mid] = str(reason)

    def _place(self) -> str:
        return f"{self._parameters.host}:{self._parameters.port}"


def cloud_type(message: Message) -> str:
    """The topic of the catalogue that a message is on."""
    return str(cloud_event(message)["type"])


def topic_of(template: str, content: Mapping[str, object], ticket: str, kind: str) -> str:
    """The topic that a template gives; what would be a level or a wildcard of its own becomes `_`.

    >>> topic_of("plant/{line}/{type}", {"line": "L2/a+"}, "A-1", "andon.ticket.opened.v1")
    'plant/L2_a_/andon.ticket.opened.v1'
    """
    filled = {"type": kind or "-", "ticket": ticket or "-"} | {
        name: str(content.get(name) or "-") for name in ("asset", "line", "priority")
    }
    for name, value in filled.items():
        template = template.replace(f"{{{name}}}", value.translate(_LEVELS))
    return template


_LEVELS = str.maketrans("/+#\0", "____")
