"""What has to hold of a plant after everything that happens, and at the end of its week: a function each, a sentence each."""

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any

import msgspec
from sqlalchemy import Connection, select, text

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS
from tests.weeks import naive
from tests.weeks.world import Broken, Checks, Row, Step, World, rows
from ticketing import alarm_desk, audit
from ticketing import tables as t
from ticketing.alarm_rows import alarm_id
from ticketing.causes import TUNING
from ticketing.clock_tables import timer
from ticketing.dedup import Rules
from ticketing.message_tables import outbox
from ticketing.recall import recall_loads
from ticketing.rows import ticket_of
from ticketing.search import newest, words_of
from ticketing.sql import metadata
from ticketing.states import EDGES
from ticketing.states import Step as Deed
from ticketing.ticket import HELD, NOT_A_FAILURE, SUPPRESSED
from ticketing.topics import OF_KIND

OPEN = ("pending_dispatch", "assigned", "in_progress", "resolved")
OUTCOMES = ("duplicates", "opened", "joined", "reopened", "late", "cleared", "held", "suppressed")
WITHOUT_TICKET = {"late", "cleared", "cleared_first", *HELD, *SUPPRESSED}
OF_ITSELF = frozenset(
    (
        *(
            "id",
            "number",
            "asset",
            "line",
            "key",
            "anchor_ns",
            "opened_ns",
            "trace_id",
            "recurrence_of",
            "description",
        ),
        *(
            "family",
            "component",
            "headline",
            "severity",
            "first_event_ns",
            "last_event_ns",
            "occurrence_count",
        ),
        *(
            "suggested",
            "suggestion",
            "assigned_ns",
            "accepted_ns",
            "resolved_ns",
            "closed_ns",
            "priority_held",
        ),
        *(
            "channel",
            "event_id",
            "reporter",
            "phone",
            "search",
            "version",
            "change",
            "audit_seq",
            "audit_hash",
        ),
    )
)
"""What never changes, what is told by the line's action, evidence and time, and the ticket's own book-keeping."""
ESCALATIONS = ("escalated", "reminded")
BY_MACHINES = {
    "joined",
    "joined_many",
    "fail_again",
    "returned",
    "grouped",
    "merged",
    "duplicate",
    "close_unsigned",
}
"""Lines of a turn by which its own limits may be others at its end than at its beginning."""


@dataclass
class Memory:
    """What the small models beside the service know so far."""

    levels: dict[tuple[int, str, int], int] = field(default_factory=dict)
    owed: set[tuple[int, str, int, str]] = field(default_factory=set)
    said: list[str] = field(default_factory=list)


Law = Callable[[World, Step, Memory], Iterator[str]]
WeekLaw = Callable[[World, Connection], Iterator[str]]
EACH_STEP: list[Law] = []
EACH_WEEK: list[WeekLaw] = []


def each_step(law: Law) -> Law:
    """Looked at after everything that happens."""
    EACH_STEP.append(law)
    return law


def each_week(law: WeekLaw) -> WeekLaw:
    """Looked at when the week is over and the clockwork has come to rest."""
    EACH_WEEK.append(law)
    return law


class AllChecks(Checks):
    """Every law; Broken names the one that does not hold and says what was found."""

    def __init__(self) -> None:
        self.memory = Memory()

    def after_step(self, world: World, step: Step) -> None:
        for law in EACH_STEP:
            for wrong in law(world, step, self.memory):
                raise Broken(f"{law.__name__}: {law.__doc__} {wrong}")

    def at_the_end(self, world: World) -> None:
        with world.looking() as conn:
            for law in EACH_WEEK:
                for wrong in law(world, conn):
                    raise Broken(f"{law.__name__}: {law.__doc__} {wrong}")


def _table(conn: Connection, name: str) -> list[Row]:
    return list(rows(conn, metadata.tables[name]))


