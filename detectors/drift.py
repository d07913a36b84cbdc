"""Drift: a scalar creeps away from its frozen baseline, day after day, under whatever the day itself does."""

from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float64, Int64, Json, Number, Origin
from andon.plant import Asset
from detectors import adwin, page_hinkley
from detectors.baseline import cleared, source_of
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant
from detectors.forecast import ahead, reached
from detectors.scalar_bins import Bins, Span, fill
from detectors.scalar_bins import take as put
from detectors.scalar_channels import Channels, Heard, ScalarKind
from detectors.slope import Slope, slope_of
from detectors.usual import (
    DAY_S,
    LEAST_STEPS,
    Usual,
    UsualParameters,
    anew,
    assessable,
    described,
    foreseen,
    learn,
)

_MOST = 28  # points kept
_HINKLEY = {
    "min_instances": 3,
    "delta": 0.25,
    "threshold": 8.0,
}  # of points, in units of the baseline's errors
_ADWIN = {"delta": 0.002, "clock": 8}  # of hours, scaled so that 16 units are its range of 1
_RANGE = 16.0
_QUARTERS = 4  # points of the trend that is shown in each part
_GREW = 1.5  # times as far as last said is worth an update


@dataclass(slots=True)
class _Watch:
    """One channel: what is usual, the points since, and when two tests of the mean last spoke. 4 KB."""

    bins: Bins = field(default_factory=Bins)
    usual: Usual = field(default_factory=Usual)
    part: int = -1
    off: Float64 = field(default_factory=lambda: np.zeros(0))
    points: Float64 = field(default_factory=lambda: np.zeros(0))
    numbers: Int64 = field(default_factory=lambda: np.zeros(0, np.int64))
    hinkley: page_hinkley.PageHinkley = field(default_factory=lambda: page_hinkley.page_hinkley(1))
    windows: adwin.Adwin = field(default_factory=lambda: adwin.adwin(1))
    hinkley_part: int = -1
    adwin_part: int = -1
    limit: float = 0.0
    now: float = 0.0
    said: float = 0.0
    low: int = 0
    over_ns: int = 0
    trend: Trend = field(default_factory=Trend.short)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    heard: Heard
    channels: dict[str, _Watch]


