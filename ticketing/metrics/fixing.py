"""How well the work was done: fixed the first time, signed for at once, not come back, and of which causes."""

from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, null, select, union_all

from andon.events import HOUR_NS
from ticketing.metrics.cohorts import (
    CLOSED,
    WORKED_ON,
    closed,
    e,
    first,
    flag,
    no_fault,
    row,
    subject,
    t,
    within,
)
from ticketing.metrics.metric import DAY_NS, Question
from ticketing.monthly import UNKNOWN
from ticketing.problem_tables import named_cause
from ticketing.states import Step
from ticketing.tables import failure, ticket, ticket_event

OBSERVED_NS = 30 * DAY_NS
"""So long after its closing a ticket is watched for a relapse."""
TOP = 3
_REQUEST = str(Step.RESOLVE)
_ANSWERS = tuple(str(step) for step in (Step.SIGN, Step.CLOSE_UNSIGNED, Step.REJECT, Step.FAIL_AGAIN))


def first_time_fix(asked: Question) -> Select[Any]:
    """K1: of those accepted, closed without reopening, on one visit, and not failed again."""
    fixed = and_(CLOSED, t.reopen_count == 0, _visits() <= 1, ~_came_back(), ~_failed_again(asked))
    watched = asked.now_ns < asked.span.to_ns + OBSERVED_NS
    amount = case((fixed, 1), (~CLOSED, null() if watched else 0), else_=0)
    return first(Step.ACCEPT, amount, asked)


def _visits() -> ColumnElement[Any]:
    visit = ticket_event.alias("visit")
    of_ticket = visit.c.ticket == t.id, visit.c.action == str(Step.ARRIVE)
    return select(func.count()).where(*of_ticket).correlate(ticket).scalar_subquery()


def _came_back() -> ColumnElement[bool]:
    """A later ticket of the same cause key, within 30 days of closing."""
    later = ticket.alias("later")
    soon = later.c.opened_ns <= t.closed_ns + OBSERVED_NS
    return exists().where(later.c.recurrence_of == t.id, soon, ~no_fault(later.c)).correlate(ticket)


def _failed_again(asked: Question) -> ColumnElement[bool]:
    """A failure of the machine that was mended, within the 72 h of the repeat rule after its repair (4.4)."""
    mine, other, told = failure.alias("mine"), failure.alias("other"), ticket.alias("told")
    within_ns = round(asked.plant.repeats.within_h * HOUR_NS)
    again = exists().where(
        other.c.asset == t.asset,
        other.c.start_ns > t.resolved_ns,
        other.c.start_ns <= t.resolved_ns + within_ns,
        told.c.id == other.c.ticket,
        ~no_fault(told.c),
    )
    return and_(exists().where(mine.c.ticket == t.id).correlate(ticket), again.correlate(ticket))


def recurrence(asked: Question) -> Select[Any]:
    """K8: of those closed, the same root cause of the same requester (else machine) again within 30 days."""
    return closed(flag(t.id.in_(_recurred(asked))), asked)


def _recurred(asked: Question) -> Select[Any]:
    """The tickets closed in the period whose cause opened another one in time: closings and openings in one order."""
    known = t.cause.is_not(None) & t.cause.not_in(sorted(UNKNOWN)) & ~no_fault() & subject().is_not(None)
    until_ns = asked.span.to_ns + OBSERVED_NS
    same = (t.id.label("ticket"), subject().label("subject"), t.cause.label("cause"))
    ended_ns = case((t.closed_ns < t.opened_ns, t.opened_ns), else_=t.closed_ns)  # none is its own relapse
    closings = select(*same, ended_ns.label("at_ns"), literal(1).label("kind"), null().label("opened_ns"))
    openings = select(
        *same, t.opened_ns.label("at_ns"), literal(0).label("kind"), t.opened_ns.label("opened_ns")
    )
    marks = union_all(
        closings.where(known, t.closure.in_(WORKED_ON), within(t.closed_ns, asked)),
        openings.where(known, t.opened_ns > asked.span.from_ns, t.opened_ns <= until_ns),
    ).subquery()
    m = marks.c
    following = func.min(m.opened_ns).over(
        partition_by=(m.subject, m.cause), order_by=(m.at_ns, m.kind), rows=(1, None)
    )
    ahead = select(m.ticket, m.kind, m.at_ns, following.label("next_ns")).subquery()
    soon = ahead.c.next_ns <= ahead.c.at_ns + OBSERVED_NS
    return select(ahead.c.ticket).where(ahead.c.kind == 1, soon)


def accepted_at_once(asked: Question) -> Select[Any]:
    """K9: of the first sign-off requests, signed. One that a new failure made void is no request (4.3)."""
    asked_in = select(e.ticket).where(e.action == _REQUEST, within(e.at_ns, asked))
    steps = (
        select(
            *(e.ticket, e.seq, e.at_ns, e.action),
            func.lead(e.action).over(partition_by=e.ticket, order_by=e.seq).label("answer"),
        )
        .where(e.action.in_((_REQUEST, *_ANSWERS)), e.ticket.in_(asked_in))
        .subquery()
    )
    answer = func.coalesce(steps.c.answer, "")
    place = func.row_number().over(partition_by=steps.c.ticket, order_by=steps.c.seq)
    requests = (
        select(steps.c.ticket, steps.c.at_ns, steps.c.answer, place.label("place"))
        .where(steps.c.action == _REQUEST, answer != str(Step.FAIL_AGAIN))
        .subquery()
    )
    waits = asked.now_ns < asked.span.to_ns + OBSERVED_NS
    r = requests.c
    amount = case((r.answer == str(Step.SIGN), 1), (r.answer.is_(None), null() if waits else 0), else_=0)
    wanted = select(*row(amount)).select_from(requests.join(ticket, t.id == r.ticket))
    return wanted.where(r.place == 1, within(r.at_ns, asked), *asked.wheres)


def top_causes(asked: Question) -> Select[Any]:
    """K7: of those whose cause is known, the share of the three most frequent causes (4.9)."""
    c = named_cause.c
    joined = named_cause.join(ticket, t.id == c.ticket)
    named = within(c.resolved_ns, asked), *asked.wheres
    nameless = c.cause.in_(sorted(UNKNOWN)) | no_fault()
    top = (
        select(c.cause)
        .select_from(joined)
        .where(*named, ~nameless)
        .group_by(c.cause)
        .order_by(func.count().desc(), c.cause)
        .limit(TOP)
    )
    return select(*row(flag(c.cause.in_(top)), aside=nameless)).select_from(joined).where(*named)
