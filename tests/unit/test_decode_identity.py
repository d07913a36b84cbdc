"""Twice is once, holes become gaps, and what OPC UA said: what the decoder makes of messages in a row."""

import base64

import pytest
from decoder_words import (
    OPCUA_DATA,
    PLANT,
    T0,
    block,
    config,
    gap_record,
    message,
    once,
    reason,
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
    Readings,
    StopAlarm,
    Waveform,
    rfc3339,
)
from andon.ports import Decoded, Record


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
