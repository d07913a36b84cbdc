"""The operations of a ticket: taken from a template, done in their order by someone in so many minutes, or left out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

import msgspec
from sqlalchemy import Connection, RowMapping, bindparam, insert, select, update

from andon.plant import Plant
from andon.rules.operations import Measurement, Operation, OperationTemplate
from ticketing.book import Book
from ticketing.operations.tables import measurement, operation
from ticketing.sql import Row, to_json
from ticketing.ticket import Ticket

_ASKS = msgspec.json.Decoder(list[dict[str, object]])
_OPERATIONS = select(operation).where(operation.c.ticket == bindparam("ticket")).order_by(operation.c.seq)
_VALUES = (
    select(measurement)
    .where(measurement.c.ticket == bindparam("ticket"))
    .order_by(measurement.c.seq, measurement.c.name, measurement.c.revision)
)
_UNDONE = (
    select(operation.c.code)
    .where(operation.c.ticket == bindparam("ticket"), operation.c.state == "open")
    .order_by(operation.c.seq)
)


class OperationState(StrEnum):
    """OPEN until it is DONE, or LEFT_OUT with a reason."""

    OPEN = "open"
    DONE = "done"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Measured:
    """One value that was said: `revision` 0 is the first, each later one corrects the one before, for a `reason`."""

    name: str
    revision: int
    value: float
    unit: str
    low: float | None
    high: float | None
    instrument: str
    by: str
    at_ns: int
    reason: str = ""

    @property
    def is_out(self) -> bool:
        """Whether it lies outside the limits that held when it was said."""
        return (self.low is not None and self.value < self.low) or (
            self.high is not None and self.value > self.high
        )


@dataclass(frozen=True, slots=True)
class Step:
    """One operation of a ticket: what it asks for, and what came of it. `values` are all that were said, in order."""

    ticket: int
    seq: int
    template: str
    code: str
    zh: str
    en: str
    std_minutes: float | None
    parallel: bool
    optional: bool
    asks: tuple[Measurement, ...]
    state: OperationState = OperationState.OPEN
    done_by: str | None = None
    done_ns: int | None = None
    minutes: float | None = None
    note: str = ""
    values: tuple[Measured, ...] = field(default=())

    @property
    def measured(self) -> Mapping[str, Measured]:
        """What holds of each value: the last that was said."""
        return {one.name: one for one in self.values}


def template_of(plant: Plant, code: str) -> OperationTemplate | None:
    """The template of that code; None if the document has it no more."""
    return next((one for one in plant.operations if one.code == code), None)


def fitting(plant: Plant, ticket: Ticket, named: str = "") -> OperationTemplate | None:
    """The template that a new ticket takes: the one that is named, else the first that fits it; None: none."""
    if named:
        return template_of(plant, named)
    asset = plant.asset(ticket.asset)
    model = asset.model if asset else ""
    known = (
        one
        for one in plant.operations
        if one.fits(type_=ticket.type, fault_type=ticket.fault_type, model=model)
    )
    return next(known, None)


def attach(book: Book, ticket: Ticket, template: OperationTemplate, after: int = 0) -> None:
    """The ticket takes these operations, numbered on from `after`; written with the book."""
    for seq, one in enumerate(template.operations, after + 1):
        book.add(operation, _row(ticket.id, seq, template.code, one))


def of_ticket(conn: Connection, ticket_id: int) -> tuple[Step, ...]:
    """The operations of a ticket in their order, with every value that was said."""
    rows = conn.execute(_OPERATIONS, {"ticket": ticket_id}).mappings().all()
    if not rows:
        return ()
    said: dict[int, list[Measured]] = {}
    for row in conn.execute(_VALUES, {"ticket": ticket_id}).mappings():
        values = {name: value for name, value in row.items() if name not in {"ticket", "seq"}}
        said.setdefault(row["seq"], []).append(Measured(**values))
    return tuple(_step(row, said.get(row["seq"], ())) for row in rows)


def undone(conn: Connection, ticket_id: int) -> Sequence[str]:
    """The codes of the operations that are neither done nor left out, in order: the work is not done before."""
    return conn.execute(_UNDONE, {"ticket": ticket_id}).scalars().all()


def waits_for(steps: Sequence[Step], seq: int) -> tuple[Step, ...]:
    """The operations that have to be done before that one: all before it, but for those it may be done beside.

    An operation that is `parallel` may be done beside the one before it; a run of them is one group.
    """
    group = seq
    while group > 1 and steps[group - 1].parallel:
        group -= 1
    return tuple(one for one in steps[: group - 1] if one.state is OperationState.OPEN)


def settle(
    conn: Connection,
    step: Step,
    state: OperationState,
    *,
    by: str,
    at_ns: int,
    minutes: float | None,
    note: str,
) -> None:
    """Note what became of an operation; OPEN takes it back."""
    values: Row = {"state": str(state), "done_by": by, "done_ns": at_ns, "minutes": minutes, "note": note}
    if state is OperationState.OPEN:
        values |= {"done_by": None, "done_ns": None, "minutes": None}
    which = update(operation).where(operation.c.ticket == step.ticket, operation.c.seq == step.seq)
    conn.execute(which.values(**values))


def keep(conn: Connection, step: Step, values: Iterable[Measured]) -> None:
    """Keep what was measured in an operation."""
    rows = [
        {"ticket": step.ticket, "seq": step.seq} | {name: getattr(one, name) for name in one.__slots__}
        for one in values
    ]
    if rows:
        conn.execute(insert(measurement), rows)


def _row(ticket: int, seq: int, template: str, one: Operation) -> Row:
    return {
        "ticket": ticket,
        "seq": seq,
        "template": template,
        "code": one.code,
        "zh": one.zh,
        "en": one.en,
        "std_minutes": one.minutes,
        "parallel": one.parallel,
        "optional": one.optional,
        "asks": to_json([asked.model_dump() for asked in one.measurements]),
        "state": str(OperationState.OPEN),
        "done_by": None,
        "done_ns": None,
        "minutes": None,
        "note": "",
    }


def _step(row: RowMapping, said: Sequence[Measured]) -> Step:
    asks = tuple(Measurement.model_validate(one) for one in _ASKS.decode(row["asks"]))
    return Step(**{**row, "asks": asks, "state": OperationState(row["state"]), "values": tuple(said)})
