"""Band energy: vibration of a point has left its frozen baseline in some frequency bands, and stays away."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from pydantic import Field

from andon.events import Declaration, Finding, Float32, Float64, Json, Number, Origin, Waveform
from andon.plant import Asset, Point
from detectors.baseline import cleared
from detectors.episode import Episode, Word
from detectors.evidence import Trend, significant, spectrum_shape, thinned
from detectors.features import problem_of, spectrum_of
from detectors.forecast import forecast
from detectors.onset import Onset, OnsetParameters, carry, step
from detectors.state import Grown
from detectors.watching import Watching

_BAND = re.compile(r"band_(\d+)_(\d+)(?:\.(\d+))?")
_LEAST_G, _MOST_G = 1e-6, 1e6  # far beyond any accelerometer, so that logarithms and powers stay finite
_MISFITS = 30  # rows in a row without the learned bands: the measurement itself has changed


@dataclass(slots=True)
class _Watch:
    """One measuring point: the row being put together, its onset, and what is shown with a finding."""

    channels: list[str] = field(default_factory=list)
    row_ns: int = -1
    row: dict[str, float] = field(default_factory=dict)
    judged: bool = False
    misfits: int = 0
    bins: Grown[Onset] = field(default_factory=lambda: Grown(Onset))  # by operating state
    state: str = ""
    judged_in: str = ""
    raised_in: str = ""
    said_ratio: float = 0.0
    trend: Trend = field(default_factory=Trend)
    spectrum: Float32 = field(default_factory=lambda: np.zeros(0, np.float32))
    spectrum_step_hz: float = 0.0
    speed_hz: float = 0.0
    episode: Episode = field(default_factory=Episode)

    @property
    def onset(self) -> Onset:
        """Where it stands in the present operating state."""
        return self.bins[self.state]

    def enter(self, state: str) -> bool:
        """Go on in this operating state, or in the same; False where it must not be learned.

        While a condition stands, another state's baseline would be learned from damage.
        """
        self.state = state
        if not self.onset.frozen:
            elsewhere = self.judged_in in self.bins and self.raised_in != state
            return not (elsewhere and self.episode.stands)
        if state != self.judged_in and self.judged_in in self.bins:
            carry(self.bins[self.judged_in], self.onset)
        self.judged_in = state
        return True

    def clears(self, blocks: int) -> bool:
        """Whether it has been low for so many blocks where it was raised: under less load a fault may not show."""
        return self.state == self.raised_in and self.onset.low >= blocks

    def forget(self) -> None:
        """There is nothing to compare with any more."""
        self.bins.clear()
        self.judged_in, self.said_ratio = "", 0.0


@dataclass(slots=True)
class _State:
    points: dict[str, _Watch]


class Detector(Watching[tuple[str, str]]):
    """Band energies of each waveform point against a frozen baseline of its operating state.

    Raises once when the smoothed rise of the leading bands stays up (25 of 30 blocks), sooner the farther they
    rose (5 blocks for × 4, 10 for × 2.5), and on three times the first RMS while still learning. Updates when the rise has doubled;
    clears only after half an hour of 10-s blocks below half the limit. Blocks taken while the machine does
    not run are not judged.
    Source: measured on the run-to-failure bearings of FEMTO-ST (Nectoux et al., PRONOSTIA, IEEE PHM 2012):
    one finding per bearing, none withdrawn, leads 37-403 min.
    """

    kind = "band_energy"
    version = "1"

    class Parameters(OnsetParameters):
        """When leaving the frozen baseline is a finding."""

        forecast_ratio: float = Field(
            default=8.0,
            gt=1,
            le=1000,
            description="Level, × baseline, whose time is forecast once a finding stands.",
        )

    _state: _State

    def __init__(self, asset: Asset, parameters: Parameters) -> None:
        super().__init__(asset, parameters, _State({point.id: _Watch() for point in asset.points}))
        self._parameters = parameters

    def _wanted(self, channel: str, unit: str) -> tuple[str, str] | None:
        point_id, _, quantity = channel.partition("/")
        fits = point_id in self._points and unit in {"g", "[g]"} and _BAND.fullmatch(quantity)
        return (point_id, quantity) if fits else None

    def _learn_anew(self, points: Sequence[Point], why: Declaration) -> list[Finding]:
        for point in points:
            self._state.points[point.id].forget()
        return [
            finding
            for point in points
            for finding in cleared(self._speakers[point.id], self._state.points[point.id].episode, why)
        ]

    def _value(self, at_ns: int, key: tuple[str, str], value: float, origin: Origin) -> list[Finding]:
        point_id, band = key
        watch = self._state.points[point_id]
        if at_ns < watch.row_ns or (at_ns == watch.row_ns and watch.judged):
            return []
        findings = self._close(point_id, watch, origin) if at_ns > watch.row_ns else []
        if at_ns > watch.row_ns:
            watch.row_ns, watch.row, watch.judged = at_ns, {}, False
        watch.row[band] = value
        if watch.channels and watch.row.keys() >= set(watch.channels):
            findings += self._judge(self._points[point_id], watch, origin)
        return findings

    def _close(self, point_id: str, watch: _Watch, origin: Origin) -> list[Finding]:
        """A newer row begins. The first row names the bands; a later one that lacks some is left out."""
        if watch.judged or not watch.row:
            return []
        if watch.channels:
            watch.misfits += 1
            if watch.misfits < _MISFITS:
                return []
            watch.forget()  # another rate or another number of axes: nothing to compare with
        watch.channels, watch.misfits = sorted(watch.row, key=_axis_and_edge), 0
        return self._judge(self._points[point_id], watch, origin)

    def _judge(self, point: Point, watch: _Watch, origin: Origin) -> list[Finding]:
        watch.judged, watch.misfits = True, 0
        state = self._state_of(watch.bins, point, watch.row_ns, origin)
        if state is None or not watch.enter(state):
            return []
        levels = np.log(np.clip([watch.row[band] for band in watch.channels], _LEAST_G, _MOST_G))
        path = step(watch.onset, watch.row_ns, levels, _rms(watch.channels, levels), self._parameters)
        ratio = math.exp(max(watch.onset.rise, watch.onset.quick) if path == "fast" else watch.onset.rise)
        watch.trend.add(watch.row_ns, ratio)
        return self._speak(point, watch, path, ratio, origin)

    def _speak(self, point: Point, watch: _Watch, path: str, ratio: float, origin: Origin) -> list[Finding]:
        episode, onset = watch.episode, watch.onset
        speaker = self._speakers[point.id]
        if not episode.stands and path:
            began_ns = onset.rising_ns if onset.rising_ns >= 0 else watch.row_ns
            watch.said_ratio, watch.raised_in = ratio, watch.state
            return [speaker.raises(episode, began_ns, self._word(point, watch, path, ratio, origin))]
        if episode.stands and watch.clears(self._parameters.clear_blocks):
            return [speaker.clears(episode, self._word(point, watch, path, ratio, origin))]
        if episode.stands and ratio >= 2 * watch.said_ratio:
            watch.said_ratio = ratio
            return [speaker.updates(episode, self._word(point, watch, path, ratio, origin))]
        return []

    def _word(self, point: Point, watch: _Watch, path: str, ratio: float, origin: Origin) -> Word:
        limit, source = self._limit(point, watch.onset)
        doublings = math.log2(max(ratio, 1e-9) / limit)
        return Word(
            at_ns=watch.row_ns,
            condition="band_energy_rise",
            severity=400 + 100 * min(4, max(0, int(doublings))),
            origin=origin,
            confidence=0.9 if watch.onset.frozen else 0.7,
            numbers=(
                Number("ratio", significant(ratio), "× baseline", significant(limit), source),
                Number("rise", significant(20 * math.log10(ratio)), "dB"),
            ),
            evidence=self._evidence(point, watch, limit),
            text={"point": point.id, "path": path, "bands": _leading(watch)},
        )

    def _limit(self, point: Point, onset: Onset) -> tuple[float, str]:
        if onset.frozen:
            return math.exp(self._parameters.rise), self._source(point.component)
        return self._parameters.safety_ratio, "first blocks, baseline not yet learned"

    def _evidence(self, point: Point, watch: _Watch, limit: float) -> dict[str, Json]:
        onset = watch.onset
        shown: dict[str, Json] = {
            "trend": watch.trend.shape(f"{point.id}/band_energy_ratio", "1", baseline=1.0, limit=limit)
        }
        began_ns = watch.episode.onset_ns if watch.episode.stands else onset.rising_ns
        if began_ns > 0:
            shown["forecast"] = forecast(*watch.trend.since(began_ns), self._parameters.forecast_ratio)
        if watch.spectrum.size:
            speed_hz = watch.speed_hz or point.speed_hz or 0.0
            markers = [(f"{k}x", k * speed_hz) for k in (1, 2, 3)]
            shown["spectrum"] = spectrum_shape(watch.spectrum, watch.spectrum_step_hz, "g", markers)
        if onset.frozen:
            blocks = self._parameters.learn_blocks
            shown["baseline"] = self._baseline(point, onset.from_ns, onset.to_ns, blocks)
        return shown

    def _block(self, waveform: Waveform) -> list[Finding]:
        """Keep the latest spectrum to show."""
        watch = self._state.points.get(waveform.point)
        if watch is not None and problem_of(waveform) is None:
            spectrum = spectrum_of(waveform)
            watch.spectrum, each = thinned(spectrum.rms())
            watch.spectrum_step_hz = spectrum.step_hz * each
            known = waveform.speed_hz is not None and math.isfinite(waveform.speed_hz)
            watch.speed_hz = waveform.speed_hz or 0.0 if known else 0.0
        return []


def _axis_and_edge(band: str) -> tuple[int, int, str]:
    match = _BAND.fullmatch(band)
    return (int(match[3] or 0), int(match[1]), band) if match else (0, 0, band)


def _rms(channels: Sequence[str], levels: Float64) -> Float64:
    """Ln broadband amplitude of each axis, from its bands; the channels stand axis by axis."""
    axes = [channel.partition(".")[2] for channel in channels]
    first = [i for i, axis in enumerate(axes) if i == 0 or axis != axes[i - 1]]
    rms: Float64 = 0.5 * np.log(np.add.reduceat(np.exp(2 * levels), first))
    return rms


def _leading(watch: _Watch) -> str:
    """The band that rose most, as "7500-10000 Hz"."""
    match = _BAND.fullmatch(watch.channels[watch.onset.leading])
    return f"{match[1]}-{match[2]} Hz" if match else ""
