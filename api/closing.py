"""What belongs to a ticket's work and closing beside its steps: requisitions, approvals, codes, ratings, obligations."""

from typing import Annotated

from fastapi import APIRouter, Query, UploadFile
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from api.answers import plain
from api.paging import PagingOf
from api.places import SightOf, must_see_ticket
from api.rights import needs
from api.steps import Name, Text
from api.visit import ContextOf, Visit, VisitOf
from ticketing import deeds
from ticketing.approvals import ApprovalState
from ticketing.approvals import in_state as approvals_in
from ticketing.causes import causes_of
from ticketing.closing import scene_tags_of, top_scene_tags
from ticketing.obligations import Owed, open_obligations
from ticketing.photos import MAX_BYTES
from ticketing.requisitions import RequisitionState
from ticketing.requisitions import in_state as requisitions_in
from ticketing.states import Step
from ticketing.stepping import SIGNATURE
from ticketing.ticket import Outcome

router = APIRouter(tags=["work and closing"])
CHANNEL = "api"


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Wanted(_Body):
    """A part: its code or name, how many, and why."""

    part: Name
    quantity: float = Field(default=1.0, gt=0, le=1e6)
    reason: Text = ""


class Issued(_Body):
    """What the store handed out: of that lot or else of the oldest, that part or the one asked for, so many or all."""

    lot: Name = ""
    note: Text = ""
    part: Name = ""
    quantity: float | None = Field(default=None, gt=0, le=1e6)


class Returned(_Body):
    """What came back: how many, of which lot where there were several."""

    quantity: float = Field(gt=0, le=1e6)
    lot: Name = ""
    note: Text = ""


class Reasoned(_Body):
    """Why."""

    reason: Text = ""


class Asked(Reasoned):
    """A way to close the ticket that needs another person's approval."""

    step: Step
    outcome: Outcome | None = None
    master: int | None = None


class Stars(_Body):
    """What the requester thought of it, 1 to 5; `nps`: how likely they are to recommend us, 0 to 10."""

    stars: int
    comment: Text = ""
    nps: int | None = None


class Done(_Body):
    """Where the knowledge entry lies, or what the review came to."""

    note: Text = ""


def doer(visit: Visit) -> deeds.Doer:
    """Who acts, when, and from where."""
    return deeds.Doer(visit.context.tickets, visit.actor, visit.context.now(), CHANNEL)


@router.post("/tickets/{ticket_id}/requisitions", status_code=201, dependencies=[needs(Right.WORK)])
def request_part(visit: VisitOf, ticket_id: int, wanted: Wanted) -> Response:
    """Ask the store for a part, for this ticket: no ticket of its own. While it is open, the ticket cannot be resolved."""
    return JSONResponse(plain(deeds.request_part(doer(visit), ticket_id, **wanted.model_dump())), 201)


