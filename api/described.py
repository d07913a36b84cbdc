"""The OpenAPI document: what FastAPI finds in the routes, with names, answers, refusals, examples and keys put in.

It is made once per application, in one pass over the operations, from the tables here and in `api.told`.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi

from api.shapes import REF, Schema, Shapes
from api.told import ANSWERS
from api.told_examples import example_of

API = "/api/v1"
ABOUT = """\
Tickets, root-cause tasks, machines, their series, and how the pipeline does.

Times are RFC 3339 in UTC (`…_at`), durations seconds (`…_s`). Lists are paged alike: `limit`, `after`, and `next` in
the body and as a Link. A step on a ticket or task names the version it was decided on, in `version` or as
`If-Match: "<version>"`. Errors are RFC 9457 problems with a stable `code`. A POST with an `Idempotency-Key` is done
once, however often it is sent. Everything at length: docs/api.md.
"""
TAGS: Mapping[str, str] = {
    "tickets": "One cause and the work on it: lists, evidence, and a POST for every step.",
    "reports": "What people say: one entry for every channel.",
    "dispatch": "Who does it: offers, claims, people, routing.",
    "work and closing": "Parts, approvals, signatures, ratings, and what is owed after a ticket is closed.",
    "operations": "Work in several steps: its order, minutes and measurements.",
    "preventive maintenance": "Plans by calendar and meter, their runs, readings of meters.",
    "costs and approvals": "What tickets cost, the levels that agree to it, delegations, safety sign-offs.",
    "store": "Spare parts with their lots, deliveries, counts, suppliers, and files of them.",
    "knowledge": "Articles drawn from tickets, their review, citations, and tickets that were alike.",
    "those who wait": "Where is it, and what one department has asked another to acknowledge.",
    "metrics": "K1 to K10 with their tickets and months, what they say together, and what they ask for.",
    "analysis": "Tickets by any field and any two, and the tickets behind each number.",
    "reports as PDF": "Reports that are made in the background: ordered, watched, fetched.",
    "limits": "Clocks of tickets, the shift leader's board, the drift list.",
    "deduplication": "The rules by which findings become one ticket, and trying out others.",
    "root-cause tasks": "Problems that repeats have opened, and improvements.",
    "alarms": "Alarms in the states of ISA-18.2.",
    "suppression": "Shelves and maintenance windows.",
    "machines": "The plant's machines, their series, and what people declare about them.",
    "detectors": "The detector set, its versions, back-tests and labels.",
    "notifications": "The event bus: topics, channels, what was sent.",
    "partners": "Systems that keep tickets too: their signed events, what they have confirmed and what was refused.",
    "pipeline": "Sources, dead letters, gaps, freshness.",
}
PROBLEM: Schema = {
    "type": "object",
    "description": "An error (RFC 9457). `code` is stable and for programs; `detail` is for people and may change.",
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "code": {"type": "string"},
        "detail": {"type": "string"},
        "missing": {
            "type": "array",
            "description": "What a step or report lacks.",
            "items": {
                "type": "object",
                "properties": {n: {"type": "string"} for n in ("demand", "field", "why")},
            },
        },
        "errors": {
            "type": "array",
            "description": "What of the request is not as described.",
            "items": {"type": "object", "properties": {n: {"type": "string"} for n in ("at", "why")}},
        },
    },
    "required": ["type", "title", "status", "code"],
}
REFUSALS: Mapping[str, tuple[str, str]] = {
    "400": ("bad_request", "The request is no HTTP or JSON that can be read."),
    "401": ("no_token", "No key or session, or none that is valid."),
    "403": ("no_right", "The account lacks the right, or may not do this to this one."),
    "404": ("ticket_not_found", "There is none of that name, or none where the account may look."),
    "405": (
        "method_not_allowed",
        "This address does not answer that method; `Allow` names those that it does.",
    ),
    "409": ("stale_version", "It has changed meanwhile, or stands where this is not possible."),
    "413": ("too_large", "The body is longer than is taken."),
    "415": ("unsupported_media_type", "The body is of a type that is not taken here."),
    "421": ("foreign_host", "The Host names another machine."),
    "422": (
        "invalid_request",
        "A value is not as described, a parameter is unknown, or evidence is missing.",
    ),
    "428": ("precondition_required", "Name the version that you decided on: `version`, or If-Match."),
    "429": ("too_many_requests", "Too many requests; `Retry-After` says when to come again."),
    "500": ("broken", "An error of ours. It is in the log."),
    "503": ("unavailable", "What this needs is away for now."),
}
SECURITY: Mapping[str, Schema] = {
    "key": {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key: `andon key`, or the token of a demo.",
    },
    "session": {
        "type": "apiKey",
        "in": "cookie",
        "name": "andon_session",
        "description": "The cookie of a browser that has signed in (a demo's has a suffix of its own).",
    },
}
KEY_HEADER: Schema = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "A name of yours for this request, 24 hours long: sent again with it, it is not done again.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200},
    "example": "7f9c1f0e-shift-2-0042",
}
NAMED: Mapping[str, str] = {
    "batch": "decide_batch",
    "problem_mandatory_fields": "make_field_mandatory",
    "ticket_obligation": "fulfil_ticket_obligation",
    "timers_failed_again": "again_timers_failed",
    "ticket_cost_requests": "ask_ticket_costs",
    "ticket_downtime": "state_ticket_downtime",
    "ticket_safety": "sign_ticket_safety",
    "ticket_type_modules": "assemble_ticket_type",
    "papers": "order_paper",
    "partner_events": "hear_partner",
    "parts": "save_part",
    "stock_sheets": "take_stock_sheet",
    "suppliers": "save_supplier",
}
"""Operations whose address says too little for a name."""


def describe(app: FastAPI) -> dict[str, Any]:
    """The document, made at the first call."""
    if app.openapi_schema is None:
        made = get_openapi(title=app.title, version=app.version, description=ABOUT, routes=app.routes)
        made["info"]["license"] = {"name": "Apache-2.0", "identifier": "Apache-2.0"}
        made["tags"] = [{"name": name, "description": said} for name, said in TAGS.items()]
        made["security"] = [{name: []} for name in SECURITY]
        components = made.setdefault("components", {})
        components["securitySchemes"] = SECURITY
        components["responses"] = {status: _refusal(status, *said) for status, said in REFUSALS.items()}
        schemas = components.setdefault("schemas", {})
        for gone in ("HTTPValidationError", "ValidationError"):
            schemas.pop(gone, None)
        schemas["Error"] = PROBLEM
        shapes = Shapes(schemas)
        for method, path, operation in operations(made):
            _complete(operation, method, path, shapes, schemas)
        _bound(made)
        app.openapi_schema = made
    return app.openapi_schema


def operations(document: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Every operation of a document: (method, path, operation)."""
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield method, path, operation


