"""Repeat faults on a virtual clock: which failures open a root-cause task, and which do not."""

from andon.events import MINUTE_NS
from tests.scenario.story import cleared, condition, stop, time_of


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
