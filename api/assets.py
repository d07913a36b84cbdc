"""Machines and their series over REST."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon import declarations
from andon.access.roles import Right
from andon.database import reading, writing
from andon.events import HOUR_NS, SECOND_NS, Declared, Quality, nanoseconds, rfc3339
from andon.plant import Asset, Plant
from api.answers import plain
from api.moments import Told
from api.paging import PagingOf
from api.places import SightOf
from api.rights import needs
from api.visit import ContextOf, Visit, VisitOf
from ticketing import store

router = APIRouter(tags=["machines"])
MOST_POINTS = 5000
CLOCK_MARGIN_NS = 60 * SECOND_NS
"""A sender's clock may be ahead of ours by a little."""


def asset_of(plant: Plant, asset_id: str) -> Asset:
    """The machine of that id, or 404."""
    asset = plant.asset(asset_id)
    if asset is None:
        raise HTTPException(404, f"there is no machine {asset_id[:64]!r}")
    return asset


@router.get("/assets", dependencies=[needs(Right.READ)])
def assets(context: ContextOf, sight: SightOf, page: PagingOf) -> Response:
    """All machines of the plant."""
    plant = context.plant()
    return page.cut(
        sight.machines(plant),
        lambda asset: asset.model_dump(mode="json", exclude={"detectors"}) | {"line": asset.line},
        plant=plant.name,
        time_zone=plant.time_zone,
    )


@router.get("/assets/{asset_id}", dependencies=[needs(Right.READ)])
def asset(context: ContextOf, asset_id: str) -> Response:
    """One machine: its document, its channels with their last values, its tickets and root-cause tasks."""
    found = asset_of(context.plant(), asset_id)
    with reading(context.database) as conn:
        history = store.asset_history(conn, asset_id)
        began = declarations.maintained(conn, asset_id).get(asset_id)
    channels = [
        {
            "channel": channel,
            "unit": unit,
            "at": rfc3339(at_ns),
            "value": value if np.isfinite(value) else None,
        }
        for channel, unit, at_ns, value in context.series.channels(asset_id)
    ]
    body = found.model_dump(mode="json") | {"line": found.line, "channels": channels}
    return JSONResponse({**body, "history": plain(history), "maintenance": plain(began)})


@router.get("/assets/{asset_id}/declarations", dependencies=[needs(Right.READ)])
def declared(context: ContextOf, asset_id: str, page: PagingOf) -> Response:
    """What people declared about a machine, newest first; `at` and `position` are null until the engine has taken it."""
    asset_of(context.plant(), asset_id)
    with reading(context.database) as conn:
        found = declarations.recent(conn, page.probe, asset_id, page.behind(int))
    return page.answer(found, plain, lambda one: (one.id,))


class Word(BaseModel):
    """What a person declares about a machine. A repair or an operating change is of a component, or of all."""

    model_config = ConfigDict(extra="forbid")
    what: Declared
    component: str | None = Field(default=None, max_length=declarations.NAME_MAX)
    note: str = Field(default="", max_length=declarations.NOTE_MAX)

    def ask(self, visit: Visit, asset_id: str) -> declarations.Entry:
        """Have the engine take it; DeclarationRefused says why it cannot be."""
        declarations.check(visit.plant, asset_id, self.component, self.what)
        with writing(visit.context.database) as conn:
            return declarations.ask(
                conn,
                asset=asset_id,
                component=self.component,
                what=self.what,
                by=visit.actor,
                note=self.note,
                now_ns=visit.context.now(),
            )


@router.post("/assets/{asset_id}/declarations", status_code=202, dependencies=[needs(Right.LEAD)])
def declare(visit: VisitOf, asset_id: str, word: Word) -> Response:
    """Declare a repair, an operating change, or the beginning or end of maintenance; it holds from its place in the stream on."""
    return JSONResponse(plain(word.ask(visit, asset_id)), 202)


class Stretch(BaseModel):
    """Which part of which channel; times are RFC 3339 with their offset."""

    channel: str = Field(max_length=200)
    since: Told | None = Field(default=None, alias="from")
    until: Told | None = Field(default=None, alias="to")
    points: int = Field(default=2000, ge=4, le=MOST_POINTS)


@router.get("/assets/{asset_id}/series", dependencies=[needs(Right.READ)])
def series(
    context: ContextOf,
    asset_id: str,
    wanted: Annotated[Stretch, Query()],
) -> Response:
    """One channel over time, the last 24 hours unless said otherwise; thinned so that peaks stay.

    `value` is null where the quality is bad.
    """
    asset_of(context.plant(), asset_id)
    channel = wanted.channel
    to_ns = context.now() + CLOCK_MARGIN_NS if wanted.until is None else nanoseconds(wanted.until)
    from_ns = to_ns - 24 * HOUR_NS if wanted.since is None else nanoseconds(wanted.since)
    at_ns, value, quality = context.series.read(asset_id, channel, from_ns, to_ns, wanted.points)
    good = (quality < Quality.BAD) & np.isfinite(value)
    return JSONResponse(
        {
            "asset": asset_id,
            "channel": channel,
            "unit": {name: unit for name, unit, _, _ in context.series.channels(asset_id)}.get(channel, ""),
            "at": [rfc3339(int(at)) for at in at_ns],
            "value": [float(v) if ok else None for v, ok in zip(value, good, strict=True)],
        }
    )
