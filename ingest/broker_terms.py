"""What a broker grants whoever connects: asked for once, under a name of our own, so that no session is disturbed."""

import secrets
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion, MQTTProtocolVersion
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode

from ingest.mqtt_parameters import Parameters, address

WAIT_S = 3.0
_UNSUPPORTED = 132


@dataclass(slots=True)
class Terms:
    """What it answered; `trouble` says why it did not. None is what the broker does not limit, or does not say."""

    wanted: Parameters
    protocol: str = "5"
    trouble: str = ""
    packet_max: int | None = None
    qos_max: int | None = None
    is_shared: bool = True
    expiry_s: int | None = None

    def limits(self) -> Iterator[tuple[str, str]]:
        """(what the broker does not let pass, what to do about it)."""
        wanted = self.wanted
        if self.packet_max is not None and self.packet_max < wanted.waveform_max_bytes:
            text = f"it takes packets of {self.packet_max:,} bytes, and waveforms may be {wanted.waveform_max_bytes:,}"
            yield text, "raise its packet limit (mosquitto: max_packet_size), or lower waveform_max_bytes"
        if self.qos_max is not None and self.qos_max < wanted.qos:
            yield (
                f"it grants QoS {self.qos_max} at most: what it cannot deliver at once is lost",
                "raise its QoS",
            )
        if wanted.shared_group is not None and not self.is_shared:
            yield "it knows no shared subscriptions", "take shared_group out"
        if self.expiry_s is not None and wanted.protocol == "5" and self.expiry_s < wanted.session_expiry_s:
            text = f"it keeps our session for {self.expiry_s:,} s, not {wanted.session_expiry_s:,}"
            yield text, "raise its session expiry: what comes while Andon is down longer is lost"


def terms_of(parameters: Parameters) -> Terms:
    """Ask the broker by MQTT 5, and by 3.1.1, which tells no limits, if it does not know that."""
    terms = _asked(parameters, MQTTProtocolVersion.MQTTv5)
    if terms.trouble and terms.protocol == "3.1.1":
        terms = _asked(parameters, MQTTProtocolVersion.MQTTv311)
        terms.protocol = "3.1.1"
    return terms


@dataclass(slots=True)
class _Answer:
    came: threading.Event = field(default_factory=threading.Event)
    reason: ReasonCode | None = None
    properties: Properties | None = None


def _asked(parameters: Parameters, version: MQTTProtocolVersion) -> Terms:
    terms, answer = Terms(parameters), _Answer()
    where = f"{parameters.host}:{parameters.port}"
    client = paho.Client(
        CallbackAPIVersion.VERSION2,
        f"andon-check-{secrets.token_hex(4)}",
        protocol=version,
        reconnect_on_failure=False,
    )

    def connected(
        _client: paho.Client,
        _state: object,
        _flags: paho.ConnectFlags,
        reason: ReasonCode,
        properties: Properties | None,
    ) -> None:
        answer.reason, answer.properties = reason, properties
        answer.came.set()

    client.on_connect = connected
    client.connect_timeout = WAIT_S
    try:
        to = address(parameters)
        if to.user is not None:
            client.username_pw_set(to.user, to.password)
        if to.tls is not None:
            client.tls_set_context(to.tls)
        client.connect(parameters.host, parameters.port, keepalive=30)
        client.loop_start()
        answer.came.wait(WAIT_S)
    except (OSError, ValueError) as error:
        terms.trouble = f"{where} cannot be reached: {error}"
        return terms
    finally:
        client.disconnect()
        client.loop_stop()
    return _read(terms, answer, where)


def _read(terms: Terms, answer: _Answer, where: str) -> Terms:
    if answer.reason is None:
        terms.trouble, terms.protocol = f"{where} does not answer", "3.1.1"
    elif answer.reason.is_failure:
        terms.trouble = f"{where} refuses: {answer.reason}"
        terms.protocol = "3.1.1" if answer.reason.value == _UNSUPPORTED else "5"
    elif answer.properties is not None:
        told = answer.properties
        terms.packet_max = getattr(told, "MaximumPacketSize", None)
        terms.qos_max = getattr(told, "MaximumQoS", None)
        terms.is_shared = bool(getattr(told, "SharedSubscriptionAvailable", 1))
        terms.expiry_s = getattr(told, "SessionExpiryInterval", None)
    return terms
