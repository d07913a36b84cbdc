"""What is decided in the inbox can be taken back for ten seconds, and what is put off comes back by itself."""

import pytest
from sqlalchemy import select

from tests.scenario.story import Story, time_of
from ticketing import clockwork, store, triage
from ticketing.clocks import ClockReading, readings
from ticketing.errors import DeedRefused, NoEdge, StaleVersion, StepRefused
from ticketing.message_tables import outbox
from ticketing.states import Step
from ticketing.ticket import Closure, TicketState
from ticketing.triage import Decision

ASSIGN = Decision(Step.ASSIGN, {"person": "zhang", "backup": "li", "reason": "knows the press"})
NO_FAULT = Decision(Step.FALSE_ALARM, {"reason": "the sensor cable hung loose", "outcome": "false_alarm"})


def decides(plant: Story, what: Decision, clock: str = "10:01", number: int = 1) -> triage.Away:
    by = {"actor": "chen", "now_ns": time_of(clock), "expected_version": plant.ticket(number).version}
    return triage.decide(plant.tickets, number, what, plant.plant, **by)


def snoozes(plant: Story, until: str, clock: str = "10:01") -> triage.Away:
    by = {"actor": "chen", "now_ns": time_of(clock), "expected_version": plant.ticket(1).version}
    return triage.snooze(plant.tickets, 1, until_ns=time_of(until), reason="shift change", **by)


def turns(plant: Story, clock: str) -> None:
    while clockwork.turn(plant.tickets, plant.plant, time_of(clock), turn_s=60):
        pass


def away(plant: Story) -> set[int]:
    with plant.tickets.looking() as conn:
        return set(triage.away(conn))


def actions(plant: Story, number: int = 1) -> list[str]:
    with plant.tickets.looking() as conn:
        return [event.action for event in store.ticket(conn, number).events]


@pytest.fixture
def stopped(plant: Story) -> Story:
    """A press has stopped at ten, its ticket waits for a planner."""
    plant.at("10:00").stops("M7", "E1")
    return plant


def messages(plant: Story) -> set[str]:
    with plant.tickets.looking() as conn:
        return set(conn.execute(select(outbox.c.kind)).scalars())


def test_an_assignment_is_made_after_ten_seconds_and_in_the_planners_name(stopped: Story) -> None:
    decides(stopped, ASSIGN)
    assert away(stopped) == {1}
    turns(stopped, "10:01:09")
    assert stopped.ticket(1).state is TicketState.PENDING_DISPATCH
    assert "ticket.assign" not in messages(stopped)
    turns(stopped, "10:01:10")
    detail = stopped.detail(1)
    assert (detail.ticket.state, detail.ticket.assignee) == (TicketState.ASSIGNED, "zhang")
    assert [(event.action, event.actor) for event in detail.events][-1] == ("assign", "chen")
    assert "ticket.assign" in messages(stopped)
    assert away(stopped) == set()


def test_what_is_taken_back_leaves_no_trace_and_can_be_decided_anew(stopped: Story) -> None:
    before = actions(stopped), messages(stopped)
    decides(stopped, NO_FAULT)
    triage.take_back(stopped.tickets, 1, actor="chen", now_ns=time_of("10:01:09"))
    turns(stopped, "10:02")
    assert (actions(stopped), messages(stopped)) == before
    decides(stopped, ASSIGN, "10:03")
    turns(stopped, "10:04")
    assert stopped.ticket(1).assignee == "zhang"


def test_what_has_been_done_cannot_be_taken_back(stopped: Story) -> None:
    decides(stopped, NO_FAULT)
    turns(stopped, "10:02")
    assert stopped.ticket(1).closure is Closure.FALSE_ALARM
    with pytest.raises(DeedRefused) as refused:
        triage.take_back(stopped.tickets, 1, actor="chen", now_ns=time_of("10:02"))
    assert refused.value.code == "too_late"


