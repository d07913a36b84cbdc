"""From what was heard to a plant document that would understand it: machines, measuring points, mapping rules.

A proposal for a person to correct. It only adds to a plant that is there, and it is a valid document.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from andon.events import Json
from andon.mappings import STANDARD
from andon.plant import Plant
from andon.templates import template
from ingest import discover_sparkplug
from ingest.discover_payloads import PHASES, UCUM, Shape, channel_of, identifier, shape_of
from ingest.discover_topics import Group, Roles, groups_of, point_at, roles_of
from ingest.filled import at_path, parsed
from ingest.mapping import Routes

Samples = Mapping[str, Sequence[bytes]]
"""Topic -> a few of its payloads."""
LEVELS = ("line", "area", "site", "enterprise")
_STANDARD = template(STANDARD)
_NOT_OURS = frozenset("{}+#")


@dataclass(slots=True)
class Draft:
    """What is proposed so far: assets by id with their points, rules with the groups they were made for, other rules.

    New assets stand at `place`, if there is one.
    """

    place: str = ""
    assets: dict[str, dict[str, Json]] = field(default_factory=dict)
    rules: list[tuple[dict[str, Json], Group]] = field(default_factory=list)
    fixed: list[dict[str, Json]] = field(default_factory=list)

    def asset(self, name: str, path: str, *, is_isa95: bool = False) -> str:
        """The id of the asset of that foreign name, made where it is new; a path of our own layout is its place."""
        asset_id = identifier(name)
        where = (path if is_isa95 else self.place or path) or "plant"
        made = {"id": asset_id, "name": name, "asset_class": "machine", "path": where, "points": {}}
        self.assets.setdefault(asset_id, made)
        return asset_id

    def channel(self, asset_id: str, channel: str, unit: str) -> None:
        """Give the asset the point and quantity of a channel."""
        point_id, slash, quantity = channel.partition("/")
        if slash and quantity and identifier(point_id) == point_id:
            self._point(asset_id, point_id, "scalar")["quantities"].setdefault(quantity, unit)

    def wave(self, asset_id: str, point_id: str) -> None:
        """Give the asset a point that sends blocks of samples."""
        self._point(asset_id, point_id, "waveform")["kind"] = "waveform"

    def _point(self, asset_id: str, point_id: str, kind: str) -> dict[str, Json]:
        points: dict[str, dict[str, Json]] = self.assets[asset_id]["points"]
        new = {"id": point_id, "component": point_id, "kind": kind, "quantities": {}}
        return points.setdefault(point_id, new)


def propose(samples: Samples, plant: Plant, now_ns: int) -> Plant:
    """The plant with all that was heard in it. What it maps already is left as it is."""
    routes, draft = Routes(plant), Draft(plant.place)
    foreign: dict[str, Shape] = {}
    for topic, bodies in samples.items():
        if not bodies or not topic:
            continue
        shape = shape_of(topic, bodies[0], now_ns)
        if _STANDARD.match(topic):
            _standard(draft, topic, bodies, shape)
        elif not routes.of(topic.encode(), 1).kind and shape.form != "sparkplug":
            foreign[topic] = shape
    _sparkplug(draft, samples, plant)
    known = frozenset(asset.id for asset in plant.assets)
    for group in groups_of(foreign):
        if not any(_NOT_OURS & set(level) for levels in group.members for level in levels):
            draft.rules.append((_rule(draft, group, samples, known), group))
    return _document(draft, plant, samples, known)


def _standard(draft: Draft, topic: str, bodies: Sequence[bytes], shape: Shape) -> None:
    levels = topic.split("/")
    asset_id = draft.asset(levels[7], "/".join(levels[2:7]), is_isa95=True)
    if levels[8] == "_wave":
        draft.wave(asset_id, identifier("/".join(levels[9:])))
    for body in bodies:
        _of_envelope(draft, asset_id, shape, body)


def _sparkplug(draft: Draft, samples: Samples, plant: Plant) -> None:
    """Machines for the devices that were born, and rules if the plant has none for Sparkplug."""
    born = list(discover_sparkplug.births(samples))
    for one in born:
        table = discover_sparkplug.channels(one.metrics)
        if not table:
            continue
        asset_id = draft.asset(one.machine, f"{one.group}/{one.edge}" if one.device else one.group)
        for channel, unit in table.values():
            draft.channel(asset_id, channel, unit)
    if not any(rule.payload == "sparkplug" for rule in plant.mappings):
        draft.fixed += discover_sparkplug.rules(born)


def _of_envelope(draft: Draft, asset_id: str, shape: Shape, body: bytes) -> None:
    if shape.form != "envelope":
        return
    metrics: Json = json.loads(body).get("data", {}).get("metrics", [])
    for metric in metrics:
        draft.channel(asset_id, str(metric.get("name")), str(metric.get("unit") or ""))


@dataclass(frozen=True, slots=True)
class Layout:
    """A group of topics, what its levels are for, and the names of those that are open."""

    group: Group
    roles: Roles
    names: Mapping[int, str]

    def text(self, at: int) -> str:
        """What gives the level at that place: its name, or the level itself where it is always the same."""
        level = self.group.pattern[at]
        return f"{{{self.names[at]}}}" if level is None else level

    @property
    def topic(self) -> str:
        """The template."""
        return self.group.separator.join(self.text(at) for at in range(len(self.group.pattern)))


def _layout(group: Group, known: frozenset[str]) -> Layout:
    """The levels before the machine are named in the words of ISA-95."""
    roles = roles_of(group, known)
    names = {at: name for at, name in ((roles.point, "point"), (roles.quantity, "channel")) if at is not None}
    if roles.asset:
        names[roles.asset[-1]] = "asset"
    above = [at for at in group.open if at not in names]
    more = (*LEVELS, *(f"level{number}" for number in range(len(above))))
    return Layout(group, roles, {**names, **dict(zip(reversed(above), more, strict=False))})


def _rule(draft: Draft, group: Group, samples: Samples, known: frozenset[str]) -> dict[str, Json]:
    """The rule for a group; the machines and points that it speaks of are drafted."""
    shape = group.shape
    if shape.form in {"text", "binary", "empty"}:
        return {"topic": group.separator.join(level or "+" for level in group.pattern), "payload": "ignore"}
    layout = _layout(group, known)
    roles = layout.roles
    by_payload = bool(shape.machine) and not set(group.open) - {roles.quantity}
    asset = f"{{.{shape.machine}}}" if by_payload else "-".join(layout.text(at) for at in roles.asset)
    rule: dict[str, Json] = {"topic": layout.topic, "payload": shape.form, "asset": asset or "plant"}
    if shape.time:
        rule |= {"time": f"{{.{shape.time}}}", "time_format": shape.time_format}
    if shape.form == "stop":
        told = [told for topic in group.topics() for body in samples[topic] for told in _told(body)]
        rule["stop"] = _stop(shape, told)
    for levels in group.members:
        bodies = samples[group.separator.join(levels)]
        spoken = ["-".join(levels[at] for at in roles.asset) or "plant"]
        for machine in _machines(shape, bodies) if by_payload else spoken:
            path = "" if by_payload else "/".join(levels[: roles.asset[0]] if roles.asset else ())
            asset_id = draft.asset(machine, path)
            if asset_id != machine:
                rule.setdefault("assets", {})[machine] = asset_id
            _points(draft, rule, layout, levels, bodies, asset_id)
    return rule


def _points(  # noqa: PLR0917 - what one topic of a group says about one machine
    draft: Draft,
    rule: dict[str, Json],
    layout: Layout,
    levels: Sequence[str],
    bodies: Sequence[bytes],
    asset_id: str,
) -> None:
    """Draft the points of one topic, and the rule's table for them."""
    shape, at = layout.group.shape, layout.roles.point
    if shape.form == "envelope":
        for body in bodies:
            _of_envelope(draft, asset_id, shape, body)
    elif shape.form == "waveform":
        place = len(levels) - 1 if at is None else at
        rule["point"] = layout.text(place) if at is not None else identifier(levels[place])
        draft.wave(asset_id, levels[place] if at is not None else rule["point"])
    elif shape.form in {"json", "number"}:
        where = point_at(layout.roles, tuple(levels))
        before = "" if at is None else f"{layout.text(at)}/"
        for name, text in _named(layout, levels, bodies):
            rule["name"] = before + text
            foreign = name if at is None else f"{levels[at]}/{name}"
            unit = _told_unit(rule, shape, bodies)
            channel, usual = channel_of(name, where)
            channel = _own_channel(rule, foreign, channel)
            draft.channel(asset_id, channel, unit or usual)


