"""Level shift, drift, spread, stuck values and spikes: what is found and when, and what a healthy plant never hears."""

import itertools
from collections.abc import Sequence
from dataclasses import replace
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from andon.evaluations.line import Line
from andon.events import (
    HOUR_NS,
    SECOND_NS,
    Action,
    Declaration,
    Declared,
    Family,
    Finding,
    Float64,
    Json,
    Origin,
    PackMLState,
    StopAlarm,
)
from andon.plant import Asset, DetectorSettings, Plant, Point
from andon.ports import Detector
from api.catalogue import words_of
from api.web.formats import PlantTime
from api.web.wording import verdict
from detectors import detector_class
from detectors.state import size_bytes
from simulators.scalars import (
    CHANNEL,
    DAY_S,
    HEALTHY,
    T0_S,
    UNIT,
    Course,
    bearing,
    coarse,
    course,
    two_shifts,
)

KINDS = ("level_shift", "drift", "variance_change", "stuck_value", "spike")
POINT = Point(id="T1", component="bearing", quantities={"temperature": UNIT})
ASSET = Asset(id="M1", name="M1", asset_class="pump", path="e/s/a/l/c", points=(POINT,))
DAYS, ONSET, HALF_HOUR_S = 36.0, 25.0, 1800.0


def detector(kind: str, **parameters: Json) -> Detector:
    chosen = detector_class(kind)
    built: Detector = chosen(ASSET, chosen.Parameters(**parameters))
    return built


def told(one: Course, to: Detector) -> list[Finding]:
    return [finding for block in one.blocks() for finding in to.update(block)]


def changed(one: Course, value: Float64) -> Course:
    """The course with another value from `ONSET` on."""
    return replace(one, value=np.where(one.t >= ONSET * DAY_S, value, one.value))


def raised(findings: Sequence[Finding]) -> list[Finding]:
    return [finding for finding in findings if finding.action is Action.RAISE]


def hours(at_ns: int) -> float:
    """Since the fault began."""
    return (at_ns / SECOND_NS - T0_S - ONSET * DAY_S) / 3600


def since(one: Course) -> Float64:
    """Days since the fault began."""
    return one.t / DAY_S - ONSET


@pytest.mark.parametrize("name", HEALTHY)
def test_a_healthy_channel_says_nothing(name: str) -> None:
    """Days, weeks, start-ups, tanks, set points, whole degrees, seasons; even, or with jitter, losses and gaps."""
    for seed, period_s, even in ((3, HALF_HOUR_S, True), (4, 900.0, False)):
        one = course(HEALTHY[name], seed, DAYS, period_s, even=even)
        assert [f for kind in KINDS for f in told(one, detector(kind))] == []


@pytest.mark.parametrize("period_s", [300.0, HALF_HOUR_S])
@pytest.mark.parametrize("shape", [bearing, two_shifts])
def test_a_step_is_found_in_three_hours_and_its_onset_is_right(shape: object, period_s: float) -> None:
    one = course(HEALTHY[shape.__name__], 3, DAYS, period_s)  # type: ignore[attr-defined]
    findings = told(changed(one, one.value + 12), detector("level_shift"))
    assert [f.action for f in findings] == [Action.RAISE]
    assert 0 < hours(findings[0].at_ns) <= 3.1
    assert abs(hours(findings[0].onset_ns)) <= 0.5
    assert findings[0].family is Family.TEMPERATURE
    assert findings[0].numbers[0].value == pytest.approx(12, abs=3)  # less or more the weather
    assert findings[0].evidence["baseline"]["shape"] == ("day" if shape is bearing else "week")


def test_a_step_that_goes_away_is_cleared_and_its_return_is_a_new_one() -> None:
    one = course(bearing, 3, 45, HALF_HOUR_S)
    off = ((since(one) > 0) & (since(one) < 4)) | (since(one) > 9)
    findings = told(replace(one, value=one.value + 12 * off), detector("level_shift"))
    assert [f.action for f in findings] == [Action.RAISE, Action.CLEAR, Action.RAISE]
    assert len({f.id.split("-")[0] for f in findings}) == 2


@pytest.mark.parametrize("period_s", [300.0, HALF_HOUR_S])
def test_a_creep_of_one_sigma_a_day_under_a_day_of_two_is_found_within_a_week(period_s: float) -> None:
    """The channel's day swings by 4 degrees; its baseline's errors are 0.9: so is the creep, per day."""
    one = course(bearing, 4, DAYS, period_s)
    findings = told(changed(one, one.value + 0.9 * since(one)), detector("drift"))
    first = raised(findings)[0]
    assert 48 < hours(first.at_ns) <= 7 * 24 + 1
    assert abs(hours(first.onset_ns)) <= 48
    assert first.numbers[1].name == "per_day"
    assert first.numbers[1].value == pytest.approx(0.9, rel=0.5)
    assert told(changed(one, one.value + 0.9 * since(one)), detector("level_shift")) == []


