"""What was folded into a ticket, why, and how it comes apart again: its causes, to be split off, or the merge taken back."""

from collections.abc import Mapping
from dataclasses import dataclass

from andon.access.roles import Right
from andon.events import Json
from api.visit import Visit
from api.web.history import Folded, folded
from api.web.wording import asset_name, component_name
from ticketing import store
from ticketing.ticket import UNRESOLVED, Closure


@dataclass(frozen=True, slots=True)
class Cause:
    """One cause that lies on a ticket: what its events say, where, and since when."""

    key: str
    what: str
    where: str
    since_ns: int


def folding_of(detail: store.TicketDetail, visit: Visit) -> dict[str, Json]:
    """What the page shows of it, and whether the visitor may split, unmerge and see messages."""
    ticket = detail.ticket
    plans = visit.may(Right.PLAN)
    told = {one.finding: folded(one, visit) for one in detail.occurrences}
    return {
        "occurrences": list(told.values()),
        "occurrences_left": max(0, ticket.occurrence_count - len(told)),
        "causes": [_cause(one, detail, told, visit) for one in detail.keys],
        "may_split": plans and ticket.state in UNRESOLVED,
        "may_unmerge": plans and ticket.closure is Closure.DUPLICATE,
        "may_see_messages": visit.may(Right.REDRIVE) and visit.context.journals is not None,
    }


def _cause(
    held: store.HeldKey, detail: store.TicketDetail, told: Mapping[str, Folded], visit: Visit
) -> Cause:
    """By the events that are shown of it; by what its key was made of where none is."""
    of_it = [one for one in detail.occurrences if one.key == held.key]
    names = dict.fromkeys(told[one.finding].what for one in of_it)
    what = visit.words("list.and").join(names) or " · ".join(v for v in held.inputs.values() if v)
    component = of_it[0].component if of_it else held.inputs.get("component", "")
    machine = detail.ticket.asset
    places = [asset_name(visit.plant.asset(machine), machine, visit.words)] if machine else []
    places += [component_name(component, visit.words)] if component else []
    return Cause(held.key, what, " · ".join(places), held.anchor_ns)
