"""Working time over night shifts, holidays, make-up days and changes of the clock."""

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from andon.calendars import WEEKDAYS, Calendar, NoWorkingTime
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS

SHANGHAI = Calendar(
    time_zone="Asia/Shanghai",
    week=dict.fromkeys(WEEKDAYS[:5], ("08:00-12:00", "13:00-17:30")),
    days={**{date(2026, 10, n): () for n in range(1, 8)}, date(2026, 10, 10): "thu"},
)
NIGHTS = Calendar(time_zone="Europe/Berlin", week=dict.fromkeys(WEEKDAYS, ("22:00-06:00",)))
ROUND_THE_CLOCK = Calendar(
    time_zone="Europe/Berlin", week=dict.fromkeys(WEEKDAYS, ("06:00-14:00", "14:00-22:00", "22:00-06:00"))
)


def ns(text: str, zone: str = "UTC", fold: int = 0) -> int:
    moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone), fold=fold)
    return int(moment.timestamp()) * SECOND_NS


def test_over_the_holiday_week_of_october() -> None:
    began = ns("2026-09-30T17:20", "Asia/Shanghai")
    assert SHANGHAI.add(began, 15 * MINUTE_NS) == ns("2026-10-08T08:05", "Asia/Shanghai")
    assert SHANGHAI.between(began, ns("2026-10-08T08:05", "Asia/Shanghai")) == 15 * MINUTE_NS


def test_a_make_up_saturday_works_like_the_day_that_it_stands_for() -> None:
    saturday = ns("2026-10-10T00:00", "Asia/Shanghai")
    assert SHANGHAI.between(saturday, saturday + 24 * HOUR_NS) == 8 * HOUR_NS + 30 * MINUTE_NS
    assert SHANGHAI.between(saturday + 24 * HOUR_NS, saturday + 48 * HOUR_NS) == 0


def test_a_ticket_that_comes_at_lunch_starts_after_it() -> None:
    noon = ns("2026-10-12T12:30", "Asia/Shanghai")
    assert not SHANGHAI.works_at(noon)
    assert SHANGHAI.add(noon, 1) == ns("2026-10-12T13:00", "Asia/Shanghai") + 1


def test_nothing_added_is_the_moment_itself() -> None:
    noon = ns("2026-10-12T12:30", "Asia/Shanghai")
    assert SHANGHAI.add(noon, 0) == noon


def test_a_night_shift_belongs_to_the_day_on_which_it_starts() -> None:
    only_friday = Calendar(week={"fri": ("22:00-06:00",)})
    saturday = ns("2026-11-21T03:00")
    assert only_friday.works_at(saturday)
    assert only_friday.between(ns("2026-11-20T00:00"), ns("2026-11-23T00:00")) == 8 * HOUR_NS
    holiday = only_friday.model_copy(update={"days": {date(2026, 11, 20): ()}})
    assert not holiday.works_at(saturday)


@pytest.mark.parametrize(
    ("evening", "hours"), [("2026-03-28", 7), ("2026-06-01", 8), ("2026-10-24", 9), ("2026-12-31", 8)]
)
def test_a_night_is_as_long_as_its_clocks_make_it(evening: str, hours: int) -> None:
    began = ns(f"{evening}T18:00", "Europe/Berlin")
    assert NIGHTS.between(began, began + 20 * HOUR_NS) == hours * HOUR_NS


def test_three_shifts_leave_no_hole_in_a_year() -> None:
    began, ended = ns("2026-01-01T00:00"), ns("2027-01-01T00:00")
    assert ROUND_THE_CLOCK.between(began, ended) == ended - began


@pytest.mark.parametrize(("day", "minutes"), [("2026-03-29", 30), ("2026-10-25", 90)])
def test_a_shift_at_an_hour_that_is_skipped_or_comes_twice(day: str, minutes: int) -> None:
    odd = Calendar(time_zone="Europe/Berlin", week={"sun": ("02:00-03:30",)})
    midnight = ns(f"{day}T00:00", "Europe/Berlin")
    worked = odd.between(midnight, midnight + 12 * HOUR_NS)
    assert worked == (30 if minutes == 30 else 150) * MINUTE_NS


