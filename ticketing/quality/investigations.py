"""Opens a root-cause task on tickets that stand out together: by a person, or by a metric out of its bounds.

`scope` says what it is about: "model/V8000/seal_failure" for a share on the way from a model to its supplier, or
"metric/K8/2026-10". There is at most one open task of a scope; further tickets join it.
"""

from collections.abc import Sequence
from dataclasses import asdict, replace

from andon.plant import Plant
from ticketing.book import MACHINE, Book
from ticketing.errors import DeedRefused
from ticketing.problem import Counted, Problem, ProblemKind, ProblemState
from ticketing.problem_clock import arrange, quality
from ticketing.problem_deeds import due_after
from ticketing.problem_news import tell
from ticketing.problem_store import open_of, record
from ticketing.problem_tables import problem_counted
from ticketing.ticket import Ticket

MOST = 1000
"""Tickets that one task takes in at once; the newest."""


def investigate(
    book: Book,
    plant: Plant,
    *,
    scope: str,
    tickets: Sequence[int],
    actor: str,
    reason: str,
    channel: str = MACHINE,
) -> Problem:
    """Open the task of that scope on these tickets, or have them join the open one; gives it as it then is.

    Raises
    ------
    TicketNotFound
        One of the tickets is not there.
    DeedRefused
        No tickets are named: what is looked into rests on something.
    """
    if not tickets:
        raise DeedRefused("investigation_without_tickets", "name the tickets that it rests on")
    named = [book.ticket(one) for one in sorted(set(tickets))[-MOST:]]
    found = open_of(book.conn, ProblemKind.INVESTIGATION, scope)
    if found is not None:
        return _join(book, found, named, actor=actor, reason=reason, channel=channel)
    number = book.next_number("problem")
    new = Problem(
        id=number,
        number=f"INV-{number}",
        kind=ProblemKind.INVESTIGATION,
        scope=scope,
        asset=_machine(named),
        state=ProblemState.OPEN,
        opened_ns=book.now_ns,
        due_ns=due_after(book.now_ns, plant.repeats),
        counted=tuple(_counted(number, one, book.now_ns) for one in named),
    )
    new = record(
        book,
        new,
        before=None,
        action="opened",
        actor=actor,
        channel=channel,
        reason=reason,
        numbers={"n": len(named)},
        evidence=[one.number for one in named],
    )
    _write(book, new.counted)
    arrange(book, None, new, plant.repeats)
    tell(book, new, "investigation.opened", quality(book, plant, named[-1].line), actor=actor, reason=reason)
    return new


def _machine(named: Sequence[Ticket]) -> str:
    """The machine that all of it is about; none where it is about several."""
    machines = {one.asset for one in named}
    return machines.pop() if len(machines) == 1 else ""


def _join(
    book: Book, found: Problem, named: Sequence[Ticket], *, actor: str, reason: str, channel: str
) -> Problem:
    held = {one.ticket for one in found.counted}
    joining = [one for one in named if one.id not in held]
    if not joining:
        return found
    links = tuple(_counted(found.id, one, book.now_ns) for one in joining)
    _write(book, links)
    after = replace(found, counted=(*found.counted, *links))
    numbers = [one.number for one in joining]
    return record(
        book,
        after,
        before=found,
        action="joined",
        actor=actor,
        channel=channel,
        reason=reason,
        evidence=numbers,
    )


def _counted(problem: int, ticket: Ticket, now_ns: int) -> Counted:
    return Counted(problem, ticket.id, ticket.settled_ns or ticket.opened_ns, now_ns)


def _write(book: Book, links: Sequence[Counted]) -> None:
    for link in links:
        book.upsert(problem_counted, asdict(link), ("resolved_ns", "left_ns"))
