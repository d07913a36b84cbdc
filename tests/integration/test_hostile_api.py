"""Whatever a program sends to any route, it is answered: refused with a stable code, and never an error of ours."""

import json
import re
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from tests.shop_floor import ShopFloor

Json = dict[str, Any]
HOSTILE = {
    "integer": ["0", "-1", str(2**63), str(-(10**30)), "1.5"],
    "number": ["NaN", "-Infinity", "1e400", "-1", str(10**400)],
    "string": ['"a\\u0000b"', '"\\ud800"', json.dumps("x" * 100_000), '"\\u202e"', '"9999-12-31T23:59:59Z"'],
    "other": ["null", "[]", "{}", '[["x"]]', "true"],
}
"""Values as they stand in a body, by what the route's description asks for; the others come everywhere."""


def resolved(schema: Json, document: Json) -> Json:
    while "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
    for several in ("anyOf", "oneOf", "allOf"):
        if several in schema:
            return resolved(schema[several][0], document)
    return schema


def usual(name: str, schema: Json, document: Json) -> object:
    """A value that the description allows."""
    schema = resolved(schema, document)
    if "enum" in schema or "const" in schema:
        return schema.get("const", schema.get("enum", [None])[0])
    by_type: Json = {"integer": 1, "number": 1.5, "boolean": True, "array": [], "object": {}}
    return by_type.get(schema.get("type", ""), "L1-SPN-01" if name in {"asset", "asset_id"} else "sun.hao")


def requests(document: Json) -> Iterator[tuple[str, str, bytes | None]]:
    """Each place of each route with each hostile value in turn, everything else as it should be."""
    for path, methods in document["paths"].items():
        for method, route in methods.items():
            places = {
                place["name"]: place["schema"]
                for place in route.get("parameters", ())
                if place["in"] != "header"
            }
            asked = route.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            fields = resolved(asked, document).get("properties", {}) if asked else {}
            body = {name: usual(name, schema, document) for name, schema in fields.items()}
            given = {name: str(usual(name, schema, document)) for name, schema in places.items()}
            whole = json.dumps(body).encode() if asked else None
            for name, schema in places.items():
                for value in hostile(schema, document):
                    said = value.strip('"').encode().decode("unicode_escape")
                    yield method, address(path, given | {name: said}), whole
            for name, schema in fields.items():
                for value in hostile(schema, document):
                    others = json.dumps({key: one for key, one in body.items() if key != name})[1:-1]
                    yield (
                        method,
                        address(path, given),
                        f'{{"{name}": {value}, {others}'.rstrip(", ").encode() + b"}",
                    )


def hostile(schema: Json, document: Json) -> list[str]:
    return [*HOSTILE.get(resolved(schema, document).get("type", ""), ()), *HOSTILE["other"][:2]]


def address(path: str, given: dict[str, str]) -> str:
    said = {name: quote(value[:2000], safe="", errors="surrogatepass") for name, value in given.items()}
    in_path = set(re.findall(r"\{(\w+)\}", path))
    asked = "&".join(f"{name}={value}" for name, value in said.items() if name not in in_path)
    return path.format(**{name: said[name] for name in in_path}) + (f"?{asked}" if asked else "")


async def test_hostile_values_in_every_place_of_every_route_are_answered(
    floor: ShopFloor, client: httpx.AsyncClient
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    document = (await client.get("/api/v1/openapi.json")).json()
    wrong, seen = [], 0
    for method, where, body in requests(document):
        version = {"If-Match": '"1"', "Content-Type": "application/json"}
        answer = await client.request(method, where, content=body, headers=version)
        refused = answer.headers["content-type"] == "application/problem+json" and bool(answer.json()["code"])
        if answer.status_code >= 500 or (answer.status_code >= 400 and not refused):
            wrong.append((answer.status_code, method, where[:120], (body or b"")[:200]))
        seen += 1
    assert wrong == []
    assert seen > 1000


@pytest.mark.parametrize(
    "body", [b"", b"null", b"[]", b"\xff\xfe", b"[" * 100_000, b'{"version": NaN}', b'"x"']
)
async def test_a_body_that_is_none_is_refused(
    floor: ShopFloor, client: httpx.AsyncClient, body: bytes
) -> None:
    floor.hears(floor.finding("L1-SPN-01", "zone_d"))
    answer = await client.post(
        "/api/v1/tickets/1/cancel", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.json()["code"] in {"invalid_request", "bad_request"}
