"""What leaves the plant, as bytes: CloudEvents-named JSON and AWB1 waveform blocks.

Written from the wire contract alone and sharing nothing with the decoder, so that each checks the other.
"""

import json
import struct
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from andon.events import Json, rfc3339

NAMESPACE = "urn:andon:simulated-plant"
"""Of the nodes and the event type that the plant serves over OPC UA."""

AWB1 = "<4sBBHQdIHffQ16s"  # the fixed header without the crc32 that ends it
I16, I32, F32 = 1, 2, 3
_RAW_TYPES = {I16: np.dtype("<i2"), I32: np.dtype("<i4"), F32: np.dtype("<f4")}
_UNIT, _RPM, _SENSOR, _SYNC = 1, 2, 3, 4


Channel = Literal["mqtt", "opcua"]


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """One PUBLISH, due at `at_ns`."""

    channel: ClassVar[Channel] = "mqtt"
    at_ns: int
    topic: str
    body: bytes
    retain: bool = False


@dataclass(frozen=True, slots=True)
class OpcuaValue:
    """One variable of the address space takes a value, due at `at_ns`; `source_ns` is its SourceTimestamp."""

    channel: ClassVar[Channel] = "opcua"
    at_ns: int
    node: str
    value: float
    source_ns: int


@dataclass(frozen=True, slots=True)
class OpcuaEvent:
    """One event of the machine-stop type, due at `at_ns`, with the same fields as the stop message on MQTT."""

    channel: ClassVar[Channel] = "opcua"
    at_ns: int
    event_id: bytes
    asset: str
    state: str
    reason_id: str
    reason_value: int
    reason_message: str
    reason_category: str
    severity: int
    active: bool
    time_ns: int


Item = MqttMessage | OpcuaValue | OpcuaEvent


@dataclass(frozen=True, slots=True)
class Stamp:
    """Who says it, as which message: producer, boot (its 16 bytes) and the number since that boot."""

    producer: str
    boot: bytes
    seq: int


def envelope(
    *,
    message_id: str,
    source: str,
    kind: str,
    at_ns: int,
    subject: str,
    data: Json,
    stamp: Stamp | None = None,
) -> bytes:
    """The JSON envelope with CloudEvents 1.0 names."""
    whole: dict[str, Json] = {
        "specversion": "1.0",
        "id": message_id,
        "source": source,
        "type": kind,
        "time": rfc3339(at_ns),
        "subject": subject,
        "datacontenttype": "application/json",
        "data": data,
    }
    if stamp is not None:
        whole |= {"producer": stamp.producer, "boot": stamp.boot.hex(), "seq": stamp.seq}
    return json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode()


def metrics(values: Sequence[tuple[str, float, str]]) -> Mapping[str, Json]:
    """The data of a telemetry message: (channel, value, unit) each, quality Good."""
    return {
        "metrics": [
            {"name": name, "value": value, "unit": unit, "quality": 0} for name, value, unit in values
        ]
    }


def waveform_block(
    raw: NDArray[Any],
    *,
    at_ns: int,
    rate_hz: float,
    scale: float,
    boot: bytes,
    block_seq: int,
    unit: str = "g",
    sensor: str = "",
    rpm: float | None = None,
) -> bytes:
    """An AWB1 block of raw samples, shape (n,) or (n, channels), int16, int32 or float32; value = raw x scale.

    TypeError for any other type of sample.
    """
    dtype = next((code for code, known in _RAW_TYPES.items() if raw.dtype == known), None)
    if dtype is None:
        raise TypeError(f"AWB1 holds int16, int32 or float32 samples, not {raw.dtype}")
    extras = _extras(unit, sensor, rpm)
    channels = 1 if raw.ndim == 1 else raw.shape[1]
    header_len = struct.calcsize(AWB1) + 4 + len(extras)
    head = struct.pack(
        AWB1,
        b"AWB1",
        1,
        dtype,
        header_len,
        at_ns,
        rate_hz,
        raw.shape[0],
        channels,
        scale,
        0.0,
        block_seq,
        boot,
    )
    rest = extras + raw.tobytes()
    return head + struct.pack("<I", zlib.crc32(rest, zlib.crc32(head))) + rest


def _extras(unit: str, sensor: str, rpm: float | None) -> bytes:
    extras = _tlv(_UNIT, unit.encode()) + _tlv(_SYNC, b"\x00")
    if rpm is not None:
        extras += _tlv(_RPM, struct.pack("<f", rpm))
    return extras + _tlv(_SENSOR, sensor.encode()) if sensor else extras


def _tlv(kind: int, value: bytes) -> bytes:
    return struct.pack("<BB", kind, len(value)) + value
