"""Recordings as sources: every block in order, at its place in time, with both axes."""

from pathlib import Path

import numpy as np
import pytest

from andon.events import SECOND_NS, Int32
from ingest.waveform import decode_block
from simulators.recordings import PERIOD_NS, femto

START_NS = 1_700_000_000 * SECOND_NS


@pytest.fixture
def samples() -> Int32:
    return np.random.default_rng(1).integers(-20_000, 20_000, (2, 7, 2560), dtype=np.int32)


@pytest.fixture
def path(tmp_path: Path, samples: Int32) -> Path:
    file = tmp_path / "Bearing2_1.npz"
    np.savez(file, h_millig=samples[0], v_millig=samples[1], tod_s=np.zeros(7))
    return file


def test_each_block_bears_both_axes_in_g_and_stands_ten_seconds_after_the_last(
    path: Path, samples: Int32
) -> None:
    recording = femto(path, START_NS)
    blocks = [decode_block(message.body) for message in recording.due(START_NS, recording.end_ns)]
    assert [block.at_ns for block in blocks] == [START_NS + k * PERIOD_NS for k in range(7)]
    assert [block.number for block in blocks] == list(range(7))
    assert {block.rate_hz for block in blocks} == {25_600.0}
    assert np.allclose(blocks[3].samples, samples[:, 3].T / 1000, atol=1e-4)


def test_due_takes_what_begins_in_the_interval_and_no_more(path: Path) -> None:
    recording = femto(path, START_NS)
    parts = [(0, 10), (10, 25), (25, 1000)]
    pieces = [
        [message.at_ns for message in recording.due(START_NS + low * SECOND_NS, START_NS + high * SECOND_NS)]
        for low, high in parts
    ]
    assert [len(piece) for piece in pieces] == [1, 2, 4]
    assert [at_ns for piece in pieces for at_ns in piece] == [START_NS + k * PERIOD_NS for k in range(7)]
    assert list(recording.due(START_NS - 100 * SECOND_NS, START_NS)) == []


@pytest.mark.parametrize(("condition", "speed_hz"), [(1, 30.0), (2, 27.5), (3, 25.0)])
def test_the_plant_knows_the_bearing_and_the_speed_of_its_condition(
    tmp_path: Path, samples: Int32, condition: int, speed_hz: float
) -> None:
    file = tmp_path / f"Bearing{condition}_4.npz"
    np.savez(file, h_millig=samples[0], v_millig=samples[1])
    (asset,) = femto(file, START_NS).plant.assets
    (point,) = asset.points
    assert point.speed_hz == speed_hz
    assert point.bearing is not None
    assert (point.bearing.rolling_elements, point.bearing.element_diameter) == (13, 3.5)
    assert femto(file, START_NS).message(0).topic == f"andon/v1/{asset.path}/{asset.id}/_wave/{point.id}"


def test_a_missing_recording_is_named_with_the_place_where_it_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as missing:
        femto(tmp_path / "Bearing1_1.npz", START_NS)
    assert str(missing.value) == f"there is no recording Bearing1_1.npz: looked in {tmp_path.resolve()}"


def test_what_is_no_femto_recording_is_said_in_one_line(tmp_path: Path, samples: Int32) -> None:
    with pytest.raises(ValueError, match="is no FEMTO recording"):
        femto(tmp_path / "Motor1.npz", START_NS)
    text, keyless, ragged = (tmp_path / f"Bearing1_{number}.npz" for number in (1, 2, 3))
    text.write_text("hello")
    np.savez(keyless, other=samples)
    np.savez(ragged, h_millig=samples[0], v_millig=samples[1, :3])
    for file in (text, keyless, ragged):
        with pytest.raises(ValueError, match=file.name) as wrong:
            femto(file, START_NS)
        assert "\n" not in str(wrong.value)
