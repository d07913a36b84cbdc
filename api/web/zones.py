"""Which vibration zone a point is in now, by the limits that its detector judges with."""

import math

from andon.plant import Asset, Plant, Point
from detectors.velocity_zones import Detector
from detectors.zone_tables import limits_at, zone_of

KIND = "velocity_zones"


def zone_at(plant: Plant, asset: Asset, point: Point, velocity_mm_s: float) -> str | None:
    """The zone's letter; None where the machine is not assessed or the value is none."""
    limits, boundary = _limits(plant, asset, point), _parameters(plant, asset).table.boundary
    if limits is None or not math.isfinite(velocity_mm_s):
        return None
    return zone_of(velocity_mm_s, limits, boundary)


def limits_of_point(plant: Plant, asset: Asset, channel: str) -> tuple[float, ...] | None:
    """The limits A/B, B/C and C/D in mm/s of a velocity channel; None for any other."""
    point_id, _, measured = channel.partition("/")
    point = asset.point(point_id)
    return _limits(plant, asset, point) if point and measured == "velocity_rms" else None


def _limits(plant: Plant, asset: Asset, point: Point) -> tuple[float, ...] | None:
    parameters = _parameters(plant, asset)
    return parameters.limits_mm_s or limits_at(asset, point, parameters.table)


def _parameters(plant: Plant, asset: Asset) -> Detector.Parameters:
    """The settings of its detector; where it has none, those that one would have."""
    given = (setting.parameters for setting in plant.detectors_of(asset) if setting.kind == KIND)
    return Detector.Parameters.model_validate(next(given, {}))