@router.get("/requisitions", dependencies=[needs(Right.READ)])
def requisitions(
    context: ContextOf, sight: SightOf, page: PagingOf, state: RequisitionState = RequisitionState.OPEN
) -> Response:
    """The store's list: requisitions in a state, the oldest first."""
    with context.tickets.looking() as conn:
        found = requisitions_in(conn, state, machines=sight.assets, limit=page.probe, after=page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


@router.post("/requisitions/{requisition_id}/issue", dependencies=[needs(Right.STOCK)])
def issue_part(visit: VisitOf, requisition_id: int, issued: Issued) -> Response:
    """The store hands the part out."""
    return JSONResponse(plain(deeds.issue_part(doer(visit), requisition_id, **issued.model_dump())))


@router.post("/requisitions/{requisition_id}/return", dependencies=[needs(Right.STOCK)])
def return_part(visit: VisitOf, requisition_id: int, returned: Returned) -> Response:
    """What was handed out and not needed comes back into the store, and off the ticket's account."""
    return JSONResponse(plain(deeds.return_part(doer(visit), requisition_id, **returned.model_dump())))


@router.post("/requisitions/{requisition_id}/withdraw", dependencies=[needs(Right.WORK)])
def withdraw_part(visit: VisitOf, requisition_id: int, why: Reasoned) -> Response:
    """The part is not wanted any more, and why."""
    return JSONResponse(plain(deeds.withdraw_part(doer(visit), requisition_id, reason=why.reason)))


@router.post("/tickets/{ticket_id}/sign-code", status_code=202, dependencies=[needs(Right.REPORT)])
def send_code(visit: VisitOf, ticket_id: int) -> Response:
    """Send a 6-digit code to the requester's phone: ten minutes, five tries, one signature; it voids the one before."""
    return JSONResponse(plain(deeds.send_code(doer(visit), ticket_id)), 202)


@router.post("/tickets/{ticket_id}/signature", status_code=201, dependencies=[needs(Right.REPORT)])
def add_signature(visit: VisitOf, ticket_id: int, picture: UploadFile) -> Response:
    """Keep a drawn signature (PNG, JPEG or WebP); then sign with `"signed_by": "signature"` and the signer's name."""
    kept = visit.context.tickets.add_photo(
        ticket_id,
        body=picture.file.read(MAX_BYTES + 1),
        stage=SIGNATURE,
        actor=visit.actor,
        now_ns=visit.context.now(),
        channel=CHANNEL,
    )
    return JSONResponse(plain(kept), 201)


@router.post("/tickets/{ticket_id}/approvals", status_code=201, dependencies=[needs(Right.WORK)])
def ask_approval(visit: VisitOf, ticket_id: int, asked: Asked) -> Response:
    """Ask another person to close it without a repair or a signature."""
    if asked.master is not None:
        must_see_ticket(visit.context, visit.sight, asked.master)
    return JSONResponse(plain(deeds.ask_approval(doer(visit), ticket_id, **asked.model_dump())), 201)


@router.get("/approvals", dependencies=[needs(Right.READ)])
def approvals(
    context: ContextOf, sight: SightOf, page: PagingOf, state: ApprovalState = ApprovalState.PENDING
) -> Response:
    """Approvals in a state, the oldest first."""
    with context.tickets.looking() as conn:
        found = approvals_in(conn, state, machines=sight.assets, limit=page.probe, after=page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


@router.post("/approvals/{approval_id}/grant", dependencies=[needs(Right.PLAN)])
def grant(visit: VisitOf, approval_id: int) -> Response:
    """Agree: the ticket is closed as was asked. Not by who asked."""
    return JSONResponse(plain(deeds.grant(doer(visit), approval_id, visit.plant)))


@router.post("/approvals/{approval_id}/refuse", dependencies=[needs(Right.PLAN)])
def refuse(visit: VisitOf, approval_id: int, why: Reasoned) -> Response:
    """Do not agree, and say why: the work goes on."""
    return JSONResponse(plain(deeds.refuse(doer(visit), approval_id, visit.plant, note=why.reason)))


@router.post("/tickets/{ticket_id}/rating", status_code=201, dependencies=[needs(Right.REPORT)])
def rate(visit: VisitOf, ticket_id: int, given: Stars) -> Response:
    """One to five stars after closing; few of them call for a review meeting."""
    rated = deeds.rate(doer(visit), ticket_id, visit.plant, **given.model_dump())
    return JSONResponse(plain(rated), 201)


@router.post("/tickets/{ticket_id}/obligations/{kind}", dependencies=[needs(Right.WORK)])
def fulfil(visit: VisitOf, ticket_id: int, kind: Owed, done: Done) -> Response:
    """The knowledge entry is written, or the review has been held."""
    return JSONResponse(plain(deeds.fulfil(doer(visit), ticket_id, kind, note=done.note)))


@router.get("/obligations", dependencies=[needs(Right.READ)])
def obligations(
    context: ContextOf, sight: SightOf, page: PagingOf, owner: Annotated[str, Query(max_length=64)] = ""
) -> Response:
    """What is still owed, by one person or by all, the next due first."""
    after = page.behind(int, int, str, int)
    with context.tickets.looking() as conn:
        found = open_obligations(conn, owner, machines=sight.assets, limit=page.probe, after=after)
    return page.answer(found, plain, lambda one: (one.due_ns, one.ticket, str(one.kind), one.cycle))


@router.get("/closing", dependencies=[needs(Right.READ)])
def choices(visit: VisitOf) -> Response:
    """What can be chosen at the end of a ticket: the site's root causes and scene tags, retired ones marked."""
    return JSONResponse(
        {
            "causes": [
                {"code": one.code, "zh": one.zh, "en": one.en, "retired": one.retired}
                for one in causes_of(visit.plant).values()
            ],
            "scene_tags": [
                {"code": code, **label.model_dump()} for code, label in scene_tags_of(visit.plant).items()
            ],
        }
    )


@router.get("/scene-tags/top", dependencies=[needs(Right.READ)])
def top(visit: VisitOf, days: Annotated[float, Query(gt=0, le=3660)] = 30.0) -> Response:
    """The scene tags of tickets closed in the last days, the most frequent ten first."""
    now_ns = visit.context.now()
    with visit.context.tickets.looking() as conn:
        found = top_scene_tags(
            conn, visit.plant, from_ns=now_ns - round(days * 86_400e9), machines=visit.sight.assets
        )
    items = [{"code": one.code, **one.label.model_dump(), "tickets": one.tickets} for one in found]
    return JSONResponse({"items": items})
