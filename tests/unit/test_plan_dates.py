"""When preventive work is due: dates over holidays, pauses and changes of the clock; what is missed is caught up once."""

from datetime import date, datetime, timedelta
from itertools import islice, pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from andon.calendars import WEEKDAYS, Calendar
from andon.events import HOUR_NS, SECOND_NS
from andon.rules.plans import Machines, Pause, Plan, Rhythm, Usage
from ticketing.plans.counting import Counted
from ticketing.plans.dates import Site, scheduled
from ticketing.plans.schedule import Run, coming, due

DAY_NS = 24 * HOUR_NS
BERLIN = Site(ZoneInfo("Europe/Berlin"))
WORKS = Calendar(
    time_zone="Asia/Shanghai",
    week=dict.fromkeys(WEEKDAYS[:5], ("08:00-17:00",)),
    days={**{date(2026, 10, n): () for n in range(1, 8)}, date(2026, 10, 10): "thu"},
)
SHANGHAI = Site(ZoneInfo("Asia/Shanghai"), WORKS)


def plan_of(rhythm: Rhythm | None, **said: object) -> Plan:
    return Plan.model_validate(
        {
            "code": "p",
            "zh": "润滑",
            "en": "Grease",
            "machines": Machines(assets=("M1",)),
            "rhythm": rhythm,
            **said,
        }
    )


def days(rhythm: Rhythm, site: Site, after: date, n: int, **said: object) -> list[str]:
    return [str(one.day) for one in islice(scheduled(plan_of(rhythm, **said), site, after), n)]


def ns(text: str, site: Site = BERLIN) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=site.zone).timestamp()) * SECOND_NS


def test_eight_in_the_morning_stays_eight_over_both_changes_of_the_clock() -> None:
    daily = plan_of(Rhythm(unit="day", starts=date(2026, 3, 28), at="08:00"))
    spring = list(islice(scheduled(daily, BERLIN, date(2026, 3, 27)), 3))
    autumn = list(islice(scheduled(daily, BERLIN, date(2026, 10, 23)), 3))
    assert [b.due_ns - a.due_ns for a, b in pairwise(spring)] == [23 * HOUR_NS, 24 * HOUR_NS]
    assert [b.due_ns - a.due_ns for a, b in pairwise(autumn)] == [25 * HOUR_NS, 24 * HOUR_NS]


def test_a_time_that_the_clocks_skip_is_due_when_they_are_put_forward_and_one_that_comes_twice_once() -> None:
    night = plan_of(Rhythm(unit="day", starts=date(2026, 3, 29), at="02:30"))
    assert next(scheduled(night, BERLIN, date(2026, 3, 28))).due_ns == ns("2026-03-29T03:00")
    twice = list(islice(scheduled(night, BERLIN, date(2026, 10, 24)), 2))
    assert [one.day.day for one in twice] == [25, 26]
    assert twice[0].due_ns == ns("2026-10-25T02:30")


def test_over_the_holiday_week_of_october_each_way_of_moving_has_its_day() -> None:
    fifth = date(2026, 10, 5)
    for way, expected in {
        "keep": "2026-10-05",
        "before": "2026-09-30",
        "after": "2026-10-08",
        "skip": "2026-11-05",
    }.items():
        assert days(Rhythm(starts=fifth, non_working=way), SHANGHAI, date(2026, 9, 1), 1) == [expected]


def test_a_daily_plan_gives_the_first_day_after_a_holiday_once() -> None:
    found = days(Rhythm(unit="day", starts=date(2026, 9, 29)), SHANGHAI, date(2026, 9, 28), 4)
    assert found == ["2026-09-29", "2026-09-30", "2026-10-08", "2026-10-09"]


def test_the_saturday_that_makes_up_for_a_holiday_is_a_working_day() -> None:
    every_third = Rhythm(unit="working_day", every=3, starts=date(2026, 9, 29))
    assert days(every_third, SHANGHAI, date(2026, 9, 28), 3) == ["2026-09-29", "2026-10-09", "2026-10-13"]


@pytest.mark.parametrize(
    ("rhythm", "expected"),
    [
        (Rhythm(starts=date(2026, 1, 31)), ["2026-01-31", "2026-02-28", "2026-03-31"]),
        (Rhythm(starts=date(2026, 1, 1), day=31, every=3), ["2026-01-31", "2026-04-30", "2026-07-31"]),
        (Rhythm(starts=date(2026, 1, 1), nth=2, on=("tue",)), ["2026-01-13", "2026-02-10", "2026-03-10"]),
        (Rhythm(starts=date(2026, 1, 1), nth=-1, on=("fri",)), ["2026-01-30", "2026-02-27", "2026-03-27"]),
        (
            Rhythm(unit="week", every=2, starts=date(2026, 1, 7), on=("mon", "thu")),
            ["2026-01-08", "2026-01-19", "2026-01-22"],
        ),
        (Rhythm(unit="year", starts=date(2024, 2, 29)), ["2026-02-28", "2027-02-28", "2028-02-29"]),
    ],
)
def test_rhythms(rhythm: Rhythm, expected: list[str]) -> None:
    assert days(rhythm, BERLIN, date(2025, 12, 31), 3) == expected


