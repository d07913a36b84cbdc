"""One ticket per cause: which ticket a finding belongs to, and why (ticketing rules 4.1 and 4.3).

Two invariants hold for every key, whatever comes late, twice or in another order:
I1: two masters of one key are anchored at least 15 minutes (`window_min`) apart;
I2: one key never has two masters that are open, unless the plant asks for `window_only`.
"""

import json
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from hashlib import sha256

from andon.events import MINUTE_NS, SECOND_NS, Family, Finding
from andon.rules.dedup import DEFAULT_FIELDS, Dedup
from ticketing.common_mode import OPERATING_CHANGE
from ticketing.ticket import Clock, FoldRule, TicketState

EVENT_ID = "event_id"
"""A source's own name for the event, in a finding's text: where it is sent, it is the key (rule 8)."""

ORDER_NS = 10 * MINUTE_NS
"""Inside this, the order of arrival makes no difference to the tickets (design law 2)."""

TRUSTED_NS = 5 * MINUTE_NS
"""So far apart a source's clock and the time of receipt agree (4.1)."""


@dataclass(frozen=True, slots=True)
class Rules:
    """One version of the plant's rules of deduplication; 1 is the product's own."""

    version: int = 1
    told: Dedup = field(default_factory=Dedup)


STANDARD = Rules()


@dataclass(frozen=True, slots=True)
class Key:
    """What makes two findings the same cause: a hash, the inputs it was made from, and the rules that made it.

    The version is part of the hash: changed rules make new keys and leave the old ones as they are.
    """

    hash: str
    inputs: Mapping[str, str]
    rule_version: int


def key_of(finding: Finding, *, tenant: str = "", site: str = "", rules: Rules = STANDARD) -> Key:
    """The key of a finding: its event's id if its source sent one, else asset, fault family and the rule's fields.

    By rule these are the component (the reason's id for a stop) alone: condition class, severity, numbers, text and
    time are attributes of the occurrence. A rule that asks for what this finding does not have gives way to that.
    Names are trimmed and brought to Unicode's NFKC; components, reasons, serials and texts are upper-cased as well.
    """
    named = finding.text.get(EVENT_ID, "")
    if _plain(named):
        return explicit_key(named, asset=finding.asset, tenant=tenant, site=site, rules=rules)
    fields = rules.told.fields_of(finding.origin.source, finding.detector, finding.family)
    values = tuple((name, _value(finding, name)) for name in fields)
    if not all(_plain(value) for _, value in values):
        values = tuple((name, _value(finding, name)) for name in DEFAULT_FIELDS)
    return _key((tenant, site, finding.asset), str(finding.family), values, rules.version)


def explicit_key(
    event_id: str, *, asset: str = "", tenant: str = "", site: str = "", rules: Rules = STANDARD
) -> Key:
    """The key of an event that whoever told of it has named: serial number, order number, telephone, id of a system.

    >>> explicit_key(" so-4711").hash == explicit_key("ＳＯ-4711 ").hash
    True
    """
    return _key((tenant, site, asset), "", ((EVENT_ID, event_id),), rules.version)


def _value(finding: Finding, name: str) -> str:
    if name.startswith("text."):
        return finding.text.get(name.removeprefix("text."), "")
    return finding.origin.source if name == "source" else str(getattr(finding, name))


@lru_cache(maxsize=65_536)
def _key(place: tuple[str, str, str], family: str, values: tuple[tuple[str, str], ...], version: int) -> Key:
    where = dict(zip(("tenant", "site", "asset"), map(_plain, place), strict=True))
    named = {name: _plain(value).upper() for name, value in values}
    told = [value if name == "component" else [name, value] for name, value in named.items()]
    spoken = json.dumps([version, *where.values(), family, *told], ensure_ascii=False)
    inputs = where | ({"family": family} if family else {}) | named
    return Key(sha256(spoken.encode()).hexdigest(), inputs, version)


def _plain(name: str) -> str:
    return " ".join(unicodedata.normalize("NFKC", name).split())


