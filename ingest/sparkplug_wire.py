"""Protocol Buffers' wire format, read strictly and within bounds: nothing is allocated that the bytes do not hold.

Only what Sparkplug B needs: the fields of one message, one level at a time. What is inside a field is read by who
knows the field, so no nesting of the sender's can make us recurse.
"""

import struct
from collections.abc import Callable, Iterator, Mapping
from typing import TypeVar

from ingest.envelope import check_utf8
from ingest.refusal import Reason, Refused

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
_MASK64 = 2**64 - 1
_LONGEST_VARINT = 10
_SIZES = {FIXED32: 4, FIXED64: 8}
Raw = int | bytes
T = TypeVar("T")


def fields(body: bytes) -> Iterator[tuple[int, int, Raw]]:
    """(number, wire type, raw value) of each field in order: an int for numbers, bytes for the rest.

    Refused (schema) where the bytes end too early or say what no message says.
    """
    at, end = 0, len(body)
    while at < end:
        tag = body[at]
        if tag < 0x80:  # of nearly all: numbers of one byte need no call
            at += 1
        else:
            tag, at = _varint(body, at)
        number, wire = tag >> 3, tag & 7
        if not 1 <= number < 2**29:
            raise wrong(f"field number {number}")
        if wire == VARINT:
            value, at = _varint(body, at)
            yield number, wire, value
            continue
        if wire == BYTES:
            size, at = _varint(body, at)
        elif wire in _SIZES:
            size = _SIZES[wire]
        else:
            raise wrong(f"field {number} has wire type {wire}")
        if size > end - at:
            raise wrong(f"field {number} has {size} bytes, and {end - at} are left")
        raw = body[at : at + size]
        yield number, wire, raw if wire == BYTES else int.from_bytes(raw, "little")
        at += size


def message(body: bytes, known: Mapping[int, tuple[int, Callable[[Raw], T]]]) -> dict[int, T]:
    """The known fields by number, the last of each; unknown ones are passed over, as a newer sender may add some."""
    found: dict[int, T] = {}
    for number, wire, raw in fields(body):
        if number in known:
            wanted, read = known[number]
            found[number] = read(checked(number, wire, wanted, raw))
    return found


def checked(number: int, wire: int, wanted: int, raw: Raw) -> Raw:
    """The raw value, if it came as that wire type."""
    if wire != wanted:
        raise wrong(f"field {number} came as wire type {wire}, not {wanted}")
    return raw


def unsigned(raw: Raw) -> int:
    """A 64-bit number."""
    return raw if isinstance(raw, int) else 0


def short(raw: Raw) -> int:
    """A 32-bit number; a negative one may have been written with 64 bits, its upper half says nothing."""
    return unsigned(raw) & 0xFFFF_FFFF


def flag(raw: Raw) -> bool:
    """A truth value."""
    return raw != 0


def binary32(raw: Raw) -> float:
    """A float."""
    (value,) = struct.unpack("<f", unsigned(raw).to_bytes(4, "little"))
    return float(value)


def binary64(raw: Raw) -> float:
    """A double."""
    (value,) = struct.unpack("<d", unsigned(raw).to_bytes(8, "little"))
    return float(value)


def octets(raw: Raw) -> bytes:
    """The bytes of a field, or a message within that is not read yet."""
    return b"" if isinstance(raw, int) else raw


def text(raw: Raw) -> str:
    """A text; Refused (invalid_utf8) for anything else."""
    return check_utf8(octets(raw))


def wrong(what: str) -> Refused:
    """The refusal of bytes that are no such message."""
    return Refused(Reason.SCHEMA, f"no Sparkplug B payload: {what}")


def _varint(body: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    for byte in body[at : at + _LONGEST_VARINT]:
        value |= (byte & 0x7F) << shift
        at, shift = at + 1, shift + 7
        if byte < 0x80:
            if value > _MASK64:
                raise wrong("a number of more than 64 bits")
            return value, at
    raise wrong("a number without end")