def named(method: str, path: str, *, lists: bool, adds: bool) -> str:
    """The operationId of an address.

    >>> named("get", "/tickets/{ticket_id}/links", lists=True, adds=False)
    'list_ticket_links'
    >>> named("post", "/tickets/{ticket_id}/assign", lists=False, adds=False)
    'assign_ticket'
    """
    words = path.replace("-", "_").strip("/").split("/")
    fixed = [
        _one(word) if place + 1 < len(words) and words[place + 1].startswith("{") else word
        for place, word in enumerate(words)
        if not word.startswith("{")
    ]
    joined = "_".join(fixed)
    if method != "post":
        verb = {"get": "list" if lists else "get", "patch": "edit"}.get(method, method)
        return f"{verb}_{_one(joined) if method == 'delete' else joined}"
    if adds:
        return f"add_{_one(joined)}"
    return NAMED.get(joined) or "_".join([fixed[-1], *fixed[:-1]])


def _one(word: str) -> str:
    irregular = {
        "people": "person",
        "fields": "fields",
        "ticket_enquiries": "ticket_enquiry",
        "batches": "batch",
        "problem_batches": "problem_batch",
    }
    return irregular.get(word, word.removesuffix("s") if not word.endswith("ss") else word)


def _complete(operation: dict[str, Any], method: str, path: str, shapes: Shapes, schemas: Schema) -> None:
    parameters = operation.setdefault("parameters", [])
    success = next(status for status in operation["responses"] if status.startswith("2"))
    lists = any(one["name"] == "after" for one in parameters)
    name = named(method, path.removeprefix(API), lists=lists, adds=method == "post" and success == "201")
    operation["operationId"] = name
    operation["summary"], operation["description"] = _said(operation.get("description", name))
    if method == "post" and not any(one["name"].lower() == "idempotency-key" for one in parameters):
        parameters.append(KEY_HEADER)
    for one in parameters:
        if "example" not in one and (given := example_of(one["name"], one["schema"], schemas)) is not None:
            one["example"] = given
    for content in operation.get("requestBody", {}).get("content", {}).values():
        content.setdefault("example", example_of("", content["schema"], schemas))
    operation["responses"] = {
        success: _answer(
            operation["responses"][success], success, shapes.of(ANSWERS.get(name, object)), lists=lists
        ),
        **{
            status: {"$ref": f"#/components/responses/{status}"}
            for status in _refusals(operation, method, path)
        },
    }


def _bound(part: Any) -> None:
    """Say of every integer that it fits into 64 bits: no other can be stored."""
    if isinstance(part, dict):
        if part.get("type") == "integer":
            part.setdefault("minimum", -(2**63))
            part.setdefault("maximum", 2**63 - 1)
        for inner in part.values():
            _bound(inner)
    elif isinstance(part, list):
        for inner in part:
            _bound(inner)


def _said(text: str) -> tuple[str, str]:
    """The first sentence as a summary, and everything as the description."""
    return text.partition("\n")[0].rstrip("."), text


def _answer(found: Schema, status: str, schema: Schema, *, lists: bool) -> Schema:
    if status == "204":
        return {"description": "Done."}
    headers: Schema = {}
    if lists:
        headers["Link"] = {
            "description": "The next page (RFC 8288), if there is one.",
            "schema": {"type": "string"},
        }
    if schema.get("$ref") in {REF + "Ticket", REF + "Problem"}:
        headers["ETag"] = {"description": "The version, for If-Match.", "schema": {"type": "string"}}
    media = next(iter(found.get("content", {})), "application/json")
    answer: Schema = {"description": "Done.", "content": {media: {"schema": schema}}}
    return answer | ({"headers": headers} if headers else {})


def _refusals(operation: Mapping[str, Any], method: str, path: str) -> list[str]:
    """Which refusals an operation knows."""
    found = {"401", "403", "421", "422", "429", "500"}
    body = "requestBody" in operation
    names = {one["name"].lower() for one in operation["parameters"]}
    found |= {"400", "413", "415"} if body else set()
    found |= {"404"} if "{" in path or "day" in names else set()
    found |= {"404", "409", "503"} if method != "get" else set()
    found |= {"428"} if "if-match" in names else set()
    return sorted(found)


def _refusal(status: str, code: str, said: str) -> Schema:
    example = {
        "type": f"urn:andon:problem:{code}",
        "title": code.replace("_", " ").capitalize(),
        "status": int(status),
        "code": code,
        "detail": said,
    }
    content = {"application/problem+json": {"schema": {"$ref": REF + "Error"}, "example": example}}
    return {"description": said, "content": content}
