"""How an alarm lies in its table, what people did to it in another that only grows; and how they are read and written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec
from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Connection,
    Index,
    Integer,
    RowMapping,
    String,
    Table,
    Text,
    select,
)

from andon.database import append_only
from andon.events import Action, Family, Finding, Priority
from andon.frozen import changed
from ticketing.alarms import Alarm, AlarmState, Word
from ticketing.dedup import Key
from ticketing.sql import Row, chunks, metadata, to_json
from ticketing.urgency import ORDER

alarm_state = Table(
    "alarm_state",
    metadata,
    Column("id", Text, primary_key=True),
    Column("key", String(64), nullable=False),
    Column("detector", Text, nullable=False),
    Column("asset", Text, nullable=False),
    Column("line", Text, nullable=False),
    Column("component", Text, nullable=False),
    Column("family", String(32), nullable=False),
    Column("condition", Text, nullable=False),
    Column("definition", String(64), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("severity", Integer, nullable=False),
    Column("state", String(8), nullable=False),
    Column("active", Boolean, nullable=False),
    Column("active_since_ns", BigInteger),
    Column("last_change_ns", BigInteger, nullable=False),
    Column("standing", Text, nullable=False),
    Column("words", Text, nullable=False),
    Column("acknowledged", Boolean, nullable=False),
    Column("acked_ns", BigInteger),
    Column("acked_by", Text),
    Column("shelved_until_ns", BigInteger),
    Column("suppressed_by", Text, nullable=False),
    Column("out_of_service", Text),
    Column("activations", BigInteger, nullable=False),
    Column("fleeting", BigInteger, nullable=False),
    Column("chatters", BigInteger, nullable=False),
    Column("chattering_since_ns", BigInteger),
    Column("chattering_until_ns", BigInteger),
    Column("told_ns", BigInteger),
    Column("audit_seq", BigInteger, nullable=False),
    Column("audit_hash", String(64), nullable=False),
)
"""Each alarm there ever was: what one detector says about one key, whatever episodes it says it in."""
Index("alarm_by_state", alarm_state.c.state, alarm_state.c.active_since_ns)
Index("alarm_by_key", alarm_state.c.key)
Index("alarm_by_asset", alarm_state.c.asset, alarm_state.c.state)
Index("alarm_by_chattering", alarm_state.c.chattering_until_ns)

alarm_event = Table(
    "alarm_event",
    metadata,
    Column("alarm", Text, primary_key=True),
    Column("seq", BigInteger, primary_key=True, autoincrement=False),
    Column("at_ns", BigInteger, nullable=False),
    Column("actor", Text, nullable=False),
    Column("channel", Text, nullable=False),
    Column("step", String(24), nullable=False),
    Column("from_state", String(8), nullable=False),
    Column("to_state", String(8), nullable=False),
    Column("reason", Text, nullable=False),
    Column("until_ns", BigInteger),
    Column("prev_hash", String(64), nullable=False),
    Column("hash", String(64), nullable=False),
)
"""What people and rules did to alarms: a chain of hashes for each, whose head its alarm holds."""
append_only(alarm_event)

MUTABLE = tuple(column.name for column in alarm_state.columns if column.name not in {"id", "key", "detector"})

_PLAIN = (
    *("severity", "acknowledged", "acked_ns", "acked_by", "shelved_until_ns", "out_of_service"),
    *("active_since_ns", "last_change_ns", "activations", "fleeting", "chatters"),
    *("chattering_since_ns", "chattering_until_ns", "told_ns"),
)
_NOTHING_HEARD = Alarm()
_WORDS = msgspec.json.Decoder(tuple[tuple[int, bool, str], ...])
_NAMES = msgspec.json.Decoder(frozenset[str])


@dataclass(frozen=True)  # no slots: changed by every word, see `andon.frozen`
class Named:
    """An alarm with what it is about; `definition` is the code of the one that fitted its last word."""

    id: str
    key: str
    detector: str
    asset: str
    line: str
    component: str
    family: Family
    condition: str
    definition: str
    priority: Priority
    alarm: Alarm = _NOTHING_HEARD
    audit_seq: int = 0
    audit_hash: str = ""

    @property
    def state(self) -> AlarmState:
        """Its state in the standard's words."""
        return self.alarm.state

    def with_alarm(self, alarm: Alarm) -> "Named":
        """The same, moved on."""
        return changed(self, alarm=alarm)

    def told(self, told_ns: int) -> "Named":
        """The same, after people were told at that event time."""
        return changed(self, alarm=changed(self.alarm, told_ns=told_ns))

    def audited(self, alarm: Alarm, *, seq: int, last_hash: str) -> "Named":
        """The same after a deed, with the head of its chain."""
        return changed(self, alarm=alarm, audit_seq=seq, audit_hash=last_hash)

    @property
    def last_words(self) -> tuple[str, ...]:
        """What its latest word says of it, which may change."""
        return self.line, self.component, self.condition, self.definition, self.priority


