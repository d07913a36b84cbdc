"""Cross tables over REST: tickets by any field and by any two, and the tickets behind each number (rule 65)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import APIRouter, Depends, Query
from sqlalchemy import Connection
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import among, reading
from andon.events import Json
from andon.plant import Plant
from api.answers import plain
from api.paging import PagingOf
from api.refused import Refused
from api.rights import needs
from api.visit import VisitOf
from ticketing.analysis.crosstab import OTHERS, Cross, Key, Of, before, condition, cross, tickets_in
from ticketing.analysis.dimensions import Dimension, codes, dimension
from ticketing.metrics.metric import Question
from ticketing.metrics.periods import period_of
from ticketing.tables import ticket

router = APIRouter(tags=["analysis"])
NONE = "~"
"""How the key of those that have none is written in an address; a value that begins so is written twice."""
MOST_FILTERS = 8


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is asked for: two dimensions (the second may be missing), the time, and the filters (code, key)."""

    rows: Dimension
    columns: Dimension | None
    of: Of
    period: str
    filters: Sequence[tuple[Dimension, Key]]
    asked: Question

    def under(self, conditions: Sequence[tuple[Dimension | None, Key, Sequence[Key]]]) -> Question:
        """The question for those that stand under these keys too; each with the keys that its table shows."""
        more = [condition(one, key, self.asked, shown) for one, key, shown in conditions if one is not None]
        return Question(self.asked.span, self.asked.now_ns, self.asked.plant, (*self.asked.wheres, *more))


def chosen(
    visit: VisitOf,
    *,
    rows: Annotated[str, Query(max_length=64, description="What makes the rows.")] = "fault_type",
    columns: Annotated[
        str, Query(max_length=64, description="What makes the columns; empty: none.")
    ] = "model",
    of: Annotated[Of, Query(description="Opened in the period, or standing still now.")] = Of.OPENED,
    period: Annotated[
        str,
        Query(
            max_length=10, description="A month (2026-03), or `rolling` for 30 days; left out: this month."
        ),
    ] = "",
    where: Annotated[
        list[str] | None,
        Query(max_length=MOST_FILTERS, description="Filters like `model:V8000`; `model:~` for none."),
    ] = None,
) -> Chosen:
    """The parameters of a cross table; 422 for what there is none of."""
    plant, now_ns = visit.plant, visit.context.now()
    try:
        span = period_of(period, now_ns, plant.time_zone)
    except ValueError as error:
        raise Refused(422, "no_such_period", str(error)) from None
    bare = Question(span, now_ns, plant)
    filters = [_filter(one, plant) for one in where or ()]
    wheres = [each.meant(key, bare) for each, key in filters]
    wheres += [] if visit.sight.assets is None else [among(ticket.c.asset, visit.sight.assets)]
    return Chosen(
        rows=known(rows, plant),
        columns=known(columns, plant) if columns else None,
        of=of,
        period=span.name or "rolling",
        filters=filters,
        asked=Question(span, now_ns, plant, tuple(wheres)),
    )


ChosenOf = Annotated[Chosen, Depends(chosen)]


def known(code: str, plant: Plant) -> Dimension:
    """The dimension of that code; 422 if the plant has none."""
    if code not in codes(plant):
        raise Refused(
            422,
            "no_such_dimension",
            f"there is no dimension {code[:40]!r}; one of: {', '.join(codes(plant))}",
        )
    return dimension(code)


def _filter(said: str, plant: Plant) -> tuple[Dimension, Key]:
    code, colon, key = said.partition(":")
    if code == "field" and colon:  # a type's own field: its code has a colon too
        name, colon, key = key.partition(":")
        code = f"field:{name}"
    if not colon:
        raise Refused(
            422, "no_such_filter", f"a filter is written dimension:key, like model:V8000, not {said[:40]!r}"
        )
    return known(code, plant), read(key)


def written(key: Key) -> str:
    """A key as it stands in an address."""
    if key is None:
        return NONE
    return NONE + key if key.startswith(NONE) else key


def read(said: str) -> Key:
    """The key that is written so.

    >>> [read(written(key)) for key in (None, "V8000", "~", "~~x")]
    [None, 'V8000', '~', '~~x']
    """
    if said == NONE:
        return None
    return said[1:] if said.startswith(NONE) else said


@router.get("/analysis/dimensions", dependencies=[needs(Right.READ)])
def dimensions(visit: VisitOf, page: PagingOf) -> Response:
    """By what tickets can be counted and filtered."""
    return page.cut([*codes(visit.plant)], lambda code: {"code": code})


@router.get("/analysis", dependencies=[needs(Right.READ)])
def table(visit: VisitOf, which: ChosenOf) -> Response:
    """A cross table: how many tickets there are of each pair of keys; duplicates and false alarms are left out.

    `before` is the same of the time before, and by what part `total` is more (0.2) or less (-0.2).
    """
    with reading(visit.context.database) as conn:
        found = cross(conn, which.rows, which.columns, which.asked, of=which.of)
        was = before(conn, which.asked, found.total) if which.of is Of.OPENED else None
    return JSONResponse({**as_json(found, which), "before": plain(was)})


@router.get("/analysis/tickets", dependencies=[needs(Right.READ)])
def behind(
    visit: VisitOf,
    which: ChosenOf,
    page: PagingOf,
    row: Annotated[
        str | None, Query(max_length=200, description="The row's key; left out: all rows.")
    ] = None,
    column: Annotated[str | None, Query(max_length=200, description="The column's key.")] = None,
) -> Response:
    """Exactly the tickets that a cell counts, or a row, a column, or all."""
    after = page.behind(int)
    with reading(visit.context.database) as conn:
        asked = cell(conn, which, row, column)
        found = tickets_in(conn, asked, of=which.of, limit=page.probe, after=int(after[0]) if after else None)
    return page.answer(found, plain, lambda one: (one.ticket or 0,))


def cell(conn: Connection, which: Chosen, row: str | None, column: str | None) -> Question:
    """The question behind a cell; what stands under "others" is looked up in the table itself."""
    rows: Sequence[Key] = ()
    columns: Sequence[Key] = ()
    if OTHERS in {row, column}:
        found = cross(conn, which.rows, which.columns, which.asked, of=which.of)
        rows, columns = found.rows, found.columns
    conditions: list[tuple[Dimension | None, Key, Sequence[Key]]] = []
    if row is not None:
        conditions.append((which.rows, OTHERS if row == OTHERS else read(row), rows))
    if column is not None:
        conditions.append((which.columns, OTHERS if column == OTHERS else read(column), columns))
    return which.under(conditions)


def as_json(found: Cross, which: Chosen) -> dict[str, Json]:
    """A cross table as JSON: counts row by row, in the order of its columns."""
    return {
        "rows": [{"key": row, "total": found.of_row[row]} for row in found.rows],
        "columns": [{"key": column, "total": found.of_column[column]} for column in found.columns],
        "counts": [
            [found.counts.get((row, column), 0) for column in found.columns or (None,)] for row in found.rows
        ],
        "total": found.total,
        "left_out": found.left_out,
        "period": which.period,
        "of": str(which.of),
    }
