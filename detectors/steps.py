"""A step that stays: the latest spans are off the frozen baseline, and off what was just before, by more than ever."""

from dataclasses import dataclass, field
from typing import ClassVar, Literal

import numpy as np
from pydantic import Field

from andon.events import Finding, Float32, Float64, Int64
from detectors.episode import Episode, Speaker, Word
from detectors.evidence import Trend
from detectors.scalar_bins import Bins, Span
from detectors.usual import Usual, UsualParameters, anew, assessable, foreseen, learn

_FEWEST_BEFORE = 6
_TO_SIGMA = 1.4826
Said = Literal["", "raise", "update", "clear"]


class StepParameters(UsualParameters):
    """When a change is a step that stays."""

    of_days: ClassVar[bool] = False
    """Whether sigma is what spans stray from the days before, where that is less than from the baseline: no season is in it."""
    now_spans: int = Field(
        default=3, ge=1, le=48, description="Latest spans whose median is the level that is judged."
    )
    before_spans: int = Field(
        default=48, ge=6, le=200, description="Spans before them whose median is where the step began."
    )
    least_sigmas: float = Field(
        default=6.0,
        gt=0,
        le=100,
        description="Smallest step that counts, in units of what the baseline did not foresee.",
    )
    margin: float = Field(
        default=2.0,
        ge=1,
        le=20,
        description="Times the largest step in the learning period that a step must exceed.",
    )
    clear_spans: int = Field(
        default=12, ge=1, le=1000, description="Latest spans whose median, below half the limit, clears."
    )


def _none() -> Float32:
    return np.zeros(0, np.float32)


@dataclass(slots=True)
class Stepping:
    """One channel: what is usual, how far off the latest spans are (in units), and what was said. 3 KB."""

    bins: Bins = field(default_factory=Bins)
    usual: Usual = field(default_factory=Usual)
    off: Float32 = field(default_factory=_none)
    number: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    limit: float = 0.0
    now: float = 0.0
    before: float = 0.0
    said: float = 0.0
    over_ns: int = 0
    trend: Trend = field(default_factory=Trend.short)
    episode: Episode = field(default_factory=Episode)


def take(watch: Stepping, span: Span, value: float, p: StepParameters) -> Said:
    """Take what a span says and decide what to say: nothing while the baseline is learned or was never like this."""
    if not watch.usual.frozen:
        errors = learn(watch.usual, span, value, p)
        if not errors.size:
            return ""
        _begin(watch, errors, p)
    off = (value - foreseen(watch.usual, span.number)) / watch.usual.unit
    if not (np.isfinite(off) and assessable(watch.usual, span)):
        return ""
    most = p.now_spans + p.before_spans + p.clear_spans
    watch.off = np.append(watch.off, np.float32(off))[-most:]
    watch.number = np.append(watch.number, span.number)[-most:]
    watch.trend.add(span.number * p.span_ns + p.span_ns // 2, watch.usual.level + off * watch.usual.unit)
    return _judge(watch, p)


def onset_ns(watch: Stepping, p: StepParameters) -> int:
    """When the step came: the first span on its far side, and the parts of that and the one before that lie beyond."""
    jump = watch.now - watch.before
    share = (watch.off.astype(np.float64) - watch.before) / jump
    first = share.size - 1
    while first > 0 and share[first - 1] > 0.5:
        first -= 1
    beyond = min(1.0, float(share[first]))
    if first > 0 and watch.number[first - 1] == watch.number[first] - 1:
        beyond += max(0.0, float(share[first - 1]))
    return max(watch.over_ns, int(watch.number[first] + 1) * p.span_ns - round(beyond * p.span_ns))


def speak(watch: Stepping, said: Said, speaker: Speaker, word: Word, p: StepParameters) -> list[Finding]:
    """Say it."""
    if said == "clear":
        watch.over_ns = word.at_ns + 1
        return [speaker.clears(watch.episode, word)]
    watch.said = watch.now
    if said == "update":
        return [speaker.updates(watch.episode, word)]
    watch.said = max(watch.now, float(watch.off[-1]), key=abs)  # the span in which it came holds a part of it
    return [speaker.raises(watch.episode, onset_ns(watch, p), word)]


def relearn(watch: Stepping, at_ns: int) -> None:
    """Forget what was usual before; the next baseline has the next version."""
    watch.over_ns = max(watch.over_ns, at_ns + 1)
    watch.usual, watch.bins = anew(watch.usual, at_ns), Bins()
    watch.off, watch.number = _none(), np.zeros(0, np.int64)


def _begin(watch: Stepping, errors: Float64, p: StepParameters) -> None:
    """The limit follows from the largest step of the same kind that the healthy period made by itself."""
    known = np.flatnonzero(np.isfinite(errors))
    off = errors[known]
    ends = range(p.now_spans + _FEWEST_BEFORE, off.size + 1)
    levels = np.array([_levels(off[:end], p) for end in ends]).reshape(-1, 2)
    now, jump = levels[:, 0], levels[:, 0] - levels[:, 1]
    ways = np.where(now * jump > 0, np.minimum(np.abs(now), np.abs(jump)), 0.0)
    apart = np.abs(off[ends.start - 1 :] - levels[:, 1])
    sigma = min(1.0, _TO_SIGMA * float(np.median(apart))) if p.of_days and apart.size else 1.0
    own, least = float(ways.max(initial=0.0)), p.least_sigmas * sigma
    if p.of_days and own > least:  # it steps by itself, and the longest such step may not have come yet
        own = max(own, float(np.abs(off).max()))
    watch.limit = max(least, p.margin * own)
    watch.limit = max(watch.limit, p.least(watch.usual.level, watch.usual.finest) / watch.usual.unit)
    watch.off = off[-p.before_spans :].astype(np.float32)
    watch.number = watch.usual.first + known[-p.before_spans :]


def _levels(off: Float64, p: StepParameters) -> tuple[float, float]:
    """The median of the latest spans, and of those before them."""
    before = off[-p.now_spans - p.before_spans : -p.now_spans]
    return float(np.median(off[-p.now_spans :])), float(np.median(before))


def _judge(watch: Stepping, p: StepParameters) -> Said:
    off = watch.off.astype(np.float64)
    if watch.episode.stands:
        watch.now = float(np.median(off[-p.now_spans :]))
        settled = watch.number[-1] * p.span_ns - watch.episode.onset_ns >= p.clear_spans * p.span_ns
        if settled and abs(np.median(off[-p.clear_spans :])) < watch.limit / 2:
            return "clear"
        return "update" if abs(watch.now) >= 2 * abs(watch.said) else ""
    if off.size < p.now_spans + _FEWEST_BEFORE:
        return ""
    watch.now, watch.before = _levels(off, p)
    jump = watch.now - watch.before
    far = min(abs(watch.now), abs(jump)) > watch.limit
    return "raise" if far and watch.now * jump > 0 else ""
