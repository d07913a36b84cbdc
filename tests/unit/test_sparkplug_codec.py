"""The reader of Sparkplug B payloads: strict, bounded, and never surprised."""

import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.events import Json
from ingest.refusal import Reason, Refused
from ingest.sparkplug import (
    CODECS,
    MAX_METRICS,
    MAX_MS,
    MAX_PROPERTIES,
    Datatype,
    Metric,
    Payload,
    decode_payload,
    value_of,
)
from simulators import sparkplug as writes
from tests.unit.decoder_words import T0, decoder, is_balanced, message

MIB = 1024 * 1024
number, octets, varint = writes.number, writes.octets, writes.varint


def metric(*fields: bytes) -> Metric:
    (found,) = decode_payload(octets(2, b"".join(fields))).metrics
    return found


def why(body: bytes) -> str:
    with pytest.raises(Refused) as refused:
        decode_payload(body)
    return refused.value.reason


def test_an_empty_payload_is_one() -> None:
    assert decode_payload(b"") == Payload(None, None, ())


@pytest.mark.parametrize(
    "body",
    [
        b"\x08",
        b"\x08\x80",
        b"\x08" + b"\x80" * 10 + b"\x01",
        b"\x08" + b"\xff" * 9 + b"\x7f",
        b"\x12\x05abc",
        b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01",
        b"\x0b",
        b"\x0c",
        b"\x0e",
        b"\x00\x00",
        b"\x0d\x01\x02",
        b"\x09\x01\x02",
        number(3, 256),
        octets(1, b"x"),
        number(2, 1),
        number(1, MAX_MS + 1),
        octets(2, b"\x0a\x05ab"),
        octets(2, number(1, 1)),
        octets(2, octets(9, octets(1, "engUnit"))),
        octets(2, octets(9, octets(2, number(1, 12)))),
        octets(2, octets(9, octets(1, "x") + octets(2, b"\x40"))),
    ],
)
def test_what_ends_early_or_says_nonsense_is_refused(body: bytes) -> None:
    assert why(body) == Reason.SCHEMA


def test_a_text_that_is_not_utf8_is_refused_as_such() -> None:
    assert why(octets(2, octets(1, b"\xff"))) == Reason.INVALID_UTF8


def test_unknown_fields_are_passed_over() -> None:
    newer = (
        number(60, 1)
        + octets(61, b"later")
        + varint(62 << 3 | 5)
        + b"abcd"
        + varint(63 << 3 | 1)
        + b"abcdefgh"
    )
    body = newer + number(1, 5) + octets(2, newer + octets(1, "x") + newer) + newer + number(3, 7)
    found = decode_payload(body)
    assert (found.timestamp_ms, found.seq, [one.name for one in found.metrics]) == (5, 7, ["x"])


def test_the_last_of_a_repeated_field_counts_as_protocol_buffers_say() -> None:
    found = metric(octets(1, "a"), octets(1, "b"), number(10, 1), number(4, Datatype.INT32), number(11, 2))
    assert found.name == "b"
    assert value_of(found, Datatype.INT64) == 2


WIDTHS = {Datatype.INT8: 8, Datatype.INT16: 16, Datatype.INT32: 32, Datatype.INT64: 64}


@pytest.mark.parametrize("datatype", WIDTHS)
@given(data=st.data())
def test_a_negative_integer_is_read_however_wide_it_was_written(
    datatype: Datatype, data: st.DataObject
) -> None:
    bits = WIDTHS[datatype]
    value = data.draw(st.integers(-(1 << bits - 1), (1 << bits - 1) - 1))
    narrow, field = value % (1 << bits), 10 if bits <= 32 else 11
    ways = [number(field, narrow), number(field, value % (1 << 64))]
    ways += [number(field, value % (1 << 32))] if bits <= 32 else []
    for way in ways:
        assert value_of(metric(way), datatype) == value


@pytest.mark.parametrize(
    ("datatype", "field", "raw"),
    [
        (Datatype.INT8, 10, 0x1FF),
        (Datatype.UINT8, 10, 256),
        (Datatype.UINT16, 10, 65_536),
        (Datatype.UINT32, 11, 2**32),
        (Datatype.INT16, 11, 2**40),
        (Datatype.DOUBLE, 10, 1),
        (Datatype.STRING, 10, 1),
        (99, 10, 1),
        (0, 10, 1),
    ],
)
def test_a_value_that_is_none_of_its_datatype_is_refused(datatype: int, field: int, raw: int) -> None:
    with pytest.raises(Refused):
        value_of(metric(number(field, raw)), datatype)


