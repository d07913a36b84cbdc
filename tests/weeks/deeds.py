"""What people do in a week: each chooses, by its own dice, on what and how; much of it is refused, as in life."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from random import Random

from sqlalchemy import select

from andon.events import HOUR_NS, Family
from andon.rules.suppression import Matcher
from tests.scenario.story import photo
from tests.weeks.invent import REASONS
from tests.weeks.plants import LINES, MACHINES
from tests.weeks.world import Row, World
from ticketing import (
    alarm_desk,
    deeds,
    editing,
    fieldwork,
    links,
    rca,
    recoding,
    reports,
    standing_in,
    store,
    suppressions,
    taking,
    unmerging,
)
from ticketing import tables as t
from ticketing.deeds import Doer
from ticketing.demands import Hold, Ticks
from ticketing.duty import Presence
from ticketing.obligations import Owed
from ticketing.problem import ActionKind, Problem, ProblemState
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.rca import ProblemBy
from ticketing.sql import metadata
from ticketing.standing_in import Reason
from ticketing.states import Step
from ticketing.suppression import SuppressionKind
from ticketing.taking import Taker
from ticketing.ticket import SubState

REASON = "the seal is torn"
REPAIRERS = ("zhang", "li", "wang", "ma")
EVERYONE = (*REPAIRERS, "chen", "qin", "he")
BOSSES = ("chen", "he")
OPEN = ("pending_dispatch", "assigned", "in_progress")
_P = ProblemStep
ALL_TICKED = Ticks(solved=True, no_derived_risk=True, no_further_support=True)


class Nothing(Exception):
    """There is nothing to do that to."""


def pick(world: World, rng: Random, *states: str) -> Row:
    """A ticket in one of these states, or any; of an early week the same few again and again."""
    found = [row for _, row in sorted(world.snapshot.tickets.items()) if not states or row["state"] in states]
    if not found:
        raise Nothing
    return rng.choice(found[-6:] if rng.random() < 0.7 else found)


def by(world: World, row: Row, actor: str) -> dict[str, object]:
    """Who, when, on which version."""
    return {"actor": actor, "now_ns": world.now_ns, "expected_version": row["version"]}


@cache
def picture(shade: int) -> bytes:
    """A photo."""
    return photo(shade)


def turn(world: World, rng: Random) -> str:
    settle = rng.random() < 0.75
    return f"{world.clockwork(settle=settle)} done, {'settled' if settle else 'once'}"


def step_on(world: World, rng: Random) -> str:
    """What the work needs next is done."""
    row = pick(world, rng, *OPEN, "resolved")
    match row["state"]:
        case "pending_dispatch":
            return _assign(world, rng, row)
        case "assigned":
            given = {"sub_state": SubState.SITE_SURVEY, **by(world, row, row["assignee"])}
            return _said(world.tickets.accept(row["id"], **given))
        case "in_progress":
            return _resolve(world, rng, row)
    given = {"ticks": ALL_TICKED, "plant": world.plant, **by(world, row, rng.choice(("chen", "qin")))}
    return _said(world.tickets.sign(row["id"], **given))


def _said(ticket: object) -> str:
    return f"{ticket.number} {ticket.state} {ticket.assignee}"  # type: ignore[attr-defined]


def _assign(world: World, rng: Random, row: Row) -> str:
    person, backup = rng.sample(REPAIRERS, 2)
    given = {"person": person, "backup": backup, "plant": world.plant, "reason": REASON}
    return _said(world.tickets.assign(row["id"], **given, **by(world, row, "chen")))


def _resolve(world: World, rng: Random, row: Row) -> str:
    for part in _parts(world, row["id"]):
        deeds.issue_part(_doer(world, "he"), part["id"])
    _picture(world, rng, row)
    version = {"expected_version": _now(world, row["id"])["version"]}
    given = {
        "summary": "seal replaced",
        "cause": rng.choice(("3.4", "3.4", "3.4", "6.1", "5.5", "6.2")),
        "same_kind": False,
        "plant": world.plant,
        "scene_tag": rng.choice((None, "environment")),
    }
    actor = row["assignee"] or "li"
    return _said(world.tickets.resolve(row["id"], **given, **{**by(world, row, actor), **version}))


def _now(world: World, number: int) -> Row:
    with world.looking() as conn:
        return conn.execute(select(t.ticket).where(t.ticket.c.id == number)).mappings().one()


def _parts(world: World, number: int) -> list[Row]:
    c = metadata.tables["requisition"].c
    with world.looking() as conn:
        wanted = select(c.id).where(c.ticket == number, c.state == "open").order_by(c.id)
        return list(conn.execute(wanted).mappings())


def _doer(world: World, actor: str) -> Doer:
    return Doer(world.tickets, actor, world.now_ns)


def _picture(world: World, rng: Random, row: Row, stage: str = "repair") -> str:
    given = {"body": picture(rng.randrange(4)), "stage": stage, "actor": "li", "now_ns": world.now_ns}
    world.tickets.add_photo(row["id"], **given)
    return f"photo of {row['number']}"


def wrong_step(world: World, rng: Random) -> str:
    """Something that cannot be: a word without meaning, a version of yesterday, somebody unknown."""
    row = pick(world, rng)
    stale = {"actor": "chen", "now_ns": world.now_ns, "expected_version": row["version"] - 1}
    tickets, number, here = world.tickets, row["id"], by(world, row, "chen")
    match rng.randrange(6):
        case 0:
            return _said(tickets.reject(number, reason=REASON, evidence=("photo",), **stale))
        case 1:
            return _said(tickets.decline(number, reason=" ", evidence=(), **here))
        case 2:
            given = {"person": "nobody", "backup": "li", "plant": world.plant, "reason": REASON}
            return _said(tickets.assign(number, **given, **here))
        case 3:
            given = {"summary": "跟进中", "cause": "9.9", "same_kind": None, "plant": world.plant}
            return _said(tickets.resolve(number, **given, **here))
        case 4:
            return _said(tickets.split(number, key="no key", plant=world.plant, reason=REASON, **here))
    given = {"of": number, "reason": REASON, "approver": "chen", "plant": world.plant}
    return _said(tickets.duplicate(number, **given, **here))


def assign(world: World, rng: Random) -> str:
    return _assign(world, rng, pick(world, rng, "pending_dispatch", "assigned"))


def offer(world: World, rng: Random) -> str:
    """Somebody who was asked says yes or no."""
    c = metadata.tables["ticket_offer"].c
    with world.looking() as conn:
        asked = conn.execute(select(c.ticket, c.person).order_by(c.ticket, c.round, c.person)).all()
    if not asked:
        raise Nothing
    number, person = rng.choice(asked[-6:])
    if rng.random() < 0.5:
        return _said(taking.accept_offer(world.tickets, number, world.plant, Taker(person, world.now_ns)))
    said = {"reason": REASON, "actor": person, "now_ns": world.now_ns}
    return _said(taking.decline_offer(world.tickets, number, **said))


def claim(world: World, rng: Random) -> str:
    row = pick(world, rng, "pending_dispatch")
    return _said(
        taking.claim(world.tickets, row["id"], world.plant, Taker(rng.choice(REPAIRERS), world.now_ns))
    )


def decline(world: World, rng: Random) -> str:
    row = pick(world, rng, "assigned")
    given = {"reason": REASON, "evidence": ("photo",), **by(world, row, row["assignee"] or "li")}
    return _said(world.tickets.decline(row["id"], **given))


def transfer(world: World, rng: Random) -> str:
    row = pick(world, rng, "assigned", "in_progress")
    person, backup = rng.sample(REPAIRERS, 2)
    given = {
        "person": person,
        "backup": backup,
        "plant": world.plant,
        "reason": REASON,
        "evidence": ("photo",),
    }
    return _said(world.tickets.transfer(row["id"], **given, **by(world, row, "chen")))


def hand_to_backup(world: World, rng: Random) -> str:
    row = pick(world, rng, "assigned", "in_progress")
    why = Reason(REASON, actor="chen", channel="console")
    return _said(standing_in.hand_to_backup(world.tickets, world.plant, row["id"], world.now_ns, why))


def substate(world: World, rng: Random) -> str:
    row = pick(world, rng, "in_progress")
    given = {"sub_state": rng.choice(list(SubState)), "reason": REASON, "evidence": ("photo",)}
    return _said(world.tickets.substate(row["id"], **given, **by(world, row, "li")))


def hold(world: World, rng: Random) -> str:
    row = pick(world, rng, "in_progress")
    given = {"hold": rng.choice(list(Hold)), "reason": REASON, "evidence": ("photo",)}
    return _said(fieldwork.hold(world.tickets, row["id"], **given, **by(world, row, "li")))


def resume(world: World, rng: Random) -> str:
    held = [row for row in world.snapshot.tickets.values() if row["hold"]]
    if not held:
        raise Nothing
    row = rng.choice(held)
    return _said(fieldwork.resume(world.tickets, row["id"], reason=REASON, **by(world, row, "li")))


def part(world: World, rng: Random) -> str:
    row = pick(world, rng, *OPEN)
    asked = _parts(world, row["id"])
    if asked and rng.random() < 0.5:
        return deeds.withdraw_part(_doer(world, "li"), asked[0]["id"], reason=REASON).number
    wanted = {"part": "SEAL-40", "quantity": 1, "reason": REASON}
    return deeds.request_part(_doer(world, "li"), row["id"], **wanted).number


def take_photo(world: World, rng: Random) -> str:
    return _picture(world, rng, pick(world, rng), rng.choice(("arrival", "repair")))


def comment(world: World, rng: Random) -> str:
    row = pick(world, rng)
    said = {"text": f"seen {rng.randrange(99)}", "actor": rng.choice(EVERYONE), "now_ns": world.now_ns}
    return _said(world.tickets.comment(row["id"], **said))


def reject(world: World, rng: Random) -> str:
    row = pick(world, rng, "resolved")
    given = {"reason": REASON, "evidence": ("photo",), **by(world, row, "chen")}
    return _said(world.tickets.reject(row["id"], **given))


def reopen(world: World, rng: Random) -> str:
    row = pick(world, rng, "closed")
    given = {"reason": REASON, "evidence": ("photo",), "plant": world.plant}
    return _said(world.tickets.reopen(row["id"], **given, **by(world, row, "he")))


def close_otherwise(world: World, rng: Random) -> str:
    row = pick(world, rng, *OPEN, "resolved")
    given = {"reason": REASON, "approver": "chen", "plant": world.plant, **by(world, row, "chen")}
    if row["state"] == "resolved":
        return _said(world.tickets.close_unsigned(row["id"], **given))
    give_up = rng.choice((world.tickets.cancel, world.tickets.false_alarm))
    return _said(give_up(row["id"], **given))


def ask_approval(world: World, rng: Random) -> str:
    row = pick(world, rng, *OPEN)
    step = rng.choice((Step.CANCEL, Step.FALSE_ALARM, Step.DUPLICATE))
    master = pick(world, rng, *OPEN)["id"] if step is Step.DUPLICATE else None
    asked = deeds.ask_approval(_doer(world, "li"), row["id"], step=step, reason=REASON, master=master)
    return f"{asked.step} of {row['number']}"


def decide_approval(world: World, rng: Random) -> str:
    c = metadata.tables["ticket_approval"].c
    with world.looking() as conn:
        waiting = conn.execute(select(c.id).where(c.state == "pending").order_by(c.id)).scalars().all()
    if not waiting:
        raise Nothing
    doer = _doer(world, rng.choice(BOSSES))
    if rng.random() < 0.7:
        return _said(deeds.grant(doer, rng.choice(waiting), world.plant))
    return str(deeds.refuse(doer, rng.choice(waiting), world.plant, note=REASON).state)


def merge(world: World, rng: Random) -> str:
    row, of = pick(world, rng, *OPEN), pick(world, rng, *OPEN)
    given = {"of": of["id"], "reason": REASON, "approver": "chen", "plant": world.plant}
    return (
        _said(world.tickets.duplicate(row["id"], **given, **by(world, row, "chen"))) + f" of {of['number']}"
    )


def unmerge(world: World, rng: Random) -> str:
    merged = [row for row in world.snapshot.tickets.values() if row["closure"] == "duplicate"]
    if not merged:
        raise Nothing
    row = rng.choice(merged)
    given = {"reason": REASON, "evidence": ("seen",), **by(world, row, "chen")}
    return _said(unmerging.take_back(world.tickets, row["id"], **given))


def split(world: World, rng: Random) -> str:
    row = pick(world, rng, *OPEN)
    with world.looking() as conn:
        held = conn.execute(select(t.master.c.key).where(t.master.c.ticket == row["id"])).scalars().all()
    if len(held) < 2:
        raise Nothing
    given = {"key": rng.choice(sorted(held)), "plant": world.plant, "reason": REASON}
    return _said(world.tickets.split(row["id"], **given, **by(world, row, "chen"))) + f" off {row['number']}"


def edit(world: World, rng: Random) -> str:
    row = pick(world, rng, *OPEN, "resolved")
    wanted = rng.choice(
        (
            {"priority": rng.choice(("low", "medium", "high", "critical"))},
            {"urgent": rng.random() < 0.6},
            {"type": rng.choice(("hardware_fault", "process_abnormality"))},
            {"fault_type": rng.choice(("line_stop", "seal_failure", None))},
            {"grade": "A", "region": "east"},
        )
    )
    given = {"reason": REASON, "plant": world.plant, **by(world, row, "chen")}
    return _said(editing.edit(world.tickets, row["id"], wanted, **given)) + f" {wanted}"


def recode(world: World, rng: Random) -> str:
    row = pick(world, rng, "resolved", "closed")
    given = {"cause": rng.choice(("3.4", "6.1", "6.2")), "reason": REASON, "plant": world.plant}
    return _said(recoding.recode(world.tickets, row["id"], **given, **by(world, row, "chen")))


def link(world: World, rng: Random) -> str:
    one, other = pick(world, rng), pick(world, rng)
    kind = rng.choice(list(links.LinkKind))
    said = {"note": REASON, "actor": "chen", "channel": "console"}
    with world.tickets.transaction(world.now_ns) as book:
        links.link(book, one["id"], kind, other["id"], **said)
    return f"{one['number']} {kind} {other['number']}"


def presence(world: World, rng: Random) -> str:
    person = rng.choice(REPAIRERS)
    until_ns = rng.choice((None, 0, world.now_ns + rng.choice((HOUR_NS, 20 * HOUR_NS))))
    said = Presence(person, world.now_ns, online=rng.choice((None, True, False)), leave_until_ns=until_ns)
    moved = standing_in.report(world.tickets, world.plant, said)
    return f"{person} away until {until_ns}, moved {[one.number for one in moved]}"


def report(world: World, rng: Random) -> str:
    """Somebody reports; sometimes whoever brings it is gone before it is decided."""
    said = {
        "description": rng.choice(("it leaks", "the screen is dark", "")),
        "asset": rng.choice((*MACHINES[:3], "")),
        "order_number": rng.choice(("", "SO-1", "SO-2")),
        "phone": rng.choice(("", "13800138000")),
        "type": rng.choice(("hardware_fault", "configuration_enquiry", "")),
        "fault_type": rng.choice(("", "", "line_stop", "seal_failure")),
        "urgent": rng.random() < 0.3,
    }
    given = {"actor": "li", "came_by": "api", "now_ns": world.now_ns}
    key = f"K{rng.randrange(3)}" if rng.random() < 0.3 else None
    came = reports.receive(world.tickets, json.dumps(said).encode(), idempotency=key, **given)
    if rng.random() < 0.2:
        return f"report {came.id} left"
    taken = reports.take(world.tickets, came.id, world.plant, world.now_ns)
    return f"report {came.id}: {taken.ticket} {taken.refusal}"


def shelve(world: World, rng: Random) -> str:
    return _suppress(world, rng, SuppressionKind.SHELVE, world.now_ns, rng.choice((0.3, 2, 8)))


def window(world: World, rng: Random) -> str:
    starts_ns = world.now_ns + rng.choice((0, HOUR_NS))
    return _suppress(world, rng, SuppressionKind.MAINTENANCE_WINDOW, starts_ns, rng.choice((1, 9, 30)))


def _suppress(world: World, rng: Random, kind: SuppressionKind, starts_ns: int, hours: float) -> str:
    matcher = rng.choice(
        (
            Matcher(asset=rng.choice(MACHINES[:3])),
            Matcher(asset=rng.choice(MACHINES[:3]), component=rng.choice(REASONS)),
            Matcher(under=rng.choice(list(LINES.values()))),
            Matcher(families=(Family.STOP,)),
            Matcher(under=LINES["L1"], priorities=("low", "medium")),
        )
    )
    with world.tickets.transaction(world.now_ns) as book:
        made = suppressions.asked(
            book,
            world.plant,
            kind=kind,
            matcher=matcher,
            reason=REASON,
            owner="chen",
            starts_ns=starts_ns,
            ends_ns=starts_ns + round(hours * HOUR_NS),
            one_shot=rng.random() < 0.2,
        )
    return f"suppression {made.id}: {matcher.model_dump(exclude_defaults=True)} for {hours} h"


def end_suppression(world: World, rng: Random) -> str:
    standing = [n for n, row in world.snapshot.suppressions.items() if row["ended_ns"] is None]
    if not standing:
        raise Nothing
    with world.tickets.transaction(world.now_ns) as book:
        number = rng.choice(sorted(standing))
        suppressions.end_early(book, number, actor="chen", reason=REASON, channel="console")
    return f"suppression {number} ended"


def _alarm(world: World, rng: Random) -> str:
    c = metadata.tables["alarm_state"].c
    with world.looking() as conn:
        names = conn.execute(select(c.id).order_by(c.last_change_ns.desc(), c.id).limit(6)).scalars().all()
    if not names:
        raise Nothing
    return str(rng.choice(names))


def service(world: World, rng: Random) -> str:
    """An alarm is taken out of service, or returned."""
    c = metadata.tables["alarm_state"].c
    with world.looking() as conn:
        out = conn.execute(select(c.id).where(c.state == "oosrv").order_by(c.id)).scalars().all()
    with world.tickets.transaction(world.now_ns) as book:
        if out and rng.random() < 0.7:
            return alarm_desk.return_to_service(book, world.plant, out[0], actor="chen", reason=REASON).id
        name = _alarm(world, rng)
        return (
            "out: " + alarm_desk.remove_from_service(book, world.plant, name, actor="chen", reason=REASON).id
        )


def acknowledge(world: World, rng: Random) -> str:
    deed = rng.choice((alarm_desk.acknowledge, alarm_desk.acknowledge, alarm_desk.unacknowledge))
    with world.tickets.transaction(world.now_ns) as book:
        return deed(book, _alarm(world, rng), actor="chen").id


def obligation(world: World, rng: Random) -> str:
    row = pick(world, rng, "closed")
    return str(deeds.fulfil(_doer(world, "he"), row["id"], Owed.KNOWLEDGE, note="see page 7"))


def archive(world: World, rng: Random) -> str:
    row = pick(world, rng, "closed")
    given = {"scene_tag": "environment", "plant": world.plant, **by(world, row, "chen")}
    return _said(fieldwork.archive(world.tickets, row["id"], **given))


def problem(world: World, rng: Random) -> str:
    """The work on a root cause goes one step further, or back."""
    with world.looking() as conn:
        known = sorted(store.problems(conn), key=lambda one: one.id)
        if not known:
            raise Nothing
        one = store.problem(conn, rng.choice(known).id)
    step, given, actor = _next(world, rng, one)
    who = ProblemBy(actor, world.now_ns, one.version)
    after = rca.take(world.tickets, one.id, step, given, plant=world.plant, by=who)
    return f"{after.number} {step} -> {after.state}"


def _next(world: World, rng: Random, one: Problem) -> tuple[ProblemStep, ProblemGiven, str]:
    """The first step of the straight way that is not taken yet; now and then any other."""
    hours = rng.choice((6, 30))
    finished = ProblemGiven(action=_open_action(one), evidence=("list",), approver="chen")
    given = ProblemGiven(kind=ActionKind.CORRECTIVE, text="grease", owner="li")
    given = replace(given, due_ns=world.now_ns + hours * HOUR_NS)
    if rng.random() < 0.2:
        anything = {
            "reason": REASON,
            "evidence": ("e",),
            "approver": "chen",
            "leader": "chen",
            "measured": "none",
        }
        action = rng.choice([action.id for action in one.actions] or [1])
        return rng.choice(list(ProblemStep)), replace(given, action=action, **anything), "qin"
    analysing, acting = one.state is ProblemState.ANALYSING, one.state is ProblemState.ACTIONS
    judged = ProblemGiven(cause=1, verified=True, evidence=("analysis",))
    passed = one.check is not None and one.check.passed
    way = (
        (
            one.state in (ProblemState.OPEN, ProblemState.REOPENED),
            _P.START,
            ProblemGiven(leader="chen"),
            "chen",
        ),
        (
            analysing and not one.statement.what,
            _P.DESCRIBE,
            ProblemGiven(statement={"what": "it stops"}),
            "chen",
        ),
        (
            analysing and not one.causes,
            _P.ADD_CAUSE,
            ProblemGiven(text="grease", code="3.3", root=True),
            "chen",
        ),
        (analysing and not any(cause.verified for cause in one.causes), _P.JUDGE_CAUSE, judged, "chen"),
        (analysing, _P.DECIDE, ProblemGiven(), "chen"),
        (
            acting and not any(action.cycle == one.cycle for action in one.actions),
            _P.ADD_ACTION,
            given,
            "chen",
        ),
        (acting and finished.action is not None, _P.FINISH_ACTION, finished, "li"),
        (acting, _P.PLAN_CHECK, ProblemGiven(metric="stops", target="0", checker="qin"), "chen"),
        (passed, _P.CLOSE, ProblemGiven(), "qin"),
        (one.state is ProblemState.VERIFYING, _P.PASS_CHECK, ProblemGiven(measured="none"), "qin"),
        (True, _P.REOPEN, ProblemGiven(reason=REASON, evidence=("e",), approver="chen"), "chen"),
    )
    return next((step, what, actor) for open_, step, what, actor in way if open_)


def _open_action(one: Problem) -> int | None:
    return next((action.id for action in one.actions if action.state == "open"), None)


def _or_nothing(deed: Callable[[World, Random], str]) -> Callable[[World, Random], str]:
    def done(world: World, rng: Random) -> str:
        try:
            return deed(world, rng)
        except Nothing:
            return "nothing to do that to"

    return done


_ALL = (
    *(turn, step_on, wrong_step, assign, offer, claim, decline, transfer, hand_to_backup, substate, hold),
    *(resume, part, comment, reject, reopen, close_otherwise, ask_approval, decide_approval, merge, unmerge),
    *(split, edit, recode, link, presence, report, shelve, window, end_suppression, service, acknowledge),
    *(obligation, archive, problem),
)
DEEDS: Mapping[str, Callable[[World, Random], str]] = {
    "photo": _or_nothing(take_photo),
    **{deed.__name__: _or_nothing(deed) for deed in _ALL},
}
