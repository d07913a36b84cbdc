"""Bearing element: which part of a rolling bearing is damaged, from the envelope spectrum of its waveforms."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import (
    MINUTE_NS,
    Declaration,
    Event,
    Family,
    Finding,
    Float32,
    Json,
    Number,
    Readings,
    StopAlarm,
    Waveform,
)
from andon.plant import Asset, Point
from andon.ports import State
from detectors.bearing import FaultOrders, fault_orders
from detectors.comb import CombParameters, Verdict, explain
from detectors.envelope import HOPS, WINDOW_REVOLUTIONS, Envelope, envelope_of, refined_speed_hz
from detectors.episode import Episode, Speaker, Word, parameters_hash
from detectors.evidence import Trend, significant, spectrum_shape
from detectors.features import centred_g, problem_of, spectrum_of
from detectors.intake import Intake
from detectors.master_data import better_bearings
from detectors.running import STATE, Running
from detectors.state import flatten, load

_CONDITION = {
    "outer": "bearing_outer_race",
    "inner": "bearing_inner_race",
    "element": "bearing_rolling_element",
    "unknown": "bearing_unknown",
}
_SEVERITY = {"unknown": 400}  # a named element: 500
_LINES = {"outer": "BPFO", "inner": "BPFI", "element": "2×BSF", "cage": "FTF"}
_SHARP_HZ = 1000.0  # damage shows above it; shaft and gear lines lie below
_SMOOTHING = 0.15
_MOST_DECISIONS = 16
_PAUSE_NS = 10 * MINUTE_NS
_STANDING_BLOCKS = 3  # a named element is followed at leisure: six clean decisions take 20 min of 10-s blocks


@dataclass(slots=True)
class _Watch:
    """One bearing: its energy against the frozen start, the averaged envelope, and what was decided lately."""

    last_ns: int = -1
    nominal_hz: float = 0.0
    blocks: int = 0
    first_energy: list[float] = field(default_factory=list)
    baseline: float | None = None
    energy: float | None = None
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
    def rise(self) -> float:
        """How far the energy lies above its frozen baseline, in ln(amplitude)."""
        return 0.0 if self.baseline is None or self.energy is None else self.energy - self.baseline


@dataclass(slots=True)
class _State:
    running: Running
    points: dict[str, _Watch]


class Detector:
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
        run_settle_s: float = Field(
            default=30.0, ge=0, le=3600, description="Seconds in Execute before blocks are judged."
        )

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        self._asset, self._parameters = asset, parameters
        hashed = parameters_hash(parameters)
        self._speakers = {
            point.id: Speaker(
                self.kind, self.version, hashed, asset.id, Family.MACHINE_CONDITION, point.component, point.id
            )
            for point in asset.points
        }
        self._settle_ns = round(parameters.run_settle_s * 1e9)
        self._points = {point.id: point for point in asset.points if point.bearing is not None}
        self._orders = {p.id: fault_orders(p.bearing) for p in asset.points if p.bearing is not None}
        self._intake = Intake(lambda channel, _: channel if channel == STATE else None)
        self._state = _State(
            Running(), {p.id: _Watch(nominal_hz=p.speed_hz or 0.0) for p in self._points.values()}
        )

    def update(self, event: Event) -> Sequence[Finding]:
        """Look at a waveform of a bearing."""
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
        """Go on exactly where `snapshot` was taken."""
        load(self._state, state)

    def _look(self, point: Point, waveform: Waveform) -> list[Finding]:
        watch, parameters = self._state.points[point.id], self._parameters
        speed_hz = waveform.speed_hz or point.speed_hz
        if not self._fits(watch, waveform, speed_hz) or speed_hz is None:
            return []
        if waveform.at_ns - watch.last_ns > _PAUSE_NS:
            watch.averaged, watch.revolutions = 0, 0.0  # it may have been repaired meanwhile
        watch.last_ns = waveform.at_ns
        self._weigh(watch, waveform)
        if watch.blocks % self._every(watch):
            return []
        x = centred_g(waveform)
        speed_hz = refined_speed_hz(x[0], waveform.rate_hz, speed_hz)
        nominal_hz = self._nominal_hz(point, watch, speed_hz)
        self._average(watch, envelope_of(x, waveform.rate_hz, speed_hz, nominal_hz))
        watch.revolutions += x.shape[1] / waveform.rate_hz * speed_hz
        if watch.revolutions < parameters.decide_revolutions:
            return []
        watch.revolutions = 0.0
        averaged = Envelope(watch.power, watch.flux, watch.step_order)
        verdict = explain(averaged, self._orders[point.id], nominal_hz, parameters)
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
        risen = watch.rise > self._parameters.energy_rise
        return (
            1 if risen or watch.blocks <= self._parameters.learn_blocks else self._parameters.routine_blocks
        )

    def _fits(self, watch: _Watch, waveform: Waveform, speed_hz: float | None) -> bool:
        if speed_hz is None or waveform.at_ns <= watch.last_ns or problem_of(waveform) is not None:
            return False
        revolutions = waveform.samples.shape[0] / waveform.rate_hz * speed_hz
        running = self._state.running.runs_at(waveform.at_ns, self._settle_ns)
        fastest_hz = max(speed_hz, watch.nominal_hz)
        resolved = WINDOW_REVOLUTIONS * waveform.rate_hz / fastest_hz >= 2 * HOPS
        return running and resolved and revolutions >= self._parameters.min_revolutions

    def _weigh(self, watch: _Watch, waveform: Waveform) -> None:
        """Follow the energy above 1 kHz; its first blocks are the baseline."""
        spectrum = spectrum_of(waveform)
        first = int(_SHARP_HZ / spectrum.step_hz) if waveform.rate_hz > 4 * _SHARP_HZ else 1
        energy = 0.5 * float(np.log(spectrum.power[:, first:].sum(axis=1).max() + np.float32(1e-12)))
        watch.blocks += 1
        if watch.baseline is None:
            watch.first_energy.append(energy)
            if len(watch.first_energy) >= self._parameters.learn_blocks:
                watch.baseline, watch.first_energy = float(np.median(watch.first_energy)), []
        before = energy if watch.energy is None else watch.energy
        watch.energy = before + _SMOOTHING * (energy - before)
        if watch.baseline is not None:
            watch.trend.add(waveform.at_ns, float(np.exp(watch.rise)))
        if watch.rise <= self._parameters.energy_rise / 2:
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
            watch.decided, watch.decided_ns, watch.rising_ns = (
                [],
                [],
                -1,
            )  # the next episode begins after this one
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
        return "unknown" if lasting and watch.rise >= parameters.unknown_rise else ""

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
            text["line"] = _LINES["cage" if verdict.order < 1 else element]
            numbers = [
                Number("frequency_hz", significant(verdict.order * speed_hz), "Hz"),
                Number("ratio", significant(verdict.ratio), "× background", self._parameters.least_ratio),
                Number("harmonics", float(verdict.harmonics), "1"),
                Number("order", significant(verdict.order), "× shaft"),
                *numbers,
            ]
        return Word(
            at_ns=waveform.at_ns,
            condition=_CONDITION[element],
            severity=_SEVERITY.get(element, 500),
            origin=waveform.origin,
            confidence=significant(min(1.0, max(0.0, verdict.z) / 12)),
            numbers=tuple(numbers),
            evidence=self._evidence(point, waveform, speed_hz),
            text=text,
        )

    def _evidence(self, point: Point, waveform: Waveform, speed_hz: float) -> dict[str, Json]:
        watch = self._state.points[point.id]
        lines = np.sqrt(watch.power.mean(axis=(0, 1)))
        spectrum = spectrum_of(waveform)
        shaft = [(f"{k}x", k * speed_hz) for k in (1, 2, 3)]
        shown: dict[str, Json] = {
            "envelope": spectrum_shape(
                lines / np.median(lines),
                watch.step_order * speed_hz,
                "× background",
                _markers(self._orders[point.id], speed_hz),
            ),
            "spectrum": spectrum_shape(np.sqrt(spectrum.power.sum(axis=0)), spectrum.step_hz, "g", shaft),
        }
        if watch.baseline is not None:
            limit = float(np.exp(self._parameters.energy_rise))
            shown["trend"] = watch.trend.shape(
                f"{point.id}/energy_above_1khz_ratio", "1", baseline=1.0, limit=limit
            )
        return shown


def _markers(orders: FaultOrders, speed_hz: float) -> list[tuple[str, float]]:
    markers = [("1x", speed_hz)]
    for element, name in _LINES.items():
        order = getattr(orders, element) * speed_hz
        markers.append((name, order))
        markers += [(f"{k}×{name}", k * order) for k in (2, 3) if element in {"outer", "inner"}]
    return markers
