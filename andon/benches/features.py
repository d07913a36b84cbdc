"""What the features of a waveform cost, beside the textbook's way and beside the bare arithmetic (goal G3)."""

import time
from collections.abc import Callable, Sequence
from functools import partial
from statistics import median

import numpy as np
from numpy.typing import NDArray
from scipy import fft, signal, stats

from andon.benches import Row
from andon.events import SECOND_NS, Float32, Origin, Waveform
from andon.plant import Bearing, Point
from detectors.bearing import fault_orders
from detectors.block import STANDARD_GRAVITY, Spectrum, expect
from detectors.features import features_of
from detectors.found_speed import found_speed_hz
from detectors.spectral_kurtosis import IMPACT_WIDTHS, impulsive_band

RATE_HZ, SAMPLES = 25_600.0, 25_600
LEAST_CHANNELS, LEAST_SHARE = 5_000.0, 0.7
_SPEED_HZ = 24.7
_BEARING = Bearing.model_validate("6208")
POINTS = {
    "of any block": Point(id="P", component="c", kind="waveform"),
    "and orders": Point(id="P", component="c", kind="waveform", speed_hz=_SPEED_HZ),
    "and fault levels": Point(id="P", component="c", kind="waveform", speed_hz=_SPEED_HZ, bearing=_BEARING),
}
_SPECTRUM = Spectrum(np.random.default_rng(0).random((1, SAMPLES // 2 + 1), dtype=np.float32), 1.0)
_BLOCKS, _AT_ONCE = 32, 8
_BANDS = (
    (10, 1000),
    (20, 300),
    (300, 700),
    (700, 1500),
    (1500, 3000),
    (3000, 5000),
    (5000, 7500),
    (7500, 12700),
)
_WINDOW = np.hanning(SAMPLES).astype(np.float32)
_CARRIERS = ((500, 2000), (2000, 5000), (5000, 10000))
_CARRIER_HZ = (2000.0, 5000.0)


def rows(step: Callable[[str], None], rounds: int = 9) -> list[Row]:
    """Channels of 25.6 kHz that one core keeps up with, for each set of features, against the textbook in turn."""
    found = []
    for name, point in POINTS.items():
        step(f"features {name}")
        enveloped = point.bearing is not None
        ours, textbook, bare = _in_turn(
            rounds,
            point.speed_hz,
            partial(_ours, point=point),
            partial(_textbook, enveloped=enveloped),
            partial(_bare, enveloped=enveloped),
        )
        what = f"features {name}, 25.6 kHz"
        share = median(b / o for o, b in zip(ours, bare, strict=True))
        faster = median(t / o for o, t in zip(ours, textbook, strict=True))
        per_core = 1e6 / median(ours)
        found += [
            Row(what, per_core, "channels per core", goal="G3", limit=LEAST_CHANNELS, at_least=True),
            Row(what, per_core, "channels per core", "textbook: sosfiltfilt, hilbert, welch", faster),
            Row(
                what,
                per_core,
                "channels per core",
                "the bare arithmetic",
                share,
                "G3",
                LEAST_SHARE,
                at_least=True,
            ),
        ]
    return [*found, *_now_and_then(rounds)]


def _now_and_then(rounds: int) -> list[Row]:
    """What is worked out only where it is asked for: the band of bursts of a finding, the speed that nobody told."""
    band, speed = _in_turn(rounds, _SPEED_HZ, _bursts, _found_speeds)
    return [
        Row("spectral kurtosis of a finding, 1 s of 25.6 kHz", median(band), "µs CPU per block"),
        Row("speed found near a nominal one, 1 s of 25.6 kHz", median(speed), "µs CPU per block"),
    ]


def _bursts(blocks: Sequence[Waveform]) -> None:
    least_hz = IMPACT_WIDTHS * fault_orders(_BEARING).inner * _SPEED_HZ
    for block in blocks:
        impulsive_band(block.samples.T, RATE_HZ, least_hz)


def _found_speeds(blocks: Sequence[Waveform]) -> None:
    for block in blocks:
        found_speed_hz(_SPECTRUM, block.speed_hz or _SPEED_HZ)


def _in_turn(
    rounds: int, speed_hz: float | None, *ways: Callable[[Sequence[Waveform]], None]
) -> list[list[float]]:
    """CPU in microseconds per block of each way, round by round; what slows the machine slows all of a round."""
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((4 * _BLOCKS, SAMPLES, 1), dtype=np.float32)
    costs: list[list[float]] = [[] for _ in ways]
    for turn in range(rounds + 1):
        for way, cost in zip(ways, costs, strict=True):
            blocks = [
                _block(number, samples[(turn * _BLOCKS + number) % len(samples)], speed_hz)
                for number in range(_BLOCKS)
            ]
            began_s = time.process_time()
            way(blocks)
            if turn:  # the first fills the caches
                cost.append((time.process_time() - began_s) / _BLOCKS * 1e6)
    return costs


def _block(number: int, x: Float32, speed_hz: float | None) -> Waveform:
    at_ns = number * SECOND_NS
    return Waveform("rig", "P", at_ns, RATE_HZ, x, "g", speed_hz, Origin("rig", number, at_ns))


def _ours(blocks: Sequence[Waveform], point: Point) -> None:
    expect(blocks)
    for block in blocks:
        features_of(block, point)


def _textbook(blocks: Sequence[Waveform], *, enveloped: bool) -> None:
    """Each channel for itself, as it is taught: scipy in double precision."""
    band = signal.butter(4, _CARRIER_HZ, "bandpass", fs=RATE_HZ, output="sos")
    for block in blocks:
        x = block.samples[:, 0].astype(np.float64)
        x -= x.mean()
        rms = np.sqrt(np.mean(x**2))
        stats.kurtosis(x, fisher=False)
        np.max(np.abs(x)) / rms
        velocity_mm_s(x)
        if enveloped:
            envelope = np.abs(signal.hilbert(signal.sosfiltfilt(band, x)))
            np.abs(np.fft.rfft(envelope**2 - np.mean(envelope**2)))


def velocity_mm_s(x: NDArray[np.floating]) -> float:
    """Velocity RMS 10-1000 Hz from a Welch spectrum of acceleration in g."""
    hz, power = signal.welch(x, RATE_HZ, nperseg=8192)
    inside = (hz >= 10) & (hz <= 1000)
    mm_s2 = power[inside] * (1000 * STANDARD_GRAVITY) ** 2
    return float(np.sqrt(np.sum(mm_s2 / (2 * np.pi * hz[inside]) ** 2) * (hz[1] - hz[0])))


def _bare(blocks: Sequence[Waveform], *, enveloped: bool) -> None:
    """The same numbers of eight blocks at a time, with nothing looked at, kept or named."""
    for first in range(0, len(blocks), _AT_ONCE):
        x = np.stack([block.samples[:, 0] for block in blocks[first : first + _AT_ONCE]])
        x -= x.mean(axis=1, keepdims=True)
        np.maximum(x.max(axis=1), -x.min(axis=1))
        square = x * x
        mean_square = square.mean(axis=1)
        square *= square
        square.mean(axis=1) / mean_square**2
        x *= _WINDOW
        lines = np.asarray(fft.rfft(x, axis=1), np.complex64)
        power = _power(lines)
        for low, high in _BANDS:
            np.sqrt(power[:, low:high].sum(axis=1))
        for low, high in _CARRIERS if enveloped else ():
            analytic = np.asarray(fft.ifft(lines[:, low:high], axis=1), np.complex64)
            np.sqrt(_power(np.asarray(fft.rfft(_power(analytic), axis=1), np.complex64)))


def _power(lines: NDArray[np.complex64]) -> Float32:
    parts = lines.view(np.float32)
    parts = parts * parts
    power: Float32 = parts[:, 0::2] + parts[:, 1::2]
    return power
