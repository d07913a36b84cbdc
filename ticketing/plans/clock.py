"""Looks at a plan on a machine: opens the ticket that is due through the ordinary intake, and sets when to look next."""

from sqlalchemy import bindparam, select, update

from andon.events import HOUR_NS, Action, Family, Finding, Origin
from andon.plant import Plant
from andon.rules.plans import Plan
from ticketing.book import MACHINE, Book, lock_assets
from ticketing.dedup import EVENT_ID
from ticketing.duty import who
from ticketing.intake import fold
from ticketing.plans import review
from ticketing.plans.counting import Counted, counted
from ticketing.plans.dates import Site, site_of
from ticketing.plans.schedule import Due, due
from ticketing.plans.store import readings_of, runs_of
from ticketing.plans.tables import plan_asset, plan_run
from ticketing.report import SEVERITY
from ticketing.stepping import lock
from ticketing.tables import occurrence
from ticketing.ticket import PLANNED, UNRESOLVED
from ticketing.timers import Timer, set_timer

OVERDUE = "plan_overdue"
"""The timer of a ticket whose plan's time is over."""
_WHILE_OPEN_NS = 6 * HOUR_NS
"""A ticket that is merged into another settles with that one: looked at so often."""
_OPENED = update(plan_asset).where(
    plan_asset.c.plan == bindparam("_plan"), plan_asset.c.asset == bindparam("_asset")
)


def look(book: Book, plant: Plant, timer: Timer) -> None:
    """The timer's handler: open the ticket that is due by now, and set the timer to the next moment that matters."""
    code, asset = review.pair_of(timer)
    lock_assets(book.conn, [asset])
    plan = review.plan_of(plant, code)
    since_ns = _since(book, code, asset)
    if (
        plan is None
        or plan.retired
        or since_ns is None
        or asset not in review.machines_of(plan.machines, plant)
    ):
        _note(book, code, asset, state="off")
        return
    site, runs = site_of(plan, plant), runs_of(book.conn, code, asset)
    found = due(
        plan, site, runs, since_ns=since_ns, now_ns=book.now_ns, meter=meter_of(book, plan, plant, asset)
    )
    if found is not None and found.is_open_at(book.now_ns):
        _open(book, plant, plan, asset, found=found, site=site, seq=len(runs) + 1)
        return
    if found is None and runs and runs[-1].settled_ns is None:
        _note(book, code, asset, state="open", due_ns=runs[-1].due_ns, ticket=runs[-1].ticket)
        review.again(book.conn, [(code, asset)], book.now_ns + _WHILE_OPEN_NS, book.now_ns)
        return
    _wait(book, plan, asset, found)


def meter_of(book: Book, plan: Plan, plant: Plant, asset: str) -> Counted:
    """What the plan's meter has counted on that machine; nothing where it has none."""
    meter = next((one for one in plant.meters if plan.usage and one.code == plan.usage.meter), None)
    if meter is None:
        return Counted()
    return counted(readings_of(book.conn, asset, meter.code), meter.rollover_at)


def overdue(book: Book, plant: Plant, timer: Timer) -> None:
    """The time of a plan's ticket is over and it is not done: on record, and told to those it concerns."""
    number = int(timer.subject.partition("/")[2])
    lock(book.conn, number)
    ticket = book.ticket(number)
    if ticket.state not in UNRESOLVED:
        return
    leader = who("line_leader", ticket.line, book.now_ns, plant, {}).person
    ticket = book.record(ticket, action=OVERDUE, actor=f"rule/{OVERDUE}", channel=MACHINE)
    told = {"reason": OVERDUE, "actor": f"rule/{OVERDUE}"}
    book.tell(ticket, f"ticket.{OVERDUE}", (ticket.assignee or "dispatch", ticket.backup, leader), told)


def _since(book: Book, code: str, asset: str) -> int | None:
    c = plan_asset.c
    wanted = select(c.since_ns).where(c.plan == code, c.asset == asset)
    return book.conn.execute(wanted).scalar_one_or_none()


