"""What each kind of detector costs for a value: of the set that a pump gets by itself, in long blocks and second by second."""

import time
from collections.abc import Callable, Sequence

from andon.benches import Row
from andon.benches.scalars import POINTS, asset_of, readings_of
from andon.class_defaults import default_kinds
from andon.events import Readings
from andon.plant import Plant
from andon.ports import Detector
from detectors import build

_CLASS = "pump"
_DAYS, _ROWS = 15, 8  # learned from: so many seconds of each hour
_BLOCK_S = 600


def rows(step: Callable[[str], None], *, days: int = _DAYS, blocks: int = 6) -> list[Row]:
    """Nanoseconds per value of each kind once it has learned, in blocks of ten minutes and of one second."""
    step(f"each kind of a {_CLASS}")
    kinds = default_kinds(_CLASS)
    asset = asset_of("m0", POINTS, kinds)
    detectors = build(asset, Plant(name="bench", assets=(asset,)))
    learned = [readings_of("m0", POINTS, hour * 3600, _ROWS) for hour in range(days * 24)]
    long = [readings_of("m0", POINTS, (days * 24 + k) * 3600, _BLOCK_S) for k in range(blocks)]
    live = [readings_of("m0", POINTS, (days * 24 + blocks) * 3600 + s, 1) for s in range(20 * blocks)]
    found, sums = [], [0.0, 0.0]
    for kind, detector in zip(kinds, detectors, strict=True):
        _ns_per_value(detector, learned)
        costs = [_ns_per_value(detector, long), _ns_per_value(detector, live)]
        sums = [one + other for one, other in zip(sums, costs, strict=True)]
        if costs[0] > 10:  # the others have nothing to judge here
            found += _told(kind, costs)
    return found + _told(f"all kinds of a {_CLASS}", sums)


def _told(what: str, costs: Sequence[float]) -> list[Row]:
    long, live = costs
    versus = "blocks of ten minutes"
    return [
        Row(f"{what}, {versus}", long, "ns CPU per value"),
        Row(f"{what}, live", live, "ns CPU per value", versus, live / long),
    ]


def _ns_per_value(detector: Detector, blocks: Sequence[Readings]) -> float:
    began_s = time.process_time()
    for block in blocks:
        detector.update(block)
    return (time.process_time() - began_s) / sum(block.value.size for block in blocks) * 1e9
