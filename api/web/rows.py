"""A ticket as one row of a list."""

from dataclasses import dataclass

from andon.events import Priority
from api.visit import Visit
from api.web.wording import asset_name, condition_name, message_in, person_name
from ticketing.ticket import Ticket, TicketState


@dataclass(frozen=True, slots=True)
class Row:
    """What a list shows of a ticket; `what` is its condition, or what a stop said."""

    id: int
    number: str
    priority: Priority
    state: TicketState
    what: str
    asset_name: str
    line: str
    who: str
    occurrence_count: int
    alarm_active: bool
    last_event_ns: int


def row_of(ticket: Ticket, visit: Visit) -> Row:
    """The ticket in the visitor's words."""
    name = condition_name(ticket.headline.condition, visit.words)
    message = message_in(ticket.headline.text, visit.words)
    return Row(
        id=ticket.id,
        number=ticket.number,
        priority=ticket.priority,
        state=ticket.state,
        what=visit.words("ticket.what_said", name=name, message=message) if message else name,
        asset_name=asset_name(visit.plant.asset(ticket.asset), ticket.asset, visit.words),
        line=ticket.line,
        who=person_name(ticket.assignee, visit.plant),
        occurrence_count=ticket.occurrence_count,
        alarm_active=ticket.alarm_active,
        last_event_ns=ticket.last_event_ns,
    )
