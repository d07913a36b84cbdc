"""An amount waits for its levels, one after the other; each decides once, and a refusal ends it with its reason.

A request is made by whatever changes what the ticket costs, and made anew when that changes again. What was agreed to
stays agreed to, unless its request was refused. A level that says nothing is reminded, and after as long again the next
one hears of it too.
"""

from sqlalchemy import insert, update

from andon.events import HOUR_NS, Json
from andon.plant import Plant
from ticketing.approving import costs
from ticketing.approving.deciders import Authorities, Via, deciders, present, roster_of
from ticketing.approving.requests import (
    Decision,
    Request,
    RequestState,
    Verdict,
    levels_of,
    newest_of,
    numbered,
    who_decides,
)
from ticketing.approving.tables import cost_decision, cost_request
from ticketing.book import MACHINE, Book
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.sql import to_json
from ticketing.stepping import lock
from ticketing.ticket import Ticket
from ticketing.timers import Timer, cancel, set_timer
from ticketing.vague import is_vague

TIMER = "cost_request"
DEFAULT_H = 4.0
"""A level is reminded after so long that the plant document has no more."""


def look(
    book: Book, plant: Plant, ticket: Ticket, *, reason: str, actor: str, channel: str, anew: bool = False
) -> Request | None:
    """Ask whom the ticket's costs need now, and nobody for what they were before; the ticket must be locked.

    An amount that was refused is asked for again only `anew`: by who says so.
    """
    total = costs.sums(book.conn, ticket.id)
    levels = levels_of(book.conn, plant, ticket, total)[1]
    last = newest_of(book.conn, ticket.id)
    same = last is not None and (last.cents, last.basis) == (total.amount_cents, total.basis)
    waits = last is not None and last.state is RequestState.PENDING
    refused = last is not None and last.state is RequestState.REFUSED
    if levels and same and (waits or (refused and not anew)):
        return last
    if last is not None and waits:
        _settle(book, last, RequestState.SUPERSEDED)
    if not levels:
        return None
    asked = Request(
        id=book.next_number("cost_request"),
        ticket=ticket.id,
        cents=total.amount_cents,
        basis=total.basis,
        levels=tuple(level.code for level in levels),
        level=levels[0].code,
        reason=reason.strip(),
        asked_by=actor,
        asked_ns=book.now_ns,
        since_ns=book.now_ns,
    )
    row = {column.name: getattr(asked, column.name) for column in cost_request.columns}
    row |= {"levels": to_json(asked.levels), "state": str(asked.state)}
    book.conn.execute(insert(cost_request).values(row))
    _said(book, ticket, asked, "cost_asked", actor=actor, reason=asked.reason, channel=channel)
    _ask(book, plant, asked)
    return asked


def decide(
    book: Book,
    plant: Plant,
    asked: Request,
    verdict: Verdict,
    *,
    level: str,
    note: str,
    actor: str,
    channel: str,
) -> Request:
    """One level agrees, or refuses with its reason. The ticket must be locked.

    DeedRefused: `cost_request_settled`, `level_decided` (somebody was quicker), `own_approval`, `not_the_approver`.
    """
    asked, ticket = numbered(book.conn, asked.id), book.ticket(asked.ticket)
    if verdict is Verdict.REFUSED and (not note.strip() or is_vague(note)):
        raise StepRefused("refuse", ticket.state, [Missing("reason", "vague" if note.strip() else "absent")])
    may = _must_be_theirs(book, plant, ticket, asked, level=level, actor=actor)
    how = may[actor] if may is not None else None
    said = Decision(
        request=asked.id,
        level=level,
        ticket=ticket.id,
        cents=asked.cents,
        verdict=verdict,
        by=actor,
        via=how.via if how else Via.OWN,
        on_behalf_of=how.on_behalf_of if how else None,
        note=note.strip(),
        at_ns=book.now_ns,
    )
    row = {column.name: getattr(said, column.name) for column in cost_decision.columns}
    book.conn.execute(insert(cost_decision).values(row | {"verdict": str(verdict), "via": str(said.via)}))
    cancel(book, TIMER, _subject(asked))
    return _after(book, plant, ticket, asked, said, channel=channel)