def test_nothing_is_due_in_a_pause_over_the_new_year() -> None:
    found = days(
        Rhythm(starts=date(2026, 9, 1)),
        BERLIN,
        date(2026, 8, 1),
        4,
        pauses=(Pause(begins="11-15", ends="03-14"),),
    )
    assert found == ["2026-09-01", "2026-10-01", "2026-11-01", "2027-04-01"]


def test_a_date_that_a_holiday_moves_into_a_pause_falls_away() -> None:
    fifth, pause = Rhythm(starts=date(2026, 10, 5)), Pause(begins="10-08", ends="10-31")
    assert days(fifth, SHANGHAI, date(2026, 9, 1), 1, pauses=(pause,)) == ["2026-11-05"]


def test_a_rhythm_whose_every_day_is_skipped_comes_to_an_end() -> None:
    sundays = Rhythm(unit="week", starts=date(2026, 1, 4), non_working="skip")
    assert days(sundays, SHANGHAI, date(2026, 1, 1), 1) == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"rhythm": None},
        {"rhythm": {"starts": "2026-01-01"}, "usage": {"meter": "h", "each": 500}},
        {"rhythm": {"starts": "2026-01-01", "day": 5}, "based_on": "completed"},
        {"rhythm": {"starts": "2026-01-01", "on": ["mon"]}},
        {"rhythm": {"starts": "2026-01-01"}, "pauses": [{"begins": "01-01", "ends": "12-31"}]},
        {"rhythm": {"starts": "2026-01-01"}, "pauses": [{"begins": "02-30", "ends": "12-31"}]},
    ],
)
def test_a_plan_that_could_not_be_kept_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        plan_of(**{"rhythm": None} | wrong)


RHYTHMS = st.builds(
    lambda unit, every, starts, on, non_working, at: Rhythm(
        unit=unit,
        every=every,
        starts=starts,
        on=tuple(sorted(on, key=WEEKDAYS.index)) if unit == "week" else (),
        non_working=non_working,
        at=at,
    ),
    st.sampled_from(["day", "working_day", "week", "month", "year"]),
    st.integers(1, 5),
    st.dates(date(2025, 1, 1), date(2026, 12, 31)),
    st.sets(st.sampled_from(WEEKDAYS), max_size=3),
    st.sampled_from(["keep", "before", "after", "skip"]),
    st.sampled_from(["00:00", "02:30", "08:00", "23:59"]),
)
SITES = st.sampled_from([BERLIN, SHANGHAI, Site(ZoneInfo("America/New_York"), WORKS)])
PAUSES = st.sampled_from([(), (Pause(begins="11-15", ends="03-14"),), (Pause(begins="07-01", ends="07-31"),)])
_EXAMPLES = settings(max_examples=60, deadline=None)


@_EXAMPLES
@given(RHYTHMS, SITES, PAUSES, st.dates(date(2025, 1, 1), date(2027, 6, 1)), st.integers(0, 12))
def test_laws_of_dates(
    rhythm: Rhythm, site: Site, pauses: tuple[Pause, ...], after: date, further: int
) -> None:
    plan = plan_of(rhythm, pauses=pauses)
    found = list(islice(scheduled(plan, site, after), 15))
    assert all(a.due_ns < b.due_ns for a, b in pairwise(found)), "in order, each moment once"
    assert all(one.for_day > after and one.for_day >= rhythm.starts for one in found)
    assert not any(plan.paused(one.day) for one in found), "nothing in a pause"
    if rhythm.non_working != "keep":
        assert all(site.works_on(one.day) for one in found), "on working days"
    if further < len(found):  # whoever goes on from a date finds the same ones after it
        again = islice(scheduled(plan, site, found[further].for_day), 16)
        rest = [one.day for one in found[further + 1 :]]
        assert [one.day for one in again if one.day > found[further].day][: len(rest)] == rest


