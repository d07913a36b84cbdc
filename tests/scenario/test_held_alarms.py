"""What is held back before it becomes work, and what is told once it has stood long enough or come often enough."""

from collections.abc import Sequence

import pytest
from sqlalchemy import select

from andon.database import reading
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Finding, Number
from andon.rules.alarms import AlarmDefinition, Count, Fleeting
from tests.scenario.story import Story, cleared, condition, stop, time_of
from ticketing import holding, store
from ticketing.alarm_rows import Named, alarm_of, alarm_state
from ticketing.alarms import AlarmState
from ticketing.clockwork import turn
from ticketing.message_tables import outbox
from ticketing.tables import occurrence
from ticketing.ticket import FoldRule

T = time_of("10:00")
S = SECOND_NS


def defined(plant: Story, **said: object) -> Story:
    """The same plant, with one definition in its master alarm database."""
    one = AlarmDefinition(**{"code": "A1", "reason": "E1", **said})
    plant.plant = plant.plant.model_copy(update={"alarms": (one,)})
    return plant


def hears(plant: Story, *findings: Finding) -> None:
    """Each in a transaction of its own, a second after it happened."""
    for one in findings:
        plant.hears([one], one.origin.received_ns)


def rings(plant: Story, now_ns: int) -> None:
    """The clock has reached that moment."""
    while turn(plant.tickets, plant.plant, now_ns, turn_s=60):
        pass


def raised(at_ns: int, reason: str = "E1", **changes: object) -> Finding:
    return stop("M7", reason, at_ns, **changes)


def blink(at_ns: int, long_ns: int) -> tuple[Finding, Finding]:
    """It comes at that time and is gone after so long."""
    return raised(at_ns), cleared(raised(at_ns), at_ns + long_ns)


def alarms(plant: Story) -> Sequence[Named]:
    with reading(plant.engine) as conn:
        return [alarm_of(row) for row in conn.execute(select(alarm_state)).mappings()]


def rules(plant: Story) -> list[str]:
    """How everything heard was folded, in the order of its own times."""
    c = occurrence.c
    with reading(plant.engine) as conn:
        return list(conn.execute(select(c.rule).order_by(c.at_ns, c.finding)).scalars())


def balances(plant: Story) -> bool:
    with reading(plant.engine) as conn:
        done = store.metrics(conn)
    parts = (done.duplicates, done.opened, done.joined, done.reopened, done.late, done.cleared)
    return done.findings == sum(parts) + done.held + done.suppressed


class TestWithoutDefinitions:
    def test_an_alarm_is_told_at_once_and_has_its_state(self, plant: Story) -> None:
        plant.at("10:00").stops("M7", "E1").expects(tickets=1)
        (one,) = alarms(plant)
        assert one.state is AlarmState.UNACK
        assert (one.asset, one.component, one.condition, one.line) == ("M7", "E1", "stop", "L2")
        hears(plant, cleared(raised(T), T + 60 * S))
        assert alarms(plant)[0].state is AlarmState.RTNUN

    def test_episodes_of_one_detector_are_one_alarm(self, plant: Story) -> None:
        first, second = condition("M7", "zone_c", T), condition("M7", "zone_c", T + 20 * MINUTE_NS)
        hears(plant, first, cleared(first, T + MINUTE_NS), second)
        (one,) = alarms(plant)
        assert one.alarm.activations == 2
        assert one.alarm.active_since_ns == T + 20 * MINUTE_NS


