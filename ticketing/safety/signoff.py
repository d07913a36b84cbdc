"""Who ticked and signed what before work began: each item, by who has the ticket, anew in each round of the work."""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec
from sqlalchemy import Connection, RowMapping, select

from andon.plant import Plant
from andon.rules.safety import Before, Checklist
from ticketing.book import Book
from ticketing.errors import DeedRefused, Missing, NoEdge, StepRefused
from ticketing.safety.tables import signoff
from ticketing.sql import to_json
from ticketing.ticket import UNRESOLVED, Ticket

_ITEMS = msgspec.json.Decoder(tuple[dict[str, str], ...])


@dataclass(frozen=True, slots=True)
class Signed:
    """A checklist that was signed; `items` are its words at that time, in each language."""

    id: int
    ticket: int
    cycle: int
    checklist: str
    items: tuple[dict[str, str], ...]
    note: str
    by: str
    at_ns: int


def asked(plant: Plant, ticket: Ticket) -> Sequence[Checklist]:
    """The checklists that this ticket needs, in the order of the plant document."""
    asset = plant.asset(ticket.asset)
    criticality = asset.criticality if asset is not None else None
    return [one for one in plant.safety.checklists if one.applies(ticket.type, criticality)]


def lacking(conn: Connection, plant: Plant, ticket: Ticket, before: Before = "work") -> tuple[str, ...]:
    """Those of that moment that who has the ticket now has not signed in this round."""
    needed = [one.code for one in asked(plant, ticket) if one.before == before]
    if not needed:
        return ()
    done = {one.checklist for one in of_ticket(conn, ticket) if one.by == ticket.assignee}
    return tuple(code for code in needed if code not in done)


def sign(
    book: Book,
    plant: Plant,
    ticket: Ticket,
    code: str,
    *,
    ticked: Sequence[int],
    note: str,
    actor: str,
    channel: str,
) -> Ticket:
    """Sign one checklist, every item of it ticked by its place from 0; the ticket must be locked.

    DeedRefused (`not_asked_for`) if the ticket does not need it, StepRefused if an item is left, or it is not theirs.
    """
    if ticket.state not in UNRESOLVED:
        raise NoEdge(ticket.state, "safety", ())
    found = next((one for one in asked(plant, ticket) if one.code == code), None)
    if found is None:
        raise DeedRefused("not_asked_for", f"{ticket.number} needs no checklist {code!r}")
    left = [str(place + 1) for place in range(len(found.items)) if place not in ticked]
    wrong = [Missing("items", ",".join(left))] if left else []
    wrong += [] if actor and actor == ticket.assignee else [Missing("assignee_signs", "not_the_assignee")]
    if wrong:
        raise StepRefused("safety", ticket.state, wrong)
    row = {
        "ticket": ticket.id,
        "cycle": ticket.reopen_count,
        "checklist": code,
        "items": to_json([one.model_dump() for one in found.items]),
        "note": note.strip(),
        "by": actor,
        "at_ns": book.now_ns,
    }
    book.conn.execute(signoff.insert().values(row))
    return book.record(
        ticket, action="safety", actor=actor, channel=channel, reason=note.strip(), evidence=(code,)
    )


def of_ticket(conn: Connection, ticket: Ticket) -> Sequence[Signed]:
    """What was signed in this round, in order."""
    c = signoff.c
    wanted = select(signoff).where(c.ticket == ticket.id, c.cycle == ticket.reopen_count).order_by(c.id)
    return [_of(row) for row in conn.execute(wanted).mappings()]


def _of(row: RowMapping) -> Signed:
    return Signed(**{**row, "items": _ITEMS.decode(row["items"])})
