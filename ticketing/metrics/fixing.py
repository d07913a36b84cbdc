"""How well the work was done: fixed the first time, signed for at once, not come back, and of which causes."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, case, exists, func, literal, null, select, union_all

from andon.events import HOUR_NS
from ticketing.metrics.cohorts import (
    CLOSED,
    WORKED_ON,
    closed,
    did,
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
from ticketing.tables import failure, ticket

OBSERVED_NS = 30 * DAY_NS
"""So long after its closing a ticket is watched for a relapse."""
TOP = 3
_REQUEST = str(Step.RESOLVE)
_ANSWERS = tuple(str(step) for step in (Step.SIGN, Step.CLOSE_UNSIGNED, Step.REJECT, Step.FAIL_AGAIN))


def first_time_fix(asked: Question) -> Select[Any]:
    """K1: of those accepted, closed without reopening, on one visit, and not failed again."""
    visits = did(Step.ARRIVE, from_ns=asked.span.from_ns).group_by(e.ticket).having(func.count() > 1)
    failed = t.id.in_(_failed_again(asked))
    fixed = and_(CLOSED, t.reopen_count == 0, t.id.not_in(visits), ~failed, ~_came_back())
    watched = asked.now_ns < asked.span.to_ns + OBSERVED_NS
    amount = case((fixed, 1), (~CLOSED, null() if watched else 0), else_=0)
    return first(Step.ACCEPT, amount, asked)


def _came_back() -> ColumnElement[bool]:
    """A later ticket of the same cause key, within 30 days of closing."""
    later = ticket.alias("later")
    soon = later.c.opened_ns <= t.closed_ns + OBSERVED_NS
    return exists().where(later.c.recurrence_of == t.id, soon, ~no_fault(later.c)).correlate(ticket)


def _failed_again(asked: Question) -> Select[Any]:
    """Tickets of a failure whose machine failed again within the 72 h of the repeat rule after the repair (4.4)."""
    f, within_ns = failure.c, round(asked.plant.repeats.within_h * HOUR_NS)
    joined = failure.join(ticket, t.id == f.ticket)
    repairs = select(t.id.label("ticket"), t.asset, t.resolved_ns.label("at_ns"), literal(1).label("kind"))
    failures = select(f.ticket, f.asset, f.start_ns.label("at_ns"), literal(0).label("kind")).select_from(
        joined
    )
    marks = union_all(
        repairs.where(t.resolved_ns >= asked.span.from_ns, t.id.in_(select(f.ticket))),
        failures.where(f.start_ns > asked.span.from_ns, ~no_fault()),
    ).subquery()
    return _followed(marks, (marks.c.asset,), within_ns)


def _followed(marks: Any, same: Sequence[Any], within_ns: int) -> Select[Any]:
    """The tickets whose mark of kind 1 is followed by one of kind 0, of the same, within that time: one sort, no search.

    At the same moment, what begins stands before what ends: nothing follows itself.
    """
    m = marks.c
    begins_ns = case((m.kind == 0, m.at_ns))
    following = func.min(begins_ns).over(partition_by=same, order_by=(m.at_ns, m.kind), rows=(1, None))
    ahead = select(m.ticket, m.kind, m.at_ns, following.label("next_ns")).subquery().c
    return select(ahead.ticket).where(ahead.kind == 1, ahead.next_ns <= ahead.at_ns + within_ns)


def recurrence(asked: Question) -> Select[Any]:
    """K8: of those closed, the same root cause of the same requester (else machine) again within 30 days."""
    return closed(flag(t.id.in_(_recurred(asked))), asked)


def _recurred(asked: Question) -> Select[Any]:
    """The tickets closed in the period whose cause opened another one in time."""
    known = t.cause.is_not(None) & t.cause.not_in(sorted(UNKNOWN)) & ~no_fault() & subject().is_not(None)
    until_ns = asked.span.to_ns + OBSERVED_NS
    same = (t.id.label("ticket"), subject().label("subject"), t.cause.label("cause"))
    ended_ns = case((t.closed_ns < t.opened_ns, t.opened_ns), else_=t.closed_ns)  # none is its own relapse
    closings = select(*same, ended_ns.label("at_ns"), literal(1).label("kind"))
    openings = select(*same, t.opened_ns.label("at_ns"), literal(0).label("kind"))
    marks = union_all(
        closings.where(known, t.closure.in_(WORKED_ON), within(t.closed_ns, asked)),
        openings.where(known, t.opened_ns > asked.span.from_ns, t.opened_ns <= until_ns),
    ).subquery()
    return _followed(marks, (marks.c.subject, marks.c.cause), OBSERVED_NS)


def accepted_at_once(asked: Question) -> Select[Any]:
    """K9: of the first sign-off requests, signed. One that a new failure made void is no request (4.3)."""
    steps = _sign_offs(asked)
    s = steps.c
    answer = func.lead(s.action).over(partition_by=s.ticket, order_by=s.seq)
    answered = select(s.ticket, s.seq, s.at_ns, s.action, answer.label("answer")).subquery().c
    place = func.row_number().over(partition_by=answered.ticket, order_by=answered.seq)
    requests = (
        select(answered.ticket, answered.at_ns, answered.answer, place.label("place"))
        .where(answered.action == _REQUEST, func.coalesce(answered.answer, "") != str(Step.FAIL_AGAIN))
        .subquery()
    )
    r, waits = requests.c, asked.now_ns < asked.span.to_ns + OBSERVED_NS
    amount = case((r.answer == str(Step.SIGN), 1), (r.answer.is_(None), null() if waits else 0), else_=0)
    wanted = select(*row(amount)).select_from(requests.join(ticket, t.id == r.ticket))
    return wanted.where(r.place == 1, within(r.at_ns, asked), *asked.wheres)


def _sign_offs(asked: Question) -> Any:
    """Requests and their answers since the period began; of tickets that are older, all of them."""
    steps = select(e.ticket, e.seq, e.at_ns, e.action).where(e.action.in_((_REQUEST, *_ANSWERS)))
    begin_ns = asked.span.from_ns
    inside = did(_REQUEST).where(within(e.at_ns, asked))
    older = select(t.id).where(t.id.in_(inside), t.opened_ns < begin_ns)
    return union_all(
        steps.where(e.at_ns >= begin_ns), steps.where(e.at_ns < begin_ns, e.ticket.in_(older))
    ).subquery()


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
