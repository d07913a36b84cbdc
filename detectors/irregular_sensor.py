"""Irregular sensor: a measuring point that speaks, but not when it used to: jitter, bursts, lost rows, another period."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from math import isfinite

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    Declaration,
    Event,
    Family,
    Finding,
    Float64,
    Gap,
    Number,
    Origin,
    Readings,
    StopAlarm,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import State
from detectors.baseline import RELEARNED, cleared
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.running import STATE, Running
from detectors.state import flatten, load

_SILENT_PERIODS, _SILENT_S = 3.0, 30.0  # a longer pause is a silence: `silent_sensor` speaks of it
_HABIT_OFF = 0.3  # a point that was never more regular than this has no period: it tells changes only
_SAME = 0.8  # of the intervals: so many alike are another period
_KINDS = ((3, "sensor_stamp_twice"), (2, "sensor_bursts"), (0, "sensor_jitter"), (1, "sensor_lost_rows"))
_TWICE = 0.0  # an interval that stands for two values of one stamp


@dataclass(slots=True)
class _Watch:
    """One point: its leading channel, its latest intervals in seconds, and its habit once that is known."""

    leader: str = ""
    last_ns: int = -1
    last_value: float = 0.0
    since_ns: int = -1
    learned: list[float] = field(default_factory=list)
    period_s: float = 0.0
    habit: list[float] = field(default_factory=list)  # usual shares of irregular, lost, burst and twice
    recent: Float64 = field(default_factory=lambda: np.zeros(0))
    kind: str = ""
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    running: Running
    points: dict[str, _Watch]


class Detector:
    """The intervals between the stamps of a point that has a period, against its own habit.

    The first 64 intervals say which period it really keeps and how well; a point that keeps none is never judged.
    Then, of the latest 64, the shares that are off by more than a quarter of the period (jitter), that are a
    multiple of it (lost rows), that are less than half of it (bursts), and that have two different values under one
    stamp: raises when one of them is a fifth and 0.15 above habit, or when most are alike and another period;
    clears when all are below half of that. Nothing is judged across a gap that the line knows of, while the machine
    does not run, or in a pause that `silent_sensor` speaks of. The same value under the same stamp again is a
    repetition, and no fault of the sensor.
    Source: ISO 8000-8:2015 (timeliness as a syntactic and semantic property of data); thresholds: own trials.
    """

    kind = "irregular_sensor"
    version = "1"

    class Parameters(BaseModel):
        """When a point is no longer regular."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        intervals: int = Field(
            default=64,
            ge=16,
            le=256,
            description="Latest intervals that are judged, and first that are learned.",
        )
        off: float = Field(
            default=0.25, gt=0, lt=0.5, description="Share of the period by which an interval is irregular."
        )
        share: float = Field(
            default=0.2, gt=0, lt=1, description="Share of the intervals that must be so for a finding."
        )
        above_habit: float = Field(
            default=0.15, ge=0, lt=1, description="How far that share must exceed the point's habit."
        )
        period: float = Field(
            default=0.2, gt=0, le=10, description="Share by which another period differs from the habit's."
        )
        severity: int = Field(
            default=250, ge=1, le=1000, description="Severity (1-1000, OPC UA) of an irregular point."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._hash = parameters_hash(parameters)
        self._points = {point.id: point for point in asset.points if point.period_s is not None}
        self._state = _State(Running(), {point_id: _Watch() for point_id in self._points})

    def update(self, event: Event) -> Sequence[Finding]:
        """Take the stamps of what a point says, and what excuses it."""
        if isinstance(event, Readings) and event.asset == self._asset.id:
            return self._readings(event)
        if isinstance(event, Waveform) and event.asset == self._asset.id:
            return self._stamp(event.point, "", event.at_ns, 0.0, event.origin)
        if isinstance(event, StopAlarm | Declaration) and event.asset == self._asset.id:
            self._state.running.take_word(event)
            return self._declared(event) if isinstance(event, Declaration) else ()
        if isinstance(event, Gap) and event.asset in {None, self._asset.id}:
            for point_id, watch in self._state.points.items():
                if event.point in {None, point_id}:
                    self._begin_anew(watch)
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _readings(self, event: Readings) -> list[Finding]:
        found: list[Finding] = []
        for at_ns, index, value in zip(
            event.at_ns.tolist(), event.channel.tolist(), event.value.tolist(), strict=True
        ):
            channel = event.channels[index]
            if channel == STATE:
                if isfinite(value):
                    self._state.running.take_state(at_ns, value)
            else:
                found += self._stamp(channel.partition("/")[0], channel, at_ns, value, event.origin)
        return found

    def _stamp(self, point_id: str, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch = self._state.points.get(point_id)
        if watch is None:
            return []
        if watch.last_ns < 0 and not watch.learned and not watch.habit:
            watch.leader = channel  # the first channel that speaks stands for its point
        if channel != watch.leader or at_ns < watch.last_ns:
            return []
        if not self._state.running.runs_at(at_ns, 0):
            watch.last_ns = -1
            return []
        last_ns, last_value = watch.last_ns, watch.last_value
        watch.last_ns, watch.last_value = at_ns, value
        if last_ns < 0 or (at_ns == last_ns and not _differ(value, last_value)):
            return []
        return self._interval(self._points[point_id], watch, (at_ns - last_ns) / 1e9, origin)

    def _interval(self, point: Point, watch: _Watch, interval_s: float, origin: Origin) -> list[Finding]:
        p = self._parameters
        if not watch.habit:
            if interval_s <= max(_SILENT_PERIODS * (point.period_s or 0.0), _SILENT_S):
                self._learn(watch, interval_s)
            return []
        if watch.habit[0] > _HABIT_OFF or interval_s > max(_SILENT_PERIODS * watch.period_s, _SILENT_S):
            return []
        if not watch.recent.size:
            watch.since_ns = watch.last_ns
        watch.recent = np.append(watch.recent[1 - p.intervals :], interval_s)
        return self._judge(point, watch, origin) if watch.recent.size == p.intervals else []

    def _learn(self, watch: _Watch, interval_s: float) -> None:
        watch.learned = [*watch.learned, interval_s]
        if len(watch.learned) < self._parameters.intervals:
            return
        known = np.array(watch.learned)
        watch.period_s = float(np.median(known))
        watch.habit = [1.0] * 4 if watch.period_s <= 0 else self._shares(known, watch.period_s)
        watch.learned = []

    def _shares(self, intervals_s: Float64, period_s: float) -> list[float]:
        """The shares of intervals that are jittered, span lost rows, are too short, and have one stamp twice."""
        ratio, off = intervals_s / period_s, self._parameters.off
        twice, burst = intervals_s == _TWICE, (ratio < 0.5) & (intervals_s > _TWICE)
        whole = np.abs(ratio - np.round(ratio)) <= off
        lost = whole & (ratio > 1.5)
        jitter = ~whole | burst
        return [float(kind.mean()) for kind in (jitter, lost, burst, twice)]

    def _judge(self, point: Point, watch: _Watch, origin: Origin) -> list[Finding]:
        p, episode, shares = self._parameters, watch.episode, self._shares(watch.recent, watch.period_s)
        limits = [max(p.share, usual + p.above_habit) for usual in watch.habit]
        kind, share, limit = self._worst(watch, shares, limits)
        speaker = self._speaker(point)
        if kind and not episode.stands:
            watch.kind = kind
            word = self._word(point, watch, share, limit, origin)
            return [speaker.raises(episode, watch.since_ns if watch.since_ns >= 0 else watch.last_ns, word)]
        if episode.stands and not kind and all(s < m / 2 for s, m in zip(shares, limits, strict=True)):
            return [speaker.clears(episode, self._word(point, watch, max(shares), limit, origin))]
        if not kind and not episode.stands:
            watch.since_ns = watch.last_ns
        return []

    def _worst(
        self, watch: _Watch, shares: Sequence[float], limits: Sequence[float]
    ) -> tuple[str, float, float]:
        """What is wrong, its share and the limit; no kind if nothing is."""
        p, now_s = self._parameters, float(np.median(watch.recent))
        alike = float((np.abs(watch.recent - now_s) <= 0.1 * now_s).mean()) if now_s > 0 else 0.0
        if alike >= _SAME and abs(now_s - watch.period_s) > p.period * watch.period_s:
            return "sensor_period_changed", alike, _SAME
        for i, kind in _KINDS:
            if shares[i] >= limits[i]:
                return kind, shares[i], limits[i]
        return "", 0.0, p.share

    def _word(self, point: Point, watch: _Watch, share: float, limit: float, origin: Origin) -> Word:
        source = f"own habit of the first {self._parameters.intervals} intervals"
        return Word(
            at_ns=watch.last_ns,
            condition=watch.kind,
            severity=self._parameters.severity,
            origin=origin,
            confidence=0.9,
            numbers=(
                Number("share", significant(100 * share), "%", significant(100 * limit), source),
                Number("interval", significant(float(np.median(watch.recent))), "s"),
                Number("period", significant(watch.period_s), "s"),
            ),
            text={"point": point.id, "component": point.component},
        )

    def _declared(self, event: Declaration) -> list[Finding]:
        """A sensor was mended or is read otherwise on purpose: its habit is learned anew."""
        said: list[Finding] = []
        for point_id, watch in self._state.points.items():
            point = self._points[point_id]
            if event.what in RELEARNED and event.component in {None, point.component, point_id}:
                said += cleared(self._speaker(point), watch.episode, event)
                self._state.points[point_id] = _Watch()
        return said

    def _begin_anew(self, watch: _Watch) -> None:
        """A gap: what came before it says nothing about what comes after."""
        watch.last_ns = -1
        if not watch.episode.stands:
            watch.recent = watch.recent[:0]

    def _speaker(self, point: Point) -> Speaker:
        asset = self._asset.id
        return Speaker(self.kind, self.version, self._hash, asset, Family.DATA_QUALITY, point.id, "stamps")


def _differ(value: float, other: float) -> bool:
    """Whether two values are different; NaN is not different from NaN."""
    return value != other and (isfinite(value) or isfinite(other))
