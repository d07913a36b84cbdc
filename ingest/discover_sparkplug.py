"""Sparkplug births heard while discovering: edge nodes, their devices, and what their metrics would become."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from andon.events import Json
from ingest.discover_payloads import UCUM, channel_of, identifier
from ingest.refusal import Refused
from ingest.sparkplug import Datatype, decode_payload
from ingest.sparkplug_values import is_own

NUMERIC = frozenset(range(Datatype.INT8, Datatype.BOOLEAN + 1))


@dataclass(frozen=True, slots=True)
class Born:
    """Who was born: `device` is empty for the edge node itself; `metrics` are (name, datatype, unit)."""

    namespace: str
    group: str
    edge: str
    device: str
    metrics: tuple[tuple[str, int, str], ...]

    @property
    def machine(self) -> str:
        """The name of the machine: the device, else the edge node."""
        return self.device or self.edge


def births(samples: Mapping[str, Sequence[bytes]]) -> Iterator[Born]:
    """The births among the samples; a payload that cannot be read is passed over."""
    for topic, bodies in samples.items():
        levels = topic.split("/")
        if len(levels) not in {4, 5} or levels[2] not in {"NBIRTH", "DBIRTH"}:
            continue
        for body in bodies[:1]:
            try:
                payload = decode_payload(body)
            except Refused:
                continue
            metrics = tuple(
                (metric.name, int(metric.datatype), str(metric.properties.get("engUnit", "")))
                for metric in payload.metrics
                if metric.name and not is_own(metric.name)
            )
            yield Born(levels[0], levels[1], levels[3], levels[4] if len(levels) == 5 else "", metrics)


def channels(metrics: Sequence[tuple[str, int, str]]) -> dict[str, tuple[str, str]]:
    """Metric name -> (channel, unit): of numbers, by their names, if they do not say their unit; others are left out."""
    table: dict[str, tuple[str, str]] = {}
    for name, datatype, said in metrics:
        if datatype not in NUMERIC:
            continue
        channel, usual = channel_of(name)
        unit = UCUM.get(said, said) or usual
        if channel in {known for known, _ in table.values()}:
            channel = f"{channel.partition('/')[0]}/{identifier(name)}"
        table[name] = channel, unit
    return table


def rules(born: Sequence[Born]) -> list[dict[str, Json]]:
    """One rule for devices and one for edge nodes that have values, for each namespace."""
    found: list[dict[str, Json]] = []
    for namespace in sorted({one.namespace for one in born}):
        for depth, asset in (("/{device}", "{device}"), ("", "{edge}")):
            its = [one for one in born if one.namespace == namespace and bool(one.device) == bool(depth)]
            table = channels(list({metric[0]: metric for one in its for metric in one.metrics}.values()))
            if table:
                names = {one.machine: identifier(one.machine) for one in its}
                rule: dict[str, Json] = {
                    "topic": f"{namespace}/{{group}}/+/{{edge}}{depth}",
                    "payload": "sparkplug",
                    "asset": asset,
                    "channels": {
                        name: {"channel": channel, "unit": unit} for name, (channel, unit) in table.items()
                    },
                }
                renamed = {name: asset_id for name, asset_id in names.items() if name != asset_id}
                found.append(rule | ({"assets": renamed} if renamed else {}))
    return found
