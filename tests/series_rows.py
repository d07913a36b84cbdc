"""Readings for tests of the series, from rows (at_ns, channel, value, quality)."""

from collections.abc import Sequence

import numpy as np

from andon.events import Origin, Readings

Row = tuple[int, str, float, int]


def block(rows: Sequence[Row], asset: str = "M1", units: str = "u") -> Readings:
    names = tuple(dict.fromkeys(channel for _, channel, _, _ in rows))
    return Readings(
        asset,
        names,
        tuple(units for _ in names),
        np.array([at for at, _, _, _ in rows], np.int64),
        np.array([names.index(channel) for _, channel, _, _ in rows], np.int32),
        np.array([value for _, _, value, _ in rows], np.float64),
        np.array([quality for _, _, _, quality in rows], np.uint32),
        Origin("s", 0, 0),
    )
