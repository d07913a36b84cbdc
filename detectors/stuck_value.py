"""Stuck value: a sensor that always moved gives one and the same value for far longer than it ever did."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from andon.events import Declaration, Family, Finding, Float64, Int64, Number, Origin
from andon.plant import Asset
from detectors.baseline import cleared, shape, source_of
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant
from detectors.scalar_channels import ChannelParameters, Channels, Heard, ScalarKind

_SAME = 1e-9  # relative: below it two values are one, whatever arithmetic they went through


@dataclass(slots=True)
class _Watch:
    """One channel: the run of equal values it is in, and the longest of the learning period. 2 KB."""

    version: int = 1
    first_ns: int = -1
    frozen_ns: int = -1
    learned: int = 0
    longest_ns: int = 0
    last: float = 0.0
    last_ns: int = -1
    began_ns: int = -1
    stood_ns: int = 0
    readings: int = 0
    changes: int = 0
    trend: Trend = field(default_factory=Trend.short)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    heard: Heard
    channels: dict[str, _Watch]


class Detector(ScalarKind):
    """The time that a declared scalar gives one value, against the longest such time in a learning period of a week.

    Only time that was heard counts: between two readings no more than `longest_step_s`. Raises after three times the
    longest usual standstill, at least half an hour and thirty readings; a quantised value that stands for
    hours each night is given three such nights. A channel that stood for a quarter of the learning period,
    or changed less than ten times in it, is a setting and is never called stuck. Clears when it has moved ten times.
    DEFAULTS: every class, on all declared scalars.
    Source: flat-line test of quality control (QARTOD, IOOS 2020, test 8), with its length learned per channel.
    """

    kind = "stuck_value"
    version = "1"

    class Parameters(ChannelParameters):
        """When a value that does not move is stuck."""

        learn_s: float = Field(
            default=7 * 86_400.0,
            ge=60,
            le=60 * 86_400,
            description="Seconds of learning how long the channel stands still.",
        )
        times: float = Field(
            default=3.0,
            ge=1,
            le=100,
            description="Times the longest standstill of the learning period that are too long.",
        )
        minimum_s: float = Field(
            default=1800.0,
            ge=1,
            le=30 * 86_400,
            description="Shortest standstill in seconds that is too long.",
        )
        minimum_readings: int = Field(
            default=30, ge=3, le=100_000, description="Fewest equal readings that are too many."
        )
        longest_step_s: float = Field(
            default=3600.0,
            ge=1,
            le=86_400,
            description="Seconds between two readings that count at most: the rest was not heard.",
        )
        constant_share: float = Field(
            default=0.25,
            gt=0,
            le=1,
            description="A channel that stood for this share of the learning period is never called stuck.",
        )
        clear_changes: int = Field(default=10, ge=1, le=1000, description="Changes of the value that clear.")
        severity: int = Field(
            default=300, ge=1, le=1000, description="Severity (1-1000, OPC UA) of a stuck value."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._parameters = parameters
        self._channels = Channels(asset, parameters, self.kind, self.version, Family.DATA_QUALITY)
        self._step_ns = round(parameters.longest_step_s * 1e9)
        self._learn_ns = round(parameters.learn_s * 1e9)
        self._state = _State(Heard(), {channel: _Watch() for channel in self._channels.units})

    def _take(self, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch = self._state.channels[channel]
        moved = watch.last_ns < 0 or abs(value - watch.last) > _SAME * abs(value)
        step_ns = min(at_ns - watch.last_ns, self._step_ns) if watch.last_ns >= 0 else 0
        watch.last, watch.last_ns = value, at_ns
        watch.first_ns = at_ns if watch.first_ns < 0 else watch.first_ns
        watch.trend.add(at_ns, value)
        if moved:
            watch.began_ns, watch.stood_ns, watch.readings = at_ns, 0, 1
            watch.changes += 1
        else:
            watch.stood_ns += step_ns
            watch.readings += 1
        if watch.frozen_ns < 0:
            self._learn(watch, at_ns)
            return []
        return self._speak(channel, watch, at_ns, origin)

    def _calm(self, channel: str, at_ns: Int64, value: Float64) -> int:
        """Take the readings up to the one that ends the learning period or that may be stuck."""
        watch = self._state.channels[channel]
        learns, many = watch.frozen_ns < 0, at_ns.size
        if watch.last_ns < 0 or watch.episode.stands:
            return 0
        if learns:
            many = int(np.searchsorted(at_ns, watch.first_ns + self._learn_ns))
        moved, stood_ns, readings = self._runs(watch, at_ns, value)
        if not learns and watch.longest_ns <= self._parameters.constant_share * self._learn_ns:
            long = (stood_ns > self._limit_ns(watch)) & (readings >= self._parameters.minimum_readings)
            many = int(long.argmax()) if long.any() else many
        if not many:
            return 0
        at_ns, value, moved, last = at_ns[:many], value[:many], moved[:many], many - 1
        watch.trend.extend(at_ns, value)
        watch.last, watch.last_ns = float(value[last]), int(at_ns[last])
        watch.stood_ns, watch.readings = int(stood_ns[last]), int(readings[last])
        if moved.any():
            watch.began_ns = int(at_ns[moved][-1])
            watch.changes += int(moved.sum())
        if learns:
            watch.learned += many
            watch.longest_ns = max(watch.longest_ns, int(stood_ns[:many].max()))
        return many

    def _runs(self, watch: _Watch, at_ns: Int64, value: Float64) -> tuple[NDArray[np.bool_], Int64, Int64]:
        """Of each reading: whether the value moved, and how long and for how many readings it has been the same."""
        moved = np.abs(np.diff(value, prepend=watch.last)) > _SAME * np.abs(value)
        step_ns = np.minimum(np.diff(at_ns, prepend=watch.last_ns), self._step_ns)
        place = np.arange(at_ns.size)
        began = np.maximum.accumulate(np.where(moved, place, -1))  # -1: before the first of these
        heard_ns = np.cumsum(np.where(moved, 0, step_ns))
        stood_ns = heard_ns - np.where(began < 0, -watch.stood_ns, heard_ns[began])
        return moved, stood_ns, np.where(began < 0, watch.readings + place + 1, place - began + 1)

    def _learn(self, watch: _Watch, at_ns: int) -> None:
        watch.learned += 1
        watch.longest_ns = max(watch.longest_ns, watch.stood_ns)
        if at_ns - watch.first_ns >= self._learn_ns and watch.changes:
            watch.frozen_ns = at_ns
            if watch.changes < self._parameters.clear_changes:  # a setting, however often it was changed
                watch.longest_ns = max(watch.longest_ns, self._learn_ns)

    def _speak(self, channel: str, watch: _Watch, at_ns: int, origin: Origin) -> list[Finding]:
        p, speaker = self._parameters, self._channels.speakers[channel]
        if watch.episode.stands:
            if watch.changes < p.clear_changes:
                return []
            return [speaker.clears(watch.episode, self._word(channel, watch, at_ns, origin))]
        long = watch.stood_ns > self._limit_ns(watch) and watch.readings >= p.minimum_readings
        if not long or watch.longest_ns > p.constant_share * self._learn_ns:
            return []
        watch.changes = 0
        return [speaker.raises(watch.episode, watch.began_ns, self._word(channel, watch, at_ns, origin))]

    def _limit_ns(self, watch: _Watch) -> int:
        p = self._parameters
        return max(round(p.times * watch.longest_ns), round(p.minimum_s * 1e9))

    def _relearn(self, channel: str, why: Declaration) -> list[Finding]:
        watch = self._state.channels[channel]
        self._state.channels[channel] = _Watch(version=watch.version + 1, trend=watch.trend)
        return cleared(self._channels.speakers[channel], watch.episode, why)

    def _word(self, channel: str, watch: _Watch, at_ns: int, origin: Origin) -> Word:
        p, unit = self._parameters, self._channels.units[channel]
        source = (
            f"{p.times:g} x its longest standstill, at least {p.minimum_s:g} s, {source_of(watch.version)}"
        )
        return Word(
            at_ns=at_ns,
            condition="stuck_value",
            severity=p.severity,
            origin=origin,
            confidence=0.9,
            numbers=(
                Number(
                    "stood_s",
                    significant(watch.stood_ns / 1e9),
                    "s",
                    significant(self._limit_ns(watch) / 1e9),
                    source,
                ),
                Number("longest_s", significant(watch.longest_ns / 1e9), "s"),
                Number("value", significant(watch.last), unit),
            ),
            evidence={
                "trend": watch.trend.shape(channel, unit),
                "baseline": shape(watch.version, watch.first_ns, watch.frozen_ns, watch.learned),
            },
            text={"point": channel.partition("/")[0], "channel": channel},
        )