class Detector(ScalarKind):
    """Daily medians of what a frozen baseline with the shape of day or week did not foresee.

    Three tests have to agree on the latest week or two: the slope through the points (Theil and Sen), with four of
    five pairs going its way (Kendall) and no single step that explains half of it; Page-Hinkley on the points; ADWIN
    on the hours. And in that time the channel must have come further than four of the baseline's errors and twice
    as far as any day of the learning period: a hall that warms from winter to summer is slower. The onset is where
    the slope leaves the baseline. Updates when it has grown by half, clears when three points in a row are below
    half the limit; where the channel's limit is known, it says when it will be reached, or why that is unknown.
    Measured on 612 months of simulated healthy channels: 4 findings, in weather that moved by as much; one sigma a day is
    found after 5 days, 95 of 100.
    DEFAULTS: every class, on all declared scalars: the creeping bearing temperature of any machine.
    Source: Page 1954 and Bifet and Gavalda 2007 as river has them; Theil 1950, Sen 1968, Kendall 1938; forecast
    ISO 13381-1:2015.
    """

    kind = "drift"
    version = "1"

    class Parameters(UsualParameters):
        """When a creeping change is a finding, and to which limits it is foretold."""

        part_s: float = Field(
            default=float(DAY_S), ge=60, le=7 * DAY_S, description="Seconds whose median is one point."
        )
        part_filled: float = Field(
            default=0.25, gt=0, le=1, description="Share of a point's spans that must hold readings."
        )
        points: int = Field(
            default=7,
            ge=5,
            le=_MOST,
            description="Latest points that the slope is taken from, and twice as many; at least five are needed.",
        )
        concordant: float = Field(
            default=0.8, ge=0.5, le=1, description="Share of their pairs that must go the slope's way."
        )
        least_slope: float = Field(
            default=0.2,
            ge=0,
            le=10,
            description="Units of the baseline's errors per point below which it is a season.",
        )
        least_sigmas: float = Field(
            default=4.0,
            gt=0,
            le=100,
            description="Distance from the baseline that counts, in units of its errors.",
        )
        margin: float = Field(
            default=2.0,
            ge=1,
            le=20,
            description="Times the furthest point of the learning period that it must exceed.",
        )
        least_percent: float = Field(
            default=1.0,
            ge=0,
            le=100,
            description="Per cent of the usual value below which no change counts, however small the noise.",
        )
        clear_points: int = Field(
            default=3, ge=1, le=_MOST, description="Points in a row below half the limit that clear."
        )
        limits: dict[str, float] = Field(
            default={}, description="Limit of a channel (point/quantity) that its trend is foretold to."
        )
        severity: int = Field(
            default=300, ge=1, le=900, description="Severity (1-1000, OPC UA) at the limit."
        )

        def least(self, level: float, finest: float) -> float:
            """The smallest change that counts."""
            return max(0.01 * self.least_percent * abs(level), LEAST_STEPS * finest)

        @property
        def part_spans(self) -> int:
            """Spans in a part."""
            return max(1, round(self.part_s / self.span_s))

        @property
        def enough(self) -> float:
            """Spans of a part that must hold readings."""
            return max(1.0, self.part_filled * self.part_spans)

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._channels = Channels(asset, parameters, self.kind, self.version)
        self._state = _State(Heard(), {channel: _Watch() for channel in self._channels.units})

    def _take(self, channel: str, at_ns: int, value: float, origin: Origin) -> list[Finding]:
        watch, p = self._state.channels[channel], self._parameters
        span = put(watch.bins, at_ns, value, p.span_ns)
        if span is None:
            return []
        if not watch.usual.frozen:
            errors = learn(watch.usual, span, span.level, p)
            if not errors.size:
                return []
            watch.limit = _limit(errors, watch.usual, p)
        findings = []
        if span.number // p.part_spans != watch.part:
            if watch.off.size >= p.enough:
                findings = self._close(channel, watch, at_ns, origin)
            watch.part, watch.off = span.number // p.part_spans, np.zeros(0)
        _gather(watch, span, p)
        return findings

    def _close(self, channel: str, watch: _Watch, at_ns: int, origin: Origin) -> list[Finding]:
        """A part is over: its median is a point, and the three tests are asked."""
        p, speaker = self._parameters, self._channels.speakers[channel]
        slope = _ask(watch, p)
        watch.low = watch.low + 1 if abs(watch.points[-1]) < watch.limit / 2 else 0
        if watch.episode.stands:
            if watch.low >= p.clear_points:
                watch.over_ns = at_ns + 1
                return [speaker.clears(watch.episode, self._word(channel, watch, slope, at_ns, origin))]
            if abs(watch.now) < _GREW * abs(watch.said):
                return []
            watch.said = watch.now
            return [speaker.updates(watch.episode, self._word(channel, watch, slope, at_ns, origin))]
        agreed = min(watch.hinkley_part, watch.adwin_part) > watch.part - p.points
        if slope is None or not agreed or not _creeps(slope, watch, p):
            return []
        watch.said = watch.now
        onset_ns = max(watch.over_ns, min(at_ns, round(slope.zero * p.part_spans * p.span_ns)))
        watch.episode.onset_ns = onset_ns
        return [speaker.raises(watch.episode, onset_ns, self._word(channel, watch, slope, at_ns, origin))]

    def _calm(self, channel: str, at_ns: Int64, value: Float64) -> int:
        return fill(self._state.channels[channel].bins, at_ns, value, self._parameters.span_ns)

    def _relearn(self, channel: str, why: Declaration) -> list[Finding]:
        watch = self._state.channels[channel]
        self._state.channels[channel] = _Watch(
            usual=anew(watch.usual, why.at_ns),
            over_ns=max(why.at_ns + 1, watch.over_ns),
            trend=watch.trend,
        )
        return cleared(self._channels.speakers[channel], watch.episode, why)

    def _word(self, channel: str, watch: _Watch, slope: Slope | None, at_ns: int, origin: Origin) -> Word:
        p, usual, unit = self._parameters, watch.usual, self._channels.units[channel]
        limit, now = watch.limit * usual.unit, watch.now * usual.unit
        per_day = 0.0 if slope is None else slope.per_point * usual.unit * DAY_S / p.part_s
        foretold = ahead(*watch.trend.since(watch.episode.onset_ns), usual.level, p.limits.get(channel))
        source = f"{p.least_sigmas:g} sigma and {p.margin:g} x its furthest day, {source_of(usual.version)}"
        shown: dict[str, Json] = {
            "trend": watch.trend.shape(
                channel, unit, baseline=usual.level, limit=usual.level + (limit if now > 0 else -limit)
            ),
            "baseline": described(usual, p),
            "forecast": foretold,
        }
        return Word(
            at_ns=at_ns,
            condition="drift",
            severity=min(900, p.severity + 100 * int(min(3.0, abs(watch.now) / watch.limit - 1))),
            origin=origin,
            confidence=min(0.95, 0.6 + 0.1 * abs(watch.now) / watch.limit),
            numbers=(
                Number("drift", significant(now), unit, significant(limit), source),
                Number("per_day", significant(per_day), unit),
                Number("usual", significant(usual.level), unit),
                *reached(foretold, at_ns),
            ),
            evidence=shown,
            text={"point": channel.partition("/")[0], "channel": channel},
        )


