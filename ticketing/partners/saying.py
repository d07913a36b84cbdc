"""What a partner is told of a ticket: where it stands and at which version, in our words and in its own."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Connection, insert, select, update

from andon.events import SECOND_NS, Json, rfc3339
from andon.plant import Plant
from andon.rules.partners import Partner
from ticketing.message_tables import outbox
from ticketing.partners.tables import partner_event, partner_sync
from ticketing.sql import Row, to_json
from ticketing.ticket import Ticket

STATE, MOVED = "ticket.state", "stock.moved"
LONGEST_S = 3600.0
"""So long at most until what is not confirmed is sent again."""


def state_of(plant: Plant, partner: Partner, ticket: Ticket, changed_ns: int, origin: str) -> dict[str, Json]:
    """The data of a state's message; `origin` is the partner's own event that led there, if one did."""
    asset = plant.asset(ticket.asset)
    said: dict[str, Json] = {
        "plant": plant.name,
        "number": ticket.number,
        "version": ticket.version,
        "state": str(ticket.state),
        "word": partner.word(ticket.state),
        "sub_state": str(ticket.sub_state or ""),
        "hold": ticket.hold or "",
        "closure": str(ticket.closure or ""),
        "type": ticket.type,
        "priority": ticket.priority,
        "asset": ticket.asset,
        "asset_name": asset.name if asset else "",
        "asset_name_zh": asset.name_zh if asset else "",
        "line": ticket.line,
        "assignee": ticket.assignee or "",
        "changed": rfc3339(changed_ns),
        "origin": origin,
        "people": [],
        "fields": {},
    }
    ours = {**said, **_beside(ticket)}
    for path, name in partner.fields.items():
        put(said["fields"], path, ours.get(name))
    return said


def _beside(ticket: Ticket) -> Mapping[str, Json]:
    """What a partner may be told by its mapping, beside what everybody is told; `fields.x` are the type's own."""
    names = (
        "description",
        "summary",
        "cause",
        "scene_tag",
        "reporter",
        "phone",
        "grade",
        "region",
        "event_id",
    )
    times = ("opened_ns", "accepted_ns", "resolved_ns", "closed_ns")
    moments = {name.removesuffix("_ns"): getattr(ticket, name) for name in times}
    return {
        **{name: getattr(ticket, name) for name in names},
        **{name: rfc3339(at_ns) if at_ns else None for name, at_ns in moments.items()},
        **{f"fields.{name}": value for name, value in ticket.fields.items()},
    }


def put(into: dict[str, Any], path: str, value: Json) -> None:
    """Set a value deep in an object.

    >>> order = {}
    >>> put(order, "equipment.no", "M7"); order
    {'equipment': {'no': 'M7'}}
    """
    *outer, last = path.split(".")
    for name in outer:
        into = into.setdefault(name, {})
    into[last] = value


def send_state(conn: Connection, plant: Plant, partner: Partner, ticket: Ticket, now_ns: int) -> None:
    """Queue the ticket's state for the partner; it has to know it (`partner_sync`), and nothing of it is under way."""
    mine = (
        partner_sync.c.partner == partner.code,
        partner_sync.c.ticket == ticket.id,
        partner_sync.c.version == ticket.version,
    )
    row = conn.execute(select(partner_sync.c.sends, partner_sync.c.changed_ns).where(*mine)).one()
    said = state_of(plant, partner, ticket, row.changed_ns, _origin(conn, partner.code, ticket))
    key = f"{ticket.number}/state-{row.sends + 1}/{ticket.version}/{partner.code}/"
    conn.execute(insert(outbox), message(partner.code, STATE, ticket, key=key, content=said, now_ns=now_ns))
    wait_s = min(partner.confirm_within_s * 2 ** min(row.sends, 10), LONGEST_S)
    again_ns = (now_ns if row.sends else row.changed_ns) + int(wait_s * SECOND_NS)
    conn.execute(update(partner_sync).where(*mine).values(sends=row.sends + 1, look_ns=again_ns))


def message(
    channel: str, kind: str, ticket: Ticket, *, key: str, content: Mapping[str, Json], now_ns: int
) -> Row:
    """A row of the outbox on its way to a partner."""
    return {
        "key": key,
        "ticket": ticket.id,
        "number": ticket.number,
        "kind": kind,
        "channel": channel,
        "recipient": "",
        "trace_id": ticket.trace_id,
        "at_ns": now_ns,
        "content": to_json(content),
        "state": "pending",
        "attempts": 0,
        "next_ns": now_ns,
        "last_error": "",
        "sent_ns": None,
        "critical": True,
        "parcel": None,
    }


def under_way(conn: Connection, partner: str, ticket: int) -> bool:
    """Whether a message about the ticket waits to be sent to the partner."""
    c = outbox.c
    waits = select(c.id).where(
        c.ticket == ticket, c.channel == partner, c.state == "pending", c.kind == STATE
    )
    return conn.execute(waits.limit(1)).first() is not None


def _origin(conn: Connection, partner: str, ticket: Ticket) -> str:
    c = partner_event.c
    mine = select(c.event).where(c.ticket == ticket.id, c.version == ticket.version, c.partner == partner)
    return conn.execute(mine.where(c.outcome == "applied").order_by(c.id.desc()).limit(1)).scalar() or ""
