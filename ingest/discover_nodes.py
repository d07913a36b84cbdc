"""From an OPC UA server's variables to the items that would collect them, and the machines and points that they need.

Variables are grouped as topics are: names that differ where the rest is alike are machines. A proposal to correct.
"""

import base64
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from andon.events import Json
from andon.plant import Plant
from ingest.discover_payloads import UCUM, Shape, channel_of, identifier
from ingest.discover_plant import Draft, merged
from ingest.discover_topics import groups_of, point_at, roles_of
from ingest.discover_trial import Sample
from ingest.opcua_discover import Around, Variable
from ingest.opcua_words import value_record
from ingest.packml import PACKML_URI
from ingest.waveform import MAGIC

_STOPS = frozenset({"StopReason", "Alarm", "Warning"})
_MAGIC = base64.b64encode(MAGIC[:3]).decode()  # three bytes are four letters, whatever follows


@dataclass(frozen=True, slots=True)
class Proposed:
    """An item and the variable that it was made for; without a channel it is passed over, `why` says why."""

    variable: Variable
    asset: str
    channel: str
    why: str = ""


def propose_items(around: Around, plant: Plant) -> tuple[list[Proposed], Plant]:
    """An item for each variable that a channel can be made of, and the plant with their machines and points."""
    by_topic: dict[str, Variable] = {}
    for variable in around.variables:
        # A slash in a name is no level.
        by_topic.setdefault("/".join(name.replace("/", ".") for name in variable.path), variable)
    known = frozenset(asset.id for asset in plant.assets)
    draft, items = Draft(plant.place), []
    taken: set[tuple[str, str]] = set()
    for group in groups_of({topic: Shape("number") for topic in by_topic}):
        roles = roles_of(group, known)
        for levels, topic in zip(group.members, group.topics(), strict=True):
            variable = by_topic[topic]
            name = "-".join(levels[at] for at in roles.asset) or "plant"
            path = "/".join(levels[: roles.asset[0]]) if roles.asset else ""
            channel, unit, why = _channel(variable, levels[-1], point_at(roles, levels))
            if why:
                items.append(Proposed(variable, "", "", why))
                continue
            asset_id = draft.asset(name, path)
            if (asset_id, channel) in taken and channel != "stop":
                channel = f"{channel.partition('/')[0]}/{identifier('_'.join(levels[-2:]))}"
            if (asset_id, channel) in taken and channel != "stop":
                items.append(Proposed(variable, "", "", f"{asset_id} has a {channel} already"))
                continue
            taken.add((asset_id, channel))
            if variable.kind == "bytes":
                draft.wave(asset_id, channel)
            elif channel != "stop":
                draft.channel(asset_id, channel, unit)
            items.append(Proposed(variable, asset_id, channel))
    return items, _with_assets(plant, draft)


def toml_of(
    name: str, url: str, items: Sequence[Proposed], around: Around, settings: Mapping[str, str | bool]
) -> str:
    """The lines for andon.toml: the source, its items, and how its events are found."""
    lines = [f"[sources.{name}]", 'kind = "opcua"', f"url = {_text(url)}"]
    lines += [f"{key} = {_text(value)}" for key, value in settings.items()]
    for item in items:
        if not item.channel:
            lines.append(f"# passed over: {_text(item.variable.node)}: {item.why}")
            continue
        lines += [
            "",
            f"[[sources.{name}.items]]",
            f"node = {_text(item.variable.node)}",
            f"asset = {_text(item.asset)}",
            f"channel = {_text(item.channel)}",
        ]
        if item.variable.sampling_ms:
            lines.append(f"sampling_ms = {item.variable.sampling_ms:g}")
    if around.notifiers:
        nodes = ", ".join(_text(node) for _, node in around.notifiers)
        lines += ["", f"[sources.{name}.events]", f"notifiers = [{nodes}]"]
        own = [each for each in around.event_types if not each.is_condition]
        if own:
            uri = own[0].node.partition(";")[0].removeprefix("nsu=")
            lines.append(f"namespace = {_text(uri)}")
        lines += [f"# type of event: {each.name} {each.node}" for each in around.event_types]
    return "\n".join(lines) + "\n"


def samples_of(items: Sequence[Proposed]) -> Mapping[str, Sequence[Sample]]:
    """What the collector would write for the values as they stand, by the topic it would write."""
    samples: dict[str, list[Sample]] = {}
    for item in items:
        variable = item.variable
        if not item.channel or item.channel == "stop" or variable.value is None:
            continue
        record = value_record(item.asset, item.channel, variable.node, variable.value, variable.received_ns)
        samples.setdefault(record.topic.decode(), []).append((record.received_ns, record.body))
    return samples


def _channel(variable: Variable, name: str, where: str) -> tuple[str, str, str]:
    """(channel, unit, why there is none)."""
    unit = UCUM.get(variable.unit, variable.unit)
    own = identifier(name)
    if PACKML_URI in variable.data_type or (variable.kind == "other" and own in _STOPS):
        return ("stop", "", "") if own in _STOPS else ("", "", f"a structure {variable.data_type}")
    channel, usual = channel_of(name, where if own.casefold() != "statecurrent" else "")
    if variable.kind == "number" or (variable.kind == "text" and channel == "state"):
        return channel, unit or usual, ""
    if variable.kind == "bytes":
        value = variable.value.value if variable.value is not None else None
        if isinstance(value, str) and value.startswith(_MAGIC):
            return own, "", ""
        return "", "", "bytes that are no waveform block"
    return "", "", f"a {variable.type_name or variable.data_type or 'value'} is no number"


def _with_assets(plant: Plant, draft: Draft) -> Plant:
    document = plant.model_dump(mode="json", exclude_defaults=True)
    return Plant.model_validate({**document, "assets": merged(document.get("assets", ()), draft)})


def _text(value: Json) -> str:
    """A TOML value: JSON writes strings and booleans alike."""
    return json.dumps(value, ensure_ascii=False)
