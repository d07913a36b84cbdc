"""Bytes to events: what becomes of good, bad, repeated, late and missing messages, and that all are counted."""

import base64
import hashlib
import json
import math

import numpy as np
import pytest
from decoder_words import (
    OPCUA_DATA,
    PLANT,
    T0,
    block,
    config,
    decoder,
    gap_record,
    is_balanced,
    message,
    rows,
    said,
    stop,
    telemetry,
    tick,
    topic,
)

from andon.events import (
    MINUTE_NS,
    SECOND_NS,
    ConfigChanged,
    Gap,
    PackMLState,
    Quality,
    Readings,
    StopAlarm,
    Tick,
    Waveform,
    rfc3339,
)
from andon.plant import Plant
from andon.ports import Decoded, Record, RecordKind
from ingest import mapping
from ingest.decode import MAX_BYTES, MAX_WAVE_BYTES


def once(*records: Record) -> Decoded:
    """What becomes of these records of one source."""
    decoded = decoder().decode("s", 0, records)
    assert is_balanced(decoded)
    return decoded


def reason(record: Record) -> str:
    """The reason why this one record is refused."""
    decoded = once(record)
    assert not decoded.events
    (letter,) = decoded.dead_letters
    assert decoded.counts[f"refused.{letter.reason}"] == 1
    return letter.reason


def body(value: str) -> bytes:
    return (
        b'{"type":"andon.telemetry.v1","data":{"metrics":[{"name":"DE/temperature","value":%s}]}}'
        % value.encode()
    )


def test_a_value_becomes_a_reading_with_its_time_unit_and_quality() -> None:
    (event,) = once(telemetry(41.2, metric={"quality": 0x40000000})).events
    assert isinstance(event, Readings)
    assert rows(event) == [("DE/temperature", "Cel", T0, "41.2", 0x40000000)]
    assert (event.asset, event.origin.trace_id) == ("M1", "s:0")


def test_a_metric_may_have_a_time_and_unit_of_its_own() -> None:
    own = {"ts": rfc3339(T0 - SECOND_NS), "unit": "degF"}
    (event,) = once(telemetry(106.2, metric=own)).events
    assert isinstance(event, Readings)
    assert rows(event) == [("DE/temperature", "degF", T0 - SECOND_NS, "106.2", 0)]


def test_a_value_that_is_null_is_kept_as_nan_of_bad_quality() -> None:
    (event,) = once(telemetry(None)).events
    assert isinstance(event, Readings)
    assert math.isnan(event.value[0])
    assert event.quality[0] == Quality.BAD


def test_a_stop_becomes_an_alarm_in_packml_words() -> None:
    (event,) = once(stop()).events
    assert isinstance(event, StopAlarm)
    assert (event.asset, event.at_ns, event.state, event.active) == ("M1", T0, PackMLState.STOPPED, True)
    assert (event.reason_id, event.reason_value, event.message, event.category) == (
        "E1",
        3,
        "jam",
        "mechanical",
    )
    assert event.severity == 700


def test_trigger_false_clears_the_alarm_at_its_end() -> None:
    later = T0 + MINUTE_NS
    (event,) = once(stop(active=False, at_ns=later)).events
    assert isinstance(event, StopAlarm)
    assert (event.active, event.at_ns) == (False, later)


def test_a_block_becomes_a_waveform_of_its_point() -> None:
    (event,) = once(message(topic("M1", "_wave", "vib"), block((2, 4)))).events
    assert isinstance(event, Waveform)
    assert (event.asset, event.point, event.at_ns, event.rate_hz, event.unit) == (
        "M1",
        "vib",
        T0,
        1000.0,
        "g",
    )
    assert event.samples.tolist() == [[1.0], [2.0]]


