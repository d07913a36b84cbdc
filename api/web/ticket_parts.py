"""The parts that tickets ask for, with what the store has of them: on a ticket's page and on the store's."""

from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import quote

from fastapi import APIRouter, Query
from markupsafe import Markup
from sqlalchemy import Connection
from starlette.responses import HTMLResponse, Response

from andon.access.roles import Right
from andon.database import reading
from api.catalogue import Words
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.wording import person_name
from ticketing.parts import catalogue, movements, use
from ticketing.parts.catalogue import Part
from ticketing.requisitions import Requisition, RequisitionState

router = APIRouter()


@dataclass(frozen=True, slots=True)
class Waiting:
    """A requisition: what the part is called, what is there of it, and out of which lots it can be handed out."""

    asked: Requisition
    ticket: str
    name: str
    link: str
    by: str
    place: str
    unit: str
    on_hand: float | None
    short: bool
    lots: Sequence[movements.Lot]
    out: Sequence[str]


def waiting_of(conn: Connection, asked: Sequence[Requisition], visit: Visit) -> Sequence[Waiting]:
    """These requisitions; what the store knows is looked up in one go, nothing where there are none."""
    if not asked:
        return ()
    known = catalogue.parts_coded(conn, [one.part_code for one in asked if one.part_code])
    tickets = use.about(conn, [one.ticket for one in asked])
    return [
        _waiting(conn, one, known.get(one.part_code or ""), tickets[one.ticket][0], visit) for one in asked
    ]


def _waiting(conn: Connection, asked: Requisition, part: Part | None, number: str, visit: Visit) -> Waiting:
    is_open = asked.state is RequisitionState.OPEN
    can_come_back = part is not None and asked.state is RequisitionState.ISSUED
    lots = movements.at_hand(conn, part.code) if part is not None and is_open else ()
    return Waiting(
        asked=asked,
        ticket=number,
        name=part_name(part, visit.words) if part else "",
        link=f"/parts/{quote(part.code, safe='')}" if part else "",
        by=person_name(asked.by, visit.plant),
        place=part.place if part else "",
        unit=part.unit if part else "",
        on_hand=part.on_hand if part else None,
        short=is_open and part is not None and part.on_hand < asked.quantity,
        lots=lots,
        out=list(movements.still_out(conn, asked.id)) if can_come_back else (),
    )


def part_name(part: Part, words: Words) -> str:
    """What a part is called in the reader's language."""
    return part.name_zh if words.language == "zh" and part.name_zh else part.name


@router.get("/tickets/{ticket_id}/parts", dependencies=[needs(Right.READ)])
def choices(visit: VisitOf, ticket_id: int, part: str = Query(default="", max_length=200)) -> Response:
    """What somebody who types into the field for a part may mean: those that fit the ticket's machine first."""
    with reading(visit.context.database) as conn:
        asset = visit.plant.asset(use.about(conn, [ticket_id])[ticket_id][1])
        found = catalogue.suggested(conn, part, asset.model if asset else "")
    option = Markup('<option value="{}">{}</option>')
    said = (
        option.format(one.code, visit.words("store.choice", name=part_name(one, visit.words), n=_free(one)))
        for one in found
    )
    return HTMLResponse(Markup("").join(said))


def _free(part: Part) -> str:
    return f"{max(part.free, 0):g} {part.unit}"