def _named(layout: Layout, levels: Sequence[str], bodies: Sequence[bytes]) -> list[tuple[str, str]]:
    """(foreign name, text that gives it) of every value of a topic."""
    shape, quantity = layout.group.shape, layout.roles.quantity
    if shape.name:
        members = [
            m for body in bodies for told in _told(body) for m in at_path(told, parsed(shape.each)) or ()
        ]
        found = [at_path(member, parsed(shape.name)) for member in members]
        return [(str(name), f"{{.{shape.name}}}") for name in dict.fromkeys(found) if name is not None]
    if quantity is not None:
        return [(levels[quantity], layout.text(quantity))]
    return [(leaf, "{key}") for leaf in shape.leaves]


def _own_channel(rule: dict[str, Json], name: str, channel: str) -> str:
    """The channel for that foreign name in the rule's table; one that another name has already is not given again."""
    table: dict[str, dict[str, Json]] = rule.setdefault("channels", {})
    if channel in {entry["channel"] for other, entry in table.items() if other != name}:
        channel = f"{channel.partition('/')[0]}/{identifier(name)}"
    table[name] = {"channel": channel}
    return channel


def _told_unit(rule: dict[str, Json], shape: Shape, bodies: Sequence[bytes]) -> str:
    """The unit that the payload says, in UCUM; what the rule needs to read it is added to it."""
    foreign = list(shape.units)
    if shape.unit:
        rule["unit"] = f"{{.{shape.unit}}}"
        said = [at_path(told, parsed(shape.unit)) for body in bodies for told in _told(body)]
        foreign = [word for word in said if isinstance(word, str) and word]
    known = {word: UCUM.get(word, word) for word in foreign}
    translated = known if shape.units else {word: unit for word, unit in known.items() if unit != word}
    if translated:
        rule.setdefault("units", {}).update(translated)
    for setting, key in (("value", shape.value), ("quality", shape.quality)):
        if key:
            rule[setting] = key if setting == "value" else f"{{.{key}}}"
    if shape.name:
        rule["each"] = shape.each
    return known[foreign[0]] if foreign else ""


