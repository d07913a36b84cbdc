"""What was done, by whom, on what evidence: an append-only chain per ticket and problem that shows every tampering.

Each line's hash covers the line as it is stored and the hash before it. The ticket holds the head of its chain,
so that lines cut off at the end are missed as well.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby

from sqlalchemy import Connection, RowMapping, Table, select

from andon.events import Json
from ticketing.problem import Problem, ProblemState
from ticketing.problem_tables import problem_event
from ticketing.sql import Row, to_json
from ticketing.tables import problem as problems
from ticketing.tables import ticket as tickets
from ticketing.tables import ticket_event
from ticketing.ticket import Ticket, TicketEvent, TicketState

GENESIS = "0" * 64


@dataclass(frozen=True, slots=True)
class Chain:
    """One kind of chain: what it is of, the tables of its lines and of their heads, the columns that a hash covers."""

    of: str
    lines: Table
    heads: Table
    hashed: Sequence[str]


def _chain(of: str, lines: Table, heads: Table) -> Chain:
    return Chain(of, lines, heads, tuple(column.name for column in lines.columns if column.name != "hash"))


TICKETS = _chain("ticket", ticket_event, tickets)
PROBLEMS = _chain("problem", problem_event, problems)

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
    head: Ticket | Problem,
    *,
    of: Chain = TICKETS,
    at_ns: int,
    actor: str,
    channel: str,
    action: str,
    from_state: TicketState | ProblemState | None,
    changes: Mapping[str, Json],
    reason: str,
    numbers: Mapping[str, float],
    evidence: Sequence[str],
) -> Row:
    """The next line of its chain, with its hash."""
    row: Row = {
        of.of: head.id,
        "seq": head.audit_seq + 1,
        "at_ns": at_ns,
        "actor": actor,
        "channel": channel,
        "action": action,
        "from_state": from_state and str(from_state),
        "to_state": str(head.state),
        "changes": to_json(changes),
        "reason": reason.replace("\0", "\N{REPLACEMENT CHARACTER}"),  # PostgreSQL's text has no NUL
        "numbers": to_json(numbers),
        "evidence": to_json(list(evidence)),
        "prev_hash": head.audit_hash or GENESIS,
    }
    row["hash"] = hash_of(row, of)
    return row


def hash_of(row: Row | RowMapping, of: Chain = TICKETS) -> str:
    """The hash of a line: every column but the hash itself, `prev_hash` among them."""
    return sha256(to_json([row[name] for name in of.hashed]).encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class Break:
    """Where a chain does not hold: `why` is "changed", "missing", "not_linked" or "cut_short"; `of` is the chain's kind."""

    id: int
    seq: int
    why: str
    of: str = "ticket"


def verify(conn: Connection) -> Sequence[Break]:
    """The first break of every chain that has one, by going through all lines once; empty if the audit is whole."""
    return [found for of in (TICKETS, PROBLEMS) for found in _breaks(conn, of)]


def _breaks(conn: Connection, of: Chain) -> Iterator[Break]:
    stored = select(of.heads.c.id, of.heads.c.audit_seq, of.heads.c.audit_hash)
    heads = {row.id: (row.audit_seq, row.audit_hash) for row in conn.execute(stored)}
    lines = conn.execute(select(of.lines).order_by(of.lines.c[of.of], of.lines.c.seq)).mappings()
    for whose, chain in groupby(lines, key=lambda row: int(row[of.of])):
        found = _first_break(list(chain), heads.pop(whose, (0, "")), of)
        if found is not None:
            yield Break(whose, *found, of.of)
    yield from (Break(whose, 1, "cut_short", of.of) for whose, (seq, _) in heads.items() if seq)


def _first_break(chain: Sequence[RowMapping], head: tuple[int, str], of: Chain) -> tuple[int, str] | None:
    previous = GENESIS
    for seq, row in enumerate(chain, 1):
        if row["seq"] != seq:
            return seq, "missing"
        if row["prev_hash"] != previous:
            return seq, "not_linked"
        if row["hash"] != hash_of(row, of):
            return seq, "changed"
        previous = row["hash"]
    return None if head == (len(chain), previous) else (len(chain) + 1, "cut_short")


_NOT_A_STEP = frozenset({"priority", "condition", "alarm_active", "parent"})
"""Changes that a person who is about to take a step need not be stopped for."""


def raises_version(
    from_state: TicketState | None, to_state: TicketState, changes: Mapping[str, Json]
) -> bool:
    """Whether a line is one that a person who looked before it could trip over; the opening is version 1."""
    if from_state is None:
        return False
    return from_state is not to_state or not _NOT_A_STEP.issuperset(changes)


def since_version(events: Sequence[TicketEvent], version: int) -> tuple[TicketEvent, ...]:
    """What was done to a ticket after it had that version: what to merge a stale step with."""
    at = 1
    for place, event in enumerate(events):
        at += raises_version(event.from_state, event.to_state, event.changes)
        if at > version:
            return tuple(events[place:])
    return ()


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
