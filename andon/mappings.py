"""Mapping rules: how foreign topics and payloads become Andon's words without code. The first that fits is taken.

A rule's topic template gives names to levels; its texts are filled in from them (`{line}`) and from the payload
(`{.machine.id}`); its tables translate what comes out.
"""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, field_validator, model_validator

from andon.events import Json
from andon.templates import Template, Text, template, text

Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
Payload = Literal["envelope", "json", "number", "waveform", "stop", "sparkplug", "ignore"]
TimeFormat = Literal["rfc3339", "unix_s", "unix_ms", "unix_us", "unix_ns"]
STANDARD = "andon/v1/{enterprise}/{site}/{area}/{line}/{cell}/{equipment}/{class}/{name...}"
"""Andon's own layout: the last rule, always there."""
KEY, METRIC = "key", "metric"
_EXTRA: Mapping[Payload, frozenset[str]] = {"json": frozenset({KEY}), "sparkplug": frozenset({METRIC})}
_BY_TOPIC: frozenset[Payload] = frozenset({"waveform", "number", "envelope", "sparkplug"})
"""Payloads without fields that a text could ask for."""
_MAPPED: frozenset[Payload] = frozenset({"envelope", "json", "number", "waveform", "stop", "sparkplug"})
_FIELDS: Mapping[str, frozenset[Payload]] = {
    "point": frozenset({"waveform"}),
    "name": frozenset({"json", "number", "sparkplug"}),
    "channels": frozenset({"json", "number", "sparkplug"}),
    "each": frozenset({"json"}),
    "value": frozenset({"json"}),
    "unit": frozenset({"json", "number"}),
    "quality": frozenset({"json"}),
    "qualities": frozenset({"json"}),
    "units": frozenset({"json", "number"}),
    "id": frozenset({"json", "stop"}),
    "time": frozenset({"json", "stop"}),
    "time_format": frozenset({"json", "stop"}),
    "stop": frozenset({"stop"}),
}
"""Which settings mean something for which payloads; the others of a rule mean something for all."""


