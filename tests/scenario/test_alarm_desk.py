"""What people do to alarms: acknowledged, shelved, out of service; what is recorded meanwhile, and that it is on record."""

from collections.abc import Callable, Sequence

import pytest
from sqlalchemy import insert, select, text

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from andon.rules.alarms import AlarmDefinition
from andon.rules.suppression import Matcher
from tests.scenario.story import Story, cleared, stop, time_of
from ticketing import alarm_desk, store, suppressions
from ticketing.alarm_desk import Wanted
from ticketing.alarm_rows import Named, alarm_event
from ticketing.alarms import AlarmState, AlarmStep
from ticketing.clockwork import turn
from ticketing.errors import DeedRefused
from ticketing.suppression import SuppressionKind

T = time_of("10:00")
HOUR = HOUR_NS


def standing(plant: Story, at_ns: int = T, reason: str = "E1") -> str:
    """An alarm is raised; gives its id."""
    one = stop("M7", reason, at_ns)
    plant.hears([one], one.origin.received_ns)
    (found,) = [each.id for each in alarms(plant) if each.component == reason]
    return found


def over(plant: Story, raised_ns: int, at_ns: int) -> None:
    one = cleared(stop("M7", "E1", raised_ns), at_ns)
    plant.hears([one], one.origin.received_ns)


def alarms(plant: Story, now_ns: int = T, **wanted: object) -> Sequence[Named]:
    with reading(plant.engine) as conn:
        return alarm_desk.alarms(conn, Wanted(**wanted), now_ns=now_ns).alarms


def done(plant: Story, deed: Callable[..., Named], *about: object, at_ns: int = T, **by: str) -> Named:
    with plant.tickets.transaction(at_ns) as book:
        return deed(book, *about, **{"actor": "chen", **by})


def state(plant: Story) -> AlarmState:
    return alarms(plant)[0].state


def rings(plant: Story, now_ns: int) -> None:
    while turn(plant.tickets, plant.plant, now_ns, turn_s=60):
        pass


def balances(plant: Story) -> bool:
    with reading(plant.engine) as conn:
        now = store.metrics(conn)
    parts = (now.duplicates, now.opened, now.joined, now.reopened, now.late, now.cleared)
    return now.findings == sum(parts) + now.held + now.suppressed


def test_an_alarm_is_acknowledged_by_name_and_its_end_brings_it_to_rest(plant: Story) -> None:
    name = standing(plant)
    one = done(plant, alarm_desk.acknowledge, name, reason="on my way")
    assert (one.state, one.alarm.acked_by) == (AlarmState.ACKED, "chen")
    assert done(plant, alarm_desk.unacknowledge, name).state is AlarmState.UNACK
    done(plant, alarm_desk.acknowledge, name)
    over(plant, T, T + MINUTE_NS)
    assert state(plant) is AlarmState.NORM
    assert plant.ticket(1).is_open  # the end of an alarm closes no ticket
    with reading(plant.engine) as conn:
        detail = alarm_desk.alarm(conn, name)
    assert detail.ticket_number == "A-1"
    assert [(e.actor, e.step, e.to_state) for e in detail.events] == [
        ("chen", AlarmStep.ACKNOWLEDGE, AlarmState.ACKED),
        ("chen", AlarmStep.UNACKNOWLEDGE, AlarmState.UNACK),
        ("chen", AlarmStep.ACKNOWLEDGE, AlarmState.ACKED),
    ]


def test_a_step_that_the_state_does_not_allow_is_refused_and_leaves_nothing(plant: Story) -> None:
    name = standing(plant)
    done(plant, alarm_desk.acknowledge, name)
    with pytest.raises(DeedRefused, match="unacknowledge") as refused:
        done(plant, alarm_desk.acknowledge, name)
    assert refused.value.code == "no_alarm_step"
    with pytest.raises(DeedRefused) as unknown:
        done(plant, alarm_desk.acknowledge, "nowhere")
    assert unknown.value.code == "alarm_not_found"
    with reading(plant.engine) as conn:
        assert len(alarm_desk.alarm(conn, name).events) == 1


class TestOutOfService:
    def test_it_needs_a_reason(self, plant: Story) -> None:
        with pytest.raises(DeedRefused) as refused:
            done(plant, alarm_desk.remove_from_service, plant.plant, standing(plant))
        assert refused.value.code == "alarm_without_reason"

    def test_what_is_always_told_cannot_be_taken_out(self, plant: Story) -> None:
        always = AlarmDefinition(code="always", reason="E1", suppressible=False)
        plant.plant = plant.plant.model_copy(update={"alarms": (always,)})
        with pytest.raises(DeedRefused) as refused:
            done(plant, alarm_desk.remove_from_service, plant.plant, standing(plant), reason="noisy")
        assert refused.value.code == "alarm_not_suppressible"

    def test_what_stands_when_it_returns_is_told_with_its_own_time(self, plant: Story) -> None:
        name = standing(plant)
        over(plant, T, T + MINUTE_NS)
        plant.at("10:05").repairs(1)
        done(plant, alarm_desk.remove_from_service, plant.plant, name, reason="sensor away", at_ns=T + HOUR)
        assert state(plant) is AlarmState.OOSRV
        for hour in (2, 3):
            standing(plant, T + hour * HOUR)
            over(plant, T + hour * HOUR, T + hour * HOUR + MINUTE_NS)
        standing(plant, T + 4 * HOUR)
        assert plant.ticket(1).occurrence_count == 1
        assert balances(plant)
        done(plant, alarm_desk.return_to_service, plant.plant, name, at_ns=T + 5 * HOUR)
        assert state(plant) is AlarmState.UNACK
        assert (plant.ticket(1).reopen_count, plant.ticket(1).occurrence_count) == (1, 2)
        assert plant.ticket(1).last_event_ns == T + 4 * HOUR
        assert balances(plant)

    def test_what_is_over_by_then_stays_recorded(self, plant: Story) -> None:
        name = standing(plant)
        done(plant, alarm_desk.remove_from_service, plant.plant, name, reason="sensor away")
        standing(plant, T + HOUR)
        over(plant, T, T + 2 * HOUR)
        one = done(plant, alarm_desk.return_to_service, plant.plant, name, at_ns=T + 3 * HOUR)
        assert one.state is AlarmState.NORM
        assert plant.ticket(1).occurrence_count == 1
        assert balances(plant)


