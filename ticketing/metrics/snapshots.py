"""A month of a metric as it was known when it had matured: kept for good, with the hash of the tickets it counted.

Taken one metric at a time, each by a step of its own: a month of a large store holds the write lock no longer than one
metric takes.
"""

from collections.abc import Sequence
from hashlib import sha256

from sqlalchemy import Connection, func, select

from andon.plant import Plant
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.measuring import measure
from ticketing.metrics.metric import Measured, Metric, Question
from ticketing.metrics.periods import month_at, months_before
from ticketing.metrics.tables import metric_snapshot
from ticketing.monthly import Span
from ticketing.sql import Row, to_json, upsert
from ticketing.tables import ticket

MONTHS = 12
"""So many closed months are kept up and drawn."""
_VALUES = tuple(column.name for column in metric_snapshot.columns if not column.primary_key)


def hash_of(conn: Connection, metric: Metric, asked: Question) -> str:
    """What names the set that a metric counts: the SHA-256 of its tickets, items and amounts, in order."""
    r = metric.rows(asked).subquery().c
    counted = select(func.coalesce(r.ticket, 0), r.item, r.amount).where(r.aside == 0, r.amount.is_not(None))
    rows = conn.execute(counted.order_by(func.coalesce(r.ticket, 0), r.item))
    return sha256(to_json([[int(value) for value in row] for row in rows]).encode()).hexdigest()


def take(conn: Connection, metric: Metric, asked: Question) -> Measured:
    """Keep what a metric comes to in a month; what had matured when it was kept is left as it is."""
    kept = of_month(conn, metric, asked.span)
    if kept is not None and not kept.provisional:
        return kept
    found = measure(conn, metric, asked)
    row: Row = {
        "metric": metric.code,
        "period": asked.span.name,
        "final": asked.now_ns >= found.matured_ns,
        "numerator": found.numerator,
        "denominator": found.denominator,
        "undecided": found.undecided,
        "left_out": found.left_out,
        "tickets": hash_of(conn, metric, asked),
        "taken_ns": asked.now_ns,
    }
    upsert(conn, metric_snapshot, [row], _VALUES)
    return found


def of_month(conn: Connection, metric: Metric, span: Span) -> Measured | None:
    """What was kept of a month; None if nothing was."""
    return next(iter(of_months(conn, metric, [span])), None)


def of_months(conn: Connection, metric: Metric, spans: Sequence[Span]) -> Sequence[Measured]:
    """What was kept of these months, in their order."""
    c, by_name = metric_snapshot.c, {span.name: span for span in spans}
    wanted = select(metric_snapshot).where(c.metric == metric.code, c.period.in_(list(by_name)))
    return [
        Measured(
            metric=metric.code,
            span=by_name[row["period"]],
            value=metric.value(row["numerator"], row["denominator"]),
            provisional=not row["final"],
            matured_ns=by_name[row["period"]].to_ns + metric.matures_ns,
            **{name: row[name] for name in ("numerator", "denominator", "undecided", "left_out")},
        )
        for row in conn.execute(wanted.order_by(c.period)).mappings()
    ]


def due(conn: Connection, plant: Plant, now_ns: int) -> Sequence[tuple[str, Span]]:
    """The metrics and closed months of the last twelve, from the first ticket on, whose matured value has not been kept."""
    since_ns = conn.execute(select(func.min(ticket.c.opened_ns))).scalar()
    if since_ns is None:
        return []
    months = months_before(month_at(now_ns, plant.time_zone), MONTHS, plant.time_zone)
    spans = [span for span in months if span.to_ns > since_ns]
    c = metric_snapshot.c
    known = select(c.metric, c.period).where(c.final.is_(True), c.period.in_([span.name for span in spans]))
    final = {(row.metric, row.period) for row in conn.execute(known)}
    return [(code, span) for span in spans for code in METRICS if (code, span.name) not in final]


def trend(conn: Connection, metric: Metric, asked: Question, months: int = MONTHS) -> Sequence[Measured]:
    """The metric month by month until that of `asked`, the oldest first, that one too.

    Of all tickets, a month that has been kept is read and the others are measured; of some tickets all are measured.
    """
    zone = asked.plant.time_zone
    before = months_before(month_at(asked.span.to_ns - 1, zone), months - 1, zone)
    kept = {} if asked.wheres else {one.span.name: one for one in of_months(conn, metric, before)}
    found = [
        kept.get(span.name) or measure(conn, metric, Question(span, asked.now_ns, asked.plant, asked.wheres))
        for span in before
    ]
    return [*found, measure(conn, metric, asked)]