@_EXAMPLES
@given(
    RHYTHMS,
    SITES,
    st.integers(0, 6),
    st.lists(st.tuples(st.integers(1, 900), st.integers(0, 900)), max_size=8),
)
def test_laws_of_a_scheduled_plan_whatever_stands_still_in_between(
    rhythm: Rhythm, site: Site, lead_days: int, turns: list[tuple[int, int]]
) -> None:
    """Turn by turn the server sleeps some hours, then what is due is opened, and done some hours later."""
    plan = plan_of(rhythm, lead_days=lead_days)
    since_ns = now_ns = ns("2026-01-01T00:00")
    runs: list[Run] = []
    owed: list[int] = []
    for slept_h, worked_h in turns:
        now_ns += slept_h * HOUR_NS
        found = due(plan, site, runs, since_ns=since_ns, now_ns=now_ns)
        if found is None or not found.is_open_at(now_ns):
            continue
        assert found.due_ns is not None
        assert found.until_ns is not None
        assert found.until_ns > found.due_ns
        assert found.due_ns not in owed, "no date twice"
        owed.append(found.due_ns)
        run = Run(len(runs) + 1, found.due_ns, ticket=len(runs) + 1, for_day=found.for_day)
        assert due(plan, site, [*runs, run], since_ns=since_ns, now_ns=now_ns) is None, "one at a time"
        passed = [
            one.due_ns
            for one in coming(plan, site, since_ns, now_ns + 1)
            if one.due_ns > max([since_ns, *(r.due_ns for r in runs), *(r.settled_ns or 0 for r in runs)])
        ]
        assert found.covers == max(1, len(passed)), "all that was missed, by one ticket"
        now_ns += worked_h * HOUR_NS
        runs.append(Run(**{name: getattr(run, name) for name in run.__slots__} | {"settled_ns": now_ns}))
    assert owed == sorted(owed)


def test_missed_runs_are_caught_up_by_one_ticket_and_the_rhythm_goes_on() -> None:
    weekly = plan_of(Rhythm(unit="week", starts=date(2026, 1, 5)))
    found = due(weekly, BERLIN, [], since_ns=ns("2026-01-01T00:00"), now_ns=ns("2026-01-28T10:00"))
    assert found is not None
    assert (found.covers, found.first_due_ns, found.due_ns) == (
        4,
        ns("2026-01-05T08:00"),
        ns("2026-01-26T08:00"),
    )
    done = Run(1, found.due_ns, 7, found.for_day, settled_ns=ns("2026-01-28T12:00"))
    after = due(weekly, BERLIN, [done], since_ns=0, now_ns=ns("2026-01-28T12:00"))
    assert after is not None
    assert after.due_ns == ns("2026-02-02T08:00")
    assert after.covers == 1


def test_a_new_plan_owes_nothing_from_before_it_was_watched() -> None:
    old = plan_of(Rhythm(unit="week", starts=date(2019, 1, 7)))
    found = due(old, BERLIN, [], since_ns=ns("2026-01-07T00:00"), now_ns=ns("2026-01-07T00:00"))
    assert found is not None
    assert (found.covers, found.due_ns) == (1, ns("2026-01-12T08:00"))


def test_scheduled_keeps_to_the_dates_and_completed_counts_from_what_was_done() -> None:
    monthly = Rhythm(starts=date(2026, 1, 5))
    late = Run(1, ns("2026-01-05T08:00"), 7, date(2026, 1, 5), settled_ns=ns("2026-01-20T15:00"))
    for based_on, expected in (("scheduled", "2026-02-05T08:00"), ("completed", "2026-02-20T08:00")):
        found = due(
            plan_of(monthly, based_on=based_on), BERLIN, [late], since_ns=0, now_ns=late.settled_ns or 0
        )
        assert found is not None
        assert found.due_ns == ns(expected)


def test_what_is_done_early_is_not_due_again_for_the_same_date() -> None:
    monthly = plan_of(Rhythm(starts=date(2026, 1, 5)), lead_days=20)
    early = Run(1, ns("2026-02-05T08:00"), 7, date(2026, 2, 5), settled_ns=ns("2026-01-20T15:00"))
    found = due(monthly, BERLIN, [early], since_ns=0, now_ns=ns("2026-01-20T16:00"))
    assert found is not None
    assert found.due_ns == ns("2026-03-05T08:00")
    assert found.opens_ns == ns("2026-02-13T08:00"), "so many days before, at the same time of the day"


def test_a_date_that_passed_while_the_ticket_was_open_is_done_with_it() -> None:
    weekly = plan_of(Rhythm(unit="week", starts=date(2026, 1, 5)))
    slow = Run(1, ns("2026-01-05T08:00"), 7, date(2026, 1, 5), settled_ns=ns("2026-01-14T15:00"))
    found = due(weekly, BERLIN, [slow], since_ns=0, now_ns=ns("2026-01-14T16:00"))
    assert found is not None
    assert (found.covers, found.due_ns) == (1, ns("2026-01-19T08:00"))


def test_the_window_is_of_whole_days_of_the_site() -> None:
    found = due(
        plan_of(Rhythm(starts=date(2026, 3, 29)), early_days=2, late_days=1),
        BERLIN,
        [],
        since_ns=ns("2026-03-01T00:00"),
        now_ns=ns("2026-03-01T00:00"),
    )
    assert found is not None
    assert (found.from_ns, found.until_ns) == (ns("2026-03-27T00:00"), ns("2026-03-31T00:00"))