@each_step
def counts_balance(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """Every finding is counted once as what became of it."""
    counts = {name.removeprefix("count."): n for name, n in step.after.counts.items()}
    if counts.get("findings", 0) != sum(counts.get(name, 0) for name in OUTCOMES):
        yield str(counts)
    if any(n < 0 for n in counts.values()):
        yield f"below zero: {counts}"


@each_step
def each_change_is_on_record(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """What has changed of a ticket stands in its audit, field by field, and nothing else does."""
    fields = [column.name for column in t.ticket.columns if column.name not in OF_ITSELF]
    for number, after in step.after.tickets.items():
        before = step.before.tickets.get(number)
        new = [one for one in step.after.new_lines if one["ticket"] == number]
        if before is None:
            continue
        if before != after and not new:
            changed = [name for name in after if after[name] != before[name]]
            yield f"A-{number} changed without a line: {changed}"
        for name in fields:
            said = [_change(one, name) for one in new]
            said = [pair for pair in said if pair is not None]
            was, now = _value(before, name), _value(after, name)
            if (was if not said else said[0][0]) != was or (was if not said else said[-1][1]) != now:
                yield f"A-{number} {name}: {was!r} -> {now!r}, on record {said}"
            if any(first[1] != second[0] for first, second in pairwise(said)):
                yield f"A-{number} {name}: a gap in {said}"


def _change(line: Row, name: str) -> tuple[Any, Any] | None:
    if name == "state":
        return (line["from_state"], line["to_state"]) if line["from_state"] else None
    pair = json.loads(line["changes"]).get(name)
    return None if pair is None else (pair[0], pair[1])


def _value(row: Row, name: str) -> Any:
    value = row[name]
    if name == "priority":
        return ("low", "medium", "high", "critical")[value]
    if name in {"fields", "collaborators"}:
        return json.loads(value)
    return (
        bool(value)
        if name in {"urgent", "alarm_active", "same_kind", "relearn"} and value is not None
        else value
    )


@each_step
def states_move_by_edges(_world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """A ticket's state changes by the edges of the table alone, each from where the last had led."""
    for line in step.after.new_lines:
        was, now, action = line["from_state"], line["to_state"], line["action"]
        if line["seq"] > 1:
            last = step.after.lines[line["ticket"]][line["seq"] - 2]
            if last["to_state"] != was:
                yield f"A-{line['ticket']} {line['seq']}: from {was}, but it was {last['to_state']}"
        if was is None:
            if line["seq"] != 1 or now != "pending_dispatch" or action not in ("opened", "split"):
                yield f"A-{line['ticket']} begins with {action} in {now}"
        elif action in set(Deed):
            if action not in EDGES.get((was, now), ()):  # type: ignore[call-overload]
                yield f"A-{line['ticket']}: {action} from {was} to {now}"
        elif was != now and not (action == "unmerged" and was == "closed"):
            yield f"A-{line['ticket']}: {action} moves it from {was} to {now}"


@each_step
def no_times_run_backwards(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """Every line of an audit is of the moment at which it was written."""
    for line in step.after.new_lines:
        if line["at_ns"] != world.now_ns:
            yield f"A-{line['ticket']} {line['seq']} at {line['at_ns']}, not {world.now_ns}"


@each_step
def people_and_states_agree(_world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """What waits for dispatch is nobody's, what is worked on has a person and another as backup."""
    for number, row in step.after.tickets.items():
        person, backup = row["assignee"], row["backup"]
        if row["state"] == "pending_dispatch" and (person or backup):
            yield f"A-{number} waits and has {person}, {backup}"
        if row["state"] in ("assigned", "in_progress") and (not person or not backup or person == backup):
            yield f"A-{number} is {row['state']} and has {person}, {backup}"
        if (row["sub_state"] is not None) is not (row["state"] == "in_progress"):
            yield f"A-{number} is {row['state']}, {row['sub_state']}"
        if row["hold"] is not None and row["state"] != "in_progress":
            yield f"A-{number} is {row['state']} and on hold"
        if (row["closure"] is not None) is not (row["state"] == "closed"):
            yield f"A-{number} is {row['state']}, closed as {row['closure']}"
        if (row["closed_ns"] is not None) is not (row["state"] == "closed"):
            yield f"A-{number} is {row['state']}, closed at {row['closed_ns']}"
        if row["state"] in OPEN[:3] and row["resolved_ns"] is not None:
            yield f"A-{number} is {row['state']}, resolved at {row['resolved_ns']}"


@each_step
def limits_are_taken_as_on_paper(world: World, step: Step, memory: Memory) -> Iterator[str]:
    """What a limit that passes asks for happens at the first turn after it, once, the last level for all before it."""
    if not step.turns:
        for line in step.after.new_lines:
            if line["action"] in ESCALATIONS:
                yield f"A-{line['ticket']} was told without a turn of the clockwork"
        return
    whole = any(not turn.cut for turn in step.turns)
    first = datetime.fromtimestamp(world.week.place.start_ns / SECOND_NS, UTC).date()
    for number, ticket in step.before.tickets.items():
        mine = [one for one in step.after.new_lines if one["ticket"] == number]
        done = Counter(_told(one) for one in mine if one["action"] in ESCALATIONS)
        unclear = any(one["action"] in BY_MACHINES for one in mine)
        expected: Counter[tuple[str, int, int]] = Counter()
        for clock in naive.running(ticket, step.before.lines[number]):
            key = (number, clock.kind, clock.from_ns)
            known = memory.levels.get(key, 0)
            waiting = [one for one in naive.levels(clock, ticket, world.plant, first) if one.number >= known]
            overdue = [one for one in waiting if one.at_ns <= world.now_ns]
            if not overdue:
                continue
            took = (clock.kind, overdue[-1].number, len(overdue))
            expected[took] = overdue[-1].lines
            if whole or done[took]:
                memory.levels[key] = overdue[-1].number + 1
            if not whole and not done[took]:
                del expected[took]
        if done != expected and not unclear:
            yield f"A-{number}: told {dict(done)}, on paper {dict(expected)}"


def _told(line: Row) -> tuple[str, int, int]:
    numbers = json.loads(line["numbers"])
    return line["reason"], int(numbers["level"]), int(numbers["together"])


@each_step
def what_is_owed_is_told_as_on_paper(world: World, step: Step, memory: Memory) -> Iterator[str]:
    """A knowledge entry that presses or is overdue is told at the first turn after it, once."""
    done = Counter(
        (one["ticket"], one["action"])
        for one in step.after.new_lines
        if one["action"].startswith("obligation")
    )
    if not step.turns:
        if done:
            yield f"told without a turn: {dict(done)}"
        return
    whole = any(not turn.cut for turn in step.turns)
    expected: Counter[tuple[int, str]] = Counter()
    for row in step.before.owed:
        ticket = step.before.tickets[row["ticket"]]
        if row["done_ns"] is not None:
            continue
        presses_ns = row["since_ns"] + round(0.75 * (row["due_ns"] - row["since_ns"]))
        for action, at_ns in (("obligation", presses_ns), ("obligation_overdue", row["due_ns"])):
            key = (row["ticket"], row["kind"], row["cycle"], action)
            if at_ns > world.now_ns or key in memory.owed:
                continue
            void = row["kind"] == "knowledge" and row["cycle"] != ticket["reopen_count"]
            told = done[row["ticket"], action]
            if whole or told:
                memory.owed.add(key)
                expected[row["ticket"], action] += not void
    if whole and done != expected:
        yield f"told {dict(done)}, on paper {dict(expected)}"


@each_step
def nothing_due_is_left(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """When the clockwork has come to rest nothing that was due waits, and no step has failed."""
    if not any(turn.settled for turn in step.turns):
        return
    c = timer.c
    with world.looking() as conn:
        left = conn.execute(select(timer).where(c.state == "run", c.try_ns <= world.now_ns)).mappings().all()
        failed = conn.execute(select(timer).where(c.attempts > 0)).mappings().all()
        early = conn.execute(select(timer).where(c.state == "done", c.done_ns < c.due_ns)).mappings().all()
        yield from (f"left: {dict(one)}" for one in left)
        yield from (f"failed: {dict(one)}" for one in failed)
        yield from (f"early: {dict(one)}" for one in early)
        yield from _still_suppressed(world, step, conn)
        yield from _still_held(world, conn)
        offers = _table(conn, "ticket_offer")
    for one in offers:
        if one["state"] == "open" and one["until_ns"] <= world.now_ns:
            yield f"an offer that is over stays open: {dict(one)}"


def _still_suppressed(world: World, step: Step, conn: Connection) -> Iterator[str]:
    """What a suppression held is looked at when that is over."""
    said = {row["finding"]: row for row in _table(conn, "suppressed_occurrence")}
    for row in _table(conn, "occurrence"):
        if row["rule"] not in ("suppressed_shelved", "suppressed_window", "suppressed_inhibited"):
            continue
        held = said.get(row["finding"])
        if held is None:
            yield f"{row['finding']} is {row['rule']}, by nothing"
            continue
        if held["outcome"] == "folded":
            yield f"{row['finding']} was let go and is {row['rule']} still"
        by = step.after.suppressions[held["suppression"]]
        ended_ns = by["ended_ns"] or by["ends_ns"]
        settles_ns = round(world.plant.suppression.settle_s * SECOND_NS) if by["kind"] == "inhibit" else 0
        if held["outcome"] is None and ended_ns is not None and ended_ns + settles_ns <= world.now_ns:
            yield f"{row['finding']} is held by suppression {by['id']}, which is over"
        if by["ends_ns"] is not None and by["ends_ns"] <= world.now_ns and by["ended_ns"] is None:
            yield f"suppression {by['id']} has no end"


def _still_held(world: World, conn: Connection) -> Iterator[str]:
    """What was held back for a delay is told when it has stood so long."""
    stands = {row["id"]: row for row in _table(conn, "alarm_state")}
    for row in _table(conn, "occurrence"):
        if row["rule"] != "held_on_delay":
            continue
        alarm = stands.get(alarm_id(row["key"], row["detector"]))
        delay_ns = round(json.loads(row["fold"])["delay_s"] * SECOND_NS)
        since = alarm["active_since_ns"] if alarm is not None and alarm["active"] else None
        if since is not None and since <= row["at_ns"] and since + delay_ns <= world.now_ns:
            yield f"{row['finding']} has stood since {since} and is held still"


@each_step
def offers_are_of_what_waits(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """What is offered waits for dispatch, and of each ticket one round at most is open."""
    if step.n % 3 and not step.turns:
        return
    with world.looking() as conn:
        still = [one for one in _table(conn, "ticket_offer") if one["state"] == "open"]
    rounds: dict[int, set[int]] = {}
    for one in still:
        rounds.setdefault(one["ticket"], set()).add(one["round"])
        if step.after.tickets[one["ticket"]]["state"] != "pending_dispatch":
            yield f"A-{one['ticket']} is {step.after.tickets[one['ticket']]['state']} and offered to {one['person']}"
    yield from (f"A-{number} is offered in rounds {of}" for number, of in rounds.items() if len(of) > 1)


@each_step
def repeats_have_their_rca(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """A failure within 72 h of the machine's last, or of its repair, lies on an RCA; others open none."""
    new = [row for finding, row in step.after.failures.items() if finding not in step.before.failures]
    if not new:
        return
    with world.looking() as conn:
        linked = {row["failure"]: row for row in rows(conn, t.problem_link)}
    known = list(step.after.failures.values())
    for row in sorted(known, key=lambda row: row["start_ns"]):
        before = [one for one in known if one["asset"] == row["asset"] and one["start_ns"] < row["start_ns"]]
        if row not in new:  # told before: what is new may have come before it
            before = [one for one in before if one in new and _counts(row, step)]
        from_ns = [_counts_from(one, row["start_ns"], step) for one in before if _counts(one, step)]
        apart_h = (row["start_ns"] - max(from_ns)) / HOUR_NS if from_ns else None
        if apart_h is not None and apart_h <= 72 and row["finding"] not in linked:
            yield f"{row['finding']} comes {apart_h} h after the last"


def _counts(failure: Row, step: Step) -> bool:
    ticket = step.before.tickets.get(step.before.failures.get(failure["finding"], failure)["ticket"])
    if ticket is None:  # opened in this very step
        return True
    no_fault = ticket["outcome"] in ("false_alarm", "planned") or ticket["cause"] in TUNING
    return ticket["closure"] not in NOT_A_FAILURE and not no_fault


def _counts_from(failure: Row, at_ns: int, step: Step) -> int:
    ticket = step.before.tickets.get(step.before.failures.get(failure["finding"], failure)["ticket"])
    repaired_ns = ticket["resolved_ns"] if ticket is not None else None
    return repaired_ns if repaired_ns is not None and repaired_ns <= at_ns else failure["start_ns"]


@each_step
def nothing_opens_while_suppressed(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """No ticket is opened by what a shelf, a maintenance window or an alarm above holds back at that moment."""
    new = [row for number, row in step.after.tickets.items() if number not in step.before.tickets]
    opened = [
        (row, line)
        for row in new
        for line in step.after.lines[row["id"]][:1]
        if line["action"] == "opened" and line["channel"] == "engine" and world.plant.asset(row["asset"])
    ]
    if not opened:
        return
    with world.looking() as conn:
        said = {row["finding"]: row for row in rows(conn, t.occurrence)}
    for row, line in opened:
        heard = said[json.loads(line["evidence"])[0]]
        for by in (*_in_force(world, step), *_windows(world)):
            if _means(by, heard, world):
                yield f"{row['number']} by {heard['finding']}, which {by} holds back"


def _in_force(world: World, step: Step) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for number, row in step.before.suppressions.items():
        ended_ns = step.after.suppressions[number]["ended_ns"]
        lasts = row["ends_ns"] is None or world.now_ns < row["ends_ns"]
        if row["starts_ns"] <= world.now_ns and lasts and (ended_ns is None or ended_ns > world.now_ns):
            yield row["kind"], json.loads(row["matcher"])


def _windows(world: World) -> Iterator[tuple[str, Mapping[str, Any]]]:
    first = datetime.fromtimestamp(world.week.place.start_ns / SECOND_NS, UTC).date()
    for window in world.plant.maintenance_windows:
        told = {"time_zone": window.time_zone or world.plant.time_zone, "days": {}}
        told["week"] = {day: list(shifts) for day, shifts in window.week.items()}
        open_ns = naive.worked(json.dumps(told, sort_keys=True), first)
        if open_ns.until(world.now_ns + 1) > open_ns.until(world.now_ns):
            yield "window", window.matcher.model_dump(mode="json")


def _means(by: tuple[str, Mapping[str, Any]], heard: Row, world: World) -> bool:
    kind, matcher = by
    asset = world.plant.asset(heard["asset"])
    definition = next((one for one in world.plant.alarms if one.reason == heard["component"]), None)
    if asset is None or (definition is not None and not definition.suppressible):
        return False
    named = ((matcher["asset"], asset.id), (matcher["component"], heard["component"]))
    if any(wanted and wanted.lower() != given.lower() for wanted, given in named) or matcher["priorities"]:
        return False
    if matcher["families"] and heard["family"] not in matcher["families"]:
        return False
    if matcher["conditions"] and heard["condition"] not in matcher["conditions"]:
        return False
    here = not matcher["under"] or f"{asset.path}/".startswith(f"{matcher['under']}/")
    return here and (kind != "inhibit" or asset.path != matcher["under"])


@each_step
def messages_go_with_their_deeds(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """Each step that people take, and each escalation, is told once on the bus, in the words that its topic promises."""
    with world.looking() as conn:
        c = outbox.c
        new = conn.execute(select(outbox).where(c.at_ns == world.now_ns)).mappings().all()
    told = Counter((row["ticket"], row["key"]) for row in new)
    for line in step.after.new_lines:
        number, seq, action = line["ticket"], line["seq"], line["action"]
        if action in set(Deed) - {Deed.FAIL_AGAIN}:
            key = f"A-{number}/{action}/{seq}/bus"
            if told[number, key] != 1:
                yield f"{key} was told {told[number, key]} times"
    for row in new:
        place = dict.fromkeys(("plant", "site", "area", "asset_name", "asset_name_zh"), "")
        content = msgspec.json.decode(row["content"], type=dict)
        try:
            msgspec.convert({**content, **place}, OF_KIND[row["kind"]].data, strict=True)
        except msgspec.ValidationError as error:
            yield f"{row['kind']} {row['key']}: {error}"


@each_step
def an_rca_is_open_once(world: World, step: Step, _memory: Memory) -> Iterator[str]:
    """Of one scope one problem of a kind is open at most."""
    if not (step.turns or step.event.deed in {"hears", "problem"}):
        return
    with world.looking() as conn:
        found = [row for row in rows(conn, t.problem) if row["state"] != "closed"]
    scopes = Counter((row["kind"], row["scope"]) for row in found)
    yield from (f"{scope}: {n}" for scope, n in scopes.items() if n > 1)


@each_week
def one_master_at_a_time(world: World, conn: Connection) -> Iterator[str]:
    """I1 and I2: masters of a key are anchored a window apart, and one of them at most is open."""
    windows = {row["key"]: _window_ns(conn, row["rule_version"]) for row in rows(conn, t.dedup_key)}
    held: dict[str, list[Row]] = {}
    for row in rows(conn, t.master):
        held.setdefault(row["key"], []).append(row)
        is_open = world.snapshot.tickets[row["ticket"]]["state"] != "closed"
        if bool(row["open"]) is not (is_open and bool(row["exclusive"])):
            yield f"{row['key'][:8]} is open {row['open']} on A-{row['ticket']}, which is {is_open}"
    for key, masters in held.items():
        anchors = sorted(row["anchor_ns"] for row in masters)
        if any(later - earlier < windows[key] for earlier, later in pairwise(anchors)):
            yield f"{key[:8]} is anchored at {anchors}"
        if sum(bool(row["open"]) for row in masters) > 1:
            yield f"{key[:8]} is open on {[row['ticket'] for row in masters if row['open']]}"


def _window_ns(conn: Connection, version: int) -> int:
    c = metadata.tables["dedup_rule"].c
    told = conn.execute(select(c.rules).where(c.version == version)).scalar()
    return (json.loads(told)["window_min"] if told else Rules().told.window_min) * MINUTE_NS


@each_week
def each_finding_lies_somewhere(world: World, conn: Connection) -> Iterator[str]:
    """Every finding is one occurrence, on one ticket that is no duplicate, or recorded with why it is on none."""
    lies = {row["finding"]: row for row in rows(conn, t.occurrence)}
    for lost in world.told - lies.keys():
        yield f"{lost} was heard and is nowhere"
    made = {
        name
        for name in lies.keys() - world.told
        if not name.startswith("report-") and "alarm_flood" not in lies[name]["condition"]
    }
    yield from (f"{name} was never said" for name in made)
    holds = {(row["key"], row["ticket"]) for row in rows(conn, t.master)}
    for row in lies.values():
        if row["ticket"] is None and row["rule"] not in WITHOUT_TICKET:
            yield f"{row['finding']} lies on no ticket, by {row['rule']}"
        if row["ticket"] is None:
            continue
        ticket = world.snapshot.tickets[row["ticket"]]
        if row["rule"] in {*HELD, *SUPPRESSED}:
            yield f"{row['finding']} lies on {ticket['number']} and is {row['rule']}"
        if (row["key"], row["ticket"]) not in holds:
            yield f"{row['finding']} lies on {ticket['number']}, which does not hold its key"
        if ticket["closure"] == "duplicate" and row["action"] != "clear":
            yield f"{row['finding']} lies on {ticket['number']}, a duplicate"


@each_week
def counts_are_those_of_the_rows(world: World, conn: Connection) -> Iterator[str]:
    """What was counted is what is stored."""
    n = {name.removeprefix("count."): value for name, value in world.snapshot.counts.items()}
    lies = rows(conn, t.occurrence)
    rules = Counter(row["rule"] for row in lies)
    split = sum(row["action"] == "split" for lines in world.snapshot.lines.values() for row in lines[:1])
    late = sum(row["rule"] == "late" and row["ticket"] is None for row in lies)
    expected = {
        "findings": len(lies) + world.twice,
        "duplicates": world.twice,
        "opened": len(world.snapshot.tickets) - split,
        "late": late,
        "held": sum(rules[rule] for rule in HELD),
        "suppressed": sum(rules[rule] for rule in SUPPRESSED),
        "failures": len(world.snapshot.failures),
    }
    for name, value in expected.items():
        if n.get(name, 0) != value:
            yield f"{name}: counted {n.get(name, 0)}, stored {value}"


@each_week
def tickets_say_what_lies_on_them(world: World, conn: Connection) -> Iterator[str]:
    """A ticket's count, its alarm, its times and its failures are those of the occurrences on it."""
    lies = [row for row in rows(conn, t.occurrence) if row["ticket"] is not None and row["action"] != "clear"]
    spoken = Counter(row["ticket"] for row in lies)
    stands = {
        row["ticket"]
        for row in rows(conn, t.alarm)
        if row["raise_ns"] is not None and (row["clear_ns"] is None or row["clear_ns"] < row["raise_ns"])
    }
    where = {row["finding"]: row["ticket"] for row in lies}
    for number, row in world.snapshot.tickets.items():
        if row["occurrence_count"] != spoken[number]:
            yield f"{row['number']} says {row['occurrence_count']} occurrences, {spoken[number]} lie on it"
        if row["state"] != "closed" and bool(row["alarm_active"]) is not (number in stands):
            yield f"{row['number']} says its alarm is {row['alarm_active']}, alarms {number in stands}"
        times = [one["at_ns"] for one in lies if one["ticket"] == number]
        if times and (row["first_event_ns"], row["last_event_ns"]) != (min(times), max(times)):
            yield f"{row['number']} says {row['first_event_ns']}..{row['last_event_ns']}, {min(times)}..{max(times)}"
    for finding, failure in world.snapshot.failures.items():
        if where.get(finding) != failure["ticket"]:
            yield f"failure {finding} is of A-{failure['ticket']}, its finding lies on {where.get(finding)}"
    for link in rows(conn, t.problem_link):
        if world.snapshot.failures[link["failure"]]["ticket"] != link["ticket"]:
            yield f"link of {link['failure']} names A-{link['ticket']}"


@each_week
def the_audit_is_whole(_world: World, conn: Connection) -> Iterator[str]:
    """No line of any audit was changed, left out or cut off: tickets', problems' and alarms'."""
    yield from map(str, audit.verify(conn))
    yield from map(str, alarm_desk.verify(conn))


@each_week
def three_a_month_have_their_task(world: World, conn: Connection) -> Iterator[str]:
    """Three repairs of one cause and model in a calendar month of the plant have a task that counts just these."""
    months: dict[tuple[str, str], set[int]] = {}
    zone = naive.ZoneInfo(world.plant.time_zone)
    for number, row in world.snapshot.tickets.items():
        done = row["resolved_ns"] is not None and row["cause"] and row["closure"] not in NOT_A_FAILURE
        if not done or row["cause"] in ("5.0", "5.1", "5.5"):
            continue
        asset = world.plant.asset(row["asset"])
        model = (asset.model or asset.asset_class) if asset else ""
        month = datetime.fromtimestamp(row["resolved_ns"] // SECOND_NS, zone).strftime("%Y-%m")
        months.setdefault((f"{row['cause']}/{model}", month), set()).add(number)
    tasks = [row for row in rows(conn, t.problem) if row["kind"] == "improvement"]
    counted = _table(conn, "problem_counted")
    for (scope, month), tickets in months.items():
        if len(tickets) < 3:
            continue
        mine = [row["id"] for row in tasks if row["scope"] == scope]
        live = {row["ticket"] for row in counted if row["problem"] in mine and row["left_ns"] is None}
        if not tickets <= live:
            yield f"{scope} in {month}: {sorted(tickets)} were repaired, {sorted(live)} are counted by {mine}"
    for row in tasks:
        live = [one for one in counted if one["problem"] == row["id"] and one["left_ns"] is None]
        if len(live) < 3 and row["review"] != "below" and row["state"] != "closed":
            yield f"{row['number']} rests on {len(live)} and is not flagged"


@each_week
def nothing_names_what_is_not_there(world: World, conn: Connection) -> Iterator[str]:
    """No row refers to a row that is not there, and a key's last ticket holds it."""
    known = set(world.snapshot.tickets)
    if conn.dialect.name == "sqlite":
        yield from (str(tuple(row)) for row in conn.execute(text("PRAGMA foreign_key_check")))
    for name in ("duplicate_of", "recurrence_of", "parent"):
        lost = [number for number, row in world.snapshot.tickets.items() if row[name] not in {None, *known}]
        yield from (f"A-{number}: {name}" for number in lost)
    for name, column in (
        ("area_alarms", "ticket"),
        ("ticket_approval", "master"),
        ("problem_counted", "ticket"),
    ):
        lost = [row[column] for row in _table(conn, name) if row[column] not in {None, *known}]
        yield from (f"{name}: {number}" for number in lost)
    held = {(row["key"], row["ticket"]) for row in rows(conn, t.master)}
    for row in rows(conn, t.dedup_key):
        if row["last_ticket"] is not None and (row["key"], row["last_ticket"]) not in held:
            yield f"the last ticket of {row['key'][:8]}, {row['last_ticket']}, does not hold it"
    for row in _table(conn, "routing_decision"):
        if row["seq"] > world.snapshot.tickets[row["ticket"]]["audit_seq"]:
            yield f"a decision about A-{row['ticket']} after its last line"


@each_week
def every_ticket_is_found(world: World, conn: Connection) -> Iterator[str]:
    """A ticket is found by its number, and by its machine, open or closed."""
    for number, row in world.snapshot.tickets.items():
        for words in filter(None, (row["number"], row["asset"])):
            if number not in set(newest(conn, words_of(words))):
                yield f"{row['number']} is not found by {words}"


@each_week
def what_is_to_be_offered_is(world: World, conn: Connection) -> Iterator[str]:
    """A ticket that routing offers to people has been offered to them."""
    offered = {(row["ticket"], row["person"]) for row in _table(conn, "ticket_offer")}
    for number, row in world.snapshot.tickets.items():
        ticket = ticket_of(row)  # type: ignore[arg-type]
        asked = ticket.suggestion.offer_to if ticket.suggestion else ()
        if row["state"] == "pending_dispatch":
            yield from (f"A-{number} to {who}" for who in asked if (number, who) not in offered)


@each_week
def loads_are_counted(world: World, conn: Connection) -> Iterator[str]:
    """A person's load is what that person has and is suggested for."""
    given: Counter[str] = Counter()
    for row in world.snapshot.tickets.values():
        ticket = ticket_of(row)  # type: ignore[arg-type]
        if row["state"] in ("assigned", "in_progress"):
            given[row["assignee"]] += 1
        elif row["state"] == "pending_dispatch" and ticket.suggestion and ticket.suggestion.person:
            given[ticket.suggestion.person] += 1
    known = dict(recall_loads(conn).open_tickets)
    if known != dict(given):
        yield f"{known}, by hand {dict(given)}"


@each_week
def approvals_wait_for_what_is_open(world: World, conn: Connection) -> Iterator[str]:
    """Nobody is asked to approve the closing of what is closed."""
    for row in _table(conn, "ticket_approval"):
        if row["state"] == "pending" and world.snapshot.tickets[row["ticket"]]["state"] == "closed":
            yield f"AP-{row['id']} waits for {row['step']} of A-{row['ticket']}"


@each_week
def no_report_is_lost(_world: World, conn: Connection) -> Iterator[str]:
    """Every report that was received has a ticket or a refusal."""
    fates = {row["report"] for row in _table(conn, "report_fate")}
    yield from (f"report {row['id']}" for row in _table(conn, "report") if row["id"] not in fates)
