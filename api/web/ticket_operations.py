"""The operations of a ticket as its page shows them: what is next, what it asks for, what was done and measured."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from andon.events import Json
from andon.plant import Plant
from andon.rules.operations import Measurement
from api.catalogue import Words
from api.visit import Visit
from api.web.formats import number, unit
from api.web.wording import demand_sentence, person_name
from ticketing.errors import Missing
from ticketing.operations import work
from ticketing.operations.work import Measured, OperationState, Step
from ticketing.plans.overview import Ran, ran
from ticketing.ticket import PLANNED, UNRESOLVED, Ticket, TicketState


@dataclass(frozen=True, slots=True)
class ValueRow:
    """A value that was said, as it reads; `corrects`: there was another before it."""

    text: str
    out: bool
    instrument: str
    who: str
    at_ns: int
    reason: str


@dataclass(frozen=True, slots=True)
class AskedRow:
    """What an operation asks to be measured, and the values that were said of it, the one that holds last."""

    name: str
    label: str
    unit: str
    limits: str
    instrument: bool
    values: Sequence[ValueRow]


@dataclass(frozen=True, slots=True)
class OperationRow:
    """One operation: `ready` if it can be done now, else `waits` names those that come before it."""

    seq: int
    name: str
    state: str
    ready: bool
    waits: str
    optional: bool
    parallel: bool
    std: str
    took: str
    who: str
    done_ns: int | None
    note: str
    asks: Sequence[AskedRow]


def operations_of(conn: Connection, ticket: Ticket, visit: Visit) -> dict[str, Json]:
    """What the page shows of the ticket's operations, and of the plan that opened it."""
    steps = work.of_ticket(conn, ticket.id)
    taken = {one.template for one in steps}
    free = [one for one in visit.plant.operations if not one.retired and one.code not in taken]
    return {
        "operations": [_row(one, steps, ticket, visit) for one in steps],
        "operations_done": sum(one.state is not OperationState.OPEN for one in steps),
        "operations_at_work": ticket.state is TicketState.IN_PROGRESS,
        "operation_templates": [(one.code, named(one, visit.words)) for one in free]
        if ticket.state in UNRESOLVED
        else [],
        "planned": _planned(conn, ticket, visit),
    }


def named(entry: object, words: Words) -> str:
    """The name of a template, operation, measurement, plan or meter in the reader's language."""
    return str(getattr(entry, words.language))


def refused_texts(missing: Sequence[Missing], steps: Sequence[Step], seq: int, words: Words) -> list[str]:
    """What a form of an operation lacks, in words; a measurement is called by its label."""
    asks = {one.name: named(one, words) for one in steps[seq - 1].asks} if 0 < seq <= len(steps) else {}
    texts = []
    for one in missing:
        kind, _, name = one.demand.partition(".")
        if name:
            texts.append(words(f"operations.wrong_{kind}", name=asks.get(name, name)))
        elif kind in {"minutes", "done_by"}:
            texts.append(words(f"operations.wrong_{kind}"))
        else:
            texts.append(demand_sentence(one, words))
    return texts


def _row(step: Step, steps: Sequence[Step], ticket: Ticket, visit: Visit) -> OperationRow:
    words = visit.words
    before = work.waits_for(steps, step.seq)
    is_open = step.state is OperationState.OPEN
    return OperationRow(
        seq=step.seq,
        name=named(step, words),
        state=str(step.state),
        ready=is_open and not before and ticket.state is TicketState.IN_PROGRESS,
        waits=words("list.and").join(named(one, words) for one in before) if is_open else "",
        optional=step.optional,
        parallel=step.parallel,
        std=_minutes(step.std_minutes, words),
        took=_minutes(step.minutes, words),
        who=person_name(step.done_by, visit.plant),
        done_ns=step.done_ns,
        note=step.note,
        asks=[_asked(one, step.values, visit.plant, words) for one in step.asks],
    )


def _asked(one: Measurement, said: Sequence[Measured], plant: Plant, words: Words) -> AskedRow:
    return AskedRow(
        name=one.name,
        label=named(one, words),
        unit=unit(one.unit),
        limits=limits(one.low, one.high, one.unit),
        instrument=one.instrument,
        values=[
            ValueRow(
                text=exact(value.value, value.unit),
                out=value.is_out,
                instrument=value.instrument,
                who=person_name(value.by, plant),
                at_ns=value.at_ns,
                reason=value.reason,
            )
            for value in said
            if value.name == one.name
        ],
    )


def limits(low: float | None, high: float | None, ucum: str) -> str:
    """What a value has to lie in; nothing where it is free.

    >>> limits(0.1, 80.03, "1"), limits(31.5, None, "1"), limits(None, None, "mm")
    ('0.1 … 80.03', '≥ 31.5', '')
    """
    if low is None and high is None:
        return ""
    if low is None or high is None:
        return f"{'≤' if low is None else '≥'} {exact(low if high is None else high, ucum)}"
    return f"{exact(low)} … {exact(high, ucum)}"


def exact(value: float | None, ucum: str = "1") -> str:
    """A value or limit as it was written: never rounded to what fits it in."""
    sign = unit(ucum)
    return f"{value:.10g}" + (f"\u00a0{sign}" if sign else "")


def _minutes(minutes: float | None, words: Words) -> str:
    return "" if minutes is None else words("operations.minutes", n=number(minutes))


def _planned(conn: Connection, ticket: Ticket, visit: Visit) -> Mapping[str, Json] | None:
    """The plan's run that opened the ticket, with its time."""
    if ticket.headline.condition != PLANNED:
        return None
    found: list[Ran] = ran(conn, visit.context.now(), ticket=ticket.id)
    if not found:
        return None
    plan = next((one for one in visit.plant.plans if one.code == found[0].plan), None)
    return {"run": found[0], "name": named(plan, visit.words) if plan else found[0].plan}
