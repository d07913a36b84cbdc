"""Which values of a block a detector judges: its own channels, good and finite, one by one in the order given.

Taking them one by one is what makes findings independent of how blocks are split (law 4).
"""

from collections.abc import Callable, Iterable
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from andon.events import Readings

Key = TypeVar("Key")

_SEVERITY = np.uint32(0xC000_0000)  # OPC 10000-4, 7.39: the two highest bits; 0 is good
_MOST_TABLES = 64


class Intake(Generic[Key]):
    """Picks the readings that a detector wants.

    Parameters
    ----------
    wanted
        From channel and unit to the detector's own key for it, or None for a channel it does not judge.
    """

    def __init__(self, wanted: Callable[[str, str], Key | None]) -> None:
        self._wanted = wanted
        self._tables: dict[
            tuple[tuple[str, ...], tuple[str, ...]], tuple[list[Key | None], NDArray[np.bool_]]
        ] = {}

    def rows(self, readings: Readings) -> Iterable[tuple[int, Key, float]]:
        """The time, key and value of each wanted reading that is of good quality and finite."""
        keys, mine = self._table(readings)
        if not mine.any():
            return ()
        good = (readings.quality & _SEVERITY) == 0
        picked = np.flatnonzero(mine[readings.channel] & good & np.isfinite(readings.value))
        at_ns = readings.at_ns[picked].tolist()
        channel = readings.channel[picked].tolist()
        value = readings.value[picked].tolist()
        return [
            (at, key, x)
            for at, i, x in zip(at_ns, channel, value, strict=True)
            if (key := keys[i]) is not None
        ]

    def _table(self, readings: Readings) -> tuple[list[Key | None], NDArray[np.bool_]]:
        names = (readings.channels, readings.units)
        table = self._tables.get(names)
        if table is None:
            if len(self._tables) >= _MOST_TABLES:
                self._tables.clear()
            keys = [self._wanted(*name) for name in zip(*names, strict=True)]
            table = keys, np.array([key is not None for key in keys], dtype=np.bool_)
            self._tables[names] = table
        return table
