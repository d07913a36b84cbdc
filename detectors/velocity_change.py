"""Velocity change: broadband vibration has left its frozen baseline by a quarter of the zone limit B/C, up or down."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float64, Int64, Number, Origin
from andon.plant import Asset, Point
from detectors.baseline import cleared
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant
from detectors.operating import OperatingParameters
from detectors.state import Grown
from detectors.votes import cast, cast_no, count
from detectors.watching import Watching
from detectors.zone_tables import (
    CHANGE_SHARE,
    IN_MM_S,
    ISO_10816_3_2009,
    ZoneTable,
    alarm_mm_s,
    limits_at,
    trip_mm_s,
)


@dataclass(slots=True)
class _Baseline:
    """The velocity of one operating state: what it is learned from, and the frozen median."""

    first: list[float] = field(default_factory=list)
    from_ns: int = 0
    to_ns: int = 0
    mm_s: float | None = None


@dataclass(slots=True)
class _Watch:
    """One measuring point."""

    last_ns: int = -1
    bins: Grown[_Baseline] = field(default_factory=lambda: Grown(_Baseline))
    away: int = 0
    back: int = 0
    onset_ns: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    points: dict[str, _Watch]


class Detector(Watching[tuple[str, float]]):
    """Broadband velocity against its own frozen baseline, in the measure that the zone table gives.

    A change of more than 25 % of B/C is told whatever zone it lies in, up or down: something has changed in the
    machine. Raises when it stays, clears when the velocity is back for long. The alarm level (baseline + 0.25 × B/C,
    at most 1.25 × B/C) and the trip level (1.25 × C/D) stand with each finding.
    Source: ISO 10816-3:2009, 6.4 (criterion II: change) and 6.5 (limits for operation).
    """

    kind = "velocity_change"
    version = "1"
    apart = True

    class Parameters(OperatingParameters):
        """When a velocity has changed."""

        table: ZoneTable = Field(
            default=ISO_10816_3_2009,
            description="Zones by power and foundation; those of ISO 10816-3:2009 where nothing is said.",
        )
        learn_count: int = Field(
            default=60,
            ge=5,
            le=1000,
            description="First readings of an operating state that the baseline is the median of.",
        )
        enter_count: int = Field(
            default=25, ge=1, le=1000, description="Readings beyond the limit that are needed to raise."
        )
        enter_of: int = Field(
            default=30, ge=1, le=1000, description="Latest readings among which they are counted."
        )
        leave_count: int = Field(
            default=60, ge=1, le=10_000, description="Readings in a row that are back, needed to clear."
        )
        hysteresis: float = Field(
            default=0.2,
            ge=0,
            le=0.9,
            description="Part of the limit by which they must lie within it to be back.",
        )

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._parameters = parameters
        found = {point.id: limits_at(asset, point, parameters.table) for point in asset.points}
        self._limits = {point_id: limits for point_id, limits in found.items() if limits}
        super().__init__(asset, parameters, _State({point_id: _Watch() for point_id in self._limits}))

    def _wanted(self, channel: str, unit: str) -> tuple[str, float] | None:
        point_id, _, quantity = channel.partition("/")
        fits = quantity == "velocity_rms" and point_id in self._limits and unit in IN_MM_S
        return (point_id, IN_MM_S[unit]) if fits else None

    def _value(self, at_ns: int, key: tuple[str, float], value: float, origin: Origin) -> list[Finding]:
        point, watch = self._points[key[0]], self._state.points[key[0]]
        if at_ns <= watch.last_ns:
            return []
        state = self._state_of(watch.bins, point, at_ns, origin)
        if state is None:
            return []
        watch.last_ns = at_ns
        velocity, baseline = value * key[1], watch.bins[state]
        watch.trend.add(at_ns, velocity)
        if baseline.mm_s is None:
            self._learn(baseline, at_ns, velocity)
            return []
        return self._judge(point, baseline, at_ns, velocity, origin)

    def _calm(self, key: tuple[str, float], at_ns: Int64, value: Float64) -> int:
        """Take the values before the first that is not back, while nothing stands."""
        point, watch, p = self._points[key[0]], self._state.points[key[0]], self._parameters
        rises = at_ns[0] > watch.last_ns and bool((np.diff(at_ns) > 0).all())
        if watch.episode.stands or not rises:
            return 0
        state = self._state_through(watch.bins, point, at_ns)
        usual = None if state is None else watch.bins[state].mm_s
        if usual is None:
            return 0
        velocity = value * key[1]
        away = np.abs(velocity - usual) > CHANGE_SHARE * self._limits[point.id][1] * (1 - p.hysteresis)
        many = int(away.argmax()) if away.any() else at_ns.size
        if many:
            watch.last_ns = int(at_ns[many - 1])
            watch.trend.extend(at_ns[:many], velocity[:many])
            watch.away, watch.back = cast_no(watch.away, many, p.enter_of), watch.back + many
            watch.onset_ns = watch.onset_ns if watch.away else 0
        return many

    def _is_settled(self, key: tuple[str, float], at_ns: Int64) -> bool:
        return self._state_through(self._state.points[key[0]].bins, self._points[key[0]], at_ns) is not None

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        found: list[Finding] = []
        for point in points:
            watch = self._state.points.get(point.id)
            if watch is not None:
                watch.bins.clear()
                watch.away, watch.back, watch.onset_ns = 0, 0, 0
                found += cleared(self._speakers[point.id], watch.episode, why)
        return found

    def _learn(self, baseline: _Baseline, at_ns: int, velocity: float) -> None:
        baseline.from_ns = baseline.from_ns if baseline.first else at_ns
        baseline.first.append(velocity)
        if len(baseline.first) >= self._parameters.learn_count:
            baseline.mm_s, baseline.to_ns, baseline.first = median(baseline.first), at_ns, []

    def _judge(
        self, point: Point, baseline: _Baseline, at_ns: int, velocity: float, origin: Origin
    ) -> list[Finding]:
        watch, parameters, usual = self._state.points[point.id], self._parameters, baseline.mm_s or 0.0
        limit, change = CHANGE_SHARE * self._limits[point.id][1], velocity - usual
        watch.away = cast(watch.away, abs(change) > limit, parameters.enter_of)
        watch.back = watch.back + 1 if abs(change) <= limit * (1 - parameters.hysteresis) else 0
        if not count(watch.away):
            watch.onset_ns = 0
        elif not watch.onset_ns:
            watch.onset_ns = at_ns
        speaker, episode = self._speakers[point.id], watch.episode
        if not episode.stands and count(watch.away) >= parameters.enter_count:
            return [
                speaker.raises(episode, watch.onset_ns, self._word(point, baseline, at_ns, velocity, origin))
            ]
        if episode.stands and watch.back >= parameters.leave_count:
            watch.away, watch.onset_ns = 0, 0  # the next episode begins after this one
            return [speaker.clears(episode, self._word(point, baseline, at_ns, velocity, origin))]
        return []

    def _word(self, point: Point, baseline: _Baseline, at_ns: int, velocity: float, origin: Origin) -> Word:
        watch, limits, usual = self._state.points[point.id], self._limits[point.id], baseline.mm_s or 0.0
        alarm, source = significant(alarm_mm_s(usual, limits)), self._parameters.table.source
        names = zip("ABC", limits, strict=True)
        zones = [{"name": name, "to": to} for name, to in names]  # D lies above
        channel = f"{point.id}/velocity_rms"
        return Word(
            at_ns=at_ns,
            condition="velocity_change",
            severity=400,
            origin=origin,
            numbers=(
                Number(
                    "velocity_change",
                    significant(velocity - usual),
                    "mm/s",
                    significant(CHANGE_SHARE * limits[1]),
                    f"{source}, a quarter of B/C",
                ),
                Number(
                    "velocity_rms",
                    significant(velocity),
                    "mm/s",
                    alarm,
                    f"{source}, baseline + a quarter of B/C",
                ),
                Number("baseline", significant(usual), "mm/s", None, self._source(point.component)),
                Number("trip", significant(trip_mm_s(limits)), "mm/s", None, f"{source}, 1.25 × C/D"),
            ),
            evidence={
                "trend": watch.trend.shape(
                    channel, "mm/s", baseline=significant(usual), limit=alarm, zones=zones
                ),
                "baseline": self._baseline(
                    point, baseline.from_ns, baseline.to_ns, self._parameters.learn_count
                ),
            },
            text={"point": point.id},
        )
