"""What a suppression held, once it is over: held on by another one, folded where the alarm still stands, or recorded.

Done by a timer, so that it happens once whatever stops in between; a window that held very much is worked off in parts.
"""

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlalchemy import select, update

from andon.plant import Plant
from ticketing import holding, suppressions
from ticketing.alarm_rows import alarm_id, recall_named
from ticketing.book import Book
from ticketing.sql import to_json
from ticketing.suppression import Suppression
from ticketing.suppressions import suppressed
from ticketing.tables import occurrence
from ticketing.tables import ticket as tickets
from ticketing.ticket import SUPPRESSED, UNRESOLVED, FoldRule, Occurrence, Ticket
from ticketing.timers import Timer, set_timer

AT_ONCE = 500
"""So many occurrences are looked at in one transaction."""


def look(book: Book, plant: Plant, timer: Timer) -> None:
    """The timer of a suppression's end: it is over by now, if nobody ended it before, and lets go what it holds."""
    number = suppressions.number_of(timer)
    found = suppressions.one(book.conn, number)
    if found.ended_ns is None:
        suppressions.expired(book, found)
    if let_go(book, plant, number) == AT_ONCE:
        set_timer(book, replace(timer, step=timer.step + 1, due_ns=book.now_ns))


def remind(book: Book, _plant: Plant, timer: Timer) -> None:
    """The owner of a shelf is told that it ends soon, by the ticket that its alarm has; without one it stays on record."""
    number = suppressions.number_of(timer)
    found = suppressions.one(book.conn, number)
    if found.ended_ns is not None:
        return
    suppressions.reminded(book, number)
    ticket = _ticket_of(book, found)
    if ticket is not None:
        said = {"suppression": number, "ends_ns": found.ends_ns, "reason": found.reason}
        book.tell(ticket, "ticket.shelf_ends", (found.owner,), said, step=f"shelf-{number}")


def _ticket_of(book: Book, found: Suppression) -> Ticket | None:
    """The newest open ticket of the machine that a shelf names."""
    c = tickets.c
    here = [c.asset == found.matcher.asset, c.state.in_(sorted(UNRESOLVED))]
    if found.matcher.component:
        here.append(c.component == found.matcher.component)
    row = book.conn.execute(select(c.id).where(*here).order_by(c.id.desc()).limit(1)).first()
    return None if row is None else book.ticket(row.id)


def let_go(book: Book, plant: Plant, number: int) -> int:
    """Look at what an ended suppression holds; gives how many occurrences were looked at."""
    c = suppressed.c
    mine = select(c.finding, c.maintenance).where(c.suppression == number, c.outcome.is_(None))
    rows = book.conn.execute(mine.order_by(c.held_ns, c.finding).limit(AT_ONCE)).all()
    names = [row.finding for row in rows]
    waiting = holding.held(book.conn, occurrence.c.finding.in_(names), rules=SUPPRESSED)
    in_service = _in_service(book, waiting)
    free = holding.not_suppressed(book, plant, in_service)
    standing = holding.standing(book.conn, free)
    for outcome, which in (("folded", standing), ("over", [one for one in free if one not in standing])):
        _settle(book, [one.finding for one in which], outcome)
    holding.release(book, plant, standing, inside={row.finding for row in rows if row.maintenance})
    return len(rows)


def _in_service(book: Book, waiting: Sequence[Occurrence]) -> list[Occurrence]:
    """Those whose alarm is in service; the others are looked at when it is again."""
    known = recall_named(book.conn, {alarm_id(one.key, one.detector) for one in waiting})
    out = {name for name, found in known.items() if found.alarm.out_of_service is not None}
    aside = [one.finding for one in waiting if alarm_id(one.key, one.detector) in out]
    _settle(book, aside, "passed")
    rule = update(occurrence).where(occurrence.c.finding.in_(aside))
    book.conn.execute(rule.values(rule=str(FoldRule.SUPPRESSED_OOSRV), fold=to_json({})))
    return [one for one in waiting if one.finding not in aside]


def _settle(book: Book, findings: Collection[str], outcome: str) -> None:
    if findings:
        book.conn.execute(
            update(suppressed)
            .where(suppressed.c.finding.in_(findings))
            .values(outcome=outcome, outcome_ns=book.now_ns)
        )
