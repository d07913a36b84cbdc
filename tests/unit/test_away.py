"""A source without a connection is said after a while, once, and no longer when it is back."""

from andon.away import AWAY_S, Away

LOST = {"connected": False, "error": "connection refused"}


def test_a_short_absence_is_nothing_to_tell() -> None:
    away = Away()
    assert away.look("floor", LOST, 0.0, running=True) == ""
    assert away.look("floor", LOST, AWAY_S - 1, running=True) == ""
    assert away.look("floor", {"connected": True}, AWAY_S, running=True) == ""
    assert away.look("floor", LOST, AWAY_S + 1, running=True) == ""


def test_a_long_one_is_told_with_its_reason_which_stays_the_same() -> None:
    away = Away()
    away.look("floor", LOST, 0.0, running=True)
    assert away.look("floor", LOST, AWAY_S, running=True) == "connection refused"
    other = {"connected": False, "error": "no route"}
    assert away.look("floor", other, AWAY_S + 5, running=True) == "connection refused"
    assert away.look("floor", {"connected": True}, AWAY_S + 6, running=True) == ""


def test_a_source_that_does_not_run_is_away_whatever_it_said_last() -> None:
    away = Away()
    away.look("floor", {"connected": True}, 0.0, running=False)
    assert away.look("floor", {"connected": True}, AWAY_S, running=False) == "no connection"


def test_one_that_has_said_nothing_yet_is_still_starting() -> None:
    away = Away()
    assert away.look("floor", {}, 0.0, running=True) == ""
    assert away.look("floor", {}, 10 * AWAY_S, running=True) == ""
