"""The store as pages: what is to be issued, what runs low, every part with its lots, deliveries, counts and files."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Query, Request
from sqlalchemy import Connection
from starlette.datastructures import FormData, UploadFile
from starlette.responses import RedirectResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import Json
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.formats import MISSING
from api.web.forms import Form, field_of, number_of, texts_of
from api.web.money import cents_in, money
from api.web.refused import Refused
from api.web.ticket_parts import Waiting, part_name, waiting_of
from api.web.ticket_steps import why_not
from api.web.wording import demand_sentence, person_name
from ticketing.book import Book
from ticketing.errors import DeedRefused, FieldsRefused, TicketingError
from ticketing.parts import catalogue, movements, sheets, suppliers, use
from ticketing.parts.catalogue import Part
from ticketing.parts.movements import Cause, Delivery
from ticketing.requisitions import RequisitionState, in_state

router = APIRouter()
HERE = "/parts"
ROWS = 100
WAITING = 50
MOVED = 40
"""Movements on a part's page."""
MOST_BYTES = 2**21


@dataclass(frozen=True, slots=True)
class PartRow:
    """A part in the list, in the reader's language."""

    code: str
    name: str
    link: str
    place: str
    on_hand: float
    reserved: float
    free: float
    min_stock: float
    unit: str
    price: str
    is_low: bool
    retired: bool


@router.get(HERE, dependencies=[needs(Right.READ)])
def parts(
    request: Request,
    visit: VisitOf,
    *,
    text: str = Query(default="", max_length=200),
    low: str = Query(default="", max_length=4),
    after: str = Query(default="", max_length=64),
) -> Response:
    """What is to be issued, and the parts: those of some words, those below their safety stock. A scan opens its part."""
    if text.strip():
        with reading(visit.context.database) as conn:
            one = catalogue.matching(conn, text)
        if one is not None:
            return RedirectResponse(link_of(one.code), 303)
    return _list(request, visit, text=text, low=bool(low), after=after)


@router.get(f"{HERE}/{{part:path}}", dependencies=[needs(Right.READ)])
def part(request: Request, visit: VisitOf, part: str) -> Response:
    """One part."""
    return _one(request, visit, part)


@router.post(f"{HERE}/save", dependencies=[needs(Right.STOCK)])
def save(request: Request, visit: VisitOf, form: Form) -> Response:
    """Put a part in, or change one."""
    code = catalogue.plain(field_of(form, "code"))

    def put_in(book: Book) -> None:
        wanted: dict[str, Json] = {
            name: field_of(form, name) for name in ("name", "name_zh", "unit", "barcode", "place")
        }
        wanted["min_stock"] = _number(form, "min_stock")
        wanted["cents"] = _cents(field_of(form, "price").strip())
        wanted["fits"] = field_of(form, "models").split(";")
        wanted["retired"] = bool(field_of(form, "retired"))
        catalogue.save(book, code, wanted, by=visit.actor)

    return _done(request, visit, "save", form, put_in)


@router.post(f"{HERE}/receive", dependencies=[needs(Right.STOCK)])
def receive(request: Request, visit: VisitOf, form: Form) -> Response:
    """Take a delivery in."""
    came = Delivery(field_of(form, "lot"), field_of(form, "supplier"), field_of(form, "brand"))
    code, cause = field_of(form, "code"), Cause(visit.actor, field_of(form, "note").strip())
    quantity = _number(form, "quantity") or -1.0  # a delivery of nothing is none
    deed = lambda book: movements.receive(book, code, quantity, cause, came)  # noqa: E731
    return _done(request, visit, "receive", form, deed)


@router.post(f"{HERE}/count", dependencies=[needs(Right.STOCK)])
def count(request: Request, visit: VisitOf, form: Form) -> Response:
    """Set a lot to what was counted."""
    code, cause = field_of(form, "code"), Cause(visit.actor, field_of(form, "note").strip())
    lot = field_of(form, "lot")
    deed = lambda book: movements.count(book, code, _number(form, "quantity"), cause, lot=lot)  # noqa: E731
    return _done(request, visit, "count", form, deed)


@router.post(f"{HERE}/supplier", dependencies=[needs(Right.STOCK)])
def save_supplier(request: Request, visit: VisitOf, form: Form) -> Response:
    """Take a supplier in, or change one."""
    wanted = {name: field_of(form, name) for name in ("name", "name_zh", "grade", "status")}
    code = field_of(form, "supplier")
    return _done(
        request, visit, "supplier", form, lambda book: suppliers.save(book, code, wanted, by=visit.actor)
    )


