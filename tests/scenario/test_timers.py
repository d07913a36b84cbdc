"""What is due happens once: with handlers that fail, two that poll, clocks that stand, and after hours of being down."""

import threading

import pytest

from andon.events import SECOND_NS
from tests.scenario.story import time_of
from ticketing import clockwork, timers
from ticketing.clockwork import turn
from ticketing.errors import TicketNotFound
from ticketing.service import Tickets
from ticketing.timers import ATTEMPTS, Timer, TimerState, set_timer

NINE = time_of("09:00")
HOUR_NS = 3600 * SECOND_NS


@pytest.fixture
def rang(monkeypatch):
    """What happened, in its order; a kind `broken` raises as long as `rang` says so, after it has written something."""
    heard = Heard()
    monkeypatch.setattr(
        clockwork, "HANDLERS", {"bell": heard.bell, "broken": heard.broken, "chain": heard.chain}
    )
    return heard


class Heard(list):
    mended = False

    def bell(self, _book, _plant, timer):
        self.append((timer.subject, timer.step, timer.cycle))

    def broken(self, book, plant, timer):
        set_timer(book, Timer("bell", f"after/{timer.subject}", book.now_ns))
        if not self.mended:
            book.ticket(404)
        self.bell(book, plant, timer)

    def chain(self, book, plant, timer):
        self.bell(book, plant, timer)
        set_timer(book, Timer("chain", timer.subject, timer.due_ns + HOUR_NS, timer.step + 1))


def sets(plant, *wanted, now_ns=NINE):
    with plant.tickets.transaction(now_ns) as book:
        for one in wanted:
            set_timer(book, one)


def stored(plant, kind, subject, step=0, cycle=0):
    with plant.tickets.looking() as conn:
        return timers.one(conn, kind, subject, step, cycle)


def test_what_is_due_happens_once_in_its_order_and_nothing_too_early(plant, rang):
    sets(plant, Timer("bell", "b", NINE + 2), Timer("bell", "a", NINE + 1), Timer("bell", "c", NINE + 3))
    assert turn(plant.tickets, plant.plant, NINE + 2) == 2
    assert turn(plant.tickets, plant.plant, NINE + 2) == 0
    assert turn(plant.tickets, plant.plant, NINE + 3) == 1
    assert [subject for subject, _, _ in rang] == ["a", "b", "c"]


def test_a_timer_moves_until_it_is_done_and_then_needs_a_new_cycle(plant, rang):
    sets(plant, Timer("bell", "a", NINE + 1))
    sets(plant, Timer("bell", "a", NINE + 9))
    assert turn(plant.tickets, plant.plant, NINE + 8) == 0
    assert turn(plant.tickets, plant.plant, NINE + 9) == 1
    sets(plant, Timer("bell", "a", NINE + 10), Timer("bell", "a", NINE + 10, cycle=1))
    assert turn(plant.tickets, plant.plant, NINE + 20) == 1
    assert rang == [("a", 0, 0), ("a", 0, 1)]


def test_a_clock_that_stands_is_not_due_and_what_was_cancelled_never_is(plant, rang):
    sets(plant, Timer("bell", "a", NINE + 1, state=TimerState.PAUSED), Timer("bell", "b", NINE + 1))
    with plant.tickets.transaction(NINE) as book:
        timers.cancel(book, "bell", "b")
    assert turn(plant.tickets, plant.plant, NINE + HOUR_NS) == 0
    sets(plant, Timer("bell", "a", NINE + 2 * HOUR_NS))
    assert turn(plant.tickets, plant.plant, NINE + 2 * HOUR_NS) == 1
    assert rang == [("a", 0, 0)]


def test_a_step_that_fails_stops_no_other_leaves_nothing_and_is_tried_again_later_each_time(
    plant, rang, caplog
):
    sets(plant, Timer("broken", "x", NINE), Timer("bell", "y", NINE + 1))
    assert turn(plant.tickets, plant.plant, NINE + 1) == 1
    assert rang == [("y", 0, 0)]
    assert stored(plant, "bell", "after/x") is None
    (said,) = caplog.records
    assert (said.kind, said.subject, said.attempts, said.exc_info[0]) == ("broken", "x", 1, TicketNotFound)
    waits, now_ns = [], NINE + 1
    while (timer := stored(plant, "broken", "x")).state is TimerState.RUN:
        assert turn(plant.tickets, plant.plant, timer.try_ns - 1) == 0
        assert stored(plant, "broken", "x") == timer
        waits.append((timer.try_ns - now_ns) // SECOND_NS)
        now_ns = timer.try_ns
        turn(plant.tickets, plant.plant, now_ns)
    assert waits == [5, 20, 80, 320, 1280, 3600, 3600]
    assert (timer.state, timer.attempts, timer.due_ns) == (TimerState.FAILED, ATTEMPTS, NINE)
    assert timer.error == "TicketNotFound: there is no ticket 404"
    with plant.tickets.looking() as conn:
        assert (timers.given_up(conn), timers.failing(conn)) == ([timer], {"broken": 1})


def test_what_was_given_up_is_done_when_somebody_asks_for_it(plant, rang):
    sets(plant, Timer("broken", "x", NINE))
    now_ns = NINE
    for _ in range(ATTEMPTS):
        turn(plant.tickets, plant.plant, now_ns)
        now_ns += HOUR_NS
    rang.mended = True
    assert turn(plant.tickets, plant.plant, now_ns + 24 * HOUR_NS) == 0
    with plant.tickets.transaction(now_ns) as book:
        assert timers.again(book, stored(plant, "broken", "x"))
        assert not timers.again(book, Timer("broken", "x", 0))
    assert turn(plant.tickets, plant.plant, now_ns) == 1
    assert stored(plant, "broken", "x").state is TimerState.DONE
    assert stored(plant, "bell", "after/x") is not None


def test_a_kind_that_nobody_handles_is_not_lost(plant, rang):
    sets(plant, Timer("of_a_later_build", "x", NINE))
    assert turn(plant.tickets, plant.plant, NINE) == 0
    assert stored(plant, "of_a_later_build", "x").error == "KeyError: 'of_a_later_build'"


def test_a_turn_is_bounded_and_the_next_goes_on(plant, rang):
    sets(plant, *(Timer("bell", str(n), NINE + n) for n in range(50)))
    assert turn(plant.tickets, plant.plant, NINE + HOUR_NS, turn_s=0) == 1
    assert turn(plant.tickets, plant.plant, NINE + HOUR_NS, turn_s=0) == 1
    assert turn(plant.tickets, plant.plant, NINE + HOUR_NS, turn_s=60) == 48
    assert [int(subject) for subject, _, _ in rang] == list(range(50))


def test_a_step_sets_the_one_after_it(plant, rang):
    sets(plant, Timer("chain", "x", NINE))
    for hour in range(5):
        turn(plant.tickets, plant.plant, NINE + hour * HOUR_NS)
    assert rang == [("x", step, 0) for step in range(5)]


def test_two_that_poll_at_once_do_each_step_once(plant, rang):
    sets(plant, *(Timer("bell", str(n), NINE) for n in range(60)))
    both = threading.Barrier(2)

    def poll():
        tickets = Tickets(plant.engine)
        both.wait(60)
        while turn(tickets, plant.plant, NINE, turn_s=0) or waiting(tickets):
            pass

    pollers = [threading.Thread(target=poll) for _ in range(2)]
    for one in pollers:
        one.start()
    for one in pollers:
        one.join(100)
    assert sorted(int(subject) for subject, _, _ in rang) == list(range(60))


def waiting(tickets):
    with tickets.looking() as conn:
        return timers.due(conn, NINE, 1)
