"""What grows out of a root cause, over REST: shares by model and fault, lots and suppliers, sisters, batches, audits."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon.access.roles import Right
from andon.database import reading
from andon.events import SECOND_NS, Json
from api.answers import plain
from api.moments import Moment
from api.paging import PagingOf
from api.places import SightOf
from api.problem_deeds import Empty
from api.rights import needs
from api.steps import Evidence, Name, Text
from api.visit import ContextOf, Visit, VisitOf
from ticketing import store
from ticketing.deeds import Doer
from ticketing.parts.suppliers import Grade
from ticketing.problem_store import look
from ticketing.quality import audits, batches, deeds, path, sisters
from ticketing.quality.audits import AuditState, Result
from ticketing.quality.batches import BatchState, Deed, Lot
from ticketing.quality.deeds import Seen
from ticketing.quality.eight_d import disciplines
from ticketing.quality.mandatory import RESOLVING
from ticketing.quality.path import Matrix, Span
from ticketing.quality.sisters import Sister, SisterState
from ticketing.quality.whys import fishbone, tree

router = APIRouter(tags=["root-cause tasks"])
CHANNEL = "api"
USUAL_DAYS = 90.0
_DAY_S = 86_400
Days = Annotated[float, Query(gt=0, le=3660, description="So long a time is looked at.")]
To = Annotated[Moment | None, Query(description="Until when; left out: now.")]
Code = Annotated[str, Field(max_length=64, pattern=r"^[^\x00]*$")]
Machines = Annotated[
    list[Code], BeforeValidator(lambda v: [v] if isinstance(v, str) else v), Field(max_length=500)
]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Suspicion(_Body):
    """A fault, of one model or of all, and why it is looked into; over the last `days` until `to`."""

    fault: Code
    model: Annotated[str, Field(max_length=128)] | None = None
    reason: Text = ""
    days: float = Field(default=USUAL_DAYS, gt=0, le=3660)
    to: Moment | None = None


class Elsewhere(_Body):
    """What is done on which other machines; without any: it is not needed, and why."""

    text: Text = ""
    assets: Machines = []


class DoneThere(_Body):
    """It is done on a sister machine: what shows it."""

    evidence: Evidence = []
    note: Text = ""


class Reasoned(_Body):
    """Why."""

    reason: Text = ""


class WantedLot(_Body):
    """A lot of a part, as the store knows it."""

    part: Code
    lot: Code


class Freeze(Reasoned):
    """The batch of the product, by its own code, and the lots of parts that it was made with."""

    code: Code = ""
    lots: Annotated[list[WantedLot], Field(max_length=200)] = []


class Decided(Reasoned):
    """What is done to a batch, on the `version` of it that was looked at."""

    version: int


class ToAudit(Reasoned):
    """The supplier, who audits it, why, and until when."""

    supplier: Code = ""
    auditor: Name = ""
    due_at: Annotated[Moment | None, Empty] = None


class Audited(_Body):
    """What an audit came to."""

    result: Result
    findings: Text = ""
    grade: Annotated[Grade | None, Empty] = None
    evidence: Evidence = []


class Asked(_Body):
    """A field that tickets of a type are asked for from now on; a new one needs both labels."""

    type: Code
    name: Code
    zh: Annotated[str, Field(max_length=100)] = ""
    en: Annotated[str, Field(max_length=100)] = ""
    choices: Annotated[list[Annotated[str, Field(max_length=100)]], Field(max_length=100)] = []
    moments: Annotated[list[Code], Field(max_length=2)] = [RESOLVING]


def doer(visit: Visit, channel: str = CHANNEL) -> Doer:
    """Who acts, when, and from where."""
    return Doer(visit.context.tickets, visit.actor, visit.context.now(), channel)


def span_of(now_ns: int, days: float, to: Moment | None = None) -> Span:
    """The last days until then."""
    to_ns = now_ns if to is None else int(to.timestamp()) * SECOND_NS
    return Span(to_ns - round(days * _DAY_S) * SECOND_NS, to_ns)


def _of_matrix(found: Matrix) -> Json:
    cells = [{"model": one.model, "fault": one.fault, **plain(one.contrast)} for one in found.cells.values()]
    of = [{"model": model, "tickets": found.of[model]} for model in found.models]
    return {"models": of, "faults": list(found.faults), "unsaid": found.unsaid, "cells": cells}


@router.get("/failures", dependencies=[needs(Right.READ)])
def failures(visit: VisitOf, *, days: Days = USUAL_DAYS, to: To = None) -> Response:
    """Tickets by model and fault: each share with its interval, beside that of the other models, and if it stands out."""
    with reading(visit.context.database) as conn:
        span = span_of(visit.context.now(), days, to)
        found = path.matrix(conn, visit.plant, span, machines=visit.sight.assets)
    return JSONResponse(_of_matrix(found))


@router.get("/failures/origins", dependencies=[needs(Right.READ)])
def origins(
    visit: VisitOf,
    fault: Annotated[str, Query(max_length=64)],
    model: Annotated[str | None, Query(max_length=128)] = None,
    *,
    days: Days = USUAL_DAYS,
    to: To = None,
) -> Response:
    """The lots and suppliers of what was in the machines when they failed so, each beside its others."""
    with reading(visit.context.database) as conn:
        found = path.origins(
            conn,
            visit.plant,
            span_of(visit.context.now(), days, to),
            fault=fault,
            model=model,
            machines=visit.sight.assets,
        )
    return JSONResponse(plain(found))


@router.get("/failures/tickets", dependencies=[needs(Right.READ)])
def behind(
    visit: VisitOf,
    page: PagingOf,
    fault: Annotated[str, Query(max_length=64)],
    model: Annotated[str | None, Query(max_length=128)] = None,
    *,
    days: Days = USUAL_DAYS,
    to: To = None,
) -> Response:
    """The tickets that a share counts, by their ids, newest first."""
    with reading(visit.context.database) as conn:
        found = path.tickets_of(
            conn,
            visit.plant,
            span_of(visit.context.now(), days, to),
            fault=fault,
            model=model,
            machines=visit.sight.assets,
        )
    return page.cut(found, lambda one: {"ticket": one})


@router.post("/investigations", status_code=201, dependencies=[needs(Right.ANALYSE, whole=True)])
def investigate(visit: VisitOf, said: Suspicion) -> Response:
    """Open a root-cause task on the tickets of a fault, of one model or of all; one that is open is joined."""
    seen = Seen(said.fault, span_of(visit.context.now(), said.days, said.to), said.model)
    task = deeds.investigate(doer(visit), visit.plant, seen, reason=said.reason)
    return JSONResponse(plain(task), 201)


@router.get("/problems/{problem_id}/analysis", dependencies=[needs(Right.READ)])
def analysis(context: ContextOf, problem_id: int) -> Response:
    """A task's tree of whys, its fishbone by the six M, and what each of D0 to D8 still lacks."""
    with reading(context.database) as conn:
        found = look(conn, problem_id)
    bones = fishbone(found)
    return JSONResponse(
        {
            "whys": plain(tree(found)),
            "fishbone": {str(bone or "none"): plain(some) for bone, some in bones.items()},
            "disciplines": [{"code": one.code, "missing": list(one.missing)} for one in disciplines(found)],
        }
    )


