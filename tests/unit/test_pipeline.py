"""The flow: order, late readings, silent sources, broken detectors, changes of configuration, and restarts."""

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.events import (
    SECOND_NS,
    Action,
    ConfigChanged,
    Event,
    Family,
    Finding,
    Gap,
    Json,
    Origin,
    Readings,
    Tick,
    Waveform,
)
from andon.latest import Latest
from andon.pipeline import Batch, Pipeline, Slice
from andon.plant import Asset, Plant, Point
from andon.ports import Decoded, Record, RecordKind, State

ASSET = {"id": "M1", "name": "M1", "asset_class": "pump", "path": "e/s/a/L1/c"}
PLANT = {"name": "p", "assets": [ASSET], "source_silent_s": 60}


class SpokenDecoder:
    """Decodes records whose body is JSON: [asset, channel, at_s, value]."""

    def __init__(self) -> None:
        self.seen = 0

    def decode(self, source: str, position: int, records: Sequence[Record]) -> Decoded:
        events: list[Event] = []
        for index, record in enumerate(records):
            self.seen += 1
            origin = Origin(source, position + index, record.received_ns)
            if record.kind == RecordKind.TICK:
                events.append(Tick(record.received_ns, origin))
            elif record.kind == RecordKind.CONFIG:
                events.append(ConfigChanged(record.received_ns, 1, json.loads(record.body), origin))
            else:
                asset, channel, at_s, value = json.loads(record.body)
                events.append(readings(asset, channel, [at_s], [value], origin))
        messages = sum(record.kind == RecordKind.MESSAGE for record in records)
        return Decoded(events, (), {"received": messages, "stored": messages})

    def snapshot(self) -> State:
        return {"seen": self.seen}

    def restore(self, state: State) -> None:
        self.seen = state["seen"]


class SumAbove:
    """Raises each time the sum of all values passes a multiple of ten; 13 is more than it can take."""

    kind = "sum_above"

    def __init__(self) -> None:
        self.total = 0.0
        self.heard: list[Event] = []

    def update(self, event: Event) -> Sequence[Finding]:
        self.heard.append(event)
        if not isinstance(event, Readings):
            return ()
        if 13.0 in event.value:
            raise RuntimeError("unlucky")
        before, self.total = self.total, self.total + float(event.value.sum())
        if self.total // 10 == before // 10:
            return ()
        return (finding(event, self.total),)

    def snapshot(self) -> State:
        return {"total": self.total}

    def restore(self, state: State) -> None:
        self.total = state["total"]


def finding(event: Readings, total: float) -> Finding:
    at_ns = int(event.at_ns[-1])
    return Finding(
        id=f"{at_ns}/{total}",
        asset=event.asset,
        component="DE",
        family=Family.MACHINE_CONDITION,
        condition="sum",
        action=Action.RAISE,
        at_ns=at_ns,
        onset_ns=at_ns,
        severity=500,
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="sum_above",
        version="1",
        parameters_hash="",
        origin=event.origin,
    )


def readings(asset: str, channel: str, at_s: list[float], value: list[float], origin: Origin) -> Readings:
    n = len(at_s)
    at_ns = (np.array(at_s) * SECOND_NS).astype(np.int64)
    return Readings(
        asset,
        (channel,),
        ("1",),
        at_ns,
        np.zeros(n, np.int32),
        np.array(value, float),
        np.zeros(n, np.uint32),
        origin,
    )


def no_features(waveform: Waveform, point: Point | None) -> Readings:
    return readings(
        waveform.asset, f"{waveform.point}/rms", [waveform.at_ns / SECOND_NS], [1.0], waveform.origin
    )


class Line:
    """A pipeline with one detector per asset, fed in seconds."""

    def __init__(self) -> None:
        self.built: list[SumAbove] = []
        self.pipeline = Pipeline(SpokenDecoder(), no_features, self._build)
        self.number = 0

    def _build(self, _asset: Asset, _plant: Plant) -> list[SumAbove]:
        self.built.append(SumAbove())
        return [self.built[-1]]

    def takes(self, source: str, *records: Record):
        self.number += 1
        return self.pipeline.step(Batch(self.number, (Slice(source, self.number * 1000, records),)))

    def configured(self, plant: Mapping[str, Json] = PLANT) -> "Line":
        self.takes("engine", Record(RecordKind.CONFIG, 0, b"", json.dumps(plant).encode()))
        return self


