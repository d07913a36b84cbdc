"""`andon bench detect`: what features and detectors cost, beside the textbook's way and river's (G3, G6, G7)."""

from collections.abc import Callable

from andon.benches import Row, features, kinds, scalars
from andon.class_defaults import default_kinds
from andon.memory import keep_freed_memory

STEPS = 14


def rows(step: Callable[[str], None], *, quick: bool = False) -> list[Row]:
    """All figures; `quick` takes a few seconds, and fewer channels."""
    keep_freed_memory()  # as the engine does
    found = features.rows(step, rounds=2 if quick else 15)
    found += scalars.beside_river(step, values=400 if quick else 4_000)
    found += scalars.growth(
        step, (10, 1_000) if quick else scalars.CHANNELS, values=2_000 if quick else 40_000
    )
    found += kinds.rows(step, days=1 if quick else 15, blocks=2 if quick else 6)
    hours = 2.0 if quick else 12.0
    return [
        *found,
        *scalars.replay(step, hours),
        *scalars.replay(step, hours, default_kinds("pump"), goal=""),
    ]
