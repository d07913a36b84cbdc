"""Which detectors an asset class gets when the plant document does not say: one row per class, no tuning.

What a document says always wins: an entry under `classes`, an empty one too, and an asset's own detectors.
A kind that finds none of its points on a machine says nothing, so a row names what the class can have.
"""

from collections.abc import Mapping

_ALWAYS = (
    *("silent_sensor", "not_assessable", "irregular_sensor", "clock_skew"),
    *("stop_alarm", "stop_pattern", "chattering"),
    *("stuck_value", "spike", "level_shift", "drift", "variance_change"),
)
_HEARD = ("band_energy", "bearing_element")
_TURNING = ("velocity_zones", "velocity_change", *_HEARD, "machine_fault", *_ALWAYS)
"""ISO 10816-3:2009 has zones for machines that turn evenly; strokes, blows and cutting are none of its business."""

DEFAULTS: Mapping[str, tuple[str, ...]] = {
    "pump": _TURNING,
    "fan": _TURNING,
    "motor": _TURNING,
    "gearbox": _TURNING,
    "compressor": _TURNING,
    "conveyor": _TURNING,
    "machine_tool": (*_HEARD, "machine_fault", *_ALWAYS),
    "press": (*_HEARD, *_ALWAYS),
    "die_casting_machine": (*_HEARD, *_ALWAYS),
    "machine": (*_HEARD, *_ALWAYS),
}
"""Any class that has no row is a "machine": of it nothing is known, so nothing is taken for granted."""


def default_kinds(asset_class: str) -> tuple[str, ...]:
    """The kinds of detectors that a class gets by itself, in the order they are told.

    >>> default_kinds("press")[:3], "velocity_zones" in default_kinds("fan")
    (('band_energy', 'bearing_element', 'silent_sensor'), True)
    >>> default_kinds("bottle washer") == default_kinds("machine")
    True
    """
    return DEFAULTS.get(asset_class, DEFAULTS["machine"])
