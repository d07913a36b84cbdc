"""By what tickets can be counted (rule 65): every field of theirs, what the plant says of their machine, when, which parts.

A dimension reads one raw value of a row and makes a key of it in Python, so that what stands in the plant document
(a machine's model) needs no table of its own; the other way round, `meant` says in SQL which rows have a key.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
from sqlalchemy import ColumnElement, Text, false, literal, or_, select
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import TypeEngine

from andon.events import MINUTE_NS, SECOND_NS
from andon.plant import Plant
from ticketing.metrics.metric import Question
from ticketing.parts.tables import part_lot, part_use
from ticketing.sql import to_json
from ticketing.tables import ticket
from ticketing.urgency import ORDER

t = ticket.c
_QUARTER_NS = 15 * MINUTE_NS
"""Every offset of a time zone is a whole number of these."""
_QUARTER: ColumnElement[Any] = t.opened_ns.op("/")(_QUARTER_NS)
OWN_FIELD = "field:"
"""What the name of a type's own field is written behind."""


@dataclass(frozen=True, slots=True)
class Dimension:
    """One way of sorting tickets. `kind` says how its keys are told to people ("cause", "person", "month", ...).

    `raw` is a column of the ticket, or of `source` where a ticket may have several (its parts). `key` makes a key of a
    raw value, None where there is none; `meant` gives the rows of a key.
    """

    code: str
    kind: str
    raw: ColumnElement[Any]
    key: Callable[[Any, Question], str | None]
    meant: Callable[[str | None, Question], ColumnElement[bool]]
    several: bool = False


def dimension(code: str) -> Dimension:
    """The dimension of that code; KeyError if there is none. `field:brand` is a type's own field of that name."""
    if code.startswith(OWN_FIELD):
        return _own_field(code.removeprefix(OWN_FIELD))
    return DIMENSIONS[code]


def codes(plant: Plant) -> Sequence[str]:
    """All codes at that plant, with the fields of its types."""
    own = {one.name for each in plant.ticket_types for one in each.fields}
    return [*DIMENSIONS, *(OWN_FIELD + name for name in sorted(own))]


def _text(raw: Any, _asked: Question) -> str | None:
    return str(raw) if raw not in {None, ""} else None


def _plain(code: str, kind: str = "text") -> Dimension:
    """A column that is text."""
    column = t[code]

    def meant(key: str | None, _asked: Question) -> ColumnElement[bool]:
        return or_(column.is_(None), column == "") if key is None else column == key

    return Dimension(code, kind, column, _text, meant)


def _number(code: str, names: Sequence[str] | None = None, kind: str = "text") -> Dimension:
    """A column that is a number, or a place in `names`."""
    column = t[code]

    def key(raw: Any, _asked: Question) -> str | None:
        return None if raw is None else names[int(raw)] if names else str(int(raw))

    def meant(name: str | None, _asked: Question) -> ColumnElement[bool]:
        if name is None:
            return column.is_(None)
        known = names is None or name in names
        value = names.index(name) if names and known else int(name) if name.isdecimal() else None
        return column == value if known and value is not None else false()

    return Dimension(code, kind, column, key, meant)


def _flag(code: str) -> Dimension:
    column = t[code]
    return Dimension(
        code,
        "yes_no",
        column,
        lambda raw, _asked: None if raw is None else "yes" if raw else "no",
        lambda key, _asked: column.is_(None) if key is None else column.is_(key == "yes"),
    )


def _of_machine(code: str, said: Callable[[Any], str]) -> Dimension:
    """What the plant document says of a ticket's machine."""

    def key(raw: Any, asked: Question) -> str | None:
        asset = asked.plant.asset(raw or "")
        return (said(asset) or None) if asset is not None else None

    def meant(name: str | None, asked: Question) -> ColumnElement[bool]:
        if name is None:
            return t.asset.not_in([one.id for one in asked.plant.assets if said(one)])
        return t.asset.in_([one.id for one in asked.plant.assets if said(one) == name])

    return Dimension(code, "text", t.asset, key, meant)


def _opened(code: str, said: Callable[[datetime], str]) -> Dimension:
    """When a ticket was opened, by the plant's clock."""

    def key(raw: Any, asked: Question) -> str | None:
        return said(_moment(int(raw), asked.plant.time_zone))

    def meant(name: str | None, asked: Question) -> ColumnElement[bool]:
        runs = [t.opened_ns.between(*run) for run in _runs(asked, lambda at: said(at) == name)]
        return or_(false(), *runs)

    return Dimension(code, code, _QUARTER, key, meant)


