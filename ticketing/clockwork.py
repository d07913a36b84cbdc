"""Does what is due: takes the timers whose time has come and hands each to its kind's handler, all of it or nothing.

The engine's process calls `turn` every second; a test's virtual clock calls it with the time that it has reached.
Steps share a transaction (a commit costs more than a step), but each has a savepoint: one that fails undoes only
itself, is told, and is tried again later.
"""

import logging
import time
from collections.abc import Callable, Mapping, Sequence

from andon.plant import Plant
from ticketing import (
    alarm_marks,
    closing,
    dispatch,
    drift,
    floods,
    holding,
    improvements,
    intake,
    key_versions,
    letting_go,
    obligations,
    offers,
    problem_clock,
    reports,
    sla,
    suppressions,
    triage,
)
from ticketing.approving import deciding
from ticketing.book import Book
from ticketing.metrics import freezing, schedule
from ticketing.partners import following
from ticketing.plans import clock, review
from ticketing.quality import audits, sisters
from ticketing.service import Tickets
from ticketing.timers import Timer, TimerState, done, due, failed
from ticketing.voice import acknowledgements

Handler = Callable[[Book, Plant, Timer], None]
"""Does one step inside the book's transaction; the plant document is the one in force.

It may raise: then nothing of the step is kept, and it is called again later. It is never called twice for a step that
was kept.
"""

HANDLERS: Mapping[str, Handler] = {
    closing.TIMER: closing.close_by_time,
    obligations.TIMER: obligations.remind,
    deciding.TIMER: deciding.remind,
    improvements.CAUSE_NAMED: improvements.cause_named,
    improvements.CAUSES_UNKNOWN: improvements.causes_unknown,
    problem_clock.PROBLEM_DUE: problem_clock.problem_due,
    problem_clock.ACTION_DUE: problem_clock.action_due,
    problem_clock.CHECK_DUE: problem_clock.check_due,
    sisters.TIMER: sisters.due,
    audits.TIMER: audits.due,
    dispatch.KIND: dispatch.is_due,
    intake.ASK_AGAIN: holding.ask_again,
    offers.KIND: dispatch.offers_are_over,
    suppressions.OVER: letting_go.look,
    suppressions.REMINDER: letting_go.remind,
    suppressions.MARK: alarm_marks.look,
    floods.KIND: floods.is_over(intake.fold),
    reports.TIMER: reports.due,
    sla.KIND: acknowledgements.after(sla.review),
    acknowledgements.TIMER: acknowledgements.overdue,
    drift.KIND: drift.make,
    schedule.NIGHT: schedule.night,
    schedule.KEEP: schedule.keep,
    schedule.JUDGE: schedule.judge,
    freezing.FREEZE: freezing.freeze,
    triage.DEED: triage.carry_out,
    triage.SNOOZE: triage.wake,
    review.KIND: clock.look,
    clock.OVERDUE: clock.overdue,
}
"""Kind of timer -> what happens when it is due."""

TURN_S = 0.05
"""So long a turn may take: an alarm must not wait for many reminders. What is left is done in the next."""
AT_ONCE = 20
log = logging.getLogger(__name__)


def turn(tickets: Tickets, plant: Plant, now_ns: int, *, turn_s: float = TURN_S) -> int:
    """Do what is due, the longest due first, for at most `turn_s` seconds; gives how many steps were done."""
    until_s = time.monotonic() + turn_s
    count = 0
    with tickets.looking() as conn:
        anew = sla.changed(conn, plant)
        other_keys = key_versions.changed(conn, plant.dedup)
        other_plans = review.changed(conn, plant)
        asleep = schedule.asleep(conn)
    if other_keys:
        with tickets.transaction(now_ns) as book:
            key_versions.in_force(book.conn, plant.dedup, now_ns)
    if anew:
        with tickets.transaction(now_ns) as book:
            sla.review_all(book, plant)
            drift.expect(book, plant)
    if asleep:
        with tickets.transaction(now_ns) as book:
            schedule.expect(book, plant)
    if other_plans:
        with tickets.transaction(now_ns) as book:
            review.review_all(book, plant)
    following.turn(tickets, plant, now_ns)
    while True:
        with tickets.looking() as conn:  # mostly nothing is due, and no lock is taken for it
            waiting = due(conn, now_ns, AT_ONCE)
        if waiting:
            count += _do(tickets, plant, now_ns, waiting, until_s)
        if len(waiting) < AT_ONCE or time.monotonic() > until_s:
            return count


def _do(tickets: Tickets, plant: Plant, now_ns: int, waiting: Sequence[Timer], until_s: float) -> int:
    """These steps, until the time is up, in one transaction; gives how many were done."""
    count = 0
    with tickets.transactions(now_ns) as book_of_its_own:
        for timer in waiting:
            try:
                with book_of_its_own() as book:
                    if done(book, timer):
                        HANDLERS[timer.kind](book, plant, timer)
                        count += 1
            except Exception as error:  # noqa: BLE001 - one kind's mistake must not stop the others
                with book_of_its_own() as book:  # if not even this can be written, nothing of it all is kept
                    _tell(failed(book.conn, timer, now_ns, f"{type(error).__name__}: {error}"), error)
            if time.monotonic() > until_s:
                break
    return count


def _tell(timer: Timer, error: Exception) -> None:
    where = {"kind": timer.kind, "subject": timer.subject, "step": timer.step, "attempts": timer.attempts}
    if timer.state is TimerState.FAILED:
        log.error(
            "a step that was due failed too often: andon shows it until somebody has it tried again",
            extra=where,
        )
    else:
        log.warning("a step that was due failed and is tried again later", extra=where, exc_info=error)