@pytest.mark.parametrize(
    ("datatype", "body"),
    [
        (Datatype.DOUBLE_ARRAY, b"1234567"),
        (Datatype.BOOLEAN_ARRAY, b"\xff\xff\xff\xff\x01"),
        (Datatype.BOOLEAN_ARRAY, b"\x01"),
        (Datatype.STRING_ARRAY, b"no end"),
        (Datatype.STRING_ARRAY, b"\xff\0"),
    ],
)
def test_an_array_that_does_not_fill_its_bytes_is_refused(datatype: Datatype, body: bytes) -> None:
    with pytest.raises(Refused):
        value_of(metric(octets(16, body)), datatype)


def test_null_has_no_value_whatever_else_is_there() -> None:
    assert value_of(metric(number(7, 1), number(10, 5)), Datatype.INT32) is None


def test_floats_keep_their_bits() -> None:
    infinite = metric(varint(12 << 3 | 5) + struct.pack("<f", float("inf")))
    assert value_of(infinite, Datatype.FLOAT) == float("inf")


def test_no_payload_may_hold_more_metrics_or_properties_than_fit() -> None:
    assert len(decode_payload(octets(2, b"") * MAX_METRICS).metrics) == MAX_METRICS
    assert why(octets(2, b"") * (MAX_METRICS + 1)) == Reason.TOO_LARGE
    many = octets(1, "k") * (MAX_PROPERTIES + 1)
    assert why(octets(2, octets(9, many))) == Reason.SCHEMA


def test_nesting_without_end_costs_nothing_because_nothing_within_is_opened() -> None:
    deep = b""
    for _ in range(2000):
        deep = octets(9, octets(1, "k") + octets(2, octets(9, deep)))[: MIB // 2]
    template = octets(18, deep)
    assert value_of(metric(template), Datatype.TEMPLATE) is not None


@pytest.mark.parametrize(
    "bomb",
    [
        octets(2, b"") * (4 * MIB // 2),
        octets(2, octets(1, "n" * 900)) * 2000,
        octets(2, octets(9, octets(1, "") * MIB)),
        b"\x12\xfe\xff\xff\xff\x0f",
        octets(2, octets(9, (octets(1, "") + octets(2, b"")) * 200)) * 500,
    ],
)
def test_a_bomb_takes_no_more_than_a_few_times_its_own_size(bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with contextlib.suppress(Refused):
            decode_payload(bomb)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert peak < 24 * MIB


def _valid() -> st.SearchStrategy[bytes]:
    values = st.one_of(
        st.none(), st.booleans(), st.integers(-(2**63), 2**63 - 1), st.floats(), st.text(), st.binary()
    )
    one = st.builds(
        writes.Metric,
        st.text(max_size=20),
        values,
        st.integers(0, MAX_MS),
        st.none() | st.integers(0, 2**64 - 1),
        st.text(max_size=5),
        st.none() | st.integers(0, 600),
        st.booleans(),
    )
    encoded = st.lists(one.map(lambda made: made.encoded(birth=True)), max_size=5)
    return st.builds(writes.payload, st.none() | st.integers(0, MAX_MS), st.integers(0, 255), encoded)


@given(
    name=st.text(max_size=50), value=st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False) | st.text()
)
def test_what_an_edge_node_writes_is_what_we_read(name: str, value: Json) -> None:
    written = writes.Metric(name, value, 5, alias=7, unit="Cel", quality=192)
    (read,) = decode_payload(writes.payload(3, 9, [written.encoded(birth=True)])).metrics
    assert (read.name, read.alias, read.timestamp_ms) == (name, 7, 5)
    assert read.properties == {"engUnit": "Cel", "Quality": 192}
    assert value_of(read, read.datatype) == value


TOPICS = [f"spBv1.0/P/{kind}/E{tail}" for kind, tail in (("NBIRTH", ""), ("DBIRTH", "/M1"), ("NDATA", ""))]
TOPICS += ["spBv1.0/P/DDATA/E/M1", "spBv1.0/P/NDEATH/E", "spBv1.0/P/DDEATH/E/M1"]
_KNOWING = decoder()


@given(topic=st.sampled_from(TOPICS), body=st.binary(max_size=300) | _valid())
def test_no_bytes_make_the_decoder_raise_and_every_message_is_counted(topic: str, body: bytes) -> None:
    assert is_balanced(_KNOWING.decode("s", 0, [message(topic.encode(), body, T0)]))


@given(body=_valid(), at=st.integers(0, 2000), byte=st.integers(0, 255))
def test_a_payload_with_one_byte_changed_is_read_or_refused(body: bytes, at: int, byte: int) -> None:
    broken = bytearray(body or b"\0")
    broken[at % len(broken)] = byte
    for damaged in (bytes(broken), body[: at % (len(body) + 1)]):
        try:
            found = CODECS["spBv1.0"](damaged)
            for one in found.metrics:
                value_of(one, one.datatype)
        except Refused as refusal:
            assert refusal.reason in {Reason.SCHEMA, Reason.INVALID_UTF8, Reason.TOO_LARGE}  # noqa: PT017
