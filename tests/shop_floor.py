"""A shop floor for the console's tests: the simulated plant's machines and people, real stores, realistic findings."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from fastapi import FastAPI
from sqlalchemy import Engine

from andon import manifest
from andon.database import writing
from andon.events import (
    HOUR_NS,
    MINUTE_NS,
    SECOND_NS,
    Action,
    Family,
    Finding,
    Gap,
    Json,
    Number,
    Origin,
    PackMLState,
    Quality,
    Readings,
)
from andon.plant import Asset, Plant
from andon.ports import DeadLetter
from api.app import Context, create_app
from api.flow import Rates
from api.live import Watch
from detectors.bearing import fault_orders
from detectors.zone_tables import limits_of
from ingest import deadletters, gaps
from ingest.series import SeriesStore
from simulators.furnishing import furnished
from simulators.machines import plant_document
from tests.stores import opened
from ticketing import clockwork
from ticketing.deeds import Doer
from ticketing.knowledge import pool
from ticketing.knowledge.article import Body
from ticketing.parts import sheets
from ticketing.service import Tickets

NOW_NS = 1_773_300_000_000_000_000  # 2026-03-12T07:20:00Z, 15:20 in the plant
TOKEN = "a-token-of-this-data-directory"
BASE = "http://127.0.0.1:8080"
OURS = {"Sec-Fetch-Site": "same-origin"}
"""What a browser says of a form on one of our own pages."""

SOURCE = "plant_mqtt"
STORE = (
    b"supplier,name,grade\nSKF,SKF,A\n",
    b"code,name,name_zh,min_stock,price\n7014-ACD,Spindle bearing 7014,\xe4\xb8\xbb\xe8\xbd\xb4\xe8\xbd\xb4\xe6\x89\xbf,2,1280\n",
    b"part,lot,quantity,supplier\n7014-ACD,24-118,1,SKF\n",
)
"""What lies in the store on a busy day: one bearing, and there should be two."""


_applications: dict[str | None, FastAPI] = {}


def console(context: Context) -> FastAPI:
    """The console of that shop floor: one application for all, since finding its routes together takes it 0.1 s."""
    if context.token not in _applications:
        _applications[context.token] = create_app(context)
    application = _applications[context.token]
    application.state.context = context
    application.state.watch = Watch(context.database)
    application.state.rates = Rates()
    return application


class Clock:
    """The time of day as a test tells it."""

    def __init__(self, now_ns: int = NOW_NS) -> None:
        self.now_ns = now_ns

    def __call__(self) -> int:
        return self.now_ns


class ShopFloor:
    """One data directory with everything that the console reads."""

    def __init__(self, folder: Path, database: Engine | None = None) -> None:
        self.clock = Clock()
        self.plant: Plant = plant_document()
        self.database = database or opened(folder / "andon.sqlite")
        self.tickets = Tickets(self.database, photos=folder / "photos")
        self.series = SeriesStore(folder / "series.sqlite")
        self.degraded: list[str] = []
        self.status: Mapping[str, Json] = {
            "parts": {
                "engine": {"running": True, "restarts": 0, "status": {"caught_up": True}},
                SOURCE: _part("mqtt://127.0.0.1:41883"),
                "plant_opcua": _part("opc.tcp://127.0.0.1:44840"),
                "web": {"running": True, "restarts": 1},
            }
        }
        self.context = Context(
            database=self.database,
            series=self.series,
            tickets=self.tickets,
            plant=lambda: self.plant,
            now=self.clock,
            status=lambda: self.status,
            token=TOKEN,
            readiness=lambda: list(self.degraded),
            photos=folder / "photos",
        )

    def hears(self, *findings: Finding) -> None:
        """Fold the findings into tickets, as the engine does."""
        with writing(self.database) as conn:
            counts = self.tickets.apply(conn, findings, self.plant, self.clock())
            manifest.count(conn, {"ticketing": counts})
            manifest.count(conn, {"detectors": {str(f.action): 1 for f in findings}})

    def turns(self, after_ns: int = 0) -> None:
        """That much later, the engine does what is due by then."""
        self.clock.now_ns += after_ns
        while clockwork.turn(self.tickets, self.plant, self.clock(), turn_s=60):
            pass

    def asset(self, asset_id: str) -> Asset:
        """A machine of the plant."""
        found = self.plant.asset(asset_id)
        assert found is not None
        return found

    def measures(self, asset_id: str, hours: float = 26, worn: float = 0.0) -> None:
        """Write velocities, temperatures and states of a machine, up to now; `worn` is the rise of velocity in mm/s."""
        asset, now_ns = self.asset(asset_id), self.clock()
        at_ns = np.arange(now_ns - int(hours * HOUR_NS), now_ns, MINUTE_NS, np.int64)
        chance = np.random.default_rng(len(asset_id))
        channels: list[tuple[str, str, np.ndarray[Json, Json]]] = []
        for point in asset.points:
            for name, sign in point.quantities.items():
                level, noise = (1.2, 0.05) if sign == "mm/s" else (41.0, 0.4)
                channels.append((f"{point.id}/{name}", sign, level + chance.normal(0, noise, len(at_ns))))
            if point.kind == "waveform":
                rise = np.linspace(0, 1, len(at_ns)) ** 6 * worn
                channels.append(
                    (f"{point.id}/velocity_rms", "mm/s", 1.1 + rise + chance.normal(0, 0.06, len(at_ns)))
                )
        channels.append(("state", "1", np.full(len(at_ns), float(PackMLState.EXECUTE))))
        n, count = len(channels), len(at_ns)
        readings = Readings(
            asset_id,
            tuple(name for name, _, _ in channels),
            tuple(sign for _, sign, _ in channels),
            np.tile(at_ns, n),
            np.repeat(np.arange(n, dtype=np.int32), count),
            np.concatenate([value for _, _, value in channels]),
            np.full(n * count, Quality.GOOD, np.uint32),
            Origin(SOURCE, 1, now_ns),
        )
        self.series.write(1, [readings])

    def counts(self, source: str = SOURCE, **counts: int) -> None:
        """Count messages of a source."""
        with writing(self.database) as conn:
            named = {name.replace("__", "."): value for name, value in counts.items()}
            manifest.count(conn, {f"source.{source}": named})

    def refuses(self, head: bytes, reason: str = "malformed_json", position: int = 7) -> None:
        """Keep a dead letter."""
        letter = DeadLetter(
            source=SOURCE,
            position=position,
            received_ns=self.clock() - 90 * SECOND_NS,
            topic=b"andon/v1/lakeside/wuxi/machining/L1/cell-1/L1-CLP-01/_telemetry/DE",
            reason=reason,
            detail="line 1 column 2: expected a value",
            head=head,
            length=len(head),
            sha256="0" * 64,
        )
        with writing(self.database) as conn:
            deadletters.save(conn, [letter])

    def misses(self, asset: str | None, to_ns: int | None = None) -> None:
        """Keep a gap that began ten minutes ago."""
        from_ns = self.clock() - 10 * MINUTE_NS
        gap = Gap(
            "plant_opcua", asset, None, from_ns, to_ns, "source_silent", False, Origin(SOURCE, 3, from_ns)
        )
        with writing(self.database) as conn:
            gaps.save(conn, [gap])

    def finding(self, asset_id: str, condition: str, *, ago_s: float = 60, **changes: Json) -> Finding:
        """A finding as its detector would say it."""
        at_ns = self.clock() - int(ago_s * SECOND_NS)
        family, component, severity, numbers, evidence, text = self._said(asset_id, condition, at_ns)
        finding = Finding(
            id=f"{asset_id}-{condition}-{at_ns}",
            asset=asset_id,
            component=component,
            family=family,
            condition=condition,
            action=Action.RAISE,
            at_ns=at_ns,
            onset_ns=at_ns,
            severity=severity,
            confidence=0.93 if condition.startswith("bearing_") else 1.0,
            numbers=numbers,
            evidence=evidence,
            detector={"zone_d": "velocity_zones", "stop": "stop_alarm"}.get(condition, "bearing_element"),
            version="1",
            parameters_hash="0123456789abcdef",
            origin=Origin(SOURCE, at_ns // SECOND_NS, at_ns),
            text=text,
        )
        return replace(finding, **changes)

    def _said(
        self, asset_id: str, condition: str, at_ns: int
    ) -> tuple[Family, str, int, tuple[Number, ...], dict[str, Json], dict[str, str]]:
        if condition == "stop":
            text = {"message": "Hydraulic pressure low", "category": "hydraulics", "state": "ABORTED"}
            return Family.STOP, "E217", 700, (Number("severity", 700, "1"),), {}, text
        if condition == "silent_sensor":
            numbers = (Number("silent_s", 412, "s"), Number("period_s", 10, "s"))
            return Family.DATA_QUALITY, "PT", 300, numbers, {}, {"point": "PT", "component": "hydraulics"}
        asset = self.asset(asset_id)
        point = next(point for point in asset.points if point.bearing is not None)
        speed_hz = point.speed_hz or 24.6
        limits = limits_of(asset.power_kw, asset.foundation, speed_hz) or (1.4, 2.8, 4.5)
        shape = {"trend": trend(at_ns, limits)}
        if condition.startswith("zone_"):
            numbers = (Number("velocity_rms", 4.93, "mm/s", limits[2], "ISO 10816-3:2009"),)
            return Family.MACHINE_CONDITION, point.component, 800, numbers, shape, {"point": point.id}
        assert point.bearing is not None
        orders = fault_orders(point.bearing)
        shape["envelope"] = envelope(orders.outer * speed_hz, orders.inner * speed_hz, speed_hz)
        shape["spectrum"] = spectrum(speed_hz)
        numbers = (
            Number("frequency_hz", round(orders.outer * speed_hz, 1), "Hz"),
            Number("ratio", 3.12, "× background", 2.0),
            Number("harmonics", 4, "1"),
            Number("order", round(orders.outer, 2), "× shaft"),
        )
        text = {"point": point.id, "bearing": point.bearing.designation}
        return Family.MACHINE_CONDITION, point.component, 600, numbers, shape, text


def _part(address: str) -> dict[str, Json]:
    return {"running": True, "restarts": 0, "ready": address, "status": {"connected": True, "received": 1}}


def trend(at_ns: int, limits: Sequence[float]) -> dict[str, Json]:
    """Three days of velocity that end in zone D."""
    n = 240
    chance = np.random.default_rng(5)
    value = 1.2 + 3.7 * np.linspace(0, 1, n) ** 5 + chance.normal(0, 0.07, n)
    times = np.linspace(at_ns - 72 * HOUR_NS, at_ns, n).astype(np.int64)
    return {
        "channel": "DE/velocity_rms",
        "unit": "mm/s",
        "at_ns": times.tolist(),
        "value": [float(f"{v:.5g}") for v in value],
        "baseline": 1.2,
        "limit": limits[2],
        "zones": [{"name": name, "to": to} for name, to in zip("ABC", limits, strict=True)],
    }


def envelope(outer_hz: float, inner_hz: float, speed_hz: float) -> dict[str, Json]:
    """An envelope spectrum with the outer race's line and its harmonics."""
    step_hz, n = 1.25, 800
    chance = np.random.default_rng(9)
    value = np.abs(chance.normal(0, 0.006, n)) + 0.008
    for order, height in ((1, 0.31), (2, 0.19), (3, 0.12), (4, 0.07)):
        value[round(order * outer_hz / step_hz)] = height
    value[round(speed_hz / step_hz)] = 0.05
    markers = [("1x", speed_hz), ("BPFO", outer_hz), ("BPFI", inner_hz)]
    markers += [(f"{k}×BPFO", k * outer_hz) for k in (2, 3, 4)] + [
        ("2×BSF", outer_hz * 1.32),
        ("FTF", speed_hz * 0.4),
    ]
    return {
        "unit": "g",
        "dx_hz": step_hz,
        "value": [float(f"{v:.5g}") for v in value],
        "markers": [{"name": name, "hz": float(f"{hz:.5g}")} for name, hz in markers],
    }


