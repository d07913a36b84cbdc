"""What people do to alarms, each deed on record for ever; and what can be asked about them (ISA-18.2, 11 and 12)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import NotRequired, TypedDict, Unpack

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, func, select

from andon.database import Machines, among, behind
from andon.events import HOUR_NS
from andon.plant import Plant
from ticketing import holding
from ticketing.alarm_rows import (
    MUTABLE,
    Named,
    alarm_event,
    alarm_of,
    alarm_state,
    recall_named,
    row_of,
)
from ticketing.alarms import AlarmState, AlarmStep, Given, NoSuchStep, do
from ticketing.audit import GENESIS
from ticketing.book import Book
from ticketing.errors import DeedRefused
from ticketing.sql import Row, to_json, upsert
from ticketing.tables import dedup_key, occurrence
from ticketing.tables import ticket as tickets
from ticketing.ticket import FoldRule
from ticketing.urgency import ORDER

STALE_NS = 24 * HOUR_NS
"""An alarm that stands longer is stale (ISA-18.2, 16.5)."""

_c = alarm_state.c
_ORDER = (_c.active.desc(), _c.priority.desc(), _c.last_change_ns.desc(), _c.id)
_HASHED = tuple(column.name for column in alarm_event.columns if column.name != "hash")


class By(TypedDict):
    """Who does it, where they sit, and why."""

    actor: str
    channel: NotRequired[str]
    reason: NotRequired[str]


@dataclass(frozen=True, slots=True)
class AlarmEvent:
    """One line of an alarm's audit; `hash` covers every other field and `prev_hash`."""

    alarm: str
    seq: int
    at_ns: int
    actor: str
    channel: str
    step: AlarmStep
    from_state: AlarmState
    to_state: AlarmState
    reason: str
    until_ns: int | None
    prev_hash: str
    hash: str


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which alarms; what is empty does not restrict."""

    states: tuple[AlarmState, ...] = ()
    asset: str = ""
    line: str = ""
    stale: bool = False
    chattering: bool = False
    machines: Machines = None


@dataclass(frozen=True, slots=True)
class Page:
    """One page of alarms, the gravest and then the newest first; `counts` has every state, whichever is wanted."""

    alarms: tuple[Named, ...]
    total: int
    counts: Mapping[AlarmState, int]

    @staticmethod
    def place(one: Named) -> tuple[int | str, ...]:
        """Where an alarm stands in the list."""
        alarm = one.alarm
        return int(alarm.active), ORDER.index(one.priority), alarm.last_change_ns, one.id


@dataclass(frozen=True, slots=True)
class AlarmDetail:
    """One alarm with what was done to it, and its key's last ticket."""

    named: Named
    ticket: int | None
    ticket_number: str | None
    events: tuple[AlarmEvent, ...]


@dataclass(frozen=True, slots=True)
class BadActors:
    """Alarms that need an engineer, not an operator: each list the worst first."""

    chattering: tuple[Named, ...]
    fleeting: tuple[Named, ...]
    stale: tuple[Named, ...]
    total: Mapping[str, int]


def acknowledge(book: Book, alarm: str, **by: Unpack[By]) -> Named:
    """Somebody has seen it and will see to it."""
    return _step(book, alarm, AlarmStep.ACKNOWLEDGE, by)


def unacknowledge(book: Book, alarm: str, **by: Unpack[By]) -> Named:
    """Whoever has seen it will not see to it after all: it waits for a person again."""
    return _step(book, alarm, AlarmStep.UNACKNOWLEDGE, by)


def remove_from_service(book: Book, plant: Plant, alarm: str, **by: Unpack[By]) -> Named:
    """Nothing of it is told until it is returned: its sensor is away, say. Needs a reason."""
    if not by.get("reason", "").strip():
        raise DeedRefused("alarm_without_reason", "say why the alarm is taken out of service")
    one = _known(book.conn, alarm)
    suppressible = next((d.suppressible for d in plant.alarms if d.code == one.definition), True)
    if not suppressible:
        raise DeedRefused(
            "alarm_not_suppressible", f"alarm {one.definition} is always told: its definition says so"
        )
    return _step(book, alarm, AlarmStep.REMOVE_FROM_SERVICE, by)


def return_to_service(book: Book, plant: Plant, alarm: str, **by: Unpack[By]) -> Named:
    """It counts again; if it stands, what was recorded meanwhile becomes work."""
    one = _step(book, alarm, AlarmStep.RETURN_TO_SERVICE, by)
    c = occurrence.c
    waiting = holding.held(
        book.conn, c.key == one.key, c.detector == one.detector, rules=(FoldRule.SUPPRESSED_OOSRV,)
    )
    mine = [each for each in waiting if "suppression" not in each.fold.numbers]
    free = holding.not_suppressed(book, plant, holding.standing(book.conn, mine))
    holding.release(book, plant, free)
    return one


def alarms(
    conn: Connection,
    wanted: Wanted = Wanted(),
    *,
    now_ns: int,
    limit: int = 50,
    offset: int = 0,
    after: Sequence[object] | None = None,
) -> Page:
    """One page of the alarms wanted, and how many there are in each state."""
    wheres = _wheres(wanted, now_ns)
    counted = select(_c.state, func.count()).where(*wheres).group_by(_c.state)
    found: dict[str, int] = {row[0]: row[1] for row in conn.execute(counted)}
    counts = {state: found.get(state, 0) for state in AlarmState}
    rows = select(alarm_state).where(*wheres)
    if wanted.states:
        rows = rows.where(_c.state.in_([str(state) for state in wanted.states]))
    if after is not None:
        after = bool(after[0]), *after[1:]
    ordered = rows.where(behind(_ORDER, after)).order_by(*_ORDER)
    page = conn.execute(ordered.limit(limit).offset(offset)).mappings()
    total = sum(counts[state] for state in wanted.states or AlarmState)
    return Page(tuple(alarm_of(row) for row in page), total, counts)


