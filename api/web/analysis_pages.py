"""Tickets counted by any field and by any two, as a page: a heat map whose numbers lead to their tickets (rules 32, 55, 64, 65)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from andon.access.roles import Right
from andon.database import reading
from api.analysis import Chosen, ChosenOf, cell, written
from api.pages import render
from api.paging import PagingOf, cursor_of
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.keys import dimension_name, key_name
from api.web.wording import asset_name
from ticketing.analysis.crosstab import OTHERS, Cross, Key, Of, cross, tickets_in
from ticketing.analysis.dimensions import codes
from ticketing.metrics.periods import ROLLING, month_at, months_before

router = APIRouter(dependencies=[needs(Right.READ)])
HERE = "/analysis"
MONTHS = 12
_STEPS = 5
PRESETS: Sequence[tuple[str, dict[str, str]]] = (
    ("heat", {"rows": "fault_type", "columns": "model"}),
    ("causes", {"rows": "cause", "columns": ""}),
    ("scenes", {"rows": "scene_tag", "columns": ""}),
    ("dwell", {"rows": "state", "columns": "line", "of": "stuck"}),
    ("when", {"rows": "weekday", "columns": "hour"}),
    ("suppliers", {"rows": "supplier", "columns": "fault_type"}),
)
"""What is looked at most often; the first is what the page begins with."""


@dataclass(frozen=True, slots=True)
class Cell:
    """A number with where its tickets are; `step` of `_STEPS` is how warm it is."""

    number: int
    href: str
    step: int


@dataclass(frozen=True, slots=True)
class Line:
    """One row: its name, where it is looked into, its cells, and its sum."""

    name: str
    href: str
    cells: Sequence[Cell]
    total: Cell


@router.get(HERE)
def analysis(request: Request, visit: VisitOf, which: ChosenOf) -> Response:
    """The table, with what else can be chosen."""
    with reading(visit.context.database) as conn:
        found = cross(conn, which.rows, which.columns, which.asked, of=which.of)
    zone = visit.plant.time_zone
    current = month_at(visit.time.now_ns, zone)
    months = [one.name for one in (current, *reversed(months_before(current, MONTHS, zone)))]
    return render(
        request,
        visit,
        "analysis.html",
        "kpi",
        which=which,
        key_of_rows=dimension_name(which.rows.code, visit),
        key_of_columns=dimension_name(which.columns.code, visit) if which.columns else "",
        given=[f"{one.code}:{written(key)}" for one, key in which.filters],
        rows_code=which.rows.code,
        columns_code=which.columns.code if which.columns else "",
        dimensions=[(code, dimension_name(code, visit)) for code in codes(visit.plant)],
        presets=[(name, f"{HERE}?{urlencode(said)}", _is(which, said)) for name, said in PRESETS],
        periods=[*months, ROLLING],
        filters=[
            (dimension_name(one.code, visit), key_name(one, key, visit), _query(which, without=n))
            for n, (one, key) in enumerate(which.filters)
        ],
        heads=[
            (key_name(which.columns, key, visit), _tickets(which, {"column": key}), found.of_column[key])
            for key in found.columns
        ]
        if which.columns
        else [],
        lines=_lines(found, which, visit),
        found=found,
        all_href=f"{HERE}/tickets?{_query(which)}",
    )


@router.get(HERE + "/tickets")
def behind(
    *,
    request: Request,
    visit: VisitOf,
    which: ChosenOf,
    paging: PagingOf,
    row: Annotated[str | None, Query(max_length=200)] = None,
    column: Annotated[str | None, Query(max_length=200)] = None,
) -> Response:
    """The tickets behind a number."""
    after = paging.behind(int)
    with reading(visit.context.database) as conn:
        asked = cell(conn, which, row, column)
        found = tickets_in(
            conn, asked, of=which.of, limit=paging.probe, after=int(after[0]) if after else None
        )
    shown = found[: paging.limit]
    place = {name: value for name, value in (("row", row), ("column", column)) if value is not None}
    more = cursor_of((shown[-1].ticket or 0,)) if len(found) > paging.limit else ""
    return render(
        request,
        visit,
        "analysis_tickets.html",
        "kpi",
        which=which,
        rows=[(one, asset_name(visit.plant.asset(one.asset), one.asset, visit.words)) for one in shown],
        back=f"{HERE}?{_query(which)}",
        more=f"{HERE}/tickets?{_query(which, {**place, 'after': more})}" if more else "",
    )


def _lines(found: Cross, which: Chosen, visit: Visit) -> Sequence[Line]:
    most = max(found.counts.values(), default=0)

    def one(row: Key, column: Key) -> Cell:
        number = found.counts.get((row, column), 0)
        warm = 1 + (_STEPS - 1) * number // most if number else 0
        return Cell(number, _tickets(which, {"row": row, "column": column}) if number else "", warm)

    return [
        Line(
            name=key_name(which.rows, row, visit),
            href="" if row == OTHERS else f"{HERE}?{_query(which, where=(which.rows.code, row))}",
            cells=[one(row, column) for column in found.columns],
            total=Cell(found.of_row[row], _tickets(which, {"row": row}), 0),
        )
        for row in found.rows
    ]


def _tickets(which: Chosen, place: Mapping[str, Key]) -> str:
    """Where the tickets under these keys are: of a cell, a row or a column."""
    said = {name: OTHERS if key == OTHERS else written(key) for name, key in place.items()}
    return f"{HERE}/tickets?{_query(which, said)}"


def _query(
    which: Chosen,
    more: Mapping[str, str] = MappingProxyType({}),
    *,
    without: int | None = None,
    where: tuple[str, Key] | None = None,
) -> str:
    """The address of the same table, with a filter less or more."""
    filters = [f"{one.code}:{written(key)}" for n, (one, key) in enumerate(which.filters) if n != without]
    filters += [f"{where[0]}:{written(where[1])}"] if where is not None else []
    columns = which.columns.code if which.columns else ""
    said = [("rows", which.rows.code), ("columns", columns), ("of", str(which.of)), ("period", which.period)]
    return urlencode([*said, *(("where", one) for one in filters), *more.items()])


def _is(which: Chosen, said: dict[str, str]) -> bool:
    columns = which.columns.code if which.columns else ""
    return (which.rows.code, columns, str(which.of)) == (
        said["rows"],
        said["columns"],
        said.get("of", Of.OPENED),
    )