def value(at_s: float, value: float, channel: str = "VEL/v", received_s: float | None = None) -> Record:
    body = json.dumps(["M1", channel, at_s, value]).encode()
    return Record(
        RecordKind.MESSAGE, int((at_s if received_s is None else received_s) * SECOND_NS), b"t", body
    )


def tick(at_s: float) -> Record:
    return Record(RecordKind.TICK, int(at_s * SECOND_NS), b"", b"")


def test_a_reading_older_than_its_channels_last_is_stored_and_not_judged() -> None:
    line = Line().configured()
    outcome = line.takes("floor", value(10, 6), value(5, 6), value(11, 1))
    assert sum(len(block.at_ns) for block in outcome.readings) == 3
    assert line.built[0].total == 7
    assert outcome.counts["floor"]["late"] == 1


def test_another_channel_keeps_an_order_of_its_own() -> None:
    line = Line().configured()
    outcome = line.takes("floor", value(10, 1), value(5, 1, channel="DE/t"))
    assert outcome.counts["floor"]["late"] == 0


def test_within_one_block_late_rows_are_left_out_however_the_block_is_cut() -> None:
    kept = Latest().in_order(
        readings("M1", "c", [1, 3, 2, 3, 4], [1, 2, 3, 4, 5], Origin("s", 0, 0)), Counter()
    )
    assert kept is not None
    assert kept.value.tolist() == [1, 2, 4, 5]


@given(
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=40),
    st.lists(st.tuples(st.integers(0, 2), st.integers(0, 9)), min_size=1, max_size=40),
)
def test_few_rows_and_many_are_put_in_order_alike(
    first: list[tuple[int, int]], then: list[tuple[int, int]]
) -> None:
    """There is a quicker way for each: they leave the same rows out and remember the same."""
    one, other = Latest(), Latest()
    for rows in (first, then):
        block = replace(
            readings("M1", "a", [at for _, at in rows], [0.0] * len(rows), Origin("s", 0, 0)),
            channels=("a", "b", "c"),
            units=("", "", ""),
            channel=np.array([channel for channel, _ in rows], np.int32),
        )
        kept = one._one_by_one(block)
        assert (np.ones(len(rows), bool) if kept is None else kept).tolist() == other._by_channel(
            block
        ).tolist()
        assert one.snapshot() == other.snapshot()


def test_a_source_that_falls_silent_leaves_a_gap_and_another_when_it_returns() -> None:
    line = Line().configured()
    line.takes("floor", value(10, 1))
    assert not line.takes("engine", tick(60)).gaps
    opened = line.takes("engine", tick(70)).gaps
    assert [(gap.source, gap.from_ns, gap.to_ns) for gap in opened] == [("floor", 10 * SECOND_NS, None)]
    assert not line.takes("engine", tick(80)).gaps
    closed = line.takes("floor", value(95, 1)).gaps
    assert [(gap.from_ns, gap.to_ns) for gap in closed] == [(10 * SECOND_NS, 95 * SECOND_NS)]
    assert [type(event) for event in line.built[0].heard if isinstance(event, Gap)] == [Gap, Gap]


def test_a_hole_that_nobody_ticked_through_is_a_gap_too() -> None:
    line = Line().configured()
    line.takes("floor", value(10, 1))
    found = line.takes("floor", value(90, 1), value(91, 1)).gaps
    assert [(gap.from_ns, gap.to_ns) for gap in found] == [(10 * SECOND_NS, 90 * SECOND_NS)]


def test_a_detector_that_raises_is_switched_off_and_that_is_one_finding() -> None:
    line = Line().configured()
    outcome = line.takes("floor", value(1, 13), value(2, 13), value(3, 50))
    assert [(f.condition, f.component) for f in outcome.findings] == [("detector_failed", "sum_above")]
    assert outcome.findings[0].text["error"] == "RuntimeError: unlucky"


def test_an_asset_that_does_not_change_keeps_its_detectors() -> None:
    line = Line().configured()
    line.takes("floor", value(1, 7))
    line.configured({**PLANT, "assets": [ASSET, {**ASSET, "id": "M2"}]})
    assert len(line.built) == 2
    line.configured({**PLANT, "assets": [{**ASSET, "power_kw": 30}, {**ASSET, "id": "M2"}]})
    assert len(line.built) == 3


