"""Which values of a block a detector judges: its own channels, good and finite, one by one in the order given.

Taking them one by one is what makes findings independent of how blocks are split (law 4).
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from math import isfinite
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from andon.events import Readings

Key = TypeVar("Key")

_NOT_GOOD = 0x4000_0000  # OPC 10000-4, 7.39: the severity is in the two highest bits; 0 is good
_FEW = 64
"""Up to so many values are picked as quickly one by one."""
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
            tuple[tuple[str, ...], tuple[str, ...]], tuple[list[Key | None], NDArray[np.bool_] | None]
        ] = {}

    def rows(self, readings: Readings) -> Iterable[tuple[int, Key, float]]:
        """The time, key and value of each wanted reading that is of good quality and finite."""
        keys, mine = self._table(readings)
        if mine is None:
            return ()
        if len(readings.at_ns) > _FEW:
            readings = _picked(readings, mine)
        return [
            (at_ns, key, value)
            for at_ns, i, value, quality in zip(
                readings.at_ns.tolist(),
                readings.channel.tolist(),
                readings.value.tolist(),
                readings.quality.tolist(),
                strict=True,
            )
            if (key := keys[i]) is not None and quality < _NOT_GOOD and isfinite(value)
        ]

    def key(self, readings: Readings, index: int) -> Key | None:
        """The key of a channel of the block."""
        return self._table(readings)[0][index]

    def _table(self, readings: Readings) -> tuple[list[Key | None], NDArray[np.bool_] | None]:
        """The key of each channel, and which have one; None if none has."""
        names = (readings.channels, readings.units)
        table = self._tables.get(names)
        if table is None:
            if len(self._tables) >= _MOST_TABLES:
                self._tables.clear()
            keys = [self._wanted(*name) for name in zip(*names, strict=True)]
            mine = [key is not None for key in keys]
            table = keys, np.array(mine, dtype=np.bool_) if any(mine) else None
            self._tables[names] = table
        return table


def _picked(readings: Readings, mine: NDArray[np.bool_]) -> Readings:
    """The readings of these channels alone."""
    rows = np.flatnonzero(mine[readings.channel])
    return replace(
        readings,
        at_ns=readings.at_ns[rows],
        channel=readings.channel[rows],
        value=readings.value[rows],
        quality=readings.quality[rows],
    )
