"""Asking that a plan is looked at again on a machine: one timer for each, run anew whenever something has changed."""

from collections.abc import Iterable
from hashlib import sha256

from sqlalchemy import Connection, bindparam, insert, select, update

from andon.plant import Plant, once_per_plant
from andon.rules.plans import Machines, Plan
from ticketing.book import Book
from ticketing.clock_tables import REVIEWED, timer
from ticketing.plans.tables import plan_asset, plan_run
from ticketing.sql import Row, upsert
from ticketing.ticket import PLANNED, Ticket
from ticketing.timers import Timer, TimerState, one, set_timer

KIND, TERMS = "plan", "plan_terms"
Pair = tuple[str, str]
"""A plan's code and a machine's id."""

_RUN_OF = select(plan_run.c.plan, plan_run.c.asset).where(plan_run.c.ticket == bindparam("ticket"))
_KNOWN = select(plan_asset.c.plan, plan_asset.c.asset)


def again(conn: Connection, pairs: Iterable[Pair], at_ns: int, now_ns: int) -> None:
    """Have these looked at then, whatever was set for them before."""
    upsert(conn, timer, [_row(pair, at_ns, now_ns) for pair in sorted(set(pairs))], REVIEWED)


def pair_of(timer: Timer) -> Pair:
    """The plan and the machine that a timer is about."""
    _, plan, asset = timer.subject.split("/", 2)
    return plan, asset


def settled(book: Book, before: Ticket, after: Ticket) -> None:
    """A ticket of a plan was done, given up, or taken up again: what is due next follows from that."""
    if after.headline.condition == PLANNED and before.settled_ns != after.settled_ns:
        run = book.conn.execute(_RUN_OF, {"ticket": after.id}).first()
        if run is not None:
            again(book.conn, [(run.plan, run.asset)], book.now_ns, book.now_ns)


def changed(conn: Connection, plant: Plant) -> bool:
    """Whether the plans are not those that were looked at last."""
    known = one(conn, TERMS, "plant")
    return bool(plant.plans if known is None else known.body.get("terms") != _mark(plant))


def review_all(book: Book, plant: Plant) -> None:
    """Watch every machine of every plan from now on, and look at all of them under the document that is in force."""
    standing = Timer(TERMS, "plant", book.now_ns, body={"terms": _mark(plant)}, state=TimerState.PAUSED)
    set_timer(book, standing)  # never due: it only says by what the plans were looked at
    known = {(row.plan, row.asset) for row in book.conn.execute(_KNOWN)}
    wanted = {
        (plan.code, asset)
        for plan in plant.plans
        if not plan.retired
        for asset in machines_of(plan.machines, plant)
    }
    new = [_new(pair, book.now_ns) for pair in sorted(wanted - known)]
    if new:
        book.conn.execute(insert(plan_asset), new)
    for plan, asset in sorted(wanted & known):  # what comes back owes nothing from while it was gone
        c = plan_asset.c
        back = update(plan_asset).where(c.plan == plan, c.asset == asset, c.state == "off")
        book.conn.execute(back.values(since_ns=book.now_ns, state="waits"))
    again(book.conn, wanted | known, book.now_ns, book.now_ns)


def machines_of(meant: Machines, plant: Plant) -> tuple[str, ...]:
    """The ids of the plant's machines that are meant."""
    return tuple(
        one.id
        for one in plant.assets
        if meant.mean(asset=one.id, model=one.model, asset_class=one.asset_class, path=one.path)
    )


def plan_of(plant: Plant, code: str) -> Plan | None:
    """The plan of that code; None if the document has it no more."""
    return next((one for one in plant.plans if one.code == code), None)


def _new(pair: Pair, now_ns: int) -> Row:
    row: Row = dict.fromkeys(("due_ns", "opens_ns", "ticket"))
    return row | {"plan": pair[0], "asset": pair[1], "since_ns": now_ns, "state": "waits"}


def _row(pair: Pair, at_ns: int, now_ns: int) -> Row:
    row: Row = dict.fromkeys(("step", "cycle", "attempts"), 0)
    row |= {"kind": KIND, "subject": "/".join(("plan", *pair)), "state": "run", "body": "{}", "error": ""}
    return row | {"due_ns": at_ns, "try_ns": at_ns, "set_ns": now_ns, "done_ns": None}


@once_per_plant
def _mark(plant: Plant) -> str:
    where = [(one.id, one.model, one.asset_class, one.path) for one in plant.assets]
    said = [one.model_dump_json() for one in (*plant.plans, *plant.meters, *plant.calendars.values())]
    return sha256(repr((plant.time_zone, where, said)).encode()).hexdigest()