class TestOnDelay:
    def test_what_is_gone_before_its_time_is_recorded_and_opens_nothing(self, plant: Story) -> None:
        defined(plant, on_delay_s=30)
        hears(plant, *blink(T, 20 * S))
        rings(plant, T + HOUR_NS)
        plant.at("12:00").expects(tickets=0)
        assert rules(plant) == [FoldRule.HELD_ON_DELAY, FoldRule.CLEARED]
        assert balances(plant)

    def test_what_stands_so_long_opens_with_its_own_time(self, plant: Story) -> None:
        defined(plant, on_delay_s=30)
        hears(plant, raised(T))
        rings(plant, T + 29 * S)
        plant.at("10:01").expects(tickets=0)
        rings(plant, T + 30 * S)
        plant.at("10:01").expects(tickets=1)
        assert plant.ticket(1).anchor_ns == T
        assert plant.ticket(1).opened_ns == T + 30 * S
        assert rules(plant) == [FoldRule.FIRST]
        assert balances(plant)

    def test_a_restart_between_changes_nothing(self, plant: Story, tmp_path) -> None:
        defined(plant, on_delay_s=30)
        hears(plant, raised(T))
        again = Story(plant.engine, type(plant.tickets)(plant.engine, photos=tmp_path), plant.plant)
        rings(again, T + HOUR_NS)
        rings(again, T + HOUR_NS)
        again.at("12:00").expects(tickets=1)

    def test_a_backlog_is_told_by_how_long_it_stood(self, plant: Story) -> None:
        defined(plant, on_delay_s=30)
        late = [one for at, long in ((T, 10 * S), (T + HOUR_NS, 40 * S)) for one in blink(at, long)]
        plant.hears(late, T + 3 * HOUR_NS)
        rings(plant, T + 3 * HOUR_NS)
        plant.at("14:00").expects(tickets=1)
        assert plant.ticket(1).anchor_ns == T + HOUR_NS
        assert not plant.ticket(1).alarm_active

    def test_critical_and_line_stops_are_never_held_back(self, plant: Story) -> None:
        defined(plant, on_delay_s=30)
        hears(plant, raised(T, text={"category": "line_stop"}))
        plant.at("10:00").expects(tickets=1)

    def test_a_held_failure_is_none_until_it_is_told(self, plant: Story) -> None:
        defined(plant, on_delay_s=30)
        hears(plant, *blink(T, 10 * S), *blink(T + HOUR_NS, 10 * S))
        rings(plant, T + 2 * HOUR_NS)
        plant.at("13:00").expects(tickets=0, problems=0)
        hears(plant, *blink(T + 3 * HOUR_NS, 60 * S), *blink(T + 4 * HOUR_NS, 60 * S))
        rings(plant, T + 5 * HOUR_NS)
        plant.at("15:30").expects(tickets=1, problems=1)


class TestOffDelay:
    def test_an_end_that_does_not_last_is_none(self, plant: Story) -> None:
        defined(plant, off_delay_s=60)
        hears(plant, raised(T), cleared(raised(T), T + 100 * S), raised(T + 130 * S))
        rings(plant, T + HOUR_NS)
        assert plant.ticket(1).alarm_active
        (one,) = alarms(plant)
        assert (one.alarm.activations, one.state) == (1, AlarmState.UNACK)
        assert rules(plant)[1] == FoldRule.HELD_OFF_DELAY
        assert balances(plant)

    def test_an_end_that_lasts_counts_from_when_it_was(self, plant: Story) -> None:
        defined(plant, off_delay_s=60)
        hears(plant, raised(T), cleared(raised(T), T + 100 * S))
        rings(plant, T + 159 * S)
        assert plant.ticket(1).alarm_active
        rings(plant, T + 160 * S)
        assert not plant.ticket(1).alarm_active
        assert alarms(plant)[0].alarm.spans()[-1].to_ns == T + 100 * S
        assert balances(plant)


class TestFleeting:
    def test_a_short_one_alone_is_recorded(self, plant: Story) -> None:
        defined(plant, fleeting=Fleeting())
        hears(plant, *blink(T, 5 * S))
        rings(plant, T + 65 * S)
        plant.at("10:02").expects(tickets=0)
        assert alarms(plant)[0].alarm.fleeting == 1
        assert balances(plant)

    def test_again_within_a_minute_it_is_told_with_both(self, plant: Story) -> None:
        defined(plant, fleeting=Fleeting())
        hears(plant, *blink(T, 5 * S), *blink(T + 60 * S, 5 * S))
        rings(plant, T + 200 * S)
        plant.at("10:04").expects(tickets=1)
        assert plant.ticket(1).occurrence_count == 2
        assert plant.ticket(1).anchor_ns == T or plant.ticket(1).anchor_ns == T + 60 * S
        assert balances(plant)

    def test_three_in_an_hour_are_told(self, plant: Story) -> None:
        defined(plant, fleeting=Fleeting())
        for minutes in (0, 20, 40):
            hears(plant, *blink(T + minutes * MINUTE_NS, 5 * S))
            rings(plant, T + (minutes + 5) * MINUTE_NS)
        plant.at("11:00").expects(tickets=1)
        assert plant.ticket(1).occurrence_count + plant.ticket(1).reopen_count >= 1
        assert FoldRule.HELD_FLEETING not in rules(plant)
        assert balances(plant)