class _Frozen(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


def _written_short(told: Json) -> Json:
    return {"channel": told} if isinstance(told, str) else told


class Value(_Frozen):
    """What a foreign value becomes: `value x scale + offset` on that channel. Alone, the channel may stand for it."""

    channel: str = Field(
        pattern=r"^(state|[^\x00/]+/[^\x00]+)$", description="`point/quantity` of the asset, or `state`"
    )
    unit: str | None = Field(
        default=None, max_length=40, description="unit of the result; none: as the payload says, or the plant"
    )
    scale: float = Field(default=1.0, allow_inf_nan=False, description="factor")
    offset: float = Field(default=0.0, allow_inf_nan=False, description="added after the factor")
    values: dict[str, float] = Field(
        default_factory=dict, description='number for a text, such as {"on": 1, "off": 0}'
    )


class Stop(_Frozen):
    """How a foreign stop message says what stopped. Every text may be filled in from topic and payload."""

    reason: str = Field(description="id of the reason; a message without one is refused")
    message: str = Field(default="", description="what the machine says to people")
    category: str = Field(default="", description="category of the reason, for routing")
    state: str = Field(default="Stopped", description="PackML state, its name or number")
    states: dict[str, str] = Field(default_factory=dict, description="foreign word -> PackML state")
    active: str = Field(default="true", description="whether it begins (`true`, `1`) or is over")
    actives: dict[str, bool] = Field(
        default_factory=dict, description='foreign word -> begins, such as {"RAISED": true, "GONE": false}'
    )
    severity: str = Field(default="500", description="1 to 1000")
    severities: dict[str, Annotated[int, Field(ge=1, le=1000)]] = Field(
        default_factory=dict, description="foreign word -> severity"
    )

    def texts(self) -> dict[str, str]:
        """The settings that are texts to fill in."""
        names = ("reason", "message", "category", "state", "active", "severity")
        return {f"stop.{name}": str(getattr(self, name)) for name in names}


class Rule(_Frozen):
    """One rule of the mapping table."""

    topic: str = Field(max_length=512, description="template of the topics that it is for")
    payload: Payload = Field(description="what their messages hold")
    asset: str = Field(default="{asset}", description="name of the machine")
    assets: dict[str, Identifier] = Field(
        default_factory=dict, description="foreign name -> asset id; other names are asset ids themselves"
    )
    point: str = Field(default="{point}", description="waveform: the measuring point")
    name: str = Field(
        default="", description="name of a value; by default `{key}`, `{metric}`, `{channel}` or the like"
    )
    channels: dict[str, Annotated[Value, BeforeValidator(_written_short)]] = Field(
        default_factory=dict,
        description="name of a value -> what it becomes; with a table, json values of other names are left out",
    )
    each: str | None = Field(
        default=None, description="json: key path of a list whose members hold the values ('' is the payload)"
    )
    value: str | None = Field(
        default=None,
        description="json: key path of the one value; none: every number is a value, named by its path",
    )
    unit: str = Field(default="", description="unit of the values")
    units: dict[str, str] = Field(
        default_factory=dict,
        description='foreign unit -> UCUM, such as {"°C": "Cel"}; number: also as a suffix',
    )
    quality: str = Field(default="", description="good, bad, uncertain, a boolean or an OPC UA StatusCode")
    qualities: dict[str, Annotated[int, Field(ge=0, le=2**32 - 1)]] = Field(
        default_factory=dict, description="foreign quality -> OPC UA StatusCode"
    )
    id: str = Field(default="", description="the message's own id: what comes twice with one is taken once")
    time: str = Field(default="", description="when it was so, by the sender")
    time_format: TimeFormat = Field(default="rfc3339", description="how that time is written")
    stop: Stop | None = Field(default=None, description="stop: where the message says what")

    @field_validator("topic")
    @classmethod
    def _is_template(cls, topic: str) -> str:
        template(topic)
        return topic

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        senseless = sorted(
            name
            for name, field in type(self).model_fields.items()
            if not field.is_required()
            and self.payload not in _FIELDS.get(name, _MAPPED)
            and getattr(self, name) != field.get_default(call_default_factory=True)
        )
        if senseless:
            raise ValueError(f"{', '.join(senseless)}: means nothing for payload {self.payload!r}")
        if self.payload == "ignore":
            return self
        if (self.stop is None) != (self.payload != "stop"):
            raise ValueError("payload 'stop' needs `stop`, and no other has it")
        for name, source in self._texts().items():
            self._check_text(name, text(source))
        return self

    @cached_property
    def template(self) -> Template:
        """The parsed topic."""
        return template(self.topic)

    @property
    def value_name(self) -> str:
        """How a value is named: as said, or by the names that the topic has."""
        if self.name:
            return self.name
        named = self.template.names
        if self.payload == "sparkplug":
            return "{metric}"
        single = self.payload == "number" or self.value is not None
        last = "{channel}" if "channel" in named else "{quantity}" if "quantity" in named else "{key}"
        if not single:
            last = "{key}"
        return f"{{point}}/{last}" if "point" in named and last != "{channel}" else last

    def _texts(self) -> dict[str, str]:
        """The texts that this kind of payload fills in."""
        own = {
            "asset": self.asset,
            "unit": self.unit,
            "quality": self.quality,
            "id": self.id,
            "time": self.time,
        }
        if self.payload == "waveform":
            own["point"] = self.point
        if self.payload in {"json", "number", "sparkplug"}:
            own["name"] = self.value_name
        return own | (self.stop.texts() if self.stop is not None else {})

    def _check_text(self, name: str, filled: Text) -> None:
        known = self.template.names | _EXTRA.get(self.payload, frozenset())
        missing = sorted(filled.names - (known if name == "name" else self.template.names))
        if missing:
            raise ValueError(
                f"{name} asks for {{{missing[0]}}}, which the topic {self.topic!r} does not have"
            )
        if self.payload in _BY_TOPIC and any(
            isinstance(part, tuple) and part[0] == "" for part in filled.parts
        ):
            raise ValueError(f"{name}: a payload of kind {self.payload!r} has no fields to ask for")


def problems(rules: Sequence[Rule], assets: frozenset[str]) -> list[str]:
    """What is wrong with a table of rules, by number: some can never fit, some leave open which is meant."""
    found: list[str] = []
    layouts = [rule.template for rule in rules]
    for at, rule in enumerate(rules):
        unknown = sorted(set(rule.assets.values()) - assets)
        if unknown:
            found.append(f"rule {at + 1} ({rule.topic}) names {unknown[0]!r}, which is no asset of the plant")
        found += _against_earlier(layouts, at)
    standard = template(STANDARD)
    found += [
        f"rule {at + 1} ({layout.source}) takes all topics of Andon's own layout; make it narrower"
        for at, layout in enumerate(layouts)
        if layout.covers(standard)
    ]
    return found


def _against_earlier(layouts: Sequence[Template], at: int) -> list[str]:
    layout, found = layouts[at], []
    for before, earlier in enumerate(layouts[:at]):
        if earlier.covers(layout):
            what = f"can never fit: rule {before + 1} ({earlier.source}) takes all its topics"
            return [f"rule {at + 1} ({layout.source}) {what}; put it before that"]
        shared = None if layout.covers(earlier) else layout.meets(earlier)
        if shared is None or any(first.match(shared) is not None for first in layouts[:before]):
            continue
        topic = shared.replace("\ue000", "x")
        what = f"both fit {topic!r} and neither is the narrower one"
        found.append(
            f"rules {before + 1} ({earlier.source}) and {at + 1} ({layout.source}): {what}; add a rule before them for it"
        )
    return found
