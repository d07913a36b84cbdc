"""Foreign topics and payloads by the plant's mapping rules: what becomes of them, and what is never guessed."""

import json
from collections.abc import Mapping, Sequence

import pytest
from decoder_words import PLANT, T0, block, config, is_balanced, message, rows, stop, telemetry

from andon.events import MINUTE_NS, SECOND_NS, Json, PackMLState, Readings, StopAlarm, Waveform, rfc3339
from andon.ports import Decoded, Record
from ingest.decode import MessageDecoder

S = T0 // SECOND_NS
UMH = {
    "topic": "umh.v1.{where...}.{asset}._historian.{point}.{quantity}",
    "payload": "json",
    "assets": {"press": "M1"},
    "value": "value",
    "time": "{.timestamp_ms}",
    "time_format": "unix_ms",
}
PLAIN = {
    "topic": "line/{asset}",
    "payload": "json",
    "channels": {"temp": "DE/temperature", "vib.rms": {"channel": "DE/current", "scale": 1000, "unit": "mA"}},
}
NUMBER = {
    "topic": "n/{asset}/{channel}",
    "payload": "number",
    "channels": {"T1": "DE/temperature", "I1": {"channel": "DE/current", "values": {"high": 9}}},
    "units": {"°C": "Cel", "F": "[degF]"},
}
MES = {
    "topic": "mes/stops",
    "payload": "stop",
    "asset": "{.machine.no}",
    "assets": {"7": "Press-07"},
    "id": "{.uuid}",
    "time": "{.at}",
    "time_format": "unix_s",
    "stop": {
        "reason": "{.code}",
        "message": "{.text}",
        "category": "mechanical",
        "state": "{.mode}",
        "states": {"STÖRUNG": "Aborted"},
        "active": "{.phase}",
        "actives": {"BEGIN": True, "END": False},
        "severity": "{.prio}",
        "severities": {"A": 900},
    },
}
FAULT = {
    "machine": {"no": 7},
    "code": 4711,
    "text": "Spindel blockiert",
    "mode": "STÖRUNG",
    "phase": "BEGIN",
    "prio": "A",
    "at": S + 0.25,
}


def mapped(*rules: Mapping[str, Json]) -> MessageDecoder:
    made = MessageDecoder()
    assert not made.decode("engine", 0, [config({**PLANT, "mappings": list(rules)})]).dead_letters
    return made


def sent(topic: str, body: bytes | Json, received_ns: int = T0 + SECOND_NS, **more: int) -> Record:
    return message(topic.encode(), body, received_ns, **{"connection": 1, **more})


def taken(rules: Sequence[Mapping[str, Json]], *records: Record) -> Decoded:
    decoded = mapped(*rules).decode("s", 0, records)
    assert is_balanced(decoded)
    return decoded


def values(decoded: Decoded) -> list[tuple[Json, ...]]:
    return [
        (event.asset, *row) for event in decoded.events if isinstance(event, Readings) for row in rows(event)
    ]


def refusal(rule: Mapping[str, Json], topic: str, body: bytes | Json) -> tuple[str, str]:
    (letter,) = taken([rule], sent(topic, body)).dead_letters
    return letter.reason, letter.detail


