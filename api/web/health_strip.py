"""Thirty days of a machine at a glance: for each point and day of the plant the zone of its worst hour."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from andon.events import HOUR_NS, SECOND_NS
from andon.plant import Asset, Point
from api.visit import Visit
from api.web.formats import quantity
from api.web.zones import zone_at
from ingest.series_tail import Kind

DAYS = 30


@dataclass(frozen=True, slots=True)
class Day:
    """One day of a point: the zone's letter, empty where nothing was measured, and its numbers in words."""

    zone: str
    title: str


@dataclass(frozen=True, slots=True)
class Strip:
    """A measuring point with its days, the oldest first; `said` tells the same without colours."""

    point: str
    days: Sequence[Day]
    said: str


def health_of(asset: Asset, channels: Sequence[str], visit: Visit) -> list[Strip]:
    """A strip for each point whose velocity is measured and judged."""
    points = [point for point in asset.points if f"{point.id}/velocity_rms" in channels]
    strips = [_strip(asset, point, visit) for point in points]
    return [strip for strip in strips if any(day.zone for day in strip.days)]


def _strip(asset: Asset, point: Point, visit: Visit) -> Strip:
    today = datetime.fromtimestamp(visit.time.now_ns / SECOND_NS, visit.time.zone).date()
    from_ns = visit.time.now_ns - (DAYS + 1) * 24 * HOUR_NS
    hours = visit.context.series.summary(
        asset.id, f"{point.id}/velocity_rms", from_ns, visit.time.now_ns, Kind.HOUR
    )
    worst: dict[object, float] = {}
    for at_ns, mean in zip(hours.from_ns.tolist(), hours.mean.tolist(), strict=True):
        day = datetime.fromtimestamp(at_ns / SECOND_NS, visit.time.zone).date()
        worst[day] = float(np.fmax(worst.get(day, np.nan), mean))
    days = []
    for before in range(DAYS - 1, -1, -1):
        day = today - timedelta(days=before)
        zone = zone_at(visit.plant, asset, point, worst[day]) or "" if day in worst else ""
        value = quantity(worst[day], "mm/s") if day in worst else visit.words("asset.not_measured")
        days.append(Day(zone, f"{day.isoformat()}: {zone} {value}".replace("  ", " ")))
    counts = Counter(day.zone for day in days if day.zone)
    said = visit.words("list.and").join(f"{zone} {counts[zone]}" for zone in sorted(counts))
    return Strip(point.id, days, visit.words("asset.zone_days", point=point.id, days=said))
