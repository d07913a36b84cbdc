"""The plant's encoders against the wire contract, and against the decoders that were written apart from them."""

import json
import struct
import zlib

import numpy as np
import pytest

from ingest.waveform import decode_block
from simulators.messages import Stamp, envelope, metrics, waveform_block

BOOT = bytes(range(16))


@pytest.mark.parametrize(
    ("raw", "code"),
    [
        (np.array([[1, -2], [3, 32767]], "<i2"), 1),
        (np.array([[100_000, -7]], "<i4"), 2),
        (np.array([[0.25], [np.nan]], "<f4"), 3),
    ],
)
def test_a_block_is_laid_out_as_the_contract_says(raw: np.ndarray, code: int) -> None:
    block = waveform_block(
        raw, at_ns=123, rate_hz=12_800.0, scale=0.5, boot=BOOT, block_seq=9, sensor="M1/DE", rpm=1475.0
    )
    fields = struct.unpack_from("<4sBBHQdIHffQ16sI", block)
    size = struct.calcsize("<4sBBHQdIHffQ16sI")
    assert fields[:3] == (b"AWB1", 1, code)
    assert fields[4:12] == (123, 12_800.0, raw.shape[0], raw.shape[1], 0.5, 0.0, 9, BOOT)
    assert fields[12] == zlib.crc32(block[: size - 4] + block[size:])
    assert block[fields[3] :] == raw.tobytes()


def test_the_decoder_reads_back_what_was_encoded() -> None:
    raw = np.arange(-4, 4, dtype="<i2").reshape(4, 2)
    block = decode_block(
        waveform_block(
            raw, at_ns=5, rate_hz=25_600.0, scale=0.25, boot=BOOT, block_seq=3, sensor="M1/DE", rpm=1500.0
        )
    )
    assert (block.at_ns, block.rate_hz, block.unit, block.sensor, block.number) == (
        5,
        25_600.0,
        "g",
        "M1/DE",
        3,
    )
    assert block.boot.bytes == BOOT
    assert block.speed_hz == pytest.approx(25.0)
    assert np.array_equal(block.samples, raw * np.float32(0.25))


def test_one_axis_needs_no_second_dimension_and_an_unknown_speed_is_not_sent() -> None:
    block = decode_block(
        waveform_block(np.zeros(8, "<i2"), at_ns=0, rate_hz=1.0, scale=1.0, boot=BOOT, block_seq=0)
    )
    assert block.samples.shape == (8, 1)
    assert block.speed_hz is None


def test_samples_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="int16, int32 or float32 samples, not float64"):
        waveform_block(np.zeros(8), at_ns=0, rate_hz=1.0, scale=1.0, boot=BOOT, block_seq=0)


def test_the_envelope_has_cloudevents_names_and_says_who_speaks_in_which_order() -> None:
    data = metrics([("DE/temperature", 41.2, "Cel")])
    body = envelope(
        message_id="a:1",
        source="gateway/a",
        kind="andon.telemetry.v1",
        at_ns=1_700_000_000_123_000_000,
        subject="e/s/a/l/c/a",
        data=data,
        stamp=Stamp("a", BOOT, 1),
    )
    assert json.loads(body) == {
        "specversion": "1.0",
        "id": "a:1",
        "source": "gateway/a",
        "type": "andon.telemetry.v1",
        "time": "2023-11-14T22:13:20.123Z",
        "subject": "e/s/a/l/c/a",
        "datacontenttype": "application/json",
        "producer": "a",
        "boot": BOOT.hex(),
        "seq": 1,
        "data": {"metrics": [{"name": "DE/temperature", "value": 41.2, "unit": "Cel", "quality": 0}]},
    }
