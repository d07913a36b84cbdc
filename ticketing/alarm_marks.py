"""Which alarms are shelved or suppressed just now, as their own states say it: looked at when a suppression begins or ends."""

from sqlalchemy import or_, select

from andon.plant import Plant
from ticketing.alarm_layer import Definitions
from ticketing.alarm_rows import MUTABLE, alarm_of, alarm_state, row_of
from ticketing.alarms import AlarmState, set_aside
from ticketing.book import Book
from ticketing.suppressing import InForce
from ticketing.suppression import SuppressionKind
from ticketing.timers import Timer

_c = alarm_state.c


def look(book: Book, plant: Plant, _timer: Timer) -> None:
    """Let every alarm that is not at rest say what holds it back now."""
    in_force, definitions = InForce(book.conn, plant, book.now_ns), Definitions(plant)
    wanted = select(alarm_state).where(or_(_c.state != str(AlarmState.NORM), _c.active.is_(True)))
    for one in map(alarm_of, book.conn.execute(wanted).mappings()):
        holding = in_force.all_holding(definitions.subject_named(one))
        shelves = [by.ends_ns or book.now_ns for by in holding if by.kind is SuppressionKind.SHELVE]
        others = frozenset(by.name for by in holding if by.kind is not SuppressionKind.SHELVE)
        after = set_aside(one.alarm, max(shelves, default=None), others, book.now_ns)
        if after != one.alarm:
            book.upsert(alarm_state, row_of(one.with_alarm(after)), MUTABLE)
