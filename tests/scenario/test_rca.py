"""Repeat faults on a virtual clock: which failures open a root-cause task, and which do not."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from andon.database import reading
from andon.events import MINUTE_NS, Origin
from andon.rules.repeats import Repeats
from tests.scenario.story import Story, cleared, condition, stop, time_of
from ticketing import store
from ticketing.recoding import recode
from ticketing.ticket import Outcome


class TestRepeats:
    def test_stopped_run_20_minutes_and_stopped_again_with_the_ticket_open_is_an_rca(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:05").runs("M7")
        plant.at("10:25").stops("M7", "E1").expects(tickets=1, problems=1)
        (problem,) = plant.problems()
        assert (problem.number, problem.asset, problem.state) == ("RCA-1", "M7", "open")
        assert [(link.ticket, link.counted_from, link.same_fault) for link in problem.links] == [
            (1, "first", True),
            (1, "activation", True),
        ]
        assert problem.links[1].interval_ns == 25 * MINUTE_NS
        assert [e.action for e in plant.detail(1).events][-1] == "problem_opened"
        assert plant.detail(1).problems == (problem,)

    def test_a_stop_that_stands_for_3_hours_is_none(self, plant):
        for clock in ("10:00", "10:40", "11:20", "12:00", "13:00"):
            plant.at(clock).stops("M7", "E1")
        plant.at("13:00").expects(tickets=1, problems=0)

    def test_an_open_ticket_does_not_hide_that_the_machine_stopped_five_times_in_two_days(self, plant):
        for clock in ("Mon 8:00", "Mon 14:00", "Mon 20:00", "Tue 6:00", "Tue 12:00"):
            plant.at(clock).stops("M7", "E1")
            plant.at(clock[:-2] + "30").runs("M7")
        plant.at("Tue 13:00").expects(tickets=1, problems=1)
        assert len(plant.problems()[0].links) == 5

    def test_72_hours_after_the_repair_it_is_a_repeat(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").runs("M7")
        plant.at("Mon 12:00").repairs(1).signs(1)
        plant.at("Thu 12:00").stops("M7", "E9").expects(tickets=2, problems=1)

    def test_one_second_more_than_72_hours_is_no_repeat(self, plant):
        plant.at("Mon 10:00").stops("M8", "E1")
        plant.at("Mon 11:00").runs("M8")
        plant.at("Mon 12:00").repairs(1).signs(1)
        plant.at("Thu 12:00:01").stops("M8", "E9").expects(tickets=2, problems=0)

    def test_a_repair_of_80_hours_that_held_for_one_is_a_repeat(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 10:30").runs("M7")
        plant.at("Thu 18:00").repairs(1).signs(1)
        plant.at("Thu 19:00").stops("M7", "E1").expects(tickets=2, problems=1)
        assert plant.problems()[0].links[1].counted_from == "resolved"

    def test_a_source_that_never_says_over_does_not_hide_the_failure_after_a_repair(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 12:00").repairs(1).signs(1)
        plant.at("Tue 10:00").stops("M7", "E1").expects(tickets=2, problems=1)

    def test_a_different_fault_of_the_same_machine_counts_and_is_marked(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").runs("M7").repairs(1).signs(1)
        plant.at("Tue 10:00").stops("M7", "E2").expects(tickets=2, problems=1)
        assert not plant.problems()[0].links[1].same_fault

    def test_further_failures_join_the_open_rca_and_two_at_once_make_one(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").runs("M7")
        plant.at("Tue 10:00").stops("M7", "E1").stops("M7", "E2").expects(problems=1)
        plant.at("Tue 11:00").runs("M7")
        plant.at("Wed 10:00").stops("M7", "E1").expects(problems=1)
        assert len(plant.problems()[0].links) == 3

    def test_a_false_alarm_does_not_count_and_an_rca_that_rests_on_it_is_flagged(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").runs("M7")
        plant.at("Tue 10:00").stops("M7", "E2").expects(problems=1)
        false = {"reason": "sensor", "approver": "chen", "plant": plant.plant, "actor": "chen"}
        plant.tickets.false_alarm(1, now_ns=time_of("Tue 11:00"), expected_version=1, **false)
        assert plant.problems()[0].review == "false_alarm"
        plant.at("Mon 10:00").stops("M8", "E1")
        plant.tickets.false_alarm(3, now_ns=time_of("Mon 11:00"), expected_version=1, **false)
        plant.at("Tue 10:00").stops("M8", "E2").expects(problems=1)

    def test_a_silent_sensor_is_no_failure_of_the_machine(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").runs("M7")
        silent = condition("M7", "silent_sensor", time_of("Tue 10:00"), family="data_quality")
        plant.at("Tue 10:00").says(silent).expects(tickets=2, problems=0)

    def test_under_a_standing_bearing_alarm_the_second_stop_is_a_repeat(self, plant):
        plant.at("Mon 8:00").shows("M7", "zone_c")
        first = stop("M7", "E1", time_of("Mon 10:00"))
        plant.at("Mon 10:00").says(first).says(cleared(first, time_of("Mon 10:20"))).expects(problems=0)
        plant.at("Mon 14:00").stops("M7", "E1").expects(tickets=1, problems=1)

    def test_a_clear_that_comes_late_still_shows_that_the_machine_had_run(self, plant):
        first = stop("M7", "E1", time_of("10:00"))
        plant.at("10:00").says(first)
        plant.at("10:18").stops("M7", "E1").expects(problems=0)
        plant.at("10:10").says(cleared(first, time_of("10:10")), arrives="10:19").expects(
            tickets=1, problems=1
        )


def with_repeats(plant, **rules: object):
    """The same plant with other rules of repeats."""
    plant.plant = plant.plant.model_copy(update={"repeats": Repeats(**rules)})
    return plant


def fails_twice(plant, first: str, second: str, asset: str = "M7", other: str = "") -> None:
    """It stops for a reason, is repaired and signed, and stops for a reason a day later."""
    plant.at("Mon 10:00").stops(asset, first)
    plant.at("Mon 11:00").runs(asset).repairs(1).signs(1)
    plant.at("Tue 10:00").stops(other or asset, second)


class TestScope:
    def test_another_component_of_the_machine_is_no_repeat_where_components_count(self, plant):
        fails_twice(with_repeats(plant, scope="asset_component"), "E1", "E2")
        plant.at("Tue 11:00").expects(tickets=2, problems=0)
        plant.at("Tue 11:00").runs("M7")
        plant.at("Tue 12:00").stops("M7", "E1").expects(problems=1)
        (problem,) = plant.problems()
        assert (problem.scope, problem.asset) == ("M7/component/E1", "M7")
        plant.at("Tue 12:10").runs("M7")
        plant.at("Tue 14:00").stops("M7", "E2").expects(problems=2)

    def test_the_same_fault_repeats_where_faults_count_and_another_does_not(self, tmp_path):
        story = with_repeats(Story.begins(tmp_path), scope="asset_fault")
        story.at("Mon 10:00").stops("M7", "E1")
        story.at("Mon 11:00").runs("M7").repairs(1).signs(1)
        story.at("Tue 10:00").shows("M7", "zone_d").expects(problems=0)
        story.at("Tue 10:00").repairs(2).signs(2)
        story.at("Tue 12:00").stops("M7", "E9").expects(problems=1)
        assert story.problems()[0].scope == "M7/fault/line_stop"

    def test_a_part_counts_for_the_machine_it_stands_below_only_where_parts_are_rolled_up(self, tmp_path):
        for n, rolled in enumerate((False, True)):
            (folder := tmp_path / str(n)).mkdir()
            story = with_repeats(Story.begins(folder), roll_up=rolled)
            press = story.plant.asset("M7")
            pump = press.model_copy(update={"id": "M7-pump", "path": f"{press.path}/pump", "serial": ""})
            story.plant = story.plant.model_copy(update={"assets": (*story.plant.assets, pump)})
            fails_twice(story, "E1", "P1", other="M7-pump")
            assert [one.scope for one in story.problems()] == (["M7"] if rolled else [])

    @pytest.mark.parametrize(("hours", "problems"), [(22.9, 0), (23, 1)])
    def test_the_time_is_the_plants_to_say_and_inclusive(self, tmp_path, hours, problems):
        story = with_repeats(Story.begins(tmp_path), within_h=hours)
        fails_twice(story, "E1", "E1")
        story.at("Tue 11:00").expects(problems=problems)


class TestWhatCounts:
    def test_a_refused_signature_is_no_failure(self, tmp_path):
        story = Story.begins(tmp_path)
        story.at("Mon 10:00").stops("M7", "E1")
        story.at("Mon 11:00").runs("M7").repairs(1)
        story.tickets.reject(
            1,
            reason="it leaks",
            evidence=["photo"],
            actor="chen",
            now_ns=time_of("Mon 12:00"),
            expected_version=story.ticket(1).version,
        )
        story.at("Mon 13:00").expects(tickets=1, problems=0)

    @pytest.mark.parametrize("outcome", [Outcome.PLANNED, None])
    def test_planned_work_and_what_needed_nothing_are_no_failure(self, tmp_path, outcome):
        story = Story.begins(tmp_path)
        story.at("Mon 10:00").stops("M7", "E1")
        story.at("Mon 10:30").runs("M7")
        story.tickets.cancel(
            1,
            reason="preventive maintenance",
            approver="chen",
            outcome=outcome,
            plant=story.plant,
            actor="chen",
            now_ns=time_of("Mon 11:00"),
            expected_version=story.ticket(1).version,
        )
        story.at("Tue 10:00").stops("M7", "E1").expects(tickets=2, problems=0)

    def test_what_a_simulated_source_says_is_no_failure(self, tmp_path):
        story = with_repeats(Story.begins(tmp_path), ignored_sources=("rehearsal",))
        story.at("Mon 10:00").stops("M7", "E1", origin=Origin("rehearsal", 1, 0))
        story.at("Mon 10:30").runs("M7")
        story.at("Mon 14:00").stops("M7", "E1").expects(problems=0)
        story.at("Mon 14:30").runs("M7")
        story.at("Mon 18:00").stops("M7", "E1").expects(problems=1)

    def test_a_machine_that_was_replaced_has_not_failed_before_one_that_was_renamed_or_moved_has(
        self, tmp_path
    ):
        for n, (change, problems) in enumerate(
            (({"serial": "SN-NEW"}, 0), ({"name": "Press", "path": "acme/north/forming/L9/c9"}, 1))
        ):
            (folder := tmp_path / str(n)).mkdir()
            story = Story.begins(folder)
            story.at("Mon 10:00").stops("M7", "E1")
            story.at("Mon 11:00").runs("M7").repairs(1).signs(1)
            machines = [
                one.model_copy(update=change) if one.id == "M7" else one for one in story.plant.assets
            ]
            story.plant = story.plant.model_copy(update={"assets": tuple(machines)})
            story.at("Tue 10:00").stops("M7", "E1").expects(problems=problems)
            with reading(story.engine) as conn:
                assert store.asset_history(conn, "M7").failures == 2

    def test_a_root_cause_that_says_nothing_was_wrong_takes_the_failure_away_and_flags_its_rca(self, plant):
        fails_twice(plant, "E1", "E1")
        plant.at("Tue 11:00").expects(problems=1)
        recode(
            plant.tickets,
            1,
            cause="6.2",
            reason="the sensor was wet",
            plant=plant.plant,
            actor="chen",
            now_ns=time_of("Tue 12:00"),
            expected_version=plant.ticket(1).version,
        )
        (problem,) = plant.problems()
        assert (problem.review, len(problem.links)) == ("false_alarm", 2)
        assert plant.ticket(1).outcome == "false_alarm"

    @pytest.mark.parametrize("signed", [True, False])
    def test_a_repair_that_found_a_false_alarm_is_repeated_by_nothing(self, tmp_path, signed):
        story = Story.begins(tmp_path)
        story.at("Mon 10:00").stops("M7", "E1")
        repaired = story.at("Mon 11:00").runs("M7").repairs(1, cause="6.2")
        if signed:
            repaired.signs(1)
        story.at("Tue 10:00").stops("M7", "E2").expects(tickets=2, problems=0)


def test_two_failures_at_once_in_two_transactions_open_one_rca(plant):
    plant.at("Mon 10:00").stops("M7", "E1")
    plant.at("Mon 11:00").runs("M7").repairs(1).signs(1)
    at_ns, ready = time_of("Tue 10:00"), threading.Barrier(2)

    def says(reason: str) -> None:
        ready.wait(60)
        plant.hears([stop("M7", reason, at_ns)], at_ns)

    with ThreadPoolExecutor(2) as both:
        for done in [both.submit(says, reason) for reason in ("E1", "E2")]:
            done.result(100)
    plant.at("Tue 11:00").expects(problems=1)
    assert len(plant.problems()[0].links) == 2