class TestShelved:
    def shelve(self, plant: Story, at_ns: int, hours: float = 1) -> None:
        with plant.tickets.transaction(at_ns) as book:
            suppressions.asked(
                book,
                plant.plant,
                kind=SuppressionKind.SHELVE,
                matcher=Matcher(asset="M7"),
                reason="new tool is run in",
                owner="chen",
                ends_ns=at_ns + round(hours * HOUR),
            )

    def test_its_state_says_so_until_the_shelf_ends(self, plant: Story) -> None:
        standing(plant)
        self.shelve(plant, T + MINUTE_NS)
        rings(plant, T + MINUTE_NS + SECOND_NS)
        assert state(plant) is AlarmState.SHLVD
        assert alarms(plant)[0].alarm.shelved_until_ns == T + MINUTE_NS + HOUR
        rings(plant, T + 2 * HOUR)
        rings(plant, T + 2 * HOUR + SECOND_NS)
        assert state(plant) is AlarmState.UNACK

    def test_one_that_is_raised_on_the_shelf_is_shelved_at_once(self, plant: Story) -> None:
        self.shelve(plant, T)
        standing(plant, T + MINUTE_NS)
        assert state(plant) is AlarmState.SHLVD
        plant.at("10:02").expects(tickets=0)
        rings(plant, T + HOUR)
        rings(plant, T + HOUR + SECOND_NS)
        plant.at("11:00").expects(tickets=1)
        assert state(plant) is AlarmState.UNACK
        assert plant.ticket(1).anchor_ns == T + MINUTE_NS
        assert balances(plant)

    def test_of_two_shelves_the_longer_one_counts(self, plant: Story) -> None:
        standing(plant)
        self.shelve(plant, T + MINUTE_NS, hours=1)
        self.shelve(plant, T + 2 * MINUTE_NS, hours=3)
        for now_ns in (T + 2 * HOUR, T + 2 * HOUR + SECOND_NS):
            rings(plant, now_ns)
        assert state(plant) is AlarmState.SHLVD
        for now_ns in (T + 4 * HOUR, T + 4 * HOUR + SECOND_NS):
            rings(plant, now_ns)
        assert state(plant) is AlarmState.UNACK


def test_lists_are_filtered_and_counted(plant: Story) -> None:
    name = standing(plant)
    standing(plant, T + MINUTE_NS, reason="E2")
    done(plant, alarm_desk.acknowledge, name)
    assert [one.component for one in alarms(plant, states=(AlarmState.ACKED,))] == ["E1"]
    assert alarms(plant, asset="M8") == ()
    assert len(alarms(plant, line="L2")) == 2
    assert alarms(plant, T + 24 * HOUR, stale=True) == ()
    assert [one.component for one in alarms(plant, T + 24 * HOUR + SECOND_NS, stale=True)] == ["E1"]
    with reading(plant.engine) as conn:
        page = alarm_desk.alarms(conn, now_ns=T, limit=1, offset=1)
    assert (page.total, page.counts[AlarmState.ACKED], page.counts[AlarmState.UNACK]) == (2, 1, 1)
    assert len(page.alarms) == 1


def test_bad_actors_are_the_worst_of_each_kind(plant: Story) -> None:
    for n in range(3):
        standing(plant, T + n * 15 * SECOND_NS)
        over(plant, T + n * 15 * SECOND_NS, T + n * 15 * SECOND_NS + 5 * SECOND_NS)
    standing(plant, T, reason="E2")
    with reading(plant.engine) as conn:
        found = alarm_desk.bad_actors(conn, T + 25 * HOUR)
    assert [one.component for one in found.chattering] == ["E1"]
    assert [one.component for one in found.stale] == ["E2"]
    assert found.total == {"chattering": 1, "fleeting": 0, "stale": 1}
    assert [one.component for one in alarms(plant, T + 2 * MINUTE_NS, chattering=True)] == ["E1"]


def test_the_record_only_grows_and_shows_what_was_tampered_with(plant: Story) -> None:
    name = standing(plant)
    for deed in (alarm_desk.acknowledge, alarm_desk.unacknowledge):
        done(plant, deed, name)
    with reading(plant.engine) as conn:
        assert alarm_desk.verify(conn) == []
        line = dict(conn.execute(select(alarm_event).where(alarm_event.c.seq == 2)).mappings().one())
    with pytest.raises(Exception, match="append-only"), writing(plant.engine) as conn:
        conn.execute(text("UPDATE alarm_event SET actor = 'nobody'"))
    with writing(plant.engine) as conn:  # a line is put in behind the last one
        conn.execute(insert(alarm_event).values({**line, "seq": 3, "actor": "nobody"}))
    with reading(plant.engine) as conn:
        assert alarm_desk.verify(conn) == [(name, 3)]
