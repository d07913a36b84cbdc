"""Machine fault: imbalance, misalignment, looseness or an electrical fault, from what grew at the shaft's orders."""

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
    Readings,
    StopAlarm,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import State
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import Trend, significant, spectrum_shape
from detectors.fault_rules import RULES, fault_of
from detectors.features import problem_of, spectrum_of
from detectors.intake import Intake
from detectors.running import STATE, Running
from detectors.shaft_lines import LINES, shaft_lines_mm_s
from detectors.state import flatten, load

_SMOOTHING = 0.15
_FLOOR_MM_S = 0.05  # below it a line is noise: ratios do not grow from nothing
_SEVERITY = 400
_SHOWN = {"half": "½x", "x1": "1x", "x2": "2x", "high": "3x-8x", "mains": "2×mains"}


@dataclass(slots=True)
class _Watch:
    """One measuring point: the frozen start of its lines, their smoothed course, and what was seen lately."""

    last_ns: int = -1
    speed_hz: float = 0.0
    learned: Float64 = field(default_factory=lambda: np.zeros((0, len(LINES))))
    from_ns: int = 0
    to_ns: int = 0
    baseline: Float64 = field(default_factory=lambda: np.zeros(0))
    level: Float64 = field(default_factory=lambda: np.zeros(0))
    seen: str = ""
    times: int = 0
    since_ns: int = 0
    quiet: int = 0
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)


@dataclass(slots=True)
class _State:
    running: Running
    points: dict[str, _Watch]
    baseline_version: int


