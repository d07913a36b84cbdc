"""What the store knows about the keys and machines of a batch, read in a handful of queries whatever its size."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from sqlalchemy import (
    BindParameter,
    Connection,
    RowMapping,
    ScalarSelect,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
)

from andon.events import HOUR_NS, Family, Finding
from andon.rules.repeats import Repeats
from ticketing.alarm_rows import Named, alarm_id, recall_named
from ticketing.book import lock_assets
from ticketing.causes import TUNING
from ticketing.dedup import ORDER_NS, Key, OpenTicket, Related, Rules, is_late
from ticketing.presence import recall_last_given
from ticketing.problem import Problem, ProblemKind, ProblemState
from ticketing.problem_store import problem_of
from ticketing.repeats import APART_NS, Activation, Failure, Scoping
from ticketing.routing import Loads
from ticketing.rows import activation_of, failure_of_row, ticket_of
from ticketing.sql import Value, chunks, to_json, upsert
from ticketing.tables import activation, alarm, asset_lock, dedup_key, failure, master, occurrence, problem
from ticketing.tables import ticket as tickets
from ticketing.ticket import NOT_A_FAILURE, UNRESOLVED, Outcome, Ticket, TicketState


@dataclass(frozen=True, slots=True)
class Alarm:
    """When what speaks of a key last raised and cleared it, by event time, and the ticket it lies on."""

    raise_ns: int | None = None
    clear_ns: int | None = None
    ticket: int | None = None

    @property
    def stands(self) -> bool:
        """Raised later than cleared."""
        return self.raise_ns is not None and (self.clear_ns is None or self.raise_ns > self.clear_ns)

    def after(self, at_ns: int, *, over: bool) -> "Alarm":
        """The same after one more word."""
        if over:
            return replace(self, clear_ns=max(at_ns, self.clear_ns or at_ns))
        return replace(self, raise_ns=max(at_ns, self.raise_ns or at_ns))


@dataclass(slots=True)
class Known:
    """What a batch starts from, and keeps up to date while it is folded.

    `masters`: key -> {ticket: anchor}. `alarms`: (key, source) -> alarm, `named`: the alarm of all its episodes by id.
    `open_tickets`, `activations` and `failures`: by machine. `problems`: scope -> its open RCA, as its own row has it. `before`: see `key_versions.Chosen`.
    `same`: finding -> the open ticket that it is about, by what only its teller knows.
    """

    seen: set[str] = field(default_factory=set)
    masters: dict[str, dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    alarms: dict[tuple[str, str], Alarm] = field(default_factory=dict)
    on_ticket: dict[int, set[tuple[str, str]]] = field(default_factory=lambda: defaultdict(set))
    open_tickets: dict[str, dict[int, OpenTicket]] = field(default_factory=lambda: defaultdict(dict))
    activations: dict[str, list[Activation]] = field(default_factory=lambda: defaultdict(list))
    failures: dict[str, list[Failure]] = field(default_factory=lambda: defaultdict(list))
    problems: dict[str, Problem] = field(default_factory=dict)
    scoping: Scoping = field(default_factory=lambda: Scoping(Repeats()))
    before: Mapping[str, int] = field(default_factory=dict)
    same: Mapping[str, Related] = field(default_factory=dict)
    named: dict[str, Named] = field(default_factory=dict)

    def set_alarm(self, which: tuple[str, str], new: Alarm) -> None:
        """Keep an alarm, under its ticket too."""
        self.alarms[which] = new
        if new.ticket is not None:
            self.on_ticket[new.ticket].add(which)

    def moved(self, asset: str, loser: int, winner: int) -> None:
        """One ticket was merged into another: what lay on it lies there now."""
        for held in self.masters.values():
            if loser in held:
                held[winner] = held.pop(loser)
        for which in self.on_ticket.pop(loser, set()):
            if self.alarms[which].ticket == loser:
                self.set_alarm(which, replace(self.alarms[which], ticket=winner))
        self.open_tickets[asset].pop(loser, None)
        on_loser = (replace(a, ticket=winner) if a.ticket == loser else a for a in self.activations[asset])
        self.activations[asset] = list(on_loser)
        of_loser = (replace(f, ticket=winner) if f.ticket == loser else f for f in self.failures[asset])
        self.failures[asset] = list(of_loser)

    def alarm_active(self, ticket: int) -> bool:
        """Whether anything that speaks on that ticket stands."""
        mine = (self.alarms[which] for which in self.on_ticket[ticket])
        return any(one.stands and one.ticket == ticket for one in mine)


def source_of(finding: Finding) -> str:
    """What tells apart the alarms of one key: the episode of a detector; for a stop the reason alone speaks."""
    if finding.family is Family.STOP:
        return finding.detector
    return f"{finding.detector}@{finding.onset_ns}"


def lock(conn: Connection, findings: Iterable[Finding], keys: Iterable[Key]) -> None:
    """Step one of the transaction: the rows of machines and keys, upserted, are the lock under which the rest is read."""
    lock_assets(conn, (finding.asset for finding in findings))
    distinct = {key.hash: key for key in keys}
    rows = [
        {
            "key": hashed,
            "inputs": to_json(key.inputs),
            "rule_version": key.rule_version,
            "n": 0,
            "last_ticket": None,
        }
        for hashed, key in sorted(distinct.items())
    ]
    upsert(conn, dedup_key, rows, update=("inputs",))


def recall(
    conn: Connection,
    findings: Sequence[Finding],
    keys: Sequence[Key],
    rules: Sequence[Rules],
    scoping: Scoping,
) -> tuple[Known, Sequence[Ticket]]:
    """What is known about these findings' keys and machines, and the tickets that may be concerned."""
    known = Known(scoping=scoping)
    assets = {finding.asset for finding in findings}
    known.seen = {row["finding"] for row in _in(conn, _SEEN, (f.id for f in findings))}
    from_ns = _recall_masters(conn, known, findings, keys, rules)
    for row in _in(conn, _OPEN_TICKETS, assets, from_ns=from_ns - ORDER_NS):
        known.open_tickets[row["asset"]][row["id"]] = _open_ticket(row)
    spoken = _recall_alarms(conn, findings, keys)
    others = {ticket for held in known.masters.values() for ticket in held}
    others |= {row["ticket"] for row in spoken if row["ticket"] is not None}
    found = {row["id"]: ticket_of(row) for row in _in(conn, _TICKETS, others)}
    others |= {number for some in known.open_tickets.values() for number in some}
    for row in (*spoken, *_in(conn, _ALARMS_STANDING, others)):
        known.set_alarm((row["key"], row["source"]), Alarm(row["raise_ns"], row["clear_ns"], row["ticket"]))
    _recall_failures(conn, known, assets, from_ns)
    ids = (alarm_id(key.hash, finding.detector) for finding, key in zip(findings, keys, strict=True))
    known.named = dict(recall_named(conn, ids))
    return known, list(found.values())


