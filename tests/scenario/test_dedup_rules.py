"""Keys by rules that a planner sets, changed while tickets are open, and tried on history before that."""

from dataclasses import replace
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import select

from andon.database import reading
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family
from andon.rules.dedup import Dedup, KeyRule
from tests.scenario.story import PLANT, Story, cleared, stop, time_of
from ticketing import clockwork, key_versions, rehearsal
from ticketing.tables import dedup_key, master
from ticketing.ticket import Clock, FoldRule, TicketState

PENDING, ASSIGNED, IN_PROGRESS, RESOLVED, CLOSED = TicketState
BY_CATEGORY = Dedup(keys=(KeyRule(family=Family.STOP, fields=("text.category",)),))
DAY_NS = 24 * HOUR_NS


def ruled(plant: Story, **rules: object) -> Story:
    """The story under other rules from here on."""
    plant.plant = plant.plant.model_copy(update={"dedup": Dedup(**rules)})
    return plant


def versions_of_keys(plant: Story) -> list[int]:
    with reading(plant.engine) as conn:
        wanted = select(dedup_key.c.rule_version).join(master, master.c.key == dedup_key.c.key)
        return list(conn.execute(wanted.order_by(master.c.ticket)).scalars())


class TestExplicitKeys:
    def test_an_events_own_id_joins_what_two_reasons_would_have_parted(self, plant):
        named = {"event_id": "so-4711", "message": "m", "category": "mechanical"}
        plant.at("10:00").stops("M7", "E1", text=named)
        plant.at("10:05").stops("M7", "E2", text=named | {"event_id": " ＳＯ-4711"}).expects(tickets=1)
        plant.at("10:06").stops("M8", "E1", text=named).expects(tickets=2)
        plant.at("10:07").stops("M7", "E1", text=named | {"event_id": " "}).expects(tickets=3)

    def test_two_tenants_have_a_ticket_each(self, plant):
        (one,) = (asset for asset in PLANT.assets if asset.id == "M7")
        other = one.model_copy(update={"path": one.path.replace("acme", "zenith")})
        plant.at("10:00").stops("M7", "E1")
        plant.plant = PLANT.model_copy(update={"assets": (other,)})
        plant.at("10:01").stops("M7", "E1").expects(tickets=2)


def test_a_consequence_comes_back_to_its_cause_after_the_window_where_windows_alone_count(plant):
    ruled(plant, mode="window_only").at("10:00").shows("M7", "zone_d").stops("M7", "E1").expects(tickets=1)
    plant.at("10:20").stops("M7", "E1").expects(tickets=1)
    assert plant.ticket(1).occurrence_count == 3


