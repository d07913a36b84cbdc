"""Every night the months that have matured are kept, one metric at a time, and then judged."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from sqlalchemy import Connection, select

from andon.events import MINUTE_NS, SECOND_NS
from andon.plant import Plant
from ticketing.book import Book
from ticketing.clock_tables import timer as timers
from ticketing.metrics import actions, snapshots
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.metric import Question
from ticketing.metrics.periods import period_of
from ticketing.timers import Timer, TimerState, set_timer

NIGHT, KEEP, JUDGE = "metrics.night", "metrics.keep", "metrics.judge"
AFTER_MIDNIGHT = timedelta(minutes=30)


def asleep(conn: Connection) -> bool:
    """Whether no night is awaited: the store is new, or of a build before the metrics."""
    c = timers.c
    waits = select(c.kind).where(c.kind == NIGHT, c.state == str(TimerState.RUN))
    return conn.execute(waits.limit(1)).first() is None


def expect(book: Book, plant: Plant) -> None:
    """Set the timer of the next night, in the plant's time zone."""
    due_ns = next_ns(plant, book.now_ns)
    set_timer(book, Timer(NIGHT, "plant", due_ns, cycle=due_ns))


def next_ns(plant: Plant, after_ns: int) -> int:
    """Half an hour after the next midnight."""
    zone = ZoneInfo(plant.time_zone)
    today = datetime.fromtimestamp(after_ns / SECOND_NS, zone).date()
    midnight = datetime.combine(today + timedelta(days=1), datetime.min.time(), zone)
    return int((midnight + AFTER_MIDNIGHT).timestamp()) * SECOND_NS


def night(book: Book, plant: Plant, timer: Timer) -> None:
    """Have every month kept that is not kept for good yet, and all judged a minute later."""
    for code, span in snapshots.due(book.conn, plant, book.now_ns):
        set_timer(book, Timer(KEEP, f"{code}/{span.name}", book.now_ns, cycle=timer.cycle))
    set_timer(book, Timer(JUDGE, "plant", book.now_ns + MINUTE_NS, cycle=timer.cycle))
    expect(book, plant)


def keep(book: Book, plant: Plant, timer: Timer) -> None:
    """Keep what one metric came to in one month."""
    code, _, month = timer.subject.rpartition("/")
    if code in METRICS:  # else of a build that knew others
        span = period_of(month, book.now_ns, plant.time_zone)
        snapshots.take(book.conn, METRICS[code], Question(span, book.now_ns, plant))


def judge(book: Book, plant: Plant, _timer: Timer) -> None:
    """Open what the months that have matured ask for."""
    actions.judge(book, plant)