def test_only_what_changes_of_an_assets_detectors_begins_anew() -> None:
    line = Line()
    line.pipeline = Pipeline(
        SpokenDecoder(), no_features, lambda asset, plant: [SumAbove() for _ in plant.detectors_of(asset)]
    )
    tuned = {"kind": "tuned", "parameters": {"x": 1}}
    line.configured({**PLANT, "classes": {"pump": [{"kind": "steady"}, tuned]}})
    line.takes("floor", value(1, 7))
    before = line.pipeline._detectors["M1"]
    tuned = {"kind": "tuned", "parameters": {"x": 2}}
    line.configured({**PLANT, "classes": {"pump": [{"kind": "late"}, tuned, {"kind": "steady"}]}})
    now = line.pipeline._detectors["M1"]
    assert now[2] is before[0]
    assert now[1] is not before[1]
    assert [one.snapshot() for one in now] == [{"total": 0.0}, {"total": 7.0}, {"total": 7.0}]


def test_a_failed_detector_stays_off_until_it_is_changed() -> None:
    line = Line()
    line.pipeline = Pipeline(
        SpokenDecoder(), no_features, lambda asset, plant: [SumAbove() for _ in plant.detectors_of(asset)]
    )
    settings = [{"kind": "steady"}, {"kind": "tuned", "parameters": {"x": 1}}]
    line.configured({**PLANT, "classes": {"pump": settings}})
    line.takes("floor", value(1, 13))
    assert line.pipeline._failed == {("M1", 0), ("M1", 1)}
    settings = [{"kind": "tuned", "parameters": {"x": 2}}, {"kind": "steady"}]
    line.configured({**PLANT, "classes": {"pump": settings}})
    assert line.pipeline._failed == {("M1", 1)}


def test_every_finding_names_the_version_of_the_set_that_made_it() -> None:
    line = Line().configured()
    assert [f.set_version for f in line.takes("floor", value(1, 11)).findings] == [1]
    line.configured({**PLANT, "detector_set": {"version": 2}})
    said = line.takes("floor", value(2, 11), value(3, 13)).findings
    assert [(f.condition, f.set_version) for f in said][-1] == ("detector_failed", 2)
    assert {f.set_version for f in said} == {2}


def story() -> list[tuple[str, Record]]:
    rng = np.random.default_rng(7)
    parts: list[tuple[str, Record]] = []
    for i in range(120):
        parts.append(
            ("floor", value(float(i + rng.integers(-3, 3)), float(rng.integers(0, 6)), received_s=i))
        )
        if i % 10 == 0:
            parts.append(("engine", tick(i)))
    return parts


@pytest.mark.parametrize("cut", [1, 17, 60, 119])
def test_restored_in_mid_stream_it_says_the_same(cut: int) -> None:
    whole = Line().configured()
    expected = [whole.takes(source, record).digest() for source, record in story()]
    first = Line().configured()
    said = [first.takes(source, record).digest() for source, record in story()[:cut]]
    parts = json.loads(json.dumps(first.pipeline.snapshot()))
    second = Line()
    second.number = first.number
    second.pipeline.restore(parts)
    said += [second.takes(source, record).digest() for source, record in story()[cut:]]
    assert said == expected


@pytest.mark.parametrize(
    ("part", "name", "instead"), [("pipeline", "latest", {}), ("detector/M1/0", "total", 0.0)]
)
def test_a_snapshot_that_forgets_one_thing_is_caught(part: str, name: str, instead: Json) -> None:
    whole = Line().configured()
    expected = [whole.takes(source, record).digest() for source, record in story()]
    differs = 0
    for cut in range(20, 100, 5):
        first, second = Line().configured(), Line()
        for source, record in story()[:cut]:
            first.takes(source, record)
        parts = json.loads(json.dumps(first.pipeline.snapshot()))
        parts[part][name] = instead
        second.number = first.number
        second.pipeline.restore(parts)
        said = [second.takes(source, record).digest() for source, record in story()[cut:]]
        differs += said != expected[cut:]
    assert differs > 0
