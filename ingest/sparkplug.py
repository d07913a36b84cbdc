"""Sparkplug B payloads: from bytes to metrics, each with its value as the datatype of its birth says.

Written from the Sparkplug 3.0 specification (chapter 6). What a metric is worth needs its datatype, which only a
birth must carry: so reading a payload gives raw metrics, and `value_of` gives the value once the datatype is known.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from andon.events import Json
from ingest import sparkplug_wire as wire
from ingest.refusal import Reason, Refused
from ingest.sparkplug_wire import BYTES, FIXED32, FIXED64, VARINT, wrong

MAX_METRICS = 20_000
"""In one payload."""
MAX_PROPERTIES = 256
MAX_NAME = 1_000
MAX_MS = 9_223_372_036_854
"""The last millisecond that a time in nanoseconds can hold."""


class Datatype(IntEnum):
    """The datatypes of a metric (Sparkplug 3.0, 6.4.16)."""

    INT8 = 1
    INT16 = 2
    INT32 = 3
    INT64 = 4
    UINT8 = 5
    UINT16 = 6
    UINT32 = 7
    UINT64 = 8
    FLOAT = 9
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12
    DATETIME = 13
    TEXT = 14
    UUID = 15
    DATASET = 16
    BYTES = 17
    FILE = 18
    TEMPLATE = 19
    INT8_ARRAY = 22
    INT16_ARRAY = 23
    INT32_ARRAY = 24
    INT64_ARRAY = 25
    UINT8_ARRAY = 26
    UINT16_ARRAY = 27
    UINT32_ARRAY = 28
    UINT64_ARRAY = 29
    FLOAT_ARRAY = 30
    DOUBLE_ARRAY = 31
    BOOLEAN_ARRAY = 32
    STRING_ARRAY = 33
    DATETIME_ARRAY = 34


@dataclass(frozen=True, slots=True)
class Structure:
    """A DataSet or a Template: recognised, and left closed."""

    length: int


Value = int | float | bool | str | bytes | NDArray[Json] | tuple[str, ...] | Structure
Property = int | float | bool | str
_Raw = int | float | bool | str | bytes | Structure


@dataclass(frozen=True, slots=True)
class Metric:
    """One metric as it came: `datatype` is 0 and `name`, `alias`, `timestamp_ms` are None where it does not say.

    `held_in` is the number of the field that held the value, 0 if none did (or `is_null`).
    """

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    datatype: int = 0
    is_historical: bool = False
    is_transient: bool = False
    is_null: bool = False
    is_multi_part: bool = False
    properties: Mapping[str, Property] = field(default_factory=dict)
    held_in: int = 0
    raw: _Raw = 0


@dataclass(frozen=True, slots=True)
class Payload:
    """What one Sparkplug message says; `seq` is None in a death."""

    timestamp_ms: int | None
    seq: int | None
    metrics: tuple[Metric, ...]
    uuid: str = ""


_METRIC: dict[int, tuple[int, Callable[[wire.Raw], Json]]] = {
    1: (BYTES, wire.text),
    2: (VARINT, wire.unsigned),
    3: (VARINT, wire.unsigned),
    4: (VARINT, wire.short),
    5: (VARINT, wire.flag),
    6: (VARINT, wire.flag),
    7: (VARINT, wire.flag),
    8: (BYTES, wire.octets),
    9: (BYTES, wire.octets),
}
_INT, _LONG, _FLOAT, _DOUBLE, _BOOLEAN, _STRING, _BYTES, _DATASET, _TEMPLATE = range(10, 19)
_EXTENSION = 19
_VALUES: dict[int, tuple[int, Callable[[wire.Raw], _Raw]]] = {
    _INT: (VARINT, wire.short),
    _LONG: (VARINT, wire.unsigned),
    _FLOAT: (FIXED32, wire.binary32),
    _DOUBLE: (FIXED64, wire.binary64),
    _BOOLEAN: (VARINT, wire.flag),
    _STRING: (BYTES, wire.text),
    _BYTES: (BYTES, wire.octets),
    _DATASET: (BYTES, lambda raw: Structure(len(wire.octets(raw)))),
    _TEMPLATE: (BYTES, lambda raw: Structure(len(wire.octets(raw)))),
    _EXTENSION: (BYTES, lambda raw: Structure(len(wire.octets(raw)))),
}
_PROPERTY: dict[int, tuple[int, Callable[[wire.Raw], Json]]] = {
    1: (VARINT, wire.short),
    2: (VARINT, wire.flag),
    3: (VARINT, wire.short),
    4: (VARINT, wire.unsigned),
    5: (FIXED32, wire.binary32),
    6: (FIXED64, wire.binary64),
    7: (VARINT, wire.flag),
    8: (BYTES, wire.text),
}
_MULTI_PART: dict[int, tuple[int, Callable[[wire.Raw], bool]]] = {1: (VARINT, wire.flag)}


def decode_payload(body: bytes) -> Payload:
    """The payload in `body`; Refused (schema, invalid_utf8 or too_large) says why there is none."""
    timestamp_ms: int | None = None
    seq: int | None = None
    uuid = ""
    metrics: list[Metric] = []
    for number, kind, raw in wire.fields(body):
        if number == 1:
            timestamp_ms = _time_ms(wire.unsigned(wire.checked(number, kind, VARINT, raw)))
        elif number == 2:
            if len(metrics) == MAX_METRICS:
                raise Refused(Reason.TOO_LARGE, f"more than {MAX_METRICS} metrics in one payload")
            metrics.append(_metric(wire.octets(wire.checked(number, kind, BYTES, raw))))
        elif number == 3:
            seq = wire.unsigned(wire.checked(number, kind, VARINT, raw))
            if seq > 255:
                raise wrong(f"seq {seq}; it is 0 to 255")
        elif number == 4:
            uuid = wire.text(wire.checked(number, kind, BYTES, raw))
    return Payload(timestamp_ms, seq, tuple(metrics), uuid)


CODECS: Mapping[str, Callable[[bytes], Payload]] = {"spBv1.0": decode_payload}
"""How the payloads of a namespace are read: the first level of a topic."""
KNOWN_NAMESPACES = frozenset({*CODECS, "spAv1.0", "spCv4.0", "spJv4.0"})
"""What is recognised as Sparkplug; a line in `CODECS` makes it understood."""


def _metric(body: bytes) -> Metric:
    said: dict[int, Json] = {}
    value_field, value = 0, None
    for number, kind, raw in wire.fields(body):
        if number in _METRIC:
            wanted, read = _METRIC[number]
            said[number] = read(wire.checked(number, kind, wanted, raw))
        elif number in _VALUES:
            wanted, value_of_field = _VALUES[number]
            value_field, value = number, value_of_field(wire.checked(number, kind, wanted, raw))
    name = said.get(1)
    if name is not None and len(name) > MAX_NAME:
        raise wrong(f"a name of {len(name)} characters")
    is_null = said.get(7, False)
    metadata = said.get(8)
    return Metric(
        name=name,
        alias=said.get(2),
        timestamp_ms=_time_ms(said[3]) if 3 in said else None,
        datatype=said.get(4, 0),
        is_historical=said.get(5, False),
        is_transient=said.get(6, False),
        is_null=is_null,
        is_multi_part=metadata is not None and wire.message(metadata, _MULTI_PART).get(1, False),
        properties=_properties(said[9]) if 9 in said else {},
        held_in=0 if is_null else value_field,
        raw=0 if is_null or value is None else value,
    )


def _properties(body: bytes) -> dict[str, Property]:
    """The scalar properties by name; sets within are passed over."""
    keys: list[str] = []
    values: list[bytes] = []
    for number, kind, raw in wire.fields(body):
        if number == 1:
            keys.append(wire.text(wire.checked(number, kind, BYTES, raw)))
        elif number == 2:
            values.append(wire.octets(wire.checked(number, kind, BYTES, raw)))
        if max(len(keys), len(values)) > MAX_PROPERTIES:
            raise wrong(f"more than {MAX_PROPERTIES} properties of one metric")
    if len(keys) != len(values):
        raise wrong(f"{len(keys)} property names and {len(values)} values")
    found: dict[str, Property] = {}
    for key, body_of_value in zip(keys, values, strict=True):
        said = wire.message(body_of_value, _PROPERTY)
        value = next((said[number] for number in range(3, 9) if number in said), None)
        if value is not None and not said.get(2, False):
            found[key] = value
    return found


def _time_ms(value: int) -> int:
    if value > MAX_MS:
        raise wrong(f"a time that no clock shows: {value} ms")
    return value


_SIGNED: dict[int, int] = {Datatype.INT8: 8, Datatype.INT16: 16, Datatype.INT32: 32, Datatype.INT64: 64}
_UNSIGNED: dict[int, int] = {Datatype.UINT8: 8, Datatype.UINT16: 16, Datatype.UINT32: 32, Datatype.UINT64: 64}
_NUMBERS: dict[int, np.dtype[Json]] = {
    Datatype.INT8_ARRAY: np.dtype("<i1"),
    Datatype.INT16_ARRAY: np.dtype("<i2"),
    Datatype.INT32_ARRAY: np.dtype("<i4"),
    Datatype.INT64_ARRAY: np.dtype("<i8"),
    Datatype.UINT8_ARRAY: np.dtype("<u1"),
    Datatype.UINT16_ARRAY: np.dtype("<u2"),
    Datatype.UINT32_ARRAY: np.dtype("<u4"),
    Datatype.UINT64_ARRAY: np.dtype("<u8"),
    Datatype.FLOAT_ARRAY: np.dtype("<f4"),
    Datatype.DOUBLE_ARRAY: np.dtype("<f8"),
    Datatype.DATETIME_ARRAY: np.dtype("<u8"),
}
_FIELDS: dict[int, frozenset[int]] = {
    **dict.fromkeys((*_SIGNED, *_UNSIGNED, Datatype.DATETIME), frozenset({_INT, _LONG})),
    Datatype.FLOAT: frozenset({_FLOAT, _DOUBLE}),
    Datatype.DOUBLE: frozenset({_FLOAT, _DOUBLE}),
    Datatype.BOOLEAN: frozenset({_BOOLEAN}),
    **dict.fromkeys((Datatype.STRING, Datatype.TEXT, Datatype.UUID), frozenset({_STRING})),
    **dict.fromkeys(
        (Datatype.BYTES, Datatype.FILE, Datatype.BOOLEAN_ARRAY, Datatype.STRING_ARRAY, *_NUMBERS),
        frozenset({_BYTES}),
    ),
    Datatype.DATASET: frozenset({_DATASET}),
    Datatype.TEMPLATE: frozenset({_TEMPLATE}),
}


def value_of(metric: Metric, datatype: int) -> Value | None:
    """The metric's value as that datatype; None where there is none. Refused (schema) where it cannot be one.

    Integers are taken from either integer field, whole or cut to the width of their type: encoders differ in how
    they write a negative Int8. Arrays come as numpy arrays, a BooleanArray as (n,) bool, a StringArray as texts.
    """
    if not metric.held_in:
        return None
    if metric.held_in not in _FIELDS.get(datatype, ()):
        raise wrong(f"datatype {datatype} in field {metric.held_in}, metric {str(metric.name)[:80]!r}")
    raw = metric.raw
    if isinstance(raw, int) and not isinstance(raw, bool):
        return _integer(raw, datatype, 32 if metric.held_in == _INT else 64)
    if isinstance(raw, bytes) and datatype not in {Datatype.BYTES, Datatype.FILE}:
        return _array(raw, datatype)
    return raw


def _integer(raw: int, datatype: int, width: int) -> int:
    signed_bits = _SIGNED.get(datatype)
    bits = signed_bits or _UNSIGNED.get(datatype, 64)
    value = _sign(raw, bits if raw < 1 << bits else width) if signed_bits else raw
    low, high = (-(1 << bits - 1), 1 << bits - 1) if signed_bits else (0, 1 << bits)
    if not low <= value < high:
        raise wrong(f"{value} is no {Datatype(datatype).name.lower()}")
    return value


def _sign(value: int, bits: int) -> int:
    """Two's complement of that width."""
    return value - (1 << bits) if value >= 1 << bits - 1 else value


def _array(raw: bytes, datatype: int) -> NDArray[Json] | tuple[str, ...]:
    if datatype == Datatype.STRING_ARRAY:
        if raw and raw[-1]:
            raise wrong("a StringArray whose last text has no end")
        return tuple(wire.text(text) for text in raw.split(b"\0")[:-1])
    if datatype == Datatype.BOOLEAN_ARRAY:
        count = int.from_bytes(raw[:4], "little")
        if len(raw) != 4 + (count + 7) // 8:
            raise wrong(f"a BooleanArray of {count} in {len(raw)} bytes")
        return np.unpackbits(np.frombuffer(raw[4:], np.uint8), count=count).astype(bool)
    dtype = _NUMBERS[datatype]
    if len(raw) % dtype.itemsize:
        raise wrong(f"{len(raw)} bytes for an array of {dtype.itemsize}-byte numbers")
    return np.frombuffer(raw, dtype)
