"""Surprise: a scalar does what it has not done before, by its level, spread, season or foreseeability."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from andon.events import (
    Declaration,
    Event,
    Family,
    Finding,
    Float64,
    Json,
    Number,
    Origin,
    Readings,
    StopAlarm,
)
from andon.plant import Asset
from andon.ports import State
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import Trend, significant
from detectors.intake import Intake
from detectors.own_past import LEARN, Past, decades
from detectors.running import STATE, Running
from detectors.scalar_shape import CORE, DAILY, WEEKLY, Shape, look
from detectors.seen_before import Memory, discounted
from detectors.state import flatten, load

_GROUPS = {"always": (0, CORE), "daily": (CORE, DAILY), "weekly": (DAILY, WEEKLY)}
_HOLD = 0.85  # of what a part said: parts of one event seldom speak in the same reading
_WHAT = (
    *("level", "level", "level", "spread", "spread", "spread") * 2,
    *("forecast", "forecast", "forecast", "course", "course", "day", "day", "day", "week", "week", "week"),
)


@dataclass(slots=True)
class _Watch:
    """One channel: its shape, the past of its numbers, and what was said. 50 KB while it learns, 40 later."""

    last_ns: int = -1
    shape: Shape = field(default_factory=Shape)
    pasts: dict[str, Past] = field(default_factory=lambda: {name: Past() for name in _GROUPS})
    held: Float64 = field(default_factory=lambda: np.zeros(WEEKLY))
    memory: Memory = field(default_factory=Memory)
    surprise: float = 0.0
    judged: int = 0
    said_at: int = -1
    calm: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    running: Running
    channels: dict[str, _Watch]


class Detector:
    """Any declared scalar channel against its own past, at whatever rate it comes.

    Seventeen to twenty-three numbers (level and spread over three spans, errors of a forecast, distance from earlier
    courses and from the usual day and week) each become decades of improbability beside their own past; their held mean is the surprise, less
    what such surprises in the past take off. Raises at `limit`, updates when it is surprised again, clears when
    calm. Silent for the first 150 readings of a channel.
    Source: measured on the Numenta Anomaly Benchmark (Lavin and Ahmad, IEEE ICMLA 2015).
    """

    kind = "surprise"
    version = "1"

    class Parameters(BaseModel):
        """When a scalar is called unusual."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        channels: tuple[str, ...] = Field(
            default=(),
            description="The channels that are judged (point/quantity); left out, all that the plant document declares.",
        )
        limit: float = Field(
            default=1.2, gt=0.3, le=10, description="Mean decades of improbability that are a finding."
        )
        rest_share: float = Field(
            default=0.05,
            ge=0,
            le=1,
            description="Part of the readings so far that pass before it speaks again.",
        )
        rest_least: int = Field(
            default=20, ge=1, le=100_000, description="Readings that pass at least before it speaks again."
        )
        rest_most: int = Field(
            default=288, ge=1, le=100_000, description="Readings after which it may always speak again."
        )
        calm_count: int = Field(
            default=30,
            ge=1,
            le=100_000,
            description="Readings in a row below half the limit that clear a finding.",
        )
        run_settle_s: float = Field(
            default=30.0, ge=0, le=86_400, description="Seconds in Execute before readings are judged."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._units = {
            f"{point.id}/{quantity}": unit
            for point in asset.points
            for quantity, unit in point.quantities.items()
            if not parameters.channels or f"{point.id}/{quantity}" in parameters.channels
        }
        hashed = parameters_hash(parameters)
        components = {point.id: point.component for point in asset.points}
        self._speakers = {
            channel: Speaker(
                self.kind,
                self.version,
                hashed,
                asset.id,
                Family.MACHINE_CONDITION,
                components[channel.partition("/")[0]],
                channel,
            )
            for channel in self._units
        }
        self._intake = Intake(self._wanted)
        self._settle_ns = round(parameters.run_settle_s * 1e9)
        self._state = _State(Running(), {channel: _Watch() for channel in self._units})

    def update(self, event: Event) -> Sequence[Finding]:
        """Judge the scalars in a block of readings."""
        if isinstance(event, StopAlarm | Declaration) and event.asset == self._asset.id:
            self._state.running.take_word(event)
        if not isinstance(event, Readings) or event.asset != self._asset.id:
            return ()
        rows = self._intake.rows(event)
        return [f for at_ns, channel, value in rows for f in self._take(at_ns, channel, value, event.origin)]

    def surprise(self, channel: str) -> float:
        """How surprising the latest judged reading of a channel was, in mean decades of improbability."""
        return self._state.channels[channel].surprise

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _wanted(self, channel: str, unit: str) -> str | None:
        return channel if channel == STATE or self._units.get(channel) == unit else None

    def _take(self, at_ns: int, channel: str, value: float, origin: Origin) -> list[Finding]:
        if channel == STATE:
            self._state.running.take_state(at_ns, value)
            return []
        watch = self._state.channels[channel]
        if at_ns <= watch.last_ns or not self._state.running.runs_at(at_ns, self._settle_ns):
            return []
        watch.last_ns = at_ns
        watch.trend.add(at_ns, value)
        _judge(watch, at_ns, value)
        return self._speak(channel, watch, value, origin)

    def _speak(self, channel: str, watch: _Watch, value: float, origin: Origin) -> list[Finding]:
        p, episode, speaker = self._parameters, watch.episode, self._speakers[channel]
        watch.calm = watch.calm + 1 if watch.surprise < p.limit / 2 else 0
        rest = min(max(p.rest_least, p.rest_share * watch.judged), p.rest_most)
        if watch.surprise >= p.limit and (watch.said_at < 0 or watch.judged - watch.said_at >= rest):
            watch.said_at = watch.judged
            word = self._word(channel, watch, value, origin)
            if episode.stands:
                return [speaker.updates(episode, word)]
            return [speaker.raises(episode, watch.last_ns, word)]
        if episode.stands and watch.calm >= p.calm_count:
            return [speaker.clears(episode, self._word(channel, watch, value, origin))]
        return []

    def _word(self, channel: str, watch: _Watch, value: float, origin: Origin) -> Word:
        limit, unit = self._parameters.limit, self._units[channel]
        usual = watch.shape.zero + watch.shape.unit * float(watch.shape.past_mean[2])
        return Word(
            at_ns=watch.last_ns,
            condition="unusual_course",
            severity=300 + 100 * min(3, max(0, int(watch.surprise / limit - 1))),
            origin=origin,
            confidence=min(0.9, 0.4 + 0.2 * watch.surprise / limit),
            numbers=(
                Number("surprise", significant(watch.surprise), "1", limit, "own past of the channel"),
                Number("value", significant(value), unit),
                Number("usual", significant(usual), unit),
            ),
            evidence=self._evidence(channel, watch, usual),
            text={"point": channel.partition("/")[0], "channel": channel, "what": _leading(watch.held)},
        )

    def _evidence(self, channel: str, watch: _Watch, usual: float) -> dict[str, Json]:
        return {"trend": watch.trend.shape(channel, self._units[channel], baseline=usual)}


def _judge(watch: _Watch, at_ns: int, value: float) -> None:
    watch.judged += 1
    for numbers in look(watch.shape, at_ns, value):
        _weigh(watch, numbers)


def _weigh(watch: _Watch, numbers: Float64) -> None:
    active = 0
    watch.held *= _HOLD
    for name, (begin, end) in _GROUPS.items():
        if numbers.size >= end:
            past = watch.pasts[name]
            np.maximum(watch.held[begin:end], decades(past, numbers[begin:end]), out=watch.held[begin:end])
            active += end - begin if past.count > LEARN else 0
    if active:
        watch.surprise = discounted(watch.memory, watch.held, float(watch.held.sum()) / active)


def _leading(held: Float64) -> str:
    """What contributes most: level, spread, forecast, course, day or week."""
    return _WHAT[int(held.argmax())]
