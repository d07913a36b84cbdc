"""What a finished run says of itself: tickets, problems, counters by stage, and how they stand to the truth."""

from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

from sqlalchemy import Connection

from andon import manifest
from andon.database import reading
from andon.datadir import open_store
from andon.engine import OWN
from andon.events import Json, rfc3339
from ingest.journal import SqliteJournal
from simulators.truth import Planted, compare
from ticketing import store
from ticketing.problem import Problem
from ticketing.ticket import Ticket

ALL = 1_000_000


def report(data: Path, planted: Sequence[Planted], end_ns: int) -> dict[str, Json]:
    """Everything about a data directory that stands still, compared with what had been planted by `end_ns`."""
    with reading(open_store(data)) as conn:
        tickets = [ticket_row(ticket) for ticket in all_tickets(conn)]
        problems = [problem_row(problem) for problem in store.problems(conn, limit=ALL)]
        stages = manifest.counted(conn)
    return {
        "tickets": tickets,
        "problems": problems,
        "counters": counters(stages, appended(data)),
        "truth": compare(tickets, planted, end_ns, problems),
    }


def all_tickets(conn: Connection) -> Sequence[Ticket]:
    """Every ticket, oldest first."""
    return store.tickets(conn, sort=store.Sort.OLDEST, limit=ALL).tickets


def newest_tickets(conn: Connection, limit: int = 12) -> list[dict[str, Json]]:
    """The tickets that were opened last."""
    return [ticket_row(ticket) for ticket in store.tickets(conn, sort=store.Sort.NEWEST, limit=limit).tickets]


def ticket_row(ticket: Ticket) -> dict[str, Json]:
    """A ticket as JSON: its cause, its state and its times (event times, but for `opened_at`)."""
    return {
        "id": ticket.id,
        "number": ticket.number,
        "asset": ticket.asset,
        "line": ticket.line,
        "component": ticket.headline.component,
        "family": str(ticket.headline.family),
        "condition": ticket.headline.condition,
        "numbers": {number.name: number.value for number in ticket.headline.numbers},
        "priority": ticket.priority,
        "state": str(ticket.state),
        "occurrences": ticket.occurrence_count,
        "alarm_active": ticket.alarm_active,
        "assignee": ticket.assignee,
        "suggested": ticket.suggestion.person if ticket.suggestion else None,
        "opened_ns": ticket.anchor_ns,
        "first_event_at": rfc3339(ticket.first_event_ns),
        "last_event_at": rfc3339(ticket.last_event_ns),
        "opened_at": rfc3339(ticket.opened_ns),
        "trace_id": ticket.trace_id,
    }


def problem_row(problem: Problem) -> dict[str, Json]:
    """A root-cause task as JSON, with the failures that it rests on."""
    return {
        "number": problem.number,
        "kind": problem.kind,
        "asset": problem.asset,
        "state": str(problem.state),
        "opened_ns": problem.links[-1].at_ns if problem.links else problem.opened_ns,
        "opened_at": rfc3339(problem.opened_ns),
        "due_at": rfc3339(problem.due_ns),
        "failures": [
            {"ticket": link.ticket, "at": rfc3339(link.at_ns), "same_fault": link.same_fault}
            for link in problem.links
        ],
    }


def appended(data: Path) -> dict[str, int]:
    """For each source, how many records its journal has taken since it began."""
    ends = {}
    for folder in sorted((data / "journal").glob("*/")):
        journal = SqliteJournal(folder, read_only=True)
        ends[folder.name] = journal.end()
        journal.close()
    return ends


def counters(stages: Mapping[str, Counter[str]], ends: Mapping[str, int]) -> dict[str, dict[str, Json]]:
    """By stage: `ingest` for all sources together and `source.<name>` for each balance, then what followed.

    `journaled` is counted by the journal, everything else by the engine that read it:
    journaled = received - overflow + gap_records + notice_records.
    """
    result: dict[str, dict[str, Json]] = {}
    total: Counter[str] = Counter()
    for name, end in ends.items():
        counts = stages.get(f"source.{name}", Counter())
        if name != OWN:
            result[f"source.{name}"] = {"journaled": end, **balance(counts)}
            total.update(counts)
    ingest = balance(total)
    ingest["journaled"] = sum(end for name, end in ends.items() if name != OWN)
    later = {stage: dict(counts) for stage, counts in stages.items() if not stage.startswith("source.")}
    return {"ingest": ingest, **result, **later}


def balance(counts: Mapping[str, int]) -> dict[str, Json]:
    """What became of each message: received = stored + duplicates + ignored + refused + overflow."""
    refused = {name.removeprefix("refused."): n for name, n in counts.items() if name.startswith("refused.")}
    names = (
        "received",
        "stored",
        "duplicates",
        "ignored",
        "overflow",
        "gap_records",
        "notice_records",
        "redriven",
        "late",
    )
    row: dict[str, Json] = {name: counts.get(name, 0) for name in names}
    row["refused"] = sum(refused.values())
    row["refused_by_reason"] = refused
    ends = sum(row[name] for name in ("stored", "duplicates", "ignored", "overflow", "refused"))
    row["balanced"] = row["received"] == ends
    return row


def caught_up(data: Path) -> bool:
    """Whether the engine has taken every record of every source."""
    with reading(open_store(data)) as conn:
        at = manifest.where_each_source_stands(conn)
    return all(at.get(name, 0) >= end for name, end in appended(data).items() if name != OWN)
