"""Values as JSON for programs: times in RFC 3339, durations in seconds, everything else as it is named inside.

`opened_ns` becomes `opened_at`, `at_ns` becomes `at`, `interval_ns` becomes `interval_s`.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Literal

from andon.events import SECOND_NS, Json, rfc3339

_DURATIONS = frozenset({"interval_ns"})
HIDDEN = frozenset({"search", "audit_seq", "audit_hash", "head", "given"})
"""Fields that are the store's own business."""


def plain(value: object) -> Json:
    """A word of ours as JSON; numbers that are none become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in HIDDEN}
        return dict(_pair(name, inner) for name, inner in named.items())
    return _scalar(value)


def _scalar(value: object) -> Json:
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    if isinstance(value, float) and not math.isfinite(value):
        return None
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


def _pair(name: str, value: object) -> tuple[str, Json]:
    said, unit = named(name)
    if unit is None:
        return said, plain(value)
    if not isinstance(value, int):
        return said, None
    return said, rfc3339(value) if unit == "time" else value / SECOND_NS
