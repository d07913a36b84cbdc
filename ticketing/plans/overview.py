"""What is shown of plans: each on its machines, its runs with whether they were in time, and what the meters stand at."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from sqlalchemy import Connection, RowMapping, select

from andon.database import Machines, among, behind
from andon.events import HOUR_NS
from andon.plant import Plant
from andon.rules.plans import Meter
from ticketing.plans.counting import Reading, counted, valid
from ticketing.plans.dates import site_of
from ticketing.plans.review import machines_of, plan_of
from ticketing.plans.schedule import coming
from ticketing.plans.store import readings_of, settled_of
from ticketing.plans.tables import plan_asset, plan_run
from ticketing.tables import ticket as tickets

DAY_NS = 24 * HOUR_NS
_ORDER = (plan_run.c.due_ns.desc(), plan_run.c.ticket)


class Verdict(StrEnum):
    """What became of a run. EARLY, LATE: done, but not in its time; GIVEN_UP: closed without being done."""

    OPEN = "open"
    OVERDUE = "overdue"
    IN_TIME = "in_time"
    EARLY = "early"
    LATE = "late"
    GIVEN_UP = "given_up"


@dataclass(frozen=True, slots=True)
class Ran:
    """A run of a plan with its ticket."""

    plan: str
    asset: str
    seq: int
    due_ns: int
    first_due_ns: int
    covers: int
    due_total: float | None
    why: str
    from_ns: int | None
    until_ns: int
    opened_ns: int
    ticket: int
    number: str
    assignee: str | None
    settled_ns: int | None
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Watched:
    """A plan on a machine: `state` waits, open, unread (its meter), never, or off (the plan is gone from there)."""

    plan: str
    asset: str
    since_ns: int
    state: str
    due_ns: int | None
    opens_ns: int | None
    ticket: int | None


@dataclass(frozen=True, slots=True)
class Metered:
    """A meter on a machine: its last reading, the total over resets and rollovers, and how much it counts in a day."""

    meter: str
    asset: str
    unit: str
    by_hand: bool
    last: Reading | None
    total: float | None
    per_day: float | None


@dataclass(frozen=True, slots=True)
class Marked:
    """One entry of a calendar: a run that there is (`ran`), or a date to come."""

    at_ns: int
    plan: str
    asset: str
    ran: Ran | None = None


def watched(conn: Connection, *, plan: str = "", machines: Machines = None) -> list[Watched]:
    """The plans on their machines, the next due first; those that are off are left out."""
    c = plan_asset.c
    wanted = select(plan_asset).where(c.state != "off", among(c.asset, machines))
    if plan:
        wanted = wanted.where(c.plan == plan)
    rows = conn.execute(wanted).mappings()
    return sorted(
        (Watched(**row) for row in rows),
        key=lambda one: (one.due_ns is None, one.due_ns or 0, one.plan, one.asset),
    )


def ran(
    conn: Connection,
    now_ns: int,
    *,
    plan: str = "",
    asset: str = "",
    ticket: int | None = None,
    due_from_ns: int | None = None,
    due_to_ns: int | None = None,
    machines: Machines = None,
    limit: int = 200,
    after: Sequence[object] | None = None,
) -> list[Ran]:
    """Runs with what became of them, the latest due first."""
    c, t = plan_run.c, tickets.c
    columns = (t.number, t.assignee, t.resolved_ns, t.closed_ns, t.duplicate_of)
    wanted = select(plan_run, *columns).join(tickets, t.id == c.ticket)
    wanted = wanted.where(among(c.asset, machines), behind(_ORDER, after)).order_by(*_ORDER).limit(limit)
    same = {"plan": plan or None, "asset": asset or None, "ticket": ticket}
    wanted = wanted.where(*(c[name] == value for name, value in same.items() if value is not None))
    if due_from_ns is not None:
        wanted = wanted.where(c.due_ns >= due_from_ns)
    if due_to_ns is not None:
        wanted = wanted.where(c.due_ns < due_to_ns)
    return [_ran(conn, row, now_ns) for row in conn.execute(wanted).mappings().all()]


def share_in_time(runs: Iterable[Ran]) -> float | None:
    """Of the runs whose time is over or that are settled, the share that was done in time; None without any."""
    judged = [one.verdict for one in runs if one.verdict is not Verdict.OPEN]
    return sum(one is Verdict.IN_TIME for one in judged) / len(judged) if judged else None


def month(
    conn: Connection, plant: Plant, *, from_ns: int, to_ns: int, now_ns: int, machines: Machines = None
) -> list[Marked]:
    """What a calendar shows from one moment to before another: the runs that there are, and the dates to come."""
    known = ran(conn, now_ns, due_from_ns=from_ns, due_to_ns=to_ns, machines=machines, limit=5000)
    marks = [Marked(one.due_ns, one.plan, one.asset, one) for one in known]
    for one in watched(conn, machines=machines):
        plan = plan_of(plant, one.plan)
        if plan is None or one.due_ns is None:
            continue
        if plan.rhythm is None or plan.based_on == "completed":
            ahead = [one.due_ns] if one.state == "waits" else []
        else:
            later = max(from_ns, now_ns, one.due_ns + (one.state == "open"))
            ahead = [date.due_ns for date in coming(plan, site_of(plan, plant), later, to_ns)]
        marks += [Marked(due_ns, one.plan, one.asset) for due_ns in ahead if from_ns <= due_ns < to_ns]
    return sorted(marks, key=lambda one: (one.at_ns, one.plan, one.asset))


def metered(conn: Connection, plant: Plant, *, asset: str = "", machines: Machines = None) -> list[Metered]:
    """Every meter on every machine that has one, in the order of the plant document."""
    return [
        _metered(conn, meter, one)
        for meter in plant.meters
        for one in machines_of(meter.machines, plant)
        if asset in {"", one} and (machines is None or one in machines)
    ]


def _metered(conn: Connection, meter: Meter, asset: str) -> Metered:
    readings = readings_of(conn, asset, meter.code)
    known, count = valid(readings), counted(readings, meter.rollover_at)
    return Metered(
        meter=meter.code,
        asset=asset,
        unit=meter.unit,
        by_hand=not meter.channel,
        last=known[-1] if known else None,
        total=count.total[-1] if known else None,
        per_day=count.rate * DAY_NS if count.rate is not None else None,
    )


def _ran(conn: Connection, row: RowMapping, now_ns: int) -> Ran:
    settled_ns = settled_of(conn, row)
    given_up = settled_ns is not None and row["resolved_ns"] is None and row["duplicate_of"] is None
    kept = {name: row[name] for name in Ran.__slots__ if name in row}
    verdict = Verdict.GIVEN_UP if given_up else _verdict(row, settled_ns, now_ns)
    return Ran(**kept, settled_ns=settled_ns, verdict=verdict)


def _verdict(row: RowMapping, settled_ns: int | None, now_ns: int) -> Verdict:
    if settled_ns is None:
        return Verdict.OPEN if now_ns < row["until_ns"] else Verdict.OVERDUE
    if row["from_ns"] is not None and settled_ns < row["from_ns"]:
        return Verdict.EARLY
    return Verdict.IN_TIME if settled_ns < row["until_ns"] else Verdict.LATE
