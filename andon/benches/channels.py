"""What a value costs with 10 channels and with 100,000, and what the decoder remembers of each (goal G6)."""

import json
import time
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from andon.benches import Row
from andon.clock import wall
from andon.events import Json, Readings, rfc3339
from andon.ports import Record, RecordKind, State
from ingest.decode import MessageDecoder

CHANNELS = (10, 1_000, 100_000)
_POINTS, _VALUES, _RUN = 20, 10, 500
_LIMIT_RATIO, _LIMIT_BYTES = 1.3, 4096.0


def rows(step: Callable[[str], None], channels: Sequence[int] = CHANNELS, messages: int = 5_000) -> list[Row]:
    """Messages of ten values, each message of the next machine, through the decoder."""
    found: list[Row] = []
    for count in channels:
        step(f"decode, {count:,} channels")
        cost_us, kept = cost(count, max(messages, 2 * count // _VALUES))
        first = found[0].value if found else None
        found.append(
            Row(
                f"decode, {count:,} channels",
                cost_us,
                "µs CPU per value",
                f"{channels[0]:,} channels" if first else None,
                cost_us / first if first else None,
                "G6" if first else None,
                _LIMIT_RATIO if first else None,
            )
        )
    bytes_each = kept / channels[-1]
    last = f"decoder state, {channels[-1]:,} channels"
    return [*found, Row(last, bytes_each, "bytes per channel", goal="G6", limit=_LIMIT_BYTES)]


def cost(channels: int, messages: int) -> tuple[float, int]:
    """CPU per value in microseconds once every channel has spoken, and the bytes of the decoder's state."""
    decoder = MessageDecoder()
    machines = max(1, channels // _POINTS)
    points = min(channels, _POINTS)
    decoder.decode("engine", 0, [_plant(machines, points)])
    spoken = machines * max(1, points // _VALUES)  # messages until every channel has been told once
    used_s, done = 0.0, 0
    for first in range(0, spoken + messages, _RUN):
        records = [_message(number, machines, points) for number in range(first, first + _RUN)]
        began_s = time.process_time()
        decoded = decoder.decode("floor", first, records)
        if first >= spoken:
            used_s += time.process_time() - began_s
            done += sum(len(event.value) for event in decoded.events if isinstance(event, Readings))
    return used_s / done * 1e6, _size(decoder.snapshot())


def _plant(machines: int, points: int) -> Record:
    listed = [{"id": f"P{p}", "component": f"C{p}", "quantities": {"current": "A"}} for p in range(points)]
    assets = [
        {"id": f"m{a}", "name": f"m{a}", "asset_class": "motor", "path": "e/s/a/l/c", "points": listed}
        for a in range(machines)
    ]
    body = json.dumps({"version": 1, "document": {"name": "bench", "assets": assets}}).encode()
    return Record(RecordKind.CONFIG, wall(), b"", body)


def _message(number: int, machines: int, points: int) -> Record:
    machine, seq = number % machines, number // machines
    first = seq * _VALUES % points
    metrics = [{"name": f"P{(first + p) % points}/current", "value": p + seq / 8} for p in range(_VALUES)]
    now_ns = wall()
    body: Mapping[str, Json] = {
        "type": "andon.telemetry.v1",
        "time": rfc3339(now_ns),
        "producer": f"m{machine}",
        "boot": "b1",
        "seq": seq,
        "data": {"metrics": metrics},
    }
    topic = f"andon/v1/e/s/a/l/c/m{machine}/_telemetry/process".encode()
    return Record(RecordKind.MESSAGE, now_ns, topic, json.dumps(body).encode())


def _size(state: State) -> int:
    """Bytes of a snapshot: its arrays as they are, the rest as JSON."""
    arrays = [value for value in state.values() if isinstance(value, np.ndarray)]
    rest = {key: value for key, value in state.items() if not isinstance(value, np.ndarray)}
    return sum(array.nbytes for array in arrays) + len(json.dumps(rest, default=str))