def _recall_masters(
    conn: Connection, known: Known, findings: Sequence[Finding], keys: Sequence[Key], rules: Sequence[Rules]
) -> int:
    """The masters of the keys; gives the time of the earliest finding that is not late.

    Late ones are few and may be years old: each asks for its own surroundings, so that none widens the batch's.
    """
    window_ns = max(one.told.window_ns for one in rules)
    late, times = [], [f.origin.received_ns for f in findings]
    for f, key in zip(findings, keys, strict=True):
        if is_late(f.at_ns, f.origin.received_ns, rules[0].told.lateness_ns):
            late.append((key.hash, f.at_ns))
        else:
            times.append(f.at_ns)
    from_ns = min(times)
    rows = _in(conn, _MASTERS, (key.hash for key in keys), from_ns=from_ns - window_ns)
    for hashed, at_ns in late:
        around = {"key": hashed, "from_ns": at_ns - window_ns, "to_ns": at_ns + window_ns}
        rows.extend(conn.execute(_MASTERS_AROUND, around).mappings())
    for row in rows:
        known.masters[row["key"]][row["ticket"]] = row["anchor_ns"]
    return from_ns


def _open_ticket(row: RowMapping) -> OpenTicket:
    return OpenTicket(
        row["id"],
        Family(row["family"]),
        row["severity"],
        row["anchor_ns"],
        row["first_event_ns"],
        row["condition"],
        row["fault_type"],
    )


def _recall_alarms(conn: Connection, findings: Sequence[Finding], keys: Sequence[Key]) -> list[RowMapping]:
    wanted = (f"{key.hash}/{source_of(finding)}" for finding, key in zip(findings, keys, strict=True))
    return _in(conn, _ALARMS, wanted)


