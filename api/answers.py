"""Values as JSON for programs: times in RFC 3339, durations in seconds, everything else as it is named inside.

`opened_ns` becomes `opened_at`, `at_ns` becomes `at`, `interval_ns` becomes `interval_s`.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from enum import Enum
from functools import cache
from typing import Literal

from andon.events import SECOND_NS, Json, rfc3339

_DURATIONS = frozenset({"interval_ns"})
HIDDEN = frozenset({"search", "audit_seq", "audit_hash", "head", "given"})
"""Fields that are the store's own business."""


_AS_IT_IS = frozenset({str, int, bool, type(None)})
"""Types whose values are JSON already: nearly all that there is to a ticket."""


def plain(value: object) -> Json:
    """A word of ours as JSON; numbers that are none become null."""
    kind = type(value)
    if kind in _AS_IT_IS:
        return value
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if is_dataclass(kind):
        return {said: _said(getattr(value, name), unit) for name, said, unit in _fields(kind)}
    if isinstance(value, dict | Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return _scalar(value)


@cache
def _fields(kind: type) -> Sequence[tuple[str, str, Literal["time", "duration"] | None]]:
    """The fields of a word that are shown: as they are named inside, outside, and what their nanoseconds are."""
    return [(one.name, *named(one.name)) for one in fields(kind) if one.name not in HIDDEN]


def _scalar(value: object) -> Json:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    return value


def named(name: str) -> tuple[str, Literal["time", "duration"] | None]:
    """What a field is called outside, and what its nanoseconds are.

    >>> named("opened_ns"), named("interval_ns"), named("asset")
    (('opened_at', 'time'), ('interval_s', 'duration'), ('asset', None))
    """
    if name in _DURATIONS:
        return name[:-3] + "_s", "duration"
    if name.endswith("_ns"):
        return ("at" if name == "at_ns" else name[:-3] + "_at"), "time"
    return name, None


def _said(value: object, unit: Literal["time", "duration"] | None) -> Json:
    if unit is None:
        return plain(value)
    if not isinstance(value, int):
        return None
    return rfc3339(value) if unit == "time" else value / SECOND_NS