class Detector:
    """What shakes a machine at its shaft's own orders, against a frozen baseline of each waveform point.

    A block's lines (1x, 2x, 3x to 8x, half orders, twice the line frequency) are smoothed; what they gained since
    the baseline is compared with the rules. Raises when one rule has held often enough running, updates when it
    is another one, clears after a long quiet. A point without shaft speed, a block of few revolutions, another
    speed than the baseline's and a machine that does not run are not judged.
    Source: ISO 13373-2:2016, annexes on typical spectra; limits measured on simulated truth (`andon bench quality`).
    """

    kind = "machine_fault"
    version = "1"

    class Parameters(BaseModel):
        """When the growth of a line is a fault."""

        model_config = ConfigDict(frozen=True, extra="forbid")
        mains_hz: float = Field(default=50.0, gt=0, le=400, description="Line frequency in Hz.")
        learn_blocks: int = Field(
            default=40, ge=5, le=1000, description="First blocks whose median lines are the frozen baseline."
        )
        baseline_version: int = Field(
            default=1,
            ge=1,
            description="Raise it after a repair or a declared change: the baseline is learned anew.",
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
        speed_bin: float = Field(
            default=0.05,
            gt=0,
            le=1,
            description="Relative departure from the baseline's speed that is not judged.",
        )
        min_revolutions: float = Field(
            default=10.0, ge=8, le=10_000, description="Shorter blocks do not resolve half orders."
        )
        run_settle_s: float = Field(
            default=30.0, ge=0, le=3600, description="Seconds in Execute before blocks are judged."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        self._points = {point.id: point for point in asset.points if point.kind == "waveform"}
        hashed = parameters_hash(parameters)
        self._speakers = {
            point.id: Speaker(
                self.kind, self.version, hashed, asset.id, Family.MACHINE_CONDITION, point.component, point.id
            )
            for point in self._points.values()
        }
        self._settle_ns = round(parameters.run_settle_s * 1e9)
        self._intake = Intake(lambda channel, _: channel if channel == STATE else None)
        self._state = _State(Running(), {p: _Watch() for p in self._points}, parameters.baseline_version)

    def update(self, event: Event) -> Sequence[Finding]:
        """Look at the lines of a waveform."""
        if isinstance(event, StopAlarm | Declaration) and event.asset == self._asset.id:
            self._state.running.take_word(event)
        elif isinstance(event, Readings) and event.asset == self._asset.id:
            for at_ns, _, value in self._intake.rows(event):
                self._state.running.take_state(at_ns, value)
        elif isinstance(event, Waveform) and event.asset == self._asset.id and event.point in self._points:
            return self._look(self._points[event.point], event)
        return ()

    def snapshot(self) -> State:
        """The state as arrays and JSON."""
        return flatten(self._state)

    def restore(self, state: State) -> None:
        """Go on exactly where `snapshot` was taken, unless a new baseline was asked for: then learn anew."""
        load(self._state, state)
        if self._state.baseline_version != self._parameters.baseline_version:
            self._state.baseline_version = self._parameters.baseline_version
            for watch in self._state.points.values():
                watch.learned, watch.baseline = np.zeros((0, len(LINES))), np.zeros(0)
                watch.speed_hz = 0.0

    def _look(self, point: Point, waveform: Waveform) -> list[Finding]:
        watch, parameters = self._state.points[point.id], self._parameters
        speed_hz = waveform.speed_hz or point.speed_hz
        if speed_hz is None or not self._fits(watch, waveform, speed_hz):
            return []
        watch.last_ns = waveform.at_ns
        watch.speed_hz = watch.speed_hz or speed_hz
        each = shaft_lines_mm_s(
            spectrum_of(waveform),
            speed_hz,
            watch.speed_hz,
            parameters.mains_hz,
            parameters.speed_tolerance,
        )
        lines: Float64 = each.max(axis=0)  # the axis that shakes most
        if not watch.baseline.size:
            self._learn(watch, lines, waveform.at_ns)
            return []
        step = np.where(np.isfinite(lines), lines - watch.level, 0.0)  # mains may be hidden for a while
        watch.level = watch.level + _SMOOTHING * step
        fault = self._fault(watch)
        watch.trend.add(waveform.at_ns, float(np.nanmax(self._ratios(watch), initial=0.0)))
        return self._speak(point, watch, fault, waveform, speed_hz)

    def _fits(self, watch: _Watch, waveform: Waveform, speed_hz: float) -> bool:
        if not 0 < speed_hz < np.inf or waveform.at_ns <= watch.last_ns or problem_of(waveform) is not None:
            return False
        same = not watch.speed_hz or abs(speed_hz / watch.speed_hz - 1) <= self._parameters.speed_bin
        revolutions = waveform.samples.shape[0] / waveform.rate_hz * speed_hz
        inside = 8.5 * speed_hz < waveform.rate_hz / 2.56  # the highest order lies in the band
        running = self._state.running.runs_at(waveform.at_ns, self._settle_ns)
        return running and same and inside and revolutions >= self._parameters.min_revolutions

    def _learn(self, watch: _Watch, lines: Float64, at_ns: int) -> None:
        if not len(watch.learned):
            watch.from_ns = at_ns
        watch.learned = np.concatenate([watch.learned, lines[None]])
        if len(watch.learned) >= self._parameters.learn_blocks:
            watch.baseline = np.median(watch.learned, axis=0)
            watch.level, watch.to_ns = watch.baseline.copy(), at_ns
            watch.learned = np.zeros((0, len(LINES)))

    def _ratios(self, watch: _Watch) -> Float64:
        ratios: Float64 = (watch.level + _FLOOR_MM_S) / (watch.baseline + _FLOOR_MM_S)
        return ratios

    def _fault(self, watch: _Watch) -> str:
        p = self._parameters
        grown = (self._ratios(watch) >= p.ratio) & (watch.level >= p.least_mm_s)
        return fault_of(watch.baseline, watch.level, grown.astype(np.float64))

    def _speak(
        self, point: Point, watch: _Watch, fault: str, waveform: Waveform, speed_hz: float
    ) -> list[Finding]:
        speaker, episode = self._speakers[point.id], watch.episode
        if fault != watch.seen:
            watch.seen, watch.times, watch.since_ns = fault, 0, waveform.at_ns
        watch.times += 1
        if episode.stands and not fault and watch.times >= self._parameters.clear_blocks:
            quiet = Word(waveform.at_ns, episode.condition, episode.severity, waveform.origin)
            return [speaker.clears(episode, quiet)]
        known = episode.stands and episode.condition == fault
        if not fault or known or watch.times < self._parameters.confirm:
            return []
        word = self._word(point, watch, fault, waveform, speed_hz)
        if episode.stands:
            return [speaker.updates(episode, word)]
        return [speaker.raises(episode, watch.since_ns, word)]

    def _word(self, point: Point, watch: _Watch, fault: str, waveform: Waveform, speed_hz: float) -> Word:
        ratios = self._ratios(watch)
        lead = max((LINES.index(line) for line in RULES[fault].lead), key=lambda i: ratios[i])
        least = max(self._parameters.least_mm_s, self._parameters.ratio * float(watch.baseline[lead]))
        source = f"frozen baseline v{self._parameters.baseline_version}"
        return Word(
            at_ns=waveform.at_ns,
            condition=fault,
            severity=_SEVERITY,
            origin=waveform.origin,
            confidence=significant(1 - 1 / float(ratios[lead])),
            numbers=(
                Number(
                    "line_velocity", significant(float(watch.level[lead])), "mm/s", significant(least), source
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
        amplitude = np.sqrt(spectrum.power.sum(axis=0))
        return {
            "spectrum": spectrum_shape(amplitude, spectrum.step_hz, "g", markers),
            "trend": watch.trend.shape(
                f"{point.id}/shaft_line_ratio", "1", baseline=1.0, limit=self._parameters.ratio
            ),
            "baseline": {
                "version": self._parameters.baseline_version,
                "from_ns": watch.from_ns,
                "to_ns": watch.to_ns,
                "blocks": self._parameters.learn_blocks,
            },
        }
