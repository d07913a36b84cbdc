"""The fields of an open ticket are changed by people, each change on record with who and when (rule 42).

A priority that a person chose stays, also a lower one, until something graver is heard than all that had been by then.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TypedDict

from sqlalchemy import func, select

from andon.events import Json, Priority
from andon.plant import Plant
from ticketing.book import Book
from ticketing.dispatch import Dispatch
from ticketing.errors import FieldsRefused, Missing
from ticketing.report import wrong_fault, wrong_fields
from ticketing.service import Tickets
from ticketing.stepping import CONSOLE, look
from ticketing.tables import occurrence
from ticketing.ticket import Ticket, TicketState
from ticketing.urgency import ORDER


class Edit(TypedDict, total=False):
    """What is to be changed; what is left out stays. In `fields` None takes a value away."""

    type: str
    fault_type: str | None
    urgent: bool
    priority: Priority
    grade: str | None
    region: str
    fields: Mapping[str, Json]


WITH_REASON = frozenset({"type", "priority"})
"""Changes that move a ticket to other people or deadlines: refused without a reason."""
_ROUTED_BY = frozenset({"type", "fault_type", "urgent", "region", "priority"})


def edit(
    tickets: Tickets,
    ticket_id: int,
    wanted: Edit,
    *,
    reason: str,
    plant: Plant,
    actor: str,
    now_ns: int,
    expected_version: int,
    channel: str = CONSOLE,
) -> Ticket:
    """Change fields of an open ticket; FieldsRefused names each field that is wrong, StaleVersion who was faster.

    Where nobody has it yet, it is routed again: other work may be somebody else's.
    """
    with tickets.transaction(now_ns) as book:
        before = look(book, expected_version, ticket_id)
        after = _edited(book, before, wanted, plant)
        changed = {name for name in wanted if getattr(before, name) != getattr(after, name)}
        if wrong := _wrong(before, after, changed, reason, plant):
            raise FieldsRefused(wrong)
        if not changed:
            return before
        after = book.record(after, action="edited", actor=actor, channel=channel, reason=reason.strip())
        book.tell(after, "ticket.edited", (after.assignee, after.backup), {"reason": reason, "actor": actor})
        if after.state is TicketState.PENDING_DISPATCH and changed & _ROUTED_BY:
            after = Dispatch(book, plant).again(after, "edited")
    return after


def _edited(book: Book, ticket: Ticket, wanted: Edit, plant: Plant) -> Ticket:
    fields = {**ticket.fields, **wanted.get("fields", {})}
    changes: dict[str, Json] = {**wanted, "fields": {k: v for k, v in fields.items() if v is not None}}
    if "priority" in wanted:
        changes["priority_held"] = _gravest(book, ticket.id)
    kind = plant.ticket_type(changes.get("type", ticket.type))
    if kind is not None and kind.code != ticket.type:  # what the new type does not know stays in the audit
        changes["fields"] = {
            k: v for k, v in changes["fields"].items() if kind.field(k) or k in wanted.get("fields", {})
        }
    return replace(ticket, **changes)


def _gravest(book: Book, ticket_id: int) -> int:
    heard = select(func.max(occurrence.c.severity)).where(occurrence.c.ticket == ticket_id)
    return book.conn.execute(heard).scalar() or 0


def _wrong(before: Ticket, after: Ticket, changed: set[str], reason: str, plant: Plant) -> list[Missing]:
    if not before.is_open:
        return [Missing("state", "closed")]
    wrong = []
    kind = plant.ticket_type(after.type)
    if "type" in changed and (kind is None or kind.retired):
        wrong.append(Missing("type", "unknown" if kind is None else "retired"))
    if "fault_type" in changed and (why := wrong_fault(after.fault_type or "", plant)) is not None:
        wrong.append(Missing("fault_type", why))
    if after.priority not in ORDER:
        wrong.append(Missing("priority", "unknown"))
    if changed & WITH_REASON and not reason.strip():
        wrong.append(Missing("reason"))
    if kind is not None and "fields" in changed:
        asked = {name: value for name, value in after.fields.items() if before.fields.get(name) != value}
        wrong += wrong_fields(asked, kind)
    return wrong
