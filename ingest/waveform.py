"""AWB1, the binary waveform block: decoded strictly, because a block that is nearly right is wrong.

Little endian, no padding: magic, version, dtype, header length, t0 in ns, rate in Hz, n, channels, scale, offset,
block number, boot id, CRC-32 of all other bytes; then type-length-value fields up to the header length; then
(n, channels) samples, row by row. A value is raw x scale + offset.
"""

import math
import struct
import zlib
from dataclasses import dataclass
from typing import NoReturn
from uuid import UUID

import numpy as np

from andon.events import Float32
from ingest.refusal import Reason, Refused

MAGIC = b"AWB1"
MAX_CHANNELS = 64
MAX_RATE_HZ = 10e6
_HEADER = struct.Struct("<4sBBHQdIHffQ16sI")
_CRC_AT = _HEADER.size - 4
_RAW_TYPES: dict[int, np.dtype[np.int16] | np.dtype[np.int32] | np.dtype[np.float32]] = {
    1: np.dtype("<i2"),
    2: np.dtype("<i4"),
    3: np.dtype("<f4"),
}
_UNIT, _RPM, _SENSOR, _SYNC = 1, 2, 3, 4
_SIZES = {_RPM: 4, _SYNC: 1}


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """One decoded block: `samples` (n, channels) float32 in `unit`, NaN and infinity included as they came.

    `speed_hz` is None and `sensor` empty where the sender did not say; `unit` is empty then too.
    """

    at_ns: int
    rate_hz: float
    samples: Float32
    unit: str
    speed_hz: float | None
    sensor: str
    boot: UUID
    number: int


def decode_block(body: bytes) -> Block:
    """The block in `body`; Refused with bad_waveform_header or waveform_crc."""
    if len(body) < _HEADER.size:
        _refuse(f"{len(body)} bytes, the shortest block has {_HEADER.size}")
    magic, version, code, header_bytes, at_ns, rate_hz, n, channels, scale, offset, number, boot, crc = (
        _HEADER.unpack_from(body)
    )
    if magic != MAGIC or version != 1:
        _refuse(f"magic {magic!r}, version {version}; known is {MAGIC!r}, version 1")
    if zlib.crc32(memoryview(body)[_HEADER.size :], zlib.crc32(body[:_CRC_AT])) != crc:
        raise Refused(Reason.WAVEFORM_CRC, f"CRC-32 is not {crc:#010x}: the block changed on its way")
    raw_type = _RAW_TYPES.get(code)
    if raw_type is None:
        _refuse(f"sample type {code}; known are {sorted(_RAW_TYPES)}")
    _check_numbers(at_ns, rate_hz, scale, offset, number)
    if not (1 <= channels <= MAX_CHANNELS and n >= 1):
        _refuse(f"{n} samples of {channels} channels; wanted are at least 1 of 1 to {MAX_CHANNELS}")
    if header_bytes < _HEADER.size or len(body) != header_bytes + n * channels * raw_type.itemsize:
        _refuse(f"{len(body)} bytes do not hold a header of {header_bytes} and {n} x {channels} samples")
    fields = _fields(body[_HEADER.size : header_bytes])
    raw = np.frombuffer(body, raw_type, n * channels, header_bytes).reshape(n, channels)
    with np.errstate(over="ignore", invalid="ignore"):  # a float that overflows is infinite: bad, and kept
        samples = raw.astype(np.float32) * np.float32(scale) + np.float32(offset)
    return Block(
        at_ns=at_ns,
        rate_hz=rate_hz,
        samples=samples,
        unit=_text(fields.get(_UNIT, b"")),
        speed_hz=_speed_hz(fields.get(_RPM)),
        sensor=_text(fields.get(_SENSOR, b"")),
        boot=UUID(bytes=boot),
        number=number,
    )


def _check_numbers(at_ns: int, rate_hz: float, scale: float, offset: float, number: int) -> None:
    if not 0 < rate_hz <= MAX_RATE_HZ:  # NaN is not either
        _refuse(f"a rate of {rate_hz} Hz; wanted is more than 0 and at most {MAX_RATE_HZ:.0f}")
    if not (math.isfinite(scale) and math.isfinite(offset) and scale):
        _refuse(f"scale {scale}, offset {offset}; wanted are finite numbers, the scale not 0")
    if max(at_ns, number) > 2**63 - 2:
        _refuse(f"time {at_ns} ns or block number {number} beyond 63 bits")


def _fields(tail: bytes) -> dict[int, bytes]:
    """The type-length-value fields; of a later version's types nothing is lost but their meaning."""
    fields: dict[int, bytes] = {}
    at = 0
    while at < len(tail):
        kind, value = tail[at], tail[at + 2 : at + 2 + tail[at + 1]] if at + 1 < len(tail) else b""
        if at + 1 >= len(tail) or len(value) != tail[at + 1] or _SIZES.get(kind, len(value)) != len(value):
            _refuse(f"field {kind} is cut short or of the wrong length")
        if kind in fields:
            _refuse(f"field {kind} stands twice")
        fields[kind] = value
        at += 2 + len(value)
    return fields


def _text(value: bytes) -> str:
    try:
        text = value.decode()
    except UnicodeDecodeError:
        _refuse("a text field is not UTF-8")
    if "\x00" in text:
        _refuse("a text field holds NUL")
    return text


def _speed_hz(value: bytes | None) -> float | None:
    if value is None:
        return None
    rpm: float = struct.unpack("<f", value)[0]
    return rpm / 60 if math.isfinite(rpm) and rpm > 0 else None


def _refuse(detail: str) -> NoReturn:
    raise Refused(Reason.BAD_WAVEFORM_HEADER, detail)
