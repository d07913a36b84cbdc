"""AWB1 blocks: decoded exactly, refused strictly, against an encoder written from the contract."""

import math
import struct

import numpy as np
import pytest
from decoder_words import BOOT, T0, block
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from ingest.refusal import Refused
from ingest.waveform import decode_block


def refusal(body: bytes) -> str:
    with pytest.raises(Refused) as caught:
        decode_block(body)
    return str(caught.value.reason)


def test_every_field_arrives() -> None:
    tail = b"\x01\x05m/s^2\x02\x04" + struct.pack("<f", 1500) + b"\x03\x02s7" + b"\x04\x01\x02" + b"\x63\x00"
    decoded = decode_block(block((1, 2, 3, 4, 5, 6), channels=3, scale=2.0, offset=-1.0, number=9, tail=tail))
    assert decoded.samples.tolist() == [[1, 3, 5], [7, 9, 11]]
    assert decoded.samples.dtype == np.float32
    assert (decoded.at_ns, decoded.rate_hz, decoded.number, decoded.boot) == (T0, 1000.0, 9, BOOT)
    assert (decoded.unit, decoded.speed_hz, decoded.sensor) == ("m/s^2", 25.0, "s7")


def test_what_the_sender_does_not_say_stays_open() -> None:
    decoded = decode_block(block(tail=b""))
    assert (decoded.unit, decoded.speed_hz, decoded.sensor) == ("", None, "")


@given(
    hnp.arrays(np.int16, st.integers(1, 50)),
    st.floats(0.0009765625, 1024, width=32),
    st.floats(-9, 9, width=32),
)
def test_samples_are_raw_times_scale_plus_offset_in_float32(
    raw: np.ndarray, scale: float, offset: float
) -> None:
    decoded = decode_block(block(raw.tolist(), scale=scale, offset=offset))
    expected = raw.astype(np.float32) * np.float32(scale) + np.float32(offset)
    assert np.array_equal(decoded.samples[:, 0], expected)


@pytest.mark.parametrize("code", [2, 3])
def test_wider_samples_arrive(code: int) -> None:
    decoded = decode_block(block((70_000, -70_000), code=code, scale=1.0))
    assert decoded.samples[:, 0].tolist() == [70_000, -70_000]


def test_samples_that_are_no_number_or_overflow_are_kept_as_they_are() -> None:
    decoded = decode_block(block((math.nan, math.inf, 3e38), code=3, scale=10.0))
    assert [repr(value) for value in decoded.samples[:, 0].tolist()] == ["nan", "inf", "inf"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"AWB1" + bytes(61),
        block(magic=b"AWB2"),
        block(version=2),
        block(code=4),
        block(code=0),
        block(n=0, samples=()),
        block(n=2),
        block(n=2**32 - 1),
        block(channels=0, n=3),
        block(channels=65, samples=(0,) * 65),
        block(rate_hz=0),
        block(rate_hz=-1),
        block(rate_hz=math.nan),
        block(rate_hz=math.inf),
        block(scale=0.0),
        block(scale=math.nan),
        block(offset=math.inf),
        block(at_ns=2**64 - 1),
        block(number=2**64 - 1),
        block(header_bytes=65),
        block(header_bytes=70),
        block(tail=b"\x01"),
        block(tail=b"\x01\x05g"),
        block(tail=b"\x01\x01\xff"),
        block(tail=b"\x01\x01\x00"),
        block(tail=b"\x02\x01\x00"),
        block(tail=b"\x01\x01g\x01\x01g"),
    ],
)
def test_a_wrong_header_is_refused(body: bytes) -> None:
    assert refusal(body) == "bad_waveform_header"


@given(st.integers(0, 8 * len(block()) - 1))
def test_a_flipped_bit_is_never_decoded(bit: int) -> None:
    body = bytearray(block())
    body[bit // 8] ^= 1 << bit % 8
    assert refusal(bytes(body)) in {"waveform_crc", "bad_waveform_header"}
    if bit >= 5 * 8:
        assert refusal(bytes(body)) == "waveform_crc"


def test_a_block_cut_short_or_with_bytes_behind_it_is_refused() -> None:
    assert refusal(block()[:-1]) == "waveform_crc"
    assert refusal(block() + b"\x00") == "waveform_crc"


@given(st.binary(max_size=200))
def test_random_bytes_are_refused(body: bytes) -> None:
    assert refusal(body) == "bad_waveform_header"


@pytest.mark.parametrize("rpm", [0.0, -5.0, math.nan, math.inf])
def test_a_speed_that_is_none_is_left_out(rpm: float) -> None:
    assert decode_block(block(tail=b"\x02\x04" + struct.pack("<f", rpm))).speed_hz is None
