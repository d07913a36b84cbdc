"""What is stored of plans and meters, read."""

from collections.abc import Iterable, Mapping

from sqlalchemy import Connection, RowMapping, bindparam, select

from ticketing.plans.counting import Kind, Reading
from ticketing.plans.schedule import Run
from ticketing.plans.tables import meter_reading, plan_run
from ticketing.sql import chunks
from ticketing.tables import ticket as tickets

_SETTLED = (tickets.c.resolved_ns, tickets.c.closed_ns, tickets.c.duplicate_of)
_RUNS = (
    select(plan_run, *_SETTLED)
    .join(tickets, tickets.c.id == plan_run.c.ticket)
    .where(plan_run.c.plan == bindparam("plan"), plan_run.c.asset == bindparam("asset"))
    .order_by(plan_run.c.seq)
)
_READINGS = (
    select(meter_reading)
    .where(meter_reading.c.asset == bindparam("asset"), meter_reading.c.meter == bindparam("meter"))
    .order_by(meter_reading.c.at_ns, meter_reading.c.id)
)
_STATE = select(*_SETTLED).where(tickets.c.id == bindparam("ticket"))


def runs_of(conn: Connection, plan: str, asset: str) -> list[Run]:
    """What a plan has opened on a machine, in order."""
    rows = conn.execute(_RUNS, {"plan": plan, "asset": asset}).mappings().all()
    return [run_of(row, settled_ns=settled_of(conn, row)) for row in rows]


def run_of(row: RowMapping, settled_ns: int | None) -> Run:
    """The run of a row of its table."""
    kept = {name: row[name] for name in ("seq", "due_ns", "ticket", "for_day", "due_total")}
    return Run(**kept, settled_ns=settled_ns)


def settled_of(conn: Connection, row: RowMapping) -> int | None:
    """When its ticket was settled; of one that was merged into another, when that was."""
    seen = set[int]()
    while row["duplicate_of"] is not None and row["duplicate_of"] not in seen:
        seen.add(row["duplicate_of"])
        row = conn.execute(_STATE, {"ticket": row["duplicate_of"]}).mappings().one()
    found: int | None = row["resolved_ns"] if row["resolved_ns"] is not None else row["closed_ns"]
    return found


def readings_of(conn: Connection, asset: str, meter: str) -> list[Reading]:
    """All readings of a meter, by event time, those that were corrected too."""
    return [reading_of(row) for row in conn.execute(_READINGS, {"asset": asset, "meter": meter}).mappings()]


def reading_of(row: RowMapping) -> Reading:
    """The reading of a row of its table."""
    values = {name: value for name, value in row.items() if name not in {"asset", "meter", "kind"}}
    return Reading(**values, kind=Kind(row["kind"]))


def planned_of(conn: Connection, ticket_ids: Iterable[int]) -> Mapping[int, RowMapping]:
    """The runs of these tickets, by ticket; those that no plan opened are not in it."""
    return {
        row["ticket"]: row
        for some in chunks(ticket_ids)
        for row in conn.execute(select(plan_run).where(plan_run.c.ticket.in_(some))).mappings()
    }
