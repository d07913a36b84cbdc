"""Improvement tasks: what each repair named as its cause is counted by the month, and the third of a kind opens one."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from sqlalchemy import Connection, delete, select

from andon.events import Json
from andon.plant import Plant
from ticketing.book import Book
from ticketing.monthly import UNKNOWN, NamedCause, Span, counted, key_of, span_of, together, unknown_share
from ticketing.problem import Counted, Problem, ProblemKind, ProblemState
from ticketing.problem_clock import arrange, quality
from ticketing.problem_deeds import due_after
from ticketing.problem_news import tell
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.problem_steps import step_on
from ticketing.problem_store import of_period, of_ticket, open_of, record
from ticketing.problem_tables import named_cause, problem_counted
from ticketing.sql import Row, upsert
from ticketing.ticket import NOT_A_FAILURE, Ticket
from ticketing.timers import Timer, set_timer

CAUSE_NAMED, CAUSES_UNKNOWN = "cause.named", "causes.unknown"
BELOW = "below"
_ACTOR = "rule/three_a_month"
_MUTABLE = ("cause", "model", "component", "resolved_ns")


def name_cause(book: Book, before: Ticket, after: Ticket) -> None:
    """Have the cause of a ticket counted anew, if a step changed what it says about it."""
    said = [(one.resolved_ns, one.cause, one.closure) for one in (before, after)]
    if said[0] != said[1]:
        set_timer(book, Timer(CAUSE_NAMED, f"ticket/{after.id}", book.now_ns, cycle=after.audit_seq))


def cause_named(book: Book, plant: Plant, timer: Timer) -> None:
    """Count the ticket where it belongs now, and no more where it belonged."""
    ticket = book.ticket(int(timer.subject.partition("/")[2]))
    old, new = _stored(book.conn, ticket.id), _named(ticket, plant)
    if old == new:
        return
    if new is None:
        book.conn.execute(delete(named_cause).where(named_cause.c.ticket == ticket.id))
    else:
        upsert(book.conn, named_cause, [asdict(new)], _MUTABLE)
    for problem in of_ticket(book.conn, ticket.id):
        if problem.kind is ProblemKind.IMPROVEMENT:
            _leave(book, plant, problem, ticket.id, new)
    if new is not None and new.cause in UNKNOWN:
        _watch_unknown(book, plant, new)
    elif new is not None:
        _count(book, plant, new)


def _named(ticket: Ticket, plant: Plant) -> NamedCause | None:
    """What a ticket says about its cause; None if it is not repaired, or was no fault."""
    if ticket.resolved_ns is None or not ticket.cause or ticket.closure in NOT_A_FAILURE:
        return None
    asset = plant.asset(ticket.asset)
    model = (asset.model or asset.asset_class) if asset else ""
    return NamedCause(ticket.id, ticket.cause, model, ticket.headline.component, ticket.resolved_ns)


def _count(book: Book, plant: Plant, new: NamedCause) -> None:
    """Open the task that the cause asks for, or join the one that there is."""
    rules, zone = plant.repeats, plant.time_zone
    key, span = key_of(new, rules), span_of(new.resolved_ns, rules, zone)
    of_key = [one for one in _within(book.conn, span, new.cause) if key_of(one, rules) == key]
    members = counted(of_key, new.resolved_ns, rules, zone)
    found = open_of(book.conn, ProblemKind.IMPROVEMENT, key)
    watched_ns = found.watched_ns if found else None
    recurs = watched_ns is not None and new.resolved_ns >= watched_ns
    if len(members) < rules.improvement_at and not recurs:
        return
    if found is None and span.name is not None:
        found = of_period(book.conn, ProblemKind.IMPROVEMENT, key, span.name)
    if found is None:
        _open(book, plant, key, span, members)
        return
    joined = _join(book, plant, found, members or [new])
    if recurs:
        given = ProblemGiven(
            actor=_ACTOR,
            now_ns=book.now_ns,
            measured="recurred",
            evidence=(book.ticket(new.ticket).number,),
        )
        step_on(book, joined, ProblemStep.RECUR, given, plant, actor=_ACTOR)


def _open(book: Book, plant: Plant, key: str, span: Span, members: Sequence[NamedCause]) -> None:
    number = book.next_number("problem")
    new = Problem(
        id=number,
        number=f"IMP-{number}",
        kind=ProblemKind.IMPROVEMENT,
        scope=key,
        asset="",
        state=ProblemState.OPEN,
        opened_ns=book.now_ns,
        due_ns=due_after(book.now_ns, plant.repeats),
        period=span.name,
        counted=tuple(_links(number, members, book.now_ns)),
    )
    tickets = [book.ticket(one.ticket).number for one in members]
    new = record(
        book,
        new,
        before=None,
        action="opened",
        actor=_ACTOR,
        numbers={"n": len(members), "at": plant.repeats.improvement_at},
        evidence=tickets,
    )
    for link in new.counted:
        book.upsert(problem_counted, asdict(link), ("resolved_ns", "left_ns"))
    arrange(book, None, new, plant.repeats)
    book.counts["improvements_opened"] += 1
    tell(
        book,
        new,
        "improvement.opened",
        quality(book, plant, book.ticket(members[-1].ticket).line),
        actor=_ACTOR,
        reason=key,
    )


def _join(book: Book, plant: Plant, found: Problem, members: Sequence[NamedCause]) -> Problem:
    """Link what is not linked yet, or not any more; a task that rests on enough again is not flagged any more."""
    held = {one.ticket: one for one in found.counted if one.left_ns is None}
    joining = [m for m in members if m.ticket not in held or held[m.ticket].resolved_ns != m.resolved_ns]
    if not joining:
        return found
    links = list(_links(found.id, joining, book.now_ns))
    for link in links:
        book.upsert(problem_counted, asdict(link), ("resolved_ns", "linked_ns", "left_ns"))
    others = [one for one in found.counted if one.ticket not in {link.ticket for link in links}]
    after = replace(found, counted=(*others, *links))
    if after.review == BELOW and _enough(after, plant):
        after = replace(after, review="")
    evidence = [book.ticket(one.ticket).number for one in joining]
    return record(book, after, before=found, action="joined", actor=_ACTOR, evidence=evidence)


def _leave(book: Book, plant: Plant, found: Problem, ticket: int, new: NamedCause | None) -> None:
    """The ticket counts no more for this task, or for another time: flagged if too few are left, never deleted."""
    mine = next(one for one in found.counted if one.ticket == ticket)
    stays = new is not None and key_of(new, plant.repeats) == found.scope
    if mine.left_ns is not None or (stays and new is not None and new.resolved_ns == mine.resolved_ns):
        return
    left = replace(mine, left_ns=book.now_ns)
    book.upsert(problem_counted, asdict(left), ("left_ns",))
    after = replace(found, counted=tuple(left if one is mine else one for one in found.counted))
    if not _enough(after, plant) and not after.review:
        after = replace(after, review=BELOW)
    evidence = (book.ticket(ticket).number,)
    record(book, after, before=found, action="left", actor=_ACTOR, evidence=evidence)


def _enough(problem: Problem, plant: Plant) -> bool:
    times = [one.resolved_ns for one in problem.counted if one.left_ns is None]
    return together(times, plant.repeats, plant.time_zone) >= plant.repeats.improvement_at


def _links(problem: int, members: Sequence[NamedCause], now_ns: int) -> Iterator[Counted]:
    for one in members:
        yield Counted(problem, one.ticket, one.resolved_ns, now_ns)


def _watch_unknown(book: Book, plant: Plant, new: NamedCause) -> None:
    """Too many causes that name none are told, once a month, as soon as there are as many as a task would take."""
    span = span_of(new.resolved_ns, plant.repeats.model_copy(update={"period": "month"}), plant.time_zone)
    causes = [one.cause for one in _within(book.conn, span)]
    share = unknown_share(causes)
    unknown = sum(cause in UNKNOWN for cause in causes)
    if share > plant.repeats.unknown_share and unknown >= plant.repeats.improvement_at:
        body: dict[str, Json] = {"ticket": new.ticket, "share": share, "n": unknown, "of": len(causes)}
        set_timer(book, Timer(CAUSES_UNKNOWN, f"month/{span.name}", book.now_ns, body=body))


def causes_unknown(book: Book, plant: Plant, timer: Timer) -> None:
    """Tell the quality role that too many tickets of a month name no cause."""
    ticket = book.ticket(int(timer.body["ticket"]))
    content: dict[str, Json] = {
        "period": timer.subject.partition("/")[2],
        "share": timer.body["share"],
        "unknown": timer.body["n"],
        "causes": timer.body["of"],
    }
    people = quality(book, plant, ticket.line)
    book.tell(ticket, CAUSES_UNKNOWN, people, content, step=f"causes-unknown-{content['period']}")


def _stored(conn: Connection, ticket: int) -> NamedCause | None:
    row = conn.execute(select(named_cause).where(named_cause.c.ticket == ticket)).mappings().first()
    return NamedCause(**row) if row is not None else None


def _within(conn: Connection, span: Span, cause: str | None = None) -> Sequence[NamedCause]:
    c = named_cause.c
    wanted = select(named_cause).where(c.resolved_ns >= span.from_ns, c.resolved_ns < span.to_ns)
    if cause is not None:
        wanted = wanted.where(c.cause == cause)
    rows: Sequence[Row] = [dict(row) for row in conn.execute(wanted).mappings()]
    return [NamedCause(**row) for row in rows]
