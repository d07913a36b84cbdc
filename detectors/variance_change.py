"""Variance change: a scalar moves from one reading to the next more than it used to, or hardly any more."""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float64, Int64, Number, Origin
from andon.plant import Asset
from detectors.baseline import cleared, source_of
from detectors.episode import Word
from detectors.evidence import significant
from detectors.scalar_bins import fill
from detectors.scalar_bins import take as put
from detectors.scalar_channels import Channels, Heard, ScalarKind
from detectors.steps import StepParameters, Stepping, relearn, speak, take
from detectors.usual import described

_LONGEST_SILENCE = 0.5  # of a span: a part of it moves otherwise than the whole
_CONDITION = ("variance_collapse", "variance_rise")


@dataclass(slots=True)
class _State:
    heard: Heard
    channels: dict[str, Stepping]


class Detector(ScalarKind):
    """The mean absolute move between readings, four hours at a time, against a frozen baseline of its logarithm.

    Moves from one reading to the next know nothing of level, day or slow drift. It raises when the latest two spans
    are off the baseline by a factor of two, and by more than its errors and twice its own steps in the learning period
    explain. The sentence says whether the spread rose (loose contact, hunting control, cavitation) or collapsed (a
    clogged line, a filtered signal). Spans without any move, or with fewer than eight, are not judged (`stuck_value`
    speaks of them), nor are those that were silent for half of their time.
    DEFAULTS: every class, on all declared scalars.
    Source: mean square successive difference (von Neumann 1941), absolute to bear outliers; limit as in ISO 7870-2
    from the healthy period itself.
    """

    kind = "variance_change"
    version = "1"

    class Parameters(StepParameters):
        """When another spread is a finding."""

        span_s: float = Field(
            default=14_400.0,
            ge=1,
            le=86_400,
            description="Seconds whose mean move is one value of the spread.",
        )
        fewest_moves: int = Field(
            default=8, ge=2, le=1000, description="Moves in a span below which its spread is not known."
        )
        now_spans: int = Field(
            default=2, ge=1, le=48, description="Latest spans whose median is the spread that is judged."
        )
        before_spans: int = Field(
            default=12, ge=6, le=200, description="Spans before them whose median is where the change began."
        )
        clear_spans: int = Field(
            default=3, ge=1, le=1000, description="Latest spans whose median, below half the limit, clears."
        )
        least_sigmas: float = Field(
            default=4.0,
            gt=0,
            le=100,
            description="Smallest change of ln(spread) that counts, in units of what the baseline did not foresee.",
        )
        least_ratio: float = Field(
            default=2.0, gt=1, le=1000, description="Smallest ratio to the usual spread that counts."
        )
        severity: int = Field(
            default=200, ge=1, le=900, description="Severity (1-1000, OPC UA) at the limit."
        )

        def least(self, level: float, finest: float) -> float:  # noqa: ARG002 - a ratio counts the same at any level
            """The smallest change that counts, in ln(spread)."""
            return math.log(self.least_ratio)

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._channels = Channels(asset, parameters, self.kind, self.version)
        self._state = _State(Heard(), {channel: Stepping() for channel in self._channels.units})

    def _take(self, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch, p = self._state.channels[channel], self._parameters
        span = put(watch.bins, at_ns, value, p.span_ns, typical=True)
        if span is None or span.moves < p.fewest_moves or not span.move or span.silent > _LONGEST_SILENCE:
            return []
        said = take(watch, span, math.log(span.move), p)
        if not said:
            return []
        word = self._word(channel, watch, at_ns, origin)
        return speak(watch, said, self._channels.speakers[channel], word, p)

    def _calm(self, channel: str, at_ns: Int64, value: Float64) -> int:
        return fill(self._state.channels[channel].bins, at_ns, value, self._parameters.span_ns, typical=True)

    def _relearn(self, channel: str, why: Declaration) -> list[Finding]:
        watch = self._state.channels[channel]
        findings = cleared(self._channels.speakers[channel], watch.episode, why)
        relearn(watch, why.at_ns)
        return findings

    def _word(self, channel: str, watch: Stepping, at_ns: int, origin: Origin) -> Word:
        p, usual, unit = self._parameters, watch.usual, self._channels.units[channel]
        ratio, most = math.exp(watch.now * usual.unit), math.exp(watch.limit * usual.unit)
        most = most if ratio > 1 else 1 / most
        shape = watch.trend.shape(channel, unit)
        shape["value"] = significant(np.exp(np.array(shape["value"])))
        shape["baseline"] = significant(math.exp(usual.level))
        shape["limit"] = significant(math.exp(usual.level) * most)
        source = f"ratio {p.least_ratio:g}, {p.least_sigmas:g} sigma and {p.margin:g} x its own steps, {source_of(usual.version)}"
        return Word(
            at_ns=at_ns,
            condition=watch.episode.condition if watch.episode.stands else _CONDITION[ratio > 1],
            severity=min(900, p.severity + 100 * int(min(3.0, abs(watch.now) / watch.limit - 1))),
            origin=origin,
            confidence=min(0.9, 0.5 + 0.1 * abs(watch.now) / watch.limit),
            numbers=(
                Number("ratio", significant(ratio), "× usual", significant(most), source),
                Number("spread", significant(math.exp(usual.level) * ratio), unit),
                Number("usual", significant(math.exp(usual.level)), unit),
            ),
            evidence={"trend": shape, "baseline": described(usual, p)},
            text={"point": channel.partition("/")[0], "channel": channel},
        )
