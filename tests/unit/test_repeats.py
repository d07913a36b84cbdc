"""What is a failure, and which one is a repeat within 72 h: the rule alone."""

from dataclasses import replace

import pytest

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family
from andon.rules.repeats import Repeats
from ticketing.problem_deeds import due_after
from ticketing.repeats import (
    Activation,
    Begins,
    Belongs,
    Failure,
    FailureRule,
    failure_of,
    repeat_of,
)

T = 1_750_000_000 * SECOND_NS
STOP, BEARING = Family.STOP, Family.MACHINE_CONDITION


def active(
    name: str,
    from_ns: int,
    to_ns: int | None,
    *,
    family=STOP,
    failure: str = "",
    failure_ns: int | None = None,
) -> Activation:
    return Activation(
        finding=name,
        key=name,
        source="stop",
        asset="M7",
        family=family,
        ticket=1,
        at_ns=from_ns,
        last_ns=from_ns,
        clear_ns=to_ns,
        failure=failure or name,
        failure_ns=from_ns if failure_ns is None else failure_ns,
    )


class TestFailure:
    def test_the_first_activation_of_a_machine_begins_a_failure(self):
        assert failure_of(T, STOP, []) == Begins(FailureRule.NOTHING_STOOD)

    def test_stopped_run_again_and_stopped_after_20_minutes_is_a_second_failure(self):
        before = active("s1", T, T + 2 * MINUTE_NS)
        assert isinstance(failure_of(T + 22 * MINUTE_NS, STOP, [before]), Begins)

    @pytest.mark.parametrize("apart_ns", [15 * MINUTE_NS - 1, 0, -15 * MINUTE_NS + 1])
    def test_less_than_15_minutes_from_the_previous_activation_is_the_same_failure(self, apart_ns):
        before = active("s1", T, T + SECOND_NS)
        assert failure_of(T + apart_ns, STOP, [before]) == Belongs(FailureRule.WITHIN_15_MIN, "s1", T)

    def test_15_minutes_exactly_is_a_failure_of_its_own(self):
        assert isinstance(failure_of(T + 15 * MINUTE_NS, STOP, [active("s1", T, T + SECOND_NS)]), Begins)

    def test_a_chattering_alarm_is_one_failure_however_long_it_chatters(self):
        acts = []
        for n in range(40):
            at_ns = T + n * 10 * MINUTE_NS
            verdict = failure_of(at_ns, STOP, acts)
            assert isinstance(verdict, Begins if n == 0 else Belongs)
            acts.append(active(f"s{n}", at_ns, at_ns + MINUTE_NS, failure="s0", failure_ns=T))

    def test_without_a_run_in_between_it_is_the_same_failure(self):
        standing = active("s1", T, None)
        verdict = failure_of(T + 3 * HOUR_NS, STOP, [standing])
        assert verdict == Belongs(FailureRule.ACTIVE_TOGETHER, "s1", T)

    def test_detectors_that_speak_of_one_machine_together_are_one_failure(self):
        zone = active("z", T, None, family=BEARING)
        assert isinstance(failure_of(T + 40 * MINUTE_NS, BEARING, [zone]), Belongs)

    def test_the_first_stop_under_a_standing_bearing_alarm_is_its_consequence(self):
        zone = active("z", T, None, family=BEARING)
        verdict = failure_of(T + 5 * HOUR_NS, STOP, [zone])
        assert verdict == Belongs(FailureRule.ACTIVE_TOGETHER, "z", T)

    def test_a_standing_bearing_alarm_does_not_hide_that_the_machine_stops_again_and_again(self):
        zone = active("z", T, None, family=BEARING)
        first = active("s1", T + HOUR_NS, T + 2 * HOUR_NS, failure="z", failure_ns=T)
        verdict = failure_of(T + 5 * HOUR_NS, STOP, [zone, first])
        assert verdict == Begins(FailureRule.STOPPED_AGAIN)
        second = active("s2", T + 5 * HOUR_NS, None)
        assert isinstance(failure_of(T + 6 * HOUR_NS, STOP, [zone, first, second]), Belongs)

    def test_a_condition_that_comes_back_under_a_standing_alarm_is_the_same_failure(self):
        zone = active("z", T, None, family=BEARING)
        element = active("b", T + HOUR_NS, T + 2 * HOUR_NS, family=BEARING, failure="z", failure_ns=T)
        assert isinstance(failure_of(T + 5 * HOUR_NS, BEARING, [zone, element]), Belongs)

    def test_a_stop_that_is_heard_late_belongs_to_the_one_that_followed_it(self):
        later = active("s2", T, None)
        assert failure_of(T - 4 * MINUTE_NS, STOP, [later]) == Belongs(FailureRule.WITHIN_15_MIN, "s2", T)


class TestRepeat:
    before = Failure("s1", "k", 1, T)

    def test_72_hours_exactly_repeat_and_one_nanosecond_more_does_not(self):
        repeat = repeat_of(T + 72 * HOUR_NS, "k", [self.before])
        assert repeat.interval_ns == 72 * HOUR_NS
        assert repeat.counted_from == "activation"
        assert repeat_of(T + 72 * HOUR_NS + 1, "k", [self.before]) is None

    def test_a_repair_of_80_hours_that_held_for_one_is_a_repeat(self):
        repaired = replace(self.before, resolved_ns=T + 80 * HOUR_NS)
        repeat = repeat_of(T + 81 * HOUR_NS, "k", [repaired])
        assert (repeat.interval_ns, repeat.counted_from) == (HOUR_NS, "resolved")
        assert repeat_of(T + 152 * HOUR_NS, "k", [repaired]) is not None
        assert repeat_of(T + 152 * HOUR_NS + SECOND_NS, "k", [repaired]) is None

    def test_a_repair_later_than_the_failure_is_not_counted_from(self):
        repaired = replace(self.before, resolved_ns=T + 3 * HOUR_NS)
        repeat = repeat_of(T + 2 * HOUR_NS, "k", [repaired])
        assert (repeat.interval_ns, repeat.counted_from) == (2 * HOUR_NS, "activation")

    def test_an_older_failure_that_was_repaired_lately_counts_before_a_newer_one(self):
        old = Failure("s0", "k0", 1, T - 200 * HOUR_NS, resolved_ns=T - HOUR_NS)
        newer = Failure("s1", "k", 2, T - 100 * HOUR_NS)
        assert repeat_of(T, "k", [newer, old]).previous is old

    def test_a_different_fault_of_the_same_machine_repeats_and_is_marked(self):
        assert repeat_of(T + HOUR_NS, "k", [self.before]).same_fault
        assert not repeat_of(T + HOUR_NS, "other", [self.before]).same_fault

    def test_nothing_before_it_is_no_repeat(self):
        assert repeat_of(T, "k", []) is None
        assert repeat_of(T, "k", [self.before]) is None

    def test_the_sentence_has_its_numbers(self):
        assert repeat_of(T + 36 * HOUR_NS, "k", [self.before]).numbers == {
            "hours": 36.0,
            "within_hours": 72.0,
        }


def test_an_rca_is_due_in_a_week_on_the_whole_second():
    assert due_after(T + 1, Repeats()) == T + 7 * 24 * HOUR_NS
    assert due_after(T + 1, Repeats(due_d=0.5)) == T + 12 * HOUR_NS
