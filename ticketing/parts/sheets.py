"""The store as CSV files: parts, suppliers, and what is there by lot; read as a whole or refused line by line.

What is written can be read again and changes nothing. Which of the three a file is, its first line says.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from csv import DictReader
from csv import Error as CsvError
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from io import StringIO

from sqlalchemy import Connection

from andon.events import Json, nanoseconds, rfc3339
from ticketing.book import Book
from ticketing.errors import DeedRefused, FieldsRefused
from ticketing.parts import catalogue, movements, suppliers
from ticketing.parts.cells import BOM, sheet, unescaped
from ticketing.parts.movements import Cause

MOST_ROWS = 2000
SHOWN = 20
"""So many faults of a file are named at once."""


class Kind(StrEnum):
    """What a file holds."""

    PARTS = "parts"
    SUPPLIERS = "suppliers"
    STOCK = "stock"


COLUMNS: Mapping[Kind, Sequence[str]] = {
    Kind.PARTS: (
        *("code", "name", "name_zh", "unit", "min_stock", "price", "barcode", "place", "models", "retired"),
        *("on_hand", "reserved"),
    ),
    Kind.SUPPLIERS: ("supplier", "name", "name_zh", "grade", "status"),
    Kind.STOCK: ("part", "lot", "quantity", "supplier", "brand", "received"),
}
"""What is written; `on_hand` and `reserved` are for reading alone."""
_NEEDED: Mapping[Kind, frozenset[str]] = {
    Kind.STOCK: frozenset({"part", "quantity"}),
    Kind.SUPPLIERS: frozenset({"supplier", "grade"}),
    Kind.PARTS: frozenset({"code"}),
}
CHINESE: Mapping[str, str] = {
    "编码": "code",
    "备件编码": "code",
    "名称": "name",
    "中文名称": "name_zh",
    "单位": "unit",
    "安全库存": "min_stock",
    "单价": "price",
    "条码": "barcode",
    "库位": "place",
    "适用型号": "models",
    "停用": "retired",
    "供应商": "supplier",
    "等级": "grade",
    "状态": "status",
    "备件": "part",
    "批次": "lot",
    "数量": "quantity",
    "品牌": "brand",
    "入库日期": "received",
}
"""Names of columns that are understood beside ours."""
_YES = frozenset({"1", "yes", "true", "是", "y"})


@dataclass(frozen=True, slots=True)
class Taken:
    """What a file was: so many of its rows were taken."""

    kind: Kind
    rows: int


class _Wrong(ValueError):
    """A cell that cannot be read: "column: why"."""


def take_in(book: Book, body: bytes, *, by: str) -> Taken:
    """Put in or change what the file says, all of it or nothing; DeedRefused names the lines that cannot stand.

    A stock file is a count: a lot that is new is taken in, one that is there is set to the quantity.
    """
    kind, rows = _rows(body)
    wrong: list[str] = []
    for line, row in rows:
        try:
            _TAKE[kind](book, row, by)
        except FieldsRefused as error:
            wrong.append(f"line {line}: " + ", ".join(f"{m.demand} {m.why}" for m in error.missing))
        except (DeedRefused, _Wrong) as error:
            wrong.append(f"line {line}: {error}")
    if wrong:
        more = f"; and {len(wrong) - SHOWN} more" if len(wrong) > SHOWN else ""
        raise DeedRefused("sheet_refused", "; ".join(wrong[:SHOWN]) + more)
    return Taken(kind, len(rows))


def written(conn: Connection, kind: Kind) -> str:
    """All of one kind as a file."""
    return sheet(COLUMNS[kind], _WRITE[kind](conn))


def _rows(body: bytes) -> tuple[Kind, list[tuple[int, dict[str, str]]]]:
    """The kind of a file, and its rows with their line numbers, under our names of the columns."""
    reader = DictReader(StringIO(_text(body), newline=""), strict=True)
    try:
        names = [_name(one) for one in reader.fieldnames or ()]
        reader.fieldnames = names
        rows = [
            (reader.line_num, {name: unescaped(cell or "").strip() for name, cell in row.items() if name})
            for row in reader
        ]
    except CsvError as error:
        raise DeedRefused("sheet_refused", f"line {reader.line_num}: {error}") from error
    kind = next((one for one, needed in _NEEDED.items() if needed <= set(names)), None)
    if kind is None:
        said = "; ".join(f"{one}: {', '.join(columns)}" for one, columns in COLUMNS.items())
        raise DeedRefused("sheet_refused", f"its first line names none of these sets of columns: {said}")
    if len(rows) > MOST_ROWS:
        text = f"at most {MOST_ROWS} rows at once: send {len(rows)} in several files"
        raise DeedRefused("sheet_refused", text)
    return kind, [(line, row) for line, row in rows if any(row.values())]


def _name(column: str) -> str:
    plain = column.strip().lower()
    return CHINESE.get(plain, plain)


def _text(body: bytes) -> str:
    """UTF-8, else what a Chinese spreadsheet writes (GB 18030)."""
    for encoding in ("utf-8", "gb18030"):
        try:
            text = body.decode(encoding).removeprefix(BOM)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise DeedRefused("sheet_refused", "it is no text in UTF-8 or GB 18030: save it as CSV")


def _take_part(book: Book, row: Mapping[str, str], by: str) -> None:
    wanted: dict[str, Json] = {
        name: row[name] for name in ("name", "name_zh", "unit", "barcode", "place") if name in row
    }
    if row.get("min_stock"):
        wanted["min_stock"] = _number(row, "min_stock")
    if "price" in row:
        wanted["cents"] = cents(row["price"]) if row["price"] else None
    if "models" in row:
        wanted["fits"] = [one.strip() for one in row["models"].split(";")]
    if "retired" in row:
        wanted["retired"] = row["retired"].lower() in _YES
    if wanted.get("unit") == "":
        del wanted["unit"]
    catalogue.save(book, row.get("code", ""), wanted, by=by)


def _take_supplier(book: Book, row: Mapping[str, str], by: str) -> None:
    wanted = {name: row[name] for name in ("name", "name_zh", "grade", "status") if row.get(name)}
    suppliers.save(book, row["supplier"], wanted, by=by)


def _take_stock(book: Book, row: Mapping[str, str], by: str) -> None:
    code, lot, quantity = row["part"], row.get("lot", ""), _number(row, "quantity")
    known = any(one.lot == catalogue.plain(lot) for one in movements.lots(book.conn, code))
    cause = Cause(by)
    if known:
        movements.count(book, code, quantity, cause, lot=lot)
        return
    came = movements.Delivery(lot, row.get("supplier", ""), row.get("brand", ""), _day(row.get("received")))
    movements.receive(book, code, quantity, cause, came)


def _number(row: Mapping[str, str], name: str) -> float:
    try:
        return float(row[name])
    except ValueError:
        raise _Wrong(f"{name}: {row[name][:40]!r} is no number") from None


def cents(text: str) -> int:
    """A price as whole cents; ValueError for what is no amount.

    >>> cents("12.5")
    1250
    """
    try:
        exact = Decimal(text) * 100
        if exact == exact.to_integral_value():
            return int(exact)
    except (InvalidOperation, ValueError, OverflowError):
        pass
    raise _Wrong(f"price: {text[:40]!r} is no amount with at most two decimals")


def _day(text: str | None) -> int | None:
    if not text:
        return None
    try:
        return nanoseconds(text if "T" in text else f"{text}T00:00:00Z")
    except ValueError:
        raise _Wrong(f"received: {text[:40]!r} is no day as 2026-03-02") from None


def _parts(conn: Connection) -> Iterator[Sequence[object]]:
    for one in catalogue.parts(conn, retired=True, limit=1_000_000):
        price = None if one.cents is None else f"{one.cents // 100}.{one.cents % 100:02}"
        yield (
            *(one.code, one.name, one.name_zh, one.unit, one.min_stock, price, one.barcode, one.place),
            *("; ".join(one.fits), "yes" if one.retired else "", one.on_hand, one.reserved),
        )


def _suppliers(conn: Connection) -> Iterator[Sequence[object]]:
    for one in suppliers.suppliers(conn):
        yield one.code, one.name, one.name_zh, str(one.grade), str(one.status)


def _stock(conn: Connection) -> Iterator[Sequence[object]]:
    for one in movements.lots(conn):
        yield one.part, one.lot, one.on_hand, one.supplier, one.brand, rfc3339(one.received_ns)[:10]


_TAKE: Mapping[Kind, Callable[[Book, Mapping[str, str], str], None]] = {
    Kind.PARTS: _take_part,
    Kind.SUPPLIERS: _take_supplier,
    Kind.STOCK: _take_stock,
}
_WRITE: Mapping[Kind, Callable[[Connection], Iterator[Sequence[object]]]] = {
    Kind.PARTS: _parts,
    Kind.SUPPLIERS: _suppliers,
    Kind.STOCK: _stock,
}