def test_nan_samples_of_a_block_are_kept() -> None:
    (event,) = once(message(topic("M1", "_wave", "vib"), block((1, math.nan), code=3))).events
    assert isinstance(event, Waveform)
    assert np.isnan(event.samples[1, 0])


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (message(topic("M1"), b""), "malformed_json"),
        (message(topic("M1"), b"{"), "malformed_json"),
        (message(topic("M1"), body("1") + b"x"), "malformed_json"),
        (message(topic("M1"), body("01")), "malformed_json"),
        (message(topic("M1"), body("9" * 400)), "malformed_json"),
        (message(topic("M1"), body("9" * 5000)), "malformed_json"),
        (message(topic("M1"), body('"\\ud800"')), "malformed_json"),
        (message(topic("M1"), b"[" * 100_000), "malformed_json"),
        (message(topic("M1"), b'{"a":' * 100_000), "malformed_json"),
        (message(topic("M1"), body("NaN")), "not_finite_json"),
        (message(topic("M1"), body("-Infinity")), "not_finite_json"),
        (message(topic("M1"), body("1e999")), "not_finite_json"),
        (message(topic("M1"), b'{"x":NaN}'), "not_finite_json"),
        (message(topic("M1"), b"[]"), "schema"),
        (message(topic("M1"), body('"1"')), "schema"),
        (message(topic("M1"), body("true")), "schema"),
        (message(topic("M1"), {"data": {"metrics": []}}), "schema"),
        (message(topic("M1"), {"type": "andon.telemetry.v2", "data": {"metrics": []}}), "schema"),
        (telemetry(seq=-1), "schema"),
        (telemetry(seq=1.0), "schema"),
        (telemetry(at_ns=None, time="yesterday"), "schema"),
        (telemetry(at_ns=None, time="2023-11-14T22:13:20"), "schema"),
        (telemetry(at_ns=None, time="1969-12-31T23:59:59Z"), "schema"),
        (telemetry(at_ns=None, time="9999-12-31T23:59:59.5Z"), "schema"),
        (telemetry(metric={"unit": "\x00"}), "schema"),
        (stop(data={"state": "Sleeping"}), "schema"),
        (stop(data={"state_num": 6}), "schema"),
        (stop(data={"severity": 0}), "schema"),
        (stop(data={"reason": {"id": "E\x001", "trigger": True}}), "schema"),
        (stop(data={"reason": {"id": "E1"}}), "schema"),
        (message(topic("M1"), body("1") + b"\xff"), "invalid_utf8"),
        (message(b"andon/v1/\xff", body("1")), "invalid_utf8"),
        (message(b"", body("1")), "unknown_topic"),
        (message(b"andon/v1/e/s", body("1")), "unknown_topic"),
        (message(topic("M1", "_cmd", "reset"), body("1")), "unknown_topic"),
        (message(b"$SYS/broker/load", b"1"), "unknown_topic"),
        (message(b"M1/DE/temperature", b"21.5"), "unknown_topic"),
        (message(b"andon/v1/" + b"x/" * 30_000, body("1")), "unknown_topic"),
        (telemetry(asset="M9"), "unknown_asset"),
        (telemetry(asset="M9'; drop table x --"), "unknown_asset"),
        (telemetry(name="ND/temperature"), "unknown_point"),
        (telemetry(name="temperature"), "unknown_point"),
        (telemetry(name="DE/"), "unknown_point"),
        (telemetry(name="DE/\x00"), "unknown_point"),
        (message(topic("M1", "_wave", "vib9"), block()), "unknown_point"),
        (message(topic("M1", "_wave", "vib"), b"AWB1"), "bad_waveform_header"),
        (message(topic("M1", "_wave", "vib"), block(n=4)), "bad_waveform_header"),
        (message(topic("M1", "_wave", "vib"), block(crc=1)), "waveform_crc"),
        (message(topic("M1"), b" " * (MAX_BYTES + 1)), "too_large"),
        (message(topic("M1", "_wave", "vib"), b" " * (MAX_WAVE_BYTES + 1)), "too_large"),
        (Record(RecordKind.GAP, T0, b"", b"{}"), "record_corrupt"),
        (Record(RecordKind.REFUSED, T0, b"", b"{}"), "record_corrupt"),
        (config({"name": "p", "assets": [{}]}), "record_corrupt"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_message_that_cannot_be_used_is_a_dead_letter_with_its_reason(
    record: Record, expected: str
) -> None:
    assert reason(record) == expected


def test_a_dead_letter_keeps_place_length_hash_and_the_first_4_kib() -> None:
    raw = b"{" + b"x" * 5000
    (letter,) = decoder().decode("s", 41, [tick(), message(topic("M1"), raw, T0 + 5)]).dead_letters
    assert (letter.source, letter.position, letter.received_ns, letter.topic) == (
        "s",
        42,
        T0 + 5,
        topic("M1"),
    )
    assert (letter.head, letter.length) == (raw[:4096], 5001)
    assert letter.sha256 == hashlib.sha256(raw).hexdigest()
    assert 0 < len(letter.detail) <= 520


def test_what_was_refused_before_parsing_keeps_its_own_reason_and_measure() -> None:
    refused = {"reason": "too_large", "length": 9_000_000, "sha256": "ab" * 32, "head": "aGVhZA=="}
    decoded = once(Record(RecordKind.REFUSED, T0, b"t", json.dumps(refused).encode()))
    (letter,) = decoded.dead_letters
    assert (letter.reason, letter.length, letter.head, letter.topic) == (
        "too_large",
        9_000_000,
        b"head",
        b"t",
    )
    assert letter.sha256 == "ab" * 32


@pytest.mark.parametrize(
    ("wrong", "meant"),
    [
        (b"andon/v1/e/s/a/L1/c/M1/_telemetri/x", "andon/v1/e/s/a/L1/c/M1/_telemetry/x"),
        (b"andon/v1/e/s/a/L1/c/press-07/_event", "andon/v1/e/s/a/L1/c/Press-07/_event/"),
        (b"andom/v1/e/s/a/L1/c/M2/_wave/vib", "andon/v1/e/s/a/L1/c/M2/_wave/vib"),
    ],
)
def test_a_wrong_topic_is_told_the_nearest_right_one(wrong: bytes, meant: str) -> None:
    (letter,) = once(message(wrong, body("1"))).dead_letters
    assert meant in letter.detail


def test_topics_are_remembered_in_bounded_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mapping, "MAX_ROUTES", 10)
    routes = mapping.Routes(Plant.model_validate(PLANT))
    for number in range(100):
        assert routes.of(topic("M1", name=f"n{number}")).equipment is not None
        assert routes.of(b"garbage/%d" % number).equipment is None
    assert len(routes._known) <= 10


