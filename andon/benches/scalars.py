"""What a scalar costs: the vectorised tests beside river's own, detectors from ten channels to many (G6), replay (G7)."""

import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from andon.benches import Row
from andon.events import SECOND_NS, ConfigChanged, Event, Float64, Origin, Readings
from andon.pipeline import Batch, Pipeline, Slice
from andon.plant import Asset, DetectorSettings, Plant, Point
from andon.ports import Decoded, Detector, Record, RecordKind, State
from detectors import adwin, build, page_hinkley, process_methods
from detectors.state import size_bytes

CHANNELS = (10, 1_000, 100_000)
POINTS = 20
KINDS = ("velocity_zones", "stuck_value", "silent_sensor")
"""Kinds that growth and replay are measured with; each costs for itself, and does so per channel."""
_T0 = 1_790_000_000 * SECOND_NS
_LIMIT_RATIO, _LIMIT_BYTES, _LEAST_REPLAY = 1.3, 4096.0, 100_000.0
_WIDE = 1_000
"""Channels that a vectorised test is measured with."""


def beside_river(step: Callable[[str], None], values: int) -> list[Row]:
    """Nanoseconds per value of the vectorised tests and of river's, on the same values; what they say has to be equal."""
    from river import anomaly, drift  # noqa: PLC0415 - slow to load, and only wanted here

    x = _wandering(values)
    found = []
    pairs: tuple[tuple[str, Any, Any, Any], ...] = (
        ("Page-Hinkley", drift.PageHinkley, page_hinkley.page_hinkley, page_hinkley.step),
        ("ADWIN", drift.ADWIN, adwin.adwin, adwin.step),
    )
    for name, theirs, begin, take in pairs:
        step(f"{name} beside river's")
        state, many = begin(_WIDE), np.repeat(x[:, None], _WIDE, axis=1)
        began_s = time.process_time()
        said = [take(state, row)[0] for row in many]
        ours_ns = (time.process_time() - began_s) / many.size * 1e9
        began_s, test = time.process_time(), theirs()
        right = [bool(_updated(test, value)) for value in x.tolist()]
        theirs_ns = (time.process_time() - began_s) / x.size * 1e9
        found += [
            Row(
                f"{name}, {_WIDE:,} channels",
                ours_ns,
                "ns CPU per value",
                f"river.drift.{name.replace('-', '')}",
                ours_ns / theirs_ns,
            ),
            Row(
                f"{name}: values at which river says another thing",
                float(_disagreement(said, right)),
                f"of {x.size}",
                limit=0.0,
            ),
        ]
    return [
        *found,
        *_trees(step, values),
        *_alone(step, x, (anomaly.GaussianScorer, anomaly.StandardAbsoluteDeviation)),
    ]