@pytest.mark.parametrize("sign", [1, -1])
def test_a_creep_says_when_its_limit_is_reached_or_why_that_is_unknown(sign: int) -> None:
    one = course(bearing, 5, 40, HALF_HOUR_S)
    creeps = changed(one, one.value + sign * since(one))
    limit = 55.0 + sign * 30.0
    last = told(creeps, detector("drift", limits={CHANNEL: limit}))[-1]
    ahead = last.evidence["forecast"]
    assert hours(ahead["at_ns"]["low"]) / 24 <= 30 <= hours(ahead["at_ns"]["high"]) / 24
    assert {"reached_low_s", "reached_high_s"} <= {number.name for number in last.numbers}
    unknown = told(creeps, detector("drift"))[-1].evidence["forecast"]
    assert (unknown["at_ns"], unknown["reason"]) == ("unknown", "no limit is known for this channel")


@pytest.mark.parametrize(("times", "said"), [(5.0, "variance_rise"), (0.1, "variance_collapse")])
def test_another_spread_is_found_within_a_day(times: float, said: str) -> None:
    rng = np.random.default_rng(6)
    one = course(HEALTHY["pressure"], 6, DAYS, 600.0)
    value = 6 + times * 0.05 * rng.normal(0, 1, one.t.size)
    findings = raised(told(changed(one, value), detector("variance_change")))
    assert [f.condition for f in findings] == [said]
    assert 0 < hours(findings[0].at_ns) <= 24
    assert findings[0].numbers[0].value == pytest.approx(times, rel=0.4)


def test_a_stuck_value_is_found_in_its_time_and_nothing_else_is_made_of_it() -> None:
    one = course(bearing, 7, DAYS, 300.0)
    stuck = changed(one, np.full(one.t.size, one.value[one.t >= ONSET * DAY_S][0]))
    findings = told(stuck, detector("stuck_value"))
    assert [(f.action, f.family) for f in findings] == [(Action.RAISE, Family.DATA_QUALITY)]
    assert 0 < hours(findings[0].at_ns) < 4
    assert hours(findings[0].onset_ns) == pytest.approx(0, abs=0.1)
    assert [f for kind in KINDS if kind != "stuck_value" for f in told(stuck, detector(kind))] == []


def test_a_coarse_value_may_stand_as_long_as_it_does_and_is_stuck_beyond() -> None:
    one = course(coarse, 8, DAYS, 900.0)
    assert told(one, detector("stuck_value")) == []
    stuck = changed(one, np.full(one.t.size, 41.0))
    assert len(raised(told(stuck, detector("stuck_value")))) == 1


def test_four_spikes_in_a_day_are_a_finding_one_is_none_and_a_step_is_none() -> None:
    one = course(bearing, 9, DAYS, 600.0)
    at = np.searchsorted(one.t, ONSET * DAY_S) + np.array([3, 40, 77, 90])
    for places, found in ((at[:1], 0), (at[:3], 0), (at, 1)):
        value = one.value.copy()
        value[places] += 30
        findings = raised(told(replace(one, value=value), detector("spike")))
        assert len(findings) == found
    assert hours(findings[0].onset_ns) == pytest.approx(0.5, abs=0.1)
    assert told(changed(one, one.value + 30), detector("spike")) == []


def test_two_weeks_of_unlike_weather_do_not_dull_the_next_step() -> None:
    """The hall strays by 1.2 degrees; against its frozen baseline alone nothing below 16 would count."""
    one = course(HEALTHY["ambient"], 3, DAYS, HALF_HOUR_S)
    findings = raised(told(changed(one, one.value + 10), detector("level_shift")))
    assert len(findings) == 1
    assert 0 < hours(findings[0].at_ns) <= 4