METER = plan_of(None, usage=Usage(meter="hours", each=500.0, ahead=50.0))
DAYS = tuple(ns("2026-01-01T00:00") + n * 10 * DAY_NS for n in range(5))


def test_a_meter_opens_the_ticket_ahead_and_forecasts_the_date() -> None:
    counted = Counted(DAYS[:3], (12_000.0, 12_200.0, 12_400.0))
    found = due(METER, BERLIN, [], since_ns=DAYS[0], now_ns=DAYS[2], meter=counted)
    assert found is not None
    assert (found.due_total, found.opens_ns) == (12_500.0, None), "the next multiple of 500"
    assert found.due_ns == DAYS[2] + 5 * DAY_NS, "20 a day"
    on = due(
        METER,
        BERLIN,
        [],
        since_ns=DAYS[0],
        now_ns=DAYS[3],
        meter=Counted(DAYS[:4], (*counted.total, 12_460.0)),
    )
    assert on is not None
    assert on.is_open_at(DAYS[3])
    assert on.opens_ns is not None
    assert on.opens_ns < DAYS[3]


def test_the_first_run_by_meter_counts_from_the_last_one_that_is_told_of_else_it_is_a_multiple() -> None:
    counted = Counted(DAYS[:2], (12_000.0, 12_100.0))
    for based_on in ("scheduled", "completed"):
        for last, expected in ((None, 12_500.0), (11_700.0, 12_200.0), (11_000.0, 11_500.0)):
            plan = METER.model_copy(
                update={"based_on": based_on, "usage": Usage(meter="hours", each=500.0, last=last)}
            )
            found = due(plan, BERLIN, [], since_ns=DAYS[0], now_ns=DAYS[1], meter=counted)
            assert found is not None
            assert found.due_total == (12_000.0 if (based_on, last) == ("scheduled", 11_000.0) else expected)


def test_intervals_that_a_meter_ran_through_are_caught_up_by_one_ticket() -> None:
    counted = Counted(DAYS[:2], (400.0, 1_720.0))
    found = due(METER, BERLIN, [], since_ns=DAYS[0], now_ns=DAYS[1], meter=counted)
    assert found is not None
    assert (found.covers, found.due_total) == (3, 1_500.0)
    done = Run(1, DAYS[1], 7, due_total=1_500.0, settled_ns=DAYS[2])
    after = due(METER, BERLIN, [done], since_ns=DAYS[0], now_ns=DAYS[2], meter=counted)
    assert after is not None
    assert (after.covers, after.due_total) == (1, 2_000.0)


def test_by_calendar_or_meter_whichever_comes_first_and_both_from_what_was_done() -> None:
    both = plan_of(
        Rhythm(every=6, starts=date(2026, 1, 1)),
        usage=Usage(meter="hours", each=500.0),
        based_on="completed",
    )
    done = Run(1, DAYS[0], 7, date(2026, 1, 1), settled_ns=DAYS[0])
    quick = Counted(DAYS[:3], (0.0, 260.0, 520.0))
    found = due(both, BERLIN, [done], since_ns=0, now_ns=DAYS[2], meter=quick)
    assert found is not None
    assert (found.why, found.due_total) == ("meter", 500.0)
    slow = Counted(DAYS[:3], (0.0, 1.0, 2.0))
    found = due(both, BERLIN, [done], since_ns=0, now_ns=DAYS[2], meter=slow)
    assert found is not None
    assert (found.why, found.due_ns) == ("calendar", ns("2026-07-01T08:00"))


def test_a_meter_that_nobody_read_owes_nothing_and_a_pause_holds_its_ticket() -> None:
    unread = due(METER, BERLIN, [], since_ns=0, now_ns=DAYS[0])
    assert unread is not None
    assert not unread.is_open_at(DAYS[4])
    assert unread.due_ns is None
    winter = METER.model_copy(update={"pauses": (Pause(begins="11-15", ends="03-14"),)})
    held = due(
        winter, BERLIN, [], since_ns=DAYS[0], now_ns=DAYS[2], meter=Counted(DAYS[:3], (0.0, 300.0, 600.0))
    )
    assert held is not None
    assert not held.is_open_at(DAYS[2])
    assert held.opens_ns == ns("2026-03-15T00:00")
    assert held.due_ns == held.opens_ns


def test_a_calendar_shows_the_dates_to_come() -> None:
    weekly = plan_of(Rhythm(unit="week", starts=date(2026, 1, 5)))
    shown = coming(weekly, BERLIN, ns("2026-02-01T00:00"), ns("2026-03-01T00:00"))
    assert [one.day.day for one in shown] == [2, 9, 16, 23]
    assert timedelta(weeks=1) == shown[1].day - shown[0].day