def test_the_last_of_two_decisions_counts(stopped: Story) -> None:
    decides(stopped, ASSIGN, "10:01")
    decides(stopped, NO_FAULT, "10:01:05")
    turns(stopped, "10:02")
    assert stopped.ticket(1).closure is Closure.FALSE_ALARM
    assert "assign" not in actions(stopped)


def test_a_decision_is_refused_at_once_if_anything_is_missing(stopped: Story) -> None:
    with pytest.raises(StepRefused):
        decides(stopped, Decision(Step.ASSIGN, {"person": "zhang", "backup": "zhang", "reason": "x"}))
    by = {"actor": "chen", "now_ns": time_of("10:01"), "expected_version": 7}
    with pytest.raises(StaleVersion):
        triage.decide(stopped.tickets, 1, ASSIGN, stopped.plant, **by)
    assert away(stopped) == set()


def test_what_became_impossible_meanwhile_is_said_and_the_ticket_is_back(stopped: Story) -> None:
    decides(stopped, NO_FAULT)
    now = {"actor": "li", "now_ns": time_of("10:01:04"), "expected_version": 1}
    stopped.tickets.assign(1, person="wang", backup="li", plant=stopped.plant, reason="electrics", **now)
    turns(stopped, "10:02")
    assert stopped.ticket(1).state is TicketState.ASSIGNED
    assert actions(stopped)[-1] == "not_carried_out"


def test_a_merge_is_carried_out_and_the_time_to_the_decision_is_counted(stopped: Story) -> None:
    stopped.at("10:00:30").stops("M8", "E2")
    decides(stopped, Decision(Step.DUPLICATE, {"master": 1, "reason": "the same cause"}), "10:02", number=2)
    turns(stopped, "10:03")
    assert stopped.ticket(2).duplicate_of == 1
    with stopped.tickets.looking() as conn:
        counted = store.metrics(conn)
    assert counted.triaged == 1
    assert 60 <= counted.triage_s <= 120  # from its opening at half past ten minutes to the decision at 10:02


def test_a_ticket_that_is_put_off_comes_back_and_its_clocks_run_on(stopped: Story) -> None:
    turns(stopped, "10:00:30")
    snoozes(stopped, "10:31")
    assert away(stopped) == {1}
    turns(stopped, "10:30:59")
    assert away(stopped) == {1}
    turns(stopped, "10:31")
    assert away(stopped) == set()
    assert [one for one in actions(stopped) if one in {"snoozed", "woken"}] == ["snoozed", "woken"]
    assert {one.kind for one in clocks(stopped) if one.ended_ns is None} >= {"response", "resolution"}


def clocks(plant: Story) -> list[ClockReading]:
    detail = plant.detail(1)
    return list(readings(detail.ticket, detail.events, plant.plant, time_of("10:32")))


def test_what_becomes_more_urgent_or_moves_on_is_seen_again_at_once(stopped: Story) -> None:
    snoozes(stopped, "11:00")
    stopped.at("10:05").stops("M7", "E1")
    assert away(stopped) == {1}
    stopped.at("10:06").stops("M7", "E1", severity=950)
    assert stopped.ticket(1).priority == "high"
    assert away(stopped) == set()


def test_a_ticket_that_is_put_off_is_brought_back_by_hand(stopped: Story) -> None:
    snoozes(stopped, "11:00")
    triage.take_back(stopped.tickets, 1, actor="li", now_ns=time_of("10:02"))
    assert away(stopped) == set()
    turns(stopped, "11:01")
    assert actions(stopped).count("woken") == 1


def test_only_what_waits_can_be_put_off_and_not_for_ever(stopped: Story) -> None:
    for until in ("10:01", "+9 Mon 10:00"):
        with pytest.raises(StepRefused):
            snoozes(stopped, until)
    decides(stopped, ASSIGN)
    turns(stopped, "10:02")
    with pytest.raises(NoEdge):
        snoozes(stopped, "11:00", "10:03")
