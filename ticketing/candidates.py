"""How all who were weighed for a ticket are kept: one short list each, a third of the bytes of as many objects.

A list has the values of a `Candidate` in the order of its fields, its parts in that of the weights; new fields are put
at the end, so that what was kept before can be read.
"""

from collections.abc import Iterable, Sequence
from dataclasses import fields
from operator import attrgetter

import msgspec

from andon.events import Json
from andon.rules.routing import Weights
from ticketing.sql import to_json
from ticketing.ticket import Candidate

_FIELDS = tuple(one.name for one in fields(Candidate))
_VALUES = attrgetter(*_FIELDS)
_PARTS = tuple(Weights.model_fields)
_AT = _FIELDS.index("parts")
_LISTS = msgspec.json.Decoder(list[list[Json]])


def packed(candidates: Iterable[Candidate]) -> str:
    """Candidates as they are kept.

    >>> packed([Candidate("p1", "Li", load=1, max_load=5, score=0.4, parts={"load": 0.4})])
    '[["p1","Li",1,5,0.4,[],[0.4,null,null,null],null,0,0,""]]'
    """
    return to_json([_row(one) for one in candidates])


def unpacked(kept: str) -> tuple[Candidate, ...]:
    """Candidates that were kept."""
    return tuple(
        msgspec.convert(dict(zip(_FIELDS, _named(row), strict=False)), Candidate)
        for row in _LISTS.decode(kept)
    )


def _row(one: Candidate) -> Sequence[Json]:
    values = list(_VALUES(one))
    values[_AT] = [one.parts.get(name) for name in _PARTS]
    return values


def _named(row: Sequence[Json]) -> Sequence[Json]:
    parts = {name: part for name, part in zip(_PARTS, row[_AT], strict=False) if part is not None}
    return [*row[:_AT], parts, *row[_AT + 1 :]]