def _moment(quarter: int, zone: str) -> datetime:
    return datetime.fromtimestamp(quarter * _QUARTER_NS // SECOND_NS, ZoneInfo(zone))


def _runs(asked: Question, fits: Callable[[datetime], bool]) -> Iterator[tuple[int, int]]:
    """The stretches of the time asked about that fit, first and last nanosecond."""
    zone = asked.plant.time_zone
    begun: int | None = None
    first, last = asked.span.from_ns // _QUARTER_NS, (asked.span.to_ns - 1) // _QUARTER_NS
    for quarter in range(first, last + 2):
        if quarter <= last and fits(_moment(quarter, zone)):
            begun = quarter if begun is None else begun
        elif begun is not None:
            yield begun * _QUARTER_NS, quarter * _QUARTER_NS - 1
            begun = None


class _Member(FunctionElement[str]):
    """What stands under a name in a column of JSON, as the JSON text that it is; null where nothing does."""

    type: TypeEngine[str] = Text()
    inherit_cache: bool | None = True


@compiles(_Member, "sqlite")
def _in_sqlite(element: _Member, compiler: SQLCompiler, **more: Any) -> str:
    column, name = (compiler.process(one, **more) for one in element.clauses)
    return f"({column} -> {name})"


@compiles(_Member, "postgresql")
def _in_postgresql(element: _Member, compiler: SQLCompiler, **more: Any) -> str:
    column, name = (compiler.process(one, **more) for one in element.clauses)
    return f"CAST(CAST({column} AS JSON) -> {name} AS TEXT)"


def _own_field(name: str) -> Dimension:
    """A field of a type's own, in the ticket's JSON."""
    value = _Member(t.fields, literal(name))

    def key(raw: Any, _asked: Question) -> str | None:
        said = None if raw is None else msgspec.json.decode(raw)
        return {True: "yes", False: "no"}[said] if isinstance(said, bool) else _text(said, _asked)

    def meant(one: str | None, _asked: Question) -> ColumnElement[bool]:
        if one is None:
            return or_(value.is_(None), value.in_(['""', "null"]))
        written = {"yes": "true", "no": "false"}.get(one, one)
        return value.in_([to_json(one), written])  # a text, or a number as it stands

    return Dimension(OWN_FIELD + name, "text", value, key, meant)


def _of_parts(code: str, column: ColumnElement[Any]) -> Dimension:
    """What a ticket's work used: a ticket with three parts stands under each of them."""
    lots = part_use.outerjoin(
        part_lot, (part_lot.c.part == part_use.c.part) & (part_lot.c.lot == part_use.c.lot)
    )

    def meant(key: str | None, _asked: Question) -> ColumnElement[bool]:
        used = select(part_use.c.ticket).select_from(lots)
        if key is None:
            return t.id.not_in(used.where(column.is_not(None), column != ""))
        return t.id.in_(used.where(column == key))

    return Dimension(code, code, column, _text, meant, several=True)


DIMENSIONS: Mapping[str, Dimension] = {
    one.code: one
    for one in (
        _of_machine("model", lambda asset: asset.model),
        _plain("fault_type", "fault_type"),
        _plain("cause", "cause"),
        _plain("type", "type"),
        _plain("condition", "condition"),
        _plain("component", "component"),
        _plain("family", "family"),
        _plain("asset", "asset"),
        _of_machine("asset_class", lambda asset: asset.asset_class),
        _of_machine("criticality", lambda asset: asset.criticality),
        _plain("line"),
        _of_machine("area", lambda asset: asset.area),
        _plain("region"),
        _plain("state", "state"),
        _number("priority", ORDER, "priority"),
        _flag("urgent"),
        _plain("closure", "closure"),
        _plain("outcome", "outcome"),
        _plain("scene_tag", "scene_tag"),
        _plain("assignee", "person"),
        _plain("handler", "person"),
        _plain("requester", "person"),
        _plain("channel", "channel"),
        _plain("grade"),
        _number("reopen_count"),
        _opened("month", lambda at: f"{at:%Y-%m}"),
        _opened("week", lambda at: f"{at:%G-W%V}"),
        _opened("weekday", lambda at: str(at.weekday())),
        _opened("hour", lambda at: f"{at:%H}"),
        _of_parts("part", part_use.c.part),
        _of_parts("lot", part_use.c.lot),
        _of_parts("supplier", part_lot.c.supplier),
    )
}
"""In the order in which they are offered."""
