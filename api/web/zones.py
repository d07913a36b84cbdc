"""Which vibration zone a point is in now, by the limits that its detector judges with."""

import math

from andon.plant import Asset, Plant, Point
from detectors.velocity_zones import limits_of, zone_of

KIND = "velocity_zones"


def zone_at(plant: Plant, asset: Asset, point: Point, velocity_mm_s: float) -> str | None:
    """The zone's letter; None where the machine is not assessed or the value is none."""
    limits = _limits(plant, asset, point)
    if limits is None or not math.isfinite(velocity_mm_s):
        return None
    return zone_of(velocity_mm_s, limits)


def limits_of_point(plant: Plant, asset: Asset, channel: str) -> tuple[float, ...] | None:
    """The limits A/B, B/C and C/D in mm/s of a velocity channel; None for any other."""
    point_id, _, measured = channel.partition("/")
    point = asset.point(point_id)
    return _limits(plant, asset, point) if point and measured == "velocity_rms" else None


def _limits(plant: Plant, asset: Asset, point: Point) -> tuple[float, ...] | None:
    for setting in plant.detectors_of(asset):
        if setting.kind == KIND and setting.parameters.get("limits_mm_s"):
            return tuple(float(limit) for limit in setting.parameters["limits_mm_s"])
    return limits_of(asset.power_kw, asset.foundation, point.speed_hz)
