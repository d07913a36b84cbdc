"""Values as JSON for programs: times in RFC 3339, durations in seconds, everything else as it is named inside.

`opened_ns` becomes `opened_at`, `at_ns` becomes `at`, `interval_ns` becomes `interval_s`.
"""

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum

from andon.events import SECOND_NS, Json, rfc3339

_DURATIONS = frozenset({"interval_ns"})
_INNER = frozenset({"search", "audit_seq", "audit_hash", "head", "given"})
"""Fields that are the store's own business."""


def plain(value: object) -> Json:
    """A word of ours as JSON; numbers that are none become null."""
    if isinstance(value, Mapping):
        return {str(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        named = {f.name: getattr(value, f.name) for f in fields(value) if f.name not in _INNER}
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


def _pair(name: str, value: object) -> tuple[str, Json]:
    if name in _DURATIONS:
        return name[:-3] + "_s", value / SECOND_NS if isinstance(value, int) else None
    if name == "at_ns" or name.endswith("_ns"):
        at = rfc3339(value) if isinstance(value, int) else None
        return ("at" if name == "at_ns" else name[:-3] + "_at"), at
    return name, plain(value)
