"""The latest event time of every channel: what is older than that is late, kept and not judged (law 4)."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from andon.events import Int64, Json, Readings

_FEW = 100
"""Up to so many values of each channel are looked at one by one."""


class Latest:
    """What was seen last of each asset's channels, by event time."""

    def __init__(self) -> None:
        self._at: dict[str, dict[str, int]] = {}  # asset -> channel -> the latest event time seen there

    def is_newest(self, asset: str, channel: str, at_ns: int) -> bool:
        """Whether nothing newer was seen there; then it is the newest from now on."""
        latest = self._at.setdefault(asset, {})
        if at_ns < latest.get(channel, at_ns):
            return False
        latest[channel] = at_ns
        return True

    def in_order(self, readings: Readings, counts: Counter[str]) -> Readings | None:
        """The rows not older than their channel's last: late ones are stored, and not judged (law 4)."""
        if readings.historical:
            counts["historical"] += len(readings.at_ns)
            return None
        few = len(readings.at_ns) <= _FEW * len(readings.channels)
        keep = self._one_by_one(readings) if few else self._by_channel(readings)
        if keep is None or keep.all():
            return readings
        counts["late"] += int((~keep).sum())
        if not keep.any():
            return None
        return replace(
            readings,
            at_ns=readings.at_ns[keep],
            channel=readings.channel[keep],
            value=readings.value[keep],
            quality=readings.quality[keep],
        )

    def _one_by_one(self, readings: Readings) -> NDArray[np.bool_] | None:
        """Which rows are not older than their channel's last (None: all): the quicker way for few of each channel."""
        latest = self._at.setdefault(readings.asset, {})
        names, keep = readings.channels, []
        for index, at_ns in zip(readings.channel.tolist(), readings.at_ns.tolist(), strict=True):
            name = names[index]
            in_order = at_ns >= latest.get(name, at_ns)
            keep.append(in_order)
            if in_order:
                latest[name] = at_ns
        return None if all(keep) else np.array(keep, dtype=np.bool_)

    def _by_channel(self, readings: Readings) -> NDArray[np.bool_]:
        """The same, the quicker way for many of each channel."""
        latest = self._at.setdefault(readings.asset, {})
        keep = np.ones(len(readings.at_ns), dtype=np.bool_)
        for index in np.unique(readings.channel):
            name = readings.channels[index]
            rows = np.flatnonzero(readings.channel == index)
            at_ns: Int64 = readings.at_ns[rows]
            before = np.maximum.accumulate(np.concatenate(([latest.get(name, at_ns[0])], at_ns)))
            keep[rows] = at_ns >= before[:-1]
            latest[name] = int(before[-1])
        return keep

    def snapshot(self) -> Json:
        """The times, as JSON."""
        return self._at

    def restore(self, state: Mapping[str, Mapping[str, int]]) -> None:
        """Go on exactly where `snapshot` was taken."""
        self._at = {asset: dict(channels) for asset, channels in state.items()}
