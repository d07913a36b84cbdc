"""People's reports over REST: one entry for every channel, what came in, and what became of it."""

from collections.abc import Mapping
from typing import Annotated, cast

from fastapi import APIRouter, Depends, Header, Request
from pydantic import Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.events import Json, Priority
from api import steps
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf
from api.problems import problem
from api.rights import needs
from api.tickets import CHANNEL, On
from api.visit import ContextOf, VisitOf
from ticketing import editing, reports
from ticketing.report import MAX_BYTES, Told
from ticketing.ticket import Ticket

router = APIRouter(tags=["reports"])
_EXAMPLE: Mapping[str, Json] = {
    "type": "equipment_repair",
    "asset": "L1-SPN-01",
    "description": "the spindle hums at 8,000 rpm, louder than yesterday",
    "phone": "13800001111",
}
_BODY: Mapping[str, Json] = {
    "requestBody": {
        "required": True,
        "content": {"application/json": {"schema": Told.model_json_schema(), "example": _EXAMPLE}},
    }
}


async def body_of(request: Request) -> bytes:
    """The bytes that came, one more than a report may have at most."""
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > MAX_BYTES:
            break
    return bytes(body[: MAX_BYTES + 1])


@router.post("/reports", status_code=201, openapi_extra=dict(_BODY), dependencies=[needs(Right.REPORT)])
def report(
    visit: VisitOf,
    body: Annotated[bytes, Depends(body_of)],
    idempotency_key: Annotated[
        str | None, Header(min_length=1, max_length=200, description="the same key again is the same report")
    ] = None,
) -> Response:
    """Report something: it is stored as it came, then becomes a ticket, joins one, or is refused with what is missing."""
    context = visit.context
    came = reports.receive(
        context.tickets,
        body,
        actor=visit.actor,
        came_by=CHANNEL,
        now_ns=context.now(),
        idempotency=idempotency_key,
    )
    return answer(reports.take(context.tickets, came.id, visit.seen_plant, context.now()))


def answer(was: reports.Intake) -> Response:
    """What became of a report: 201 with its ticket, or a problem that names each field."""
    if was.refusal is not None:
        missing = [{"field": one.demand, "why": one.why} for one in was.missing]
        return problem(422, was.refusal, "stored, and refused", report=was.id, missing=missing)
    return JSONResponse(shown(was), 201, headers={"Location": f"/api/v1/tickets/{was.ticket}"})


@router.get("/reports/types", dependencies=[needs(Right.READ)])
def types(visit: VisitOf) -> Response:
    """What can be reported, with the fields that each type asks for, and the pick list of faults."""
    plant = visit.plant
    kinds = [one.model_dump(mode="json") for one in plant.ticket_types if not one.retired]
    faults = [one.model_dump(mode="json") for one in plant.fault_types if not one.retired]
    return JSONResponse({"ticket_types": kinds, "fault_types": faults})


@router.get("/reports", dependencies=[needs(Right.READ)])
def all_reports(
    context: ContextOf, sight: SightOf, page: PagingOf, ticket: int | None = None, lost: bool = False
) -> Response:
    """What people reported, newest first, each with its ticket or refusal; `lost` are those with neither."""
    with context.tickets.looking() as conn:
        most, after = page.probe, page.behind(int)
        if lost:  # what has no ticket is at no place
            found = reports.lost(conn, limit=most, after=after) if sight.assets is None else ()
        else:
            found = reports.newest(conn, ticket=ticket, machines=sight.assets, limit=most, after=after)
        counts = reports.counts(conn, sight.assets)
    return page.answer(found, shown, lambda one: (one.id,), counts=plain(counts))


@router.get("/reports/{report_id}", dependencies=[needs(Right.READ)])
def one_report(context: ContextOf, report_id: int) -> Response:
    """One report, as it came."""
    with context.tickets.looking() as conn:
        try:
            return JSONResponse(shown(reports.one(conn, report_id)))
        except KeyError:
            raise HTTPException(404, "there is no such report") from None


def shown(was: reports.Intake) -> dict[str, Json]:
    """A report as JSON; bytes that are no text are shown with marks in their place."""
    said: dict[str, Json] = plain(was)
    return {**said, "body": was.body.decode("utf-8", "replace"), "lost": was.lost}


class Edit(steps.Deed):
    """Fields of an open ticket; what is left out stays, and in `fields` null takes a value away."""

    reason: steps.Text = Field(default="", description="Needed where type or priority change.")
    type: str = ""
    fault_type: steps.Name | None = None
    urgent: bool = False
    priority: Priority = "medium"
    grade: str | None = Field(default=None, max_length=16)
    region: steps.Name = ""
    fields: dict[str, Json] = Field(default_factory=dict)

    def _to(self, on: steps.Target) -> Ticket:
        wanted = cast("editing.Edit", self.model_dump(exclude_unset=True, exclude={"version", "reason"}))
        return editing.edit(on.tickets, on.ticket_id, wanted, reason=self.reason, plant=on.plant, **on.by)


@router.patch("/tickets/{ticket_id}/fields", dependencies=[needs(Right.WORK)])
def edit(on: On, edit: Edit) -> Response:
    """Change type, fault type, urgency, priority, grade, region or the type's own fields."""
    return on.do(edit)
