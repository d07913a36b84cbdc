"""Silence is never health: who was due, who was away, and whose silence it is."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import pytest

from andon.events import SECOND_NS, Event, Family, Finding, Gap, Origin, Quality, Readings, Tick
from andon.plant import Asset, Point
from detectors.silent_sensor import Detector
from tests.vibration import T0

POINTS = (
    Point(id="P1", component="bearing", period_s=10),
    Point(id="P2", component="motor", period_s=60),
    Point(id="P3", component="motor"),
)


def make(**parameters: Any) -> Detector:
    asset = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", points=POINTS)
    return Detector(asset, Detector.Parameters(**parameters))


def at(second: float) -> int:
    return T0 + round(second * SECOND_NS)


def word(
    second: float,
    point: str = "P1",
    *,
    source: str = "mqtt",
    value: float = 1.0,
    quality: int = 0,
    asset: str = "M1",
) -> Readings:
    """A reading received at that second, whatever its own clock says."""
    row = np.zeros(1, np.int64), np.zeros(1, np.int32), np.array([value]), np.array([quality], np.uint32)
    return Readings(asset, (f"{point}/temperature",), ("Cel",), *row, Origin(source, 0, at(second)))


def gap(
    second: float,
    to: float | None,
    *,
    asset: str | None = None,
    source: str = "mqtt",
    point: str | None = None,
) -> Gap:
    to_ns = None if to is None else at(to)
    return Gap(source, asset, point, at(second), to_ns, "", False, Origin(source, 0, at(second)))


def ticks(first: int, last: int, every: int = 1) -> Iterable[Tick]:
    return (Tick(at(s), Origin("clock", s, at(s))) for s in range(first, last + 1, every))


def told(detector: Detector, *events: Event | Iterable[Event]) -> list[Finding]:
    flat = [e for some in events for e in (some if isinstance(some, Iterable) else [some])]
    return [finding for event in flat for finding in detector.update(event)]


def words(findings: Sequence[Finding]) -> list[tuple[str, str, float]]:
    return [(f.component, f.action.value, (f.at_ns - T0) / SECOND_NS) for f in findings]


def test_a_point_that_spoke_is_silent_after_three_periods() -> None:
    found = told(make(), ticks(0, 5), word(5), ticks(6, 100))
    assert words(found) == [("P1", "raise", 36.0)]
    silent = found[0]
    assert (silent.family, silent.condition, silent.onset_ns) == (Family.DATA_QUALITY, "silent_sensor", at(5))
    assert {n.name: (n.value, n.limit) for n in silent.numbers} == {
        "silent_s": (31.0, 30.0),
        "period_s": (10.0, None),
    }


def test_the_shortest_silence_counts_for_quick_points() -> None:
    assert words(told(make(minimum_s=90), word(0), ticks(0, 200))) == [
        ("P1", "raise", 91.0),
        ("P2", "raise", 181.0),
    ]


def test_a_point_that_never_spoke_is_given_the_grace() -> None:
    assert words(told(make(), ticks(0, 400))) == [("P1", "raise", 121.0), ("P2", "raise", 181.0)]


def test_a_point_without_a_period_is_never_silent() -> None:
    assert "P3" not in {component for component, _, _ in words(told(make(), word(0, "P3"), ticks(0, 9999)))}


@pytest.mark.parametrize(("value", "quality"), [(1.0, 0), (np.nan, 0), (1.0, Quality.BAD)])
def test_it_clears_when_the_point_speaks_again_whatever_it_says(value: float, quality: int) -> None:
    detector = make()
    told(detector, word(0), ticks(0, 54))
    assert words(told(detector, word(55, value=value, quality=quality))) == [("P1", "clear", 55.0)]
    assert words(told(detector, ticks(56, 100))) == [("P1", "raise", 86.0)]


def test_a_sensor_with_a_wrong_clock_is_not_silent() -> None:
    assert told(make(), *([word(s), word(s, "P2"), *ticks(s, s)] for s in range(300))) == []


def test_words_of_another_asset_do_not_count() -> None:
    assert words(told(make(), word(0), *([word(s, asset="M2"), *ticks(s, s)] for s in range(60)))) == [
        ("P1", "raise", 31.0)
    ]


@pytest.mark.parametrize("asset", [None, "M1"])
def test_a_gap_that_ended_restarts_the_timer(asset: str | None) -> None:
    found = told(make(), word(0), ticks(0, 25), gap(25, 24, asset=asset), ticks(26, 80))
    assert words(found) == [("P1", "raise", 56.0)]


def test_while_its_source_is_away_a_point_is_not_silent() -> None:
    found = told(
        make(),
        word(0),
        word(0, "P2"),
        ticks(0, 20),
        gap(20, None),
        ticks(21, 900),
        gap(900, 899),
        ticks(901, 960),
    )
    assert words(found) == [("P1", "raise", 931.0)]


@pytest.mark.parametrize("other", [{"asset": "M2"}, {"source": "opcua"}, {"point": "P2"}])
def test_a_gap_of_something_else_changes_nothing(other: dict[str, str]) -> None:
    found = told(make(), word(0), ticks(0, 25), gap(25, None, **other), ticks(26, 60))
    assert words(found) == [("P1", "raise", 31.0)]


def test_when_andon_itself_was_away_nobody_was_silent() -> None:
    found = told(make(), word(0), ticks(0, 10), ticks(3600, 3629))
    assert found == []


def test_ticks_a_minute_apart_judge_only_silences_that_are_longer() -> None:
    slow = make(minimum_s=600)
    found = told(slow, word(0), word(0, "P2"), ticks(0, 1200, every=60))
    assert words(found) == [("P1", "raise", 660.0), ("P2", "raise", 660.0)]
    assert told(make(), word(0), word(0, "P2"), ticks(0, 170, every=60)) == []


def test_late_words_after_a_pause_do_not_repeat_an_id() -> None:
    detector = make()
    found = told(detector, word(0), ticks(0, 10), ticks(100, 140), word(95), ticks(141, 200))
    ids = [finding.id for finding in found if finding.component == "P1"]
    assert [i.split("-")[2] for i in ids] == ["raise", "clear", "raise"]
    assert len(set(ids)) == 3
