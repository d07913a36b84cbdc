"""All that `andon bench ingest` measures: messages, stop alarms beside them, many channels, OPC UA."""

from collections.abc import Callable

from andon.benches import Row, alarms, channels, messages, opcua
from andon.benches.messages import FULL, QUICK, TINY, Sizes, left_out

__all__ = ["FULL", "QUICK", "TINY", "Sizes", "left_out", "rows", "steps"]


def steps(sizes: Sizes) -> int:
    """How many steps `rows` will tell of."""
    return sum(len(programs) for _, _, programs in messages.plan(sizes)) + 1 + len(sizes.channels) + 2


def rows(sizes: Sizes, step: Callable[[str], None]) -> list[Row]:
    """Measure all of it; `step` is told what is next."""
    return [
        *messages.rows(sizes, step),
        *alarms.rows(sizes.alarms_s, step),
        *channels.rows(step, sizes.channels),
        *opcua.rows(sizes.opcua, step),
    ]