class TestCount:
    def test_it_opens_at_the_third_within_ten_minutes(self, plant: Story) -> None:
        defined(plant, count=Count(n=3, within_s=600))
        hears(plant, *blink(T, 30 * S), *blink(T + 120 * S, 30 * S))
        rings(plant, T + 200 * S)
        plant.at("10:04").expects(tickets=0)
        hears(plant, *blink(T + 240 * S, 30 * S))
        rings(plant, T + 300 * S)
        plant.at("10:06").expects(tickets=1)
        assert plant.ticket(1).occurrence_count == 3
        assert balances(plant)

    @pytest.mark.parametrize("order", [(0, 1, 2, 3), (3, 2, 1, 0), (1, 3, 0, 2)])
    def test_the_order_of_arrival_makes_no_difference(self, plant: Story, order) -> None:
        defined(plant, count=Count(n=3, within_s=120))
        starts = (T, T + 60 * S, T + 120 * S, T + 180 * S)
        for place in order:
            for one in blink(starts[place], 10 * S):
                plant.hears([one], T + 240 * S)
        rings(plant, T + 300 * S)
        assert len(plant.partition()) == 1
        assert plant.ticket(1).occurrence_count == 4
        assert balances(plant)

    def test_one_that_stands_so_long_is_told(self, plant: Story) -> None:
        defined(plant, count=Count(n=3, within_s=600))
        hears(plant, raised(T))
        rings(plant, T + 600 * S)
        plant.at("10:20").expects(tickets=1)

    def test_with_an_open_ticket_each_joins(self, plant: Story) -> None:
        defined(plant, count=Count(n=2, within_s=60))
        hears(plant, *blink(T, S), *blink(T + 10 * S, S))
        rings(plant, T + 61 * S)
        hears(plant, raised(T + HOUR_NS))
        assert plant.ticket(1).last_event_ns == T + HOUR_NS


class TestDeadband:
    def near(self, at_ns: int, value: float) -> Finding:
        numbers = (Number("velocity", value, "mm/s", limit=10.0),)
        return condition("M7", "zone_c", at_ns, component="E1", numbers=numbers)

    def test_hovering_at_the_limit_is_no_transition(self, plant: Story) -> None:
        defined(plant, deadband_percent=5)
        first = self.near(T, 10.2)
        hears(plant, first, cleared(first, T + MINUTE_NS), self.near(T + 2 * MINUTE_NS, 10.4))
        (one,) = alarms(plant)
        assert (one.state, one.alarm.activations) == (AlarmState.RTNUN, 1)
        assert rules(plant)[-1] == FoldRule.HELD_DEADBAND
        hears(plant, self.near(T + 3 * MINUTE_NS, 10.6))
        assert alarms(plant)[0].state is AlarmState.UNACK
        assert balances(plant)

    def test_the_first_is_told_however_little_it_is_beyond(self, plant: Story) -> None:
        defined(plant, deadband_percent=5)
        hears(plant, self.near(T, 10.1))
        plant.at("10:00").expects(tickets=1)


class TestChattering:
    def chatters(self, plant: Story, n: int = 4) -> int:
        for place in range(n):
            hears(plant, *blink(T + place * 20 * S, 5 * S))
        return T + n * 20 * S

    def test_three_in_a_minute_are_one_ticket_that_counts(self, plant: Story) -> None:
        self.chatters(plant)
        plant.at("10:02").expects(tickets=1)
        (one,) = alarms(plant)
        assert (one.alarm.chatters, one.alarm.chattering_since_ns) == (1, T + 40 * S)
        assert plant.ticket(1).occurrence_count == 4

    def test_of_a_chattering_alarm_people_hear_once(self, plant: Story) -> None:
        self.chatters(plant)
        told = []
        for minute in (2, 3, 4):
            plant.at(f"10:0{minute}").repairs(1)
            hears(plant, *blink(T + minute * MINUTE_NS + 20 * S, 5 * S))
            told.append(plant.ticket(1).reopen_count)
        assert told == [1, 2, 3]
        assert kinds(plant).count("ticket.reopened") == 1

    def test_when_it_has_calmed_they_hear_again(self, plant: Story) -> None:
        self.chatters(plant)
        for at in ("10:02", "10:40"):
            plant.at(at).repairs(1)
            hears(plant, *blink(time_of(at) + 20 * S, 5 * S))
        assert kinds(plant).count("ticket.reopened") == 2


def kinds(plant: Story) -> list[str]:
    with reading(plant.engine) as conn:
        return list(conn.execute(select(outbox.c.kind)).scalars())


def test_what_is_held_can_be_listed(plant: Story) -> None:
    defined(plant, on_delay_s=30)
    hears(plant, raised(T))
    with reading(plant.engine) as conn:
        (one,) = holding.held(conn)
        assert [one] == list(holding.standing(conn, [one]))
    assert one.fold.numbers == {"delay_s": 30.0}
