"""Tickets on a virtual clock: one per cause, late and early words, reopening, and that nothing is lost."""

import numpy as np
import pytest
from sqlalchemy import func, select

from andon.database import reading, writing
from andon.events import HOUR_NS, SECOND_NS, Action
from tests.scenario.story import cleared, condition, stop, time_of
from ticketing import audit, store
from ticketing.errors import KeyTaken, StepRefused
from ticketing.tables import occurrence
from ticketing.ticket import Closure, FoldRule, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState


class TestOneTicketPerCause:
    def test_same_event_within_15_minutes_joins_the_master_ticket(self, plant):
        plant.at("10:00").stops("M7", "E1").expects(tickets=1)
        plant.at("10:14:59").stops("M7", "E1").expects(tickets=1)
        ticket = plant.ticket(1)
        assert (ticket.number, ticket.state, ticket.occurrence_count) == ("A-1", PENDING, 2)
        assert [o.fold.rule for o in plant.detail(1).occurrences] == [FoldRule.SAME_EVENT, FoldRule.FIRST]

    def test_an_alarm_that_stands_for_8_hours_and_repeats_every_10_minutes_has_one_ticket(self, plant):
        for minute in range(0, 480, 10):
            plant.at(f"{8 + minute // 60}:{minute % 60:02}").stops("M7", "E1")
        plant.at("16:00").expects(tickets=1, problems=0)
        assert plant.ticket(1).occurrence_count == 48

    def test_another_reason_or_another_machine_is_another_ticket(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2").stops("M8", "E1").expects(tickets=3)

    def test_the_same_message_twice_is_once(self, plant):
        word = stop("M7", "E1", time_of("10:00"))
        assert plant.hears([word, word], time_of("10:00"))["duplicates"] == 1
        assert plant.hears([word], time_of("11:00")) == {"findings": 1, "duplicates": 1}
        assert plant.ticket(1).occurrence_count == 1

    def test_case_and_blanks_of_a_reason_make_no_second_ticket(self, plant):
        plant.at("10:00").stops("M7", "e-217 ").stops("M7", "Ｅ-217").expects(tickets=1)

    def test_severity_rises_inside_the_window_headline_and_priority_follow_and_never_fall(self, plant):
        plant.at("10:00").shows("M7", "zone_c", severity=500)
        assert plant.ticket(1).priority == "medium"
        plant.at("10:05").shows("M7", "zone_d", severity=800)
        plant.at("10:06").shows("M7", "zone_c", severity=300).expects(tickets=1)
        ticket = plant.ticket(1)
        assert (ticket.priority, ticket.headline.condition, ticket.headline.severity) == (
            "high",
            "zone_d",
            800,
        )

    def test_zone_band_energy_outer_race_and_stop_within_10_minutes_are_one_ticket_and_no_rca(self, plant):
        plant.at("10:00").shows("M7", "zone_c")
        plant.at("10:03").shows("M7", "band_energy_rise")
        plant.at("10:04").shows("M7", "bearing_outer_race")
        plant.at("10:08").stops("M7", "E1").expects(tickets=1, problems=0)
        detail = plant.detail(1)
        assert detail.ticket.headline.condition == "bearing_outer_race"
        assert detail.occurrences[0].fold.rule is FoldRule.CONSEQUENCE
        assert len(detail.keys) == 2

    def test_a_stop_of_a_machine_with_an_open_bearing_ticket_is_its_consequence_days_later(self, plant):
        plant.at("Mon 10:00").shows("M7", "zone_c")
        plant.at("Wed 10:00").stops("M7", "E1").expects(tickets=1, problems=0)
        plant.at("Wed 10:00").stops("M8", "E1").expects(tickets=2)
        assert plant.detail(1).events[-1].reason == FoldRule.CONSEQUENCE
        assert plant.ticket(1).headline.condition == "zone_c"

    def test_the_stop_heard_first_gives_the_same_ticket(self, plant):
        plant.at("10:05").stops("M7", "E1").shows("M7", "zone_c").expects(tickets=1)
        assert plant.ticket(1).headline.condition == "zone_c"
        assert plant.detail(1).occurrences[0].fold.rule in {FoldRule.CAUSE, FoldRule.FIRST}

    def test_a_cascade_of_stops_and_then_its_cause_end_on_one_ticket(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:01").stops("M7", "E2").expects(tickets=2)
        plant.at("10:02").shows("M7", "bearing_inner_race")
        plant.at("10:03").stops("M7", "E2").expects(tickets=2, closed=1)
        merged = plant.ticket(2)
        assert (merged.closure, merged.duplicate_of, merged.occurrence_count) == (Closure.DUPLICATE, 1, 0)
        assert plant.ticket(1).occurrence_count == 4

    def test_a_silent_sensor_of_a_stopped_machine_is_work_of_its_own(self, plant):
        plant.at("10:00").shows("M7", "zone_c")
        silent = condition("M7", "silent_sensor", time_of("10:05"), component="P1", family="data_quality")
        plant.at("10:05").says(silent).expects(tickets=2)


class TestTime:
    def test_an_event_that_comes_late_lowers_the_first_time_and_never_the_anchor(self, plant):
        plant.at("10:10").stops("M7", "E1")
        plant.at("10:02").stops("M7", "E1", arrives="10:30").expects(tickets=1)
        ticket = plant.ticket(1)
        assert ticket.first_event_ns == time_of("10:02")
        assert ticket.anchor_ns == time_of("10:10")

    def test_an_event_later_than_a_day_is_listed_and_opens_nothing(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1", arrives="Tue 10:01").expects(tickets=0)
        with reading(plant.engine) as conn:
            assert [o.asset for o in store.late(conn)] == ["M7"]
            assert store.metrics(conn).late == 1
        plant.at("Mon 12:00").stops("M7", "E1", arrives="Tue 11:00").expects(tickets=1)

    def test_a_late_event_of_years_ago_does_no_harm(self, plant):
        plant.at("10:00").stops("M7", "E1")
        old = stop("M7", "E1", 1)
        plant.at("10:05").says(old).expects(tickets=1)
        assert plant.ticket(1).occurrence_count == 2

    def test_a_future_stamp_counts_with_the_time_of_receipt_and_both_are_kept(self, plant):
        ahead = stop("M7", "E1", time_of("Fri 10:00"))
        plant.at("Mon 10:00").says(ahead, arrives="Mon 10:00").expects(tickets=1)
        (kept,) = plant.detail(1).occurrences
        assert (kept.at_ns, kept.event_ns, kept.clock) == (
            time_of("Mon 10:00"),
            time_of("Fri 10:00"),
            "received",
        )

    def test_a_clear_that_comes_before_its_raise_leaves_no_active_alarm_and_one_ticket(self, plant):
        raised = stop("M7", "E1", time_of("10:00"))
        plant.at("10:02").says(cleared(raised, time_of("10:02"))).expects(tickets=0)
        plant.at("10:00").says(raised, arrives="10:03").expects(tickets=1)
        assert not plant.ticket(1).alarm_active
        assert len(plant.detail(1).occurrences) == 2

    def test_a_clear_never_closes_and_is_noted(self, plant):
        plant.at("10:00").stops("M7", "E1")
        assert plant.ticket(1).alarm_active
        plant.at("10:20").runs("M7").expects(tickets=1, pending_dispatch=1)
        assert not plant.ticket(1).alarm_active
        assert plant.detail(1).events[-1].action == "returned"


class TestReopening:
    def test_closed_at_minute_10_an_event_of_minute_12_reopens(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:10").repairs(1).signs(1).expects(closed=1)
        plant.at("10:12").stops("M7", "E1").expects(tickets=1, in_progress=1)
        ticket = plant.ticket(1)
        assert (ticket.reopen_count, ticket.signer, ticket.closed_ns, ticket.summary) == (1, None, None, "")

    def test_resolved_and_not_signed_a_new_failure_reopens_and_is_a_repeat(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 12:00").runs("M7").repairs(1)
        plant.at("Tue 9:00").stops("M7", "E1").expects(tickets=1, problems=1, in_progress=1)
        assert plant.ticket(1).assignee == "zhang"

    def test_a_condition_that_worsens_after_the_resolution_reopens_and_is_no_repeat(self, plant):
        plant.at("10:00").shows("M7", "zone_c")
        plant.at("12:00").repairs(1)
        worse = condition("M7", "zone_d", time_of("13:00"), severity=800, action=Action.UPDATE)
        plant.at("13:00").says(worse).expects(tickets=1, in_progress=1, problems=0)

    def test_an_event_from_before_the_resolution_joins_without_reopening(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("12:00").repairs(1)
        plant.at("11:00").stops("M7", "E1", arrives="13:00").expects(tickets=1, resolved=1)

    def test_after_closing_a_new_failure_opens_a_ticket_that_names_the_old_one(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 12:00").runs("M7").repairs(1).signs(1)
        plant.at("Fri 10:00").stops("M7", "E1").expects(tickets=2, problems=0)
        assert plant.ticket(2).recurrence_of == 1
        assert [t.id for t in plant.detail(1).recurrences] == [2]

    def test_a_reopened_ticket_needs_a_new_photo(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("11:00").repairs(1)
        plant.tickets.reject(
            1,
            reason="still leaks",
            evidence=("note",),
            actor="chen",
            now_ns=time_of("11:30"),
            expected_version=plant.ticket(1).version,
        )
        with pytest.raises(StepRefused) as refused:
            plant.tickets.resolve(
                1,
                summary="again",
                cause="3.4",
                same_kind=False,
                plant=plant.plant,
                actor="zhang",
                now_ns=time_of("12:00"),
                expected_version=plant.ticket(1).version,
            )
        assert [m.demand for m in refused.value.missing] == ["photo"]
        assert len(plant.detail(1).photos) == 1

    def test_a_refused_signature_is_no_repeat_failure(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("11:00").repairs(1)
        plant.tickets.reject(
            1, reason="x", evidence=("y",), actor="chen", now_ns=time_of("11:30"), expected_version=4
        )
        plant.at("12:00").stops("M7", "E1").expects(problems=0, in_progress=1)

    def test_a_cancelled_ticket_that_nobody_had_goes_back_to_dispatch(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.tickets.cancel(
            1,
            reason="test run",
            approver="chen",
            plant=plant.plant,
            actor="chen",
            now_ns=time_of("10:05"),
            expected_version=1,
        )
        plant.at("10:07").stops("M7", "E1").expects(tickets=1, pending_dispatch=1)

    def test_reopening_by_hand_never_gives_a_cause_two_open_tickets(self, plant):
        plant.at("Mon 10:00").stops("M7", "E1")
        plant.at("Mon 11:00").repairs(1).signs(1)
        plant.at("Mon 12:00").stops("M7", "E1").expects(tickets=2)
        again = {"reason": "wrong", "evidence": ("note",), "plant": plant.plant, "actor": "chen"}
        with pytest.raises(KeyTaken) as refused:
            plant.tickets.reopen(
                1, now_ns=time_of("Mon 13:00"), expected_version=plant.ticket(1).version, **again
            )
        assert refused.value.other == 2
        plant.at("Mon 13:00").repairs(2).signs(2)
        plant.tickets.reopen(
            1, now_ns=time_of("Mon 14:00"), expected_version=plant.ticket(1).version, **again
        )
        plant.at("Mon 15:00").stops("M7", "E1").expects(tickets=2, in_progress=1)


class TestNothingHalf:
    def test_a_crash_inside_the_transaction_leaves_nothing(self, plant):
        def crash_after_folding() -> None:
            with writing(plant.engine) as conn:
                plant.tickets.apply(conn, [stop("M7", "E1", time_of("10:00"))], plant.plant, 1)
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            crash_after_folding()
        plant.at("10:00").expects(tickets=0)
        with reading(plant.engine) as conn:
            assert conn.execute(select(func.count()).select_from(occurrence)).scalar_one() == 0
        plant.at("10:00").stops("M7", "E1").expects(tickets=1)
        assert plant.ticket(1).number == "A-1"

    def test_every_audit_chain_holds_at_the_end(self, plant):
        plant.at("10:00").stops("M7", "E1").stops("M7", "E2").shows("M8", "zone_c")
        plant.at("10:30").repairs(1).signs(1)
        plant.at("11:00").stops("M7", "E1")
        with reading(plant.engine) as conn:
            assert audit.verify(conn) == []

    def test_an_update_of_a_condition_whose_ticket_is_closed_is_not_silent(self, plant):
        plant.at("Mon 10:00").shows("M7", "zone_c")
        plant.at("Mon 12:00").repairs(1).signs(1)
        worse = condition("M7", "zone_d", time_of("Tue 10:00"), severity=800, action=Action.UPDATE)
        plant.at("Tue 10:00").says(worse).expects(tickets=2)
        assert plant.ticket(2).recurrence_of == 1

    def test_evidence_with_numbers_of_numpy_is_kept(self, plant):
        odd = {"trend": {"value": [np.float64(1.5), np.float32(2.5), np.int64(3), float("nan")]}}
        plant.at("10:00").shows("M7", "zone_c", evidence=odd)
        assert plant.detail(1).drawings["trend"].body == {"value": [1.5, 2.5, 3, None]}


def test_times_of_the_story_are_what_they_say():
    assert time_of("Tue 10:00") - time_of("Mon 9:00") == 25 * HOUR_NS
    assert time_of("10:00:00.5") - time_of("10:00") == SECOND_NS // 2