def _limit(errors: Float64, usual: Usual, p: Detector.Parameters) -> float:
    """How far off a point has to be: further than those of the healthy period went by themselves."""
    known = np.flatnonzero(np.isfinite(errors))
    part = (usual.first + known) // p.part_spans
    points = [
        abs(float(np.median(errors[known[part == one]])))
        for one in np.unique(part)
        if (part == one).sum() >= p.enough
    ]
    return max(
        p.least_sigmas, p.margin * max(points, default=0.0), p.least(usual.level, usual.finest) / usual.unit
    )


def _gather(watch: _Watch, span: Span, p: Detector.Parameters) -> None:
    usual = watch.usual
    off = (span.level - foreseen(usual, span.number)) / usual.unit
    if not (np.isfinite(off) and assessable(usual, span)):
        return
    watch.off = np.append(watch.off, off)
    quarter = max(1, p.part_spans // _QUARTERS)
    if watch.off.size % quarter == 0:
        level = usual.level + float(np.median(watch.off[-quarter:])) * usual.unit
        watch.trend.add((span.number + 1) * p.span_ns - quarter * p.span_ns // 2, level)


def _ask(watch: _Watch, p: Detector.Parameters) -> Slope | None:
    """Put the part's median to the tests; the slope through the latest points, if there are enough."""
    point = float(np.median(watch.off))
    watch.points = np.append(watch.points, point)[-_MOST:]
    watch.numbers = np.append(watch.numbers, watch.part)[-_MOST:]
    watch.now = float(np.median(watch.points[-2:]))
    if page_hinkley.step(watch.hinkley, np.array([point]), **_HINKLEY)[0]:  # type: ignore[arg-type]
        watch.hinkley_part = watch.part
    for share in np.clip(0.5 + watch.off / _RANGE, 0, 1).tolist():
        if adwin.step(watch.windows, np.array([share]), **_ADWIN)[0]:  # type: ignore[arg-type]
            watch.adwin_part = watch.part
    slopes = [_slope(watch, points) for points in (p.points, 2 * p.points)]
    return next((one for one in slopes if one and _creeps(one, watch, p)), slopes[0])


def _slope(watch: _Watch, points: int) -> Slope | None:
    recent = watch.numbers > watch.part - 2 * points
    return slope_of(watch.numbers[recent][-points:].astype(np.float64) + 0.5, watch.points[recent][-points:])


def _creeps(slope: Slope, watch: _Watch, p: Detector.Parameters) -> bool:
    """Whether the points go one way, steadily, and have come far enough."""
    steady = slope.concordant >= p.concordant and slope.largest_step <= 0.5
    return (
        steady
        and abs(slope.per_point) >= p.least_slope
        and min(abs(watch.now), slope.rise) > watch.limit
        and watch.now * slope.per_point > 0
    )
