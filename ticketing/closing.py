"""What follows from resolving and closing: what is owed then, closing by time where the site wants it, scene tags."""

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, func, select

from andon.database import Machines, among
from andon.events import HOUR_NS
from andon.plant import Plant
from andon.rules.closing import SCENE_TAGS, Label
from ticketing.book import MACHINE, Book
from ticketing.demands import Given
from ticketing.knowledge.drafting import draw
from ticketing.obligations import Owed, owe
from ticketing.states import Step
from ticketing.stepping import give_up, lock
from ticketing.tables import ticket as tickets
from ticketing.ticket import Closure, Ticket, TicketState
from ticketing.timers import Timer, set_timer

TIMER = "close_unsigned"
_DAY_NS = 24 * HOUR_NS
_WORKED_ON = frozenset({Closure.SIGNED, Closure.UNSIGNED})


def scene_tags_of(plant: Plant) -> Mapping[str, Label]:
    """The scene tags of a site: the presets, each as the plant document renames or retires it, then its own."""
    return {**SCENE_TAGS, **plant.closing.scene_tags}


def after_resolving(book: Book, ticket: Ticket, plant: Plant) -> None:
    """Nobody signs: never closed by time, unless the site wants it."""
    days = plant.closing.unsigned_after_days
    if days is not None:
        due_ns = book.now_ns + round(days * _DAY_NS)
        set_timer(book, Timer(TIMER, f"ticket/{ticket.id}", due_ns, cycle=ticket.reopen_count))


def after_closing(book: Book, ticket: Ticket, plant: Plant) -> None:
    """What was learned from work that was done is written down: a draft is drawn from it, and its review is owed."""
    if ticket.closure in _WORKED_ON:
        draw(book, ticket, plant)
        closing = plant.closing
        owe(
            book,
            ticket,
            Owed.KNOWLEDGE,
            plant,
            role=closing.knowledge_by,
            within_h=closing.knowledge_within_h,
        )


def close_by_time(book: Book, plant: Plant, timer: Timer) -> None:
    """Close what nobody signed; it is marked as not confirmed. What went on since is left alone."""
    number = int(timer.subject.partition("/")[2])
    lock(book.conn, number)
    ticket = book.ticket(number)
    if ticket.state is not TicketState.RESOLVED or ticket.reopen_count != timer.cycle:
        return
    rule = f"rule/{TIMER}"
    given = Given(actor=rule, approver=rule, reason="unsigned_after_days")
    after_closing(book, give_up(book, ticket, Step.CLOSE_UNSIGNED, given, None, channel=MACHINE), plant)


@dataclass(frozen=True, slots=True)
class Counted:
    """A scene tag and how many tickets were archived or closed under it."""

    code: str
    label: Label
    tickets: int


def top_scene_tags(
    conn: Connection,
    plant: Plant,
    *,
    from_ns: int = 0,
    to_ns: int | None = None,
    machines: Machines = None,
    limit: int = 10,
) -> tuple[Counted, ...]:
    """The scene tags of tickets closed in a time, the most frequent first: what training and products should look at."""
    c = tickets.c
    wheres = [c.scene_tag.is_not(None), c.closed_ns >= from_ns, among(c.asset, machines)]
    if to_ns is not None:
        wheres.append(c.closed_ns < to_ns)
    n = func.count()
    counted = select(c.scene_tag, n).where(*wheres).group_by(c.scene_tag).order_by(n.desc(), c.scene_tag)
    known = scene_tags_of(plant)
    return tuple(
        Counted(code, known.get(code, Label(zh=code, en=code)), times)
        for code, times in conn.execute(counted.limit(limit))
    )
