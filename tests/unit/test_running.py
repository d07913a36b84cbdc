"""When a machine runs, by its state and its stops."""

from andon.events import Declaration, Declared, Origin, PackMLState, StopAlarm
from detectors.running import Running
from detectors.votes import cast, count


def stop(at_ns: int, *, active: bool, reason: str = "E1") -> StopAlarm:
    state = PackMLState.STOPPED
    return StopAlarm("M1", at_ns, state, reason, 1, "", "", active, 500, Origin("mes", 0, 0))


def test_a_machine_that_says_nothing_runs() -> None:
    assert Running().runs_at(0, 10**12)


def test_only_execute_runs_and_only_when_it_has_settled() -> None:
    machine = Running()
    for state in PackMLState:
        machine.take_state(100, state)
        assert machine.runs_at(100, 0) is (state is PackMLState.EXECUTE)
    machine.take_state(200, 2)
    machine.take_state(300, 6)
    assert [machine.runs_at(t, 50) for t in (299, 349, 350)] == [False, False, True]


def test_the_first_word_of_a_running_machine_is_no_start() -> None:
    machine = Running()
    machine.take_state(100, 6)
    assert machine.runs_at(100, 50)


def test_execute_that_is_repeated_does_not_settle_again() -> None:
    machine = Running()
    machine.take_state(100, 2)
    for at_ns in range(200, 300, 10):
        machine.take_state(at_ns, 6)
    assert machine.runs_at(260, 50)


def test_a_late_state_changes_nothing() -> None:
    machine = Running()
    machine.take_state(100, 6)
    machine.take_state(90, 2)
    assert machine.runs_at(110, 0)


def test_a_standing_stop_masks_until_all_are_cleared_and_the_machine_has_settled() -> None:
    machine = Running()
    machine.take_stop(stop(100, active=True))
    machine.take_stop(stop(110, active=True, reason="E2"))
    assert machine.runs_at(99, 10)
    assert not machine.runs_at(105, 10)
    machine.take_stop(stop(150, active=False))
    assert not machine.runs_at(170, 10)
    machine.take_stop(stop(200, active=False, reason="E2"))
    assert [machine.runs_at(t, 10) for t in (205, 210)] == [False, True]


def test_a_clear_from_before_the_stop_does_not_end_it() -> None:
    machine = Running()
    machine.take_stop(stop(100, active=True))
    machine.take_stop(stop(50, active=False))
    assert not machine.runs_at(120, 0)


def test_a_change_into_execute_ends_a_stop_that_nobody_cleared() -> None:
    machine = Running()
    machine.take_stop(stop(100, active=True))
    machine.take_state(105, 2)
    machine.take_state(300, 6)
    assert machine.runs_at(310, 10)


def test_a_flood_of_stops_is_remembered_up_to_a_bound() -> None:
    machine = Running()
    for i in range(1000):
        machine.take_stop(stop(i, active=True, reason=f"E{i}"))
    assert len(machine.stops) <= 64


def test_votes_are_the_latest_answers_only() -> None:
    votes = 0
    for yes in (True, True, False, True):
        votes = cast(votes, yes, 3)
    assert count(votes) == 2


def test_nothing_is_judged_during_maintenance_nor_until_it_has_settled() -> None:
    def said(at_ns: int, what: Declared) -> Declaration:
        return Declaration(at_ns, "M1", None, what, "ann", "", None, Origin("engine", 0, at_ns))

    machine = Running()
    machine.take_word(said(50, Declared.MAINTENANCE_ENDS))  # never began
    assert machine.runs_at(50, 10)
    machine.take_word(said(100, Declared.MAINTENANCE_BEGINS))
    assert [machine.runs_at(t, 10) for t in (99, 100, 150)] == [True, False, False]
    machine.take_word(said(200, Declared.REPAIR))
    assert not machine.runs_at(200, 10)
    machine.take_word(said(300, Declared.MAINTENANCE_ENDS))
    assert [machine.runs_at(t, 10) for t in (305, 310)] == [False, True]
