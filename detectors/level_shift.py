"""Level shift: a scalar steps away from what is usual at this hour, and stays there."""

from dataclasses import dataclass
from typing import ClassVar

from pydantic import Field

from andon.events import Declaration, Finding, Float64, Int64, Number, Origin
from andon.plant import Asset
from detectors.baseline import cleared, source_of
from detectors.episode import Word
from detectors.evidence import significant
from detectors.forecast import ahead, reached
from detectors.scalar_bins import fill
from detectors.scalar_bins import take as put
from detectors.scalar_channels import Channels, Heard, ScalarKind
from detectors.steps import StepParameters, Stepping, onset_ns, relearn, speak, take
from detectors.usual import LEAST_STEPS, described


@dataclass(slots=True)
class _State:
    heard: Heard
    channels: dict[str, Stepping]


class Detector(ScalarKind):
    """Hourly means of declared scalars against a frozen baseline with the shape of its day or week.

    Two weeks are learned from; then it raises when the median of the latest three hours is off the baseline, and off
    the two days before, by more than six sigma and twice as much as any step of the
    learning period: a change that came at once, not a season. Sigma is the baseline's own error or, where that is
    less, how far an hour strays from the two days before: two weeks of other weather do not dull it. A channel
    that takes such steps while it is learned (stops that nobody tells) has to go twice as far as in its furthest hour.
    The onset is the time of the step. Updates when the
    step has doubled, clears when half a day is back below half the limit. Hours in which a channel that always moves
    stood still are not judged: that is a stuck sensor.
    DEFAULTS: every class, on all declared scalars; a step on one channel is worth a look, seldom a stop.
    Source: the step statistic and its limit from the healthy period itself follow ISO 7870-2 (control charts with
    measured spread); hysteresis ISA-18.2; robust scale Rousseeuw and Croux 1993.
    """

    kind = "level_shift"
    version = "1"

    class Parameters(StepParameters):
        """When a step is a finding, and to which limits its trend is foretold."""

        of_days: ClassVar[bool] = True
        least_percent: float = Field(
            default=1.0,
            ge=0,
            le=100,
            description="Per cent of the usual value below which no step counts, however small the noise.",
        )
        limits: dict[str, float] = Field(
            default={}, description="Limit of a channel (point/quantity) that its trend is foretold to."
        )
        severity: int = Field(
            default=300, ge=1, le=900, description="Severity (1-1000, OPC UA) at the limit."
        )

        def least(self, level: float, finest: float) -> float:
            """The smallest step that counts."""
            return max(0.01 * self.least_percent * abs(level), LEAST_STEPS * finest)

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._channels = Channels(asset, parameters, self.kind, self.version)
        self._state = _State(Heard(), {channel: Stepping() for channel in self._channels.units})

    def _take(self, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch, p = self._state.channels[channel], self._parameters
        span = put(watch.bins, at_ns, value, p.span_ns)
        said = take(watch, span, span.level, p) if span else ""
        if not said:
            return []
        word = self._word(channel, watch, at_ns, origin)
        return speak(watch, said, self._channels.speakers[channel], word, p)

    def _calm(self, channel: str, at_ns: Int64, value: Float64) -> int:
        return fill(self._state.channels[channel].bins, at_ns, value, self._parameters.span_ns)

    def _relearn(self, channel: str, why: Declaration) -> list[Finding]:
        watch = self._state.channels[channel]
        findings = cleared(self._channels.speakers[channel], watch.episode, why)
        relearn(watch, why.at_ns)
        return findings

    def _word(self, channel: str, watch: Stepping, at_ns: int, origin: Origin) -> Word:
        p, usual, unit = self._parameters, watch.usual, self._channels.units[channel]
        limit, now = watch.limit * usual.unit, watch.now * usual.unit
        began_ns = watch.episode.onset_ns if watch.episode.stands else onset_ns(watch, p)
        foretold = ahead(*watch.trend.since(began_ns), usual.level, p.limits.get(channel))
        source = f"{p.least_sigmas:g} sigma and {p.margin:g} x its own steps, {source_of(usual.version)}"
        shape = watch.trend.shape(
            channel, unit, baseline=usual.level, limit=usual.level + (limit if now > 0 else -limit)
        )
        return Word(
            at_ns=at_ns,
            condition="level_shift",
            severity=min(900, p.severity + 100 * int(min(3.0, abs(watch.now) / watch.limit - 1))),
            origin=origin,
            confidence=min(0.95, 0.5 + 0.1 * abs(watch.now) / watch.limit),
            numbers=(
                Number("shift", significant(now), unit, significant(limit), source),
                Number("value", significant(usual.level + now), unit),
                Number("usual", significant(usual.level), unit),
                *reached(foretold, at_ns),
            ),
            evidence={
                "trend": shape,
                "baseline": described(usual, p),
                "forecast": foretold,
            },
            text={"point": channel.partition("/")[0], "channel": channel},
        )
