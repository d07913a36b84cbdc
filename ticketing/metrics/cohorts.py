"""Which tickets a metric looks at: those opened, closed, dispatched or accepted in its time; and what it leaves out."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, case, exists, func, literal, or_, select

from ticketing.metrics.metric import Question
from ticketing.tables import ticket, ticket_event
from ticketing.ticket import NOT_A_FAILURE, Closure, Outcome, TicketState

t, e = ticket.c, ticket_event.c
WORKED_ON = (str(Closure.SIGNED), str(Closure.UNSIGNED))
COMPLAINT = "customer_complaint"
CLOSED = t.state == str(TicketState.CLOSED)
Amount = ColumnElement[Any]


def no_fault(of: Any = t) -> ColumnElement[bool]:
    """A duplicate, a false alarm, or cancelled: out of every denominator, and shown beside it (4.9)."""
    return or_(
        func.coalesce(of.closure, "").in_(sorted(map(str, NOT_A_FAILURE))),
        func.coalesce(of.outcome, "") == str(Outcome.FALSE_ALARM),
    )


def flag(condition: ColumnElement[bool]) -> Amount:
    """1 where it holds, else 0."""
    return case((condition, 1), else_=0)


def row(
    amount: Amount, *, item: Amount | None = None, aside: ColumnElement[bool] | None = None
) -> Sequence[Any]:
    """The columns of a metric's rows, for a select that has the ticket in it; duplicates and false alarms stand aside."""
    return (
        t.id.label("ticket"),
        (literal(0) if item is None else item).label("item"),
        amount.label("amount"),
        flag(no_fault() if aside is None else aside).label("aside"),
    )


def within(at: ColumnElement[Any], asked: Question) -> ColumnElement[bool]:
    """Whether a time lies in the period."""
    return (at >= asked.span.from_ns) & (at < asked.span.to_ns)


def opened(amount: Amount, asked: Question, **more: Any) -> Select[Any]:
    """Of all tickets that were opened in the period."""
    return select(*row(amount, **more)).where(within(t.opened_ns, asked), *asked.wheres)


def closed(amount: Amount, asked: Question) -> Select[Any]:
    """Of all tickets that were closed in the period, signed or unsigned."""
    done = or_(t.closure.in_(WORKED_ON), no_fault())
    return select(*row(amount)).where(within(t.closed_ns, asked), CLOSED, done, *asked.wheres)


def first(action: str, amount: Amount, asked: Question, **more: Any) -> Select[Any]:
    """Of all tickets to which that was done in the period for the first time."""
    done = did(action).where(within(e.at_ns, asked)).distinct().subquery()
    begin_ns = asked.span.from_ns
    before = ticket_event.alias("before").c
    # by the ticket's few lines, not by all of that action: so the action is no bare column
    by_ticket = (before.ticket == t.id, before.action + "" == action)
    earlier = exists().where(*by_ticket, before.at_ns < begin_ns)
    wanted = select(*row(amount, **more)).select_from(done.join(ticket, t.id == done.c.ticket))
    return wanted.where(or_(t.opened_ns >= begin_ns, ~earlier.correlate(ticket)), *asked.wheres)


def did(*actions: str, from_ns: int | None = None) -> Select[Any]:
    """The tickets to which one of these things was done (since then), a row for each time; answered by an index alone."""
    done = select(e.ticket).where(e.action.in_(actions))
    return done if from_ns is None else done.where(e.at_ns >= from_ns)


def subject(of: Any = t) -> Amount:
    """Whom a fault befell: the requester of what a person reported, else the machine; null where neither is known."""
    by_person = or_(of.reporter.is_not(None), of.phone.is_not(None)) & of.requester.is_not(None)
    return case((by_person, "p/" + of.requester), (of.asset != "", "a/" + of.asset), else_=None)
