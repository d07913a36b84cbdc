"""Does what is due: takes the timers whose time has come, one transaction each, and hands them to their kind's handler.

The engine's process calls `turn` every second; a test's virtual clock calls it with the time that it has reached.
"""

import time
from collections.abc import Callable, Mapping

from andon.plant import Plant
from ticketing.book import Book
from ticketing.service import Tickets
from ticketing.timers import Timer, done, due

Handler = Callable[[Book, Plant, Timer], None]
"""Does one step inside the book's transaction; the plant document is the one in force."""

HANDLERS: Mapping[str, Handler] = {}
"""Kind of timer -> what happens when it is due."""

TURN_S = 0.05
"""So long a turn may take: an alarm must not wait for many reminders. What is left is done in the next."""
AT_ONCE = 100


def turn(tickets: Tickets, plant: Plant, now_ns: int, *, turn_s: float = TURN_S) -> int:
    """Do what is due, the longest due first, for at most `turn_s` seconds; gives how many steps were done."""
    began_s = time.monotonic()
    count = 0
    while True:
        with tickets.looking() as conn:
            waiting = due(conn, now_ns, AT_ONCE)
        for timer in waiting:
            with tickets.transaction(now_ns) as book:
                if done(book, timer):
                    HANDLERS[timer.kind](book, plant, timer)
                    count += 1
            if time.monotonic() - began_s > turn_s:
                return count
        if len(waiting) < AT_ONCE:
            return count
