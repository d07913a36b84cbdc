"""Machine fault: imbalance, misalignment, looseness or an electrical fault, from what grew at the shaft's orders."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float64, Json, Number, Waveform
from andon.plant import Asset, Point
from detectors.baseline import cleared
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant, spectrum_shape
from detectors.fault_rules import RULES, fault_of
from detectors.features import problem_of, spectrum_of
from detectors.operating import OperatingParameters
from detectors.pace import Pace
from detectors.shaft_lines import LINES, levels_mm_s, shaft_lines_mm_s
from detectors.state import Grown
from detectors.watching import Watching

_SMOOTHING = 0.15
_FLOOR_MM_S = 0.05  # below it a line is noise: ratios do not grow from nothing
_SEVERITY = 400
_SHOWN = {"half": "½x", "x1": "1x", "x2": "2x", "high": "3x-8x", "mains": "2×mains", "axial": "1x-2x axial"}


@dataclass(slots=True)
class _Lines:
    """The lines of a point in one operating state: their frozen start and their smoothed course, in mm/s."""

    speed_hz: float = 0.0
    learned: Float64 = field(default_factory=lambda: np.zeros((0, len(LINES))))
    from_ns: int = 0
    to_ns: int = 0
    baseline: Float64 = field(default_factory=lambda: np.zeros(0))
    level: Float64 = field(default_factory=lambda: np.zeros(0))

    @property
    def ratios(self) -> Float64:
        """Times its baseline that each line has grown."""
        grown: Float64 = (self.level + _FLOOR_MM_S) / (self.baseline + _FLOOR_MM_S)
        return grown


@dataclass(slots=True)
class _Watch:
    """One measuring point: its lines by operating state, and what was seen lately."""

    last_ns: int = -1
    pace: Pace = field(default_factory=Pace)
    bins: Grown[_Lines] = field(default_factory=lambda: Grown(_Lines))
    state: str = ""
    judged_in: str = ""
    raised_in: str = ""
    seen: str = ""
    times: int = 0
    since_ns: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)

    @property
    def lines(self) -> _Lines:
        """The lines in the present operating state."""
        return self.bins[self.state]

    def enter(self, state: str) -> bool:
        """Go on in this operating state, or in the same; False where it must not be learned: a condition stands."""
        self.state = state
        learned = bool(self.lines.baseline.size)
        self.judged_in = state if learned else self.judged_in
        return learned or not (self.episode.stands and self.judged_in in self.bins)


@dataclass(slots=True)
class _State:
    points: dict[str, _Watch]


class Detector(Watching[str]):
    """What shakes a machine at its shaft's own orders, against a frozen baseline of each waveform point.

    A block's lines (1x, 2x, 3x to 8x, half orders, twice the line frequency) are smoothed; what they gained since
    the baseline is compared with the rules. Raises when one rule has held often enough running, updates when it
    is another one, clears after a long quiet. A point without shaft speed, a block of few revolutions, another
    speed than the baseline's and a machine that does not run are not judged.
    Source: ISO 13373-2:2016, annexes on typical spectra; limits measured on simulated truth (`andon bench quality`).
    """

    kind = "machine_fault"
    version = "1"

    class Parameters(OperatingParameters):
        """When the growth of a line is a fault."""

        mains_hz: float = Field(default=50.0, gt=0, le=400, description="Line frequency in Hz.")
        learn_blocks: int = Field(
            default=40, ge=5, le=1000, description="First blocks whose median lines are the frozen baseline."
        )
        ratio: float = Field(
            default=1.6, gt=1, le=20, description="Times its baseline from which a line has grown."
        )
        least_mm_s: float = Field(
            default=0.5, gt=0, le=50, description="Velocity RMS in mm/s that a grown line must have reached."
        )
        confirm: int = Field(
            default=12, ge=1, le=1000, description="Blocks in a row in which the same fault must be seen."
        )
        clear_blocks: int = Field(
            default=60, ge=1, le=10_000, description="Blocks in a row without any fault needed to clear."
        )
        speed_tolerance: float = Field(
            default=0.015, ge=0, le=0.1, description="Relative error that the stated speed may have."
        )
        min_revolutions: float = Field(
            default=10.0, ge=8, le=10_000, description="Shorter blocks do not resolve half orders."
        )

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        points = [point.id for point in asset.points if point.kind == "waveform"]
        super().__init__(asset, parameters, _State({point_id: _Watch() for point_id in points}))
        self._parameters = parameters

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        found: list[Finding] = []
        for point in points:
            watch = self._state.points.get(point.id)
            if watch is not None:
                watch.bins.clear()
                watch.judged_in = watch.seen = ""
                watch.times = 0
                found += cleared(self._speakers[point.id], watch.episode, why)
        return found

    def _block(self, waveform: Waveform) -> list[Finding]:
        watch, point = self._state.points.get(waveform.point), self._points.get(waveform.point)
        speed_hz = waveform.speed_hz or (point.speed_hz if point else None)
        if watch is None or point is None or speed_hz is None or not self._fits(watch, waveform, speed_hz):
            return []
        state = self._state_of(watch.bins, point, waveform.at_ns, waveform.origin)
        if state is None or not watch.enter(state):
            return []
        watch.last_ns = waveform.at_ns
        if watch.pace.pauses(waveform.at_ns, self._parameters.gap_s):
            watch.seen, watch.times = "", 0
        lines = watch.lines
        lines.speed_hz = lines.speed_hz or speed_hz
        p = self._parameters
        each = shaft_lines_mm_s(
            spectrum_of(waveform), speed_hz, lines.speed_hz, p.mains_hz, p.speed_tolerance
        )
        level = levels_mm_s(each, _axial(point))
        if not lines.baseline.size:
            self._learn(lines, level, waveform.at_ns)
            return []
        step = np.where(np.isfinite(level), level - lines.level, 0.0)  # mains may be hidden for a while
        lines.level = lines.level + _SMOOTHING * step
        watch.trend.add(waveform.at_ns, float(np.nanmax(lines.ratios, initial=0.0)))
        return self._speak(point, watch, self._fault(lines), waveform, speed_hz)

    def _fits(self, watch: _Watch, waveform: Waveform, speed_hz: float) -> bool:
        if not 0 < speed_hz < np.inf or waveform.at_ns <= watch.last_ns or problem_of(waveform) is not None:
            return False
        revolutions = waveform.samples.shape[0] / waveform.rate_hz * speed_hz
        inside = 8.5 * speed_hz < waveform.rate_hz / 2.56  # the highest order lies in the band
        return inside and revolutions >= self._parameters.min_revolutions

    def _learn(self, lines: _Lines, level: Float64, at_ns: int) -> None:
        if not len(lines.learned):
            lines.from_ns = at_ns
        lines.learned = np.concatenate([lines.learned, level[None]])
        if len(lines.learned) >= self._parameters.learn_blocks:
            lines.baseline = np.median(lines.learned, axis=0)
            lines.level, lines.to_ns = lines.baseline.copy(), at_ns
            lines.learned = np.zeros((0, len(LINES)))

    def _fault(self, lines: _Lines) -> str:
        p = self._parameters
        grown = (lines.ratios >= p.ratio) & (lines.level >= p.least_mm_s)
        return fault_of(lines.baseline, lines.level, grown.astype(np.float64))

    def _speak(
        self, point: Point, watch: _Watch, fault: str, waveform: Waveform, speed_hz: float
    ) -> list[Finding]:
        speaker, episode = self._speakers[point.id], watch.episode
        if fault != watch.seen:
            watch.seen, watch.times, watch.since_ns = fault, 0, waveform.at_ns
        watch.times += 1
        quiet_there = not fault and watch.state == watch.raised_in  # under less load a fault may not show
        if episode.stands and quiet_there and watch.times >= self._parameters.clear_blocks:
            quiet = Word(waveform.at_ns, episode.condition, episode.severity, waveform.origin)
            return [speaker.clears(episode, quiet)]
        known = episode.stands and episode.condition == fault
        if not fault or known or watch.times < self._parameters.confirm:
            return []
        word = self._word(point, watch, fault, waveform, speed_hz)
        if episode.stands:
            return [speaker.updates(episode, word)]
        watch.raised_in = watch.state
        return [speaker.raises(episode, watch.since_ns, word)]

    def _word(self, point: Point, watch: _Watch, fault: str, waveform: Waveform, speed_hz: float) -> Word:
        lines, ratios = watch.lines, watch.lines.ratios
        leads = [LINES.index(line) for rule in RULES if rule.fault == fault for line in rule.lead]
        lead = max(leads, key=lambda i: np.nan_to_num(ratios[i]))
        least = max(self._parameters.least_mm_s, self._parameters.ratio * float(lines.baseline[lead]))
        source = self._source(point.component)
        return Word(
            at_ns=waveform.at_ns,
            condition=fault,
            severity=_SEVERITY,
            origin=waveform.origin,
            confidence=significant(1 - 1 / float(ratios[lead])),
            numbers=(
                Number(
                    "line_velocity", significant(float(lines.level[lead])), "mm/s", significant(least), source
                ),
                Number(
                    "ratio", significant(float(ratios[lead])), "× baseline", self._parameters.ratio, source
                ),
                Number("speed_hz", significant(speed_hz), "Hz"),
            ),
            evidence=self._evidence(point, watch, waveform, speed_hz),
            text={"point": point.id, "line": _SHOWN[LINES[lead]]},
        )

    def _evidence(self, point: Point, watch: _Watch, waveform: Waveform, speed_hz: float) -> dict[str, Json]:
        spectrum = spectrum_of(waveform)
        mains_hz = 2 * self._parameters.mains_hz
        markers = [("½x", speed_hz / 2), *((f"{k}x", k * speed_hz) for k in (1, 2, 3)), ("2×mains", mains_hz)]
        return {
            "spectrum": spectrum_shape(spectrum.rms(), spectrum.step_hz, "g", markers),
            "trend": watch.trend.shape(
                f"{point.id}/shaft_line_ratio", "1", baseline=1.0, limit=self._parameters.ratio
            ),
            "baseline": self._baseline(
                point, watch.lines.from_ns, watch.lines.to_ns, self._parameters.learn_blocks
            ),
        }


def _axial(point: Point) -> int | None:
    """The place of the axis along the shaft once the tacho's has been taken out."""
    if point.axial_axis is None:
        return None
    return point.axial_axis - 1 - int(point.tacho_axis is not None and point.tacho_axis < point.axial_axis)