@router.post(f"{HERE}/sheet", dependencies=[needs(Right.STOCK)])
def take_sheet(request: Request, visit: VisitOf, form: Form) -> Response:
    """Take a CSV file in."""
    given = form.get("sheet")
    body = given.file.read(MOST_BYTES + 1) if isinstance(given, UploadFile) else b""

    def take(book: Book) -> None:
        if len(body) > MOST_BYTES:
            raise DeedRefused("sheet_refused", "at most 2 MB at once: send it in several files")
        sheets.take_in(book, body, by=visit.actor)

    return _done(request, visit, "sheet", form, take)


def link_of(code: str) -> str:
    """The address of a part's page."""
    return f"{HERE}/{quote(code, safe='')}"


def _number(form: FormData, name: str) -> float:
    number = number_of(form, name)
    return -1.0 if number is None else number  # refused, as out of range


def _cents(text: str) -> int | None:
    """A price; none where none is known, one that is refused where it is no amount."""
    cents = cents_in(text)
    return -1 if cents is None and text else cents


def _done(
    request: Request,
    visit: Visit,
    what: str,
    form: FormData,
    deed: Callable[[Book], object],
) -> Response:
    """Do it and show the page again, with what was wrong if it was refused."""
    code = catalogue.plain(field_of(form, "code"))
    try:
        with visit.context.tickets.transaction(visit.context.now()) as book:
            deed(book)
    except TicketingError as error:
        refused = Refused(what, texts_of(form), {}, _wrong(error, visit))
        there = code and what in {"receive", "count"}
        answer = (
            _one(request, visit, code, refused) if there else _list(request, visit, text="", refused=refused)
        )
        answer.status_code = 422
        return answer
    answer = RedirectResponse(link_of(code) if code else HERE, 303)
    say(answer, "store.done")
    return answer


def _wrong(error: TicketingError, visit: Visit) -> list[str]:
    if isinstance(error, FieldsRefused):
        return [demand_sentence(missing, visit.words) for missing in error.missing]
    said = [why_not(error, visit.words)]
    return said + str(error).split("; ") if error.code == "sheet_refused" else said


def _list(
    request: Request,
    visit: Visit,
    *,
    text: str,
    low: bool = False,
    after: str = "",
    refused: Refused | None = None,
) -> Response:
    with reading(visit.context.database) as conn:
        place = (after,) if after else None
        found = catalogue.parts(conn, text, low=low, limit=ROWS + 1, after=place)
        waiting = _to_issue(conn, visit)
        known = suppliers.suppliers(conn)
        short = catalogue.how_many_low(conn)
    more = (
        {"text": text, "low": "1" if low else "", "after": found[ROWS - 1].code} if len(found) > ROWS else {}
    )
    return render(
        request,
        visit,
        "parts.html",
        "parts",
        here=HERE if refused else None,
        rows=[_row(one, visit) for one in found[:ROWS]],
        older=f"{HERE}?{urlencode({k: v for k, v in more.items() if v})}" if more else "",
        waiting_parts=waiting,
        suppliers=known,
        short=short,
        text=text,
        low=low,
        grades=list(suppliers.Grade),
        statuses=list(suppliers.Status),
        kinds=list(sheets.Kind),
        card=None,
        refused=refused,
    )


def _to_issue(conn: Connection, visit: Visit) -> Sequence[Waiting]:
    """What tickets wait for, the longest first."""
    asked = in_state(conn, RequisitionState.OPEN, machines=visit.sight.assets, limit=WAITING)
    return waiting_of(conn, asked, visit)


def _one(request: Request, visit: Visit, code: str, refused: Refused | None = None) -> Response:
    with reading(visit.context.database) as conn:
        one = catalogue.part_coded(conn, code)
        lots = movements.lots(conn, code)
        moved = movements.movements(conn, code, machines=visit.sight.assets, limit=MOVED)
        known = suppliers.suppliers(conn)
        tickets = use.about(conn, [move.ticket for move in moved if move.ticket is not None])
    return render(
        request,
        visit,
        "part.html",
        "parts",
        here=link_of(code),
        part=one,
        row=_row(one, visit),
        lots=lots,
        moved=moved,
        tickets=tickets,
        names={move.by: person_name(move.by, visit.plant) for move in moved},
        suppliers=known,
        card=one,
        refused=refused,
    )


def _row(one: Part, visit: Visit) -> PartRow:
    price = MISSING if one.cents is None else money(one.cents, visit.plant.currency)
    kept = ("code", "place", "on_hand", "reserved", "free", "min_stock", "unit", "is_low", "retired")
    return PartRow(
        name=part_name(one, visit.words),
        link=link_of(one.code),
        price=price,
        **{name: getattr(one, name) for name in kept},
    )
