"""A changed rule of deduplication on stored history: which tickets it would have merged, split, opened or not opened.

What the store knows of each finding is folded anew by the real rules, once under the rules in force and once under the
changed ones, each in an empty store of its own. People's work is done again: a ticket is resolved or closed when all
stored tickets that its findings lay on had been. What people merged or split by hand is not.
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from sqlalchemy import Connection, Engine, event, select

from andon.database import open_database, reading, writing
from andon.events import Action, Finding, Origin
from andon.plant import Plant
from andon.rules.dedup import Dedup
from ticketing import intake, retold
from ticketing.retold import Deed
from ticketing.rows import occurrence_of, ticket_of
from ticketing.sql import chunks, metadata
from ticketing.tables import occurrence
from ticketing.tables import ticket as tickets
from ticketing.ticket import Occurrence, Ticket, TicketState

MOST = 20_000
"""Findings that a rehearsal tells: about half a minute."""

LISTED = 100
"""Changes of a kind that are told one by one."""

_BATCH = 200
_WHERE = select(occurrence.c.finding, occurrence.c.ticket)


@dataclass(frozen=True, slots=True)
class Told:
    """The history of a rehearsal: findings in the order they were recorded, the tickets they lie on, and where from."""

    from_ns: int
    to_ns: int
    findings: Sequence[Occurrence]
    tickets: Mapping[int, Ticket]
    left_out: bool

    @classmethod
    def of(cls, conn: Connection, from_ns: int, to_ns: int, most: int = MOST) -> "Told":
        """What was recorded between two times; where there is more, the newest."""
        c = occurrence.c
        wanted = select(occurrence).where(c.recorded_ns.between(from_ns, to_ns))
        newest = wanted.order_by(c.recorded_ns.desc(), c.at_ns.desc(), c.finding.desc()).limit(most + 1)
        rows = conn.execute(newest).mappings().all()
        kept = [occurrence_of(row) for row in rows[:most]][::-1]
        named = {one.ticket for one in kept if one.ticket is not None}
        found = {
            row["id"]: ticket_of(row)
            for some in chunks(named)
            for row in conn.execute(select(tickets).where(tickets.c.id.in_(some))).mappings()
        }
        return cls(from_ns, to_ns, kept, found, len(rows) > most)

    def ended(self, ticket: int, deed: Deed) -> bool:
        """Whether people had brought that stored ticket as far by then."""
        one = self.tickets[ticket]
        at_ns = one.closed_ns if deed.state is TicketState.CLOSED else one.settled_ns
        return at_ns is not None and at_ns <= deed.at_ns


@dataclass(frozen=True, slots=True)
class Part:
    """Findings that lie on one ticket: how many, the machine and condition of the first, and the stored tickets."""

    findings: int
    asset: str
    condition: str
    first_event_ns: int
    tickets: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What a changed rule would have made of history. `as_stored`: the rules in force give the tickets that there are.

    `merged`: parts that are tickets now and would have been one; `split`: parts of one ticket that would have been
    several. Each list holds the first `LISTED`.
    """

    from_ns: int
    to_ns: int
    findings: int
    left_out: bool
    tickets_before: int
    tickets_after: int
    late_before: int
    late_after: int
    as_stored: bool
    merged: tuple[tuple[Part, ...], ...]
    split: tuple[tuple[Part, ...], ...]


Lies = Mapping[str, int | None]
"""On which ticket each finding lies."""


def rehearse(told: Told, plant: Plant, changed: Dedup) -> Rehearsal:
    """Tell the history under the plant's rules, and under changed ones; nothing of the installation is touched."""
    before = _folded(told, plant)
    after = _folded(told, plant.model_copy(update={"dedup": changed}))
    stored = {one.finding: one.ticket for one in told.findings}
    return Rehearsal(
        from_ns=told.from_ns,
        to_ns=told.to_ns,
        findings=len(told.findings),
        left_out=told.left_out,
        tickets_before=len(_groups(before)),
        tickets_after=len(_groups(after)),
        late_before=_nowhere(told, before),
        late_after=_nowhere(told, after),
        as_stored=_sets(before) == _sets(stored),
        merged=tuple(_spread(told, after, before)),
        split=tuple(_spread(told, before, after)),
    )


