"""When a queue is a backlog, and when it is over."""

from andon.backlogs import LASTS_S, MESSAGES, MOST, RECORDS, Backlogs

BUS, FLOOR = (MESSAGES, "bus"), (RECORDS, "floor")
DEEP = MOST[MESSAGES]


def news(backlogs: Backlogs, depth: int, now_s: float) -> list[tuple[str, str, int]]:
    return list(backlogs.look({BUS: depth}, now_s))


def test_a_queue_is_a_backlog_once_it_has_been_deep_for_a_minute_and_said_once() -> None:
    backlogs = Backlogs()
    assert news(backlogs, DEEP, 0) == []
    assert news(backlogs, DEEP, LASTS_S - 1) == []
    assert news(backlogs, DEEP + 7, LASTS_S) == [(*BUS, DEEP + 7)]
    assert news(backlogs, DEEP + 9, LASTS_S + 5) == []


def test_a_queue_that_comes_down_in_between_is_none() -> None:
    backlogs = Backlogs()
    assert news(backlogs, DEEP - 1, 0) == [(*BUS, 0)], "somebody may have been told before a restart"
    assert news(backlogs, DEEP, 1) == []
    assert news(backlogs, DEEP - 1, 30) == []
    assert news(backlogs, DEEP, 31) == []
    assert news(backlogs, DEEP, 31 + LASTS_S - 1) == []
    assert news(backlogs, DEEP, 31 + LASTS_S) == [(*BUS, DEEP)]


def test_it_is_over_at_half_of_it_and_not_before() -> None:
    backlogs = Backlogs()
    news(backlogs, DEEP, 0)
    assert news(backlogs, DEEP, LASTS_S)
    assert news(backlogs, DEEP // 2 + 1, LASTS_S + 1) == []
    assert news(backlogs, DEEP // 2, LASTS_S + 2) == [(*BUS, 0)]


def test_queues_are_told_apart() -> None:
    backlogs = Backlogs()
    both = {BUS: DEEP, FLOOR: DEEP}
    list(backlogs.look(both, 0))
    assert list(backlogs.look(both, LASTS_S)) == [(*BUS, DEEP)], "a thousand records are no backlog"
    assert list(backlogs.look({FLOOR: DEEP}, LASTS_S + 1)) == [(*BUS, 0)], "one that is gone is empty"
