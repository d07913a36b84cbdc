"""A standing stop is one finding; what is late or planned is none."""

from typing import Any

import hypothesis.strategies as st
from hypothesis import given

from andon.events import Action, Family, Finding, Origin, PackMLState, StopAlarm
from andon.plant import Asset
from detectors.stop_alarm import Detector

ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c")


def make(**parameters: Any) -> Detector:
    return Detector(ASSET, Detector.Parameters(**parameters))


def stop(
    at_ns: int,
    *,
    active: bool = True,
    reason: str = "E1",
    severity: int = 700,
    category: str = "safety",
    asset: str = "M1",
) -> StopAlarm:
    state = PackMLState.STOPPED if active else PackMLState.RESETTING
    origin = Origin("mes", at_ns, at_ns)
    return StopAlarm(asset, at_ns, state, reason, 2202, "Guard opened", category, active, severity, origin)


def told(detector: Detector, *alarms: StopAlarm) -> list[Finding]:
    return [finding for alarm in alarms for finding in detector.update(alarm)]


def actions(findings: list[Finding]) -> list[str]:
    return [finding.action.value for finding in findings]


def test_a_stop_is_raised_with_its_reason_and_cleared() -> None:
    found = told(make(), stop(100), stop(500, active=False))
    assert actions(found) == ["raise", "clear"]
    raised = found[0]
    assert (raised.family, raised.component, raised.condition) == (Family.STOP, "E1", "stop")
    assert (raised.at_ns, raised.onset_ns, found[1].onset_ns, found[1].at_ns) == (100, 100, 100, 500)
    assert raised.text["message"] == "Guard opened"
    assert (raised.text["category"], raised.text["state"], raised.severity) == ("safety", "STOPPED", 700)


def test_a_standing_stop_that_is_reported_again_is_raised_once() -> None:
    assert actions(told(make(), *(stop(t) for t in range(100, 200, 10)))) == ["raise"]


def test_a_severity_that_changes_is_told() -> None:
    found = told(make(), stop(100), stop(110, severity=900), stop(120, severity=900))
    assert actions(found) == ["raise", "update"]
    assert found[1].severity == 900


def test_reasons_are_stops_of_their_own() -> None:
    assert actions(told(make(), stop(100), stop(101, reason="E2"), stop(102, reason="E2", active=False))) == [
        "raise",
        "raise",
        "clear",
    ]


def test_a_clear_of_what_does_not_stand_says_nothing() -> None:
    assert told(make(), stop(100, active=False)) == []


def test_a_late_report_of_a_cleared_stop_does_not_raise_it_again() -> None:
    assert actions(told(make(), stop(100), stop(200, active=False), stop(100), stop(150), stop(200))) == [
        "raise",
        "clear",
    ]


def test_the_next_stop_of_the_same_reason_is_another_episode() -> None:
    found = told(make(), stop(100), stop(200, active=False), stop(300))
    assert actions(found) == ["raise", "clear", "raise"]
    assert found[0].id.split("-")[0] == found[1].id.split("-")[0] != found[2].id.split("-")[0]


def test_small_and_planned_stops_are_not_findings() -> None:
    chosen = make(min_severity=500, ignored_categories=("planned",))
    assert told(chosen, stop(1, severity=499), stop(2, category="planned", reason="E2")) == []
    assert actions(told(chosen, stop(3))) == ["raise"]


def test_stops_of_other_assets_are_not_ours() -> None:
    assert told(make(), stop(1, asset="M2")) == []


def test_the_longest_quiet_reason_is_forgotten_before_a_standing_one() -> None:
    chosen = make(most_reasons=2)
    told(
        chosen,
        stop(1, reason="A"),
        stop(2, reason="B"),
        stop(3, reason="B", active=False),
        stop(4, reason="C"),
    )
    assert actions(told(chosen, stop(5, reason="A", active=False), stop(6, reason="C", active=False))) == [
        "clear",
        "clear",
    ]


@given(
    st.lists(st.tuples(st.integers(0, 30), st.booleans(), st.sampled_from("AB"), st.sampled_from([300, 700])))
)
def test_ids_are_unique_and_every_episode_is_raised_before_it_is_cleared(
    rows: list[tuple[int, bool, str, int]],
) -> None:
    found = told(make(), *(stop(t, active=a, reason=r, severity=s) for t, a, r, s in rows))
    assert len({finding.id for finding in found}) == len(found)
    standing: set[str] = set()
    for finding in found:
        raised = finding.action is Action.RAISE
        assert (finding.component in standing) is not raised
        (standing.discard if finding.action is Action.CLEAR else standing.add)(finding.component)
