"""Bearing element: which part of a rolling bearing is damaged, from the envelope spectrum of its waveforms."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float32, Json, Number, Waveform
from andon.plant import Asset, Point
from detectors.baseline import cleared
from detectors.bearing import fault_orders
from detectors.element import LINES, CombParameters, Verdict, explain, markers_of
from detectors.envelope import HOPS, WINDOW_REVOLUTIONS, Envelope, envelope_of, refined_speed_hz
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant, spectrum_shape
from detectors.features import centred_g, problem_of, spectrum_of
from detectors.master_data import better_bearings
from detectors.pace import Pace
from detectors.spectral_kurtosis import IMPACT_WIDTHS, band_numbers, impulsive_band
from detectors.state import Grown
from detectors.watching import Watching

_CONDITION = {
    "outer": "bearing_outer_race",
    "inner": "bearing_inner_race",
    "element": "bearing_rolling_element",
    "unknown": "bearing_unknown",
}
_SEVERITY = {"unknown": 400}  # a named element: 500
_SHARP_HZ = 1000.0  # damage shows above it; shaft and gear lines lie below
_SMOOTHING = 0.15
_MOST_DECISIONS = 16
_STANDING_BLOCKS = 3  # a named element is followed at leisure: six clean decisions take 20 min of 10-s blocks


@dataclass(slots=True)
class _Energy:
    """The energy above 1 kHz in one operating state, in ln(amplitude): its frozen start, and its smoothed course."""

    first: list[float] = field(default_factory=list)
    from_ns: int = 0
    to_ns: int = 0
    baseline: float | None = None
    level: float | None = None

    @property
    def rise(self) -> float:
        """How far it lies above its frozen baseline, in ln(amplitude)."""
        return 0.0 if self.baseline is None or self.level is None else self.level - self.baseline


@dataclass(slots=True)
class _Watch:
    """One bearing: its energy by operating state, the averaged envelope, and what was decided lately."""

    last_ns: int = -1
    nominal_hz: float = 0.0
    blocks: int = 0
    bins: Grown[_Energy] = field(default_factory=lambda: Grown(_Energy))
    state: str = ""
    judged_in: str = ""
    pace: Pace = field(default_factory=Pace)
    rising_ns: int = -1
    power: Float32 = field(default_factory=lambda: np.zeros((0, 0, 0), np.float32))
    flux: Float32 = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    step_order: float = 0.0
    averaged: int = 0
    revolutions: float = 0.0
    decided: list[str] = field(default_factory=list)
    decided_ns: list[int] = field(default_factory=list)
    trend: Trend = field(default_factory=Trend)
    episode: Episode = field(default_factory=Episode)

    @property
    def energy(self) -> _Energy:
        """The energy in the present operating state."""
        return self.bins[self.state]

    def enter(self, state: str, most: int) -> bool:
        """Go on in this operating state, as far above its baseline as in the last; False where it has none.

        An element is named in any state; only how much the energy has grown is not known there.
        """
        before = self.bins.get(self.judged_in)
        known = state in self.bins and self.bins[state].baseline is not None
        full = len(self.bins) >= most and state not in self.bins
        if not known and (full or (before is not None and self.episode.stands)):
            return False
        self.state = state
        if known:
            if before is not None and state != self.judged_in:
                self.energy.level = (self.energy.baseline or 0.0) + before.rise
            self.judged_in = state
        return True

    def decides_anew(self) -> None:
        """What was averaged and decided is of another time."""
        self.averaged, self.revolutions, self.rising_ns = 0, 0.0, -1
        self.decided, self.decided_ns = [], []


@dataclass(slots=True)
class _State:
    points: dict[str, _Watch]


class Detector(Watching[str]):
    """The damaged element of each bearing whose geometry and shaft speed are known.

    A block is looked at while the baseline is learned, when the energy above 1 kHz has risen, and now and
    then; so a healthy machine costs little. Raises when the same element was named twice running, updates
    when the name changes, clears when no damage was seen six times. "Unknown" is said only of damage that
    lasts and has raised the energy. Blocks of less than 10 revolutions are never looked at.
    Source: R. B. Randall and J. Antoni, Rolling element bearing diagnostics: a tutorial, MSSP 25 (2011);
    thresholds measured on CWRU and MFPT recordings, where no wrong element is named.
    """

    kind = "bearing_element"
    version = "1"

    class Parameters(CombParameters):
        """When the envelope is looked at, and when an element is named for good."""

        min_revolutions: float = Field(
            default=10.0,
            ge=10,
            le=10_000,
            description="Shorter blocks are not looked at: they resolve no fault line.",
        )
        blocks: int = Field(
            default=8, ge=1, le=1000, description="Blocks over which the envelope spectrum is averaged."
        )
        decide_revolutions: float = Field(
            default=100.0,
            ge=10,
            le=100_000,
            description="Shaft revolutions of new blocks before the lines are judged again.",
        )
        learn_blocks: int = Field(
            default=40,
            ge=5,
            le=10_000,
            description="First blocks whose energy is the frozen baseline; all are looked at.",
        )
        energy_rise: float = Field(
            default=0.12,
            gt=0,
            le=5,
            description="Rise of the energy above 1 kHz, in ln(amplitude), from which every block is looked at.",
        )
        routine_blocks: int = Field(
            default=12,
            ge=1,
            le=10_000,
            description="Without such a rise only every so many blocks are looked at.",
        )
        confirm: int = Field(
            default=2, ge=1, le=8, description="Times in a row that the same element must be named."
        )
        unknown_rise: float = Field(
            default=0.4,
            ge=0,
            le=5,
            description="Rise of the energy from which lasting damage of an unknown element is a finding of its own; "
            "0: without any rise, as for a single record.",
        )
        unknown_confirm: int = Field(
            default=8,
            ge=1,
            le=_MOST_DECISIONS,
            description="Times in a row that damage of no certain element must be seen.",
        )
        clear_confirm: int = Field(
            default=6,
            ge=1,
            le=_MOST_DECISIONS,
            description="Times in a row without any sign of damage needed to clear.",
        )

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        bearings = {point.id: point.bearing for point in asset.points if point.bearing is not None}
        nominal_hz = {point.id: point.speed_hz or 0.0 for point in asset.points}
        watches = {point_id: _Watch(nominal_hz=nominal_hz[point_id]) for point_id in bearings}
        super().__init__(asset, parameters, _State(watches))
        self._parameters = parameters
        self._orders = {point_id: fault_orders(bearing) for point_id, bearing in bearings.items()}

    def _block(self, waveform: Waveform) -> list[Finding]:
        return self._look(self._points[waveform.point], waveform) if waveform.point in self._orders else []

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        found: list[Finding] = []
        for point in points:
            watch = self._state.points.get(point.id)
            if watch is not None:
                watch.bins.clear()
                watch.decides_anew()
                watch.judged_in, watch.blocks = "", 0
                found += cleared(self._speakers[point.id], watch.episode, why)
        return found

    def _look(self, point: Point, waveform: Waveform) -> list[Finding]:
        watch, parameters = self._state.points[point.id], self._parameters
        speed_hz = waveform.speed_hz or point.speed_hz
        if not self._fits(watch, waveform, speed_hz) or speed_hz is None:
            return []
        if watch.pace.pauses(waveform.at_ns, parameters.gap_s):
            watch.decides_anew()
        watch.last_ns = waveform.at_ns
        watch.blocks += 1
        state = self._operating.state_at(self._machine.axes, point.id, waveform.at_ns, self._settle_ns)
        if state is not None and watch.enter(state, parameters.most_bins):
            self._weigh(watch, waveform)
        if watch.blocks % self._every(watch):
            return []
        x = centred_g(waveform)
        speed_hz = refined_speed_hz(x, waveform.rate_hz, speed_hz)
        nominal_hz = self._nominal_hz(point, watch, speed_hz)
        self._average(watch, envelope_of(x, waveform.rate_hz, speed_hz, nominal_hz))
        watch.revolutions += x.shape[1] / waveform.rate_hz * speed_hz
        if watch.revolutions < parameters.decide_revolutions:
            return []
        watch.revolutions = 0.0
        averaged = Envelope(watch.power, watch.flux, watch.step_order)
        verdict = explain(averaged, self._orders[point.id], nominal_hz, parameters)
        known = watch.episode.stands and _CONDITION.get(verdict.element) == watch.episode.condition
        if verdict.order and not known and better_bearings(averaged, self._orders[point.id], nominal_hz):
            verdict = Verdict("unknown", verdict.z)  # the geometry may be wrong, and with it the name
        return self._decide(point, watch, verdict, waveform, nominal_hz)

    def _nominal_hz(self, point: Point, watch: _Watch, speed_hz: float) -> float:
        """The speed that fixes the order axis: the plant's, or the first one seen until it has moved by 5 %."""
        if point.speed_hz is None and abs(speed_hz - watch.nominal_hz) > 0.05 * watch.nominal_hz:
            watch.nominal_hz = speed_hz
        return watch.nominal_hz

    def _every(self, watch: _Watch) -> int:
        """One block in how many is looked at."""
        if watch.episode.stands:
            return _STANDING_BLOCKS
        risen = watch.energy.rise > self._parameters.energy_rise
        return (
            1 if risen or watch.blocks <= self._parameters.learn_blocks else self._parameters.routine_blocks
        )

    def _fits(self, watch: _Watch, waveform: Waveform, speed_hz: float | None) -> bool:
        if speed_hz is None or waveform.at_ns <= watch.last_ns or problem_of(waveform) is not None:
            return False
        revolutions = waveform.samples.shape[0] / waveform.rate_hz * speed_hz
        running = self._runs_at(self._points[waveform.point].component, waveform.at_ns)
        fastest_hz = max(speed_hz, watch.nominal_hz)
        resolved = WINDOW_REVOLUTIONS * waveform.rate_hz / fastest_hz >= 2 * HOPS
        return running and resolved and revolutions >= self._parameters.min_revolutions

    def _weigh(self, watch: _Watch, waveform: Waveform) -> None:
        """Follow the energy above 1 kHz; its first blocks are the baseline."""
        spectrum = spectrum_of(waveform)
        first = int(_SHARP_HZ / spectrum.step_hz) if waveform.rate_hz > 4 * _SHARP_HZ else 1
        energy = 0.5 * float(np.log(spectrum.power[:, first:].sum(axis=1).max() + np.float32(1e-12)))
        now = watch.energy
        if now.baseline is None:
            now.from_ns = now.from_ns if now.first else waveform.at_ns
            now.first.append(energy)
            if len(now.first) >= self._parameters.learn_blocks:
                now.baseline, now.first, now.to_ns = float(np.median(now.first)), [], waveform.at_ns
        before = energy if now.level is None else now.level
        now.level = before + _SMOOTHING * (energy - before)
        if now.baseline is not None:
            watch.trend.add(waveform.at_ns, float(np.exp(now.rise)))
        if watch.energy.rise <= self._parameters.energy_rise / 2:
            watch.rising_ns = -1
        elif watch.rising_ns < 0:
            watch.rising_ns = waveform.at_ns

    def _average(self, watch: _Watch, envelope: Envelope) -> None:
        if watch.power.shape != envelope.power.shape or watch.step_order != envelope.step_order:
            watch.power, watch.flux = np.zeros_like(envelope.power), np.zeros_like(envelope.flux)
            watch.step_order, watch.averaged, watch.revolutions = envelope.step_order, 0, 0.0
        watch.averaged = min(watch.averaged + 1, self._parameters.blocks)
        weight = np.float32(1 / watch.averaged)
        watch.power = watch.power + weight * (envelope.power - watch.power)
        watch.flux = watch.flux + weight * (envelope.flux - watch.flux)

    def _decide(
        self, point: Point, watch: _Watch, verdict: Verdict, waveform: Waveform, speed_hz: float
    ) -> list[Finding]:
        watch.decided = [*watch.decided, verdict.element][-_MOST_DECISIONS:]
        watch.decided_ns = [*watch.decided_ns, waveform.at_ns][-_MOST_DECISIONS:]
        return self._speak(point, self._agreed(watch), verdict, waveform, speed_hz)

    def _speak(
        self, point: Point, element: str, verdict: Verdict, waveform: Waveform, speed_hz: float
    ) -> list[Finding]:
        watch, speaker = self._state.points[point.id], self._speakers[point.id]
        episode = watch.episode
        if element == "none" and episode.stands:
            watch.decided, watch.decided_ns = [], []  # the next episode begins after this one
            watch.rising_ns = -1
            quiet = Word(waveform.at_ns, episode.condition, episode.severity, waveform.origin)
            return [speaker.clears(episode, quiet)]
        if element in {"none", ""}:
            return []
        if episode.stands and (element == "unknown" or _CONDITION[element] == episode.condition):
            return []
        word = self._word(point, element, verdict, waveform, speed_hz)
        if episode.stands:
            return [speaker.updates(episode, word)]
        needed = self._parameters.unknown_confirm if element == "unknown" else self._parameters.confirm
        first_ns = watch.decided_ns[-needed]
        onset_ns = min(first_ns, watch.rising_ns) if watch.rising_ns >= 0 else first_ns
        return [speaker.raises(episode, onset_ns, word)]

    def _agreed(self, watch: _Watch) -> str:
        """What the latest decisions agree on: an element, unknown, none, or "" for nothing yet."""
        parameters, latest = self._parameters, watch.decided[-1]
        if latest in {"outer", "inner", "element"}:
            agreed = watch.decided[-parameters.confirm :]
            if agreed == [latest] * parameters.confirm:
                return latest
        quiet = watch.decided[-parameters.clear_confirm :]
        if quiet == ["none"] * parameters.clear_confirm:
            return "none"
        unsure = watch.decided[-parameters.unknown_confirm :]
        lasting = len(unsure) == parameters.unknown_confirm and "none" not in unsure
        return "unknown" if lasting and watch.energy.rise >= parameters.unknown_rise else ""

    def _word(
        self, point: Point, element: str, verdict: Verdict, waveform: Waveform, speed_hz: float
    ) -> Word:
        watch = self._state.points[point.id]
        numbers = [
            Number(
                "z", significant(verdict.z), "1", self._parameters.name_z, "comb against unrelated orders"
            ),
            Number("speed_hz", significant(speed_hz), "Hz"),
        ]
        text = {"point": point.id, "bearing": point.bearing.designation if point.bearing else ""}
        envelope = Envelope(watch.power, watch.flux, watch.step_order)
        better = better_bearings(envelope, self._orders[point.id], speed_hz)
        if better:
            text["better_bearings"] = ", ".join(better)
        if element == verdict.element and verdict.order:
            text["line"] = LINES[verdict.line]
            numbers = [
                Number("frequency_hz", significant(verdict.order * speed_hz), "Hz"),
                Number(
                    "ratio",
                    significant(verdict.ratio),
                    "× background",
                    self._parameters.least_ratio,
                    "background of its envelope spectrum",
                ),
                Number("harmonics", float(verdict.harmonics), "1"),
                Number("order", significant(verdict.order), "× shaft"),
                Number("slip", significant(100 * verdict.slip), "%"),
                *numbers,
            ]
        least_hz = IMPACT_WIDTHS * self._orders[point.id].inner * speed_hz
        numbers += band_numbers(impulsive_band(centred_g(waveform), waveform.rate_hz, least_hz))
        return Word(
            at_ns=waveform.at_ns,
            condition=_CONDITION[element],
            severity=_SEVERITY.get(element, 500),
            origin=waveform.origin,
            confidence=significant(verdict.confidence),
            numbers=tuple(numbers),
            evidence=self._evidence(point, verdict, waveform, speed_hz),
            text=text,
        )

    def _evidence(
        self, point: Point, verdict: Verdict, waveform: Waveform, speed_hz: float
    ) -> dict[str, Json]:
        watch = self._state.points[point.id]
        lines = np.sqrt(watch.power.mean(axis=(0, 1)))
        spectrum = spectrum_of(waveform)
        shaft = [(f"{k}x", k * speed_hz) for k in (1, 2, 3)]
        shown: dict[str, Json] = {
            "envelope": spectrum_shape(
                lines / np.median(lines),
                watch.step_order * speed_hz,
                "× background",
                markers_of(self._orders[point.id], verdict, speed_hz),
            ),
            "spectrum": spectrum_shape(spectrum.rms(), spectrum.step_hz, "g", shaft),
        }
        if watch.energy.baseline is not None:
            shown["baseline"] = self._baseline(
                point, watch.energy.from_ns, watch.energy.to_ns, self._parameters.learn_blocks
            )
            limit = float(np.exp(self._parameters.energy_rise))
            shown["trend"] = watch.trend.shape(
                f"{point.id}/energy_above_1khz_ratio", "1", baseline=1.0, limit=limit
            )
        return shown
