"""What was recorded without a ticket, and what becomes of it: folded as if heard now with its own time, or left recorded.

`held` says what there is, `release` folds some of it, `ask_again` is what the timer of a held finding does.
"""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace

import msgspec
from sqlalchemy import ColumnElement, Connection, bindparam, select, update

from andon.events import HOUR_NS, Action, Finding, Origin
from andon.plant import Plant
from ticketing.alarm_layer import Definitions
from ticketing.alarm_rows import Named, alarm_id, alarm_state, recall_named
from ticketing.annunciation import Hold, end_of, hold_of, is_fleeting
from ticketing.book import Book
from ticketing.dedup import Key
from ticketing.intake import Intake
from ticketing.key_versions import known_rules
from ticketing.recall import lock, recall
from ticketing.rows import occurrence_of
from ticketing.sql import chunks, to_json
from ticketing.standing import scoping
from ticketing.suppressing import RULES, Suppressing
from ticketing.tables import dedup_key, master, occurrence
from ticketing.ticket import HELD, SUPPRESSED, FoldRule, Occurrence
from ticketing.timers import Timer, set_timer

_COUNT_FLEETING = (
    update(alarm_state)
    .where(alarm_state.c.id == bindparam("_alarm"))
    .values(fleeting=alarm_state.c.fleeting + 1)
)
_INPUTS = msgspec.json.Decoder(dict[str, str])
_NOW_HELD_BY = update(occurrence).where(occurrence.c.finding == bindparam("_finding"))
REACH_NS = 26 * HOUR_NS
"""No definition holds anything back for longer than a day; counted from when it was to be asked, however late that is."""


def held(
    conn: Connection, *wheres: ColumnElement[bool], rules: Iterable[FoldRule] = (*HELD, *SUPPRESSED)
) -> Sequence[Occurrence]:
    """What is recorded without a ticket by one of these rules, in the order of its own times."""
    c = occurrence.c
    wanted = select(occurrence).where(c.rule.in_(sorted(rules)), *wheres).order_by(c.at_ns, c.finding)
    return [occurrence_of(row) for row in conn.execute(wanted).mappings()]


def standing(conn: Connection, waiting: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """Those of them whose alarm stands still: of each activation its words from the beginning on."""
    known = recall_named(conn, {alarm_id(one.key, one.detector) for one in waiting})
    alarms = {name: found.alarm for name, found in known.items()}
    return [
        one
        for one in waiting
        if (alarm := alarms.get(alarm_id(one.key, one.detector))) is not None
        and alarm.active
        and one.action is not Action.CLEAR
        and one.at_ns >= (alarm.active_since_ns or 0)
    ]


def not_suppressed(book: Book, plant: Plant, waiting: Sequence[Occurrence]) -> Sequence[Occurrence]:
    """Those that no suppression holds back now; the others say from now on which one does."""
    suppressing, definitions = Suppressing(book, plant), Definitions(plant)
    free: list[Occurrence] = []
    for one in waiting:
        by = suppressing.held_on(one, definitions.subject(finding_of(one)))
        if by is None:
            free.append(one)
        else:
            said = {"rule": str(RULES[by.kind]), "fold": to_json({"suppression": float(by.id)})}
            if one.fold.rule in HELD:
                book.counts.update(held=-1, suppressed=1)
            book.later(_NOW_HELD_BY, {"_finding": one.finding, **said})
    return free


def release(book: Book, plant: Plant, waiting: Sequence[Occurrence], *, inside: Collection[str] = ()) -> int:
    """Fold these as if heard now, each with its own time; gives how many. On a book that has not written of them yet.

    `inside` are those of a maintenance window: no failures of the machine.
    """
    if not waiting:
        return 0
    ordered = sorted(waiting, key=lambda one: (one.at_ns, one.finding))
    findings = [finding_of(one) for one in ordered]
    known_keys = _keys(book.conn, {one.key for one in ordered})
    keys = [known_keys[one.key] for one in ordered]
    lock(book.conn, findings, keys)
    rules = known_rules(book.conn)
    known, tickets = recall(book.conn, findings, keys, rules, scoping(plant))
    book.keep(tickets)
    intake = Intake(book, known, plant, rules)
    for one, finding, key in zip(ordered, findings, keys, strict=True):
        intake.take_again(finding, key, one.at_ns, one.fold.rule, fails=one.finding not in inside)
    intake.finish()
    return len(ordered)


def ask_again(book: Book, plant: Plant, timer: Timer) -> None:
    """The time is up that a held finding was given: fold all of its alarm that is to be told by now."""
    name = str(timer.body["alarm"])
    named = recall_named(book.conn, [name]).get(name)
    if named is None:
        return
    c = occurrence.c
    of_alarm = (c.key == named.key, c.detector == named.detector, c.at_ns >= timer.due_ns - REACH_NS)
    waiting = held(book.conn, *of_alarm, rules=HELD)
    definitions, is_open = Definitions(plant), _has_open(book.conn, named.key)
    told: list[Occurrence] = []
    for one in waiting:
        hold = _still_held(one, named, definitions, book.now_ns, open_ticket=is_open)
        if hold is None:
            told.append(one)
        elif timer.subject == f"finding/{one.finding}":
            _wait_on(book, timer, hold)
            if hold.until_ns is None and is_fleeting(definitions.of(finding_of(one)), named.alarm, one.at_ns):
                book.later(_COUNT_FLEETING, {"_alarm": named.id})
    release(book, plant, not_suppressed(book, plant, told))


def finding_of(one: Occurrence) -> Finding:
    """The finding that was recorded, but for its drawing, which is kept beside it."""
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
        origin=Origin(source, int(position), one.received_ns),
        text=one.text,
        set_version=one.set_version,
    )


def _still_held(
    one: Occurrence, named: Named, definitions: Definitions, now_ns: int, *, open_ticket: bool
) -> Hold | None:
    definition = definitions.of(finding_of(one))
    if one.fold.rule is FoldRule.HELD_DEADBAND:
        return Hold(FoldRule.HELD_DEADBAND)
    if one.action is Action.CLEAR:
        return end_of(definition, named.alarm, one.at_ns, now_ns)
    return hold_of(definition, named.alarm, one.at_ns, now_ns, open_ticket=open_ticket)


def _wait_on(book: Book, timer: Timer, hold: Hold) -> None:
    """Ask once more when it says so; what waits for nothing more stays recorded."""
    if hold.until_ns is not None:
        set_timer(book, replace(timer, step=timer.step + 1, due_ns=max(hold.until_ns, book.now_ns + 1)))


def _has_open(conn: Connection, key: str) -> bool:
    wanted = select(master.c.ticket).where(master.c.key == key, master.c.open.is_(True))
    return conn.execute(wanted.limit(1)).first() is not None


def _keys(conn: Connection, hashes: Iterable[str]) -> dict[str, Key]:
    c = dedup_key.c
    found: dict[str, Key] = {}
    for some in chunks(hashes):
        rows = conn.execute(select(c.key, c.inputs, c.rule_version).where(c.key.in_(some)))
        found |= {row.key: Key(row.key, _INPUTS.decode(row.inputs), row.rule_version) for row in rows}
    return found
