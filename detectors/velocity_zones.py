"""Velocity zones: how bad is broadband vibration on the scale that the standard gives for such machines."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from pydantic import Field, model_validator

from andon.events import Declaration, Finding, Float64, Int64, Number, Origin
from andon.plant import Asset, Point
from detectors.baseline import cleared
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant
from detectors.operating import RunningParameters
from detectors.pace import Pace
from detectors.votes import cast, cast_no, count
from detectors.watching import Watching
from detectors.zone_tables import IN_MM_S, ISO_10816_3_2009, ZoneTable, beyond, limits_at

_SEVERITY = {"C": 500, "D": 800}


@dataclass(slots=True)
class _Watch:
    """One measuring point: votes above the limits B/C and C/D, and readings in a row below them."""

    last_ns: int = -1
    pace: Pace = field(default_factory=Pace)
    above: list[int] = field(default_factory=lambda: [0, 0])
    below: list[int] = field(default_factory=lambda: [0, 0])
    onset_ns: int = 0
    zone: str = ""
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    points: dict[str, _Watch]


class Detector(Watching[tuple[str, float]]):
    """Broadband velocity against the zones of ISO 10816-3:2009 or limits of the user's own.

    Raises when zone C or D is entered for good, updates when the zone changes, clears when it is left.
    Says nothing about a machine that the standard does not assess: missing velocity is never zone A.
    Source: ISO 10816-3:2009, tables A.1 and A.2 (superseded in part by ISO 20816-3:2022, whose limits differ
    between accounts: the values are labelled, and can be replaced).
    """

    kind = "velocity_zones"
    version = "1"
    apart = True

    class Parameters(RunningParameters):
        """When a machine's vibration is called unsatisfactory."""

        limits_mm_s: tuple[float, float, float] | None = Field(
            default=None,
            description="Upper limits of zones A, B and C in mm/s RMS; left out, those of `table`.",
        )
        limits_source: str = Field(
            default="",
            max_length=200,
            description="Where limits of your own come from; shown with each finding.",
        )
        table: ZoneTable = Field(
            default=ISO_10816_3_2009,
            description="Zones by power and foundation, with their source, unit and boundary; those of "
            "ISO 10816-3:2009 where nothing is said.",
        )
        enter_count: int = Field(
            default=6,
            ge=1,
            le=1000,
            description="Readings above a limit that are needed to enter the worse zone.",
        )
        enter_of: int = Field(
            default=8, ge=1, le=1000, description="Latest readings among which they are counted."
        )
        leave_count: int = Field(
            default=30,
            ge=1,
            le=10000,
            description="Readings in a row below the limit needed to leave a zone.",
        )
        hysteresis: float = Field(
            default=0.1,
            ge=0,
            le=0.5,
            description="Part of the limit by which readings must fall below it to leave.",
        )

        @model_validator(mode="after")
        def _consistent(self) -> Self:
            limits = self.limits_mm_s
            if limits is not None and not 0 < limits[0] < limits[1] < limits[2]:
                raise ValueError("limits_mm_s must rise: A < B < C, all above 0")
            if self.enter_count > self.enter_of:
                raise ValueError("enter_count must not exceed enter_of")
            return self

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._parameters = parameters
        self._limits = {
            point.id: limits
            for point in asset.points
            if (limits := parameters.limits_mm_s or limits_at(asset, point, parameters.table))
        }
        super().__init__(asset, parameters, _State({point_id: _Watch() for point_id in self._limits}))

    def _wanted(self, channel: str, unit: str) -> tuple[str, float] | None:
        point_id, _, quantity = channel.partition("/")
        fits = quantity == "velocity_rms" and point_id in self._limits and unit in IN_MM_S
        return (point_id, IN_MM_S[unit]) if fits else None

    def _value(self, at_ns: int, key: tuple[str, float], value: float, origin: Origin) -> list[Finding]:
        point, watch = self._points[key[0]], self._state.points[key[0]]
        if at_ns <= watch.last_ns or not self._runs_at(point.component, at_ns):
            return []
        watch.last_ns = at_ns
        if watch.pace.pauses(at_ns, self._parameters.gap_s):
            watch.above, watch.below = [0, 0], [0, 0]
        return self._judge(point, at_ns, value * key[1], origin)

    def _calm(self, key: tuple[str, float], at_ns: Int64, value: Float64) -> int:
        """Take the values before the first that is not well below B/C, while nothing stands."""
        point, watch, p = self._points[key[0]], self._state.points[key[0]], self._parameters
        rises = at_ns[0] > watch.last_ns and bool((np.diff(at_ns) > 0).all())
        if watch.zone or not rises or not self._runs_through(point.component, at_ns):
            return 0
        velocity = value * key[1]
        high = velocity >= self._limits[point.id][1] * (1 - p.hysteresis)
        many = watch.pace.goes_on(at_ns[: int(high.argmax())] if high.any() else at_ns, p.gap_s)
        if many:
            watch.last_ns = int(at_ns[many - 1])
            watch.trend.extend(at_ns[:many], velocity[:many])
            watch.above = [cast_no(votes, many, p.enter_of) for votes in watch.above]
            watch.below = [low + many for low in watch.below]
            watch.onset_ns = watch.onset_ns if watch.above[0] else 0
        return many

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        """Limits stay what they are; what stood is over, and has to be seen anew."""
        found: list[Finding] = []
        for point in points:
            watch = self._state.points.get(point.id)
            if watch is not None:
                watch.above, watch.below, watch.onset_ns, watch.zone = [0, 0], [0, 0], 0, ""
                found += cleared(self._speakers[point.id], watch.episode, why)
        return found

    def _judge(self, point: Point, at_ns: int, velocity: float, origin: Origin) -> list[Finding]:
        watch, parameters = self._state.points[point.id], self._parameters
        watch.trend.add(at_ns, velocity)
        for i, limit in enumerate(self._limits[point.id][1:]):
            watch.above[i] = cast(
                watch.above[i], beyond(velocity, limit, parameters.table.boundary), parameters.enter_of
            )
            low = velocity <= limit * (1 - parameters.hysteresis)
            watch.below[i] = watch.below[i] + 1 if low else 0
        if not count(watch.above[0]):
            watch.onset_ns = 0
        elif not watch.onset_ns:
            watch.onset_ns = at_ns
        return self._speak(point, at_ns, velocity, origin)

    def _speak(self, point: Point, at_ns: int, velocity: float, origin: Origin) -> list[Finding]:
        watch = self._state.points[point.id]
        zone = self._zone(watch)
        if zone == watch.zone:
            return []
        before, watch.zone = watch.zone, zone
        speaker = self._speakers[point.id]
        word = self._word(point, zone or before, at_ns, velocity, origin)
        if not before:
            return [speaker.raises(watch.episode, watch.onset_ns, word)]
        if zone:
            return [speaker.updates(watch.episode, word)]
        watch.above, watch.onset_ns = [0, 0], 0  # the next episode begins after this one
        return [speaker.clears(watch.episode, word)]

    def _zone(self, watch: _Watch) -> str:
        enough, gone = self._parameters.enter_count, self._parameters.leave_count
        if count(watch.above[1]) >= enough or (watch.zone == "D" and watch.below[1] < gone):
            return "D"
        if count(watch.above[0]) >= enough or (watch.zone and watch.below[0] < gone):
            return "C"
        return ""

    def _word(self, point: Point, zone: str, at_ns: int, velocity: float, origin: Origin) -> Word:
        watch, limits = self._state.points[point.id], self._limits[point.id]
        limit = limits[2] if zone == "D" else limits[1]
        own = self._parameters.limits_mm_s is not None
        source = self._parameters.limits_source or ("plant" if own else self._parameters.table.source)
        zones = [{"name": name, "to": to} for name, to in zip("ABC", limits, strict=True)]  # D lies above
        return Word(
            at_ns=at_ns,
            condition=f"zone_{zone.lower()}",
            severity=_SEVERITY[zone],
            origin=origin,
            numbers=(Number("velocity_rms", significant(velocity), "mm/s", limit, source),),
            evidence={
                "trend": watch.trend.shape(f"{point.id}/velocity_rms", "mm/s", limit=limit, zones=zones)
            },
            text={"point": point.id},
        )
