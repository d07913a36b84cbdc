"""The API's reference as a page of the console, drawn from its OpenAPI document: what is asked, answered and refused."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from andon.access.roles import Right
from api.described import describe, operations
from api.pages import render
from api.rights import needs
from api.visit import VisitOf

router = APIRouter()
_DEPTH = 2
"""So deep the fields of a schema are told by name; what lies deeper is in the document."""


@dataclass(frozen=True, slots=True)
class Field:
    """One parameter, or one field of a body or an answer."""

    name: str
    place: str
    kind: str
    said: str
    required: bool


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation as the page tells it; `refusals` are status and meaning."""

    name: str
    method: str
    path: str
    summary: str
    said: str
    parameters: Sequence[Field]
    body: Sequence[Field]
    example: str
    status: str
    answer: Sequence[Field]
    refusals: Sequence[tuple[str, str]]


@router.get("/api", dependencies=[needs(Right.SELF)])
def reference(request: Request, visit: VisitOf) -> Response:
    """Every operation, under what it is about."""
    document = describe(request.app)
    told: dict[str, list[Operation]] = {tag["name"]: [] for tag in document["tags"]}
    for method, path, operation in operations(document):
        told[operation["tags"][0]].append(_told(method, path, operation, document))
    tags = [(tag["name"], tag["description"], told[tag["name"]]) for tag in document["tags"]]
    about = document["info"]["description"].strip().split("\n\n")
    return render(request, visit, "reference.html", "pipeline", tags=tags, about=about)


def _told(method: str, path: str, operation: Mapping[str, Any], document: Mapping[str, Any]) -> Operation:
    schemas, refusals = document["components"]["schemas"], document["components"]["responses"]
    content = next(iter(operation.get("requestBody", {}).get("content", {}).values()), None)
    status = next(one for one in operation["responses"] if one.startswith("2"))
    given: Mapping[str, Any] = operation["responses"][status].get("content", {})
    shape: Mapping[str, Any] = next((one["schema"] for one in given.values()), {})
    example = "" if content is None else _text(content.get("example"))
    return Operation(
        name=operation["operationId"],
        method=method.upper(),
        path=path,
        summary=operation["summary"],
        said=operation["description"].partition("\n")[2].strip(),
        parameters=[_parameter(one) for one in operation["parameters"]],
        body=[] if content is None else [*_fields(content["schema"], schemas)],
        example=example,
        status=status,
        answer=[*_fields(shape, schemas)],
        refusals=[(one, refusals[one]["description"]) for one in operation["responses"] if one in refusals],
    )


def _text(example: object) -> str:
    return example if isinstance(example, str) else json.dumps(example, indent=2, ensure_ascii=False)


def _parameter(one: Mapping[str, Any]) -> Field:
    schema = one["schema"]
    said = one.get("description") or schema.get("description", "")
    return Field(one["name"], one["in"], kind_of(schema), said, bool(one.get("required")))


def _fields(
    schema: Mapping[str, Any], schemas: Mapping[str, Any], before: str = "", depth: int = _DEPTH
) -> list[Field]:
    """The fields of an object, and of the objects in it."""
    found: list[Field] = []
    if "$ref" in schema:
        schema = schemas[schema["$ref"].rsplit("/", 1)[1]]
    if schema.get("type") == "array":
        return _fields(schema["items"], schemas, f"{before}[]", depth)
    for name, inner in schema.get("properties", {}).items():
        place = f"{before}.{name}".lstrip(".")
        required = name in schema.get("required", ())
        found.append(Field(place, "", kind_of(inner), inner.get("description", ""), required))
        if depth > 1:
            found += _fields(inner, schemas, place, depth - 1)
    return found


def kind_of(schema: Mapping[str, Any]) -> str:
    """The type of a value in few words.

    >>> kind_of({"type": "string", "format": "date-time"})
    'date-time'
    >>> kind_of({"anyOf": [{"type": "integer"}, {"type": "null"}]}), kind_of({"enum": ["a", "b"]})
    ('integer | null', 'a | b')
    """
    if "$ref" in schema:
        return str(schema["$ref"].rsplit("/", 1)[1])
    if "anyOf" in schema:
        return " | ".join(map(kind_of, schema["anyOf"]))
    if "enum" in schema or "const" in schema:
        return " | ".join(map(str, schema.get("enum", [schema.get("const")])))
    if schema.get("type") == "array":
        return f"[{kind_of(schema.get('items', {}))}]"
    said = schema.get("format", schema.get("type", "any"))
    return " | ".join(said) if isinstance(said, list) else str(said)
