"""Alarms that come and go faster than anyone can act, flash, or stand for ever; and those that do not."""

from collections.abc import Iterable

import pytest

from andon.events import Action, Family, Finding, Origin, PackMLState, StopAlarm, Tick
from andon.plant import Asset
from detectors.chattering import Detector
from detectors.state import size_bytes

ASSET = Asset(id="M1", name="M1", asset_class="press", path="e/s/a/l/c")
T0, DAY_S = 1_790_000_000, 86_400


def ns(seconds: float) -> int:
    return T0 * 1_000_000_000 + round(seconds * 1000) * 1_000_000


def alarm(at_s: float, *, active: bool, reason: str = "E1") -> StopAlarm:
    state = PackMLState.STOPPED if active else PackMLState.RESETTING
    return StopAlarm(
        "M1", ns(at_s), state, reason, 1, "Guard open", "safety", active, 500, Origin("mes", 0, ns(at_s))
    )


def told(alarms: Iterable[StopAlarm], ticks_s: Iterable[float] = ()) -> list[Finding]:
    detector = Detector(ASSET, Detector.Parameters())
    ticks = [Tick(ns(at_s), Origin("clock", 0, ns(at_s))) for at_s in ticks_s]
    stream = sorted([*alarms, *ticks], key=lambda event: event.at_ns)
    return [finding for event in stream for finding in detector.update(event)]


def flicker(count: int, active_s: float, pause_s: float, from_s: float = 0.0) -> list[StopAlarm]:
    starts = [from_s + i * (active_s + pause_s) for i in range(count)]
    return [a for s in starts for a in (alarm(s, active=True), alarm(s + active_s, active=False))]


def test_three_activations_within_a_minute_chatter_and_say_what_delay_would_help() -> None:
    found = told(flicker(6, 3.0, 7.0))
    assert [(f.condition, f.action.value) for f in found] == [
        ("chattering", "raise"),
        ("chattering", "update"),
    ]
    first, numbers = found[0], {n.name: n for n in found[1].numbers}
    assert (first.family, first.component, first.at_ns, first.onset_ns) == (Family.STOP, "E1", ns(20), ns(0))
    assert (numbers["activations"].value, numbers["activations"].limit) == (6, 3)
    assert (numbers["active"].value, numbers["on_delay"].value) == (3, 5)
    assert (numbers["pause"].value, numbers["off_delay"].value) == (7, 10)


@pytest.mark.parametrize(
    ("count", "active_s", "pause_s", "condition"),
    [
        (2, 3.0, 7.0, None),
        (3, 19.0, 41.0, "chattering"),
        (3, 19.0, 141.0, None),
        (20, 120.0, 180.0, None),
        (4, 40.0, 60.0, "chattering"),
        (3, 5.0, 900.0, "fleeting_alarm"),
        (3, 5.0, 3600.0, None),
        (3, 15.0, 900.0, None),
    ],
)
def test_what_counts_is_the_rate_or_the_flash(
    count: int, active_s: float, pause_s: float, condition: str | None
) -> None:
    assert [f.condition for f in told(flicker(count, active_s, pause_s))][:1] == (
        [condition] if condition else []
    )


def test_thousands_of_activations_are_few_words_and_one_episode() -> None:
    found = told(flicker(5000, 1.0, 1.0), range(0, 12_000, 30))
    assert [f.action for f in found].count(Action.RAISE) == 1
    assert found[-1].action is Action.CLEAR
    assert len(found) <= 6
    assert ns(10_000) + 590e9 <= found[-1].at_ns <= ns(10_000) + 640e9


def test_a_standing_alarm_that_is_repeated_does_not_chatter() -> None:
    assert told([alarm(at_s, active=True) for at_s in range(0, 3600, 5)]) == []


def test_an_alarm_that_stands_for_a_day_is_told_where_the_source_reports_clears() -> None:
    other = [alarm(1, active=True, reason="E2"), alarm(100, active=False, reason="E2")]
    ticks = range(0, 3 * DAY_S, 600)
    assert told([alarm(0, active=True)], ticks) == []
    found = told([*other, alarm(0, active=True), alarm(2.5 * DAY_S, active=False)], ticks)
    assert [(f.condition, f.action.value) for f in found] == [
        ("standing_alarm", "raise"),
        ("standing_alarm", "clear"),
    ]
    assert found[0].numbers[0].value == pytest.approx(DAY_S, abs=700)
    assert found[1].at_ns >= ns(2.5 * DAY_S)


def test_the_state_is_bounded_with_thousands_of_reasons() -> None:
    detector = Detector(ASSET, Detector.Parameters())
    for i in range(40_000):
        detector.update(alarm(i, active=i % 2 == 0, reason=f"reason {i // 2 % 2000}"))
    assert size_bytes(detector.snapshot()) < 64 * 1024
