"""What earlier tickets teach about this one: what fixed it last time on this machine, and which causes are likely."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from andon.events import SECOND_NS, Family
from api.visit import Visit
from api.web.history import cause_label
from api.web.wording import person_name
from ticketing import store
from ticketing.causes import causes_of
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


def closed_like(conn: Connection, ticket: Ticket) -> list[Ticket]:
    """Closed tickets with a cause of the machine, those most like this one first, then the newest."""
    if not ticket.asset:
        return []
    wanted = store.Filter(states=(TicketState.CLOSED,), asset=ticket.asset)
    page = store.tickets(conn, wanted, sort=store.Sort.NEWEST, limit=_LOOKED_THROUGH)
    solved = [
        one for one in page.tickets if one.id != ticket.id and one.cause and one.closure not in NOT_A_FAILURE
    ]
    return sorted(solved, key=lambda one: (-_likeness(one, ticket), -one.id))


def last_time(like: Sequence[Ticket], ticket: Ticket, visit: Visit) -> LastTime | None:
    """What fixed the same trouble last time; of another trouble nothing is said."""
    found = next((one for one in like if one.summary and _likeness(one, ticket) > 1), None)
    if found is None:
        return None
    return LastTime(
        ticket=found.id,
        number=found.number,
        summary=found.summary,
        cause=cause_label(found.cause, visit) if found.cause else "",
        who=person_name(found.handler, visit.plant),
        at_ns=found.closed_ns or 0,
        minutes=_minutes(found),
    )


def likely_causes(like: Sequence[Ticket], ticket: Ticket, visit: Visit) -> list[tuple[str, str]]:
    """The likeliest causes, code and label: those of tickets like it, weighed by how like, then the usual ones."""
    known = causes_of(visit.plant)
    weights: Counter[str] = Counter()
    for one in like:
        weights[one.cause or ""] += _likeness(one, ticket)
    ranked = [code for code, _ in weights.most_common()]
    ranked += [*_USUAL.get(ticket.headline.family, ()), *_ELSE]
    told = dict.fromkeys(code for code in ranked if code in known and not known[code].retired)
    return [(code, cause_label(code, visit)) for code in list(told)[:LIKELY]]


def _likeness(one: Ticket, other: Ticket) -> int:
    """4 for the same condition of the same component, 3 for the same condition, 2 for the component, 1 for the machine."""
    condition = one.headline.condition == other.headline.condition
    component = one.headline.component == other.headline.component
    return 1 + component + 2 * condition


def _minutes(ticket: Ticket) -> int | None:
    """From taking it on to done; None where one of these was not said."""
    if ticket.accepted_ns is None or ticket.resolved_ns is None:
        return None
    return max(0, ticket.resolved_ns - ticket.accepted_ns) // (60 * SECOND_NS)
