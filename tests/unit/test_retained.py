"""Retained messages are state, not events (trap T13): they are stored, and none of them raises anything."""

from collections.abc import Mapping

import numpy as np
import pytest
from decoder_words import (
    PLANT,
    T0,
    block,
    config,
    decoder,
    is_balanced,
    message,
    once,
    rows,
    stop,
    telemetry,
    topic,
)

from andon.events import MINUTE_NS, Action, Event, Finding, Json, Readings, StopAlarm, Waveform
from andon.plant import Asset
from andon.ports import Record
from detectors.stop_alarm import Detector
from ingest.decode import MessageDecoder
from ingest.retained import LAST_KNOWN, MISSED_NS, RETAIN

OLD_NS = T0 + MISSED_NS + 1


def retained(record: Record, received_ns: int = OLD_NS) -> Record:
    return record._replace(flags=RETAIN, received_ns=received_ns)


def bare_stop(*, active: bool, received_ns: int, flags: int = 0) -> Record:
    """A stop alarm as simple senders write it: no id, no number, no time."""
    body = {
        "type": "andon.machine.stop.v1",
        "data": {"state": "Stopped", "reason": {"id": "E1", "trigger": active}, "severity": 700},
    }
    return message(topic("M1", "_event", "stop"), body, received_ns, flags=flags)


def findings(*records: Record) -> list[Finding]:
    detector = Detector(Asset(id="M1", name="M1", asset_class="pump", path=""), Detector.Parameters())
    decoded = decoder().decode("s", 0, records)
    assert is_balanced(decoded)
    return [finding for event in decoded.events for finding in detector.update(event)]


def reopened(flags: int) -> bool:
    """Whether a stop that began and ended raises again when the broker sends it once more."""
    said = findings(
        bare_stop(active=True, received_ns=T0),
        bare_stop(active=False, received_ns=T0 + MINUTE_NS),
        bare_stop(active=True, received_ns=OLD_NS, flags=flags),
    )
    return [finding.action for finding in said] == [Action.RAISE, Action.CLEAR, Action.RAISE]


def test_a_retained_stop_that_was_seen_before_does_not_raise_again() -> None:
    assert reopened(flags=0)  # what a reader that does not look at RETAIN makes of it
    assert not reopened(flags=RETAIN)


def test_a_retained_stop_with_an_id_is_a_duplicate_however_often_it_comes() -> None:
    first = stop(id="a-1")
    decoded = once(first, retained(first), retained(first, OLD_NS + 1))
    assert (decoded.counts["stored"], decoded.counts["duplicates"]) == (1, 2)


def test_an_old_retained_stop_is_stored_as_the_state_of_the_machine() -> None:
    decoded = once(retained(stop()))
    (event,) = decoded.events
    assert isinstance(event, Readings)
    assert rows(event) == [("state", "", T0, "2.0", LAST_KNOWN)]
    assert (decoded.counts["stored"], decoded.counts["retained"]) == (1, 1)


def test_a_retained_stop_of_a_moment_ago_is_the_event_that_was_just_missed() -> None:
    (event,) = once(retained(stop(), T0 + MISSED_NS)).events
    assert isinstance(event, StopAlarm)


def test_a_retained_word_that_the_stop_is_over_ends_it() -> None:
    said = findings(
        bare_stop(active=True, received_ns=T0), bare_stop(active=False, received_ns=OLD_NS, flags=RETAIN)
    )
    assert [finding.action for finding in said] == [Action.RAISE, Action.CLEAR]


@pytest.mark.parametrize("at_ns", [None, T0])
def test_an_old_retained_value_is_the_last_known_one_and_not_good(at_ns: int | None) -> None:
    (event,) = once(retained(telemetry(at_ns=at_ns))).events
    assert isinstance(event, Readings)
    assert event.quality.tolist() == [LAST_KNOWN]
    (live,) = once(telemetry(at_ns=at_ns, received_ns=OLD_NS)).events
    assert isinstance(live, Readings)
    assert live.quality.tolist() == [0]


def test_a_retained_bad_value_stays_bad() -> None:
    (event,) = once(retained(telemetry(metric={"quality": 0x80000000}))).events
    assert isinstance(event, Readings)
    assert event.quality.dtype == np.uint32
    assert event.quality.tolist() == [0x80000000]


def test_values_that_each_have_their_time_are_as_old_as_the_oldest() -> None:
    own = {"ts": "2023-11-14T22:13:20Z"}
    (event,) = once(retained(telemetry(at_ns=None, metric=own), T0 + MINUTE_NS)).events
    assert isinstance(event, Readings)
    assert event.quality.tolist() == [0]


def test_an_old_retained_waveform_is_not_judged() -> None:
    record = message(topic("M1", "_wave", "vib"), block(), OLD_NS)
    assert isinstance(once(record).events[0], Waveform)
    decoded = once(retained(record))
    assert decoded.events == []
    assert (decoded.counts["stored"], decoded.counts["retained"]) == (1, 1)


def by_rule(rule: Mapping[str, Json], address: bytes, body: bytes | Json) -> list[Event]:
    """What a foreign payload that a broker had retained becomes."""
    made = MessageDecoder()
    made.decode("engine", 0, [config({**PLANT, "mappings": [rule]})])
    record = message(address, body, OLD_NS, connection=1, flags=RETAIN)
    return list(made.decode("s", 0, [record]).events)


@pytest.mark.parametrize(("payload", "body"), [("number", b"21.5"), ("json", {"DE": {"temperature": 21.5}})])
def test_foreign_values_that_were_retained_are_last_known_ones(payload: str, body: bytes | Json) -> None:
    rule: dict[str, Json] = {"topic": "line/{asset}", "payload": payload}
    if payload == "number":
        rule |= {"topic": "line/{asset}/{channel}", "channels": {"T": "DE/temperature"}}
    (event,) = by_rule(rule, b"line/M1/T" if payload == "number" else b"line/M1", body)
    assert isinstance(event, Readings)
    assert event.quality.tolist() == [LAST_KNOWN]


def test_a_foreign_stop_that_was_retained_is_a_state() -> None:
    stop_words = {"reason": "{.code}", "state": "Stopped", "active": "true", "severity": "500"}
    rule = {"topic": "mes/{asset}", "payload": "stop", "stop": stop_words}
    (event,) = by_rule(rule, b"mes/M1", {"code": "E1"})
    assert isinstance(event, Readings)
    assert rows(event) == [("state", "", OLD_NS, "2.0", LAST_KNOWN)]
