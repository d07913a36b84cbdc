"""What answers look like, as JSON Schema, made from the words that `api.answers.plain` turns into JSON.

The schema follows `plain` name by name, so that a field that is added inside is described outside, and never by hand.
"""

import types
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Annotated, Any, Literal, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from api.answers import HIDDEN, named

Schema = dict[str, Any]
Moment = Annotated[str, "date-time"]
"""A time in RFC 3339, in answers that are put together by hand."""
REF = "#/components/schemas/"
_PLAIN: Mapping[object, Schema] = {
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": ["number", "null"]},  # a number that is none becomes null
    str: {"type": "string"},
    bytes: {"type": "string"},
    type(None): {"type": "null"},
    Moment: {"type": "string", "format": "date-time"},
}


class Shapes:
    """The schemas of answers; those with a name are kept once, as components of the document."""

    def __init__(self, components: dict[str, Schema]) -> None:
        self._components = components
        self._names: dict[type, str] = {}

    def of(self, kind: Any) -> Schema:
        """The schema of what that kind becomes; a mapping of names to kinds is an object put together by hand."""
        if isinstance(kind, Mapping):
            return _object({name: self.of(inner) for name, inner in kind.items()})
        if isinstance(kind, tuple):
            return self._put_together(*kind)
        if kind in _PLAIN:
            return dict(_PLAIN[kind])
        if isinstance(kind, type) and not get_args(kind):
            return self._of_class(kind)
        return self._of_generic(kind)

    def _put_together(self, first: Any, second: Any) -> Schema:
        """`(list, kind)`: a list of what is put together by hand; `(kind, {...})`: a kind with fields beside its own."""
        if first is list:
            return {"type": "array", "items": self.of(second)}
        own = self._components[self._named(first)]
        properties = own["properties"] | self.of(second)["properties"]
        return _object(properties) | {"description": own.get("description", "")}

    def _of_class(self, kind: type) -> Schema:
        if issubclass(kind, Enum):
            return {"type": "string", "enum": [one.value for one in kind]}
        if is_dataclass(kind) or issubclass(kind, BaseModel):
            return {"$ref": REF + self._named(kind)}
        return {}

    def _of_generic(self, kind: Any) -> Schema:
        origin, inner = get_origin(kind), get_args(kind)
        if origin is Literal:
            return {"enum": [one.value if isinstance(one, Enum) else one for one in inner]}
        if origin in {Union, types.UnionType}:
            return {"anyOf": [self.of(one) for one in inner]}
        if origin is Annotated:
            return self.of(inner[0])
        if isinstance(origin, type) and issubclass(origin, Mapping):
            return {"type": "object", "additionalProperties": self.of(inner[1])}
        if isinstance(origin, type) and issubclass(origin, Sequence | AbstractSet):
            return {"type": "array", "items": self.of(inner[0])}
        return {}

    def _named(self, kind: type) -> str:
        if kind not in self._names:
            free = kind.__name__ if kind.__name__ not in self._components else f"{kind.__name__}Answer"
            self._names[kind] = free
            self._components[free] = {}  # what leads back to itself finds its name
            model = issubclass(kind, BaseModel)
            self._components[free] = self._of_model(kind) if model else self._of_words(kind)
        return self._names[kind]

    def _of_words(self, kind: type) -> Schema:
        hints = get_type_hints(kind, include_extras=True)
        assert is_dataclass(kind)  # noqa: S101 - asked for nothing else
        properties = dict(
            self._field(one.name, hints[one.name]) for one in fields(kind) if one.name not in HIDDEN
        )
        return _object(properties) | {"description": (kind.__doc__ or "").partition("\n")[0]}

    def _field(self, name: str, kind: Any) -> tuple[str, Schema]:
        said, unit = named(name)
        if unit is None:
            return said, self.of(kind)
        found: Schema = {"type": "string", "format": "date-time"} if unit == "time" else {"type": "number"}
        optional = type(None) in get_args(kind)
        return said, {"anyOf": [found, {"type": "null"}]} if optional else found

    def _of_model(self, kind: type) -> Schema:
        assert issubclass(kind, BaseModel)  # noqa: S101 - asked for nothing else
        made = kind.model_json_schema(mode="serialization", ref_template=REF + "{model}")
        for name, schema in made.pop("$defs", {}).items():
            self._components.setdefault(name, schema)
        return made


def _object(properties: Mapping[str, Schema]) -> Schema:
    return {"type": "object", "properties": dict(properties), "required": [*properties]}
