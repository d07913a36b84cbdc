"""What the decoder's tests say and compare: records of a small plant, and events in a form that can be equal."""

import json
import struct
import uuid
import zlib
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from andon.events import SECOND_NS, Event, Gap, Json, Readings, Waveform, rfc3339
from andon.ports import Decoded, Record, RecordKind
from ingest.decode import MessageDecoder

T0 = 1_700_000_000 * SECOND_NS
BOOT = uuid.UUID(int=7)
PLANT: Mapping[str, Json] = {
    "name": "p",
    "assets": [
        {
            "id": name,
            "name": name,
            "asset_class": "pump",
            "path": "e/s/a/L1/c",
            "points": [
                {"id": "DE", "component": "DE-bearing", "quantities": {"temperature": "Cel", "current": "A"}},
                {"id": "vib", "component": "DE-bearing", "kind": "waveform"},
            ],
        }
        for name in ("M1", "M2", "Press-07")
    ],
}

OPCUA_DATA: Mapping[str, Json] = {
    "type": "opcua.data",
    "node": "nsu=urn:x;s=M1.T",
    "value": 41.5,
    "status": 0,
    "source_time": rfc3339(T0),
    "server_time": None,
}


def topic(asset: str, kind: str = "_telemetry", name: str = "process") -> bytes:
    """A topic of the line."""
    return f"andon/v1/e/s/a/L1/c/{asset}/{kind}/{name}".encode()


def config(document: Mapping[str, Json] = PLANT, received_ns: int = T0) -> Record:
    """The plant, as the engine journals it."""
    body = json.dumps({"version": 1, "document": document}).encode()
    return Record(RecordKind.CONFIG, received_ns, b"", body)


def message(address: bytes, body: bytes | Json, received_ns: int = T0, **more: int) -> Record:
    """One received message; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Record(RecordKind.MESSAGE, received_ns, address, raw, **more)


def telemetry(
    value: float | str | None = 41.2,
    *,
    asset: str = "M1",
    name: str = "DE/temperature",
    at_ns: int | None = T0,
    received_ns: int | None = None,
    connection: int = 0,
    packet: int = 0,
    flags: int = 0,
    metric: Mapping[str, Json] | None = None,
    **envelope: Json,
) -> Record:
    """One telemetry message of one value."""
    values = {"name": name, "value": value} | dict(metric or {})
    body: dict[str, Json] = {
        "specversion": "1.0",
        "type": "andon.telemetry.v1",
        "data": {"metrics": [values]},
        **envelope,
    }
    if at_ns is not None:
        body["time"] = rfc3339(at_ns)
    received_ns = received_ns if received_ns is not None else (at_ns or T0)
    return message(topic(asset), body, received_ns, connection=connection, packet=packet, flags=flags)


def stop(
    reason: str = "E1",
    *,
    asset: str = "M1",
    active: bool = True,
    at_ns: int = T0,
    data: Mapping[str, Json] | None = None,
    **envelope: Json,
) -> Record:
    """A stop message; `data` replaces fields of it."""
    fields: dict[str, Json] = {
        "state": "Stopped",
        "state_num": 2,
        "mode": "Production",
        "reason": {"id": reason, "value": 3, "message": "jam", "category": "mechanical", "trigger": active},
        "start_time": rfc3339(at_ns) if active else None,
        "end_time": None if active else rfc3339(at_ns),
        "severity": 700,
        "source_system": "mes",
    }
    body = {
        "type": "andon.machine.stop.v1",
        "time": rfc3339(at_ns),
        "data": fields | dict(data or {}),
        **envelope,
    }
    return message(topic(asset, "_event", "stop"), body, at_ns)


def block(
    samples: Sequence[float] = (1, -2, 3),
    *,
    at_ns: int = T0,
    rate_hz: float = 1000.0,
    scale: float = 0.5,
    offset: float = 0.0,
    number: int = 0,
    boot: uuid.UUID = BOOT,
    code: int = 1,
    channels: int = 1,
    n: int | None = None,
    tail: bytes = b"\x01\x01g",
    header_bytes: int | None = None,
    magic: bytes = b"AWB1",
    version: int = 1,
    crc: int | None = None,
) -> bytes:
    """An AWB1 block, written from the wire contract; what is wrong in it can be chosen."""
    payload = np.array(samples, {1: "<i2", 2: "<i4", 3: "<f4"}.get(code, "<i2")).tobytes()
    head = struct.pack(
        "<4sBBHQdIHffQ16s",
        magic,
        version,
        code,
        66 + len(tail) if header_bytes is None else header_bytes,
        at_ns,
        rate_hz,
        len(samples) // channels if n is None else n,
        channels,
        scale,
        offset,
        number,
        boot.bytes,
    )
    real = zlib.crc32(tail + payload, zlib.crc32(head))
    return head + struct.pack("<I", real if crc is None else crc) + tail + payload


def gap_record(
    *, count: int = 0, asset: str | None = None, received_ns: int = T0, cause: str = "connection"
) -> Record:
    """A GAP record of a source."""
    body = {
        "asset": asset,
        "point": None,
        "from_ns": received_ns,
        "to_ns": None,
        "cause": cause,
        "backfilled": False,
        "count": count,
    }
    return Record(RecordKind.GAP, received_ns, b"", json.dumps(body).encode())


def tick(received_ns: int = T0) -> Record:
    """The engine's clock."""
    return Record(RecordKind.TICK, received_ns, b"", b"")


