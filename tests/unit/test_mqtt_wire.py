"""Whatever way the bytes come, the packets are the same; whatever the bytes are, nothing but ProtocolError is raised."""

import hashlib
import itertools

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.errors import ProtocolError
from ingest.mqtt_packets import (
    V3,
    V5,
    Connect,
    Kind,
    Oversized,
    Packet,
    Publish,
    Reason,
    connack,
    disconnect,
    puback,
    read_disconnect,
    read_subscribe,
    read_unsubscribe,
    suback,
    unsuback,
)
from ingest.mqtt_wire import AnyPacket, Limits, PacketParser
from tests.mqtt_client import PINGREQ, connect, packet, publish, string, subscribe

SMALL = Limits(payload=300, waveform=900, control=600)
TOPICS = st.sampled_from([b"andon/v1/m7/_telemetry/t", b"andon/v1/m7/_wave/DE", b"\xff\xfe", b"", b"t" * 400])
PUBLISHES = st.builds(
    lambda topic, body, packet_id, more: (topic, body, packet_id, *more),
    TOPICS,
    st.one_of(st.binary(max_size=50), st.binary(min_size=200, max_size=1500)),
    st.integers(0, 65535),
    st.tuples(st.booleans(), st.booleans()),
)


def take(parser: PacketParser, chunks: list[bytes]) -> tuple[list[AnyPacket], int | None]:
    """The packets of these chunks, and the reason of the fault that ended them, if one did."""
    packets: list[AnyPacket] = []
    for chunk in chunks:
        try:
            packets += parser.feed(chunk)
        except ProtocolError as error:
            return packets + list(error.packets), error.reason  # type: ignore[arg-type]
    return packets, None


def split(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = [0, *sorted(cut % (len(data) + 1) for cut in cuts), len(data)]
    return [data[start:stop] for start, stop in itertools.pairwise(edges)]


@given(
    st.lists(PUBLISHES, max_size=8),
    st.sampled_from([V3, V5]),
    st.lists(st.integers(0, 10_000), max_size=30),
    st.booleans(),
)
@settings(deadline=None)
def test_any_split_of_the_bytes_gives_the_same_packets(
    messages: list[tuple[bytes, bytes, int, bool, bool]], version: int, cuts: list[int], with_properties: bool
) -> None:
    properties = b"\x26" + string("k") + string("v") if with_properties and version == V5 else b""
    data = connect(version=version, will=("andon/v1/m7/_state/x", b"gone"))
    expected: list[AnyPacket] = []
    for topic, body, packet_id, dup, retain in messages:
        data += publish(
            topic, body, packet_id, version=version, dup=dup, retain=retain, properties=properties
        )
        flags = dup | retain << 1 | (packet_id > 0) << 2
        if len(body) > SMALL.of(topic):
            digest = hashlib.sha256(body).hexdigest()
            expected.append(Oversized(topic, packet_id, flags, len(body), digest, body[:4096]))
        else:
            expected.append(Publish(topic, body, packet_id, flags))
    data += PINGREQ
    packets, fault = take(PacketParser(SMALL), split(data, cuts))
    assert fault is None
    assert isinstance(packets[0], Connect)
    assert packets[0].version == version
    assert packets[1:] == [*expected, Packet(Kind.PINGREQ, b"")]


@given(st.binary(max_size=300), st.sampled_from([0, V3, V5]), st.lists(st.integers(0, 300), max_size=10))
@example(b"\x30\xff\xff\xff\xff", V3, [])
@example(b"\x32\x00", V5, [])
@settings(max_examples=400, deadline=None)
def test_garbage_raises_nothing_but_the_protocol_error_and_the_same_in_any_split(
    data: bytes, version: int, cuts: list[int]
) -> None:
    assert take(PacketParser(SMALL, version=version), [data]) == take(
        PacketParser(SMALL, version=version), split(data, cuts)
    )


VALID = [
    *(connect(version=version, will=("w", b"x"), properties=b"\x21\0\x07") for version in (V3, V5)),
    *(publish("a/b", b"x" * 20, 9, version=version, properties=b"\x01\x01") for version in (V3, V5)),
    publish("a/_wave/b", b"x" * 1000, 9),
    subscribe(3, ["spBv1.0/g/NCMD/e/#"], version=V5),
    packet(0xE0, b"\x04\0"),
]


@given(
    st.lists(st.sampled_from(VALID), min_size=1, max_size=4),
    st.lists(st.tuples(st.integers(0, 5000), st.integers(0, 255)), max_size=3),
    st.lists(st.integers(0, 5000), max_size=10),
)
@settings(max_examples=300, deadline=None)
def test_damaged_packets_raise_nothing_but_the_protocol_error(
    packets: list[bytes], damage: list[tuple[int, int]], cuts: list[int]
) -> None:
    data = bytearray(VALID[0] + b"".join(packets))
    for at, value in damage:
        data[at % len(data)] = value
    whole = take(PacketParser(SMALL), [bytes(data)])
    assert whole == take(PacketParser(SMALL), split(bytes(data), cuts))
    for found in whole[0]:
        if isinstance(found, Packet):
            _read_without_other_errors(found)


def _read_without_other_errors(found: Packet) -> None:
    for version in (V3, V5):
        for read in (read_subscribe, read_unsubscribe):
            try:
                read(found.body, version)
            except ProtocolError:
                continue
    read_disconnect(found.body)


def test_a_large_payload_is_never_held_whole() -> None:
    parser = PacketParser(Limits())
    parser.feed(connect())
    body = bytes(range(256)) * 4096 * 2  # 2 MiB
    data = publish("andon/v1/m7/_telemetry/t", body, 5)
    held, packets = 0, []
    for at in range(0, len(data), 65536):
        packets += parser.feed(data[at : at + 65536])
        held = max(held, parser.held_bytes)
    assert held <= 128 * 1024 + 65536
    assert packets == [
        Oversized(b"andon/v1/m7/_telemetry/t", 5, 4, len(body), hashlib.sha256(body).hexdigest(), body[:4096])
    ]


def test_a_waveform_may_be_larger_than_other_payloads() -> None:
    parser = PacketParser(Limits())
    parser.feed(connect())
    body = bytes(2 * 1024 * 1024)
    assert parser.feed(publish("andon/v1/m7/_wave/DE", body, 5)) == [
        Publish(b"andon/v1/m7/_wave/DE", body, 5, 4)
    ]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", Reason.PROTOCOL_ERROR),
        (publish("a", b"x"), Reason.PROTOCOL_ERROR),
        (packet(0x10, string("MQIsdp") + b"\x03\x02\0\0" + string("x")), Reason.UNSUPPORTED_VERSION),
        (packet(0x10, string("MQTT") + b"\x06\x02\0\0" + string("x")), Reason.UNSUPPORTED_VERSION),
        (packet(0x10, string("MQTT") + b"\x04\x03\0\0" + string("x")), Reason.MALFORMED),
        (packet(0x10, string("MQTT") + b"\x04\x02\0\0" + string(b"\xff")), Reason.MALFORMED),
        (connect() + packet(0x36, string("a") + b"\0\1"), Reason.MALFORMED),  # QoS 3
        (connect() + publish("a", b"x", 0, qos=1), Reason.PROTOCOL_ERROR),  # packet id 0
        (connect() + packet(0x00, b""), Reason.MALFORMED),
        (connect() + packet(0x80, b"\0\1"), Reason.MALFORMED),  # SUBSCRIBE without its flags
        (connect() + b"\x30\xff\xff\xff\xff\x01", Reason.MALFORMED),  # a length of five bytes
        (connect() + packet(0x82, bytes(300_000)), Reason.PACKET_TOO_LARGE),
        (
            connect(version=V5) + publish("a", b"x", version=V5, properties=b"\x23\0\1"),
            Reason.TOPIC_ALIAS_INVALID,
        ),
        (
            connect(version=V5) + publish("a", b"x", version=V5, properties=b"\x01\0\x01\0"),
            Reason.PROTOCOL_ERROR,
        ),
        (connect(version=V5) + publish("a", b"x", version=V5, properties=b"\x7f"), Reason.MALFORMED),
    ],
)
def test_what_is_not_mqtt_is_named(data: bytes, reason: Reason) -> None:
    assert take(PacketParser(Limits()), [data])[1] == reason


