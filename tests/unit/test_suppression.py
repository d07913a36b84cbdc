"""Which alarms are held back, when a window is open, and that all of it is written down."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family
from andon.rules.suppression import Flood, Inhibition, Matcher, Suppressing
from andon.rules.windows import MaintenanceWindow
from tests.unit.test_detector_docs import chapters
from tests.unit.test_settings_docs import default_of
from ticketing.suppression import (
    Subject,
    Suppression,
    SuppressionKind,
    below,
    fits,
    inhibited,
    judge_suppressed,
)

DOCS = Path(__file__).parents[2] / "docs"
LINE = "acme/north/forming/L1"
SUBJECT = Subject("M1", f"{LINE}/c1", "press", "DE", "zone_d", Family.MACHINE_CONDITION, "medium")


def ns(text: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * SECOND_NS


def held(
    number: int = 1, kind: str = "shelve", start: int = 0, end: int | None = 100, **matcher: object
) -> Suppression:
    return Suppression(number, SuppressionKind(kind), Matcher(**matcher), start, end, "why", "chen")


@pytest.mark.parametrize(
    ("matcher", "meant"),
    [
        ({"asset": "M1"}, True),
        ({"asset": "m1 "}, True),
        ({"asset": "M2"}, False),
        ({"under": LINE}, True),
        ({"under": f"{LINE}/c1"}, True),
        ({"under": "acme/north/forming/L"}, False),
        ({"under": f"{LINE}/c1/below"}, False),
        ({"asset_class": "press", "component": "de"}, True),
        ({"asset_class": "press", "component": "NDE"}, False),
        ({"conditions": ("zone_c", "zone_d")}, True),
        ({"families": ("stop",)}, False),
        ({"priorities": ("low", "medium")}, True),
        ({"priorities": ("high",)}, False),
        ({}, True),
    ],
)
def test_an_alarm_is_meant_if_it_fits_all_that_is_said(matcher: dict[str, object], meant: bool) -> None:
    assert fits(Matcher(**matcher), SUBJECT) is meant


def test_the_end_is_not_part_of_a_suppression_and_the_start_is() -> None:
    shelf = [held(start=10, end=20)]
    found = [judge_suppressed(SUBJECT, at_ns, shelf) is not None for at_ns in (9, 10, 19, 20)]
    assert found == [False, True, True, False]


def test_of_several_the_one_that_ends_last_holds() -> None:
    both = [held(1, end=50), held(2, end=80), held(3, end=60)]
    assert judge_suppressed(SUBJECT, 20, both).id == 2
    assert judge_suppressed(SUBJECT, 55, both).id == 2
    assert judge_suppressed(SUBJECT, 20, [*both, held(4, end=None)]).id == 4


def test_what_is_not_suppressible_is_never_held() -> None:
    never = Subject("M1", f"{LINE}/c1", "press", "DE", "zone_d", Family.STOP, "critical", suppressible=False)
    for kind in SuppressionKind:
        assert judge_suppressed(never, 20, [held(kind=kind, under=LINE)]) is None


def test_an_alarm_inhibits_strictly_below_itself() -> None:
    line = Subject("L1", LINE, "line", "E1", "stop", Family.STOP, "high")
    (made,) = inhibited(line, Suppressing(), at_ns=5, name="key/source")
    child = Subject("M1", f"{LINE}/c1", "press", "E7", "stop", Family.STOP, "high")
    assert judge_suppressed(child, 6, [made]) is made
    assert judge_suppressed(line, 6, [made]) is None
    assert judge_suppressed(SUBJECT, 6, [made]) is None, "a bearing does not fail because its line stands"
    beside = Subject("M9", "acme/north/forming/L10/c1", "press", "E7", "stop", Family.STOP, "high")
    assert judge_suppressed(beside, 6, [made]) is None


paths = st.lists(st.sampled_from("ab"), min_size=1, max_size=4).map("/".join)


@given(paths, paths)
def test_inhibition_has_no_circles(one: str, other: str) -> None:
    assert not (below(one, other) and below(other, one))
    assert not below(one, one)


def test_a_window_comes_again_each_week_and_closes_on_the_minute() -> None:
    window = MaintenanceWindow(name="w", matcher=Matcher(), week={"sun": ("22:00-06:00",)})
    sunday = ns("2026-03-08T22:00")
    assert window.span_at(sunday - 1, "UTC") is None
    for at_ns in (sunday, sunday + 7 * HOUR_NS, sunday + 8 * HOUR_NS - 1):
        assert window.span_at(at_ns, "UTC") == (sunday, sunday + 8 * HOUR_NS)
    assert window.span_at(sunday + 8 * HOUR_NS, "UTC") is None
    assert window.span_at(sunday + 7 * 24 * HOUR_NS, "UTC") is not None


@pytest.mark.parametrize(("date", "hours"), [("2026-03-29", 7), ("2026-10-25", 9), ("2026-10-18", 8)])
def test_a_window_over_a_change_of_the_clocks_is_as_long_as_that_night(date: str, hours: int) -> None:
    window = MaintenanceWindow(name="w", matcher=Matcher(), week={"sat": ("22:00-06:00",), "sun": ()})
    end = ns(f"{date}T00:00") + (4 if hours == 7 else 5 if hours == 9 else 4) * HOUR_NS
    found = window.span_at(end - MINUTE_NS, "Europe/Berlin")
    assert found is not None
    assert (found[1] - found[0]) / HOUR_NS == hours
    assert found[1] == end


def test_a_window_has_its_own_time_zone_or_the_plants() -> None:
    at_ns = ns("2026-03-04T00:30")  # 08:30 in Shanghai
    times = {"week": {"wed": ("08:00-09:00",)}}
    shanghai = MaintenanceWindow(name="w", matcher=Matcher(), time_zone="Asia/Shanghai", **times)
    assert shanghai.span_at(at_ns, "UTC") is not None
    assert MaintenanceWindow(name="w", matcher=Matcher(), **times).span_at(at_ns, "UTC") is None
    assert MaintenanceWindow(name="w", matcher=Matcher(), **times).span_at(at_ns, "Asia/Shanghai") is not None


def test_two_times_that_meet_are_two_spans_and_no_moment_between_is_free() -> None:
    window = MaintenanceWindow(name="w", matcher=Matcher(), week={"mon": ("06:00-08:00", "08:00-10:00")})
    start = ns("2026-03-09T06:00")
    assert window.span_at(start + 2 * HOUR_NS - 1, "UTC") == (start, start + 2 * HOUR_NS)
    assert window.span_at(start + 2 * HOUR_NS, "UTC") == (start + 2 * HOUR_NS, start + 4 * HOUR_NS)


@pytest.mark.parametrize(
    ("model", "wrong"),
    [
        (MaintenanceWindow, {"name": "w", "matcher": {}, "week": {"mon": []}}),
        (MaintenanceWindow, {"name": "w", "matcher": {}, "week": {"mon": ["8-9"]}}),
        (
            MaintenanceWindow,
            {"name": "w", "matcher": {}, "week": {"mon": ["08:00-09:00"]}, "time_zone": "X/Y"},
        ),
        (Matcher, {"famlies": ["stop"]}),
        (Suppressing, {"shelve_h": 9}),
        (Flood, {"more_than": 3, "fewer_than": 5}),
    ],
)
def test_what_could_never_work_is_refused(model: type[BaseModel], wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        model.model_validate(wrong)


@pytest.mark.parametrize(
    ("place", "model"),
    [
        ("In the plant document", Suppressing),
        ("An inhibition", Inhibition),
        ("A flood", Flood),
        ("A maintenance window", MaintenanceWindow),
        ("A matcher", Matcher),
    ],
)
def test_each_setting_is_written_down(place: str, model: type[BaseModel]) -> None:
    said = {row[0]: row[1] for row in chapters("suppression.md")[place]}
    wanted = {name: default_of(field).strip("`") or "empty" for name, field in model.model_fields.items()}
    own = {"inhibitions", "flood"}
    assert {k: v for k, v in said.items() if k not in own} == {
        k: v for k, v in wanted.items() if k not in own
    }
