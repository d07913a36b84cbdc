"""A point that speaks out of its rhythm, told from one that is silent, one that never had any, and known gaps."""

from collections.abc import Iterable, Sequence

import numpy as np
import pytest

from andon.events import Action, Declaration, Declared, Event, Family, Finding, Gap, Origin, Readings
from andon.plant import Asset, Point
from detectors.irregular_sensor import Detector
from detectors.state import size_bytes

POINT = Point(id="T1", component="bearing_de", quantities={"temperature": "Cel"}, period_s=10)
ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", points=(POINT,))
T0 = 1_790_000_000


def said(at_s: float, value: float) -> Readings:
    at_ns = T0 * 1_000_000_000 + round(at_s * 1000) * 1_000_000
    return Readings(
        "M1",
        ("T1/temperature",),
        ("Cel",),
        np.array([at_ns]),
        np.zeros(1, np.int32),
        np.array([value]),
        np.zeros(1, np.uint32),
        Origin("plc", 0, at_ns),
    )


def told(stamps_s: Iterable[float], others: Sequence[Event] = ()) -> list[Finding]:
    detector = Detector(ASSET, Detector.Parameters())
    found: list[Finding] = []
    waiting = list(others)
    for k, at_s in enumerate(stamps_s):
        event = said(at_s, float(k))
        while waiting and waiting[0].origin.received_ns <= event.origin.received_ns:
            found += detector.update(waiting.pop(0))
        found += detector.update(event)
    assert size_bytes(detector.snapshot()) < 4096
    return found


def stamps(intervals: Iterable[float]) -> list[float]:
    return np.cumsum([0.0, *intervals]).tolist()


def ending(*tail: float, times: int, healthy: int = 200) -> list[float]:
    return stamps([10.0] * healthy + list(tail) * times)


def test_a_regular_point_with_ordinary_jitter_and_a_lost_row_now_and_then_is_silent_for_weeks() -> None:
    rng = np.random.default_rng(0)
    intervals = 10 + rng.normal(0, 0.6, 60_000)
    intervals[rng.random(60_000) < 0.03] += 10
    assert told(stamps(intervals.tolist())) == []


@pytest.mark.parametrize(
    ("pattern", "condition"),
    [
        ((14.0, 6.0), "sensor_jitter"),
        ((1.0, 1.0, 1.0, 27.0), "sensor_bursts"),
        ((10.0, 20.0, 10.0), "sensor_lost_rows"),
        ((0.0, 20.0), "sensor_stamp_twice"),
        ((20.0,), "sensor_period_changed"),
        ((5.0,), "sensor_period_changed"),
    ],
)
def test_each_way_of_being_irregular_has_its_name(pattern: tuple[float, ...], condition: str) -> None:
    found = told(ending(*pattern, times=100))
    assert [(f.action, f.condition, f.family) for f in found] == [
        (Action.RAISE, condition, Family.DATA_QUALITY)
    ]
    assert found[0].component == "T1"
    assert 0 <= found[0].at_ns - (T0 + 2000) * 1_000_000_000 <= 900 * 1_000_000_000


def test_it_is_over_when_the_rhythm_is_back() -> None:
    found = told([*ending(14.0, 6.0, times=60), *(3200.0 + 10 * k for k in range(1, 120))])
    assert [f.action for f in found] == [Action.RAISE, Action.CLEAR]


def test_a_point_that_never_had_a_rhythm_is_not_judged() -> None:
    rng = np.random.default_rng(1)
    assert told(stamps(rng.exponential(10, 3000).tolist())) == []


def test_a_pause_is_the_silent_sensor_s_to_tell_and_gaps_that_are_known_excuse() -> None:
    assert told(ending(10.0, 10.0, 10.0, 45.0, times=60)) == []
    lossy = ending(10.0, 20.0, times=100)
    gaps = [
        Gap("plc", None, None, ns, ns, "sequence", False, Origin("plc", 0, ns))
        for ns in ((T0 + int(at_s)) * 1_000_000_000 for at_s in lossy[200::20])
    ]
    assert told(lossy, gaps) == []
    assert len(told(lossy)) == 1


def test_the_same_value_again_is_a_repetition() -> None:
    detector = Detector(ASSET, Detector.Parameters())
    again = [event for k in range(400) for event in (said(10.0 * k, float(k)),) * 2]
    assert [finding for event in again for finding in detector.update(event)] == []


def test_another_period_that_is_declared_becomes_the_habit() -> None:
    at_ns = (T0 + 3800) * 1_000_000_000
    declared = Declaration(
        at_ns, "M1", None, Declared.OPERATING_CHANGE, "wu", "", None, Origin("own", 0, at_ns)
    )
    found = told(ending(20.0, times=300), [declared])
    assert [f.action for f in found] == [Action.RAISE, Action.CLEAR]
