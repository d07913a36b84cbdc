"""The bearings of a machine: geometry, and at which frequency each part of them speaks when it is damaged."""

from dataclasses import dataclass

from andon.plant import Asset, Bearing
from api.web.formats import number, quantity, whole
from detectors.bearing import fault_orders

NAMED_ORDERS = (("BPFO", "outer"), ("BPFI", "inner"), ("2×BSF", "element"), ("FTF", "cage"))
"""The usual name of each fault frequency, and the part of the bearing that it is of."""


@dataclass(frozen=True, slots=True)
class FaultRow:
    """One part: its usual name, order and frequency at nominal speed; `part` is the key of its word."""

    name: str
    part: str
    order: str
    frequency: str


@dataclass(frozen=True, slots=True)
class BearingSheet:
    """One bearing at its measuring point."""

    point: str
    designation: str
    facts: list[tuple[str, str]]
    orders: list[FaultRow]


def bearings_of(asset: Asset) -> list[BearingSheet]:
    """The bearings whose geometry is known."""
    return [
        BearingSheet(
            point=point.id,
            designation=point.bearing.designation,
            facts=_facts(point.bearing, point.speed_hz),
            orders=_orders(point.bearing, point.speed_hz),
        )
        for point in asset.points
        if point.bearing is not None
    ]


def _facts(bearing: Bearing, speed_hz: float | None) -> list[tuple[str, str]]:
    return [
        ("rolling_elements", whole(bearing.rolling_elements)),
        ("element_diameter", number(bearing.element_diameter)),
        ("pitch_diameter", number(bearing.pitch_diameter)),
        ("contact_angle", f"{number(bearing.contact_angle_deg)}°"),
        ("speed", quantity(speed_hz, "Hz")),
    ]


def _orders(bearing: Bearing, speed_hz: float | None) -> list[FaultRow]:
    orders = fault_orders(bearing)
    return [
        FaultRow(name, part, number(order), quantity(order * speed_hz if speed_hz else None, "Hz"))
        for name, part in NAMED_ORDERS
        for order in (getattr(orders, part),)
    ]
