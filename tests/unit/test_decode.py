"""Bytes to events: what becomes of good, bad, repeated, late and missing messages, and that all are counted."""

import hashlib
import json
import math

import numpy as np
import pytest
from decoder_words import (
    PLANT,
    T0,
    block,
    config,
    decoder,
    message,
    once,
    reason,
    rows,
    stop,
    telemetry,
    tick,
    topic,
)

from andon.events import (
    MINUTE_NS,
    SECOND_NS,
    PackMLState,
    Quality,
    Readings,
    StopAlarm,
    Tick,
    Waveform,
    rfc3339,
)
from andon.plant import Plant
from andon.ports import Record, RecordKind
from ingest import mapping
from ingest.decode import MAX_BYTES, MAX_WAVE_BYTES


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


def test_a_corrupt_record_of_the_journal_is_a_dead_letter_of_its_place() -> None:
    lost = {"reason": "record_corrupt", "length": 0, "sha256": "", "head": "", "detail": "volume 3: record 7"}
    (letter,) = once(Record(RecordKind.REFUSED, 0, b"", json.dumps(lost).encode())).dead_letters
    assert (letter.reason, letter.detail) == ("record_corrupt", "volume 3: record 7")


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
        assert routes.of(topic("M1", name=f"n{number}"), 1).equipment is not None
        assert routes.of(b"garbage/%d" % number, 1).equipment is None
    assert len(routes._mapped) <= 10


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
