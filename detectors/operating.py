"""Which operating state a machine is in: the bin of its speed and load, since like is compared with like only."""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from pydantic import BaseModel, ConfigDict, Field

from andon.events import Json
from andon.plant import Asset
from detectors.evidence import significant
from detectors.state import Grown

SPEED, LOAD = "speed", "load"
QUANTITIES: Mapping[str, str] = {"speed": SPEED, "load": LOAD, "power": LOAD}
"""Which quantity tells which (ISO 17359:2018, annex A: speed, load and power are what a machine is judged beside)."""

_NOMINAL = {"%": 100.0, "1": 1.0}  # of a load; of kW the plant document's power, else the first that was seen
_IN_KW = {"kW": 1.0, "W": 1e-3, "MW": 1e3}

_FARTHEST = 1e6  # bins from none: no load is as large


class RunningParameters(BaseModel):
    """When readings are judged at all."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    run_settle_s: float = Field(
        default=30.0,
        ge=0,
        le=86_400,
        description="Seconds in Execute, and in an operating state, before readings are judged.",
    )
    gap_s: float = Field(
        default=600.0,
        gt=0,
        le=604_800,
        description="After a pause as long as this, and as ten times the usual interval, smoothing and votes start anew.",
    )


class OperatingParameters(RunningParameters):
    """What counts as the same operating state; a machine that tells neither speed nor load has one."""

    speed_bin: float = Field(
        default=0.1, gt=0, le=10, description="Width of an operating state in speed, as a part of the speed."
    )
    load_bin: float = Field(
        default=0.2,
        gt=0,
        le=10,
        description="Width of an operating state in load, as a part of the full load.",
    )
    bin_hysteresis: float = Field(
        default=0.2,
        ge=0,
        le=1,
        description="Part of its width by which speed or load must lie outside an operating state to leave it.",
    )
    most_bins: int = Field(
        default=6,
        ge=1,
        le=64,
        description="Operating states that get a baseline of their own; what comes later is not judged.",
    )
    outside_rows: int = Field(
        default=60,
        ge=1,
        le=100_000,
        description="Readings in a row in no operating state that is known, or gets a baseline, that are a finding.",
    )


@dataclass(slots=True)
class Axis:
    """Speed or load in widths of a bin. The first value judged is the middle of bin 0, so that it lies on no edge."""

    at_ns: int = -1
    place: float | None = None
    middle: float | None = None
    cell: int = 0
    since_ns: int | None = None
    source: str = ""
    unit: str = ""
    full: float = 0.0
    value: float = 0.0

    def take(self, at_ns: int, place: float | None, hysteresis: float) -> None:
        """Take a new place, None where there is none (a shaft at rest); times must not go back."""
        back = self.place is None and self.at_ns >= 0
        self.at_ns, self.place = at_ns, place
        if place is not None and self.middle is not None:
            away = place - self.middle
            left = abs(away - self.cell) > 0.5 + hysteresis
            self.cell, back = (round(away), True) if left else (self.cell, back)
        if back:
            self.since_ns = at_ns

    def holds_at(self, at_ns: int, settle_ns: int) -> bool:
        """Whether the bin is known, and was entered at least `settle_ns` before."""
        return self.place is not None and (self.since_ns is None or at_ns - self.since_ns >= settle_ns)


class Operating:
    """The operating states of one asset: a name for each bin of speed and load.

    A point's own speed (`DE/speed`) goes before the machine's, which is the first one that the plant document
    declares among the quantities of its points; so does its load.

    >>> motor = {"id": "M", "component": "motor", "quantities": {"speed": "r/min"}}
    >>> asset = Asset(id="P", name="", asset_class="pump", path="", points=(motor,))
    >>> operating, axes = Operating(asset, OperatingParameters()), Grown(Axis)
    >>> operating.state_at(axes, "DE", 0, 0)  # nothing was said of speed or load
    ''
    >>> operating.take(axes, ("M/speed", "r/min"), 10, 1480.0, "plc")
    >>> operating.state_at(axes, "DE", 10, 0)
    'speed 0'
    >>> operating.take(axes, ("M/speed", "r/min"), 20, 990.0, "plc")
    >>> operating.state_at(axes, "DE", 30, 0)
    'speed -4'
    >>> operating.state_at(axes, "DE", 25, 10), operating.state_at(axes, "DE", 15, 0)  # unsettled; before the change
    (None, None)
    """

    def __init__(self, asset: Asset, parameters: OperatingParameters) -> None:
        self._parameters, self._power_kw = parameters, asset.power_kw
        self._points = {point.id for point in asset.points}
        self._machine = {
            QUANTITIES[quantity]: _axis(quantity, point.id)
            for quantity in reversed(list(QUANTITIES))
            for point in reversed(asset.points)
            if quantity in point.quantities
        }

    def tells(self, channel: str) -> bool:
        """Whether that channel tells speed or load."""
        point, _, quantity = channel.partition("/")
        return quantity in QUANTITIES and point in self._points

    def take(
        self, axes: Grown[Axis], channel: tuple[str, str], at_ns: int, value: float, source: str
    ) -> None:
        """Take a reading of such a channel, given with its unit; older than its last one: ignored."""
        (point, _, quantity), unit = channel[0].partition("/"), channel[1]
        axis = axes[_axis(quantity, point)]
        if at_ns < axis.at_ns:
            return
        if QUANTITIES[quantity] == SPEED:
            place = self._speed_place(value)
        else:
            place = self._load_place(axis, value, unit)
        axis.source, axis.unit, axis.value = source, unit, value
        axis.take(at_ns, place, self._parameters.bin_hysteresis)

    def stays(
        self,
        axes: Mapping[str, Axis],
        channel: tuple[str, str],
        values: Iterable[tuple[int, float]],
        source: str,
    ) -> tuple[str, Axis | None]:
        """The name of such a channel's axis, and what it is after all these; None if another operating state begins."""
        (point, _, quantity), after = channel[0].partition("/"), Grown(Axis)
        name = _axis(quantity, point)
        before = axes.get(name)
        if before is None or before.middle is None or before.place is None:
            return name, None
        after[name] = axis = replace(before)
        for at_ns, value in values:
            self.take(after, channel, at_ns, value, source)
            if axis.place is None or axis.cell != before.cell or axis.since_ns != before.since_ns:
                return name, None
        return name, axis

    def _speed_place(self, value: float) -> float | None:
        return math.log(value) / math.log1p(self._parameters.speed_bin) if value > 0 else None

    def _load_place(self, axis: Axis, value: float, unit: str) -> float | None:
        nominal = _NOMINAL.get(unit, 0.0)
        if unit in _IN_KW and self._power_kw:
            nominal = self._power_kw / _IN_KW[unit]
        axis.full = axis.full or nominal or abs(value)
        place = value / axis.full / self._parameters.load_bin if axis.full else math.inf
        return place if abs(place) < _FARTHEST else None

    def state_at(self, axes: Grown[Axis], point: str, at_ns: int, settle_ns: int) -> str | None:
        """The state in which a point is judged at that time: "" where nobody tells speed or load.

        None where it is not judged: the shaft is at rest, the state has been entered less than `settle_ns` ago, or
        what was said is not known any more since a gap.
        """
        named = []
        for kind, axis in self._axes_of(axes, point):
            if not axis.holds_at(at_ns, settle_ns):
                return None
            if axis.middle is None:
                axis.middle = axis.place
            named.append(f"{kind} {axis.cell}")
        return ", ".join(named)

    def present(self, axes: Grown[Axis], point: str) -> list[str]:
        """The present speed and load in words, those that are known."""
        told = self._axes_of(axes, point)
        return [f"{kind} {axis.value:.4g} {axis.unit}" for kind, axis in told if axis.place is not None]

    def shape(self, axes: Grown[Axis], point: str) -> dict[str, Json]:
        """The present state as evidence: from where to where speed and load go in it."""
        return {kind: self._range(kind, axis) for kind, axis in self._axes_of(axes, point)}

    def _range(self, kind: str, axis: Axis) -> dict[str, Json]:
        ends = [(axis.middle or 0.0) + axis.cell + side for side in (-0.5, 0.5)]
        p = self._parameters
        if kind == SPEED:
            low, high = (math.exp(end * math.log1p(p.speed_bin)) for end in ends)
        else:
            low, high = (end * p.load_bin * axis.full for end in ends)
        return {"from": significant(low), "to": significant(high), "unit": axis.unit}

    def _axes_of(self, axes: Grown[Axis], point: str) -> list[tuple[str, Axis]]:
        found: dict[str, Axis] = {}
        for quantity, kind in QUANTITIES.items():
            for name in (_axis(quantity, point), self._machine.get(kind, "")):
                if name in axes:
                    found.setdefault(kind, axes[name])
        return list(found.items())


def forget(axes: Grown[Axis], source: str) -> None:
    """After a gap of a source, what it said of speed and load is not known any more."""
    for axis in axes.values():
        if axis.source == source:
            axis.place = None


def _axis(quantity: str, point: str) -> str:
    return f"{quantity} of {point}"