@router.get("/problems/{problem_id}/measures", dependencies=[needs(Right.READ)])
def measures(context: ContextOf, sight: SightOf, problem_id: int) -> Response:
    """What a task led to: work on other machines, frozen batches, audits of suppliers."""
    with reading(context.database) as conn:
        tasks = [
            one
            for made in sisters.of_problem(conn, problem_id)
            for one in made.tasks
            if sight.sees(one.asset)
        ]
        found = batches.of_problem(conn, problem_id), audits.of_problem(conn, problem_id)
    return JSONResponse({"sisters": plain(tasks), "batches": plain(found[0]), "audits": plain(found[1])})


@router.get("/tickets/{ticket_id}/sisters", dependencies=[needs(Right.READ)])
def sisters_of(visit: VisitOf, ticket_id: int) -> Response:
    """The machines like a ticket's, and what was decided to be done on them."""
    with visit.context.tickets.looking() as conn:
        ticket = store.ticket(conn, ticket_id, limit=1).ticket
        decided = sisters.of_ticket(conn, ticket_id)
    machines = [one.id for one in sisters.sisters_of(visit.plant, ticket.asset) if visit.sight.sees(one.id)]
    tasks = [one for made in decided for one in made.tasks if visit.sight.sees(one.asset)]
    waits = sisters.waits(ticket, decided)
    return JSONResponse({"machines": machines, "waits": waits, "tasks": plain(tasks)})


@router.post("/tickets/{ticket_id}/sisters", status_code=201, dependencies=[needs(Right.PLAN)])
def deploy_ticket(visit: VisitOf, ticket_id: int, said: Elsewhere) -> Response:
    """Its handler said that the same is to be mended elsewhere: a task for each of these machines, or none, and why."""
    _must_see(visit, said.assets)
    made = deeds.deploy_ticket(doer(visit), visit.plant, ticket_id, text=said.text, assets=said.assets)
    return JSONResponse(plain(made), 201)


@router.post("/problems/{problem_id}/sisters", status_code=201, dependencies=[needs(Right.ANALYSE)])
def deploy_problem(visit: VisitOf, problem_id: int, said: Elsewhere) -> Response:
    """What ends the cause is done on other machines too: a task for each."""
    _must_see(visit, said.assets)
    made = deeds.deploy_problem(doer(visit), visit.plant, problem_id, text=said.text, assets=said.assets)
    return JSONResponse(plain(made), 201)


