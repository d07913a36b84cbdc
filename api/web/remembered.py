"""What earlier tickets teach about this one: what fixed it last time on this machine, and which causes are likely."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from sqlalchemy import Connection, select

from andon.events import SECOND_NS, Family
from api.visit import Visit
from api.web.history import cause_label
from api.web.wording import person_name
from ticketing.causes import causes_of
from ticketing.tables import ticket as ticket_table
from ticketing.ticket import NOT_A_FAILURE, Ticket, TicketState

LIKELY = 3
_LOOKED_THROUGH = 200
_USUAL: Mapping[Family, Sequence[str]] = {
    Family.MACHINE_CONDITION: ("3.4", "3.3", "2.2"),
    Family.STOP: ("3.2", "5.4", "3.4"),
    Family.DATA_QUALITY: ("6.1", "6.2", "6.3"),
}
"""Where nothing is known yet: wear, maintenance and installation; operation and what feeds it; the sensor itself."""
_ELSE = ("3.4", "3.2", "5.1")


@dataclass(frozen=True, slots=True)
class LastTime:
    """How the last ticket that was like this one was solved; `minutes` from taking it on to done."""

    ticket: int
    number: str
    summary: str
    cause: str
    who: str
    at_ns: int
    minutes: int | None


@dataclass(frozen=True, slots=True)
class Solved:
    """What is remembered of a closed ticket: what it was about, what it turned out to be, who solved it."""

    id: int
    number: str
    component: str
    condition: str
    cause: str
    summary: str
    handler: str | None
    accepted_ns: int | None
    resolved_ns: int
    closed_ns: int | None


_C = ticket_table.c
_REPAIRED = (
    select(_C.state, _C.closure, *(_C[one.name] for one in fields(Solved)))
    .where(_C.resolved_ns.is_not(None))
    .order_by(_C.resolved_ns.desc())
    .limit(_LOOKED_THROUGH)
)


def closed_like(conn: Connection, ticket: Ticket) -> list[Solved]:
    """What of the machine's last repairs is closed with a cause, those most like this ticket first, then the newest."""
    if not ticket.asset:
        return []
    solved = [
        Solved(*known)
        for state, closure, *known in conn.execute(_REPAIRED.where(_C.asset == ticket.asset))
        if state == TicketState.CLOSED and closure not in NOT_A_FAILURE
    ]
    like = [one for one in solved if one.id != ticket.id and one.cause]
    return sorted(like, key=lambda one: (-_likeness(one, ticket), -one.resolved_ns))


def last_time(like: Sequence[Solved], ticket: Ticket, visit: Visit) -> LastTime | None:
    """What fixed the same trouble last time; of another trouble nothing is said."""
    found = next((one for one in like if one.summary and _likeness(one, ticket) > 1), None)
    if found is None:
        return None
    return LastTime(
        ticket=found.id,
        number=found.number,
        summary=found.summary,
        cause=cause_label(found.cause, visit),
        who=person_name(found.handler, visit.plant),
        at_ns=found.closed_ns or 0,
        minutes=_minutes(found),
    )


def likely_causes(like: Sequence[Solved], ticket: Ticket, visit: Visit) -> list[tuple[str, str]]:
    """The likeliest causes, code and label: those of tickets like it, weighed by how like, then the usual ones."""
    known = causes_of(visit.plant)
    weights: Counter[str] = Counter()
    for one in like:
        weights[one.cause] += _likeness(one, ticket)
    ranked = [code for code, _ in weights.most_common()]
    ranked += [*_USUAL.get(ticket.headline.family, ()), *_ELSE]
    told = dict.fromkeys(code for code in ranked if code in known and not known[code].retired)
    return [(code, cause_label(code, visit)) for code in list(told)[:LIKELY]]


def _likeness(one: Solved, other: Ticket) -> int:
    """4 for the same condition of the same component, 3 for the same condition, 2 for the component, 1 for the machine."""
    condition = one.condition == other.headline.condition
    component = one.component == other.headline.component
    return 1 + component + 2 * condition


def _minutes(solved: Solved) -> int | None:
    """From taking it on to done; None where nobody said that it was taken on."""
    if solved.accepted_ns is None:
        return None
    return max(0, solved.resolved_ns - solved.accepted_ns) // (60 * SECOND_NS)
