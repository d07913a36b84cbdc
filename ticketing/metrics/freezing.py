"""Too much came back within 30 days: a root-cause task on these tickets, and the freeze of the lots they used is asked for."""

from collections.abc import Sequence

from sqlalchemy import Connection, select

from andon.events import Json
from andon.plant import Plant
from ticketing.book import MACHINE, Book
from ticketing.monthly import Span
from ticketing.parts.tables import part_lot, part_use
from ticketing.quality.batches import Lot, ask_freeze
from ticketing.quality.investigations import investigate
from ticketing.sql import chunks
from ticketing.timers import Timer, set_timer

RULE, FREEZE = "rule/K8", "metrics.freeze"


def look_into(book: Book, plant: Plant, tickets: Sequence[int], span: Span) -> int | None:
    """Open the task of the month on these tickets, and have the freeze asked for next; gives the task.

    Where nothing is known of the lots that were used, a person asks for the freeze from the task.
    """
    if not tickets:
        return None
    reason = f"30-day recurrence of {span.name} above its limit: {len(tickets)} tickets"
    task = investigate(
        book, plant, scope=f"metric/K8/{span.name}", tickets=tickets, actor=RULE, reason=reason
    )
    if _lots(book.conn, tickets):
        body: dict[str, Json] = {"problem": task.id, "tickets": list(tickets), "reason": reason}
        set_timer(book, Timer(FREEZE, f"month/{span.name}", book.now_ns, body=body))
    return task.id


def freeze(book: Book, plant: Plant, timer: Timer) -> None:
    """Ask for the batch of that month to be frozen; a step of its own, for the task has to be stored first."""
    body, month = timer.body, timer.subject.partition("/")[2]
    ask_freeze(
        book,
        plant,
        int(body["problem"]),
        code=f"K8-{month}",
        lots=_lots(book.conn, body["tickets"]),
        reason=str(body["reason"]),
        actor=RULE,
        channel=MACHINE,
    )


def _lots(conn: Connection, tickets: Sequence[int]) -> Sequence[Lot]:
    """The lots of parts that were fitted in this work, as far as the store knows them."""
    u, known = part_use.c, part_lot.c
    found: set[tuple[str, str]] = set()
    for some in chunks(tickets):
        used = select(u.part, u.lot).join(part_lot, (known.part == u.part) & (known.lot == u.lot))
        found |= {(row.part, row.lot) for row in conn.execute(used.where(u.ticket.in_(some)))}
    return [Lot(part, lot) for part, lot in sorted(found)]