def _machines(shape: Shape, bodies: Sequence[bytes]) -> list[str]:
    path = parsed(shape.machine)
    told = [one for body in bodies for one in _told(body)]
    if shape.name:
        told += [member for one in told for member in at_path(one, parsed(shape.each)) or ()]
    found = [at_path(one, path) for one in told]
    return [str(name) for name in dict.fromkeys(found) if isinstance(name, str | int) and str(name)]


def _told(body: bytes) -> Iterator[Json]:
    try:
        yield json.loads(body)
    except (ValueError, RecursionError):
        return


def _stop(shape: Shape, told: Sequence[Json]) -> dict[str, Json]:
    """The fields of a stop, and a table for its words that begin and end one."""
    fields = dict(shape.stop)
    words = [at_path(one, parsed(fields["active"])) for one in told]
    actives = {word: begins for said in words if isinstance(said, str) for word, begins in _phases(said)}
    stop: dict[str, Json] = {what: f"{{.{key}}}" for what, key in fields.items()}
    return stop | ({"actives": actives} if actives else {})


def _phases(said: str) -> Iterator[tuple[str, bool]]:
    """A word that begins or ends a stop, with those that it goes together with, written as it is written.

    >>> sorted(_phases("COMING")), sorted(_phases("off"))
    ([('COMING', True), ('GOING', False)], [('off', False), ('on', True)])
    """
    write = str.upper if said.isupper() else str.title if said.istitle() else str.lower
    for begin, end in PHASES:
        if said.casefold() in {begin, end}:
            yield write(begin), True
            yield write(end), False


def _document(draft: Draft, plant: Plant, samples: Samples, known: frozenset[str]) -> Plant:
    """The plant and the draft as one document; a rule that would not be clear is written out topic by topic."""
    document = plant.model_dump(mode="json", exclude_defaults=True)
    document["assets"] = merged(document.get("assets", ()), draft)
    rules = sorted(draft.rules, key=lambda rule: (len(rule[1].open), rule[1].members))
    old = [*document.get("mappings", ()), *draft.fixed]
    while True:
        document["mappings"] = [*old, *(rule for rule, _ in rules)]
        try:
            return Plant.model_validate(document)
        except ValueError:
            at = next((at for at, (_, group) in enumerate(rules) if group.open), None)
            if at is None:
                raise
            _, group = rules.pop(at)
            rules = [
                *((_rule(draft, single, samples, known), single) for single in _singles(group)),
                *rules,
            ]


def merged(before: Sequence[dict[str, Json]], draft: Draft) -> list[dict[str, Json]]:
    """The assets of a document with those of the draft."""
    assets: dict[str, dict[str, Json]] = {asset["id"]: asset for asset in before}
    for asset_id, drafted in draft.assets.items():
        assets[asset_id] = _merged(assets.get(asset_id), drafted)
    return list(assets.values())


def _singles(group: Group) -> Iterator[Group]:
    for levels in group.members:
        yield Group(group.separator, levels, (levels,), group.shape)


def _merged(before: Mapping[str, Json] | None, drafted: Mapping[str, Json]) -> dict[str, Json]:
    """The asset with the points that are new; what a person has written stays."""
    points: dict[str, dict[str, Json]] = {}
    for point in (before or {}).get("points", ()):
        points[point["id"]] = dict(point)
    for point_id, point in drafted["points"].items():
        mine = points.setdefault(point_id, dict(point))
        mine["quantities"] = {**point["quantities"], **mine.get("quantities", {})}
    return {**drafted, **(before or {}), "points": list(points.values())}
