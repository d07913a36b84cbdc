"""Preventive maintenance over REST: plans and what is due, their runs, the calendar, meters and their readings."""

from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict
from starlette.responses import JSONResponse, Response

from andon import plants
from andon.access.roles import Right
from andon.database import reading, writing
from andon.events import HOUR_NS, Json, nanoseconds, rfc3339
from andon.planning import Planned, with_planned
from andon.rules.operations import OperationTemplate
from andon.rules.plans import Meter, Plan
from api.answers import plain
from api.closing import doer
from api.moments import Told
from api.paging import PagingOf
from api.places import SightOf
from api.refused import Refused
from api.rights import needs
from api.steps import Name, Text
from api.visit import ContextOf, Visit, VisitOf
from ticketing.errors import DeedRefused
from ticketing.plans import overview, readings
from ticketing.plans.counting import Kind
from ticketing.plans.dates import site_of
from ticketing.plans.review import machines_of, plan_of
from ticketing.plans.schedule import coming

router = APIRouter(tags=["preventive maintenance"])
MOST_DAYS = 400
SHOWN = 12


class Read(BaseModel):
    """What a meter shows, when it was read (now, if that is left out), and whether it was reset or is a correction."""

    model_config = ConfigDict(extra="forbid")
    value: float
    at: Told | None = None
    kind: Kind = Kind.READING
    replaces: int | None = None
    note: Text = ""


@router.get("/plans", dependencies=[needs(Right.READ)])
def listed(visit: VisitOf, page: PagingOf) -> Response:
    """Every plan on each of its machines: what is due next, when its ticket is opened, and which one is open."""
    with reading(visit.context.database) as conn:
        found = overview.watched(conn, machines=visit.sight.assets)
    return page.cut(found, plain, plans=_definitions(visit, visit.plant.plans))


@router.get("/plans/calendar", dependencies=[needs(Right.READ)])
def calendar(
    visit: VisitOf,
    page: PagingOf,
    from_: Annotated[Told | None, Query(alias="from")] = None,
    days: Annotated[int, Query(ge=1, le=MOST_DAYS)] = 31,
) -> Response:
    """The runs that there are and the dates to come, from a moment (now, if that is left out) for so many days."""
    now_ns = visit.context.now()
    from_ns = now_ns if from_ is None else nanoseconds(from_)
    to_ns = from_ns + days * 24 * HOUR_NS
    with reading(visit.context.database) as conn:
        found = overview.month(
            conn, visit.plant, from_ns=from_ns, to_ns=to_ns, now_ns=now_ns, machines=visit.sight.assets
        )
    return page.cut(found, plain)


@router.get("/plans/{plan}", dependencies=[needs(Right.READ)])
def one(visit: VisitOf, plan: Name) -> Response:
    """A plan with its machines, and of its last 365 days how many runs were in time; null if there were none."""
    found, now_ns = _plan(visit, plan), visit.context.now()
    with reading(visit.context.database) as conn:
        machines = overview.watched(conn, plan=plan, machines=visit.sight.assets)
        year_ns = now_ns - 365 * overview.DAY_NS
        runs = overview.ran(
            conn, now_ns, plan=plan, due_from_ns=year_ns, machines=visit.sight.assets, limit=10_000
        )
    share = overview.share_in_time(runs)
    (said,) = _definitions(visit, [found])
    return JSONResponse({**said, "watched": plain(machines), "runs": len(runs), "share_in_time": share})


@router.get("/plans/{plan}/runs", dependencies=[needs(Right.READ)])
def runs(context: ContextOf, sight: SightOf, page: PagingOf, plan: Name, asset: Name = "") -> Response:
    """The tickets that a plan opened, the latest due first, each with whether it was done in time."""
    with reading(context.database) as conn:
        found = overview.ran(
            conn,
            context.now(),
            plan=plan,
            asset=asset,
            machines=sight.assets,
            limit=page.probe,
            after=page.behind(int, int),
        )
    return page.answer(found, plain, lambda one: (one.due_ns, one.ticket))


