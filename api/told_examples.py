"""Examples in the OpenAPI document: one table of values by the name of their field, put together as schemas ask."""

from collections.abc import Mapping
from typing import Any

VALUES: Mapping[str, Any] = {
    "asset": "L1-SPN-01",
    "asset_id": "L1-SPN-01",
    "component": "bearing_de",
    "channel": "DE/velocity_rms",
    "line": "L1",
    "person": "li.na",
    "backup": "wang.wei",
    "owner": "li.na",
    "leader": "li.na",
    "checker": "zhao.min",
    "approver": "zhao.min",
    "signer": "Chen Jie",
    "reason": "Li Na repaired this spindle last month",
    "note": "seen at the machine at 14:20",
    "summary": "Outer race spalled; bearing 7014 replaced, preload set",
    "text": "Outer race spalled at the loaded zone",
    "cause": "M02",
    "scene_tag": "bearing",
    "fault_type": "vibration",
    "template": "overhaul",
    "name": "bore",
    "zh": "润滑主轴",
    "en": "Grease the spindle",
    "part": "7014 ACD/P4A",
    "lot": "24-118",
    "code": "482913",
    "key": "9a1c",
    "region": "Wuxi",
    "finding": "L1-SPN-01-bearing_outer_race-1773299940",
    "alarm_id": "9a1c",
    "version": 3,
    "if-match": '"3"',
    "limit": 50,
    "stars": 5,
    "subject": "ticket/42",
    "from": "2026-03-11T07:20:00Z",
    "to": "2026-03-12T07:20:00Z",
    "starts_at": "2026-03-12T08:00:00Z",
    "ends_at": "2026-03-12T16:00:00Z",
    "due_at": "2026-03-26T09:00:00Z",
    "leave_until": "2026-03-15T00:00:00Z",
    "at": "2026-03-12T07:20:00Z",
    "day": "2026-03-12",
    "change": '[[change]]\nclass = "pump"\nkind = "band_energy"\nparameters = {rise = 0.4}\n',
    "": '[[change]]\nclass = "pump"\nkind = "band_energy"\nparameters = {rise = 0.4}\n',
}
"""By the name of a field; what is not here is its default, its first choice, or of its type."""


def example_of(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    """A value that the schema allows; None where none is worth showing."""
    if "$ref" in schema:
        return example_of(name, schemas[schema["$ref"].rsplit("/", 1)[1]], schemas)
    if "properties" in schema:
        return _object(schema, schemas)
    if "const" in schema or "enum" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    if name in VALUES and _fits(VALUES[name], schema):
        return VALUES[name]
    given = next(iter(schema.get("examples", ())), schema.get("default"))
    return _by_type(name, schema, schemas) if given is None else given


def _object(schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    required = schema.get("required", ())
    shown = {
        name: example_of(name, inner, schemas)
        for name, inner in schema["properties"].items()
        if name in required or name in VALUES
    }
    return {
        name: value if value is not None or "null" in str(schema["properties"][name]) else _WORD
        for name, value in shown.items()
        if value is not None or name in required
    }


_WORD = "main"
"""A text that must be there, and of which nothing more is known."""


def _by_type(name: str, schema: Mapping[str, Any], schemas: Mapping[str, Any]) -> Any:
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return example_of(name, schema[several][0], schemas)
    if schema.get("minItems", 0) > 0:
        return [example_of(name, schema["items"], schemas)]
    low = schema.get("minimum", schema.get("exclusiveMinimum", 0) + 1)
    by_type: Mapping[str, Any] = {"integer": low, "number": low, "boolean": False, "array": [], "object": {}}
    formats = {"date-time": VALUES["at"], "date": VALUES["day"]}
    return by_type.get(schema.get("type", ""), formats.get(schema.get("format", "")))


def _fits(value: object, schema: Mapping[str, Any]) -> bool:
    """Whether a word of the table is of a type that the schema allows, and not too long for it."""
    kinds = {one.get("type") for one in (schema, *schema.get("anyOf", ()))}
    longest = min(
        [one["maxLength"] for one in (schema, *schema.get("anyOf", ())) if "maxLength" in one], default=9999
    )
    if isinstance(value, str):
        return "string" in kinds and len(value) <= longest
    return bool(kinds & {"integer", "number"})
