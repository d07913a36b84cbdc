"""The machines by line, and one machine: what it is, how it does, what was measured, what was done to it."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import quote

import numpy as np
from fastapi import APIRouter, Query, Request
from pydantic import ValidationError
from starlette.responses import RedirectResponse, Response

from andon import declarations
from andon.access.roles import Right
from andon.database import reading
from andon.declarations import DeclarationRefused, Entry
from andon.events import HOUR_NS, PackMLState, Priority, Quality
from andon.plant import Asset
from api.assets import CLOCK_MARGIN_NS, Word, asset_of
from api.detectors import labels_of
from api.freshness import points_of
from api.pages import render, say
from api.rights import needs
from api.visit import Visit, VisitOf
from api.web.asset_costs import costs_of
from api.web.bearings import bearings_of
from api.web.charts import BAND, Chart, quantity_name, trend
from api.web.formats import quantity
from api.web.forms import Form
from api.web.health_strip import health_of
from api.web.history import cause_label
from api.web.rows import row_of
from api.web.wording import asset_name, component_name, person_name
from api.web.zones import limits_of_point, zone_at
from ingest.freshness import Freshness, Place, State
from ticketing import store
from ticketing.parts import use
from ticketing.suppressing import InForce
from ticketing.ticket import Ticket, TicketState
from ticketing.urgency import ORDER

router = APIRouter()
WINDOWS_H = (1, 8, 24, 168)
SPARK = 60  # points of a sparkline
DECLARED = 8  # declarations on a machine's page
REPLACED = 50  # replaced parts on it
STATE = "state"
OPEN = tuple(state for state in TicketState if state is not TicketState.CLOSED)

Channels = Mapping[str, tuple[str, int, float]]
"""Channel -> unit, time and value of the last reading."""


@dataclass(frozen=True, slots=True)
class PointSign:
    """One measuring point in the strip: its zone, and what stands behind it."""

    id: str
    zone: str
    title: str


@dataclass(frozen=True, slots=True)
class AssetRow:
    """A machine in the list."""

    id: str
    name: str
    state: str
    running: bool
    points: list[PointSign]
    worst: Priority | None
    open: int
    heard_ns: int | None
    stale: bool
    maintenance: Entry | None


@dataclass(frozen=True, slots=True)
class Line:
    """A line with its machines."""

    name: str
    assets: list[AssetRow]


@router.get("/assets", dependencies=[needs(Right.READ)])
def assets(request: Request, visit: VisitOf) -> Response:
    """All machines by line."""
    with reading(visit.context.database) as conn:
        tickets = store.tickets(
            conn, store.Filter(states=OPEN, machines=visit.sight.assets), limit=1000
        ).tickets
        maintained = declarations.maintained(conn)
    points = points_of(visit.context)
    rows: dict[str, list[AssetRow]] = {}
    for asset in visit.machines:
        mine = [ticket for ticket in tickets if ticket.asset == asset.id]
        rows.setdefault(asset.line, []).append(
            _row(asset, _channels(asset, visit), mine, points, visit, maintenance=maintained.get(asset.id))
        )
    lines = [Line(name, rows[name]) for name in sorted(rows)]
    return render(request, visit, "assets.html", "assets", lines=lines)


def _channels(asset: Asset, visit: Visit) -> Channels:
    return {
        name: (unit, at_ns, value) for name, unit, at_ns, value in visit.context.series.channels(asset.id)
    }


def _row(
    asset: Asset,
    channels: Channels,
    tickets: Sequence[Ticket],
    points: Mapping[Place, Freshness],
    visit: Visit,
    *,
    maintenance: Entry | None,
) -> AssetRow:
    mine = [points[asset.id, point.id] for point in asset.points]
    state, running = _state(channels, visit)
    return AssetRow(
        id=asset.id,
        name=asset_name(asset, asset.id, visit.words),
        state=state,
        running=running,
        points=_strip(asset, channels, visit),
        worst=max((ticket.priority for ticket in tickets), key=ORDER.index, default=None),
        open=len(tickets),
        heard_ns=max((one.heard_ns for one in mine if one.heard_ns is not None), default=None),
        stale=any(one.state is State.STALE for one in mine),
        maintenance=maintenance,
    )


def _state(channels: Channels, visit: Visit) -> tuple[str, bool]:
    """The machine's state in words, and whether it runs; empty where it never said."""
    _, _, value = channels.get(STATE, ("", 0, math.nan))
    try:
        state = PackMLState(int(value))
    except ValueError:
        return "", False
    return visit.words(f"packml.{state.name}"), state is PackMLState.EXECUTE