def test_a_connect_is_read_whole() -> None:
    (found,) = PacketParser(Limits()).feed(
        connect("edge-7", version=V5, keep_alive_s=15, will=("a/b", b"gone"), properties=b"\x21\0\x14")
    )
    will = Publish(b"a/b", b"gone", 0, 4)
    assert found == Connect(
        V5,
        "edge-7",
        clean=True,
        keep_alive_s=15,
        user="press",
        password=b"secret",
        will=will,
        properties={0x21: 20},
    )
    assert "secret" not in repr(found)


def test_answers_are_as_the_standard_draws_them() -> None:
    assert connack(V3, Reason.SUCCESS) == b"\x20\x02\0\0"
    assert connack(V3, Reason.NOT_AUTHORISED) == b"\x20\x02\0\x05"
    assert connack(V3, Reason.SERVER_UNAVAILABLE) == b"\x20\x02\0\x03"
    assert connack(V5, Reason.SUCCESS, {0x24: 1, 0x12: b"id"}) == b"\x20\x0a\0\0\x07\x24\x01\x12\0\x02id"
    assert puback(258, V3) == puback(258, V5) == b"\x40\x02\x01\x02"
    assert puback(258, V5, Reason.NOT_AUTHORISED) == b"\x40\x03\x01\x02\x87"
    assert puback(258, V3, Reason.NOT_AUTHORISED) == b"\x40\x02\x01\x02"
    assert suback(7, V3, [1, 0x87]) == b"\x90\x04\0\x07\x01\x80"
    assert suback(7, V5, [1, 0x87]) == b"\x90\x05\0\x07\0\x01\x87"
    assert unsuback(7, V3, 2) == b"\xb0\x02\0\x07"
    assert unsuback(7, V5, 2) == b"\xb0\x05\0\x07\0\0\0"
    assert disconnect(Reason.TAKEN_OVER) == b"\xe0\x01\x8e"
