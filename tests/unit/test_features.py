"""Features against closed forms; and a block that cannot be trusted never looks healthy."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from andon.events import Float32, Quality, Readings
from detectors.features import BAND_EDGES_HZ, features_of, problem_of, spectrum_of
from tests.vibration import RATE_HZ, waveform

ONE_G_AT_159_155_HZ_MM_S = 6.934  # 9806.65 / (2 π 159.155) / √2


def sine(
    hz: float, amplitude: float = 1.0, *, seconds: float = 1.0, rate_hz: float = 25_600.0, phase: float = 0.3
) -> Float32:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (amplitude * np.sin(2 * np.pi * hz * t + phase)).astype(np.float32)


def values(readings: Readings) -> dict[str, float]:
    return {
        readings.channels[c].partition("/")[2]: float(v)
        for c, v in zip(readings.channel, readings.value, strict=True)
    }


def quality(readings: Readings, quantity: str) -> int:
    return int(readings.quality[readings.channels.index(f"DE/{quantity}")])


def test_one_g_at_159_155_hz_is_6_934_mm_s() -> None:
    # 159 whole periods would be 159 Hz: 0.155 of a period more costs 1e-4
    found = values(features_of(waveform(sine(159.155), rate_hz=25_600.0), None))
    assert found["velocity_rms"] == pytest.approx(ONE_G_AT_159_155_HZ_MM_S, rel=2e-4)
    assert found["acceleration_rms"] == pytest.approx(1 / math.sqrt(2), rel=1e-3)
    assert found["kurtosis"] == pytest.approx(1.5, rel=2e-3)
    assert found["crest"] == pytest.approx(math.sqrt(2), rel=2e-3)


def test_a_sine_on_a_line_is_drawn_with_its_rms() -> None:
    drawn = spectrum_of(waveform(sine(160.0, 2.0), rate_hz=25_600.0)).rms()
    assert drawn.max() == pytest.approx(2 / math.sqrt(2), rel=1e-3)
    assert int(drawn.argmax()) == 160


@settings(deadline=None, max_examples=40)
@given(hz=st.integers(20, 980), amplitude=st.floats(0.01, 20), phase=st.floats(0, 6.2))
def test_a_sine_of_whole_periods_has_the_velocity_of_the_textbook(
    hz: int, amplitude: float, phase: float
) -> None:
    found = values(features_of(waveform(sine(hz, amplitude, phase=phase), rate_hz=25_600.0), None))
    right = 9806.65 * amplitude / (2 * math.pi * hz) / math.sqrt(2)
    assert found["velocity_rms"] == pytest.approx(right, rel=0.5 / hz**2 + 2e-5)


@pytest.mark.parametrize(("hz", "part"), [(5, 0.0), (1010, 0.0), (3000, 0.0), (12, 1.0), (990, 1.0)])
def test_velocity_hears_10_to_1000_hz_only(hz: float, part: float) -> None:
    found = values(features_of(waveform(sine(hz), rate_hz=25_600.0), None))
    right = 9806.65 / (2 * math.pi * hz) / math.sqrt(2)
    assert found["velocity_rms"] == pytest.approx(part * right, rel=0.01, abs=2e-3 * right)


def test_a_block_of_a_tenth_of_a_second_starts_at_20_hz_and_says_so() -> None:
    short = features_of(waveform(sine(160, seconds=0.1), rate_hz=25_600.0), None)
    assert values(short)["velocity_rms"] == pytest.approx(6.898, rel=2.5e-3)  # (10 / 160)² / 2 = 2e-3
    assert quality(short, "velocity_rms") == Quality.UNCERTAIN
    assert quality(short, "acceleration_rms") == Quality.GOOD
    drifting = sine(160, seconds=0.1) + np.linspace(-1, 1, 2560, dtype=np.float32)
    assert (
        values(features_of(waveform(drifting, rate_hz=25_600.0), None))["velocity_rms"] < 9.0
    )  # 10 Hz: left out


@settings(deadline=None, max_examples=30)
@given(
    seed=st.integers(0, 2**32 - 1),
    n=st.integers(256, 9000),
    scale=st.floats(1e-3, 100),
    axes=st.integers(1, 3),
    rate_hz=st.sampled_from([12_800.0, 25_600.0, 48_828.0]),
)
def test_the_bands_add_up_to_what_lies_between_their_edges(
    seed: int, n: int, scale: float, axes: int, rate_hz: float
) -> None:
    x = (np.random.default_rng(seed).standard_normal((n, axes)) * scale).astype(np.float32)
    block = waveform(x, rate_hz=rate_hz)
    spectrum, found = spectrum_of(block), values(features_of(block, None))
    bands = {name: value for name, value in found.items() if name.startswith("band_")}
    first = spectrum.step_hz * np.arange(spectrum.power.shape[1]) >= BAND_EDGES_HZ[0]
    top_hz = max(int(name.split(".")[0].split("_")[2]) for name in bands)
    inside = first & (spectrum.step_hz * np.arange(spectrum.power.shape[1]) < top_hz)
    whole = spectrum.power[:, inside].sum()
    assert sum(value**2 for value in bands.values()) == pytest.approx(whole, rel=1e-4)
    assert len(bands) % axes == 0
    assert found["acceleration_rms"] == pytest.approx(x.std(axis=0).max(), rel=1e-4)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 2**32 - 1), gain=st.floats(0.01, 100))
def test_features_scale_with_the_signal_and_kurtosis_and_crest_do_not(seed: int, gain: float) -> None:
    x = np.random.default_rng(seed).standard_normal(4096).astype(np.float32)
    one, other = (
        values(features_of(waveform(x), None)),
        values(features_of(waveform(x * np.float32(gain)), None)),
    )
    for name in one:
        expected = one[name] if name in {"kurtosis", "crest"} else gain * one[name]
        assert other[name] == pytest.approx(expected, rel=1e-4)


def test_a_line_on_a_band_edge_does_not_jump_when_the_speed_moves_by_2_percent() -> None:
    levels = [
        values(features_of(waveform(sine(hz, seconds=0.64, rate_hz=RATE_HZ)), None))["band_300_700"]
        for hz in (296.0, 300.0, 304.0)
    ]
    assert max(levels) / min(levels) < 1.35  # hard edges: × 300


def test_gravity_and_units_do_not_matter() -> None:
    x = sine(200)
    in_g = values(features_of(waveform(x, rate_hz=25_600.0), None))
    in_si = values(features_of(waveform((x + 1) * np.float32(9.80665), rate_hz=25_600.0, unit="m/s2"), None))
    assert in_si["velocity_rms"] == pytest.approx(in_g["velocity_rms"], rel=1e-4)


def test_the_worst_axis_counts_and_the_bands_are_kept_apart() -> None:
    x = np.stack([sine(200, 0.5), sine(200, 2.0)], axis=1)
    found = values(features_of(waveform(x, rate_hz=25_600.0), None))
    assert found["acceleration_rms"] == pytest.approx(2 / math.sqrt(2), rel=1e-3)
    assert found["band_20_300.2"] == pytest.approx(4 * found["band_20_300.1"], rel=1e-3)


def test_a_slow_sensor_has_no_velocity_and_only_the_bands_it_hears() -> None:
    slow = features_of(waveform(sine(50, rate_hz=1600.0), rate_hz=1600.0), None)
    assert quality(slow, "velocity_rms") == Quality.BAD
    assert math.isnan(values(slow)["velocity_rms"])
    assert [name for name in values(slow) if name.startswith("band_")] == ["band_20_300", "band_300_700"]


NOISE = np.random.default_rng(0).standard_normal(8192).astype(np.float32)


@pytest.mark.parametrize(
    ("x", "code"),
    [
        (NOISE[:100], "wrong_length"),
        (np.zeros((0, 1), np.float32), "wrong_length"),
        (np.where(np.arange(8192) == 77, np.nan, NOISE), "not_finite"),
        (np.where(np.arange(8192) == 77, np.inf, NOISE), "not_finite"),
        (np.full(8192, 0.98, np.float32), "flat"),
        (np.stack([NOISE, np.zeros_like(NOISE)], axis=1), "flat"),
        (NOISE.clip(-2.5, 2.5), "clipped"),
        (NOISE.clip(-9, 2.5), "clipped"),
        (sine(200).clip(-0.98, 0.98), "clipped"),
        (NOISE * np.float32(1e7), "out_of_range"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_block_that_cannot_be_trusted_is_not_healthy(x: Float32, code: str) -> None:
    block = waveform(x.astype(np.float32))
    problem = problem_of(block)
    assert problem is not None
    assert problem[0] == code
    readings = features_of(block, None)
    assert (readings.quality >= Quality.UNCERTAIN).all()
    assert np.isnan(readings.value).all()


def test_a_bad_block_speaks_of_the_same_channels_as_a_good_one() -> None:
    good, bad = features_of(waveform(NOISE), None), features_of(waveform(NOISE * np.float32(np.nan)), None)
    assert good.channels == bad.channels


@settings(deadline=None, max_examples=60)
@given(
    hz=st.floats(0.5, 6000),
    amplitude=st.floats(0.001, 50),
    step=st.sampled_from([0.0, 1e-3, 1e-2]),
    seed=st.integers(0, 9),
)
def test_a_whole_sine_and_noise_are_not_called_clipped(
    hz: float, amplitude: float, step: float, seed: int
) -> None:
    noise = np.random.default_rng(seed).standard_normal(8192) * amplitude / 3
    for x in (
        sine(hz, amplitude, seconds=0.64, rate_hz=RATE_HZ),
        noise,
        np.tanh(noise / amplitude) * amplitude,
    ):
        digital = np.round(x / step) * step if step else x
        problem = problem_of(waveform(digital.astype(np.float32)))
        assert problem is None or problem[0] == "flat"


def test_a_word_about_clipping_does_not_need_both_ends() -> None:
    assert problem_of(waveform(np.maximum(NOISE, np.float32(-2.0)))) == ("clipped", Quality.UNCERTAIN)