def _recall_failures(conn: Connection, known: Known, assets: Iterable[str], from_ns: int) -> None:
    assets = sorted(assets)
    recent = _in(conn, _ACTIVATIONS, assets, from_ns=from_ns - APART_NS)
    stops = _named(_in(conn, _LAST_STOPS, assets, from_ns=from_ns))
    rows = {row["finding"]: row for row in (*recent, *_in(conn, _ACTIVATION, stops))}
    for row in rows.values():
        known.activations[row["asset"]].append(activation_of(row))
    for row in _in(conn, _FAILURES, _failures_that_count(conn, known.scoping, assets, from_ns)):
        known.failures[row["asset"]].append(failure_of_row(row, known.scoping))
    wholes = {known.scoping.whole(asset) for asset in assets}
    known.problems = {row["scope"]: problem_of(row) for row in _in(conn, _OPEN_PROBLEMS, wholes)}


def _failures_that_count(conn: Connection, scoping: Scoping, assets: Iterable[str], from_ns: int) -> set[str]:
    """The failures that a new one may repeat: of a machine the last two, of a fault or component all in reach."""
    parts = {part for asset in assets for part in scoping.parts(asset)}
    names = _named(_in(conn, _FAILURES_SINCE, parts, from_ns=from_ns))
    if scoping.rules.scope == "asset":
        return names | _named(_in(conn, _FAILURES_BEFORE, parts, from_ns=from_ns))
    reach_ns = round(scoping.rules.within_h * HOUR_NS)
    return names | _named(_in(conn, _FAILURES_WITHIN, parts, from_ns=from_ns - reach_ns))


def recall_loads(conn: Connection) -> Loads:
    """Open tickets per person, suggested ones included, and when each was last given one."""
    load: dict[str, int] = {row.person: row.n for row in conn.execute(_GIVEN)}
    for row in conn.execute(_SUGGESTED):
        load[row.person] = load.get(row.person, 0) + row.n
    return Loads(load, recall_last_given(conn))


def recall_done(conn: Connection, asset: str, since_ns: int) -> Mapping[str, int]:
    """How many of the machine's newest repairs each person did, none older than that moment."""
    found = conn.execute(_DONE_HERE, {"asset": asset, "since_ns": since_ns})
    return {row.handler: row.n for row in found}


def _in(
    conn: Connection, statement: Select[Any], values: Iterable[Value], **others: object
) -> list[RowMapping]:
    """All rows of a statement with `IN :values`, however many values there are."""
    return [
        row
        for part in chunks(values)
        for row in conn.execute(statement, {"values": part, **others}).mappings()
    ]


def _named(rows: Iterable[RowMapping]) -> set[str]:
    return {name for row in rows for name in row.values() if name is not None}


_VALUES: BindParameter[Any] = bindparam("values", expanding=True)
_FROM: BindParameter[Any] = bindparam("from_ns")
_COUNTS = and_(
    or_(tickets.c.closure.is_(None), tickets.c.closure.not_in(sorted(NOT_A_FAILURE))),
    or_(tickets.c.outcome.is_(None), tickets.c.outcome.not_in((Outcome.FALSE_ALARM, Outcome.PLANNED))),
    or_(tickets.c.cause.is_(None), tickets.c.cause.not_in(sorted(TUNING))),
)
_OF_ASSET = select(asset_lock.c.asset).where(asset_lock.c.asset.in_(_VALUES))

_SEEN = select(occurrence.c.finding).where(occurrence.c.finding.in_(_VALUES))
_MASTERS = (
    select(master.c.key, master.c.ticket, master.c.anchor_ns)
    .join(dedup_key, dedup_key.c.key == master.c.key)
    .where(
        master.c.key.in_(_VALUES),
        or_(master.c.open, master.c.anchor_ns > _FROM, master.c.ticket == dedup_key.c.last_ticket),
    )
)
_MASTERS_AROUND = select(master.c.key, master.c.ticket, master.c.anchor_ns).where(
    master.c.key == bindparam("key"), master.c.anchor_ns.between(_FROM, bindparam("to_ns"))
)
_OPEN_TICKETS = select(
    tickets.c.id,
    tickets.c.asset,
    tickets.c.family,
    tickets.c.severity,
    tickets.c.anchor_ns,
    tickets.c.first_event_ns,
    tickets.c.condition,
    tickets.c.fault_type,
).where(
    tickets.c.asset.in_(_VALUES),
    tickets.c.state.in_(sorted(UNRESOLVED)),
    or_(
        tickets.c.family == Family.MACHINE_CONDITION,
        tickets.c.family == Family.STOP,
        and_(
            tickets.c.family.in_((Family.TEMPERATURE, Family.ELECTRICAL, Family.REPORT)),
            tickets.c.anchor_ns > _FROM,
        ),
    ),
)
_TICKETS = select(tickets).where(tickets.c.id.in_(_VALUES))
_ALARMS = select(alarm).where(alarm.c.id.in_(_VALUES))
_ALARMS_STANDING = select(alarm).where(
    alarm.c.ticket.in_(_VALUES), or_(alarm.c.clear_ns.is_(None), alarm.c.raise_ns > alarm.c.clear_ns)
)
_ACTIVATIONS = select(activation).where(
    activation.c.asset.in_(_VALUES), or_(activation.c.clear_ns.is_(None), activation.c.clear_ns > _FROM)
)
_ACTIVATION = select(activation).where(activation.c.finding.in_(_VALUES))


