"""The simulated plant's messages, written by an encoder that shares nothing with the decoder, are understood."""

import json

import pytest
from decoder_words import is_balanced, streams

from andon.events import MINUTE_NS, SECOND_NS, Gap, Readings, Waveform
from andon.ports import Decoded, Record, RecordKind
from ingest.decode import MessageDecoder
from simulators.messages import MqttMessage
from simulators.plant import Simulation

START_NS = 1_790_000_000 * SECOND_NS


@pytest.fixture(scope="module")
def told() -> list[MqttMessage]:
    due = Simulation(7, START_NS).due(START_NS, START_NS + 6 * MINUTE_NS)
    return [item for item in due if isinstance(item, MqttMessage)]


def decode(told: list[MqttMessage], at_once: int) -> list[Decoded]:
    decoder = MessageDecoder()
    document = Simulation(7, START_NS).plant.model_dump(mode="json")
    body = json.dumps({"version": 1, "document": document}).encode()
    decoder.decode("engine", 0, [Record(RecordKind.CONFIG, START_NS, b"", body)])
    records = [Record(RecordKind.MESSAGE, item.at_ns, item.topic.encode(), item.body) for item in told]
    return [
        decoder.decode("plant", first, records[first : first + at_once])
        for first in range(0, len(records), at_once)
    ]


def test_only_what_the_plant_spoiled_on_purpose_is_refused(told: list[MqttMessage]) -> None:
    (whole,) = decode(told, len(told))
    assert is_balanced(whole)
    for letter in whole.dead_letters:
        assert b"spoiled:" in letter.head or letter.reason == "waveform_crc", letter
    assert whole.counts["stored"] > 0.95 * whole.counts["received"]


def test_blocks_arrive_as_the_sensors_measured_them(told: list[MqttMessage]) -> None:
    (whole,) = decode(told, len(told))
    waves = [event for event in whole.events if isinstance(event, Waveform)]
    assert {(wave.samples.shape, wave.rate_hz, wave.unit) for wave in waves} == {((8192, 1), 12_800.0, "g")}
    assert all(0.001 < float(wave.samples.std()) < 50 for wave in waves)


def test_missing_numbers_are_told_and_those_that_came_late_are_said_to_have_come(
    told: list[MqttMessage],
) -> None:
    (whole,) = decode(told, len(told))
    gaps = [event for event in whole.events if isinstance(event, Gap)]
    filled = [(gap.asset, gap.point, gap.from_ns) for gap in gaps if gap.backfilled]
    opened = [(gap.asset, gap.point, gap.from_ns) for gap in gaps if not gap.backfilled]
    assert filled
    assert set(filled) <= set(opened)
    assert len(opened) == len(set(opened))


def test_a_run_of_256_gives_what_one_run_gives(told: list[MqttMessage]) -> None:
    (whole,) = decode(told, len(told))
    parts = decode(told, 256)
    assets = {event.asset for event in whole.events if isinstance(event, Readings)}
    assert len(assets) > 1
    values = [event for part in parts for event in part.events]
    assert streams(values, assets) == streams(whole.events, assets)
