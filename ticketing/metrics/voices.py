"""What those say who wait: what they see of the work, how often they ask and complain, whether they would recommend us."""

from typing import Any

from sqlalchemy import Select, case, func, literal, select

from ticketing.knowledge.tables import citation
from ticketing.metrics.cohorts import COMPLAINT, closed, flag, no_fault, opened, row, subject, t, within
from ticketing.metrics.fixing import OBSERVED_NS
from ticketing.metrics.metric import Question
from ticketing.tables import ticket
from ticketing.ticket import Closure
from ticketing.voice.tables import enquiry, nps_answer

CHASED = 2
"""So many enquiries by a requester make a chase."""
NO_PROGRESS = "no_progress"
"""The fault of a complaint that nobody was told how the work stands."""
_NEVER = literal(value=False)


def traced(asked: Question) -> Select[Any]:
    """K3: of the nodes that a requester has to pass, those with a complete record: who signed, how and when."""
    signed = (t.closure == str(Closure.SIGNED)) & t.signer.is_not(None) & t.signed_by.is_not(None)
    return closed(flag(signed), asked)


def chased(asked: Question) -> Select[Any]:
    """K4: of those opened, asked after twice or more; what is asked within ten minutes is one enquiry."""
    q = enquiry.c
    often = select(q.ticket).where(q.counted.is_(True)).group_by(q.ticket).having(func.count() >= CHASED)
    return opened(flag(t.id.in_(often)), asked)


def cited(asked: Question) -> Select[Any]:
    """K6: of those closed, citing an article of the knowledge base."""
    return closed(flag(t.id.in_(select(citation.c.ticket))), asked)


def enquiries(asked: Question) -> Select[Any]:
    """How often somebody asked where the work stands."""
    q = enquiry.c
    wanted = select(*row(literal(1), item=q.id, aside=_NEVER)).select_from(
        enquiry.join(ticket, t.id == q.ticket)
    )
    return wanted.where(within(q.at_ns, asked), q.counted.is_(True), *asked.wheres)


def complaints_repeated(asked: Question) -> Select[Any]:
    """Complaints: the same requester (else machine) had complained of the same fault in the 30 days before."""
    same = subject(), func.coalesce(t.fault_type, "")
    before_ns = func.lag(t.opened_ns).over(partition_by=same, order_by=(t.opened_ns, t.id))
    told = t.opened_ns >= asked.span.from_ns - OBSERVED_NS, t.opened_ns < asked.span.to_ns
    repeats = (
        select(t.id, (t.opened_ns - before_ns).label("after_ns"))
        .where(*told, t.type == COMPLAINT, ~no_fault(), subject().is_not(None))
        .subquery()
    )
    again = select(repeats.c.id).where(repeats.c.after_ns <= OBSERVED_NS)
    return opened(flag(t.id.in_(again)), asked).where(t.type == COMPLAINT)


def complaints_of_silence(asked: Question) -> Select[Any]:
    """Complaints: that nobody was told how the work stands."""
    silence = func.coalesce(t.fault_type, "") == NO_PROGRESS
    return opened(flag(silence), asked).where(t.type == COMPLAINT)


def recommended(asked: Question) -> Select[Any]:
    """NPS: promoters (9 and 10) less detractors (0 to 6) of all who answered."""
    n = nps_answer.c
    amount = case((n.score >= 9, 1), (n.score <= 6, -1), else_=0)
    joined = nps_answer.join(ticket, t.id == n.ticket)
    wanted = select(*row(amount, item=n.cycle, aside=_NEVER)).select_from(joined)
    return wanted.where(within(n.at_ns, asked), *asked.wheres)
