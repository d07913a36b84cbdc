"""Whom a role means at a moment, and what is known of where people are."""

from datetime import UTC, datetime
from typing import Any

from andon.events import SECOND_NS
from andon.plant import Plant
from ticketing.duty import Presence, Roster, who

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
DAY, NIGHT = ({day: [hours] for day in WEEK} for hours in ("06:00-18:00", "18:00-06:00"))


def at(clock: str, day: int = 2) -> int:
    hours, minutes = map(int, clock.split(":"))
    return int(datetime(2026, 3, day, hours, minutes, tzinfo=UTC).timestamp()) * SECOND_NS


def person(name: str, role: str = "line leader", **more: Any) -> dict[str, Any]:
    return {"id": name, "name": name, "role": role, **more}


def plant(*people: dict[str, Any], **more: Any) -> Plant:
    calendars = {"day": {"week": DAY}, "night": {"week": NIGHT}}
    return Plant.model_validate({"name": "p", "people": people, "calendars": calendars, **more})


LEADERS = (
    person("wu", calendar="day", lines=["L3"]),
    person("xu", calendar="night", lines=["L3"]),
    person("ma", calendar="day", lines=["L4"]),
    person("du", role="Duty_Manager"),
)


def test_the_leader_of_the_line_on_shift_is_meant_whatever_the_hour():
    found = plant(*LEADERS)
    assert who("line_leader", "L3", at("10:00"), found, {}).person == "wu"
    night = who("line_leader", "L3", at("02:00"), found, {})
    assert (night.person, night.rule) == ("xu", "on_shift")
    assert who("line_leader", "L4", at("10:00"), found, {}).person == "ma"
    assert (
        who("line_leader", "L3", at("18:00"), found, {}).person == "xu"
    )  # the end of a shift is the next one's


def test_while_nobody_is_on_shift_the_person_on_duty_is_meant_or_who_comes_next():
    on_duty = who("line_leader", "L4", at("20:00"), plant(*LEADERS), {})
    assert (on_duty.person, on_duty.rule) == ("du", "duty")
    waits = plant(*LEADERS, routing={"off_shift": "next_shift"})
    comes = who("line_leader", "L4", at("20:00"), waits, {})
    assert (comes.person, comes.rule, comes.from_ns) == ("ma", "next_shift", at("06:00", day=3))


def test_on_leave_somebody_else_is_meant_and_nobody_comes_before_the_leave_ends():
    away = plant(
        person("wu", calendar="day", absent_until="2026-03-05T00:00:00Z"), person("xu", calendar="day")
    )
    assert who("line_leader", "L3", at("10:00"), away, {}).person == "xu"
    alone = plant(person("wu", calendar="day"))
    reported = {"wu": Presence("wu", at("09:00"), leave_until_ns=at("12:00", day=5))}
    comes = who("line_leader", "L3", at("10:00"), alone, reported)
    assert (comes.person, comes.rule, comes.from_ns) == ("wu", "next_shift", at("12:00", day=5))


def test_of_several_the_one_online_is_meant_then_the_own_line_then_the_senior():
    several = plant(
        person("any", seniority=30),
        person("own", lines=["L3"], seniority=1),
        person("own_senior", lines=["L3"], seniority=9),
    )
    found = who("line_leader", "L3", at("10:00"), several, {})
    assert (found.person, found.backup) == ("own_senior", "own")
    offline = {name: Presence(name, at("10:00"), online=False) for name in ("own", "own_senior")}
    assert who("line_leader", "L3", at("10:00"), several, offline).person == "any"


def test_the_named_backup_stands_in_if_at_work():
    found = plant(person("wu", backup="li", lines=["L3"]), person("xu"), person("li", role="technician"))
    assert who("line_leader", "L3", 0, found, {}).backup == "li"
    gone = {"li": Presence("li", 0, leave_until_ns=at("10:00"))}
    assert who("line_leader", "L3", 0, found, gone).backup == "xu"


def test_a_role_of_the_documents_own_is_matched_however_it_is_written():
    found = plant(person("wu", role="Quality  Inspector"), person("xu", role="质检员"))
    assert who("quality_inspector", "L3", 0, found, {}).person == "wu"
    assert who("质检员", "L3", 0, found, {}).person == "xu"


def test_the_best_word_of_a_role_comes_first():
    found = plant(person("planner", role="planner"), person("manager", role="duty manager"))
    assert who("duty", "", 0, found, {}).person == "manager"


def test_a_role_that_nobody_fills_means_nobody():
    found = who("line_leader", "L3", 7, plant(person("wu", lines=["L9"])), {})
    assert (found.person, found.backup, found.rule, found.from_ns) == (None, None, "nobody", 7)


def test_a_calendar_that_never_works_again_brings_nobody():
    dates = {f"2026-{m:02}-{d:02}": [] for m, d in ((3, 2), (3, 3))}
    shop = {"shop": {"week": {"mon": ["08:00-16:00"]}, "days": dates}}
    found = plant(person("wu", calendar="shop"), calendars=shop)
    assert who("line_leader", "", at("10:00"), found, {}).from_ns == at("08:00", day=9)


def test_presence_holds_until_it_is_stale_and_leave_until_it_is_over():
    found = plant(person("wu", online=True, position={"x_m": 1, "y_m": 1}), routing={"stale_s": 60})
    said = Presence("wu", at("10:00"), online=False, leave_until_ns=at("12:00"))
    wu = found.people[0]

    def standing(clock: str):
        return Roster(found, at(clock), {"wu": said}).of(wu)

    assert (standing("10:01").online, standing("10:01").known) == (False, True)
    assert (standing("10:02").online, standing("10:02").known) == (True, False)
    assert standing("10:02").position == wu.position
    assert (standing("11:59").on_leave, standing("12:00").on_leave) == (True, False)