def time_of(event_ns: int, received_ns: int) -> tuple[int, Clock]:
    """The time a finding counts with: its event time, but never later than it was received.

    An event that is told late counts with its own time however late it is told: sensors and gateways buffer, histories
    are read back, and the 15 minutes and 72 hours are those of the machine. Counting it from its receipt would lay a
    night's events into one window. More than 5 minutes apart, the clock is noted as one that nobody has checked.
    """
    if event_ns > received_ns:
        return received_ns, Clock.RECEIVED
    return event_ns, Clock.SOURCE if received_ns - event_ns <= TRUSTED_NS else Clock.UNCHECKED


def is_late(at_ns: int, received_ns: int, lateness_ns: int = Dedup().lateness_ns) -> bool:
    """Whether it came so late that it opens, reopens and repeats nothing any more."""
    return received_ns - at_ns > lateness_ns


@dataclass(frozen=True, slots=True)
class Master:
    """A ticket that holds a key: opened (for this key) at `anchor_ns`, said to be done at `settled_ns`."""

    ticket: int
    anchor_ns: int
    state: TicketState
    settled_ns: int | None = None

    def done_before(self, at_ns: int) -> bool:
        """Whether the work had been said to be done when the event happened."""
        return self.settled_ns is not None and at_ns > self.settled_ns

    @property
    def is_open(self) -> bool:
        """Whether it is in any state but closed."""
        return self.state is not TicketState.CLOSED


@dataclass(frozen=True, slots=True)
class Related:
    """An open ticket of the same machine that this finding is the consequence or the cause of."""

    ticket: int
    rule: FoldRule
    apart_ns: int


@dataclass(frozen=True, slots=True)
class Joins:
    """The finding lies on a ticket that stays in its state. `new_key`: the ticket holds the key from now on."""

    ticket: int
    rule: FoldRule
    numbers: Mapping[str, float] = field(default_factory=dict)
    new_key: bool = False


@dataclass(frozen=True, slots=True)
class Reopens:
    """The finding lies on a ticket whose work had been said to be done: it was not."""

    ticket: int
    rule: FoldRule
    numbers: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Opens:
    """The finding opens a ticket; `recurrence_of` is the key's last one."""

    rule: FoldRule
    numbers: Mapping[str, float] = field(default_factory=dict)
    recurrence_of: int | None = None


@dataclass(frozen=True, slots=True)
class Late:
    """The finding came too late to open or reopen anything: it is kept and listed."""

    numbers: Mapping[str, float] = field(default_factory=dict)
    rule: FoldRule = FoldRule.LATE


Decision = Joins | Reopens | Opens | Late


def decide(
    at_ns: int,
    received_ns: int,
    masters: Sequence[Master],
    related: Related | None = None,
    rules: Dedup = STANDARD.told,
) -> Decision:
    """What becomes of a finding of one key.

    `masters` are the key's: the open one and all anchored near `at_ns`, and its latest for `recurrence_of`.
    The comparison with an anchor is symmetric and half-open: 14:59.999 joins on either side, 15:00.000 opens.
    That symmetry is what keeps I1 when events come late.
    """
    near = sorted(
        (master for master in masters if abs(at_ns - master.anchor_ns) < rules.window_ns),
        key=lambda master: (master.anchor_ns > at_ns, abs(at_ns - master.anchor_ns), master.ticket),
    )
    attaches = rules.mode == "attach_while_active"
    active = next((master for master in masters if master.is_open), None) if attaches else None
    joined = _joins(at_ns, near, active)
    if joined is not None:
        return joined
    if is_late(at_ns, received_ns, rules.lateness_ns):
        return _late((received_ns - at_ns) / SECOND_NS, active or next(iter(near), None))
    reopened = _reopens(at_ns, near, active)
    if reopened is not None:
        return reopened
    if related is not None:
        numbers = {"apart_s": related.apart_ns / SECOND_NS}
        return Joins(related.ticket, related.rule, numbers, new_key=True)
    return _opens(at_ns, masters)


