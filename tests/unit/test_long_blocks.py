"""Facts of long blocks: taken at once or reading by reading, a kind says the same and remembers the same."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from andon.class_defaults import default_kinds
from andon.events import (
    SECOND_NS,
    Declaration,
    Declared,
    Event,
    Finding,
    Gap,
    GapCause,
    Origin,
    PackMLState,
    Quality,
    Readings,
    StopAlarm,
)
from andon.plant import Asset, Point
from detectors import columns, detector_class
from detectors.evidence import Trend
from detectors.pace import Pace
from detectors.running import Running
from detectors.state import flatten
from detectors.stuck_value import Detector as StuckValue
from tests.conformance.detector_laws import cut_up, same

T0 = 1_790_000_000 * SECOND_NS
BLOCKS, ROWS, STEP_S = 40, 120, 4
NAMES = {f"P{i}/velocity_rms": "mm/s" for i in range(4)} | {f"P{i}/temperature": "Cel" for i in range(4, 9)}
CHANNELS = {"state": "1", **NAMES, "M/speed": "r/min"}
POINTS = (
    *(
        Point(id=name.split("/")[0], component="c", period_s=STEP_S, quantities={name.split("/")[1]: unit})
        for name, unit in NAMES.items()
    ),
    Point(id="M", component="motor", quantities={"speed": "r/min"}),
)
ASSET = Asset(id="A", name="A", asset_class="pump", path="e/s/a/l/c", power_kw=75, points=POINTS)
HASTE: dict[str, dict[str, float]] = {  # what is learned in weeks is learned here in an hour
    "stuck_value": {"learn_s": 3600, "minimum_s": 60},
    "spike": {"learn_s": 3600, "window_s": 7200, "clear_s": 3600},
    "level_shift": {"learn_s": 5400, "span_s": 60},
    "drift": {"learn_s": 5400, "span_s": 60, "part_s": 600},
    "variance_change": {"learn_s": 5400, "span_s": 120},
}
SILENT = {"band_energy", "bearing_element", "machine_fault", "silent_sensor", "stop_alarm", "stop_pattern"}
SILENT |= {"chattering", "drift"}  # they speak of blocks, ticks, stops and weeks


@pytest.fixture(scope="module")
def story() -> list[Event]:
    """Five hours of a machine whose channels go wrong in turn, in blocks of eight minutes."""
    return list(_story(np.random.default_rng(3)))


def _story(rng: np.random.Generator) -> Iterator[Event]:
    usual = np.array([6.0, *[1.1] * 4, *[40.0] * 5, 1480.0])
    for k in range(BLOCKS):
        noise = rng.standard_normal((ROWS, len(CHANNELS)))
        value = usual * (1 + np.where(np.arange(len(CHANNELS)) == 0, 0, 0.01) * noise)
        late, row = k >= 15, np.arange(ROWS)
        value[:, 1] += 2.6 * (18 <= k < 25)  # beyond B/C
        value[:, 2] += 0.1 * noise[:, 2] + 0.75 * (18 <= k < 26)  # changed, with a vote now and then
        value[:, 5] += 9.0 * (18 <= k < 24)  # steps
        value[:, 6] += np.where(row % 49 == 5, 30.0, 0.0) * late  # spikes
        value[:, 7] = 40.0 if 17 <= k < 24 else value[:, 7]  # stuck
        value[:, 8] += 2.0 * noise[:, 8] * (17 <= k < 26)  # spreads
        value[:, 9] = np.round(value[:, 9]) + (max(0, k - 13) if k % 2 else 0)  # coarse, and never sure
        value[50:70, 0] = 2.0 if k % 9 == 4 else 6.0  # stands
        value[30:45, 10] = 800.0 if k % 7 == 5 else 1480.0  # another operating state
        at_ns = T0 + (k * ROWS + row[:, None]) * STEP_S * SECOND_NS + np.zeros(len(CHANNELS), np.int64)
        at_ns[:, 3] += (row % 3 == 1) * (SECOND_NS // 5 + SECOND_NS * (20 <= k < 28))  # loses its rhythm
        yield from _told(rng, k, at_ns.ravel(), value.ravel())
    at = T0 + BLOCKS * ROWS * STEP_S * SECOND_NS
    yield Declaration(at, "A", "c", Declared.REPAIR, "li.wei", "", None, Origin("engine", 1, at))
    yield from _told(rng, BLOCKS, at_ns.ravel() + ROWS * STEP_S * SECOND_NS, value.ravel())


def _told(rng: np.random.Generator, k: int, at_ns: np.ndarray, value: np.ndarray) -> Iterator[Event]:
    channel = np.tile(np.arange(len(CHANNELS), dtype=np.int32), ROWS)
    quality = np.where(rng.random(value.size) < 0.002, Quality.BAD, Quality.GOOD).astype(np.uint32)
    quality[(channel == 8) & (k % 6 == 1)] = Quality.BAD
    value[rng.integers(0, value.size, 3 * (k % 5 == 2))] = np.nan
    at_ns[(channel == 9) & (k % 8 == 3)] = at_ns[0]  # one stamp for all
    keep = rng.random(value.size) > (0.02 if k % 4 == 3 else 0)
    delay_s = (2 if k % 3 else 0) + (90 if 20 <= k < 30 else 0)
    origin = Origin("plc", k, int(at_ns.max()) + delay_s * SECOND_NS)
    first = int(at_ns.min())
    if k in {28, 29}:
        stop = StopAlarm(
            "A", first + 199 * SECOND_NS, PackMLState.STOPPED, "E1", 1, "x", "safety", k == 28, 500, origin
        )
        yield stop
    if k == 31:
        yield Gap("plc", None, None, first - SECOND_NS, first, GapCause.CONNECTION, False, origin)
    units = tuple(CHANNELS.values())
    yield Readings(
        "A", tuple(CHANNELS), units, at_ns[keep], channel[keep], value[keep], quality[keep], origin
    )


def told(kind: str, events: list[Event]) -> tuple[list[Finding], dict[str, object]]:
    made = detector_class(kind)
    given = HASTE.get(kind, {})
    if "run_settle_s" in made.Parameters.model_fields:
        given = {**given, "run_settle_s": 20.0}
    detector = made(ASSET, made.Parameters.model_validate(given))
    return [finding for event in events for finding in detector.update(event)], detector.snapshot()


@pytest.mark.parametrize("kind", default_kinds("pump"))
def test_a_long_block_says_what_its_readings_say(kind: str, story: list[Event]) -> None:
    rng = np.random.default_rng(1)
    found, state = told(kind, story)
    pieces = [piece for event in story for piece in cut_up(event, rng, 300)]  # half are too short
    assert any(columns.is_long(piece) for piece in pieces if isinstance(piece, Readings))
    cut, other = told(kind, pieces)
    assert cut == found
    assert same(other, state)
    assert found or kind in SILENT


def test_a_reading_that_is_taken_at_once_too_often_is_noticed(
    story: list[Event], monkeypatch: pytest.MonkeyPatch
) -> None:
    honest, _ = told("stuck_value", story)
    monkeypatch.setattr(StuckValue, "_calm", lambda *_: 40)
    assert told("stuck_value", story)[0] != honest


def test_columns_are_the_readings_of_each_channel_in_the_order_of_their_first(story: list[Event]) -> None:
    block = next(event for event in story if isinstance(event, Readings) and np.isnan(event.value).any())
    block = replace(block, channel=block.channel[::-1].copy())
    found = columns.columns(block)
    assert all(one.row[0] < other.row[0] for one, other in pairwise(found))
    assert sorted(np.concatenate([one.row for one in found]).tolist()) == list(range(block.at_ns.size))
    for one in found:
        assert (block.channel[one.row] == one.index).all()
        assert np.array_equal(block.value[one.row], one.value, equal_nan=True)
        sound = one.sound()
        assert np.isfinite(sound.value).all()
        assert (block.quality[sound.row] < Quality.UNCERTAIN).all()


@pytest.mark.parametrize("begin", [Trend, Trend.short])
def test_a_trend_that_is_extended_is_the_trend_of_one_by_one(begin: type[Trend]) -> None:
    rng = np.random.default_rng(0)
    at_once, one_by_one, at = begin(), begin(), 0
    for many in [0, 1, 500, 30, 700, 95, 97, 2500, 3]:
        value, at_ns = np.round(rng.standard_normal(many), 1), np.arange(at, at + many)
        at += many
        at_once.extend(at_ns, value)
        for each in zip(at_ns.tolist(), value.tolist(), strict=True):
            one_by_one.add(*each)
        assert same(flatten(at_once), flatten(one_by_one))
        assert at_once.shape("c", "1") == one_by_one.shape("c", "1")


def test_a_pace_goes_on_until_it_pauses() -> None:
    at_ns = np.array([1, 2, 3, 5, 40, 41], np.int64) * SECOND_NS
    at_once, one_by_one = Pace(0, SECOND_NS), Pace(0, SECOND_NS)
    assert at_once.goes_on(at_ns, 20.0) == 4
    assert [one_by_one.pauses(int(at), 20.0) for at in at_ns[:4]] == [False] * 4
    assert at_once == one_by_one
    assert one_by_one.pauses(int(at_ns[4]), 20.0)


def test_judged_is_runs_at_of_many_times() -> None:
    at_ns = np.arange(100)
    for running in (
        Running(),
        Running(state=2),
        Running(state=6, since_ns=30),
        Running(state=6, since_ns=10, stops={"a": 50, "b": 70}),
        Running(maintained_ns=20, since_ns=5),
    ):
        assert running.judged(at_ns, 7).tolist() == [running.runs_at(at, 7) for at in at_ns.tolist()]
