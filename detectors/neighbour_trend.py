"""Neighbour trend: one of several like points has left the others, or all of them have stepped together."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Declared, Finding, Float64, Json, Number, Origin
from andon.plant import Asset, Point
from detectors.baseline import cleared
from detectors.episode import Episode, Speaker, Word
from detectors.evidence import Trend, significant
from detectors.forecast import forecast
from detectors.neighbours import NeighbourParameters, Neighbours, carry, learn_anew, step
from detectors.pace import Pace
from detectors.state import Grown
from detectors.votes import cast, count
from detectors.watching import MACHINE, Watching

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
    bins: Grown[Neighbours] = field(default_factory=lambda: Grown(Neighbours))  # by operating state
    state: str = ""
    judged_in: str = ""
    pace: Pace = field(default_factory=Pace)
    rows_since: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)
    points: dict[str, _Watch] = field(default_factory=dict)

    @property
    def stand(self) -> Neighbours:
        """Where the points stand to each other in the present operating state."""
        return self.bins[self.state]

    def enter(self, state: str) -> bool:
        """Go on in this operating state, or in the same; False where it must not be learned: a condition stands."""
        self.state = state
        before = self.bins.get(self.judged_in)
        if not self.stand.frozen:
            return before is None or not any(watch.episode.stands for watch in self.points.values())
        if before is not None and state != self.judged_in:
            carry(before, self.stand)
        self.judged_in = state
        return True


@dataclass(slots=True)
class _State:
    groups: dict[str, _Group]


class Detector(Watching[tuple[str, str, str]]):
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

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        groups = {
            quantity: _Group(quantity, points={point.id: _Watch() for point in asset.points})
            for quantity in parameters.quantities
        }
        super().__init__(asset, parameters, _State(groups))
        self._parameters = parameters
        components = np.array([point.component for point in asset.points], dtype=np.str_)
        self._others = components[:, None] != components[None, :]

    def _wanted(self, channel: str, unit: str) -> tuple[str, str, str] | None:
        point_id, _, quantity = channel.partition("/")
        fits = point_id in self._points and quantity in self._parameters.quantities
        return (point_id, quantity, unit) if fits else None

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        chosen, found = np.isin(list(self._points), [point.id for point in points]), []
        for group in self._state.groups.values():
            for stand in group.bins.values():
                learn_anew(stand, chosen, self._parameters)
            for point in points:
                watch = group.points[point.id]
                watch.votes, watch.low, watch.rising_ns = 0, 0, -1
                found += cleared(self._risen_speaker(group, point), watch.episode, why)
            if chosen.all():
                group.judged_in = ""
                found += cleared(self._speaker(MACHINE, group.quantity), group.episode, why)
        return found

    def _value(self, at_ns: int, key: tuple[str, str, str], value: float, origin: Origin) -> list[Finding]:
        point_id, quantity, unit = key
        group = self._state.groups[quantity]
        watch = group.points[point_id]
        if at_ns <= watch.last_ns or value <= 0 or unit != (group.unit or unit):
            return []
        group.unit, watch.last_ns = unit, at_ns
        return self._take(point_id, quantity, at_ns, value, origin)

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
        state = None
        if len(components) >= _FEWEST:
            state = self._state_of(group.bins, None, group.row_ns, origin)
        if state is None or not group.enter(state):
            return []
        if group.pace.pauses(group.row_ns, self._parameters.gap_s):
            for watch in group.points.values():
                watch.votes = watch.low = 0
        verdict = step(group.stand, group.row_ns, levels, self._others, self._parameters)
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
        speaker = self._risen_speaker(group, point)
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
        source = f"its neighbours, {self._source(point.component)}"
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
            evidence={"trend": shape, "forecast": ahead, "baseline": self._learned(group, point)},
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
        speaker = self._speaker(MACHINE, group.quantity)
        word = self._changed(group, float(np.median(known)), known.size, origin)
        if group.episode.stands:
            return [speaker.updates(group.episode, word)]
        return [speaker.raises(group.episode, group.row_ns, word)]

    def _settled(self, group: _Group, origin: Origin) -> list[Finding]:
        group.rows_since += 1
        if not group.episode.stands or group.rows_since < self._parameters.clear_rows:
            return []
        word = self._changed(group, 0.0, len(self._points), origin)
        return [self._speaker(MACHINE, group.quantity).clears(group.episode, word)]

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
            text={"points": str(points), "proposes": Declared.OPERATING_CHANGE.value},
        )

    def _risen_speaker(self, group: _Group, point: Point) -> Speaker:
        return self._speaker(point.component, f"{point.id}/{group.quantity}")

    def _learned(self, group: _Group, point: Point) -> dict[str, Json]:
        i, stand = list(self._points).index(point.id), group.stand
        return self._baseline(point, int(stand.from_ns[i]), int(stand.to_ns[i]), self._parameters.learn_rows)
