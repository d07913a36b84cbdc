"""Measures a metric in one statement, and lists exactly the tickets that its numbers count."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, Connection, case, func, select, tuple_

from andon.plant import Plant
from ticketing.metrics.metric import Bounds, Counted, Measured, Metric, Part, Question
from ticketing.tables import ticket


def bounds_of(metric: Metric, plant: Plant) -> Bounds:
    """The bounds of a metric at that plant: its own where the document says so, else the product's."""
    own = plant.metrics.bounds.get(metric.code)
    healthy, act = (own.healthy, own.act) if own is not None else (metric.healthy, metric.act)
    return Bounds(healthy, act, metric.higher_is_better)


def measure(conn: Connection, metric: Metric, asked: Question) -> Measured:
    """What the metric comes to over a period, as far as it is known at `asked.now_ns`."""
    r = (
        metric.rows(asked).cte("rows").prefix_with("MATERIALIZED").c
    )  # else each sum reckons every amount again
    counts = r.aside == 0
    numbers = select(
        func.sum(case((counts, r.amount))),
        func.count(case((counts, r.amount))),
        func.sum(case((counts & r.amount.is_(None), 1))),
        func.sum(r.aside),
    )
    numerator, denominator, undecided, left_out = (int(n or 0) for n in conn.execute(numbers).one())
    matured_ns = asked.span.to_ns + metric.matures_ns
    return Measured(
        metric=metric.code,
        span=asked.span,
        numerator=numerator,
        denominator=denominator,
        value=metric.value(numerator, denominator),
        provisional=undecided > 0 or asked.now_ns < matured_ns,
        matured_ns=matured_ns,
        undecided=undecided,
        left_out=left_out,
    )


def tickets_of(
    conn: Connection,
    metric: Metric,
    asked: Question,
    part: Part = Part.DENOMINATOR,
    *,
    limit: int | None = None,
    after: tuple[int, int] | None = None,
) -> Sequence[Counted]:
    """What a number counts, in the order of tickets: the sum of the numerator's amounts, and the number of the others.

    A page begins behind `after`, the ticket (0 for none) and item that the one before it ended with.
    """
    rows = metric.rows(asked).subquery()
    r, t = rows.c, ticket.c
    place = (func.coalesce(r.ticket, 0), r.item)
    wanted = (
        select(r.ticket, r.item, r.amount, *_SHOWN)
        .select_from(rows.outerjoin(ticket, t.id == r.ticket))
        .where(_is_in(part, r))
        .order_by(*place)
        .limit(limit)
    )
    if after is not None:
        wanted = wanted.where(tuple_(*place) > tuple_(*after))
    return [
        Counted(**{**row, "amount": None if row["amount"] is None else int(row["amount"])})
        for row in conn.execute(wanted).mappings()
    ]


_SHOWN = (
    *(func.coalesce(ticket.c[name], "").label(name) for name in ("number", "type", "asset", "line", "state")),
    ticket.c.opened_ns,
    ticket.c.closed_ns,
)


def _is_in(part: Part, r: Any) -> ColumnElement[bool]:
    counts: ColumnElement[bool] = r.aside == 0
    ways: dict[Part, ColumnElement[bool]] = {
        Part.NUMERATOR: counts & (r.amount != 0),
        Part.DENOMINATOR: counts & r.amount.is_not(None),
        Part.UNDECIDED: counts & r.amount.is_(None),
        Part.LEFT_OUT: ~counts,
    }
    return ways[part]