@router.get("/sisters", dependencies=[needs(Right.READ)])
def sister_tasks(
    context: ContextOf,
    sight: SightOf,
    page: PagingOf,
    state: SisterState = SisterState.OPEN,
    owner: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Tasks on sister machines in a state, the next due first."""
    after = page.behind(int, int)
    with reading(context.database) as conn:
        found = sisters.tasks(conn, state, owner=owner, machines=sight.assets, limit=page.probe, after=after)
    return page.answer(found, plain, lambda one: (one.due_ns, one.id))


@router.post("/sisters/{sister_id}/finish", dependencies=[needs(Right.WORK)])
def finish_sister(visit: VisitOf, sister_id: int, done: DoneThere) -> Response:
    """It is done on that machine."""
    return _sister(deeds.finish_sister(doer(visit), sister_id, evidence=done.evidence, note=done.note))


@router.post("/sisters/{sister_id}/drop", dependencies=[needs(Right.PLAN)])
def drop_sister(visit: VisitOf, sister_id: int, why: Reasoned) -> Response:
    """It is not needed there after all, and why."""
    return _sister(deeds.drop_sister(doer(visit), sister_id, reason=why.reason))


@router.get("/batches", dependencies=[needs(Right.READ, whole=True)])
def listed_batches(context: ContextOf, page: PagingOf, state: BatchState | None = None) -> Response:
    """Batches that are frozen or were, or are to be, newest first."""
    with reading(context.database) as conn:
        found = batches.batches(conn, state, limit=page.probe, after=page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


@router.get("/batches/{batch_id}", dependencies=[needs(Right.READ, whole=True)])
def one_batch(context: ContextOf, batch_id: int) -> Response:
    """One batch with all that was done to it."""
    with reading(context.database) as conn:
        found, done = batches.numbered(conn, batch_id), batches.events(conn, batch_id)
    return JSONResponse({**plain(found), "events": plain(done)})


@router.post(
    "/problems/{problem_id}/batches", status_code=201, dependencies=[needs(Right.ANALYSE, whole=True)]
)
def ask_freeze(visit: VisitOf, problem_id: int, said: Freeze) -> Response:
    """Ask for a batch and its lots to be kept back; another person, of the roles `quality.freezers`, decides."""
    lots = [Lot(one.part, one.lot) for one in said.lots]
    asked = deeds.ask_freeze(
        doer(visit), visit.plant, problem_id, code=said.code, lots=lots, reason=said.reason
    )
    return JSONResponse(plain(asked), 201)


@router.post("/batches/{batch_id}/{deed}", dependencies=[needs(Right.ANALYSE, whole=True)])
def decide(visit: VisitOf, batch_id: int, deed: Deed, said: Decided) -> Response:
    """Freeze it, ask for its release, release it, or refuse either, and why."""
    done = deeds.decide(doer(visit), visit.plant, batch_id, deed, version=said.version, reason=said.reason)
    return JSONResponse(plain(done))


@router.get("/audits", dependencies=[needs(Right.READ, whole=True)])
def listed_audits(
    context: ContextOf,
    page: PagingOf,
    state: AuditState | None = None,
    supplier: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """Audits of suppliers, newest first."""
    with reading(context.database) as conn:
        found = audits.audits(conn, state, supplier=supplier, limit=page.probe, after=page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


@router.post(
    "/problems/{problem_id}/audits", status_code=201, dependencies=[needs(Right.ANALYSE, whole=True)]
)
def begin_audit(visit: VisitOf, problem_id: int, said: ToAudit) -> Response:
    """Have a supplier audited because of a root-cause task."""
    due_ns = None if said.due_at is None else int(said.due_at.timestamp()) * SECOND_NS
    begun = deeds.begin_audit(
        doer(visit),
        visit.plant,
        problem_id,
        supplier=said.supplier,
        auditor=said.auditor,
        reason=said.reason,
        due_ns=due_ns,
    )
    return JSONResponse(plain(begun), 201)


@router.post("/audits/{audit_id}/finish", dependencies=[needs(Right.ANALYSE, whole=True)])
def finish_audit(visit: VisitOf, audit_id: int, said: Audited) -> Response:
    """What an audit came to; the supplier's status and grade follow."""
    done = deeds.finish_audit(
        doer(visit),
        audit_id,
        result=said.result,
        findings=said.findings,
        grade=said.grade,
        evidence=said.evidence,
    )
    return JSONResponse(plain(done))


@router.post(
    "/problems/{problem_id}/mandatory-fields",
    status_code=202,
    dependencies=[needs(Right.PLAN, whole=True)],
)
def make_mandatory(visit: VisitOf, problem_id: int, said: Asked) -> Response:
    """Have a field of a type of tickets asked for from now on; it is in force once the engine has taken it."""
    after = deeds.make_mandatory(
        doer(visit),
        visit.plant,
        problem_id,
        type_code=said.type,
        name=said.name,
        zh=said.zh,
        en=said.en,
        choices=said.choices,
        moments=said.moments,
    )
    kind = after.ticket_type(said.type)
    field = kind.field(said.name) if kind else None
    return JSONResponse(
        {"version": after.version, "field": field.model_dump(mode="json") if field else None}, 202
    )


def _must_see(visit: Visit, assets: list[str]) -> None:
    for asset in assets:
        visit.sight.must_see(asset)


def _sister(one: Sister) -> Response:
    return JSONResponse(plain(one))
