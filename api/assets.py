"""Machines and their series over REST."""

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from andon.database import reading
from andon.events import HOUR_NS, SECOND_NS, Quality, nanoseconds, rfc3339
from andon.plant import Asset, Plant
from api.answers import plain
from api.visit import ContextOf
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


@router.get("/assets")
def assets(context: ContextOf) -> Response:
    """All machines of the plant."""
    plant = context.plant()
    found = [
        asset.model_dump(mode="json", exclude={"detectors"}) | {"line": asset.line} for asset in plant.assets
    ]
    return JSONResponse({"plant": plant.name, "time_zone": plant.time_zone, "items": found})


@router.get("/assets/{asset_id}")
def asset(context: ContextOf, asset_id: str) -> Response:
    """One machine: its document, its channels with their last values, its tickets and root-cause tasks."""
    found = asset_of(context.plant(), asset_id)
    with reading(context.database) as conn:
        history = store.asset_history(conn, asset_id)
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
    return JSONResponse({**body, "history": plain(history)})


class Stretch(BaseModel):
    """Which part of which channel; times are RFC 3339 with their offset."""

    channel: str = Field(max_length=200)
    since: str | None = Field(default=None, alias="from", max_length=40)
    until: str | None = Field(default=None, alias="to", max_length=40)
    points: int = Field(default=2000, ge=4, le=MOST_POINTS)


@router.get("/assets/{asset_id}/series")
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
    to_ns = context.now() + CLOCK_MARGIN_NS if wanted.until is None else _ns(wanted.until)
    from_ns = to_ns - 24 * HOUR_NS if wanted.since is None else _ns(wanted.since)
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


def _ns(text: str) -> int:
    try:
        return nanoseconds(text)
    except (ValueError, OverflowError) as error:
        raise HTTPException(422, f"not an RFC 3339 time with its offset: {text[:40]!r}") from error
