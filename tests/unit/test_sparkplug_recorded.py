"""Payloads that other people's encoders wrote (tests/recorded/sparkplug.json) become what they meant."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from andon.events import Json, Readings, StopAlarm, Waveform
from andon.ports import Decoded
from ingest.sparkplug import Metric, Structure, decode_payload, value_of
from tests.unit.decoder_words import T0, decoder, is_balanced, message, rows, stop

MS = 1_000_000
RECORDED = json.loads((Path(__file__).parents[1] / "recorded" / "sparkplug.json").read_text("utf-8"))
PYSPARKPLUG, TAHU = [sessions for sessions in RECORDED.values() if isinstance(sessions, list)]


@cache
def metrics(topic_end: str) -> dict[str, Metric]:
    (birth,) = [said for said in PYSPARKPLUG + TAHU if said["topic"].endswith(topic_end)]
    found = decode_payload(bytes.fromhex(birth["hex"])).metrics
    return {str(metric.name).removeprefix("DE/"): metric for metric in found}


def value(name: str, topic_end: str = "DBIRTH/Gateway/M1") -> Json:
    metric = metrics(topic_end)[name]
    return value_of(metric, metric.datatype)


SCALARS = {
    "int8": -5,
    "int16": -300,
    "int32": -70_000,
    "int64": -(2**40),
    "uint8": 200,
    "uint16": 60_000,
    "uint32": 4_000_000_000,
    "uint64": 2**63 + 1024,
    "float": 1.5,
    "double": 0.1,
    "boolean": True,
    "datetime": 1_700_000_000_000,
    "string": "Stopped",
    "text": "größer",
    "uuid": "00000000-0000-0000-0000-000000000009",
    "bytes": b"\x00\xff",
    "file": b"data",
    "nothing": None,
    "strings": ("ABC", "hello"),
}
ARRAYS = {
    "int8s": [-128, 127],
    "int16s": [-30_000, 30_000],
    "int32s": [-1, 315_338_746],
    "int64s": [-1, 2**62],
    "uint8s": [23, 250],
    "uint16s": [30, 52_360],
    "uint32s": [52, 3_293_969_225],
    "uint64s": [5, 2**64 - 1],
    "floats": [np.float32(1.23), np.float32(89.341)],
    "doubles": [12.3354, -0.5],
    "booleans": [False, False, True, True, False, True, False, False, True],
    "datetimes": [1_700_000_000_000] * 2,
}


@pytest.mark.parametrize("name", SCALARS)
def test_a_scalar_of_every_datatype_has_its_value(name: str) -> None:
    assert value(name) == SCALARS[name]
    assert type(value(name)) is type(SCALARS[name])


@pytest.mark.parametrize("name", ARRAYS)
def test_an_array_of_every_datatype_has_its_values(name: str) -> None:
    assert value(name).tolist() == [np.asarray(item).item() for item in ARRAYS[name]]


def test_every_metric_of_the_recordings_is_looked_at() -> None:
    assert {*SCALARS, *ARRAYS, "state", "stop", "vib"} == set(metrics("DBIRTH/Gateway/M1"))


def test_what_has_a_shape_of_its_own_is_recognised_and_left_closed() -> None:
    tahu = "DBIRTH/Edge2/M2"
    assert isinstance(value("table", tahu), Structure)
    assert isinstance(value("udt", tahu), Structure)
    assert [value(name, tahu) for name in ("u32", "i32", "i64", "null")] == [4_000_000_001, -2, -3, None]
    assert metrics(tahu)["odd"].properties == {"engUnit": "mm/s", "Quality": 64, "deadband": 0.5}


def test_flags_and_metadata_are_read() -> None:
    historical, transient = decode_payload(bytes.fromhex(PYSPARKPLUG[4]["hex"])).metrics
    assert (historical.is_historical, historical.is_transient) == (True, False)
    assert (transient.is_historical, transient.is_transient) == (False, True)
    assert not metrics("DBIRTH/Gateway/M1")["file"].is_multi_part


def session(recorded: list[dict[str, str]]) -> Decoded:
    made = decoder()
    records = [message(said["topic"].encode(), bytes.fromhex(said["hex"]), T0) for said in recorded]
    decoded = made.decode("s", 0, records)
    assert is_balanced(decoded)
    assert not decoded.dead_letters
    return decoded


def values(decoded: Decoded, *, historical: bool = False) -> list[tuple[Json, ...]]:
    blocks = [event for event in decoded.events if isinstance(event, Readings)]
    return [row for block in blocks if block.historical is historical for row in rows(block)]


def test_a_recorded_session_becomes_readings_a_stop_a_waveform_and_stale_last_values() -> None:
    decoded = session(PYSPARKPLUG)
    read = values(decoded)
    born = {channel: float(value) for channel, _, at_ns, value, _ in read if at_ns == T0 + MS}
    assert born["DE/int8"] == -5
    assert born["DE/uint64"] == 2.0**63 + 1024
    assert born["DE/boolean"] == 1
    assert born["state"] == 6
    assert ("DE/int8", "", T0 + 3 * MS, "-6.0", 0) in read
    assert ("state", "", T0 + 3 * MS, "2.0", 0) in read
    assert values(decoded, historical=True) == [("DE/double", "", T0 - 60_000 * MS, "9.5", 0)]
    assert "8.5" not in {value for _, _, _, value, _ in read}, "transient: not to be kept"
    assert ("DE/int8", "", T0 + 7 * MS, "-6.0", 0x40900000) in read, "its device is dead"
    (wave,) = [event for event in decoded.events if isinstance(event, Waveform)]
    assert (wave.asset, wave.point, wave.at_ns, wave.unit) == ("M1", "vib", T0, "g")
    assert wave.samples[:, 0].tolist() == [0.5, -1.0, 1.5]


def test_a_stop_in_a_recorded_string_is_the_same_stop_alarm_as_in_json() -> None:
    (alarm,) = [event for event in session(PYSPARKPLUG).events if isinstance(event, StopAlarm)]
    (same,) = decoder().decode("s", 6, [stop()]).events
    assert isinstance(same, StopAlarm)
    fields = set(StopAlarm.__slots__) - {"origin"}
    assert {name: getattr(alarm, name) for name in fields} == {name: getattr(same, name) for name in fields}


def test_qualities_and_units_of_a_recorded_birth_are_kept() -> None:
    first = {channel: (unit, quality) for channel, unit, at_ns, _, quality in values(session(TAHU[:2]))}
    assert first["DE/good"] == ("Cel", 0)
    assert first["DE/bad"] == ("Cel", 0x80000000)
    assert first["DE/stale"] == ("Cel", 0x40900000)
    assert first["DE/odd"] == ("mm/s", 0x40000000)
    assert first["DE/null"] == ("", 0x80000000)
    assert "DE/table" not in first
    assert "DE/udt" not in first


def test_a_quality_stays_until_it_changes() -> None:
    (good, bad) = values(session(TAHU[:3]))[-2:]
    assert good == ("DE/good", "Cel", T0 + 2 * MS, "1.25", 0)
    assert bad == ("DE/bad", "Cel", T0 + 2 * MS, "2.25", 0), "it says 192 again"
