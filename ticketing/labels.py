"""What is known to have happened to machines: from the closures of tickets, and marked by people on a plot."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, insert, select
from sqlalchemy import delete as delete_rows

from andon.database import Machines, among
from andon.plant import Asset
from ticketing.tables import label as labels
from ticketing.tables import occurrence
from ticketing.ticket import Closure, Outcome, Ticket


class What(StrEnum):
    """What a stretch of time was, by somebody's word."""

    FAULT = "fault"
    FALSE_ALARM = "false_alarm"
    PLANNED = "planned"
    OPERATING_CHANGE = "operating_change"
    HEALTHY = "healthy"


NO_FAULT = frozenset({What.FALSE_ALARM, What.PLANNED, What.OPERATING_CHANGE, What.HEALTHY})
"""A ticket that opens in such a stretch is a false one."""

_OF_OUTCOME = {
    Outcome.FIXED: What.FAULT,
    Outcome.FALSE_ALARM: What.FALSE_ALARM,
    Outcome.PLANNED: What.PLANNED,
    Outcome.OPERATING_CHANGE: What.OPERATING_CHANGE,
}
_OF_CLOSURE = {
    Closure.SIGNED: What.FAULT,
    Closure.UNSIGNED: What.FAULT,
    Closure.FALSE_ALARM: What.FALSE_ALARM,
}


class LabelRefused(Exception):
    """What cannot be marked; the text says why."""


@dataclass(frozen=True, slots=True)
class Label:
    """What an asset, or one component of it, went through between two times; a fault ends with its failure or repair.

    `ticket` is the number of the ticket whose closure says so, None where a person marked it.
    """

    asset: str
    component: str | None
    from_ns: int
    to_ns: int
    what: What
    by: str
    note: str
    at_ns: int
    id: int = 0
    ticket: str | None = None


def outcome_of(ticket: Ticket) -> What | None:
    """What a closed ticket turned out to be: by its outcome, or where it has none by the way it was closed."""
    if ticket.outcome is not None:
        return _OF_OUTCOME.get(ticket.outcome)
    return _OF_CLOSURE.get(ticket.closure) if ticket.closure else None


def of_tickets(tickets: Sequence[Ticket]) -> list[Label]:
    """What the closures say: from the first event to the repair, or to the last event where nothing was repaired."""
    found = []
    for ticket in tickets:
        what = outcome_of(ticket)
        if what is None:
            continue
        to_ns = ticket.settled_ns if what is What.FAULT else ticket.last_event_ns
        found.append(
            Label(
                asset=ticket.asset,
                component=ticket.headline.component,
                from_ns=ticket.first_event_ns,
                to_ns=max(to_ns or 0, ticket.last_event_ns),
                what=what,
                by=ticket.signer or ticket.approver or "",
                note=ticket.closure_note,
                at_ns=ticket.closed_ns or 0,
                ticket=ticket.number,
            )
        )
    return found


def check_component(conn: Connection, asset: Asset, component: str | None) -> None:
    """LabelRefused if the asset has no such component: neither a point's, nor one that a finding ever named.

    A stop's component is its reason, which no document lists. A label that no ticket can match would count its fault
    as missed for ever.
    """
    found = conn.execute(select(occurrence.c.component).where(occurrence.c.asset == asset.id).distinct())
    known = {point.component for point in asset.points} | set(found.scalars())
    if component is not None and component not in known:
        near = difflib.get_close_matches(component, sorted(known), n=1, cutoff=0.5)
        said = f"; did you mean {near[0]!r}?" if near else f"; there is: {', '.join(sorted(known)[:20])}"
        raise LabelRefused(f"{asset.id} has no component {component[:64]!r}{said}")


def save(conn: Connection, label: Label) -> int:
    """Keep what a person marked, and give its number; LabelRefused if it ends before it begins or names nobody."""
    if label.to_ns <= label.from_ns:
        raise LabelRefused("a label ends after it begins")
    if not label.by.strip() or not label.asset.strip():
        raise LabelRefused("a label names its asset and who says so")
    row = {name: getattr(label, name) for name in labels.columns.keys() if name != "id"}  # noqa: SIM118
    row["what"] = str(label.what)
    return int(conn.execute(insert(labels).values(row).returning(labels.c.id)).scalar_one())


def remove(conn: Connection, number: int) -> bool:
    """Take a label back; False if there was none of that number."""
    return conn.execute(delete_rows(labels).where(labels.c.id == number)).rowcount > 0


def marked(conn: Connection, asset: str = "", machines: Machines = None) -> list[Label]:
    """What people marked, of one asset or of all that are seen, oldest first."""
    wanted = select(labels).where(among(labels.c.asset, machines)).order_by(labels.c.from_ns, labels.c.id)
    if asset:
        wanted = wanted.where(labels.c.asset == asset)
    return [Label(**{**row, "what": What(row["what"])}) for row in conn.execute(wanted).mappings()]