def _last(statement: Select[Any]) -> ScalarSelect[Any]:
    return statement.limit(1).correlate(asset_lock).scalar_subquery()


_LAST_STOPS = _OF_ASSET.with_only_columns(
    _last(
        select(activation.c.finding)
        .where(
            activation.c.asset == asset_lock.c.asset,
            activation.c.family == Family.STOP,
            activation.c.at_ns < _FROM,
        )
        .order_by(activation.c.at_ns.desc())
    ).label("stop")
)
_FAILURES_BEFORE = _OF_ASSET.with_only_columns(
    _last(
        select(failure.c.finding)
        .join(tickets, tickets.c.id == failure.c.ticket)
        .where(failure.c.asset == asset_lock.c.asset, failure.c.start_ns < _FROM, _COUNTS)
        .order_by(failure.c.start_ns.desc())
    ).label("latest"),
    _last(
        select(failure.c.finding)
        .join(tickets, tickets.c.id == failure.c.ticket)
        .where(tickets.c.asset == asset_lock.c.asset, failure.c.asset == asset_lock.c.asset)
        .where(tickets.c.resolved_ns.is_not(None), _COUNTS)
        .order_by(tickets.c.resolved_ns.desc(), failure.c.start_ns.desc())
    ).label("repaired"),
)
_FAILURES_SINCE = (
    select(failure.c.finding)
    .join(tickets, tickets.c.id == failure.c.ticket)
    .where(failure.c.asset.in_(_VALUES), failure.c.start_ns >= _FROM, _COUNTS)
)
_FAILURES_WITHIN = (
    select(failure.c.finding)
    .join(tickets, tickets.c.id == failure.c.ticket)
    .where(
        failure.c.asset.in_(_VALUES),
        or_(failure.c.start_ns >= _FROM, tickets.c.resolved_ns >= _FROM),
        _COUNTS,
    )
)
_FAILURES = (
    select(failure, tickets.c.resolved_ns)
    .join(tickets, tickets.c.id == failure.c.ticket)
    .where(failure.c.finding.in_(_VALUES))
)
_OPEN_PROBLEMS = select(problem).where(
    problem.c.asset.in_(_VALUES), problem.c.kind == ProblemKind.RCA, problem.c.state != ProblemState.CLOSED
)
_GIVEN = (
    select(tickets.c.assignee.label("person"), func.count().label("n"))
    .where(tickets.c.state.in_((TicketState.ASSIGNED, TicketState.IN_PROGRESS)))
    .group_by(tickets.c.assignee)
)
_SUGGESTED = (
    select(tickets.c.suggested.label("person"), func.count().label("n"))
    .where(tickets.c.state == TicketState.PENDING_DISPATCH, tickets.c.suggested.is_not(None))
    .group_by(tickets.c.suggested)
)

NEWEST = 200
"""Repairs of a machine that are looked at: a machine with more of them in half a year shows who knows it."""
_NEWEST_REPAIRS = (
    select(tickets.c.handler)
    .where(tickets.c.asset == bindparam("asset"), tickets.c.resolved_ns >= bindparam("since_ns"))
    .order_by(tickets.c.resolved_ns.desc())
    .limit(NEWEST)
    .subquery()
)
_DONE_HERE = (
    select(_NEWEST_REPAIRS.c.handler, func.count().label("n"))
    .where(_NEWEST_REPAIRS.c.handler.is_not(None))
    .group_by(_NEWEST_REPAIRS.c.handler)
)
