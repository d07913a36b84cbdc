"""Which asset a topic speaks of: by the plant's mapping rules, then by Andon's own layout; and what a wrong one meant.

What came over MQTT is mapped; the records of the OPC UA collector name their asset and channel themselves.
"""

import difflib
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Literal

from andon.mappings import Rule
from andon.plant import Asset, Plant, Point
from ingest.envelope import check_utf8
from ingest.filled import Filled
from ingest.refusal import Reason, Refused

ROOT = ("andon", "v1")
PATTERN = "andon/v1/{enterprise}/{site}/{area}/{line}/{cell}/{equipment}/{class}/{name}"
TELEMETRY, WAVE, EVENT, STATE, OPCUA = "_telemetry", "_wave", "_event", "_state", "opcua"
LAYOUTS = f"topics are {PATTERN}, or as a rule in `mappings` says"
CLASSES = (TELEMETRY, WAVE, EVENT, STATE)
ENVELOPE, JSON, NUMBER, STOP = "envelope", "json", "number", "stop"
SPARKPLUG: Literal["sparkplug"] = "sparkplug"
IGNORE: Literal["ignore"] = "ignore"
_KINDS = {"waveform": WAVE}
_NAMESPACES = ("spBv1.0/", "spAv1.0/", "spCv4.0/", "spJv4.0/")
_SPARKPLUG = (
    Rule(topic="+/{group}/{type}/{edge}/{device}", payload=SPARKPLUG, asset="{device}"),
    Rule(topic="+/{group}/{type}/{edge}", payload=SPARKPLUG, asset="{edge}"),
)
"""Sparkplug as it comes, if no rule of the plant says otherwise: devices and edge nodes are named as the assets are."""
MAX_ROUTES = 16_384
MAX_TOPIC_BYTES = 512
MAX_CHANNELS = 4_096
_NEIGHBOURS = 8


