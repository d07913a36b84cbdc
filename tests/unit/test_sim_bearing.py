"""What the simulated accelerometer hears: lines where the geometry puts them, and nothing where nothing is wrong."""

import numpy as np
import pytest

from andon.events import Float32
from andon.plant import Bearing
from simulators.bearing import Element, Vibration, cage_order, impact_order, synthesise
from simulators.chance import generator

BEARING = Bearing(designation="6208", rolling_elements=9, element_diameter=11.906, pitch_diameter=60.0)
SPEED_HZ, RATE_HZ, N = 24.6, 12_800.0, 8192
SLIP = 0.004


def vibration(element: Element | None, severity: float = 0.7) -> Vibration:
    return Vibration(
        speed_hz=SPEED_HZ, bearing=BEARING, element=element, severity=severity if element else 0.0, slip=SLIP
    )


def envelope_spectrum(element: Element | None, blocks: int = 24) -> tuple[Float32, Float32]:
    """Mean amplitude spectrum of the squared envelope between 2 and 5 kHz, and its frequencies."""
    hz = np.fft.rfftfreq(N, 1 / RATE_HZ)
    total = np.zeros(N // 2 + 1)
    for number in range(blocks):
        spectrum = np.fft.rfft(synthesise(vibration(element), generator(3, "block", number)))
        spectrum[(hz < 2000) | (hz > 5000)] = 0
        analytic = np.fft.ifft(np.concatenate([2 * spectrum, np.zeros(N // 2 - 1)]), N)
        squared = np.abs(analytic) ** 2
        total += np.abs(np.fft.rfft((squared - squared.mean()) * np.hanning(N)))
    return total / blocks, hz


def prominence(spectrum: Float32, hz: Float32, line_hz: float) -> float:
    """The highest line within 1 % of a frequency, as a multiple of the median around it."""
    near = np.abs(hz - line_hz) <= max(0.01 * line_hz, 1.6)
    around = np.abs(hz - line_hz) <= 0.3 * line_hz
    return float(spectrum[near].max() / np.median(spectrum[around]))


@pytest.mark.parametrize("element", list(Element))
def test_the_envelope_of_a_damaged_bearing_peaks_where_its_geometry_says(element: Element) -> None:
    spectrum, hz = envelope_spectrum(element)
    assert prominence(spectrum, hz, impact_order(BEARING, element) * SPEED_HZ * (1 + SLIP)) > 8


@pytest.mark.parametrize("element", list(Element))
def test_the_envelope_of_a_healthy_bearing_peaks_nowhere(element: Element) -> None:
    spectrum, hz = envelope_spectrum(None)
    assert prominence(spectrum, hz, impact_order(BEARING, element) * SPEED_HZ * (1 + SLIP)) < 2.5


def test_an_inner_race_turns_through_the_load_with_the_shaft_and_an_outer_race_does_not() -> None:
    beside = {}
    for element in (Element.INNER_RACE, Element.OUTER_RACE):
        spectrum, hz = envelope_spectrum(element)
        line_hz = impact_order(BEARING, element) * SPEED_HZ * (1 + SLIP)
        sideband = spectrum[np.abs(hz - line_hz - SPEED_HZ) < 2.5].max()
        beside[element] = sideband / spectrum[np.abs(hz - line_hz) < 2.5].max()
    assert beside[Element.INNER_RACE] > 0.25
    assert beside[Element.OUTER_RACE] < 0.5 * beside[Element.INNER_RACE]


def test_the_velocity_of_the_shaft_lines_is_the_one_asked_for() -> None:
    wanted = Vibration(speed_hz=25.0, velocity_mm_s=1.4, noise_g=0.0)
    samples = synthesise(wanted, generator(1), n=12_800)  # one second: whole periods
    hz = np.fft.rfftfreq(12_800, 1 / RATE_HZ)
    velocity = np.zeros(hz.size, complex)
    velocity[1:] = np.fft.rfft(samples)[1:] * 9806.65 / (2 * np.pi * hz[1:])
    rms = np.sqrt(2 * np.sum(np.abs(velocity) ** 2)) / 12_800
    assert rms == pytest.approx(1.4, rel=1e-3)


def test_the_noise_floor_has_the_rms_asked_for_and_no_peaks() -> None:
    samples = synthesise(Vibration(speed_hz=25.0, velocity_mm_s=0.0, noise_g=0.06), generator(1))
    assert samples.std() == pytest.approx(0.06, rel=0.05)
    assert float(np.mean((samples / samples.std()) ** 4)) == pytest.approx(3.0, abs=0.3)


def test_impacts_grow_with_severity_and_start_at_nothing() -> None:
    crest = []
    for severity in (0.0, 0.3, 1.0):
        samples = synthesise(vibration(Element.OUTER_RACE, severity), generator(5))
        crest.append(float(np.abs(samples).max() / samples.std()))
    assert crest[0] < 5 < crest[1] < crest[2]


def test_a_standing_machine_gives_noise_only() -> None:
    standing = Vibration(
        speed_hz=0.0, noise_g=0.006, bearing=BEARING, element=Element.OUTER_RACE, severity=1.0
    )
    assert synthesise(standing, generator(1)).std() == pytest.approx(0.006, rel=0.1)


def test_the_same_generator_gives_the_same_block() -> None:
    one, other = (synthesise(vibration(Element.INNER_RACE), generator(7, "DE", 12)) for _ in range(2))
    assert one.dtype == np.float32
    assert one.shape == (N,)
    assert np.array_equal(one, other)
    assert not np.array_equal(one, synthesise(vibration(Element.INNER_RACE), generator(7, "DE", 13)))


def test_orders_are_those_published_for_the_6205_and_the_cage_carries_the_balls() -> None:
    published = Bearing(designation="6205", rolling_elements=9, element_diameter=0.3126, pitch_diameter=1.537)
    orders = [round(impact_order(published, element), 4) for element in Element]
    assert orders == [3.5848, 5.4152, 4.7134]  # Case Western Reserve University, drive end (2 x 2.3572)
    assert impact_order(published, Element.OUTER_RACE) == pytest.approx(9 * cage_order(published))