def _strip(asset: Asset, channels: Channels, visit: Visit) -> list[PointSign]:
    signs = []
    for point in asset.points:
        sign, _, value = channels.get(f"{point.id}/velocity_rms", ("mm/s", 0, math.nan))
        if f"{point.id}/velocity_rms" not in channels:
            continue
        zone = zone_at(visit.plant, asset, point, value) or ""
        title = visit.words("assets.point", point=point.id, value=quantity(value, sign))
        signs.append(PointSign(point.id, zone, title))
    return signs


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel with its last value and its last hour."""

    channel: str
    name: str
    value: str
    at_ns: int
    stale: bool
    spark: str


@router.get("/assets/{asset_id}", dependencies=[needs(Right.READ)])
def asset(
    request: Request,
    visit: VisitOf,
    asset_id: str,
    channel: Annotated[str, Query(max_length=200)] = "",
    hours: Annotated[int, Query(ge=1, le=8784)] = 24,
) -> Response:
    """One machine."""
    found = asset_of(visit.plant, asset_id)
    channels = _channels(found, visit)
    shown = channel if channel in channels else _first(channels)
    with reading(visit.context.database) as conn:
        tickets = store.tickets(conn, store.Filter(asset=asset_id), sort=store.Sort.NEWEST, limit=6).tickets
        maintenance = declarations.maintained(conn, asset_id).get(asset_id)
        held = InForce(conn, visit.plant, visit.context.now()).on(found)
        costs = costs_of(conn, asset_id, visit)
        declared = declarations.recent(conn, DECLARED, asset_id)
        replaced = use.of_asset(conn, asset_id, limit=REPLACED)
    state, running = _state(channels, visit)
    points = points_of(visit.context)
    return render(
        request,
        visit,
        "asset.html",
        "assets",
        asset=found,
        name=asset_name(found, asset_id, visit.words),
        state=state,
        running=running,
        power=quantity(found.power_kw, "kW"),
        chart=_chart(found, shown, channels, hours, visit) if shown else None,
        channel=shown,
        channels=[_channel_row(found, name, channels, points, visit) for name in sorted(channels, key=_rank)],
        points=[(point, points[found.id, point.id]) for point in found.points],
        hours=hours,
        windows=[{"hours": one, "name": visit.time.span(one * 3600)} for one in WINDOWS_H],
        tickets=[row_of(ticket, visit) for ticket in tickets],
        solved={one.id: (one.summary, cause_label(one.cause, visit)) for one in tickets if one.cause},
        health=health_of(found, list(channels), visit),
        bearings=bearings_of(found),
        held=held,
        costs=costs,
        replaced=replaced,
        maintenance=maintenance,
        names={person.id: person.name for person in visit.plant.people},
        labels=labels_of(visit.context, asset_id)[:DECLARED],
        declared=[(entry, person_name(entry.by, visit.plant)) for entry in declared],
        components={point.component: component_name(point.component, visit.words) for point in found.points},
    )


@router.post("/assets/{asset_id}/declarations", dependencies=[needs(Right.LEAD)])
def declare(visit: VisitOf, asset_id: str, form: Form) -> Response:
    """Declare something about a machine; the page says how it went."""
    given = {name: value for name, value in form.items() if isinstance(value, str) and value != ""}
    answer = RedirectResponse(f"/assets/{quote(asset_id, safe='')}", 303)
    name = asset_name(asset_of(visit.plant, asset_id), asset_id, visit.words)
    try:
        entry = Word.model_validate(given).ask(visit, asset_id)
    except (ValidationError, DeclarationRefused) as error:
        code = error.code if isinstance(error, DeclarationRefused) else "invalid_request"
        say(answer, "flash.refused", number=name, why=visit.words(f"error.{code}"))
    else:
        say(answer, "flash.declared", name=name, what=visit.words(f"declaration.{entry.what}"))
    return answer


def _rank(channel: str) -> tuple[bool, bool, str, int]:
    """Velocities first, single frequency bands last and in order."""
    point, _, measured = channel.rpartition("/")
    band = BAND.fullmatch(measured)
    return bool(band), measured != "velocity_rms", point if band else channel, int(band[1]) if band else 0


def _first(channels: Channels) -> str:
    return min(channels, key=_rank, default="")


def _channel_row(
    asset: Asset, name: str, channels: Channels, points: Mapping[Place, Freshness], visit: Visit
) -> ChannelRow:
    point = points.get((asset.id, name.partition("/")[0]))
    sign, at_ns, value = channels[name]
    text = quantity(value, sign)
    if name == STATE:
        text = _state(channels, visit)[0] or text
    return ChannelRow(
        channel=name,
        name=quantity_name(name, visit.words),
        value=text,
        at_ns=at_ns,
        stale=point is not None and point.state is State.STALE,
        spark=_spark(asset.id, name, visit) if "band_" not in name else "",
    )


def _spark(asset_id: str, channel: str, visit: Visit) -> str:
    """The last hour as points of a 120 x 28 drawing; empty if there are fewer than three."""
    to_ns = visit.time.now_ns + CLOCK_MARGIN_NS
    at_ns, value, quality = visit.context.series.read(asset_id, channel, to_ns - HOUR_NS, to_ns, SPARK)
    good = (quality < Quality.BAD) & np.isfinite(value)
    at_ns, value = at_ns[good], value[good]
    if len(at_ns) < 3:
        return ""
    low, high = float(value.min()), float(value.max())
    x = (at_ns - (to_ns - HOUR_NS)) / HOUR_NS * 120
    y = 25 - (value - low) / (high - low) * 22 if high > low else np.full(len(value), 14.0)
    return " ".join(f"{a:.1f},{b:.1f}" for a, b in zip(x, y, strict=True))


def _chart(asset: Asset, channel: str, channels: Channels, hours: int, visit: Visit) -> Chart | None:
    to_ns = visit.time.now_ns + CLOCK_MARGIN_NS
    at_ns, value, quality = visit.context.series.read(asset.id, channel, to_ns - hours * HOUR_NS, to_ns, 600)
    if not len(at_ns):
        return None
    good = (quality < Quality.BAD) & np.isfinite(value)
    limits = limits_of_point(visit.plant, asset, channel)
    shape = {
        "channel": channel,
        "unit": channels[channel][0],
        "at_ns": [int(at) for at in at_ns],
        "value": [float(f"{v:.5g}") if ok else None for v, ok in zip(value, good, strict=True)],
        "zones": [{"name": name, "to": to} for name, to in zip("ABC", limits or (), strict=False)],
    }
    return trend(shape, visit.words, visit.time)