def test_an_unknown_asset_is_told_the_nearest_known_one() -> None:
    (letter,) = once(telemetry(asset="PRESS_07")).dead_letters
    assert "'Press-07'" in letter.detail


def test_a_message_of_several_metrics_is_taken_whole_or_not_at_all() -> None:
    both = {
        "type": "andon.telemetry.v1",
        "data": {"metrics": [{"name": "DE/current", "value": 1}, {"name": "XX/current", "value": 2}]},
    }
    assert reason(message(topic("M1"), both)) == "unknown_point"


def test_neighbouring_values_of_one_asset_are_one_block_until_another_event_of_it() -> None:
    events = once(
        telemetry(1, seq=0, producer="a", boot="b"),
        telemetry(9, seq=0, producer="c", boot="b", asset="M2"),
        telemetry(2, seq=1, producer="a", boot="b"),
        stop(),
        telemetry(3, seq=2, producer="a", boot="b"),
        telemetry(8, seq=1, producer="c", boot="b", asset="M2"),
    ).events
    shape = [
        (type(event).__name__, event.asset, event.origin.position)
        for event in events
        if not isinstance(event, Tick)
    ]
    assert shape == [
        ("Readings", "M1", 0),
        ("Readings", "M2", 1),
        ("StopAlarm", "M1", 3),
        ("Readings", "M1", 4),
    ]
    assert isinstance(events[1], Readings)
    assert events[1].value.tolist() == [9, 8]


def test_a_tick_stands_between_the_values_before_and_after_it() -> None:
    events = once(telemetry(1), tick(), telemetry(2)).events
    assert [type(event) for event in events] == [Readings, Tick, Readings]


def test_a_stamp_far_in_the_future_is_replaced_by_the_time_of_receipt_and_counted() -> None:
    decoded = once(
        telemetry(1, at_ns=T0 + 5 * MINUTE_NS, received_ns=T0),
        telemetry(2, at_ns=T0 + 5 * MINUTE_NS + 1_000_000, received_ns=T0),
    )
    (event,) = decoded.events
    assert isinstance(event, Readings)
    assert event.at_ns.tolist() == [T0 + 5 * MINUTE_NS, T0]
    assert decoded.counts["clock_skew"] == 1


def test_a_stamp_of_long_ago_is_kept() -> None:
    (event,) = once(telemetry(1, at_ns=1_000_000_000, received_ns=T0)).events
    assert isinstance(event, Readings)
    assert event.at_ns.tolist() == [1_000_000_000]


def test_without_any_time_the_time_of_receipt_counts() -> None:
    (event,) = once(telemetry(1, at_ns=None, received_ns=T0 + 3)).events
    assert isinstance(event, Readings)
    assert event.at_ns.tolist() == [T0 + 3]


# identity


