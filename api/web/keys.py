"""What the keys of a cross table are called: causes, people, machines, days of the week, each in the reader's words."""

from collections.abc import Callable, Mapping

from api.visit import Visit
from api.web.formats import MISSING
from api.web.history import cause_label, scene_label
from api.web.wording import asset_name, component_name, condition_name, person_name
from ticketing.analysis.crosstab import OTHERS, Key
from ticketing.analysis.dimensions import OWN_FIELD, Dimension


def dimension_name(code: str, visit: Visit) -> str:
    """What a dimension is called; a type's own field has its label in the plant document."""
    if not code.startswith(OWN_FIELD):
        return visit.words(f"dimension.{code}")
    name = code.removeprefix(OWN_FIELD)
    labels = (one.field(name) for one in visit.plant.ticket_types)
    found = next((one for one in labels if one is not None), None)
    return str(getattr(found, visit.words.language)) if found is not None else name


def key_name(one: Dimension, key: Key, visit: Visit) -> str:
    """What a key of that dimension is called; a code that is gone stays readable."""
    if key is None:
        return MISSING
    if key == OTHERS:
        return visit.words("dimension.others")
    return _SAID[one.kind](key, visit) if one.kind in _SAID else _worded(one.kind, key, visit)


def _worded(kind: str, key: str, visit: Visit) -> str:
    """By the catalogue where it has a word of that kind, else as it stands."""
    name = f"{kind}.{key}"
    return visit.words(name) if name in visit.words else key


def _labelled(found: object, key: str, visit: Visit) -> str:
    return str(getattr(found, visit.words.language)) if found is not None else key


_SAID: Mapping[str, Callable[[str, Visit], str]] = {
    "cause": cause_label,
    "scene_tag": scene_label,
    "asset": lambda key, visit: asset_name(visit.plant.asset(key), key, visit.words),
    "person": lambda key, visit: person_name(key, visit.plant),
    "condition": lambda key, visit: condition_name(key, visit.words),
    "component": lambda key, visit: component_name(key, visit.words),
    "type": lambda key, visit: _labelled(visit.plant.ticket_type(key), key, visit),
    "fault_type": lambda key, visit: _labelled(visit.plant.fault_type(key), key, visit),
    "yes_no": lambda key, visit: visit.words(f"field.{key}"),
    "hour": lambda key, _visit: f"{key}:00",
}