def spectrum(speed_hz: float) -> dict[str, Json]:
    """A velocity spectrum with the shaft's orders."""
    chance = np.random.default_rng(11)
    value = np.abs(chance.normal(0, 0.004, 800)) + 0.004
    for order, height in ((1, 0.21), (2, 0.08), (3, 0.03)):
        value[round(order * speed_hz / 1.25)] = height
    markers = [{"name": f"{k}x", "hz": round(k * speed_hz, 2)} for k in (1, 2, 3)]
    return {"unit": "g", "dx_hz": 1.25, "value": [float(f"{v:.5g}") for v in value], "markers": markers}


def a_busy_day(folder: Path) -> ShopFloor:
    """A shop floor with tickets in several states, a repeat, dead letters, gaps and series."""
    floor = ShopFloor(folder)
    now_ns = floor.clock.now_ns
    planned = {
        name: getattr(furnished(floor.plant, now_ns), name) for name in ("operations", "meters", "plans")
    }
    floor.plant = floor.plant.model_copy(update=planned)
    floor.clock.now_ns = now_ns - 40 * HOUR_NS
    stopped = floor.finding("L1-HYD-01", "stop")
    floor.hears(stopped)
    floor.clock.now_ns = now_ns - 39 * HOUR_NS
    floor.hears(replace(floor.finding("L1-HYD-01", "stop"), action=Action.CLEAR))
    floor.clock.now_ns = now_ns - 3 * HOUR_NS
    floor.hears(floor.finding("L1-HYD-01", "stop"))
    floor.clock.now_ns = now_ns
    floor.hears(
        floor.finding("L1-SPN-01", "zone_d", ago_s=42 * 60),
        floor.finding("L1-SPN-01", "bearing_outer_race", ago_s=30 * 60),
        floor.finding("L2-CMP-01", "bearing_outer_race", ago_s=9 * 60),
        floor.finding("L2-DCM-01", "stop", ago_s=5 * 60),
        floor.finding("L1-PRS-01", "silent_sensor", ago_s=120),
        floor.finding("L2-FAN-01", "zone_d", ago_s=4000),
    )
    for repeat in range(12):
        floor.hears(floor.finding("L1-SPN-01", "zone_d", ago_s=1800 - 90 * repeat, action=Action.UPDATE))
    worn = {"L1-SPN-01": 3.6, "L2-FAN-01": 3.9, "L2-CMP-01": 1.2}
    for asset in floor.plant.assets:
        floor.measures(asset.id, hours=26 if asset.id in worn else 3, worn=worn.get(asset.id, 0.0))
    floor.counts(received=23_417, stored=23_310, duplicates=96, refused__malformed_json=8, overflow=3)
    floor.counts("plant_opcua", received=8_120, stored=8_120)
    floor.refuses(b'{"specversion": "1.0", "id": <script>alert(1)</script>\x00\xff')
    floor.refuses('{"温度": 41.2,'.encode(), position=9)
    floor.misses(None, to_ns=now_ns - 8 * MINUTE_NS)
    floor.misses("L1-PRS-01")
    with floor.context.tickets.transaction(now_ns) as book:
        for sheet in STORE:
            sheets.take_in(book, sheet, by="wu.gang")
    said = {
        "title": "主轴异响",
        "solution": "更换前轴承 7014C 并重新预紧",
        "keywords": ("轴承", "7014C"),
        "cause": "3.4",
    }
    pool.write(Doer(floor.context.tickets, "wu.gang", now_ns), floor.plant, Body(**said), asset="L1-SPN-01")
    return floor
