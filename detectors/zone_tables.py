"""Zones as data: which velocities a standard calls good, acceptable, unsatisfactory and dangerous, for which machines."""

from collections.abc import Sequence
from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from andon.plant import Asset, Point

IN_MM_S = {"mm/s": 1.0, "m/s": 1000.0, "cm/s": 10.0, "in/s": 25.4, "[in_i]/s": 25.4}
"""Units of velocity, the inch in its usual writing and in UCUM's."""
CHANGE_SHARE, MOST_SHARE = 0.25, 1.25
"""Criterion II: a change of a quarter of B/C counts; an alarm lies at most at 1.25 × B/C, a trip at 1.25 × C/D."""
_SENSORS_SLOWEST_RPM = 600.0
"""A sensor that sends velocity hears from 10 Hz on; below 600 r/min the band begins at 2 Hz, which Andon's own does."""

Boundary = Literal["better", "worse"]


class ZoneRow(BaseModel):
    """Limits for machines of one range of power on one kind of foundation."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    above_kw: float = Field(ge=0, description="Machines of more power than this in kW.")
    foundation: Literal["rigid", "flexible"] = Field(description="How the machine stands.")
    limits: tuple[float, float, float] = Field(description="Upper limits of zones A, B and C, RMS.")

    @model_validator(mode="after")
    def _rises(self) -> Self:
        if not 0 < self.limits[0] < self.limits[1] < self.limits[2]:
            raise ValueError("limits must rise: A < B < C, all above 0")
        return self


class ZoneTable(BaseModel):
    """A table of zones with its source; of the rows that fit a machine the one with the largest `above_kw` counts."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    source: str = Field(min_length=1, max_length=200, description="Named with every finding.")
    unit: Literal["mm/s", "in/s"] = Field(default="mm/s", description="Of the limits.")
    boundary: Boundary = Field(
        default="better",
        description="Which zone a value that equals a limit lies in: the better or the worse.",
    )
    slowest_rpm: float = Field(default=120.0, ge=0, le=1e6, description="Slower machines are not assessed.")
    fastest_rpm: float = Field(default=15_000.0, gt=0, le=1e6, description="Nor are faster ones.")
    rows: tuple[ZoneRow, ...] = Field(
        min_length=1, max_length=64, description="Limits by power and foundation."
    )


ISO_10816_3_2009 = ZoneTable(
    source="ISO 10816-3:2009",
    rows=(
        ZoneRow(above_kw=300, foundation="rigid", limits=(2.3, 4.5, 7.1)),
        ZoneRow(above_kw=300, foundation="flexible", limits=(3.5, 7.1, 11.0)),
        ZoneRow(above_kw=15, foundation="rigid", limits=(1.4, 2.8, 4.5)),
        ZoneRow(above_kw=15, foundation="flexible", limits=(2.3, 4.5, 7.1)),
    ),
)
"""Tables A.1 (group 1) and A.2 (group 2): RMS 10-1000 Hz, from 2 Hz below 600 r/min, on non-rotating parts, in situ,
over 15 kW, 120 to 15,000 r/min. That a value on a limit lies in the better zone is this table's own convention:
the standard leaves it open, and programs differ. Superseded in part by ISO 20816-3:2022, whose limits differ between
accounts; pumps are ISO 10816-7's."""


def limits_of(
    power_kw: float | None,
    foundation: str,
    speed_hz: float | None,
    table: ZoneTable = ISO_10816_3_2009,
    *,
    slowest_rpm: float = _SENSORS_SLOWEST_RPM,
) -> tuple[float, float, float] | None:
    """The table's limits A/B, B/C, C/D for a machine in mm/s, or None where the table does not assess it.

    Not assessable: power unknown or in no row (ISO 10816-3: not above 15 kW), speed known and outside the scope.

    >>> limits_of(75, "rigid", 24.5), limits_of(15, "rigid", 24.5), limits_of(None, "rigid", None)
    ((1.4, 2.8, 4.5), None, None)
    """
    if speed_hz is not None and not max(slowest_rpm, table.slowest_rpm) <= 60 * speed_hz <= table.fastest_rpm:
        return None
    fitting = [
        row
        for row in table.rows
        if row.foundation == foundation and power_kw is not None and power_kw > row.above_kw
    ]
    if not fitting:
        return None
    low, middle, high = max(fitting, key=lambda row: row.above_kw).limits
    factor = IN_MM_S[table.unit]
    return low * factor, middle * factor, high * factor


def limits_at(
    asset: Asset, point: Point, table: ZoneTable = ISO_10816_3_2009
) -> tuple[float, float, float] | None:
    """The same for a measuring point: of waveforms Andon makes the velocity itself, from 2 Hz where it has to."""
    slowest_rpm = 0.0 if point.kind == "waveform" else _SENSORS_SLOWEST_RPM
    return limits_of(asset.power_kw, asset.foundation, point.speed_hz, table, slowest_rpm=slowest_rpm)


def zone_of(velocity_mm_s: float, limits_mm_s: Sequence[float], boundary: Boundary = "better") -> str:
    """The zone of a velocity.

    >>> [zone_of(v, (1.4, 2.8, 4.5)) for v in (1.4, 1.41, 2.8, 4.5, 4.6)]
    ['A', 'B', 'B', 'C', 'D']
    >>> [zone_of(v, (1.4, 2.8, 4.5), "worse") for v in (1.4, 1.41, 2.8, 4.5, 4.6)]
    ['B', 'B', 'C', 'D', 'D']
    """
    return "ABCD"[sum(beyond(velocity_mm_s, limit, boundary) for limit in limits_mm_s)]


def beyond(value: float, limit: float, boundary: Boundary) -> bool:
    """Whether a value lies in the zone above the limit."""
    return value > limit or (boundary == "worse" and value == limit)


def alarm_mm_s(baseline: float, limits_mm_s: Sequence[float]) -> float:
    """Where an alarm is set: a quarter of B/C above the baseline, and never above 1.25 × B/C.

    Source: ISO 10816-3:2009, 6.5.2.

    >>> alarm_mm_s(1.1, (1.4, 2.8, 4.5)), alarm_mm_s(3.0, (1.4, 2.8, 4.5))
    (1.8, 3.5)
    """
    return min(baseline + CHANGE_SHARE * limits_mm_s[1], MOST_SHARE * limits_mm_s[1])


def trip_mm_s(limits_mm_s: Sequence[float]) -> float:
    """Where a machine is tripped at the latest: 1.25 × C/D. Source: ISO 10816-3:2009, 6.5.3."""
    return MOST_SHARE * limits_mm_s[2]