def _joins(at_ns: int, near: Sequence[Master], active: Master | None) -> Joins | None:
    for master in near:
        if not master.done_before(at_ns):
            settled = master.settled_ns is not None
            rule = FoldRule.BEFORE_SETTLED if settled else FoldRule.SAME_EVENT
            return Joins(master.ticket, rule, _apart(at_ns, master))
    if active is not None and not active.done_before(at_ns):
        settled = active.settled_ns is not None
        rule = FoldRule.BEFORE_SETTLED if settled else FoldRule.WHILE_OPEN
        return Joins(active.ticket, rule, _apart(at_ns, active))
    return None


def _reopens(at_ns: int, near: Sequence[Master], active: Master | None) -> Reopens | None:
    """An open master comes first: reopening a closed one beside it would give the key two (I2)."""
    if active is not None:
        return Reopens(active.ticket, FoldRule.FAILED_AFTER_RESOLVED, _since_settled(at_ns, active))
    if near:
        return Reopens(near[0].ticket, FoldRule.AGAIN_WITHIN_WINDOW, _apart(at_ns, near[0]))
    return None


def _late(late_s: float, onto: Master | None) -> Joins | Late:
    if onto is not None:
        return Joins(onto.ticket, FoldRule.LATE, {"late_s": late_s})
    return Late({"late_s": late_s})


def _opens(at_ns: int, masters: Sequence[Master]) -> Opens:
    if not masters:
        return Opens(FoldRule.FIRST)
    last = max(masters, key=lambda master: (master.anchor_ns, master.ticket))
    if last.is_open:
        return Opens(FoldRule.WINDOW_OVER, _apart(at_ns, last), recurrence_of=last.ticket)
    return Opens(FoldRule.AFTER_CLOSED, _since_settled(at_ns, last), recurrence_of=last.ticket)


def _apart(at_ns: int, master: Master) -> Mapping[str, float]:
    return {"apart_s": (at_ns - master.anchor_ns) / SECOND_NS}


def _since_settled(at_ns: int, master: Master) -> Mapping[str, float]:
    settled_ns = master.settled_ns if master.settled_ns is not None else master.anchor_ns
    return {"since_s": (at_ns - settled_ns) / SECOND_NS}


@dataclass(frozen=True, slots=True)
class OpenTicket:
    """An open, unresolved ticket of the machine, as far as `relation` needs to know it."""

    ticket: int
    family: Family
    severity: int
    anchor_ns: int
    first_event_ns: int
    condition: str = ""
    fault_type: str | None = None


def relation(at_ns: int, family: Family, open_tickets: Sequence[OpenTicket]) -> Related | None:
    """The ticket that a stop is the consequence of, or that a machine condition is the cause of.

    A stop belongs to the machine's open machine-condition ticket (the gravest, then the oldest), but another way of
    running stops no machine. Inside
    `ORDER_NS` the other order gives the same: a condition joins the ticket that the stop had opened.
    """
    if family is Family.STOP:
        causes = [
            t
            for t in open_tickets
            if t.family is Family.MACHINE_CONDITION
            and t.condition != OPERATING_CHANGE
            and t.first_event_ns < at_ns + ORDER_NS
        ]
        if causes:
            cause = min(causes, key=lambda t: (-t.severity, t.ticket))
            return Related(cause.ticket, FoldRule.CONSEQUENCE, at_ns - cause.first_event_ns)
    if family is Family.MACHINE_CONDITION:
        stops = consequences(at_ns, open_tickets)
        if stops:
            return Related(stops[0].ticket, FoldRule.CAUSE, at_ns - stops[0].anchor_ns)
    return None


def consequences(at_ns: int, open_tickets: Sequence[OpenTicket]) -> Sequence[OpenTicket]:
    """The stop tickets that would have joined a condition of `at_ns` had it been heard first, oldest first."""
    stops = [t for t in open_tickets if t.family is Family.STOP and t.anchor_ns > at_ns - ORDER_NS]
    return sorted(stops, key=lambda t: (t.anchor_ns, t.ticket))