@router.put("/plans/{plan}", dependencies=[needs(Right.PLAN, whole=True)])
def save(visit: VisitOf, plan: Name, wanted: Plan, dry_run: bool = False) -> Response:
    """Put a plan in, or change it; `retired` ends it. With `dry_run` nothing is changed. The next dates show what it means."""
    _must_be(plan, wanted.code)
    version = asked(visit, wanted, dry_run=dry_run)
    site, now_ns = site_of(wanted, visit.plant), visit.context.now()
    dates = coming(wanted, site, now_ns, now_ns + 3 * 366 * overview.DAY_NS)[:SHOWN]
    return JSONResponse(
        {
            "version": version,
            "machines": list(machines_of(wanted.machines, visit.plant)),
            "dates": [rfc3339(one.due_ns) for one in dates],
        }
    )


@router.get("/operation-templates", dependencies=[needs(Right.READ)])
def templates(visit: VisitOf) -> Response:
    """The templates of operations."""
    return JSONResponse({"items": [one.model_dump(mode="json") for one in visit.plant.operations]})


@router.put("/operation-templates/{template}", dependencies=[needs(Right.PLAN, whole=True)])
def save_template(
    visit: VisitOf, template: Name, wanted: OperationTemplate, dry_run: bool = False
) -> Response:
    """Put a template of operations in, or change it for tickets that take it from then on."""
    _must_be(template, wanted.code)
    return JSONResponse({"version": asked(visit, wanted, dry_run=dry_run)})


@router.get("/meters", dependencies=[needs(Right.READ)])
def meters(visit: VisitOf, page: PagingOf, asset: Name = "") -> Response:
    """Every meter on its machines: the last reading, the total over resets and rollovers, how much it counts in a day."""
    with reading(visit.context.database) as conn:
        found = overview.metered(conn, visit.plant, asset=asset, machines=visit.sight.assets)
    return page.cut(found, plain, meters=_definitions(visit, visit.plant.meters))


@router.put("/meters/{meter}", dependencies=[needs(Right.PLAN, whole=True)])
def save_meter(visit: VisitOf, meter: Name, wanted: Meter, dry_run: bool = False) -> Response:
    """Put a meter in, or change it."""
    _must_be(meter, wanted.code)
    return JSONResponse({"version": asked(visit, wanted, dry_run=dry_run)})


@router.post("/assets/{asset_id}/meters/{meter}/readings", status_code=201, dependencies=[needs(Right.WORK)])
def read(visit: VisitOf, asset_id: str, meter: Name, said: Read) -> Response:
    """A person has read a meter; a value below the one before is refused unless it is said to be a reset."""
    by = doer(visit)
    kept = readings.tell(
        by,
        visit.plant,
        asset=asset_id,
        meter=meter,
        value=said.value,
        at_ns=by.now_ns if said.at is None else nanoseconds(said.at),
        kind=said.kind,
        replaces=said.replaces,
        note=said.note,
    )
    return JSONResponse(plain(kept), 201)


def asked(visit: Visit, wanted: Planned, *, dry_run: bool = False) -> int | None:
    """Ask the engine for the plant document with that in it; its version, None for a dry run."""
    try:
        after = with_planned(visit.context.plant(), wanted)
        if dry_run:
            return None
        with writing(visit.context.database) as conn:
            plants.ask(conn, after, visit.context.now())
    except plants.Outdated as error:
        raise Refused(409, "under_way", str(error)) from error
    except ValueError as error:
        raise Refused(422, "change_refused", str(error)) from error
    return after.version


def _definitions(visit: Visit, known: Sequence[Plan | Meter]) -> list[Json]:
    """Those that mean a machine that is seen; to whom not all is, they do not say which others they mean."""
    seen = visit.sight.assets
    if seen is None:
        return [one.model_dump(mode="json") for one in known]
    mine = [one for one in known if not seen.isdisjoint(machines_of(one.machines, visit.plant))]
    return [one.model_dump(mode="json", exclude={"machines"}) for one in mine]


def _plan(visit: Visit, code: str) -> Plan:
    """That plan, if it means a machine that is seen."""
    found, seen = plan_of(visit.plant, code), visit.sight.assets
    if found is None or (seen is not None and seen.isdisjoint(machines_of(found.machines, visit.plant))):
        raise DeedRefused("plan_not_found", f"there is no plan {code}")
    return found


def _must_be(named: str, code: str) -> None:
    if named != code:
        raise Refused(422, "change_refused", f"the address names {named!r}, the body {code!r}")
