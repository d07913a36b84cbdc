"""Surprise: a scalar does what it has not done before, by its level, spread, season or foreseeability."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float64, Json, Number, Origin
from andon.plant import Asset, Point
from detectors.baseline import cleared, shape
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant
from detectors.nearest_course import COUNT as COURSES
from detectors.operating import RunningParameters
from detectors.own_past import LEARN, Past, decades
from detectors.pace import Pace
from detectors.scalar_shape import COUNT, SPANS, Shape, look
from detectors.seen_before import Memory, discounted
from detectors.watching import Watching

_HOLD = 0.85  # of what a part said: parts of one event seldom speak in the same reading
_WHAT = (
    *("level", "level", "level", "spread", "spread", "spread") * 2,
    *("forecast",) * 2 + ("course",) * COURSES + ("day",) * 3 + ("week",) * 3,
)


@dataclass(slots=True)
class _Watch:
    """One channel: its shape, the past of its numbers, and what was said: 250 KB at most."""

    last_ns: int = -1
    from_ns: int = 0
    pace: Pace = field(default_factory=Pace)
    shape: Shape = field(default_factory=Shape)
    past: Past = field(default_factory=Past)
    held: Float64 = field(default_factory=lambda: np.zeros(COUNT))
    memory: Memory = field(default_factory=Memory)
    surprise: float = 0.0
    judged: int = 0
    said_at: int = -1
    calm: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    channels: dict[str, _Watch]


class Detector(Watching[str]):
    """Any declared scalar channel against its own past, at whatever rate it comes.

    Eighteen to twenty-four numbers (level and spread over three spans, errors of a forecast, distance from earlier
    courses and from the usual day and week) each become decades of improbability beside their own past; their
    held mean is the surprise, less what such surprises in the past take off. Raises at `limit`, updates when it is surprised again, clears when
    calm. Silent for the first `learn_count` readings of a channel.
    Source: measured on the Numenta Anomaly Benchmark (Lavin and Ahmad, IEEE ICMLA 2015).
    """

    kind = "surprise"
    version = "2"
    channel_bytes: ClassVar[int] = 256 * 1024
    """Of state per channel at most: it grows with the first thousand readings, and no further after two thousand."""

    class Parameters(RunningParameters):
        """When a scalar is called unusual."""

        channels: tuple[str, ...] = Field(
            default=(),
            description="The channels that are judged (point/quantity); left out, all that the plant document declares.",
        )
        limit: float = Field(
            default=1.4, gt=0.3, le=10, description="Mean decades of improbability that are a finding."
        )
        learn_count: int = Field(
            default=300, ge=LEARN, le=100_000, description="Readings of a channel before it is judged."
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

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._units = {
            f"{point.id}/{quantity}": unit
            for point in asset.points
            for quantity, unit in point.quantities.items()
            if not parameters.channels or f"{point.id}/{quantity}" in parameters.channels
        }
        super().__init__(asset, parameters, _State({channel: _Watch() for channel in self._units}))
        self._parameters = parameters
        self._speakers |= {
            channel: self._speaker(self._point(channel).component, channel) for channel in self._units
        }

    def surprise(self, channel: str) -> float:
        """How surprising the latest judged reading of a channel was, in mean decades of improbability."""
        return self._state.channels[channel].surprise

    def _wanted(self, channel: str, unit: str) -> str | None:
        return channel if self._units.get(channel) == unit else None

    def _point(self, channel: str) -> Point:
        return self._points[channel.partition("/")[0]]

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        found: list[Finding] = []
        for channel, watch in self._state.channels.items():
            if self._point(channel) in points:
                found += cleared(self._speakers[channel], watch.episode, why)
                self._state.channels[channel] = _Watch(
                    watch.last_ns, trend=watch.trend, episode=watch.episode
                )
        return found

    def _value(self, at_ns: int, key: str, value: float, origin: Origin) -> list[Finding]:
        watch = self._state.channels[key]
        if at_ns <= watch.last_ns or not self._runs_at(self._point(key).component, at_ns):
            return []
        if watch.pace.pauses(at_ns, self._parameters.gap_s):
            watch.calm = 0
        watch.from_ns = watch.from_ns if watch.judged else at_ns
        watch.last_ns = at_ns
        watch.trend.add(at_ns, value)
        _judge(watch, at_ns, value)
        return self._speak(key, watch, value, origin)

    def _speak(self, channel: str, watch: _Watch, value: float, origin: Origin) -> list[Finding]:
        p, episode, speaker = self._parameters, watch.episode, self._speakers[channel]
        watch.calm = watch.calm + 1 if watch.surprise < p.limit / 2 else 0
        rest = min(max(p.rest_least, p.rest_share * watch.judged), p.rest_most)
        if watch.judged <= p.learn_count:
            return []
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
        version = self._machine.versions.of(self._point(channel).component)
        return {
            "trend": watch.trend.shape(channel, self._units[channel], baseline=usual),
            "baseline": shape(version, watch.from_ns, watch.last_ns, watch.judged),
        }


def _judge(watch: _Watch, at_ns: int, value: float) -> None:
    watch.judged += 1
    for numbers in look(watch.shape, at_ns, value):
        _weigh(watch, numbers)


def _weigh(watch: _Watch, numbers: Float64) -> None:
    said = decades(watch.past, numbers, SPANS)
    active = int(np.count_nonzero(np.isfinite(said)))
    watch.held = np.fmax(_HOLD * watch.held, said)
    if active:
        watch.surprise = discounted(watch.memory, watch.held, float(watch.held.sum()) / active)


def _leading(held: Float64) -> str:
    """What contributes most: level, spread, forecast, course, day or week."""
    return _WHAT[int(held.argmax())]
