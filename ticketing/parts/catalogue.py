"""What parts there are: looked up by code, name or scan, and put in or changed with every change on record."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    and_,
    bindparam,
    case,
    func,
    insert,
    or_,
    select,
)

from andon.database import behind
from andon.events import Json
from ticketing.book import Book
from ticketing.errors import DeedRefused, FieldsRefused, Missing
from ticketing.parts import low
from ticketing.parts.scans import scanned
from ticketing.parts.tables import part, part_model, stock, store_change
from ticketing.sql import chunks, to_json, upsert

CODE = 64
MOST = 1e9
"""No store holds more of a part, and no part costs more cents."""
_NAMES = ("code", "name", "name_zh", "barcode")
_CARD = ("name", "name_zh", "unit", "min_stock", "cents", "barcode", "place", "retired")

_here = stock.c.part == part.c.code
_on_hand = select(func.coalesce(func.sum(stock.c.on_hand), 0.0)).where(_here).scalar_subquery()
_reserved = select(func.coalesce(func.sum(stock.c.reserved), 0.0)).where(_here).scalar_subquery()
_low = and_(part.c.min_stock > 0, part.c.retired.is_(False), _on_hand < part.c.min_stock)

_CODE: BindParameter[str] = bindparam("_code")
_ONE = select(part, _on_hand.label("on_hand"), _reserved.label("reserved"), _low.label("is_low")).where(
    part.c.code == _CODE
)
_MODELS = select(part_model.c.model).where(part_model.c.part == _CODE).order_by(part_model.c.model)
"""Held as constants: to put a statement together costs more than to run it."""


@dataclass(frozen=True, slots=True)
class Part:
    """A part as it stands: quantities in its unit, `cents` its price per unit (None: not known), `fits` models."""

    code: str
    name: str
    name_zh: str
    unit: str
    min_stock: float
    cents: int | None
    barcode: str
    place: str
    retired: bool
    low_ns: int | None
    on_hand: float
    reserved: float
    is_low: bool
    fits: tuple[str, ...] = ()

    @property
    def free(self) -> float:
        """What nobody has asked for yet; less than nothing: so much is wanting."""
        return round(self.on_hand - self.reserved, 3)


def parts(
    conn: Connection,
    text: str = "",
    *,
    model: str = "",
    low: bool = False,
    retired: bool = False,
    limit: int = 100,
    after: Sequence[object] | None = None,
) -> tuple[Part, ...]:
    """Parts by code: those in which every word of `text` stands, that fit a model, that are below their safety stock."""
    wanted = _select().where(behind((part.c.code,), after), *_said(text))
    if model:
        wanted = wanted.where(_fits(model))
    if low:
        wanted = wanted.where(_low)
    if not retired:
        wanted = wanted.where(part.c.retired.is_(False))
    return _read(conn, wanted.order_by(part.c.code).limit(limit))


def suggested(conn: Connection, text: str, model: str, *, limit: int = 12) -> tuple[Part, ...]:
    """What somebody who types `text` at a machine of that model may mean, the likeliest first."""
    known = matching(conn, text)
    if known is not None:
        return (known,)
    wanted = _select().where(part.c.retired.is_(False), *_said(text))
    first = case((_fits(model), 0), else_=1) if model else part.c.code
    return _read(conn, wanted.order_by(first, part.c.code).limit(limit))


def matching(conn: Connection, text: str) -> Part | None:
    """The one part that a scan, a code or a whole name names; None if there is none, or more than one of that name."""
    said = plain(text)
    if not said:
        return None
    code = scanned(said).code
    same = or_(func.lower(part.c.code) == code.lower(), part.c.barcode == code)
    found = _read(conn, _select().where(same).limit(2))
    if not found:
        same = or_(func.lower(part.c.name) == said.lower(), func.lower(part.c.name_zh) == said.lower())
        found = _read(conn, _select().where(same, part.c.retired.is_(False)).limit(2))
    exact = tuple(one for one in found if one.code == code)
    return (exact or found)[0] if len(found) == 1 or exact else None


def part_coded(conn: Connection, code: str) -> Part:
    """The part of that code; DeedRefused if there is none."""
    found = _read(conn, _select().where(part.c.code == code))
    if not found:
        raise DeedRefused(
            "part_not_found", f"there is no part {code[:CODE]!r}: look it up, or put it in first"
        )
    return found[0]


def parts_coded(conn: Connection, codes: Sequence[str]) -> Mapping[str, Part]:
    """Those of these parts that there are, by code."""
    found = (_read(conn, _select().where(part.c.code.in_(some))) for some in chunks(codes))
    return {one.code: one for several in found for one in several}


def how_many_low(conn: Connection) -> int:
    """How many parts are below their safety stock."""
    return conn.execute(select(func.count()).select_from(part).where(_low)).scalar_one()


def save(book: Book, code: str, wanted: Mapping[str, Json], *, by: str) -> Part:
    """Put a part in, or change the fields that are given; FieldsRefused names each that cannot stand."""
    code = plain(code)
    known = _coded(book.conn, code)
    before = known or _blank(code)
    card = {name: _clean(wanted[name]) for name in _CARD if name in wanted}
    after = replace(before, **card)
    if "fits" in wanted:
        models = {plain(str(one)) for one in _listed(wanted["fits"])}
        after = replace(after, fits=tuple(sorted(models - {""})))
    if wrong := _wrong(book.conn, after):
        raise FieldsRefused(wrong)
    if known and after == before:
        return before
    is_low = not after.retired and after.on_hand < after.min_stock
    after = replace(after, is_low=is_low)
    _write(book.conn, before, after)
    note_change(book, "part", code, changes(known, after, (*_CARD, "fits")), by)
    low.look(book, after, None)
    return after


def note_change(book: Book, thing: str, code: str, changes: Mapping[str, Json], by: str) -> None:
    """Keep who changed what of a part or supplier: each field as [before, after]."""
    if changes:
        row = {"thing": thing, "code": code, "changes": to_json(changes), "by": by, "at_ns": book.now_ns}
        book.conn.execute(insert(store_change), row)


def changes(before: object | None, after: object, fields: Sequence[str]) -> Mapping[str, Json]:
    """Of these fields, those that differ, as [before, after]."""
    pairs = {name: [getattr(before, name, None), getattr(after, name)] for name in fields}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def plain(text: str) -> str:
    """What somebody typed or scanned, in one width and without blanks around it.

    >>> plain(" Ｙ-９０　")
    'Y-90'
    """
    return unicodedata.normalize("NFKC", text).strip()


def _listed(value: Json) -> Sequence[Json]:
    return value if isinstance(value, list | tuple) else []


def _clean(value: Json) -> Json:
    return plain(value) if isinstance(value, str) else value


def _blank(code: str) -> Part:
    return Part(code, "", "", "pcs", 0.0, None, "", "", False, None, 0.0, 0.0, False)


def _wrong(conn: Connection, one: Part) -> list[Missing]:
    wrong = [Missing(field) for field in ("code", "name", "unit") if not getattr(one, field)]
    wrong += [Missing(f, "too_long") for f in ("code", "barcode") if len(getattr(one, f)) > CODE]
    wrong += [Missing("unit", "too_long")] if len(one.unit) > 16 else []
    wrong += [Missing("fits", "too_long")] if any(len(model) > 128 for model in one.fits) else []
    wrong += [Missing("min_stock", "out_of_range")] if not 0 <= one.min_stock <= MOST else []
    wrong += [Missing("price", "out_of_range")] if not 0 <= (one.cents or 0) <= MOST else []
    if one.barcode:
        others = select(part.c.code).where(part.c.barcode == one.barcode, part.c.code != one.code)
        wrong += [Missing("barcode", "taken")] if conn.execute(others.limit(1)).first() else []
    return wrong


def _write(conn: Connection, before: Part, after: Part) -> None:
    row = {name: getattr(after, name) for name in ("code", *_CARD, "low_ns")}
    row["search"] = " ".join(getattr(after, name) for name in _NAMES).casefold()
    upsert(conn, part, [row], update=[*_CARD, "search"])
    if after.fits != before.fits:
        conn.execute(part_model.delete().where(part_model.c.part == after.code))
        upsert(conn, part_model, [{"part": after.code, "model": model} for model in after.fits])


def _coded(conn: Connection, code: str) -> Part | None:
    row = conn.execute(_ONE, {"_code": code}).mappings().first()
    if row is None:
        return None
    return _of(row, tuple(conn.execute(_MODELS, {"_code": code}).scalars()))


def _select() -> Select[tuple[object, ...]]:
    return select(part, _on_hand.label("on_hand"), _reserved.label("reserved"), _low.label("is_low"))


def _said(text: str) -> list[ColumnElement[bool]]:
    return [part.c.search.contains(word, autoescape=True) for word in plain(text).casefold().split()]


def _fits(model: str) -> ColumnElement[bool]:
    return part.c.code.in_(select(part_model.c.part).where(part_model.c.model == model))


def _read(conn: Connection, wanted: Select[tuple[object, ...]]) -> tuple[Part, ...]:
    rows = conn.execute(wanted).mappings().all()
    fits: dict[str, list[str]] = {}
    for some in chunks(row["code"] for row in rows):
        models = select(part_model).where(part_model.c.part.in_(some)).order_by(part_model.c.model)
        for one in conn.execute(models):
            fits.setdefault(one.part, []).append(one.model)
    return tuple(_of(row, tuple(fits.get(row["code"], ()))) for row in rows)


def _of(row: RowMapping, fits: tuple[str, ...]) -> Part:
    known = {name: row[name] for name in Part.__slots__ if name != "fits"}
    known |= {"on_hand": round(row["on_hand"], 3), "reserved": round(row["reserved"], 3)}
    return Part(**{**known, "is_low": bool(row["is_low"])}, fits=fits)