def remind(book: Book, plant: Plant, timer: Timer) -> None:
    """A level has said nothing: it hears of it again (step 0), then the level after it, or who administers, too."""
    asked = numbered(book.conn, int(timer.subject.rpartition("/")[2]))
    lock(book.conn, asked.ticket)
    if asked.level is None:
        return
    ticket, roster = book.ticket(asked.ticket), roster_of(book.conn, plant, book.now_ns)
    people = present(who_decides(book.conn, plant, ticket, asked, book.now_ns), roster)
    if timer.step:
        following = asked.levels[timer.cycle + 1 : timer.cycle + 2]
        level = plant.approvals.level(following[0]) if following else None
        people += present(deciders(level, ticket.line, roster), roster)
    actor = f"rule/{TIMER}"
    ticket = _said(book, ticket, asked, "cost_waits", actor=actor, reason="", channel=MACHINE)
    book.tell(ticket, "ticket.cost_waits", people, _told(plant, asked, actor, asked.reason))


def _must_be_theirs(
    book: Book, plant: Plant, ticket: Ticket, asked: Request, *, level: str, actor: str
) -> Authorities:
    """By what right each may decide; DeedRefused if it is not that level's turn, or not that person's."""
    if asked.state is not RequestState.PENDING:
        raise DeedRefused("cost_request_settled", f"request {asked.id} is {asked.state}: look again")
    if level != asked.level:
        raise DeedRefused("level_decided", f"it is not {level}'s turn: {asked.level} is asked now")
    if actor == asked.asked_by and not plant.approvals.own_costs:
        raise DeedRefused("own_approval", "who asks cannot decide: another person has to")
    may = who_decides(book.conn, plant, ticket, asked, book.now_ns)
    if may is not None and actor not in may:
        names = ", ".join(sorted(may)) or "nobody"
        raise DeedRefused("not_the_approver", f"{actor} may not decide {level}; these may: {names}")
    return may


def _ask(book: Book, plant: Plant, asked: Request) -> None:
    """Tell the level whose turn it is, and begin its time."""
    ticket, place = book.ticket(asked.ticket), asked.levels.index(asked.level or "")
    may = who_decides(book.conn, plant, ticket, asked, book.now_ns)
    people = present(may, roster_of(book.conn, plant, book.now_ns))
    book.tell(ticket, "ticket.cost_asked", people, _told(plant, asked, asked.asked_by, asked.reason))
    level = plant.approvals.level(asked.level or "")
    span_ns = round((level.remind_h if level else DEFAULT_H) * HOUR_NS)
    for step in (0, 1):
        due_ns = book.now_ns + (step + 1) * span_ns
        set_timer(book, Timer(TIMER, _subject(asked), due_ns, step=step, cycle=place))


def _after(
    book: Book, plant: Plant, ticket: Ticket, asked: Request, said: Decision, *, channel: str
) -> Request:
    """What follows from a decision: the next level's turn, or the end."""
    place = asked.levels.index(said.level) + 1
    action = f"cost_{said.verdict}"
    ticket = _said(book, ticket, asked, action, actor=said.by, reason=said.note, channel=channel)
    if said.verdict is Verdict.GRANTED and place < len(asked.levels):
        turn = {"level": asked.levels[place], "since_ns": book.now_ns}
        book.conn.execute(update(cost_request).where(cost_request.c.id == asked.id).values(turn))
        asked = numbered(book.conn, asked.id)
        _ask(book, plant, asked)
        return asked
    _settle(book, asked, RequestState(said.verdict))
    people = (asked.asked_by, ticket.assignee)
    book.tell(ticket, f"ticket.{action}", people, _told(plant, asked, said.by, said.note))
    return numbered(book.conn, asked.id)


def _settle(book: Book, asked: Request, state: RequestState) -> None:
    settled = {"state": str(state), "level": None, "settled_ns": book.now_ns}
    book.conn.execute(update(cost_request).where(cost_request.c.id == asked.id).values(settled))
    cancel(book, TIMER, _subject(asked))


def _said(
    book: Book, ticket: Ticket, asked: Request, action: str, *, actor: str, reason: str, channel: str
) -> Ticket:
    return book.record(
        ticket,
        action=action,
        actor=actor,
        channel=channel,
        reason=reason,
        numbers={"cents": float(asked.cents)},
        evidence=(f"CR-{asked.id}", asked.level or ""),
    )


def _told(plant: Plant, asked: Request, actor: str, reason: str) -> dict[str, Json]:
    return {
        "actor": actor,
        "reason": reason,
        "request": asked.id,
        "level": asked.level or "",
        "cents": asked.cents,
        "currency": plant.currency,
    }


def _subject(asked: Request) -> str:
    return f"cost_request/{asked.id}"
