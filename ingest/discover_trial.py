"""A dry run: what each sample would become under a plant document, by the decoder that decides it later."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from andon.events import Event, Json, Readings, StopAlarm, Waveform, rfc3339
from andon.plant import Plant
from andon.ports import Record, RecordKind
from ingest.decode import MessageDecoder

SHOWN = 20
Sample = tuple[int, bytes]
"""When it was received, ns UTC, and the payload."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one sample became: `kind` is readings, waveform, stop, ignored, duplicate, stored or refused.

    `values` are (channel, value or None where there is none, unit), `points` the measuring points that it is of;
    `detail` says why it was refused.
    """

    topic: str
    kind: str
    asset: str = ""
    at: str = ""
    values: tuple[tuple[str, float | None, str], ...] = ()
    detail: str = ""
    points: tuple[str, ...] = ()


def dry_run(
    plant: Plant, samples: Mapping[str, Sequence[Sample]], *, connection: int = 1
) -> Iterator[Outcome]:
    """The outcome of every sample, in the order received. `connection` 0: as the OPC UA collector writes them."""
    decoder = MessageDecoder()
    received = sorted((at_ns, topic, body) for topic, its in samples.items() for at_ns, body in its)
    if not received:
        return
    document = json.dumps({"version": plant.version, "document": plant.model_dump(mode="json")}).encode()
    decoder.decode("discover", 0, [Record(RecordKind.CONFIG, received[0][0], b"", document)])
    for position, (at_ns, topic, body) in enumerate(received, 1):
        record = Record(RecordKind.MESSAGE, at_ns, topic.encode(), body, connection)
        decoded = decoder.decode("discover", position, [record])
        if decoded.dead_letters:
            letter = decoded.dead_letters[0]
            yield Outcome(topic, "refused", detail=f"{letter.reason}: {letter.detail}")
        elif decoded.events:
            yield from (_outcome(topic, event) for event in decoded.events)
        else:
            counts: Mapping[str, Json] = decoded.counts
            kind = next((name for name in ("ignored", "duplicates", "stored") if counts.get(name)), "stored")
            yield Outcome(topic, kind)


def _outcome(topic: str, event: Event) -> Outcome:
    if isinstance(event, Readings):
        rows = islice(zip(event.channel, event.value, strict=True), SHOWN)
        values = tuple(
            (event.channels[c], float(value) if math.isfinite(value) else None, event.units[c])
            for c, value in rows
        )
        points = tuple(dict.fromkeys(channel.partition("/")[0] for channel in event.channels))
        return Outcome(topic, "readings", event.asset, rfc3339(int(event.at_ns[0])), values, points=points)
    if isinstance(event, Waveform):
        said = (f"{event.point}: {len(event.samples)} samples", event.rate_hz, "Hz")
        return Outcome(topic, "waveform", event.asset, rfc3339(event.at_ns), (said,), points=(event.point,))
    if isinstance(event, StopAlarm):
        said = (f"{event.reason_id} {'begins' if event.active else 'is over'}", float(event.severity), "")
        return Outcome(topic, "stop", event.asset, rfc3339(event.at_ns), (said,), event.message)
    return Outcome(topic, type(event).__name__.lower(), getattr(event, "asset", None) or "")
