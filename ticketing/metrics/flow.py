"""How the work flows: answered in time, sent to the right person, once, closed, and no report lost."""

from typing import Any

from sqlalchemy import BigInteger, Select, and_, case, cast, func, literal, null, or_, select

from ticketing.book import MACHINE
from ticketing.clock_tables import clock
from ticketing.clocks import NOT_A_DEED, REMARKS, ClockKind, ClockState
from ticketing.metrics.cohorts import CLOSED, did, first, flag, no_fault, opened, row, t, within
from ticketing.metrics.metric import Question
from ticketing.partners.tables import partner_sync
from ticketing.reports import AFTER_NS, fate, intake
from ticketing.states import Step
from ticketing.tables import occurrence, ticket, ticket_event
from ticketing.ticket import Closure, TicketState
from ticketing.voice.tables import acknowledgement

_NOT_ANSWERED = (str(ClockState.RUN), str(ClockState.PAUSED))
_NEVER = literal(value=False)


def answered_in_time(asked: Question) -> Select[Any]:
    """First-response attainment: of the response clocks that were due or answered, those within the SLA."""
    c = clock.c
    amount = case((c.state == str(ClockState.MET), 1), (c.state.in_(_NOT_ANSWERED), null()), else_=0)
    wanted = select(*row(amount)).select_from(ticket.join(clock, _OF_OPENING))
    return wanted.where(within(t.opened_ns, asked), c.state != str(ClockState.VOID), *asked.wheres)


def response(asked: Question) -> Select[Any]:
    """Mean response: from the opening to the first thing that a person did who works on it, wall clock.

    The response clock ends with that; where a ticket has none that was answered, its audit is read.
    """
    met = clock.c.state != str(ClockState.VOID)
    answered = func.coalesce(case((met, clock.c.ended_ns)), _first_deed())
    wanted = select(*row(answered - t.opened_ns)).select_from(ticket.outerjoin(clock, _OF_OPENING))
    return wanted.where(within(t.opened_ns, asked), *asked.wheres)


_OF_OPENING = and_(
    clock.c.ticket == t.id, clock.c.kind == str(ClockKind.RESPONSE), clock.c.from_ns == t.opened_ns
)


def _first_deed() -> Any:
    """When a person first did something to the ticket; as `ticketing.clocks.by_hand` says."""
    d = ticket_event.alias("deed").c
    own_remark = and_(
        d.action.in_(sorted(REMARKS)),
        or_(d.actor == t.requester, d.actor == t.reporter),
        d.actor != func.coalesce(t.assignee, ""),
    )
    by_hand = (
        d.ticket == t.id,
        d.from_state.is_not(None),
        d.channel != MACHINE,
        d.action.not_in(sorted(NOT_A_DEED)),
        d.actor.not_like("%/%"),
        ~func.coalesce(own_remark, False),
    )
    return select(func.min(d.at_ns)).where(*by_hand).correlate(ticket).scalar_subquery()


def closing(asked: Question) -> Select[Any]:
    """Closing rate: of those opened in the period, closed by now."""
    return opened(flag(CLOSED), asked)


def rightly_sent(asked: Question) -> Select[Any]:
    """Dispatch accuracy: of those dispatched, neither declined nor handed over; decided once somebody has accepted."""
    bounced = t.id.in_(did(Step.DECLINE, Step.TRANSFER, from_ns=asked.span.from_ns))
    waits = t.state.in_((str(TicketState.ASSIGNED), str(TicketState.PENDING_DISPATCH)))
    return first(Step.ASSIGN, case((bounced, 0), (waits, null()), else_=1), asked)


def _duplicate() -> Any:
    return flag(func.coalesce(t.closure, "") == str(Closure.DUPLICATE))


def duplicates(asked: Question) -> Select[Any]:
    """Duplicates: of all created, merged into another later."""
    return opened(_duplicate(), asked, aside=_NEVER)


def dispatched_twice(asked: Question) -> Select[Any]:
    """Duplicate dispatch: of all dispatched, those that turned out to be another's duplicate."""
    return first(Step.ASSIGN, _duplicate(), asked, aside=_NEVER)


def lost(asked: Question) -> Select[Any]:
    """Lost: of all reports that came in, those with neither ticket nor refusal (rule 13).

    What is counted are reports; of some tickets only, those that lie on them.
    """
    young = intake.c.at_ns > asked.now_ns - AFTER_NS
    amount = case((fate.c.report.is_not(None), 0), (young, null()), else_=1)
    columns = (
        cast(null(), BigInteger).label("ticket"),
        intake.c.id.label("item"),
        amount.label("amount"),
        literal(0).label("aside"),
    )
    joined = intake.outerjoin(fate, fate.c.report == intake.c.id)
    if asked.wheres:
        joined = joined.join(occurrence, occurrence.c.finding == fate.c.finding)
        joined = joined.join(ticket, t.id == occurrence.c.ticket)
    return select(*columns).select_from(joined).where(within(intake.c.at_ns, asked), *asked.wheres)


def acknowledged(asked: Question) -> Select[Any]:
    """K2: from what one department asks of another to its confirmation."""
    a = acknowledgement.c
    joined = acknowledgement.join(ticket, t.id == a.ticket)
    wanted = select(*row(a.acknowledged_ns - a.asked_ns, item=a.seq, aside=no_fault())).select_from(joined)
    return wanted.where(within(a.asked_ns, asked), a.void_ns.is_(None), *asked.wheres)


def out_of_sync(asked: Question) -> Select[Any]:
    """K5: of the tickets whose state a partner had to learn, those it did not confirm in time."""
    s = partner_sync.c
    failed, confirmed = func.count(s.failed_ns), func.count(s.confirmed_ns)
    amount = case((failed > 0, 1), (confirmed < func.count(), null()), else_=0)
    wanted = select(*row(amount, aside=_NEVER)).select_from(partner_sync.join(ticket, t.id == s.ticket))
    return wanted.where(within(s.changed_ns, asked), *asked.wheres).group_by(t.id)