@pytest.mark.parametrize(
    "first",
    [
        telemetry(1, producer="p", boot="b", seq=4),
        telemetry(1, id="x"),
        telemetry(1, id="x", at_ns=None, source="gateway"),
        telemetry(1),
        telemetry(1, at_ns=None, metric={"ts": rfc3339(T0)}),
        stop(id="x"),
        message(topic("M1", "_wave", "vib"), block()),
        message(b"M1/DE/temperature", dict(OPCUA_DATA)),
    ],
    ids=["sequence", "id", "id of source", "time", "time of metric", "stop", "block", "opcua"],
)
def test_a_message_that_comes_twice_is_once(first: Record) -> None:
    decoded = once(first, tick(), first)
    assert (decoded.counts["stored"], decoded.counts["duplicates"]) == (1, 1)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (telemetry(1, producer="p", boot="b", seq=4), telemetry(2, producer="p", boot="b", seq=4)),
        (telemetry(1, id="x"), telemetry(2, id="x")),
        (
            message(topic("M1", "_wave", "vib"), block((1,))),
            message(topic("M1", "_wave", "vib"), block((2,))),
        ),
    ],
    ids=["sequence", "id", "block"],
)
def test_the_same_identity_with_another_payload_is_a_conflict_and_the_first_is_kept(
    first: Record, second: Record
) -> None:
    decoded = once(first, second)
    assert decoded.counts["stored"] == 1
    assert [letter.reason for letter in decoded.dead_letters] == ["id_conflict"]


def test_ids_of_two_sources_are_two_messages() -> None:
    decoded = once(telemetry(1, id="1", source="gateway-a"), telemetry(2, id="1", source="gateway-b"))
    assert decoded.counts["stored"] == 2


def test_a_producer_that_starts_over_without_a_new_boot_is_not_silently_lost() -> None:
    before = [telemetry(n, producer="p", boot="b", seq=n, at_ns=T0 + n * SECOND_NS) for n in range(100)]
    again = telemetry(0, producer="p", boot="b", seq=0, at_ns=T0 + 200 * SECOND_NS)
    decoded = once(*before, again)
    assert [letter.reason for letter in decoded.dead_letters] == ["id_conflict"]
    assert "new boot id" in decoded.dead_letters[0].detail


def test_two_equal_values_without_identity_are_two_readings() -> None:
    decoded = once(telemetry(21.5, at_ns=None), telemetry(21.5, at_ns=None))
    assert decoded.counts["stored"] == 2


def test_a_packet_sent_again_on_its_connection_is_once() -> None:
    decoded = once(
        telemetry(1, at_ns=None, connection=1, packet=7),
        telemetry(1, at_ns=None, connection=1, packet=7, flags=1),
        telemetry(1, at_ns=None, connection=2, packet=7, flags=1),
        telemetry(1, at_ns=None, connection=1, packet=7),
        telemetry(2, at_ns=None, connection=1, packet=7, flags=1),
    )
    assert (decoded.counts["stored"], decoded.counts["duplicates"]) == (4, 1)


def test_a_refused_message_that_comes_twice_is_one_dead_letter() -> None:
    decoded = once(telemetry(1, asset="M9", id="x"), telemetry(1, asset="M9", id="x"))
    assert (len(decoded.dead_letters), decoded.counts["duplicates"]) == (1, 1)


# gaps


def numbered(number: int, *, asset: str = "M1", after_s: float = 0) -> Record:
    at_ns = T0 + int(after_s * SECOND_NS)
    return telemetry(number, producer="p", boot="b", seq=number, asset=asset, at_ns=at_ns)


def gaps_of(decoded: Decoded) -> list[Gap]:
    return [event for event in decoded.events if isinstance(event, Gap)]


def test_a_hole_that_nothing_fills_for_a_minute_is_a_gap_told_once() -> None:
    records = [
        numbered(0),
        numbered(2, after_s=5),
        numbered(3, after_s=64),
        numbered(4, after_s=65),
        numbered(5, after_s=300),
    ]
    (gap,) = gaps_of(once(*records))
    assert (gap.source, gap.asset, gap.point, gap.cause) == ("s", "M1", None, "sequence")
    assert (gap.from_ns, gap.to_ns, gap.backfilled) == (T0, T0 + 5 * SECOND_NS, False)
    assert gap.origin.position == 3


def test_a_hole_behind_a_hundred_messages_is_a_gap() -> None:
    decoded = once(numbered(0), *(numbered(n) for n in range(2, 103)))
    (gap,) = gaps_of(decoded)
    assert gap.origin.position == 100


def test_reordered_messages_are_no_gap() -> None:
    order = [0, 3, 2, 1, 4, 6, 5, 7]
    records = [numbered(n, after_s=at) for at, n in enumerate(order)]
    assert not gaps_of(once(*records, numbered(8, after_s=500)))


