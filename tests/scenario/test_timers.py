"""What is due happens once: with handlers that fail, two that poll, clocks that stand, and after hours of being down."""

import threading
from unittest.mock import patch

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test

from andon.events import SECOND_NS
from tests.scenario.story import PLANT, time_of
from tests.stores import Stores
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
    assert turn(plant.tickets, plant.plant, NINE + 2, turn_s=60) == 2
    assert turn(plant.tickets, plant.plant, NINE + 2, turn_s=60) == 0
    assert turn(plant.tickets, plant.plant, NINE + 3, turn_s=60) == 1
    assert [subject for subject, _, _ in rang] == ["a", "b", "c"]


def test_a_timer_moves_until_it_is_done_and_then_needs_a_new_cycle(plant, rang):
    sets(plant, Timer("bell", "a", NINE + 1))
    sets(plant, Timer("bell", "a", NINE + 9))
    assert turn(plant.tickets, plant.plant, NINE + 8, turn_s=60) == 0
    assert turn(plant.tickets, plant.plant, NINE + 9, turn_s=60) == 1
    sets(plant, Timer("bell", "a", NINE + 10), Timer("bell", "a", NINE + 10, cycle=1))
    assert turn(plant.tickets, plant.plant, NINE + 20, turn_s=60) == 1
    assert rang == [("a", 0, 0), ("a", 0, 1)]


def test_a_clock_that_stands_is_not_due_and_what_was_cancelled_never_is(plant, rang):
    sets(plant, Timer("bell", "a", NINE + 1, state=TimerState.PAUSED), Timer("bell", "b", NINE + 1))
    with plant.tickets.transaction(NINE) as book:
        timers.cancel(book, "bell", "b")
    assert turn(plant.tickets, plant.plant, NINE + HOUR_NS, turn_s=60) == 0
    sets(plant, Timer("bell", "a", NINE + 2 * HOUR_NS))
    assert turn(plant.tickets, plant.plant, NINE + 2 * HOUR_NS, turn_s=60) == 1
    assert rang == [("a", 0, 0)]


def test_a_step_that_fails_stops_no_other_leaves_nothing_and_is_tried_again_later_each_time(
    plant, rang, caplog
):
    sets(plant, Timer("broken", "x", NINE), Timer("bell", "y", NINE + 1))
    assert turn(plant.tickets, plant.plant, NINE + 1, turn_s=60) == 1
    assert rang == [("y", 0, 0)]
    assert stored(plant, "bell", "after/x") is None
    (said,) = caplog.records
    assert (said.kind, said.subject, said.attempts, said.exc_info[0]) == ("broken", "x", 1, TicketNotFound)
    waits, now_ns = [], NINE + 1
    while (timer := stored(plant, "broken", "x")).state is TimerState.RUN:
        assert turn(plant.tickets, plant.plant, timer.try_ns - 1, turn_s=60) == 0
        assert stored(plant, "broken", "x") == timer
        waits.append((timer.try_ns - now_ns) // SECOND_NS)
        now_ns = timer.try_ns
        turn(plant.tickets, plant.plant, now_ns, turn_s=60)
    assert waits == [5, 20, 80, 320, 1280, 3600, 3600]
    assert (timer.state, timer.attempts, timer.due_ns) == (TimerState.FAILED, ATTEMPTS, NINE)
    assert timer.error == "TicketNotFound: there is no ticket 404"
    with plant.tickets.looking() as conn:
        assert (timers.given_up(conn), timers.failing(conn)) == ([timer], {"broken": 1})


def test_what_was_given_up_is_done_when_somebody_asks_for_it(plant, rang):
    sets(plant, Timer("broken", "x", NINE))
    now_ns = NINE
    for _ in range(ATTEMPTS):
        turn(plant.tickets, plant.plant, now_ns, turn_s=60)
        now_ns += HOUR_NS
    rang.mended = True
    assert turn(plant.tickets, plant.plant, now_ns + 24 * HOUR_NS, turn_s=60) == 0
    with plant.tickets.transaction(now_ns) as book:
        assert timers.again(book, stored(plant, "broken", "x"))
        assert not timers.again(book, Timer("broken", "x", 0))
    assert turn(plant.tickets, plant.plant, now_ns, turn_s=60) == 1
    assert stored(plant, "broken", "x").state is TimerState.DONE
    assert stored(plant, "bell", "after/x") is not None


def test_a_kind_that_nobody_handles_is_not_lost(plant, rang):
    sets(plant, Timer("of_a_later_build", "x", NINE))
    assert turn(plant.tickets, plant.plant, NINE, turn_s=60) == 0
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
        turn(plant.tickets, plant.plant, NINE + hour * HOUR_NS, turn_s=60)
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


class Clocks(RuleBasedStateMachine):
    """Timers set, moved, paused, cancelled, done and done again after restarts, against a table in a dictionary."""

    stores: Stores

    def __init__(self):
        super().__init__()
        self.engine = self.stores.open()
        self.now_ns = NINE
        self.rang: list[tuple[str, int]] = []
        self.wanted: dict[tuple[str, int], int | None] = {}  # when it is due; None while it stands
        self.over: set[tuple[str, int]] = set()
        self.expected: list[tuple[str, int]] = []
        self.restarts()

    def teardown(self):
        self.stores.give_back()

    @rule()
    def restarts(self):
        self.tickets = Tickets(self.engine)

    @rule(
        subject=st.sampled_from("abc"), cycle=st.integers(0, 2), wait=st.integers(0, 50), runs=st.booleans()
    )
    def is_set(self, subject, cycle, wait, runs):
        state = TimerState.RUN if runs else TimerState.PAUSED
        with self.tickets.transaction(self.now_ns) as book:
            set_timer(book, Timer("bell", subject, self.now_ns + wait, cycle=cycle, state=state))
        if (subject, cycle) not in self.over:
            self.wanted[subject, cycle] = self.now_ns + wait if runs else None

    @rule(subject=st.sampled_from("abc"))
    def is_cancelled(self, subject):
        with self.tickets.transaction(self.now_ns) as book:
            timers.cancel(book, "bell", subject)
        self.wanted = {key: due for key, due in self.wanted.items() if key[0] != subject}

    @rule(wait=st.integers(0, 80), bounded=st.booleans())
    def time_passes(self, wait, bounded):
        self.now_ns += wait
        handlers = {"bell": lambda _book, _plant, timer: self.rang.append((timer.subject, timer.cycle))}
        with patch.object(clockwork, "HANDLERS", handlers):
            while turn(self.tickets, PLANT, self.now_ns, turn_s=0 if bounded else 60):
                pass
        due = sorted((at_ns, *key) for key, at_ns in self.wanted.items() if at_ns is not None)
        for at_ns, *key in due:
            if at_ns <= self.now_ns:
                self.expected.append(tuple(key))
                self.over.add(tuple(key))
                del self.wanted[tuple(key)]

    @invariant()
    def each_rang_once_in_its_order_none_early_and_none_is_missing(self):
        assert self.rang == self.expected


def test_random_timers_ring_once(tmp_path):
    Clocks.stores = Stores(tmp_path)
    few = settings(
        max_examples=15,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(Clocks, settings=few)
