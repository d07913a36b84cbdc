"""The store over REST: parts, their lots and what moved, deliveries and counts, suppliers, and all of it as CSV."""

from typing import Annotated, Literal

from fastapi import APIRouter, Body, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.events import Json, nanoseconds
from api.answers import plain
from api.moments import Told
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.steps import Name, Text
from api.visit import ContextOf, VisitOf
from ticketing.parts import catalogue, movements, sheets, suppliers
from ticketing.parts.movements import Cause, Delivery
from ticketing.parts.suppliers import Grade, Status

router = APIRouter(tags=["store"])
CSV = "text/csv; charset=utf-8"
Amount = Annotated[float, Field(ge=0, le=catalogue.MOST)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class PartCard(_Body):
    """A part; of one that is there, only the fields that are given change. `cents` is the price per unit."""

    code: Name
    name: Text = ""
    name_zh: Text = ""
    unit: Annotated[str, Field(max_length=16)] = "pcs"
    min_stock: Amount = 0.0
    cents: Annotated[int, Field(ge=0, le=10**9)] | None = None
    barcode: Name = ""
    place: Name = ""
    retired: bool = False
    fits: Annotated[list[Name], Field(max_length=200, description="models of equipment")] = []


class SupplierCard(_Body):
    """A supplier; of one that is there, only the fields that are given change."""

    code: Name
    name: Text = ""
    name_zh: Text = ""
    grade: Grade = Grade.C
    status: Status = Status.ACTIVE


class Came(_Body):
    """A delivery: how much of which part, in which lot, from whom."""

    part: Name
    quantity: Annotated[float, Field(gt=0, le=catalogue.MOST)]
    lot: Name = ""
    supplier: Name = ""
    brand: Name = ""
    received_at: Told | None = None
    note: Text = ""


class Counted(_Body):
    """What was counted of a lot."""

    part: Name
    quantity: Amount
    lot: Name = ""
    note: Text = ""


@router.get("/parts", dependencies=[needs(Right.READ)])
def parts(
    context: ContextOf,
    page: PagingOf,
    *,
    text: Annotated[str, Query(max_length=200, description="words of code, name or barcode")] = "",
    scan: Annotated[str, Query(max_length=200, description="a code, name or scan that names one part")] = "",
    model: Annotated[str, Query(max_length=128, description="fits that model")] = "",
    low: Annotated[bool, Query(description="below the safety stock")] = False,
    retired: Annotated[bool, Query(description="also those that are not used any more")] = False,
) -> Response:
    """Parts by their code, with what is there, what is spoken for, and whether that is below the safety stock."""
    with context.tickets.looking() as conn:
        if scan:
            one = catalogue.matching(conn, scan)
            return page.answer([one] if one else [], plain, lambda row: (row.code,))
        found = catalogue.parts(
            conn, text, model=model, low=low, retired=retired, limit=page.probe, after=page.behind(str)
        )
    return page.answer(found, plain, lambda row: (row.code,))


@router.post("/parts", dependencies=[needs(Right.STOCK)])
def save_part(visit: VisitOf, card: PartCard) -> Response:
    """Put a part in, or change one; who changed what is on record."""
    wanted = card.model_dump(exclude_unset=True, exclude={"code"})
    with visit.context.tickets.transaction(visit.context.now()) as book:
        return JSONResponse(plain(catalogue.save(book, card.code, wanted, by=visit.actor)))


@router.get("/parts/{part:path}", dependencies=[needs(Right.READ)])
def part(context: ContextOf, part: str) -> Response:
    """One part with its lots, the oldest first: in this order they are handed out."""
    with context.tickets.looking() as conn:
        one, held = catalogue.part_coded(conn, part), movements.lots(conn, part)
    return JSONResponse({**_mapping(plain(one)), "lots": plain(held)})


@router.get("/stock/movements", dependencies=[needs(Right.READ)])
def moved(
    context: ContextOf, sight: SightOf, page: PagingOf, part: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """What moved of a part, or of all parts, the newest first."""
    with context.tickets.looking() as conn:
        found = movements.movements(
            conn, part, machines=sight.assets, limit=page.probe, after=page.behind(int)
        )
    return page.answer(found, plain, lambda row: (row.id,))


@router.post("/stock/receive", dependencies=[needs(Right.STOCK)])
def receive(visit: VisitOf, came: Came) -> Response:
    """Take a delivery in."""
    received_ns = None if came.received_at is None else nanoseconds(came.received_at)
    delivery = Delivery(came.lot, came.supplier, came.brand, received_ns)
    with visit.context.tickets.transaction(visit.context.now()) as book:
        one = movements.receive(book, came.part, came.quantity, Cause(visit.actor, came.note), delivery)
        return JSONResponse(plain(one))


@router.post("/stock/count", dependencies=[needs(Right.STOCK)])
def count(visit: VisitOf, counted: Counted) -> Response:
    """Set a lot's stock to what was counted; the difference is kept as a movement."""
    cause = Cause(visit.actor, counted.note)
    with visit.context.tickets.transaction(visit.context.now()) as book:
        one = movements.count(book, counted.part, counted.quantity, cause, lot=counted.lot)
        return JSONResponse(plain(one))


@router.get("/suppliers", dependencies=[needs(Right.READ)])
def all_suppliers(context: ContextOf, page: PagingOf) -> Response:
    """The suppliers with their grade, by code."""
    with context.tickets.looking() as conn:
        found = suppliers.suppliers(conn)
    return page.cut(found, plain)


@router.post("/suppliers", dependencies=[needs(Right.STOCK)])
def save_supplier(visit: VisitOf, card: SupplierCard) -> Response:
    """Take a supplier in, or change one; who changed what is on record."""
    wanted = card.model_dump(exclude_unset=True, exclude={"code"}, mode="json")
    with visit.context.tickets.transaction(visit.context.now()) as book:
        return JSONResponse(plain(suppliers.save(book, card.code, wanted, by=visit.actor)))


@router.get(
    "/stock/sheets/{what}",
    dependencies=[needs(Right.READ)],
    responses={200: {"content": {"text/csv": {"schema": {"type": "string"}}}}},
)
def sheet(context: ContextOf, what: Literal["parts", "suppliers", "stock"]) -> Response:
    """All parts, suppliers or lots as a CSV file that a spreadsheet opens; no text in it is run as a formula."""
    with context.tickets.looking() as conn:
        text = sheets.written(conn, sheets.Kind(what))
    return Response(text, media_type=CSV, headers=as_file(f"{what}.csv"))


@router.post("/stock/sheets", dependencies=[needs(Right.STOCK)])
def take_sheet(
    visit: VisitOf, body: Annotated[bytes, Body(media_type="text/csv", min_length=1, max_length=2**21)]
) -> Response:
    """Take in a CSV file of parts, suppliers or counted stock (its first line says which): all of it, or nothing."""
    with visit.context.tickets.transaction(visit.context.now()) as book:
        taken = sheets.take_in(book, body, by=visit.actor)
    return JSONResponse(plain(taken))


def as_file(name: str) -> dict[str, str]:
    """The headers of an answer that is kept as a file."""
    return {"Content-Disposition": f'attachment; filename="{name}"'}


def _mapping(value: Json) -> dict[str, Json]:
    return value if isinstance(value, dict) else {}