def test_shifts_that_overlap_count_once() -> None:
    both = Calendar(week={"mon": ("08:00-16:00", "12:00-20:00", "22:00-09:00"), "tue": ("08:00-10:00",)})
    monday = ns("2026-11-23T00:00")
    assert both.between(monday, monday + 48 * HOUR_NS) == (12 + 12) * HOUR_NS


def test_a_calendar_that_never_works_is_refused() -> None:
    with pytest.raises(ValidationError, match="never works"):
        Calendar(week={"mon": ()})


@pytest.mark.parametrize("shift", ["8:00-12:00", "08:00-25:00", "08:00", "24:00-06:00", "08:60-09:00"])
def test_a_shift_that_cannot_be_read_is_refused(shift: str) -> None:
    with pytest.raises(ValidationError):
        Calendar(week={"mon": (shift,)})


def test_an_unknown_time_zone_is_refused_with_what_one_looks_like() -> None:
    with pytest.raises(ValidationError, match="Asia/Shanghai"):
        Calendar(time_zone="China", week={"mon": ("08:00-12:00",)})


def test_a_deadline_that_never_comes_is_told() -> None:
    monday = date(2026, 11, 23)
    closed = Calendar(
        week={"mon": ("08:00-12:00",)}, days={monday + timedelta(weeks=n): () for n in range(200)}
    )
    with pytest.raises(NoWorkingTime):
        closed.add(ns("2026-11-23T00:00"), 1)


SHIFTS = st.tuples(st.integers(0, 23), st.integers(0, 59), st.integers(0, 24), st.integers(0, 59)).map(
    lambda t: f"{t[0]:02}:{t[1]:02}-{t[2]:02}:{0 if t[2] == 24 else t[3]:02}"
)
CALENDARS = st.builds(
    Calendar,
    time_zone=st.sampled_from(
        ["UTC", "Asia/Shanghai", "Europe/Berlin", "Australia/Lord_Howe", "America/Sao_Paulo"]
    ),
    week=st.dictionaries(
        st.sampled_from(WEEKDAYS), st.lists(SHIFTS, min_size=1, max_size=3).map(tuple), min_size=1
    ),
    days=st.dictionaries(
        st.dates(date(2026, 3, 20), date(2026, 11, 10)),
        st.one_of(st.sampled_from(WEEKDAYS), st.lists(SHIFTS, max_size=2).map(tuple)),
        max_size=5,
    ),
)
MOMENTS = st.datetimes(datetime(2026, 3, 1), datetime(2026, 12, 1)).map(  # noqa: DTZ001 - made UTC
    lambda moment: int(moment.replace(tzinfo=UTC).timestamp()) * SECOND_NS
)


@given(CALENDARS, MOMENTS, st.integers(1, 100 * HOUR_NS))
@settings(max_examples=100, deadline=None)
def test_adding_and_measuring_are_inverses_both_ways(calendar: Calendar, at_ns: int, working_ns: int) -> None:
    after_ns = calendar.add(at_ns, working_ns)
    assert calendar.between(at_ns, after_ns) == working_ns
    assert calendar.between(at_ns, after_ns - 1) == working_ns - 1  # the first such moment
    before_ns = calendar.add(at_ns, -working_ns)
    assert calendar.between(before_ns, at_ns) == working_ns
    assert calendar.between(before_ns + 1, at_ns) == working_ns - 1  # the last such moment


@given(CALENDARS, MOMENTS, MOMENTS, MOMENTS)
@settings(max_examples=60, deadline=None)
def test_spans_of_time_add_up(calendar: Calendar, one: int, two: int, three: int) -> None:
    first, second, third = sorted((one, two, three))
    assert calendar.between(first, third) == calendar.between(first, second) + calendar.between(second, third)
    assert calendar.between(third, first) == -calendar.between(first, third)
