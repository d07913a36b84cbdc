"""What a request may carry, by the API's own description: no parameter that is not there, no body of another type.

A misspelt filter that is ignored gives a list of everything, which looks like an answer; so it is refused.
"""

import difflib
from collections import Counter
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from fastapi import FastAPI, HTTPException, Request

from api.described import API, describe, operations
from api.refused import Refused

_READS = frozenset({"get", "head"})


class UnknownParameter(Exception):
    """The address has a parameter that this route does not know."""

    def __init__(self, name: str, known: AbstractSet[str]) -> None:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        meant = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(sorted(known)) or 'none'}"
        super().__init__(f"there is no parameter {name[:64]!r} here; {meant}")
        self.name = name[:64]


@dataclass(frozen=True, slots=True)
class Known:
    """What one operation takes."""

    parameters: AbstractSet[str]
    lists: AbstractSet[str]
    media: AbstractSet[str]


def known_of(app: FastAPI) -> Mapping[tuple[str, str], Known]:
    """What every operation takes, by method and path; looked up once."""
    known: Mapping[tuple[str, str], Known] | None = getattr(app.state, "known", None)
    if known is None:
        known = {
            (method, path): Known(
                frozenset(one["name"] for one in operation["parameters"] if one["in"] == "query"),
                frozenset(one["name"] for one in operation["parameters"] if "array" in str(one["schema"])),
                frozenset(operation.get("requestBody", {}).get("content", {})),
            )
            for method, path, operation in operations(describe(app))
        }
        app.state.known = known
    return known


async def as_described(request: Request) -> None:
    """UnknownParameter for a query that is not described, 415 for a body of another type."""
    method, path = request.method.lower(), API + request.scope["route"].path_format
    known = known_of(request.app).get((method, path))
    if known is None:
        return
    for name, times in Counter(name for name, _ in request.query_params.multi_items()).items():
        if name not in known.parameters:
            raise UnknownParameter(name, known.parameters)
        if times > 1 and name not in known.lists:
            raise Refused(422, "repeated_parameter", f"{name} is one value, and is given {times} times")
    given = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if (
        method not in _READS
        and known.media
        and given not in known.media
        and (given or "application/json" not in known.media)
    ):
        takes = " or ".join(sorted(known.media))
        raise HTTPException(415, f"this takes {takes}, not {given or 'a body without a type'}")