def _trees(step: Callable[[str], None], values: int) -> list[Row]:
    """Half-space trees as they are frozen here, beside river's own that they were taken from."""
    from river.anomaly import HalfSpaceTrees  # noqa: PLC0415

    step("half-space trees beside river's")
    rng = np.random.default_rng(1)
    healthy, rows = rng.standard_normal((250, 8)), 2 * rng.standard_normal((max(50, values // 20), 8))
    made = process_methods.trees(healthy)
    forest: Any = HalfSpaceTrees(n_trees=25, height=6, window_size=len(healthy), seed=1)
    for row in process_methods.unit(healthy):
        forest.learn_one(dict(enumerate(row.tolist())))
    began_s = time.process_time()
    ours = [process_methods.mass(made, row) for row in rows]
    ours_ns = (time.process_time() - began_s) / len(rows) * 1e9
    began_s = time.process_time()
    theirs = [1 - forest.score_one(dict(enumerate(process_methods.unit(row).tolist()))) for row in rows]
    theirs_ns = (time.process_time() - began_s) / len(rows) * 1e9
    worst = float(np.abs(np.subtract(ours, theirs)).max())
    return [
        Row(
            "half-space trees, frozen, 8 channels",
            ours_ns,
            "ns CPU per row",
            "river.anomaly.HalfSpaceTrees",
            ours_ns / theirs_ns,
        ),
        Row("half-space trees: largest difference from river's score", worst, "of 1", limit=1e-9),
    ]


def _alone(step: Callable[[str], None], x: Float64, kinds: Sequence[Any]) -> list[Row]:
    """River's scorers that learn from what they judge: nothing here does, so there is only their cost to know."""
    found = []
    for kind in kinds:
        step(f"river's {kind.__name__}")
        scorer, began_s = kind(), time.process_time()
        for value in x.tolist():
            scorer.score_one(None, value)
            scorer.learn_one(None, value)
        found.append(
            Row(
                f"river.anomaly.{kind.__name__} (no counterpart)",
                (time.process_time() - began_s) / x.size * 1e9,
                "ns CPU per value",
            )
        )
    return found


def _disagreement(one: Sequence[bool], other: Sequence[bool]) -> int:
    return sum(bool(a) != bool(b) for a, b in zip(one, other, strict=True))


def _updated(test: Any, value: float) -> bool:
    test.update(value)
    return bool(test.drift_detected)


def _wandering(values: int) -> Float64:
    """Noise with a step in the middle, so that there is something to be found."""
    rng = np.random.default_rng(0)
    return rng.standard_normal(values) + np.where(np.arange(values) > values // 2, 3.0, 0.0)


def growth(
    step: Callable[[str], None], channels: Sequence[int] = CHANNELS, values: int = 40_000
) -> list[Row]:
    """Cost of a value and bytes of state with ten channels and with many, through a few kinds of detectors."""
    found: list[Row] = []
    for count in channels:
        step(f"detect, {count:,} channels")
        cost_us, kept = _detected(count, max(values, count))
        first = found[0].value if found else None
        name = f"detect, {count:,} channels"
        if first is None:
            found.append(Row(name, cost_us, "µs CPU per value"))
        else:
            versus = f"{channels[0]:,} channels"
            found.append(Row(name, cost_us, "µs CPU per value", versus, cost_us / first, "G6", _LIMIT_RATIO))
    for kind, held in kept.items():
        name = f"state of {kind}, {channels[-1]:,} channels"
        found.append(Row(name, held / channels[-1], "bytes per channel", goal="G6", limit=_LIMIT_BYTES))
    return found


def _detected(channels: int, values: int) -> tuple[float, Counter[str]]:
    """CPU per value once each channel has spoken, and the bytes of the detectors' states by kind."""
    points = min(channels, POINTS)
    machines: list[list[Detector]] = []
    for number in range(channels // points):
        asset = asset_of(f"m{number}", points)
        machines.append(build(asset, Plant(name="bench", assets=(asset,))))
    rounds = max(2, values // channels)
    used_s = 0.0
    for turn in range(rounds + 1):
        for number, detectors in enumerate(machines):
            block = readings_of(f"m{number}", points, turn * POINTS, rows=1)
            began_s = time.process_time()
            for detector in detectors:
                detector.update(block)
            used_s += time.process_time() - began_s if turn else 0.0
    kept = Counter[str]()
    for detectors in machines:
        for kind, detector in zip(KINDS, detectors, strict=True):
            kept[kind] += size_bytes(detector.snapshot())
    return used_s / (rounds * channels) * 1e6, kept


class Stored:
    """Gives readings as they are kept: no bytes to decode."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        """The events that belong to these records."""
        del source
        return Decoded(self.events[position : position + len(records)], (), {})

    def snapshot(self) -> State:
        """Nothing is remembered."""
        return {}

    def restore(self, state: State) -> None:
        """Nothing is remembered."""


def replay(
    step: Callable[[str], None], hours: float = 12.0, kinds: Sequence[str] = KINDS, goal: str = "G7"
) -> list[Row]:
    """One machine of twenty channels at 1 Hz, told again from stored readings: how much faster than it happened."""
    from detectors.features import features_of  # noqa: PLC0415 - scipy, which the others do not need

    name = f"replay, 20 channels at 1 Hz, {len(kinds)} kinds"
    step(name)
    asset = asset_of("m0", POINTS, kinds)
    stored, seconds, per_block = Stored(), int(hours * 3600), 600
    document = Plant(name="bench", assets=(asset,)).model_dump(mode="json")
    stored.events = [ConfigChanged(_T0, 1, document, Origin("bench", 0, _T0))]
    stored.events += [readings_of("m0", POINTS, first, per_block) for first in range(0, seconds, per_block)]
    build(asset, Plant(name="bench", assets=(asset,)))  # what is loaded with the first is no part of it
    pipeline = Pipeline(stored, features_of, build)
    record = Record(RecordKind.MESSAGE, _T0, b"", b"")
    began_s = time.process_time()
    for number in range(len(stored.events)):
        pipeline.step(Batch(number, (Slice("bench", number, [record]),)))
    used_s = time.process_time() - began_s
    times = seconds / used_s
    return [
        Row(name, times, "times real time", goal=goal, limit=_LEAST_REPLAY if goal else None, at_least=True),
        Row(name, seconds * POINTS / used_s, "readings/s through the pipeline"),
    ]


def asset_of(asset_id: str, points: int, kinds: Sequence[str] = KINDS) -> Asset:
    """A pump whose points speak of velocity and temperature in turn; none is a waveform's."""
    listed = tuple(
        Point(
            id=f"P{i}",
            component=f"C{i}",
            period_s=1,
            quantities={"velocity_rms": "mm/s"} if i % 2 else {"temperature": "Cel"},
        )
        for i in range(points)
    )
    return Asset(
        id=asset_id,
        name=asset_id,
        asset_class="pump",
        path="e/s/a/l/c",
        power_kw=75,
        points=listed,
        detectors=tuple(DetectorSettings(kind=kind) for kind in kinds),
    )


def readings_of(asset: str, points: int, first: int, rows: int) -> Readings:
    """So many seconds of all points, healthy."""
    rng = np.random.default_rng(first)
    channels = tuple(f"P{i}/velocity_rms" if i % 2 else f"P{i}/temperature" for i in range(points))
    units = tuple("mm/s" if i % 2 else "Cel" for i in range(points))
    channel = np.tile(np.arange(points, dtype=np.int32), rows)
    at_ns = _T0 + (first + np.repeat(np.arange(rows), points)) * SECOND_NS
    value = np.where(channel % 2, 1.1, 40.0) * (1 + 0.02 * rng.standard_normal(channel.size))
    origin = Origin("bench", first, int(at_ns[-1]))
    return Readings(asset, channels, units, at_ns, channel, value, np.zeros(channel.size, np.uint32), origin)
