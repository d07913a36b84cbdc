"""Which version of the rules makes a finding's key: the one in force, or an older one under which its cause still lives.

A rule that changes applies to new keys only. A cause whose ticket is open, or was opened less than a window ago, stays
with the key that it has; when it comes again after that, it gets a key by the new rules.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any

from sqlalchemy import (
    BigInteger,
    BindParameter,
    Column,
    Connection,
    Integer,
    RowMapping,
    Table,
    Text,
    bindparam,
    insert,
    or_,
    select,
)

from andon.events import Action, Finding
from andon.plant import Plant
from andon.rules.dedup import Dedup
from ticketing.dedup import STANDARD, Key, Rules, is_late, key_of, time_of
from ticketing.recall import source_of
from ticketing.sql import chunks, metadata
from ticketing.tables import alarm, dedup_key, master

dedup_rule = Table(
    "dedup_rule",
    metadata,
    Column("version", Integer, primary_key=True, autoincrement=False),
    Column("rules", Text, nullable=False),
    Column("since_ns", BigInteger, nullable=False),
)
"""The versions of the rules from 2 on; 1 is the product's own."""

_VALUES: BindParameter[Any] = bindparam("values", expanding=True)
_ALL = select(dedup_rule).order_by(dedup_rule.c.version)
_HELD = (
    select(master.c.key, master.c.ticket, master.c.anchor_ns, master.c.open, dedup_key.c.last_ticket)
    .join(dedup_key, dedup_key.c.key == master.c.key)
    .where(
        master.c.key.in_(_VALUES),
        or_(
            master.c.open,
            master.c.anchor_ns > bindparam("from_ns"),
            master.c.ticket == dedup_key.c.last_ticket,
        ),
    )
)
_STANDING = select(alarm.c.id).where(
    alarm.c.id.in_(_VALUES),
    alarm.c.raise_ns.is_not(None),
    or_(alarm.c.clear_ns.is_(None), alarm.c.raise_ns > alarm.c.clear_ns),
)


@dataclass(frozen=True, slots=True)
class Since:
    """A version of the rules and since when (server time) it is in force; 0: from the beginning."""

    rules: Rules
    since_ns: int


def versions(conn: Connection) -> list[Since]:
    """Every version there has been, oldest first."""
    rows = conn.execute(_ALL)
    return [Since(STANDARD, 0), *(Since(_told(row.version, row.rules), row.since_ns) for row in rows)]


def known_rules(conn: Connection) -> list[Rules]:
    """Every version, the newest first."""
    return [one.rules for one in versions(conn)][::-1]


def changed(conn: Connection, told: Dedup) -> bool:
    """Whether these rules are others than those in force."""
    return known_rules(conn)[0].told != told


def in_force(conn: Connection, told: Dedup, now_ns: int) -> list[Rules]:
    """Bring what the plant document tells into force, if it is not; gives every version, the newest first.

    For the engine alone, which takes documents in their order: any other process may look at an older one.
    """
    known = known_rules(conn)
    if known[0].told == told:
        return known
    new = Rules(known[0].version + 1, told)
    conn.execute(
        insert(dedup_rule).values(version=new.version, rules=told.model_dump_json(), since_ns=now_ns)
    )
    return [new, *known]


@lru_cache(maxsize=256)
def _told(version: int, rules: str) -> Rules:
    return Rules(version, Dedup.model_validate_json(rules))


@dataclass(frozen=True, slots=True)
class Chosen:
    """The keys of findings, in their order; `before`: for a key by new rules, its cause's last ticket under older ones."""

    keys: list[Key]
    before: Mapping[str, int] = field(default_factory=dict)


def choose(conn: Connection, findings: Sequence[Finding], plant: Plant, known: Sequence[Rules]) -> Chosen:
    """The key of each finding; `known` are the versions of the rules, newest first."""
    ways = [_ways(finding, plant, known) for finding in findings]
    if len(known) == 1:
        return Chosen([keys[0] for keys in ways])
    lives = _Lives(conn, findings, ways, known)
    chosen: list[Key] = []
    before: dict[str, int] = {}
    for finding, keys in zip(findings, ways, strict=True):
        chosen.append(next((key for key in keys[::-1] if lives.under(key, finding)), keys[0]))
        last = next((row["last_ticket"] for key in keys for row in lives.held[key.hash]), None)
        if last is not None and not lives.held[keys[0].hash]:
            before[keys[0].hash] = last
    return Chosen(chosen, before)


def _ways(finding: Finding, plant: Plant, known: Sequence[Rules]) -> list[Key]:
    """The finding's key by each version."""
    asset = plant.asset(finding.asset)
    tenant, site = (*(asset.path if asset else "").split("/"), "", "")[:2]
    return [key_of(finding, tenant=tenant, site=site, rules=rules) for rules in known]


class _Lives:
    """What is known of the keys that findings could have: their masters, and the alarms that stand."""

    def __init__(
        self,
        conn: Connection,
        findings: Sequence[Finding],
        ways: Sequence[Sequence[Key]],
        known: Sequence[Rules],
    ) -> None:
        self._rules = {one.version: one.told for one in known}
        widest_ns = max(told.window_ns for told in self._rules.values())
        in_time = [f.at_ns for f in findings if not is_late(f.at_ns, f.origin.received_ns)]
        from_ns = min([*in_time, *(f.origin.received_ns for f in findings)]) - widest_ns
        self.held: dict[str, list[RowMapping]] = defaultdict(list)
        for some in chunks(key.hash for keys in ways for key in keys):
            for row in conn.execute(_HELD, {"values": some, "from_ns": from_ns}).mappings():
                self.held[row["key"]].append(row)
        ended = [(f, keys) for f, keys in zip(findings, ways, strict=True) if f.action is Action.CLEAR]
        names = (f"{key.hash}/{source_of(finding)}" for finding, keys in ended for key in keys)
        self._standing = {
            name for some in chunks(names) for name in conn.execute(_STANDING, {"values": some}).scalars()
        }

    def under(self, key: Key, finding: Finding) -> bool:
        """Whether the finding's cause has that key: it has a ticket or, for an end, an alarm that stands."""
        if finding.action is Action.CLEAR:
            return f"{key.hash}/{source_of(finding)}" in self._standing
        at_ns, _ = time_of(finding.at_ns, finding.origin.received_ns)
        window_ns = self._rules[key.rule_version].window_ns
        return any(row["open"] or abs(at_ns - row["anchor_ns"]) < window_ns for row in self.held[key.hash])
