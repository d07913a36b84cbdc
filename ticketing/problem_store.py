"""Problems in their tables: read whole, written with the line of audit that says what changed."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any, TypeVar

import msgspec
from sqlalchemy import Connection, RowMapping, Select, Table, or_, select

from andon.database import Machines, among, behind
from andon.events import Json
from ticketing.audit import PROBLEMS, line
from ticketing.book import MACHINE, Book
from ticketing.errors import ProblemNotFound
from ticketing.problem import (
    Check,
    Counted,
    EightD,
    Problem,
    ProblemAction,
    ProblemEvent,
    ProblemKind,
    ProblemLink,
    ProblemOutcome,
    ProblemState,
    RootCause,
    Statement,
)
from ticketing.problem_tables import problem_action, problem_cause, problem_counted, problem_event
from ticketing.sql import Row, chunks, to_json
from ticketing.tables import problem as table
from ticketing.tables import problem_link as link_table

_PLAIN = (
    *("id", "number", "scope", "asset", "opened_ns", "due_ns", "review", "period", "leader", "closed_ns"),
    *("cycle", "version", "change", "audit_seq", "audit_hash"),
)
_ONCE = frozenset({"id", "number", "kind", "scope", "asset", "opened_ns"})
_MUTABLE = tuple(column.name for column in table.columns if column.name not in _ONCE)
_AUDITED = ("review", "period", "leader", "statement", "eight_d", "check", "outcome", "due_ns", "cycle")
_STATEMENT = msgspec.json.Decoder(Statement)
_CHECK = msgspec.json.Decoder(Check)
_EIGHT_D = msgspec.json.Decoder(EightD)
_CAUSE_COLUMNS = tuple(column.name for column in problem_cause.columns)
_ACTION_COLUMNS = tuple(column.name for column in problem_action.columns)


def problems(
    conn: Connection,
    *,
    state: ProblemState | None = None,
    kind: ProblemKind | None = None,
    asset: str = "",
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> tuple[Problem, ...]:
    """Root-cause and improvement tasks with all that belongs to them, newest first."""
    order = (table.c.id.desc(),)
    wanted = (
        select(table)
        .where(behind(order, after), among(table.c.asset, machines))
        .order_by(*order)
        .limit(limit)
    )
    if state is not None:
        wanted = wanted.where(table.c.state == state)
    if kind is not None:
        wanted = wanted.where(table.c.kind == kind)
    if asset:
        wanted = wanted.where(table.c.asset == asset)
    return _whole(conn, wanted)


def problem(conn: Connection, problem_id: int) -> Problem | None:
    """One of them; None if there is none of that id."""
    return next(iter(_whole(conn, select(table).where(table.c.id == problem_id))), None)


def look(conn: Connection, problem_id: int) -> Problem:
    """One of them; ProblemNotFound if there is none of that id."""
    found = problem(conn, problem_id)
    if found is None:
        raise ProblemNotFound(problem_id)
    return found


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Problem, ...]:
    """Those that rest on a ticket, or rested on it once."""
    failed = select(link_table.c.problem).where(link_table.c.ticket == ticket_id)
    counted = select(problem_counted.c.problem).where(problem_counted.c.ticket == ticket_id)
    return _whole(conn, select(table).where(or_(table.c.id.in_(failed), table.c.id.in_(counted))))


def open_of(conn: Connection, kind: ProblemKind, scope: str) -> Problem | None:
    """The open problem of that scope, if there is one."""
    c = table.c
    wanted = select(table).where(c.kind == kind, c.scope == scope, c.state != ProblemState.CLOSED)
    return next(iter(_whole(conn, wanted)), None)


def of_period(conn: Connection, kind: ProblemKind, scope: str, period: str) -> Problem | None:
    """The problem that was opened for that scope in that period, open or closed."""
    c = table.c
    wanted = select(table).where(c.kind == kind, c.scope == scope, c.period == period)
    return next(iter(_whole(conn, wanted)), None)


def events(conn: Connection, problem_id: int) -> tuple[ProblemEvent, ...]:
    """What was done to it, the first line first."""
    lines = select(problem_event).where(problem_event.c.problem == problem_id).order_by(problem_event.c.seq)
    return tuple(_event_of(row) for row in conn.execute(lines).mappings())


def problem_of(row: RowMapping) -> Problem:
    """The problem of a row of its table, without what lies in the others."""
    return Problem(
        kind=ProblemKind(row["kind"]),
        state=ProblemState(row["state"]),
        statement=_STATEMENT.decode(row["statement"]),
        eight_d=_EIGHT_D.decode(row["eight_d"]) if row["eight_d"] else None,
        check=_CHECK.decode(row["check"]) if row["check"] else None,
        outcome=ProblemOutcome(row["outcome"]) if row["outcome"] else None,
        **{name: row[name] for name in _PLAIN},
    )


def record(
    book: Book,
    after: Problem,
    *,
    before: Problem | None,
    action: str,
    actor: str,
    channel: str = MACHINE,
    reason: str = "",
    numbers: Mapping[str, float] | None = None,
    evidence: Sequence[str] = (),
) -> Problem:
    """Put the changed problem in place, with the line of audit behind its last; gives it as it now is.

    `before` is None for one that is opened.
    """
    row = line(
        after,
        of=PROBLEMS,
        at_ns=book.now_ns,
        actor=actor,
        channel=channel,
        action=action,
        from_state=before.state if before else None,
        changes=_changes(before, after) if before else {},
        reason=reason,
        numbers=numbers or {},
        evidence=evidence,
    )
    book.add(problem_event, row)
    stepped = before is not None and (channel != MACHINE or before.state is not after.state)
    after = replace(
        after,
        version=after.version + stepped,
        change=book.change,
        audit_seq=row["seq"],
        audit_hash=row["hash"],
    )
    book.upsert(table, _row(after), _MUTABLE)
    _write_parts(book, problem_cause, _CAUSE_COLUMNS, before.causes if before else (), after)
    _write_parts(book, problem_action, _ACTION_COLUMNS, before.actions if before else (), after)
    return after


def _write_parts(
    book: Book,
    into: Table,
    columns: Sequence[str],
    before: Sequence[RootCause | ProblemAction],
    after: Problem,
) -> None:
    old = {one.id: one for one in before}
    parts: Sequence[RootCause | ProblemAction] = after.causes if into is problem_cause else after.actions
    for one in parts:
        if old.get(one.id) != one:
            row: Row = {name: getattr(one, name) for name in columns if name != "problem"}
            row |= {"problem": after.id, "evidence": to_json(one.evidence)}
            book.upsert(into, _texts(row), [name for name in columns if name not in {"problem", "id"}])


def _texts(row: Row) -> Row:
    """Words of ours as the text that they are in a table."""
    return {name: str(value) if isinstance(value, str) else value for name, value in row.items()}


def _changes(before: Problem, after: Problem) -> Mapping[str, Json]:
    """Each audited field that differs, as [before, after]; a cause and an action by its number."""
    changes: dict[str, Json] = {
        name: [_plain(getattr(before, name)), _plain(getattr(after, name))]
        for name in _AUDITED
        if getattr(before, name) != getattr(after, name)
    }
    for kind in ("causes", "actions"):
        old = {one.id: one for one in getattr(before, kind)}
        for one in getattr(after, kind):
            if old.get(one.id) != one:
                changes[f"{kind[:-1]}/{one.id}"] = _differing(old.get(one.id), one)
    return changes


def _differing(before: object, after: object) -> Json:
    new = msgspec.to_builtins(after)
    old = msgspec.to_builtins(before) if before is not None else {}
    return {name: [old.get(name), value] for name, value in new.items() if old.get(name) != value}


def _plain(value: object) -> Json:
    return msgspec.to_builtins(value)


def _row(problem: Problem) -> Row:
    row: Row = {name: getattr(problem, name) for name in _PLAIN}
    return row | {
        "kind": str(problem.kind),
        "state": str(problem.state),
        "statement": to_json(problem.statement),
        "eight_d": to_json(problem.eight_d) if problem.eight_d else None,
        "check": to_json(problem.check) if problem.check else None,
        "outcome": problem.outcome and str(problem.outcome),
    }


def _whole(conn: Connection, wanted: Select[Any]) -> tuple[Problem, ...]:
    found = [problem_of(row) for row in conn.execute(wanted).mappings()]
    ids = [one.id for one in found]
    links = _parts(conn, link_table, ids, link_table.c.at_ns, link_table.c.failure)
    counted = _parts(conn, problem_counted, ids, problem_counted.c.resolved_ns, problem_counted.c.ticket)
    causes = _parts(conn, problem_cause, ids, problem_cause.c.id)
    actions = _parts(conn, problem_action, ids, problem_action.c.id)
    return tuple(
        replace(
            one,
            links=tuple(ProblemLink(**row) for row in links[one.id]),
            counted=tuple(Counted(**row) for row in counted[one.id]),
            causes=tuple(_part(row, RootCause) for row in causes[one.id]),
            actions=tuple(_part(row, ProblemAction) for row in actions[one.id]),
        )
        for one in found
    )


def _parts(conn: Connection, of: Table, ids: Sequence[int], *order: Any) -> Mapping[int, list[RowMapping]]:
    rows: dict[int, list[RowMapping]] = defaultdict(list)
    for some in chunks(ids):
        for row in conn.execute(select(of).where(of.c.problem.in_(some)).order_by(*order)).mappings():
            rows[row["problem"]].append(row)
    return rows


Part = TypeVar("Part", RootCause, ProblemAction)


def _part(row: RowMapping, what: type[Part]) -> Part:
    values = {**row, "evidence": msgspec.json.decode(row["evidence"])}
    return msgspec.convert({f.name: values[f.name] for f in fields(what)}, what)


def _event_of(row: RowMapping) -> ProblemEvent:
    values = {str(name): value for name, value in row.items()}  # a column's name is no plain text
    values |= {name: msgspec.json.decode(row[name]) for name in ("changes", "numbers", "evidence")}
    return msgspec.convert(values, ProblemEvent)
