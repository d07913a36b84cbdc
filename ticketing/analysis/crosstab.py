"""A cross table: how many tickets there are of each pair of keys, and exactly which tickets each of its numbers counts."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Connection, Select, func, not_, or_, select, true

from ticketing.analysis.dimensions import Dimension
from ticketing.listing import STUCK_NS, Filter, wheres_of
from ticketing.metrics.cohorts import no_fault, within
from ticketing.metrics.metric import Counted, Question
from ticketing.metrics.periods import ROLLING, months_before
from ticketing.monthly import Span
from ticketing.parts.tables import part_lot, part_use
from ticketing.tables import ticket

t = ticket.c
MOST_ROWS, MOST_COLUMNS = 30, 24
OTHERS = "*"
"""The key under which what has no row or column of its own stands together; no value is written so."""
Key = str | None
"""None: the tickets that have no such value."""


class Of(StrEnum):
    """Which tickets are counted: those opened in the time asked about, or those that stand still now (rule 32)."""

    OPENED = "opened"
    STUCK = "stuck"


@dataclass(frozen=True, slots=True)
class Before:
    """How many tickets the time before had, a whole month or as many days; `change` is None after none."""

    period: str
    total: int
    change: float | None


@dataclass(frozen=True, slots=True)
class Cross:
    """The counts of a cross table: rows and columns from the most to the fewest, `OTHERS` last.

    `total` counts tickets; where a dimension gives a ticket `several` keys, the cells add up to more.
    `left_out` are duplicates, false alarms and what was cancelled.
    """

    rows: Sequence[Key]
    columns: Sequence[Key]
    counts: dict[tuple[Key, Key], int]
    of_row: dict[Key, int]
    of_column: dict[Key, int]
    total: int
    left_out: int


def cross(
    conn: Connection,
    rows: Dimension,
    columns: Dimension | None,
    asked: Question,
    *,
    of: Of = Of.OPENED,
    most: tuple[int, int] = (MOST_ROWS, MOST_COLUMNS),
) -> Cross:
    """The tickets that are counted, by one dimension or two.

    Times are read by quarters of an hour and machines by their ids, and folded into keys here.
    """
    raw = [rows.raw.label("row"), *([columns.raw.label("col")] if columns else [])]
    wanted = _of(select(*raw, func.count(t.id.distinct())), rows, columns).where(*_population(asked, of))
    cells: Counter[tuple[Key, Key]] = Counter()
    for *found, number in conn.execute(wanted.group_by(*raw)):
        key = rows.key(found[0], asked), columns.key(found[1], asked) if columns else None
        cells[key] += number
    of_row, of_column = _sums(cells, 0), _sums(cells, 1)
    shown = _shown(of_row, most[0], rows), _shown(of_column, most[1], columns)
    counts: Counter[tuple[Key, Key]] = Counter()
    for (row, column), number in cells.items():
        counts[_under(row, shown[0]), _under(column, shown[1])] += number
    return Cross(
        rows=shown[0],
        columns=shown[1] if columns else (),
        counts=dict(counts),
        of_row=dict(_sums(counts, 0)),
        of_column=dict(_sums(counts, 1)),
        total=_number(conn, _population(asked, of)),
        left_out=_number(conn, _looked_at(asked, of)) - _number(conn, _population(asked, of)),
    )


def before(conn: Connection, asked: Question, total: int) -> Before:
    """The same question about the month before, or the 30 days before, and by what part `total` is more or less.

    A month that is not over yet is compared with as much of the one before as of it has passed.
    """
    span = asked.span
    last = months_before(span, 1, asked.plant.time_zone)[0] if span.name else None
    from_ns = last.from_ns if last else 2 * span.from_ns - span.to_ns
    passed_ns = asked.now_ns - span.from_ns if asked.now_ns < span.to_ns else span.to_ns
    to_ns = min(span.from_ns, from_ns + passed_ns)
    name = last.name if last else None
    was = _number(conn, _population(replace(asked, span=Span(name, from_ns, to_ns)), Of.OPENED))
    return Before(name or ROLLING, was, round(total / was - 1, 4) if was else None)


def condition(one: Dimension, key: Key, asked: Question, shown: Sequence[Key] = ()) -> ColumnElement[bool]:
    """The tickets under a key; under `OTHERS`: those that have none of the keys `shown`."""
    if key != OTHERS:
        return one.meant(key, asked)
    return not_(
        or_(*(func.coalesce(one.meant(other, asked), false_()) for other in shown if other != OTHERS))
    )


def false_() -> ColumnElement[bool]:
    """False, as a value that `coalesce` can give."""
    return ~true()


def tickets_in(
    conn: Connection,
    asked: Question,
    *,
    of: Of = Of.OPENED,
    limit: int | None = None,
    after: int | None = None,
) -> Sequence[Counted]:
    """The tickets that are counted, by their ids; `asked.wheres` are the conditions of a cell. Behind `after`."""
    shown = [t[name] for name in ("number", "type", "asset", "line", "state", "opened_ns", "closed_ns")]
    wanted = select(t.id.label("ticket"), *shown).where(*_population(asked, of)).order_by(t.id).limit(limit)
    if after is not None:
        wanted = wanted.where(t.id > after)
    return [Counted(item=0, amount=1, **row) for row in conn.execute(wanted).mappings()]


def _population(asked: Question, of: Of) -> Sequence[ColumnElement[bool]]:
    return [*_looked_at(asked, of), ~no_fault()]


def _looked_at(asked: Question, of: Of) -> Sequence[ColumnElement[bool]]:
    """With what is left out of every count."""
    if of is Of.STUCK:
        return [*wheres_of(Filter(stuck_ns=asked.now_ns - STUCK_NS)), *asked.wheres]
    return [within(t.opened_ns, asked), *asked.wheres]


def _of(wanted: Select[Any], *dimensions: Dimension | None) -> Select[Any]:
    """With the parts beside the tickets, if one of the dimensions asks for them."""
    if not any(one is not None and one.several for one in dimensions):
        return wanted.select_from(ticket)
    lots = (part_lot.c.part == part_use.c.part) & (part_lot.c.lot == part_use.c.lot)
    return wanted.select_from(ticket.outerjoin(part_use, part_use.c.ticket == t.id).outerjoin(part_lot, lots))


def _number(conn: Connection, wheres: Sequence[ColumnElement[bool]]) -> int:
    return conn.execute(select(func.count()).select_from(ticket).where(*wheres)).scalar_one()


def _sums(cells: Counter[tuple[Key, Key]], place: int) -> Counter[Key]:
    sums: Counter[Key] = Counter()
    for key, number in cells.items():
        sums[key[place]] += number
    return sums


_IN_ORDER = frozenset({"month", "week", "weekday", "hour", "priority"})
"""The kinds of keys that have an order of their own."""


def _shown(sums: Counter[Key], most: int, one: Dimension | None) -> Sequence[Key]:
    """The keys that get a place: by how many, or in their own order; the others together in the last."""
    ranked = sorted(sums, key=lambda key: (key is None, -sums[key], key or ""))
    chosen = ranked if len(ranked) <= most else ranked[: most - 1]
    if one is not None and one.kind in _IN_ORDER:
        chosen = sorted(chosen, key=lambda key: (key is None, key or ""))
    return [*chosen, OTHERS] if len(ranked) > most else chosen


def _under(key: Key, shown: Sequence[Key]) -> Key:
    return key if key in shown else OTHERS
