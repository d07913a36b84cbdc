"""Detectors, their versions, back-tests and labels over REST."""

from typing import Annotated

from fastapi import APIRouter, Body, HTTPException, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from andon import plants
from andon.access.roles import Right
from andon.config import ConfigError
from andon.database import Machines, reading, writing
from andon.detector_sets import (
    ChangeSet,
    changed,
    differences,
    next_version,
    read_change,
    version_of,
    with_detectors,
)
from andon.events import nanoseconds, rfc3339
from andon.plant import Plant
from api.answers import plain
from api.assets import asset_of
from api.backtests import Backtests, Occupied
from api.context import Context
from api.moments import Told
from api.paging import PagingOf
from api.places import SightOf
from api.refused import Refused
from api.rights import needs
from api.visit import ContextOf, Visit, VisitOf
from api.web.parameters import kind_name, said
from detectors import build, settings_of
from ticketing import labels, store
from ticketing.labels import Label, LabelRefused, What

router = APIRouter(tags=["detectors"])
ALL = 1_000_000
Toml = Annotated[str, Body(media_type="application/toml", min_length=1, max_length=20_000)]


class _Given(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Promotion(_Given):
    """A change that comes into force: as TOML text, with the reason."""

    change: str = Field(max_length=20_000)
    note: str = Field(min_length=1, max_length=1000)


class Rollback(_Given):
    """Back to the detectors of an earlier version, as a new one."""

    to: int = Field(ge=1)
    note: str = Field(min_length=1, max_length=1000)


class Mark(_Given):
    """What a stretch of time was, times in RFC 3339."""

    asset: str
    component: str | None = None
    from_at: Told = Field(alias="from")
    to_at: Told = Field(alias="to")
    what: What
    note: str = Field(default="", max_length=1000)


@router.get("/detectors", dependencies=[needs(Right.READ)])
def detectors(visit: VisitOf, page: PagingOf) -> Response:
    """The version in force, and every detector of every machine with its parameters, told in the asker's language."""
    plant, words = visit.plant, visit.words
    every = [(asset.id, one) for asset in visit.machines for one in plant.detectors_of(asset)]
    return page.cut(
        every,
        lambda found: {
            "asset": found[0],
            "kind": found[1].kind,
            "name": kind_name(found[1].kind, words),
            "parameters": plain(
                [said(found[1].kind, one, words) for one in settings_of(found[1].kind, found[1].parameters)]
            ),
        },
        set=plant.detector_set.model_dump(mode="json"),
    )


@router.get("/detectors/versions", dependencies=[needs(Right.READ)])
def versions(context: ContextOf, page: PagingOf) -> Response:
    """Every version of the detector set, newest first, with since when it is in force."""
    return page.cut(versions_of(context), plain)


@router.post("/detectors/promote", status_code=202, dependencies=[needs(Right.TUNE, whole=True)])
def promote(visit: VisitOf, given: Promotion) -> Response:
    """Bring a change into force: its place in the stream is the engine's next turn."""
    with _refusals():
        wanted = promoted(visit, read_change(given.change), given.note)
    return JSONResponse(wanted.detector_set.model_dump(mode="json"), 202)


@router.post("/detectors/rollback", status_code=202, dependencies=[needs(Right.TUNE, whole=True)])
def rollback(visit: VisitOf, given: Rollback) -> Response:
    """Go back to an earlier version's detectors."""
    with _refusals():
        wanted = rolled_back(visit, given.to, given.note)
    return JSONResponse(wanted.detector_set.model_dump(mode="json"), 202)


@router.post("/detectors/backtests", status_code=202, dependencies=[needs(Right.TUNE, whole=True)])
def start(
    context: ContextOf,
    change: Toml,
    from_at: Annotated[Told | None, Query(alias="from")] = None,
    to_at: Annotated[Told | None, Query(alias="to")] = None,
) -> Response:
    """Start a back-test of a change (TOML text); 409 while another one runs."""
    with _refusals():
        span = [None if at is None else nanoseconds(at) for at in (from_at, to_at)]
        name = begun(context, read_change(change), span[0], span[1])
    return JSONResponse({"id": name}, 202)


@router.get("/detectors/backtests/{name}", dependencies=[needs(Right.TUNE, whole=True)])
def backtest(context: ContextOf, name: str) -> Response:
    """How far a back-test is, or what came of it."""
    job = runner(context).get(name)
    if job is None:
        raise HTTPException(404, "there is no such back-test")
    said = {"id": job.id, "state": job.state, "percent": job.percent, "error": job.error}
    return JSONResponse({**said, "result": job.facts})


@router.get("/labels", dependencies=[needs(Right.READ)])
def all_labels(
    context: ContextOf, sight: SightOf, page: PagingOf, asset: Annotated[str, Query(max_length=200)] = ""
) -> Response:
    """What is known to have happened: by closures of tickets, and marked by people."""
    return page.cut(labels_of(context, asset, sight.assets), plain)


@router.post("/labels", status_code=201, dependencies=[needs(Right.TUNE)])
def mark(visit: VisitOf, given: Mark) -> Response:
    """Mark what a stretch of time was."""
    with _refusals():
        name = marked(visit, given)
    return JSONResponse({"id": name}, 201)


@router.delete("/labels/{label_id}", status_code=204, dependencies=[needs(Right.TUNE)])
def unmark(context: ContextOf, label_id: int) -> Response:
    """Take a mark back."""
    with writing(context.database) as conn:
        if not labels.remove(conn, label_id):
            raise HTTPException(404, "there is no such label")
    return Response(status_code=204)


class _refusals:  # noqa: N801 - read as a word
    """What cannot be done as an answer in words."""

    def __enter__(self) -> None:
        return None

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        if isinstance(error, plants.Outdated | Occupied):
            raise Refused(409, "under_way", str(error)) from error
        if isinstance(error, LabelRefused):
            raise Refused(422, "label_refused", str(error)) from error
        if isinstance(error, ConfigError | ValueError):
            raise Refused(422, "change_refused", str(error)) from error


def runner(context: Context) -> Backtests:
    """Where back-tests run; 404 where the console has no data directory of its own."""
    if context.backtests is None:
        raise HTTPException(404, "back-tests need a data directory")
    return context.backtests


def begun(context: Context, change: ChangeSet, from_ns: int | None, to_ns: int | None) -> str:
    """Start a back-test; ConfigError if the change cannot be made, Occupied while another one runs."""
    after = _checked(context.plant(), change.at(change.sweep[1][0]) if change.sweep else change)
    if not differences(context.plant(), after):
        raise ConfigError("nothing would change: every detector stays as it is")
    if from_ns is not None and to_ns is not None and from_ns >= to_ns:
        raise ConfigError("the span ends before it begins")
    return runner(context).start(change, context.now(), from_ns=from_ns, to_ns=to_ns)


def promoted(visit: Visit, change: ChangeSet, note: str) -> Plant:
    """Ask for that change; ConfigError if it cannot be made, Outdated if another one is on its way."""
    if change.sweep is not None:
        raise ConfigError("a sweep is for a back-test: decide on one value")
    now = visit.context.plant()
    return _asked(visit, _checked(now, change), note, None)


def rolled_back(visit: Visit, to: int, note: str) -> Plant:
    """Ask for the detectors of an earlier version."""
    with reading(visit.context.database) as conn:
        then = version_of([one.plant for one in plants.every(conn)], to)
    if then is None:
        raise ConfigError(f"there is no detector set {to}")
    return _asked(visit, with_detectors(visit.context.plant(), then), note, to)


def marked(visit: Visit, given: Mark) -> int:
    """Keep a label; LabelRefused or ValueError if it makes no sense."""
    visit.sight.must_see(given.asset)
    asset = asset_of(visit.plant, given.asset)
    label = Label(
        asset=given.asset,
        component=given.component or None,
        from_ns=nanoseconds(given.from_at),
        to_ns=nanoseconds(given.to_at),
        what=given.what,
        by=visit.actor,
        note=given.note,
        at_ns=visit.context.now(),
    )
    with writing(visit.context.database) as conn:
        labels.check_component(conn, asset, label.component)
        return labels.save(conn, label)


def labels_of(context: Context, asset: str, machines: Machines = None) -> list[Label]:
    """Everything that is known of a machine, or of all that are seen, newest first."""
    with reading(context.database) as conn:
        wanted = store.Filter(asset=asset, machines=machines)
        tickets = store.tickets(conn, wanted, sort=store.Sort.NEWEST, limit=ALL).tickets
        found = [*labels.of_tickets(tickets), *labels.marked(conn, asset, machines)]
    return sorted(found, key=lambda label: label.from_ns, reverse=True)


def versions_of(context: Context) -> list[dict[str, object]]:
    """Each version with since when it is in force; an earlier word of the same version counts."""
    with reading(context.database) as conn:
        known = plants.every(conn)
    rows = {
        one.plant.detector_set.version: {
            **one.plant.detector_set.model_dump(mode="json"),
            "since": rfc3339(one.at_ns),
            "since_ns": one.at_ns,
        }
        for one in known
    }
    return [rows[version] for version in sorted(rows, reverse=True)]


def _checked(plant: Plant, change: ChangeSet) -> Plant:
    after = changed(plant, change)
    touched = {one.asset for one in differences(plant, after)}
    for asset in after.assets:
        if asset.id in touched:
            build(asset, after)
    return after


def _asked(visit: Visit, after: Plant, note: str, equals: int | None) -> Plant:
    now = visit.context.plant()
    if not note.strip():
        raise ConfigError("say why: whoever reads the versions later has nothing else")
    if not differences(now, after):
        raise ConfigError("nothing would change: every detector stays as it is")
    at_ns = visit.context.now()
    wanted = next_version(now, after, note=note, by=visit.actor, at=rfc3339(at_ns), equals=equals)
    with writing(visit.context.database) as conn:
        plants.ask(conn, wanted, at_ns)
    return wanted