def decoder() -> MessageDecoder:
    """A decoder that knows the plant."""
    made = MessageDecoder()
    made.decode("engine", 0, [config()])
    return made


def is_balanced(decoded: Decoded) -> bool:
    """The law: every message is counted once, and there is a dead letter for each that was refused."""
    counts = decoded.counts
    refused = sum(count for name, count in counts.items() if name.startswith("refused."))
    ends = counts["stored"] + counts["duplicates"] + counts["ignored"] + counts["overflow"] + refused
    return counts["received"] == ends and refused == len(decoded.dead_letters)


def rows(readings: Readings) -> list[tuple[Json, ...]]:
    """The rows of a block as (channel, unit, at_ns, value, quality)."""
    columns = zip(readings.channel, readings.at_ns, readings.value, readings.quality, strict=True)
    return [
        (readings.channels[c], readings.units[c], int(at), repr(float(value)), int(quality))
        for c, at, value, quality in columns
    ]


def said(event: Event) -> Json:
    """An event that is no block of readings, in a form that can be compared."""
    if isinstance(event, Waveform):
        return ("wave", event.point, event.at_ns, event.samples.tobytes(), event.origin.position)
    if isinstance(event, Gap):
        return ("gap", event.asset, event.from_ns, event.to_ns, event.backfilled, event.origin.position)
    return repr(event)


def streams(
    events: Iterable[Event], assets: Iterable[str] = ("M1", "M2", "Press-07")
) -> dict[str | None, list[Json]]:
    """What each asset sees, in order, blocks split into rows; None sees all that are no readings."""
    seen: dict[str | None, list[Json]] = {name: [] for name in (*assets, None)}
    for event in events:
        if isinstance(event, Readings):
            seen[event.asset] += rows(event)
            continue
        asset = getattr(event, "asset", None)
        for name, stream in seen.items():
            if name is None or asset in {None, name}:
                stream.append(said(event))
    return seen


def once(*records: Record) -> Decoded:
    """What becomes of these records of one source."""
    decoded = decoder().decode("s", 0, records)
    assert is_balanced(decoded)
    return decoded


def reason(record: Record) -> str:
    """The reason why this one record is refused."""
    decoded = once(record)
    assert not decoded.events
    (letter,) = decoded.dead_letters
    assert decoded.counts[f"refused.{letter.reason}"] == 1
    return letter.reason
