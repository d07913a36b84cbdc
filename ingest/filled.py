"""A mapping rule at work on one topic: its texts filled in from the topic, the rest from each payload.

Everything that comes out of a payload is looked up by key path, told as text, and translated by the rule's tables.
"""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation

from andon.events import Json
from andon.mappings import KEY, METRIC, Rule, Value
from andon.templates import Text, path, text
from ingest.refusal import Reason, Refused
from ingest.times import source_ns

MAX_TEXT = 4000
_TENS = {"unix_s": 9, "unix_ms": 6, "unix_us": 3, "unix_ns": 0}
_QUALITIES = {
    "good": 0x0000_0000,
    "true": 0x0000_0000,
    "uncertain": 0x4000_0000,
    "bad": 0x8000_0000,
    "false": 0x8000_0000,
}


class Filled:
    """Rule `number` of the table on one topic. `asset` is None where the payload names it.

    `asked_for` are the key paths that say something about the values and are none themselves.
    """

    __slots__ = (
        "_asset",
        "_id",
        "_name",
        "_quality",
        "_stop",
        "_time",
        "_unit",
        "asked_for",
        "asset",
        "number",
        "point",
        "rule",
    )

    def __init__(self, number: int, rule: Rule, captures: Mapping[str, str]) -> None:
        def filled(source: str) -> Text:
            return text(source).bound(captures)

        self.number = number
        self.rule = rule
        self._asset = filled(rule.asset)
        constant = self._asset.constant
        self.asset = None if constant is None else rule.assets.get(constant, constant)
        self.point = (filled(rule.point).constant or "") if rule.payload == "waveform" else ""
        self._name = filled(rule.value_name) if rule.payload in {"json", "number", "sparkplug"} else None
        self._unit, self._quality = filled(rule.unit), filled(rule.quality)
        self._id, self._time = filled(rule.id), filled(rule.time)
        about = (
            self._asset,
            self._unit,
            self._quality,
            self._id,
            self._time,
            *([self._name] if self._name else []),
        )
        self.asked_for = {
            part[1:] for told in about for part in told.parts if isinstance(part, tuple) and not part[0]
        }
        self._stop = {key: filled(source) for key, source in rule.stop.texts().items()} if rule.stop else {}

    def asset_in(self, payload: Json) -> str:
        """The asset that the payload names; Refused if it names none."""
        name = self._asset.filled(lambda keys: said(payload, keys))
        if not name:
            raise Refused(
                Reason.SCHEMA, f"rule {self.number} finds no machine ({self.rule.asset}) in the payload"
            )
        return self.rule.assets.get(name, name)

    def value_of(self, name: str) -> Value | None:
        """What a value of that name becomes; None if the table has others only. Refused if it is no channel."""
        value = self.rule.channels.get(name)
        if value is not None or self.rule.channels:
            return value
        try:
            return Value(channel=name if "/" in name else name.replace(".", "/", 1))
        except ValueError:
            hint = f"rule {self.number} needs it in `channels`, or a `name` that gives point/quantity"
            raise Refused(Reason.UNKNOWN_POINT, f"{name[:64]!r} is no channel; {hint}") from None

    def metric(self, name: str) -> Value | None:
        """What a Sparkplug metric of that name becomes; None if the rule leaves it out. Refused if it is no channel."""
        return self.value_of(self.named(None, metric=name))

    def named(self, payload: Json, *, key: str = "", metric: str = "") -> str:
        """The name of the value at that key or of that metric."""
        if self._name is None:
            return ""
        name = self._name.bound({KEY: key, METRIC: metric}).filled(lambda keys: said(payload, keys))
        if name is None:
            raise Refused(
                Reason.SCHEMA, f"rule {self.number} finds no name ({self.rule.value_name}) in the payload"
            )
        return name

    def unit_of(self, value: Value, payload: Json) -> str | None:
        """The unit of a value: of the table, else as the rule or the payload says it; None if nothing does."""
        if value.unit is not None:
            return value.unit
        unit = self._unit.filled(lambda keys: said(payload, keys))
        return self.rule.units.get(unit, unit) if unit else None

    def quality_of(self, payload: Json) -> int:
        """The OPC UA StatusCode; good where the rule asks for none or the payload says none."""
        word = self._quality.filled(lambda keys: said(payload, keys))
        if not word:
            return 0
        known = self.rule.qualities.get(word, _QUALITIES.get(word.casefold()))
        if known is not None:
            return known
        if word.isascii() and word.isdigit() and int(word) < 2**32:
            return int(word)
        raise Refused(
            Reason.SCHEMA, f"rule {self.number} knows no quality {word[:40]!r}; add it to `qualities`"
        )

    def sent_ns(self, payload: Json) -> int | None:
        """When it was so, by the sender: ns UTC; None where it does not say."""
        word = self._time.filled(lambda keys: said(payload, keys))
        if not word:
            return None
        if self.rule.time_format == "rfc3339":
            return source_ns(word)
        try:
            at_ns = int(Decimal(word[:64]).scaleb(_TENS[self.rule.time_format]))
        except (InvalidOperation, ValueError, OverflowError):
            raise Refused(Reason.SCHEMA, f"no {self.rule.time_format} time: {word[:40]!r}") from None
        if not 0 <= at_ns < 2**63:
            raise Refused(
                Reason.SCHEMA, f"a time that no clock shows: {word[:40]!r}; {self.rule.time_format}?"
            )
        return at_ns

    def id_of(self, payload: Json) -> str | None:
        """The message's own id, if it has one."""
        return self._id.filled(lambda keys: said(payload, keys)) or None

    def stop_field(self, name: str, payload: Json) -> str:
        """A field of a stop; empty where the payload says nothing."""
        return self._stop[f"stop.{name}"].filled(lambda keys: said(payload, keys)) or ""


def said(payload: Json, keys: tuple[str, ...]) -> str | None:
    """What the payload says at that path, as text; None for nothing, null, a list or an object."""
    found = at_path(payload, keys)
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, str):
        return found[:MAX_TEXT]
    return str(found) if isinstance(found, int | float) else None


def at_path(payload: Json, keys: tuple[str, ...]) -> Json:
    """The member of a JSON value at that path, None if there is none."""
    for key in keys:
        if isinstance(payload, Mapping):
            payload = payload.get(key)
        elif isinstance(payload, list) and key.isdigit() and int(key) < len(payload):
            payload = payload[int(key)]
        else:
            return None
    return payload


def parsed(keys: str) -> tuple[str, ...]:
    """A key path, parsed."""
    return path(keys)
