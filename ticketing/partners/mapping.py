"""A partner's data in our words: the reference adapter, whose mapping is data of the plant document."""

from collections.abc import Mapping
from typing import Any

from andon.events import Json


def mapped(data: Mapping[str, Json], reads: Mapping[str, str]) -> dict[str, Json]:
    """Our fields out of theirs; a mapping that says nothing leaves the data as it is. `fields.x` is the type's own.

    >>> order = {"order": {"no": "4711"}, "customer": {"name": "Lin", "tier": "gold"}, "note": "leaks"}
    >>> mapped(order, {"order_number": "order.no", "reporter": "customer.name", "fields.tier": "customer.tier"})
    {'order_number': '4711', 'reporter': 'Lin', 'fields': {'tier': 'gold'}}
    """
    if not reads:
        return dict(data)
    found: dict[str, Any] = {}
    for ours, path in reads.items():
        value = at(data, path)
        if value is None:
            continue
        into, _, name = ours.rpartition(".")
        (found.setdefault(into, {}) if into else found)[name] = value
    return found


def at(data: Json, path: str) -> Json:
    """The value at a dotted path, None if it is not there; a whole number names a place in a list.

    >>> at({"items": [{"part": "P-1"}]}, "items.0.part")
    'P-1'
    """
    for name in path.split("."):
        if isinstance(data, Mapping):
            data = data.get(name)
        elif isinstance(data, list) and name.isdecimal() and int(name) < len(data):
            data = data[int(name)]
        else:
            return None
    return data