class TestChangedRules:
    def test_a_cause_that_has_a_ticket_stays_on_it_and_a_new_one_goes_by_the_new_rule(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.plant = PLANT.model_copy(update={"dedup": BY_CATEGORY})
        plant.at("10:05").stops("M7", "E1").stops("M7", "E2").expects(tickets=2)
        plant.at("10:06").stops("M7", "E3").expects(tickets=2)
        plant.at("12:00").stops("M7", "E1").expects(tickets=2)
        assert [plant.ticket(n).occurrence_count for n in (1, 2)] == [3, 2]
        assert versions_of_keys(plant) == [1, 2]

    def test_closed_and_the_window_over_it_gets_a_new_key_that_names_the_last_ticket(self, plant):
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:05").repairs(1).signs(1)
        plant.plant = PLANT.model_copy(update={"dedup": BY_CATEGORY})
        plant.at("10:14:59").stops("M7", "E1").expects(tickets=1, in_progress=1)
        plant.at("10:20").repairs(1).signs(1)
        plant.at("10:40").stops("M7", "E1").expects(tickets=2)
        assert plant.ticket(2).recurrence_of == 1
        assert versions_of_keys(plant) == [1, 2]

    def test_the_end_of_an_alarm_finds_the_key_that_it_was_raised_under(self, plant):
        word = stop("M7", "E1", time_of("10:00"))
        plant.at("10:00").says(word)
        plant.plant = PLANT.model_copy(update={"dedup": BY_CATEGORY})
        plant.at("11:00").says(cleared(word, time_of("11:00")))
        assert not plant.ticket(1).alarm_active

    def test_a_version_begins_when_the_document_says_something_else_and_no_sooner(self, plant):
        plant.at("10:00").stops("M7", "E1")
        ruled(plant, window_min=30).at("10:01").stops("M8", "E1").stops("M8", "E2")
        clockwork.turn(plant.tickets, ruled(plant, window_min=40).plant, time_of("11:00"))
        clockwork.turn(plant.tickets, plant.plant, time_of("11:01"))
        with reading(plant.engine) as conn:
            known = key_versions.versions(conn)
        assert [(one.rules.version, one.rules.told.window_min) for one in known] == [
            (1, 15),
            (2, 30),
            (3, 40),
        ]
        assert known[-1].since_ns == time_of("11:00")

    def test_a_wider_window_holds_for_new_keys(self, plant):
        ruled(plant, window_min=30).at("10:00").stops("M7", "E1")
        plant.at("10:01").repairs(1).signs(1)
        plant.at("10:29:59").stops("M7", "E1").expects(tickets=1)
        plant.at("10:29:59").repairs(1).signs(1)
        plant.at("10:30").stops("M7", "E1").expects(tickets=2)

    def test_where_only_the_window_counts_a_standing_alarm_opens_one_each_15_minutes(self, plant):
        ruled(plant, mode="window_only")
        for minute in range(0, 480, 10):
            plant.at(f"{8 + minute // 60}:{minute % 60:02}").stops("M7", "E1")
        plant.at("16:00").expects(tickets=24)
        assert plant.detail(2).occurrences[-1].fold.rule is FoldRule.WINDOW_OVER
        plant.at("16:00").repairs(3).signs(3)
        plant.at("16:01").says(stop("M7", "E1", plant.ticket(3).anchor_ns + SECOND_NS)).expects(tickets=24)

    def test_what_is_late_is_a_rule_too(self, plant):
        ruled(plant, lateness_h=48).at("Mon 10:00").stops("M7", "E1", arrives="Tue 22:00").expects(tickets=1)
        plant.at("Mon 10:00").stops("M7", "E2", arrives="Wed 10:01").expects(tickets=1)


class TestClocks:
    def test_a_source_whose_clock_steps_back_an_hour_keeps_its_one_ticket(self, plant):
        for minute in range(0, 60, 5):
            plant.at(f"10:{minute:02}").stops("M7", "E1")
        for minute in range(0, 60, 5):
            back = stop("M7", "E1", time_of(f"9:{minute:02}"), id=f"again/{minute}")
            plant.at(f"11:{minute:02}").says(back, arrives=f"11:{minute:02}")
        plant.at("12:00").expects(tickets=1)
        ticket = plant.ticket(1)
        assert (ticket.anchor_ns, ticket.first_event_ns) == (time_of("10:00"), time_of("9:00"))
        assert {o.clock for o in plant.detail(1).occurrences if o.event_ns < ticket.anchor_ns} == {
            Clock.UNCHECKED
        }

    def test_half_past_two_comes_twice_in_the_night_that_the_clocks_go_back(self, plant):
        """Berlin, 25 October 2026: the wall says 02:30 an hour apart; inside there is one time, and two tickets."""
        zone = ZoneInfo("Europe/Berlin")
        first, second = (datetime(2026, 10, 25, 2, 30, fold=fold, tzinfo=zone) for fold in (0, 1))
        at_ns = [int(moment.timestamp()) * SECOND_NS for moment in (first, second)]
        assert at_ns[1] - at_ns[0] == HOUR_NS
        assert first + timedelta(0) == second.replace(fold=0)
        plant.plant = PLANT.model_copy(update={"time_zone": "Europe/Berlin"})
        plant.at("10:00").says(stop("M7", "E1", at_ns[0]), arrives="")
        moment = replace(plant.at("10:00"), at_ns=at_ns[0] + 10 * MINUTE_NS)
        moment.repairs(1).signs(1)
        moment.says(stop("M7", "E1", at_ns[1])).expects(tickets=2)
        assert plant.ticket(2).recurrence_of == 1


class TestRehearsal:
    def told(self, plant: Story, **rules: object) -> rehearsal.Rehearsal:
        with reading(plant.engine) as conn:
            history = rehearsal.Told.of(conn, 0, time_of("Sun 0:00"))
        return rehearsal.rehearse(history, plant.plant, Dedup(**rules))

    @pytest.fixture
    def days(self, plant) -> Story:
        """Two reasons of one machine that come together, an alarm that comes back after its repair, and one that stands."""
        plant.at("Mon 8:00").stops("M7", "E1").stops("M7", "E2").stops("M8", "E1")
        plant.at("Mon 8:30").repairs(3).signs(3)
        plant.at("Mon 8:40").stops("M8", "E1").expects(tickets=4)
        plant.at("Mon 9:00").stops("M7", "E1").repairs(4).signs(4)
        plant.at("Mon 9:30").repairs(1).repairs(2)
        plant.at("Tue 9:00").signs(1).signs(2).stops("M7", "E1").expects(tickets=5)
        return plant

    def test_the_rules_in_force_give_the_tickets_that_there_are(self, days):
        found = self.told(days)
        assert found.as_stored
        assert (found.findings, found.tickets_before, found.tickets_after) == (6, 5, 5)
        assert found.merged == found.split == ()

    def test_other_key_fields_would_merge_and_say_which(self, days):
        found = self.told(days, keys=BY_CATEGORY.keys)
        assert (found.tickets_before, found.tickets_after) == (5, 4)
        ((one, other),) = found.merged
        assert (one.tickets, other.tickets, one.asset) == (("A-1",), ("A-2",), "M7")
        assert found.split == ()

    def test_a_wider_window_would_merge_what_came_back_after_its_repair(self, days):
        found = self.told(days, window_min=60)
        assert [[part.tickets for part in parts] for parts in found.merged] == [[("A-3",), ("A-4",)]]

    def test_the_window_alone_would_split_what_is_worked_on(self, days):
        found = self.told(days, mode="window_only")
        assert found.tickets_after == 6
        assert [[part.tickets for part in parts] for parts in found.split] == [[("A-1",), ("A-1",)]]

    def test_less_patience_would_leave_out_what_came_late(self, plant):
        plant.at("Mon 8:00").stops("M7", "E1", arrives="Mon 10:00").expects(tickets=1)
        found = self.told(plant, lateness_h=1)
        assert (found.late_before, found.late_after, found.tickets_after) == (0, 1, 0)

    def test_it_writes_nothing_and_tells_the_newest_where_there_is_too_much(self, days):
        before = days.page()
        self.told(days, mode="window_only")
        assert days.page() == before
        with reading(days.engine) as conn:
            told = rehearsal.Told.of(conn, 0, time_of("Sun 0:00"), most=2)
            assert key_versions.versions(conn)[-1].rules.version == 1
        assert told.left_out
        assert [one.at_ns for one in told.findings] == [time_of("Mon 9:00"), time_of("Tue 9:00")]