def _folded(told: Told, plant: Plant) -> Lies:
    """Where the findings lie when they are told to an empty store with this plant document."""
    with _empty_store() as engine:
        deeds = iter(retold.deeds(list(told.tickets.values())))
        due = next(deeds, None)
        batch: list[Finding] = []
        heard: dict[int, list[str]] = defaultdict(list)
        for one in told.findings:
            while due is not None and due.at_ns < one.recorded_ns:
                _tell(engine, batch, plant)
                _do(engine, due, told, heard[due.ticket.id])
                due = next(deeds, None)
            batch.append(_finding(one))
            if one.ticket is not None:
                heard[one.ticket].append(one.finding)
            if len(batch) == _BATCH:
                _tell(engine, batch, plant)
        _tell(engine, batch, plant)
        with reading(engine) as conn:
            return {row.finding: row.ticket for row in conn.execute(_WHERE)}


def _tell(engine: Engine, batch: list[Finding], plant: Plant) -> None:
    if batch:
        with writing(engine) as conn:
            intake.apply(conn, batch, plant, batch[-1].origin.received_ns)
        batch.clear()


def _do(engine: Engine, deed: Deed, told: Told, heard: Sequence[str]) -> None:
    """Bring the tickets that hold what lay on the deed's ticket as far, if all that lies on them had come so far."""
    stored = {one.finding: one.ticket for one in told.findings}
    with writing(engine) as conn:
        holding = {
            row.ticket: None
            for some in chunks(heard)
            for row in conn.execute(_WHERE.where(occurrence.c.finding.in_(some)))
            if row.ticket is not None
        }
        for number in holding:
            names = conn.execute(_WHERE.where(occurrence.c.ticket == number)).scalars()
            theirs = {ticket for name in names if (ticket := stored[name]) is not None}
            if all(told.ended(ticket, deed) for ticket in theirs):
                retold.bring(conn, number, deed)


def _finding(one: Occurrence) -> Finding:
    """The finding as it came, without its evidence."""
    source, _, position = one.trace_id.rpartition(":")
    return Finding(
        id=one.finding,
        asset=one.asset,
        component=one.component,
        family=one.family,
        condition=one.condition,
        action=one.action,
        at_ns=one.event_ns,
        onset_ns=one.onset_ns,
        severity=one.severity,
        confidence=one.confidence,
        numbers=one.numbers,
        evidence={},
        detector=one.detector,
        version=one.detector_version,
        parameters_hash=one.parameters_hash,
        origin=Origin(source, int(position) if position.isdecimal() else 0, one.received_ns),
        text=one.text,
        set_version=one.set_version,
    )


def _groups(lies: Lies) -> Mapping[int, list[str]]:
    groups: dict[int, list[str]] = defaultdict(list)
    for name, ticket in lies.items():
        if ticket is not None:
            groups[ticket].append(name)
    return groups


def _sets(lies: Lies) -> set[frozenset[str]]:
    return {frozenset(names) for names in _groups(lies).values()}


def _nowhere(told: Told, lies: Lies) -> int:
    return sum(lies[one.finding] is None for one in told.findings if one.action is not Action.CLEAR)


def _spread(told: Told, whole: Lies, parts: Lies) -> Iterator[tuple[Part, ...]]:
    """The tickets of `whole` whose findings lie on several of `parts`, the largest first."""
    by_name = {one.finding: one for one in told.findings}
    found = []
    for names in _groups(whole).values():
        others = _groups({name: parts[name] for name in names})
        if len(others) > 1:
            found.append([_part(told, [by_name[name] for name in some]) for some in others.values()])
    found.sort(key=lambda some: -sum(part.findings for part in some))
    for some in found[:LISTED]:
        yield tuple(sorted(some, key=lambda part: part.first_event_ns))


def _part(told: Told, some: Sequence[Occurrence]) -> Part:
    first = min(some, key=lambda one: (one.at_ns, one.finding))
    named = sorted({one.ticket for one in some if one.ticket is not None})
    numbers = tuple(told.tickets[ticket].number for ticket in named)
    return Part(len(some), first.asset, first.condition, first.at_ns, numbers)


@contextmanager
def _empty_store() -> Iterator[Engine]:
    """A store of its own, for a moment."""
    with TemporaryDirectory(prefix="andon-rehearsal-") as folder:
        engine = open_database(Path(folder) / "store.sqlite")
        event.listen(engine, "connect", lambda conn, _: conn.execute("PRAGMA synchronous=OFF"))
        metadata.create_all(engine)
        yield engine
        engine.dispose()