def alarm_id(key: str, detector: str) -> str:
    """The name of what one detector says about one key: fit for an address, and 96 bits of the key are enough."""
    return f"{key[:24]}-{detector}"


def named(finding: Finding, key: Key, *, line: str, definition: str, priority: Priority) -> Named:
    """The alarm that a finding speaks of, before anything was said of it."""
    return Named(
        id=alarm_id(key.hash, finding.detector),
        key=key.hash,
        detector=finding.detector,
        asset=finding.asset,
        line=line,
        component=finding.component,
        family=finding.family,
        condition=finding.condition,
        definition=definition,
        priority=priority,
    )


def retold(old: Named, new: Named, finding: Finding) -> Named:
    """The alarm as it was, named by its latest word; the end of a condition names nothing."""
    if finding.action is Action.CLEAR or old.last_words == new.last_words:
        return old
    return changed(new, alarm=old.alarm, audit_seq=old.audit_seq, audit_hash=old.audit_hash)


def row_of(one: Named) -> Row:
    """An alarm as a row of its table."""
    alarm = one.alarm
    row: Row = {name: getattr(alarm, name) for name in _PLAIN}
    row |= {
        "id": one.id,
        "key": one.key,
        "detector": one.detector,
        "asset": one.asset,
        "line": one.line,
        "component": one.component,
        "family": str(one.family),
        "condition": one.condition,
        "definition": one.definition,
        "priority": ORDER.index(one.priority),
        "state": str(alarm.state),
        "active": alarm.active,
        "standing": to_json(sorted(alarm.standing)),
        "words": to_json(alarm.words),
        "suppressed_by": to_json(sorted(alarm.suppressed_by)),
        "audit_seq": one.audit_seq,
        "audit_hash": one.audit_hash,
    }
    return row


def alarm_of(row: RowMapping) -> Named:
    """The alarm of a row of its table."""
    alarm = Alarm(
        standing=_NAMES.decode(row["standing"]),
        words=tuple(Word(*word) for word in _WORDS.decode(row["words"])),
        suppressed_by=_NAMES.decode(row["suppressed_by"]),
        **{name: row[name] for name in _PLAIN},
    )
    return Named(
        id=row["id"],
        key=row["key"],
        detector=row["detector"],
        asset=row["asset"],
        line=row["line"],
        component=row["component"],
        family=Family(row["family"]),
        condition=row["condition"],
        definition=row["definition"],
        priority=ORDER[row["priority"]],
        alarm=alarm,
        audit_seq=row["audit_seq"],
        audit_hash=row["audit_hash"],
    )


def recall_named(conn: Connection, ids: Iterable[str]) -> Mapping[str, Named]:
    """Those of these alarms of which anything was ever heard."""
    c = alarm_state.c
    found: dict[str, Named] = {}
    for some in chunks(ids):
        rows = conn.execute(select(alarm_state).where(c.id.in_(some))).mappings()
        found |= {row["id"]: alarm_of(row) for row in rows}
    return found
