"""Irregular sensor: a measuring point that speaks, but not when it used to: jitter, bursts, lost rows, another period."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from math import ceil, isfinite
from statistics import median

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    Declaration,
    Event,
    Family,
    Finding,
    Float64,
    Gap,
    Int64,
    Number,
    Origin,
    Readings,
    StopAlarm,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import State
from detectors.baseline import RELEARNED, cleared
from detectors.columns import Column, columns, in_order, in_turn, is_long
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import significant
from detectors.running import STATE, Running
from detectors.state import flatten, load
from detectors.votes import cast, count

_SILENT_PERIODS, _SILENT_S = 3.0, 30.0  # a longer pause is a silence: `silent_sensor` speaks of it
_HABIT_OFF = 0.3  # a point that was never more regular than this has no period: it tells changes only
_ALIKE = 0.1  # share by which intervals of one period differ
_SHORT, _LONG = 0.5, 1.5
_TWICE = 0.0  # an interval that stands for two values of one stamp
_OFF, _BURST = 0, 2
_KINDS = ("sensor_jitter", "sensor_lost_rows", "sensor_bursts", "sensor_stamp_twice")


@dataclass(slots=True)
class _Watch:
    """One point: its leading channel, its latest intervals in seconds, and its habit once that is known."""

    leader: str = ""
    last_ns: int = -1
    last_value: float | None = None  # None: not a number
    learned: list[float] = field(default_factory=list)
    period_s: float = 0.0
    habit: list[float] = field(default_factory=list)  # usual shares of each fault
    recent: list[float] = field(default_factory=list)
    seen: int = 0
    votes: list[int] = field(default_factory=lambda: [0] * len(_KINDS))
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
    stamp: raises when one of them is a fifth and 0.15 above habit; if the latest are all alike, it is another
    period. Clears when all are below half of that. Nothing is judged across a gap that the line knows of, while the machine
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
        if is_long(event):
            named = [(event.channels[column.index], column) for column in columns(event)]
            finite = [
                column.picked(np.isfinite(column.value)) for channel, column in named if channel == STATE
            ]
            if all(self._state.running.stays(column.value) for column in finite) and self._are_led(named):
                return self._at_once(named, event.origin)
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

    def _at_once(self, named: Sequence[tuple[str, Column]], origin: Origin) -> list[Finding]:
        """Channel by channel, since only the first of each point counts, and the machine's state stays what it is."""
        said: list[tuple[int, Finding]] = []
        for channel, column in named:
            point_id = channel.partition("/")[0]
            watch = self._state.points.get(point_id)
            if channel == STATE:
                finite = column.picked(np.isfinite(column.value))
                newest_ns = int(finite.at_ns.max()) if finite.row.size else -1
                self._state.running.state_ns = max(self._state.running.state_ns, newest_ns)
            elif watch is not None and channel == watch.leader:
                take = partial(self._told, point_id, channel, origin)
                said += in_turn(column, partial(self._calm, watch), take)
        return in_order(said)

    def _are_led(self, named: Sequence[tuple[str, Column]]) -> bool:
        """Whether each of these points has a channel that stands for it."""
        watches = (self._state.points.get(channel.partition("/")[0]) for channel, _ in named)
        return all(watch is None or _is_led(watch) for watch in watches)

    def _told(self, point_id: str, channel: str, origin: Origin, at_ns: int, value: float) -> list[Finding]:
        return self._stamp(point_id, channel, at_ns, value, origin)

    def _calm(self, watch: _Watch, at_ns: Int64, value: Float64) -> int:
        """Take the readings up to the first whose interval is not a regular one, once the habit is known."""
        excused = watch.episode.stands or any(watch.votes) or not watch.habit or watch.last_ns < 0
        if excused or watch.habit[_OFF] > _HABIT_OFF or not self._state.running.judged(at_ns, 0).all():
            return 0
        interval_s = np.diff(at_ns, prepend=watch.last_ns) / 1e9
        ratio = interval_s / watch.period_s
        usual = (
            (np.abs(ratio - np.rint(ratio)) <= self._parameters.off) & (ratio >= _SHORT) & (ratio <= _LONG)
        )
        usual &= interval_s <= max(_SILENT_PERIODS * watch.period_s, _SILENT_S)
        many = at_ns.size if usual.all() else int(usual.argmin())
        if many:
            watch.recent = [*watch.recent, *interval_s[:many][-self._shortest :].tolist()][-self._shortest :]
            watch.seen = min(watch.seen + many, self._parameters.intervals)
            watch.last_ns, watch.last_value = int(at_ns[many - 1]), _finite(float(value[many - 1]))
        return many

    def _stamp(self, point_id: str, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch = self._state.points.get(point_id)
        if watch is None:
            return []
        if not _is_led(watch):
            watch.leader = channel  # the first channel that speaks stands for its point
        if channel != watch.leader or at_ns < watch.last_ns:
            return []
        if not self._state.running.runs_at(at_ns, 0):
            watch.last_ns = -1
            return []
        last_ns, last_value = watch.last_ns, watch.last_value
        watch.last_ns, watch.last_value = at_ns, _finite(value)
        if last_ns < 0 or (at_ns == last_ns and watch.last_value == last_value):
            return []
        return self._interval(self._points[point_id], watch, (at_ns - last_ns) / 1e9, origin)

    def _interval(self, point: Point, watch: _Watch, interval_s: float, origin: Origin) -> list[Finding]:
        p = self._parameters
        if not watch.habit:
            if interval_s <= max(_SILENT_PERIODS * (point.period_s or 0.0), _SILENT_S):
                self._learn(watch, interval_s)
            return []
        if watch.habit[_OFF] > _HABIT_OFF or interval_s > max(_SILENT_PERIODS * watch.period_s, _SILENT_S):
            return []
        watch.recent = [*watch.recent[1 - self._shortest :], interval_s]
        watch.seen = min(watch.seen + 1, p.intervals)
        faults = self._faults(interval_s, watch.period_s)
        if not (watch.episode.stands or any(watch.votes) or any(faults)):
            return []
        watch.votes = [cast(v, fault, p.intervals) for v, fault in zip(watch.votes, faults, strict=True)]
        return self._judge(point, watch, origin) if watch.seen == p.intervals else []

    def _learn(self, watch: _Watch, interval_s: float) -> None:
        watch.learned = [*watch.learned, interval_s]
        if len(watch.learned) < self._parameters.intervals:
            return
        known, watch.learned = watch.learned, []
        watch.period_s = median(known)
        faults = [self._faults(s, watch.period_s) if watch.period_s > 0 else [True] * 4 for s in known]
        watch.habit = [sum(kind) / len(known) for kind in zip(*faults, strict=True)]

    def _faults(self, interval_s: float, period_s: float) -> list[bool]:
        """Whether the interval is off its beat, spans lost rows, is too short, and is none at all."""
        ratio = interval_s / period_s
        whole = abs(ratio - round(ratio)) <= self._parameters.off
        twice, burst = interval_s == _TWICE, _TWICE < ratio < _SHORT
        return [burst or not whole, whole and ratio > _LONG, burst, twice]

    @property
    def _shortest(self) -> int:
        """So many intervals are enough for a finding."""
        return ceil(self._parameters.share * self._parameters.intervals)

    def _judge(self, point: Point, watch: _Watch, origin: Origin) -> list[Finding]:
        p, episode = self._parameters, watch.episode
        shares = [count(votes) / p.intervals for votes in watch.votes]
        limits = [max(p.share, usual + p.above_habit) for usual in watch.habit]
        worst = max(range(len(shares)), key=lambda i: shares[i] - limits[i])
        share, limit = shares[worst], limits[worst]
        speaker = self._speaker(point)
        if share >= limit and not episode.stands:
            watch.kind = self._kind(watch, worst, shares)
            began_ns = watch.last_ns - round(sum(watch.recent) * 1e9)
            word = self._word(point, watch, share, limit, origin)
            return [speaker.raises(episode, began_ns, word)]
        if episode.stands and all(s < most / 2 for s, most in zip(shares, limits, strict=True)):
            return [speaker.clears(episode, self._word(point, watch, share, limit, origin))]
        return []

    def _kind(self, watch: _Watch, worst: int, shares: Sequence[float]) -> str:
        now_s = median(watch.recent)
        alike = all(abs(interval_s - now_s) <= _ALIKE * now_s for interval_s in watch.recent)
        if alike and abs(now_s - watch.period_s) > self._parameters.period * watch.period_s:
            return "sensor_period_changed"
        if worst == _OFF and shares[_BURST] >= shares[_OFF] / 2:
            return _KINDS[_BURST]
        return _KINDS[worst]

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
                Number("interval", significant(median(watch.recent or [0.0])), "s"),
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
            watch.recent, watch.seen, watch.votes = [], 0, [0] * len(_KINDS)

    def _speaker(self, point: Point) -> Speaker:
        asset = self._asset.id
        return Speaker(self.kind, self.version, self._hash, asset, Family.DATA_QUALITY, point.id, "stamps")


def _is_led(watch: _Watch) -> bool:
    return watch.last_ns >= 0 or bool(watch.learned or watch.habit)


def _finite(value: float) -> float | None:
    """NaN is not different from NaN, and a state has no word for it."""
    return value if isfinite(value) else None
