"""Neighbour trend: one of several like points has left the others, or all of them have stepped together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Event, Family, Finding, Float64, Number, Origin, Readings, StopAlarm
from andon.plant import Asset, Point
from andon.ports import State
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import Trend, significant
from detectors.forecast import forecast
from detectors.intake import Intake
from detectors.neighbours import NeighbourParameters, Neighbours, step
from detectors.running import STATE, Running
from detectors.state import flatten, load
from detectors.votes import cast, count

_FEWEST = 3  # components that must speak: with fewer there is no saying who has left whom
_ENOUGH = 0.75  # of the points heard so far, for a row that lacks some
_LEAST, _MOST = 1e-9, 1e9  # ln stays finite


@dataclass(slots=True)
class _Watch:
    """One measuring point: its votes above its limit, and what is shown with a finding."""

    last_ns: int = -1
    heard: bool = False
    votes: int = 0
    low: int = 0
    rising_ns: int = -1
    said: float = 0.0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _Group:
    """All points of one quantity: the row being put together, and where they stand to each other."""

    quantity: str
    unit: str = ""
    row: dict[str, float] = field(default_factory=dict)
    row_ns: int = -1
    stand: Neighbours = field(default_factory=Neighbours)
    rows_since: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)
    points: dict[str, _Watch] = field(default_factory=dict)


@dataclass(slots=True)
class _State:
    running: Running
    groups: dict[str, _Group]
    baseline_version: int


class Detector:
    """Slow scalars of three or more like points of a machine, each against the median of the others.

    Raises when one point stays above its neighbours (9 of 12 rows) by more than noise, wandering and what they
    did together explain; updates when the rise has doubled; clears after a day of 10-minute rows below half
    the limit. Points of the same component are no neighbours of each other. When most points step at once it
    is one operating change of the machine: the baselines go with it. Rows taken while the machine does not run,
    or stands by its own levels, are not judged. State: 5 KB a point, 4 of them the trend that is shown.
    Source: measured on the run-to-failure tests of NASA/IMS (Lee et al. 2007): test 2 is found 73 h before the
    end; the margin by what the others strayed follows the control charts of ISO 7870-2 with measured spread.
    """

    kind = "neighbour_trend"
    version = "1"

    class Parameters(NeighbourParameters):
        """Which points are compared, and when leaving the others is a finding."""

        quantities: tuple[str, ...] = Field(
            default=("mean_abs", "acceleration_rms", "velocity_rms"),
            description="Quantities that are compared between points, each for itself; values above 0.",
        )
        forecast_ratio: float = Field(
            default=2.0,
            gt=1,
            le=1000,
            description="Level, × its neighbours, whose time is forecast once a finding stands.",
        )
        run_settle_s: float = Field(
            default=30.0, ge=0, le=86400, description="Seconds in Execute before readings are judged."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._points = {point.id: point for point in asset.points}
        components = np.array([point.component for point in asset.points], dtype=np.str_)
        self._others = components[:, None] != components[None, :]
        self._intake = Intake(self._wanted)
        self._hash = parameters_hash(parameters)
        self._settle_ns = round(parameters.run_settle_s * 1e9)
        groups = {
            quantity: _Group(quantity, points={point_id: _Watch() for point_id in self._points})
            for quantity in parameters.quantities
        }
        self._state = _State(Running(), groups, parameters.baseline_version)

    def update(self, event: Event) -> Sequence[Finding]:
        """Judge the rows that a block of readings completes."""
        if isinstance(event, StopAlarm | Declaration) and event.asset == self._asset.id:
            self._state.running.take_word(event)
        if not isinstance(event, Readings) or event.asset != self._asset.id:
            return ()
        findings: list[Finding] = []
        for at_ns, (point_id, quantity, unit), value in self._intake.rows(event):
            if point_id == STATE:
                self._state.running.take_state(at_ns, value)
            elif self._fits(point_id, quantity, unit, at_ns, value):
                findings += self._take(point_id, quantity, at_ns, value, event.origin)
        return findings

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken, unless a new baseline was asked for: then learn anew."""
        load(self._state, state)
        if self._state.baseline_version != self._parameters.baseline_version:
            self._state.baseline_version = self._parameters.baseline_version
            for group in self._state.groups.values():
                group.stand = Neighbours()

    def _wanted(self, channel: str, unit: str) -> tuple[str, str, str] | None:
        point_id, _, quantity = channel.partition("/")
        if channel == STATE:
            return STATE, "", ""
        fits = point_id in self._points and quantity in self._parameters.quantities
        return (point_id, quantity, unit) if fits else None

    def _fits(self, point_id: str, quantity: str, unit: str, at_ns: int, value: float) -> bool:
        group = self._state.groups[quantity]
        watch = group.points[point_id]
        if at_ns <= watch.last_ns or value <= 0 or unit != (group.unit or unit):
            return False
        group.unit, watch.last_ns = unit, at_ns
        return True

    def _take(self, point_id: str, quantity: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        """A row ends when every point has spoken, or when one speaks again and most have."""
        group, findings = self._state.groups[quantity], []
        heard = sum(watch.heard for watch in group.points.values())
        if point_id in group.row and len(group.row) >= max(_FEWEST, _ENOUGH * heard):
            findings = self._judge(group, origin)
        group.points[point_id].heard = True
        group.row[point_id] = min(max(value, _LEAST), _MOST)
        group.row_ns = max(group.row_ns, at_ns)
        if len(group.row) == heard:
            findings += self._judge(group, origin)
        return findings

    def _judge(self, group: _Group, origin: Origin) -> list[Finding]:
        row, group.row = group.row, {}
        levels = np.log(np.array([row.get(point_id, np.nan) for point_id in self._points]))
        components = {self._points[point_id].component for point_id in row}
        if len(components) < _FEWEST or not self._state.running.runs_at(group.row_ns, self._settle_ns):
            return []
        verdict = step(group.stand, levels, self._others, self._parameters)
        if verdict is None:
            return []
        if verdict.stepped is not None:
            return self._stepped(group, verdict.stepped, origin)
        away = levels - group.stand.anchor
        group.trend.add(group.row_ns, math.exp(float(np.median(away[np.isfinite(away)]))))
        findings = self._settled(group, origin)
        for i, point in enumerate(self._points.values()):
            if np.isfinite(verdict.rises[i]):
                findings += self._speak(
                    group, point, float(verdict.rises[i]), float(verdict.limits[i]), origin
                )
        return findings

    def _speak(self, group: _Group, point: Point, rise: float, limit: float, origin: Origin) -> list[Finding]:
        watch, p = group.points[point.id], self._parameters
        watch.trend.add(group.row_ns, math.exp(rise))
        watch.votes = cast(watch.votes, rise > limit, p.raise_of)
        if rise < limit / 2:
            watch.low, watch.rising_ns = watch.low + 1, -1
        else:
            watch.low, watch.rising_ns = 0, watch.rising_ns if watch.rising_ns >= 0 else group.row_ns
        speaker = self._speaker(point.component, f"{point.id}/{group.quantity}")
        if not watch.episode.stands and count(watch.votes) >= p.raise_count:
            watch.said = rise
            began_ns = watch.rising_ns if watch.rising_ns >= 0 else group.row_ns
            return [speaker.raises(watch.episode, began_ns, self._risen(group, point, rise, limit, origin))]
        if watch.episode.stands and watch.low >= p.clear_rows:
            watch.votes = 0
            return [speaker.clears(watch.episode, self._risen(group, point, rise, limit, origin))]
        if watch.episode.stands and rise >= 2 * watch.said:
            watch.said = rise
            return [speaker.updates(watch.episode, self._risen(group, point, rise, limit, origin))]
        return []

    def _risen(self, group: _Group, point: Point, rise: float, limit: float, origin: Origin) -> Word:
        watch = group.points[point.id]
        source = f"its neighbours, frozen baseline v{self._parameters.baseline_version}"
        percent, most = 100 * math.expm1(rise), 100 * math.expm1(limit)
        shape = watch.trend.shape(f"{point.id}/neighbour_ratio", "1", baseline=1.0, limit=math.exp(limit))
        began_ns = watch.episode.onset_ns if watch.episode.stands else max(0, watch.rising_ns)
        ahead = forecast(*watch.trend.since(began_ns), self._parameters.forecast_ratio)
        return Word(
            at_ns=group.row_ns,
            condition="neighbour_rise",
            severity=400 + 100 * min(4, max(0, int(math.log2(max(rise, 1e-9) / limit)))),
            origin=origin,
            confidence=0.8,
            numbers=(Number("rise", significant(percent), "%", significant(most), source),),
            evidence={"trend": shape, "forecast": ahead},
            text={"point": point.id},
        )

    def _stepped(self, group: _Group, moved: Float64, origin: Origin) -> list[Finding]:
        """A joint step is the machine's; while damage stands it is what all points hear of it."""
        group.rows_since = 0
        for watch in group.points.values():
            watch.votes = 0 if not watch.episode.stands else watch.votes
        if any(watch.episode.stands for watch in group.points.values()):
            return []
        known = moved[np.isfinite(moved)]
        group.trend.add(group.row_ns, math.exp(float(np.median(known))))
        speaker = self._speaker("machine", group.quantity)
        word = self._changed(group, float(np.median(known)), known.size, origin)
        if group.episode.stands:
            return [speaker.updates(group.episode, word)]
        return [speaker.raises(group.episode, group.row_ns, word)]

    def _settled(self, group: _Group, origin: Origin) -> list[Finding]:
        group.rows_since += 1
        if not group.episode.stands or group.rows_since < self._parameters.clear_rows:
            return []
        word = self._changed(group, 0.0, len(self._points), origin)
        return [self._speaker("machine", group.quantity).clears(group.episode, word)]

    def _changed(self, group: _Group, moved: float, points: int, origin: Origin) -> Word:
        limit = 100 * math.expm1(self._parameters.step)
        number = Number(
            "step", significant(100 * math.expm1(moved)), "%", significant(limit), "its last rows"
        )
        return Word(
            at_ns=group.row_ns,
            condition="operating_change",
            severity=300,
            origin=origin,
            confidence=0.8,
            numbers=(number,),
            evidence={"trend": group.trend.shape("machine/common_ratio", "1", baseline=1.0)},
            text={"points": str(points)},
        )

    def _speaker(self, component: str, subject: str) -> Speaker:
        kind, version, asset = self.kind, self.version, self._asset.id
        return Speaker(kind, version, self._hash, asset, Family.MACHINE_CONDITION, component, subject)
