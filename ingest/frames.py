"""The journal's framing: each record is a run of bytes with its own CRC-32, bound to its position.

A frame is `crc u32, received_ns i64, connection u64, body length u32, packet u16, topic length u16, kind u8,
flags u8`, little endian, then topic and body. The CRC covers all after itself and starts from the position,
so that a frame found at another position is no frame. A body that is kept elsewhere has the highest bit of
`kind` set and stands in the frame as `Place`.
"""

import struct
import zlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from andon.ports import Record, RecordKind

_CRC = struct.Struct("<I")
_REST = struct.Struct("<qQIHHBB")
_HEADER = struct.Struct("<IqQIHHBB")
_PLACE = struct.Struct("<QII")
_ELSEWHERE = 0x80
HEADER_BYTES = _HEADER.size
_KINDS: dict[int, RecordKind] = {int(kind): kind for kind in RecordKind}


class Place(NamedTuple):
    """Where a large body is kept: offset and length in bytes in the segment, CRC-32 of the body."""

    offset: int
    length: int
    crc: int


class Fault(NamedTuple):
    """The record at `position` cannot be read; the next one that may be is `resume` (None: unknown)."""

    position: int
    resume: int | None


def encode(
    records: Sequence[Record], position: int, *, inline_bytes: int, offset: int
) -> tuple[bytes, list[bytes]]:
    """The frames of `records`, the first of them at `position`, and the bodies longer than `inline_bytes`.

    Those bodies are to be written one after another from `offset` on. ValueError if a field does not fit its
    frame (a topic over 65,535 bytes, a packet id over 16 bits).
    """
    parts: list[bytes] = []
    elsewhere: list[bytes] = []
    crc32, pack, crc_of = zlib.crc32, _REST.pack, _CRC.pack
    try:
        for record in records:
            topic, body, kind = record.topic, record.body, int(record.kind)
            if len(body) > inline_bytes:
                elsewhere.append(body)
                body = _PLACE.pack(offset, len(body), crc32(body))
                offset += len(elsewhere[-1])
                kind |= _ELSEWHERE
            rest = (
                pack(
                    record.received_ns,
                    record.connection,
                    len(body),
                    record.packet,
                    len(topic),
                    kind,
                    record.flags,
                )
                + topic
                + body
            )
            parts += (crc_of(crc32(rest, position & 0xFFFF_FFFF)), rest)
            position += 1
    except struct.error as error:
        raise ValueError(f"a record does not fit its frame: {error}") from error
    return b"".join(parts), elsewhere


class Row:
    """One row of frames on its way through being read: frames up to `end`, the next of them at `position`."""

    __slots__ = ("_at", "_frames", "end", "position")

    def __init__(self, frames: bytes, position: int, count: int) -> None:
        self.position, self.end = position, position + count
        self._frames = frames
        self._at = 0

    def skip_to(self, position: int) -> bool:
        """Go on to `position`, by the lengths of the frames alone; False if a length on the way is damaged."""
        frames, at = self._frames, self._at
        for _ in range(self.position, position):
            at = _frame_end(frames, at)
            if not at:
                return False
        self._at, self.position = at, position
        return True

    def take(self, limit: int, body_at: Callable[[Place], bytes | None]) -> tuple[list[Record], Fault | None]:
        """Up to `limit` records, and as a Fault the first one that is not as written, which ends them.

        `body_at` fetches a body that is kept elsewhere, None if it is not as written.
        """
        records: list[Record] = []
        frames, at, end = self._frames, self._at, min(self.end, self.position + limit)
        unpack, crc32, size = _HEADER.unpack_from, zlib.crc32, len(frames)
        for position in range(self.position, end):
            stop = 0
            if at + HEADER_BYTES <= size:
                crc, received_ns, connection, body_length, packet, topic_length, kind, flags = unpack(
                    frames, at
                )
                topic_end = at + HEADER_BYTES + topic_length
                stop = topic_end + body_length
            if not 0 < stop <= size:  # its length is gone, and with it all that follow
                return records, Fault(position, self.end)
            sound = crc32(frames[at + _CRC.size : stop], position & 0xFFFF_FFFF) == crc
            body = _body(frames[topic_end:stop], kind, body_at) if sound else None
            if body is None:
                return records, Fault(position, _resume(frames, stop, position + 1, self.end))
            topic = frames[at + HEADER_BYTES : topic_end]
            records.append(Record(_KINDS[kind & 0x7F], received_ns, topic, body, connection, packet, flags))
            self._at = at = stop
            self.position = position + 1
        return records, None


def count_frames(frames: bytes) -> int | None:
    """How many frames stand in `frames`, by their lengths alone; None if they do not end where the bytes do."""
    at = count = 0
    while at < len(frames):
        at = _frame_end(frames, at)
        if not at:
            return None
        count += 1
    return count


def _body(found: bytes, kind: int, body_at: Callable[[Place], bytes | None]) -> bytes | None:
    if kind & 0x7F not in _KINDS:
        return None  # written by a later version
    return body_at(Place(*_PLACE.unpack(found))) if kind & _ELSEWHERE else found


def _frame_end(frames: bytes, at: int) -> int:
    """The offset after the frame at `at`; 0 if it does not fit."""
    if at + HEADER_BYTES > len(frames):
        return 0
    _, _, _, body_length, _, topic_length, _, _ = _HEADER.unpack_from(frames, at)
    end: int = at + HEADER_BYTES + topic_length + body_length
    return end if end <= len(frames) else 0


def _resume(frames: bytes, at: int, position: int, end: int) -> int:
    """The first position from `position` on whose frame is sound, the frames being chained from `at`; else `end`."""
    while position < end:
        stop = _frame_end(frames, at)
        if not stop:
            break
        (crc,) = _CRC.unpack_from(frames, at)
        if zlib.crc32(frames[at + _CRC.size : stop], position & 0xFFFF_FFFF) == crc:
            return position
        at, position = stop, position + 1
    return end