@dataclass(slots=True)
class Equipment:
    """An asset, its points by id, and the channels it has used so far with the unit to store them in."""

    id: str
    points: dict[str, Point]
    channels: dict[tuple[str, str | None], tuple[str, str]] = field(default_factory=dict)

    def channel(self, name: str, unit: str | None) -> tuple[str, str]:
        """(channel, unit), the plant's unit where the message gives none; Refused if there is no such point."""
        known = self.channels.get((name, unit))
        if known is None:
            if len(self.channels) >= MAX_CHANNELS:
                self.channels.clear()
            planned = self._unit(name)
            if unit is not None and "\x00" in unit:  # PostgreSQL stores no NUL
                raise Refused(Reason.SCHEMA, f"a unit with NUL: {unit!r}")
            known = self.channels[name, unit] = (name, planned if unit is None else unit)
        return known

    def point(self, point_id: str) -> Point:
        """The measuring point; Refused if there is none of that id."""
        point = self.points.get(point_id)
        if point is None:
            near = difflib.get_close_matches(point_id[:64], sorted(self.points)[:64], n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise Refused(Reason.UNKNOWN_POINT, f"{self.id} has no point {point_id!r}{hint}")
        return point

    def _unit(self, name: str) -> str:
        point_id, slash, quantity = name.partition("/")
        if name == "state":
            return ""
        if not (slash and quantity) or "\x00" in name:
            raise Refused(Reason.UNKNOWN_POINT, f"a channel is 'state' or 'point/quantity', not {name!r}")
        return self.point(point_id).quantities.get(quantity, "")


@dataclass(frozen=True, slots=True)
class Route:
    """Where the messages of one topic go. Without `equipment` they are refused for `reason`, `problem` says it.

    A mapped topic has what its rule makes of it in `filled`, and no equipment where the payload names it. One that
    is `misplaced` names a known machine at a place that the plant does not give it.
    """

    kind: str
    name: str
    equipment: Equipment | None
    reason: Reason = Reason.UNKNOWN_TOPIC
    problem: str = ""
    filled: Filled | None = None
    misplaced: bool = False

    def refusal(self) -> Refused:
        """The refusal of a message on a route without equipment."""
        return Refused(self.reason, self.problem)


NOWHERE = Route("", "", None, problem=LAYOUTS)


class Routes:
    """The routes of all topics under one plant document."""

    def __init__(self, plant: Plant) -> None:
        self._rules: Sequence[Rule] = plant.mappings
        self._assets: dict[str, Asset] = {asset.id: asset for asset in plant.assets}
        self._equipment: dict[str, Equipment] = {
            asset.id: Equipment(asset.id, {point.id: point for point in asset.points})
            for asset in plant.assets
        }
        self._nearest = Nearest(self._assets)
        self._known: dict[bytes, Route] = {}
        self._mapped: dict[bytes, Route] = {}

    def of(self, topic: bytes, connection: int) -> Route:
        """The route of a topic; one that is none of ours leads to no equipment.

        Without a `connection` it did not come over MQTT: it names asset and channel itself, and no rule is asked.
        """
        known = self._mapped if connection else self._known
        route = known.get(topic)
        if route is None:
            route = self._route(topic, mapped=connection > 0)
            if len(known) >= MAX_ROUTES:
                known.clear()
            if len(topic) <= MAX_TOPIC_BYTES:
                known[topic] = route
        return route

    def to(self, kind: str, asset_id: str, name: str) -> Route:
        """The route to an asset that is named."""
        equipment = self._equipment.get(asset_id)
        if equipment is not None:
            return Route(kind, name, equipment)
        near = self._nearest.to(asset_id)
        hint = f"; did you mean {near!r}?" if near else ""
        return Route(
            kind, name, None, Reason.UNKNOWN_ASSET, f"the plant has no asset {asset_id[:64]!r}{hint}"
        )

    def again(self, route: Route, asset_id: str) -> Route:
        """A mapped route, now that the payload has named the machine."""
        return replace(self.to(route.kind, asset_id, route.name), filled=route.filled)

    def nowhere(self, topic: str) -> Route:
        """The route of a topic that is none of ours: its problem names the nearest one that is."""
        if len(topic) > MAX_TOPIC_BYTES:
            return NOWHERE
        levels = topic.split("/")
        asset_id = next((level for level in levels if level in self._assets), None)
        if asset_id is None:
            asset_id = next(filter(None, map(self._nearest.to, [*levels[7:8], *levels[:-3:-1]])), None)
        if asset_id is None:
            return NOWHERE
        marked = next((level for level in levels if level.startswith("_")), TELEMETRY)
        kind = (difflib.get_close_matches(marked[:64], CLASSES, n=1) or [TELEMETRY])[0]
        meant = "/".join((*ROOT, self._assets[asset_id].path, asset_id, kind, levels[-1]))
        return Route("", "", None, problem=f"did you mean {meant}? T{LAYOUTS[1:]}")

    def _route(self, topic: bytes, *, mapped: bool) -> Route:
        try:
            text = check_utf8(topic)
        except Refused as refusal:
            return Route("", "", None, refusal.reason, refusal.detail)
        if mapped and len(topic) <= MAX_TOPIC_BYTES:
            route = self._by_rules(text, self._rules)
            if route is not None:
                return route
        if text.startswith(_NAMESPACES):
            return self._by_rules(text, _SPARKPLUG) or Route(SPARKPLUG, "", None)
        levels = text.split("/", 9)
        ours = tuple(levels[:2]) == ROOT
        if ours and len(levels) == 10 and levels[8] in CLASSES and levels[9]:
            return self._at_place(levels)
        asset_id, slash, name = text.partition("/")
        if ours or mapped or not (slash and name):
            return self.nowhere(text)
        return self.to(OPCUA, asset_id, name)

    def _at_place(self, levels: Sequence[str]) -> Route:
        route = self.to(levels[8], levels[7], levels[9])
        asset = self._assets.get(levels[7])
        return replace(route, misplaced=asset is not None and asset.path != "/".join(levels[2:7]))

    def _by_rules(self, topic: str, rules: Sequence[Rule]) -> Route | None:
        for number, rule in enumerate(rules, 1):
            captures = rule.template.match(topic)
            if captures is None:
                continue
            if rule.payload == IGNORE:
                return Route(IGNORE, "", None)
            filled = Filled(number, rule, captures)
            kind = _KINDS.get(rule.payload, rule.payload)
            if filled.asset is None:
                return Route(kind, filled.point, None, filled=filled)
            return replace(self.to(kind, filled.asset, filled.point), filled=filled)
        return None


class Nearest:
    """The known name that an unknown one was probably meant to be, at a cost that a flood of them can bear.

    Only the neighbours in the sorted list are compared, and in the list sorted by the reversed names.
    """

    def __init__(self, names: Sequence[str] | dict[str, Asset]) -> None:
        self._forward = sorted((name.casefold(), name) for name in names)
        self._backward = sorted((name.casefold()[::-1], name) for name in names)

    def to(self, name: str) -> str | None:
        """The nearest known name, None if none is near."""
        wanted = name[:64].casefold()
        best = max(((_likeness(wanted, near), near) for near in self._neighbours(wanted)), default=(0.0, ""))
        return best[1] if best[0] >= 0.6 else None

    def _neighbours(self, wanted: str) -> Iterator[str]:
        for names, key in ((self._forward, wanted), (self._backward, wanted[::-1])):
            at = bisect_left(names, (key, ""))
            yield from (name for _, name in names[max(0, at - _NEIGHBOURS) : at + _NEIGHBOURS])


def _likeness(wanted: str, name: str) -> float:
    return difflib.SequenceMatcher(None, wanted, name.casefold()).ratio()