def _note(
    book: Book,
    code: str,
    asset: str,
    *,
    state: str,
    due_ns: int | None = None,
    opens_ns: int | None = None,
    ticket: int | None = None,
) -> None:
    c = plan_asset.c
    noted = update(plan_asset).where(c.plan == code, c.asset == asset)
    book.conn.execute(noted.values(state=state, due_ns=due_ns, opens_ns=opens_ns, ticket=ticket))


def _wait(book: Book, plan: Plan, asset: str, found: Due | None) -> None:
    """Nothing is to be opened yet; a meter is looked at again with its next reading."""
    if found is None:
        _note(book, plan.code, asset, state="never")
        return
    state = "unread" if found.due_ns is None else "waits"
    _note(book, plan.code, asset, state=state, due_ns=found.due_ns, opens_ns=found.opens_ns)
    if found.opens_ns is not None:
        review.again(book.conn, [(plan.code, asset)], found.opens_ns, book.now_ns)


def _open(book: Book, plant: Plant, plan: Plan, asset: str, *, found: Due, site: Site, seq: int) -> None:
    finding = _finding(plan, asset, seq, book.now_ns, due=_day(found, site))
    fold(book, [finding], plant)
    ticket = next(row["ticket"] for row in book.rows(occurrence) if row["finding"] == finding.id)
    due_ns = found.due_ns if found.due_ns is not None else book.now_ns
    until_ns = found.until_ns if found.until_ns is not None else site.ends(site.day_of(due_ns))
    row = {
        "plan": plan.code,
        "asset": asset,
        "seq": seq,
        "due_ns": due_ns,
        "first_due_ns": found.first_due_ns if found.first_due_ns is not None else due_ns,
        "covers": found.covers,
        "for_day": found.for_day,
        "due_total": found.due_total,
        "why": found.why,
        "from_ns": found.from_ns,
        "until_ns": until_ns,
        "opened_ns": book.now_ns,
        "ticket": ticket,
    }
    book.add(plan_run, row)
    set_timer(book, Timer(OVERDUE, f"ticket/{ticket}", max(until_ns, book.now_ns)))
    opened = {"state": "open", "due_ns": due_ns, "opens_ns": None, "ticket": ticket}
    book.later(_OPENED, {"_plan": plan.code, "_asset": asset, **opened})
    review.again(book.conn, [(plan.code, asset)], book.now_ns + _WHILE_OPEN_NS, book.now_ns)


def _day(found: Due, site: Site) -> str:
    return str(site.day_of(found.due_ns)) if found.due_ns is not None else ""


def _finding(plan: Plan, asset: str, seq: int, now_ns: int, *, due: str) -> Finding:
    """The word of the plan that opens its ticket: no failure, no alarm, and the same event however often it is said."""
    name = f"plan-{plan.code}-{asset}-{seq}"
    text = {
        "message": plan.en,
        "message_zh": plan.zh,
        "description": plan.instructions or f"{plan.zh} / {plan.en}",
        EVENT_ID: f"{plan.code}/{seq}",
        "type": plan.type,
        "fault_type": plan.fault_type or "",
        "priority": plan.priority,
        "channel": "plan",
        "by": f"plan/{plan.code}",
        "operations": plan.operations or "",
        "due": due,
    }
    return Finding(
        id=name,
        asset=asset,
        component="",
        family=Family.REPORT,
        condition=PLANNED,
        action=Action.RAISE,
        at_ns=now_ns,
        onset_ns=now_ns,
        severity=SEVERITY[plan.priority],
        confidence=1.0,
        numbers=(),
        evidence={},
        detector="plan",
        version="1",
        parameters_hash="",
        origin=Origin(f"plan/{plan.code}/{asset}", seq, now_ns),
        text={key: value for key, value in text.items() if value},
    )