def test_a_united_manufacturing_hub_tag_becomes_a_reading_at_its_own_time() -> None:
    topic = "umh.v1.acme.mill.L1.press._historian.DE.temperature"
    decoded = taken([UMH], sent(topic, {"value": 41.5, "timestamp_ms": S * 1000 + 250}))
    assert values(decoded) == [("M1", "DE/temperature", "Cel", T0 + SECOND_NS // 4, "41.5", 0)]


@pytest.mark.parametrize("separator", [".", "/"])
def test_the_same_layout_is_read_with_slashes(separator: str) -> None:
    rule = {**UMH, "topic": UMH["topic"].replace("...", "\0").replace(".", separator).replace("\0", "...")}
    topic = separator.join(["umh", "v1", "acme", "press", "_historian", "DE", "current"])
    decoded = taken([rule], sent(topic, {"value": 3, "timestamp_ms": S * 1000}))
    assert values(decoded) == [("M1", "DE/current", "A", T0, "3.0", 0)]


def test_keys_of_a_plain_object_become_channels_and_others_are_left_out() -> None:
    body = {"temp": 21.5, "vib": {"rms": 0.002, "peak": 9}, "serial": "X1"}
    assert values(taken([PLAIN], sent("line/M1", body))) == [
        ("M1", "DE/temperature", "Cel", T0 + SECOND_NS, "21.5", 0),
        ("M1", "DE/current", "mA", T0 + SECOND_NS, "2.0", 0),
    ]


def test_without_a_table_key_paths_are_channels() -> None:
    decoded = taken(
        [{"topic": "line/{asset}", "payload": "json"}],
        sent("line/M1", {"DE": {"temperature": 20, "current": True}, "note": "x"}),
    )
    assert [(row[1], row[4]) for row in values(decoded)] == [
        ("DE/temperature", "20.0"),
        ("DE/current", "1.0"),
    ]


def test_the_fields_a_rule_asks_for_are_no_values() -> None:
    rule = {"topic": "l/{asset}/{point}", "payload": "json", "time": "{.t}", "time_format": "unix_ns"}
    decoded = taken([rule], sent("l/M1/DE", {"temperature": 20, "t": T0}))
    assert values(decoded) == [("M1", "DE/temperature", "Cel", T0, "20.0", 0)]


def test_a_list_of_tags_may_speak_of_several_machines() -> None:
    rule = {
        "topic": "iotgateway",
        "payload": "json",
        "each": "values",
        "value": "v",
        "name": "{.tag}",
        "asset": "{.dev}",
        "time": "{.t}",
        "time_format": "unix_ms",
        "quality": "{.q}",
        "channels": {"T": "DE/temperature"},
    }
    tags = [
        {"dev": "M1", "tag": "T", "v": 1, "q": True},
        {"dev": "M2", "tag": "T", "v": 2, "q": False, "t": S * 1000 - 500},
        {"dev": "M2", "tag": "not wanted", "v": 3},
    ]
    assert values(taken([rule], sent("iotgateway", {"t": S * 1000, "values": tags}))) == [
        ("M1", "DE/temperature", "Cel", T0, "1.0", 0),
        ("M2", "DE/temperature", "Cel", T0 - SECOND_NS // 2, "2.0", 0x80000000),
    ]


def test_one_bad_member_refuses_the_message_and_nothing_of_it_is_kept() -> None:
    rule = {"topic": "t/{asset}", "payload": "json", "each": "", "value": "v", "name": "{.n}"}
    body = [{"n": "DE/temperature", "v": 1}, {"n": "DE/temperature", "v": [2]}]
    decoded = taken([rule], sent("t/M1", body))
    assert [letter.reason for letter in decoded.dead_letters] == ["schema"]
    assert not decoded.events


@pytest.mark.parametrize(
    ("body", "value", "unit"),
    [
        (b"21.5", "21.5", "Cel"),
        (b' "21.5"\n', "21.5", "Cel"),
        (b"true", "1.0", "Cel"),
        ("21.5 °C".encode(), "21.5", "Cel"),
        (b"70F", "70.0", "[degF]"),
        (b"-1e3", "-1000.0", "Cel"),
    ],
)
def test_a_bare_number_is_read_quoted_boolean_or_with_a_declared_unit(
    body: bytes, value: str, unit: str
) -> None:
    assert values(taken([NUMBER], sent("n/M1/T1", body))) == [
        ("M1", "DE/temperature", unit, T0 + SECOND_NS, value, 0)
    ]


@pytest.mark.parametrize(
    ("topic", "body", "reason", "hint"),
    [
        ("n/M1/T1", b"21.5 K", "schema", "add it to `units`"),
        ("n/M1/T1", b"21,5", "schema", "no number"),
        ("n/M1/T1", b"warm", "schema", "no number"),
        ("n/M1/T1", b"", "schema", "no number"),
        ("n/M1/T1", b"NaN", "not_finite_json", ""),
        ("n/M1/T1", b"-Infinity", "not_finite_json", ""),
        ("n/M1/T1", b"1e999", "not_finite_json", ""),
        ("n/M1/T1", b"\xff", "invalid_utf8", ""),
        ("n/M1/T2", b"1", "unknown_point", "'T2'"),
        ("n/M9/T1", b"1", "unknown_asset", "no asset 'M9'"),
        ("m/M1/T1", b"1", "unknown_topic", "`mappings`"),
    ],
)
def test_what_is_no_number_is_refused_with_what_to_do(
    topic: str, body: bytes, reason: str, hint: str
) -> None:
    found = refusal(NUMBER, topic, body)
    assert found[0] == reason
    assert hint in found[1]


def test_a_word_may_stand_for_a_number() -> None:
    assert values(taken([NUMBER], sent("n/M1/I1", b"high")))[0][4] == "9.0"


def test_a_bare_number_sent_twice_is_two_readings() -> None:
    decoded = taken([NUMBER], *[sent("n/M1/T1", b"21.5", packet=p, flags=2) for p in (1, 2)])
    assert decoded.counts["stored"] == 2


def test_a_bare_number_resent_as_the_same_packet_of_one_connection_is_one() -> None:
    twice = [sent("n/M1/T1", b"21.5", packet=7, flags=4), sent("n/M1/T1", b"21.5", packet=7, flags=5)]
    assert taken([NUMBER], *twice).counts["duplicates"] == 1
    other = sent("n/M1/T1", b"21.5", packet=7, flags=5, connection=2)
    assert taken([NUMBER], twice[0], other).counts["duplicates"] == 0


def test_plain_json_has_an_identity_only_if_it_says_id_or_time() -> None:
    bare = sent("line/M1", {"temp": 1})
    assert taken([PLAIN], bare, bare).counts["stored"] == 2
    timed = sent("umh.v1.a.M1._historian.DE.current", {"value": 1, "timestamp_ms": S * 1000})
    assert taken([UMH], timed, timed).counts["duplicates"] == 1
    named = {**PLAIN, "id": "{.id}"}
    one, other = (sent("line/M1", {"temp": t, "id": "a"}) for t in (1, 2))
    counts = taken([named], one, one, other).counts
    assert (counts["stored"], counts["duplicates"], counts["refused.id_conflict"]) == (1, 1, 1)


def test_a_foreign_stop_becomes_the_same_alarm_as_ours() -> None:
    (event,) = taken([MES], sent("mes/stops", FAULT)).events
    assert isinstance(event, StopAlarm)
    assert (event.asset, event.at_ns, event.state, event.active) == (
        "Press-07",
        T0 + SECOND_NS // 4,
        PackMLState.ABORTED,
        True,
    )
    assert (event.reason_id, event.message, event.category, event.severity) == (
        "4711",
        "Spindel blockiert",
        "mechanical",
        900,
    )
    (over,) = taken([MES], sent("mes/stops", FAULT | {"phase": "END"})).events
    assert isinstance(over, StopAlarm)
    assert not over.active


@pytest.mark.parametrize(
    ("change", "reason", "hint"),
    [
        ({"phase": "?"}, "schema", "`actives`"),
        ({"prio": "Z"}, "schema", "severity 'Z'"),
        ({"mode": "KAPUTT"}, "schema", "PackML"),
        ({"code": None}, "schema", "reason id"),
        ({"machine": {}}, "schema", "finds no machine"),
        ({"machine": {"no": 8}}, "unknown_asset", "'8'"),
        ({"at": "gestern"}, "schema", "unix_s"),
    ],
)
def test_a_stop_that_says_too_little_is_refused(change: Mapping[str, Json], reason: str, hint: str) -> None:
    found = refusal(MES, "mes/stops", FAULT | dict(change))
    assert found[0] == reason
    assert hint in found[1]


def test_our_envelope_and_blocks_are_read_on_foreign_topics() -> None:
    rules = [
        {"topic": "e/{line}/{number}", "payload": "envelope", "asset": "{line}{number}"},
        {"topic": "w/{asset}", "payload": "waveform", "point": "vib"},
    ]
    events = taken(
        rules,
        sent("e/M/1", telemetry().body),
        sent("e/M/2", stop(asset="x").body),
        sent("w/M1", block()),
    ).events
    assert [(type(event), getattr(event, "asset", "")) for event in events] == [
        (Readings, "M1"),
        (StopAlarm, "M2"),
        (Waveform, "M1"),
    ]


def test_what_is_not_wanted_is_counted_and_not_refused() -> None:
    rules = [PLAIN, {"topic": "debug/#", "payload": "ignore"}]
    decoded = taken(rules, sent("debug/x/y", b"\xff" * 10), sent("line/M1", {"note": 1}))
    assert decoded.counts["ignored"] == 2
    assert not decoded.dead_letters


def test_the_first_rule_that_fits_is_taken_and_our_own_layout_is_the_last() -> None:
    narrow = {"topic": "line/M1", "payload": "ignore"}
    decoded = taken([narrow, PLAIN], sent("line/M1", {"temp": 1}), sent("line/M2", {"temp": 1}), telemetry())
    assert [event.asset for event in decoded.events if isinstance(event, Readings)] == ["M2", "M1"]


def test_what_the_opcua_collector_wrote_is_never_mapped() -> None:
    data = {"type": "opcua.data", "node": "n", "value": 7, "status": 0, "source_time": rfc3339(T0)}
    rule = {"topic": "{asset}/{point}/{quantity}", "payload": "number"}
    decoded = taken([rule], message(b"M1/DE/temperature", data), sent("M1/DE/temperature", b"8"))
    assert [row[4] for row in values(decoded)] == ["7.0", "8.0"]


def test_a_known_machine_at_another_place_is_taken_and_counted() -> None:
    moved = telemetry()
    moved = sent(moved.topic.decode().replace("/L1/", "/L2/"), moved.body)
    decoded = taken([], moved, telemetry(value=1))
    assert decoded.counts["stored"] == 2
    assert decoded.counts["misplaced"] == 1


def test_times_are_exact_in_every_format_and_the_future_is_replaced() -> None:
    for unit, stamp in (
        ("s", "1700000000.123456789"),
        ("ms", "1700000000123.456789"),
        ("us", "1700000000123456"),
    ):
        rule = {**PLAIN, "time": "{.t}", "time_format": f"unix_{unit}"}
        ((*_, at_ns, _, _),) = values(taken([rule], sent("line/M1", {"temp": 1, "t": stamp})))
        assert at_ns // 1000 == 1_700_000_000_123_456
    late = {**PLAIN, "time": "{.t}", "time_format": "unix_ns"}
    decoded = taken([late], sent("line/M1", {"temp": 1, "t": T0 + 10 * MINUTE_NS}, received_ns=T0))
    assert decoded.counts["clock_skew"] == 1


def test_a_rule_brings_refused_messages_back_when_it_is_there() -> None:
    record = sent("line/M1", {"temp": 1})
    assert taken([], record).dead_letters[0].reason == "unknown_topic"
    assert taken([PLAIN], record).counts["stored"] == 1


def test_rules_survive_a_snapshot() -> None:
    first, second = mapped(NUMBER), MessageDecoder()
    second.restore(json.loads(json.dumps(first.snapshot(), default=list)) | dict(first.snapshot()))
    assert second.decode("s", 0, [sent("n/M1/T1", b"1")]).counts["stored"] == 1