def alarm(conn: Connection, name: str) -> AlarmDetail:
    """One alarm; DeedRefused if nothing was ever heard of it."""
    one = _known(conn, name)
    last = (
        select(tickets.c.id, tickets.c.number)
        .join(dedup_key, dedup_key.c.last_ticket == tickets.c.id)
        .where(dedup_key.c.key == one.key)
    )
    ticket = conn.execute(last).first()
    lines = select(alarm_event).where(alarm_event.c.alarm == name).order_by(alarm_event.c.seq)
    events = tuple(_event_of(row) for row in conn.execute(lines).mappings())
    return AlarmDetail(one, ticket.id if ticket else None, ticket.number if ticket else None, events)


def bad_actors(conn: Connection, now_ns: int, *, limit: int = 10, machines: Machines = None) -> BadActors:
    """The alarms that chatter (or did most), that fleet by, and that have stood for more than a day."""
    kinds: Mapping[str, tuple[ColumnElement[bool], ColumnElement[int | None]]] = {
        "chattering": (_c.chatters > 0, _c.chatters.desc()),
        "fleeting": (_c.fleeting > 0, _c.fleeting.desc()),
        "stale": (_stale(now_ns), _c.active_since_ns),
    }
    seen = among(_c.asset, machines)
    lists: dict[str, tuple[Named, ...]] = {}
    for kind, (which, worst) in kinds.items():
        rows = select(alarm_state).where(which, seen).order_by(worst, _c.activations.desc(), _c.id)
        lists[kind] = tuple(alarm_of(row) for row in conn.execute(rows.limit(limit)).mappings())
    counted = {
        kind: conn.execute(select(func.count()).where(which, seen)).scalar_one()
        for kind, (which, _) in kinds.items()
    }
    return BadActors(**lists, total=counted)


def verify(conn: Connection) -> Sequence[tuple[str, int]]:
    """Where the record of what was done to alarms does not hold: the first line of each that was changed or is missing."""
    heads = {
        row.id: (row.audit_seq, row.audit_hash)
        for row in conn.execute(select(_c.id, _c.audit_seq, _c.audit_hash))
    }
    last: dict[str, tuple[int, str]] = {}
    broken: dict[str, int] = {}
    lines = select(alarm_event).order_by(alarm_event.c.alarm, alarm_event.c.seq)
    for row in conn.execute(lines).mappings():
        name, seq = row["alarm"], row["seq"]
        expected = last.get(name, (0, GENESIS))
        if (seq - 1, row["prev_hash"]) != expected or row["hash"] != _hash_of(row):
            broken.setdefault(name, seq)
        last[name] = (seq, row["hash"])
    for name, head in heads.items():
        if head != last.get(name, (0, "")):
            broken.setdefault(name, last.get(name, (0, ""))[0] + 1)
    return sorted(broken.items())


def _step(book: Book, name: str, step: AlarmStep, by: By) -> Named:
    one = _known(book.conn, name)
    reason = by.get("reason", "").strip()
    try:
        after = do(one.alarm, step, Given(book.now_ns, by=by["actor"], reason=reason))
    except NoSuchStep as error:
        raise DeedRefused("no_alarm_step", str(error)) from error
    row: Row = {
        "alarm": name,
        "seq": one.audit_seq + 1,
        "at_ns": book.now_ns,
        "actor": by["actor"],
        "channel": by.get("channel", "api"),
        "step": str(step),
        "from_state": str(one.state),
        "to_state": str(after.state),
        "reason": reason,
        "until_ns": after.shelved_until_ns,
        "prev_hash": one.audit_hash or GENESIS,
    }
    row["hash"] = _hash_of(row)
    book.add(alarm_event, row)
    done = one.audited(after, seq=row["seq"], last_hash=row["hash"])
    upsert(book.conn, alarm_state, [row_of(done)], MUTABLE)  # at once: what is folded next looks at it
    return done


def _known(conn: Connection, name: str) -> Named:
    found = recall_named(conn, [name]).get(name)
    if found is None:
        raise DeedRefused("alarm_not_found", f"nothing was ever heard of an alarm {name[:80]!r}")
    return found


def _wheres(wanted: Wanted, now_ns: int) -> list[ColumnElement[bool]]:
    wheres: list[ColumnElement[bool]] = []
    if wanted.asset:
        wheres.append(_c.asset == wanted.asset)
    if wanted.line:
        wheres.append(_c.line == wanted.line)
    if wanted.machines is not None:
        wheres.append(among(_c.asset, wanted.machines))
    if wanted.stale:
        wheres.append(_stale(now_ns))
    if wanted.chattering:
        wheres.append(and_(_c.chattering_since_ns <= now_ns, _c.chattering_until_ns > now_ns))
    return wheres


def _stale(now_ns: int) -> ColumnElement[bool]:
    return and_(_c.active.is_(True), _c.active_since_ns < now_ns - STALE_NS)


def _event_of(row: RowMapping) -> AlarmEvent:
    states = {name: AlarmState(row[name]) for name in ("from_state", "to_state")}
    return AlarmEvent(**{**row, **states, "step": AlarmStep(row["step"])})


def _hash_of(row: Row | RowMapping) -> str:
    return sha256(to_json([row[name] for name in _HASHED]).encode()).hexdigest()