def test_a_gap_that_is_filled_after_all_is_said_to_be() -> None:
    records = [
        numbered(0),
        numbered(3),
        numbered(4, after_s=70),
        numbered(1, after_s=80),
        numbered(2, after_s=81),
    ]
    first, last = gaps_of(once(*records))
    assert (first.backfilled, last.backfilled) == (False, True)
    assert (first.from_ns, first.to_ns, first.cause) == (last.from_ns, last.to_ns, last.cause)


def test_a_hole_between_messages_of_two_assets_may_be_of_any() -> None:
    (gap,) = gaps_of(once(numbered(0), numbered(2, asset="M2"), numbered(3, asset="M2", after_s=61)))
    assert gap.asset is None


def test_any_record_of_the_source_lets_the_minute_pass() -> None:
    other = telemetry(1, asset="M2", at_ns=T0 + 61 * SECOND_NS)
    assert len(gaps_of(once(numbered(0), numbered(2), other))) == 1


def test_a_hole_in_the_blocks_of_a_point_is_a_gap_of_that_point() -> None:
    address = topic("M1", "_wave", "vib")
    records = [message(address, block(number=n, at_ns=T0 + n), T0 + n * MINUTE_NS) for n in (0, 2, 3)]
    (gap,) = gaps_of(once(*records))
    assert (gap.asset, gap.point) == ("M1", "vib")


def test_a_gap_record_is_a_gap_and_what_it_dropped_is_counted_as_overflow() -> None:
    decoded = once(gap_record(count=12, cause="overflow"))
    assert [said(event) for event in decoded.events] == [("gap", None, T0, None, False, 0)]
    assert (decoded.counts["received"], decoded.counts["overflow"]) == (12, 12)


def test_a_plant_that_changes_holds_from_its_place_in_the_stream() -> None:
    fewer = {"name": "p", "assets": PLANT["assets"][:1]}
    decoded = once(telemetry(1, asset="M2"), config(fewer), telemetry(2, asset="M2"))
    assert [type(event) for event in decoded.events] == [Readings, ConfigChanged]
    assert [letter.reason for letter in decoded.dead_letters] == ["unknown_asset"]


# what the OPC UA collector writes


def test_an_opcua_value_becomes_a_reading_with_its_status() -> None:
    (event,) = once(message(b"M1/DE/temperature", OPCUA_DATA | {"status": 0x80000000})).events
    assert isinstance(event, Readings)
    assert rows(event) == [("DE/temperature", "Cel", T0, "41.5", 0x80000000)]


def test_an_opcua_nan_is_kept_with_bad_quality() -> None:
    (event,) = once(message(b"M1/DE/temperature", OPCUA_DATA | {"value": None})).events
    assert isinstance(event, Readings)
    assert rows(event) == [("DE/temperature", "Cel", T0, "nan", 0x80000000)]


def test_an_opcua_state_may_be_a_name() -> None:
    (event,) = once(message(b"M1/state", OPCUA_DATA | {"value": "Execute"})).events
    assert isinstance(event, Readings)
    assert event.value.tolist() == [6.0]


def test_an_opcua_text_is_no_number() -> None:
    assert reason(message(b"M1/DE/temperature", OPCUA_DATA | {"value": "warm"})) == "schema"


def test_an_opcua_byte_string_is_a_waveform_block() -> None:
    wave = OPCUA_DATA | {"value": base64.b64encode(block()).decode(), "encoding": "base64"}
    (event,) = once(message(b"M1/vib", wave)).events
    assert isinstance(event, Waveform)
    assert event.point == "vib"
    assert reason(message(b"M1/vib", wave | {"value": "#"})) == "schema"


def test_an_opcua_event_becomes_a_stop_alarm_once() -> None:
    event = {
        "type": "opcua.event",
        "event_id": "0a0b",
        "event_type": "i=2041",
        "time": rfc3339(T0),
        "asset": "M2",
        "state": "Aborted",
        "reason": {"id": "E7", "value": 7, "message": "jam", "category": "mechanical", "trigger": True},
        "severity": 900,
        "active": True,
    }
    decoded = once(message(b"M2/_event", event), message(b"M2/_event", event))
    (alarm,) = decoded.events
    assert isinstance(alarm, StopAlarm)
    assert (alarm.asset, alarm.state, alarm.reason_id, alarm.severity) == (
        "M2",
        PackMLState.ABORTED,
        "E7",
        900,
    )
    assert decoded.counts["duplicates"] == 1
    assert reason(message(b"x/_event", event | {"asset": None})) == "unknown_asset"