def test_a_set_point_that_was_changed_a_few_times_is_not_stuck_when_it_is_left_alone() -> None:
    t = np.arange(0, DAYS * DAY_S, 600.0)
    value = np.where(t < 7 * DAY_S, 10 + t // DAY_S, 20.0)
    assert told(Course(t, value), detector("stuck_value")) == []


def test_a_span_that_was_silent_for_most_of_its_time_tells_no_spread() -> None:
    """A machine that moves for an hour of each span, and is heard in that hour alone for a day."""
    rng, t = np.random.default_rng(1), np.arange(0, DAYS * DAY_S, 120.0)
    moves = t % 14_400 < 3600
    value = np.where(moves, np.round(rng.normal(5, 1, t.size), 3), 5.0)
    heard = moves | (abs(t / DAY_S - ONSET) > 0.5)
    assert told(Course(t[heard], value[heard]), detector("variance_change")) == []


def declared(what: Declared, at_s: float, component: str | None = None) -> Declaration:
    at_ns = round((T0_S + at_s) * SECOND_NS)
    return Declaration(at_ns, "M1", component, what, "li.na", "", None, Origin("people", 0, at_ns))


@pytest.mark.parametrize("component", [None, "bearing", "gearbox"])
def test_a_declared_change_clears_and_is_learned_anew_for_its_component(component: str | None) -> None:
    one = course(bearing, 10, 60, HALF_HOUR_S)
    stepped = replace(one, value=one.value + 12 * (since(one) > 0) + 20 * (since(one) > 25))
    watching = detector("level_shift")
    split = int(np.searchsorted(one.t, 30 * DAY_S))
    findings = told(Course(stepped.t[:split], stepped.value[:split]), watching)
    findings += watching.update(declared(Declared.OPERATING_CHANGE, 30 * DAY_S, component))
    findings += told(Course(stepped.t[split:], stepped.value[split:]), watching)
    if component == "gearbox":
        assert [f.action for f in findings] == [Action.RAISE, Action.UPDATE]
        return
    assert [f.action for f in findings] == [Action.RAISE, Action.CLEAR, Action.RAISE]
    assert [f.evidence["baseline"]["version"] for f in raised(findings)] == [1, 2]


def test_a_machine_that_stands_or_warms_up_is_not_judged() -> None:
    """It runs day and night, then stops for two days a week: cold, and warm again an hour after its start."""
    one = course(bearing, 11, 60, 600.0)
    day = one.t / DAY_S
    stands = (day > 20) & (day % 7 >= 5)
    cold = replace(one, value=np.where(stands, one.value - 33, one.value))
    origin = Origin("mes", 0, 0)

    def story(*, masked: bool) -> list[Finding]:
        watching = detector("level_shift")
        findings: list[Finding] = []
        edges = [0, *(np.flatnonzero(np.diff(stands)) + 1).tolist(), one.t.size]
        for begin, end in itertools.pairwise(edges):
            at_ns = round((T0_S + cold.t[begin]) * SECOND_NS)
            alarm = StopAlarm(
                "M1", at_ns, PackMLState.STOPPED, "E", 1, "", "", bool(stands[begin]), 500, origin
            )
            if masked and begin:
                findings += watching.update(alarm)
            findings += told(Course(cold.t[begin:end], cold.value[begin:end]), watching)
        return findings

    assert story(masked=True) == []
    assert len(raised(story(masked=False))) > 1


@pytest.mark.parametrize("kind", KINDS)
def test_a_channel_takes_four_kilobytes_at_most(kind: str) -> None:
    watching = detector(kind)
    one, sizes = course(bearing, 12, 60, HALF_HOUR_S), []
    for block in replace(one, value=one.value + 3 * np.maximum(0, since(one))).blocks(rows=240):
        watching.update(block)
        sizes.append(size_bytes(watching.snapshot()))
    assert max(sizes) < 4096 + 300  # and what is known of the machine


def test_a_stuck_sensor_and_a_creeping_temperature_are_one_ticket_each_with_a_sentence() -> None:
    points = (POINT, Point(id="T2", component="gearbox", quantities={"temperature": UNIT}))
    settings = tuple(DetectorSettings(kind=kind) for kind in (*KINDS, "silent_sensor"))
    asset = ASSET.model_copy(update={"points": points, "detectors": settings})
    one, other = course(bearing, 13, DAYS, HALF_HOUR_S), course(bearing, 14, DAYS, HALF_HOUR_S)
    creeps = changed(one, one.value + since(one))
    stuck = changed(other, np.full(other.t.size, 54.3))
    with Line(asset, Plant(name="", assets=(asset,))) as line:
        pairs = zip(creeps.blocks(48), stuck.blocks(48, channel="T2/temperature"), strict=True)
        for block in (block for pair in pairs for block in pair):
            line.take(block)
        tickets = {ticket.headline.family: ticket.headline for ticket in line.tickets()}
        assert len(line.tickets()) == 2
    assert (tickets[Family.TEMPERATURE].component, tickets[Family.TEMPERATURE].condition) == (
        "bearing",
        "drift",
    )
    assert tickets[Family.DATA_QUALITY].condition == "stuck_value"
    for language, words in (("en", ("creeps by", "the same")), ("zh", ("每天缓慢变化", "同一个值"))):
        catalogue = words_of(language)
        time = PlantTime(ZoneInfo("UTC"), T0_S * SECOND_NS + 40 * 24 * HOUR_NS, catalogue)
        for family, word in zip((Family.TEMPERATURE, Family.DATA_QUALITY), words, strict=True):
            assert word in str(verdict(tickets[family], catalogue, time))
