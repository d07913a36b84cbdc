"""What was done, by whom, on what evidence: an append-only chain per ticket that shows every tampering.

Each line's hash covers the line as it is stored and the hash before it. The ticket holds the head of its chain,
so that lines cut off at the end are missed as well.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from sqlalchemy import Connection, RowMapping, select

from andon.events import Json
from ticketing.tables import Row, ticket_event, to_json
from ticketing.tables import ticket as tickets
from ticketing.ticket import Ticket, TicketEvent, TicketState

GENESIS = "0" * 64
_HASHED = tuple(column.name for column in ticket_event.columns if column.name != "hash")

AUDITED = (
    "priority",
    "sub_state",
    "alarm_active",
    "requester",
    "assignee",
    "backup",
    "handler",
    "signer",
    "summary",
    "cause",
    "same_kind",
    "closure",
    "closure_note",
    "outcome",
    "relearn",
    "approver",
    "duplicate_of",
    "reopen_count",
    "claim_misses",
    "type",
    "fault_type",
    "urgent",
    "grade",
    "region",
    "fields",
    "collaborators",
    "hold",
    "arrived_ns",
    "signed_by",
    "scene_tag",
    "archived_ns",
    "parent",
)
"""Fields whose every change is on record; the state has columns of its own, the headline is told by its condition."""


def changes_between(before: Ticket, after: Ticket) -> Mapping[str, Json]:
    """Each audited field that differs, as [before, after]."""
    changes: dict[str, Json] = {
        name: [old, new]
        for name in AUDITED
        if (old := getattr(before, name)) != (new := getattr(after, name))
    }
    if before.headline.condition != after.headline.condition:
        changes["condition"] = [before.headline.condition, after.headline.condition]
    return changes


def line(
    ticket: Ticket,
    *,
    at_ns: int,
    actor: str,
    channel: str,
    action: str,
    from_state: TicketState | None,
    changes: Mapping[str, Json],
    reason: str,
    numbers: Mapping[str, float],
    evidence: Sequence[str],
) -> Row:
    """The next line of the ticket's chain, with its hash."""
    row: Row = {
        "ticket": ticket.id,
        "seq": ticket.audit_seq + 1,
        "at_ns": at_ns,
        "actor": actor,
        "channel": channel,
        "action": action,
        "from_state": from_state and str(from_state),
        "to_state": str(ticket.state),
        "changes": to_json(changes),
        "reason": reason,
        "numbers": to_json(numbers),
        "evidence": to_json(list(evidence)),
        "prev_hash": ticket.audit_hash or GENESIS,
    }
    row["hash"] = hash_of(row)
    return row


def hash_of(row: Row | RowMapping) -> str:
    """The hash of a line: every column but the hash itself, `prev_hash` among them."""
    return sha256(to_json([row[name] for name in _HASHED]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold: `why` is "changed", "missing", "not_linked" or "cut_short"."""

    ticket: int
    seq: int
    why: str


def verify(conn: Connection) -> Sequence[Break]:
    """The first break of every chain that has one, by going through all lines once; empty if the audit is whole."""
    stored = select(tickets.c.id, tickets.c.audit_seq, tickets.c.audit_hash)
    heads = {row.id: (row.audit_seq, row.audit_hash) for row in conn.execute(stored)}
    lines = conn.execute(select(ticket_event).order_by(ticket_event.c.ticket, ticket_event.c.seq)).mappings()
    breaks: list[Break] = []
    for ticket, chain in groupby(lines, key=lambda row: int(row["ticket"])):
        found = _first_break(ticket, list(chain), heads.pop(ticket, (0, "")))
        if found is not None:
            breaks.append(found)
    breaks.extend(Break(ticket, 1, "cut_short") for ticket, (seq, _) in heads.items() if seq)
    return breaks


def _first_break(ticket: int, chain: Sequence[RowMapping], head: tuple[int, str]) -> Break | None:
    previous = GENESIS
    for seq, row in enumerate(chain, 1):
        if row["seq"] != seq:
            return Break(ticket, seq, "missing")
        if row["prev_hash"] != previous:
            return Break(ticket, seq, "not_linked")
        if row["hash"] != hash_of(row):
            return Break(ticket, seq, "changed")
        previous = row["hash"]
    if head != (len(chain), previous):
        return Break(ticket, len(chain) + 1, "cut_short")
    return None


@dataclass(frozen=True, slots=True)
class Responsibility:
    """The chain of responsibility at the top of a ticket (rule 41): who made, gave, has and last touched it."""

    creator: str
    assigner: str | None
    handler: str | None
    last_actor: str
    last_at_ns: int
    last_action: str
    hands: tuple[tuple[int, str], ...]
    """(since_ns, person), one for each time the ticket was given to someone."""


def responsibility(events: Sequence[TicketEvent]) -> Responsibility | None:
    """The chain of responsibility, projected from a ticket's audit; None if it has none."""
    if not events:
        return None
    given = [event for event in events if "assignee" in event.changes and event.changes["assignee"][1]]
    last = events[-1]
    return Responsibility(
        creator=events[0].actor,
        assigner=given[-1].actor if given else None,
        handler=given[-1].changes["assignee"][1] if given else None,
        last_actor=last.actor,
        last_at_ns=last.at_ns,
        last_action=last.action,
        hands=tuple((event.at_ns, event.changes["assignee"][1]) for event in given),
    )
