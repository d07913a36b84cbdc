"""What the plant sends, decoded: every message is used once, and what is spoiled is refused for its own reason."""

import json
from collections import Counter

from andon.events import MINUTE_NS, SECOND_NS, Readings, StopAlarm, Waveform
from andon.ports import Decoded, Record, RecordKind
from ingest.decode import MessageDecoder
from simulators.messages import MqttMessage
from simulators.plant import Simulation

START_NS = 1_790_000_000 * SECOND_NS


def decoded(simulation: Simulation, minutes: int) -> Decoded:
    decoder = MessageDecoder()
    plant = json.dumps({"version": 1, "document": simulation.plant.model_dump(mode="json")}).encode()
    decoder.decode("plant", 0, [Record(RecordKind.CONFIG, START_NS, b"", plant)])
    records = [
        Record(RecordKind.MESSAGE, item.at_ns + SECOND_NS // 10, item.topic.encode(), item.body)
        for item in simulation.due(START_NS, START_NS + minutes * MINUTE_NS)
        if isinstance(item, MqttMessage)
    ]
    return decoder.decode("mqtt", 0, records)


def test_every_message_ends_once_as_stored_duplicate_or_refused() -> None:
    simulation = Simulation(7, START_NS)
    simulation._streams = [s for s in simulation._streams if "DE" not in s.name]
    result = decoded(simulation, 60)
    counts = result.counts
    refused = {name.removeprefix("refused."): n for name, n in counts.items() if name.startswith("refused.")}
    assert refused == dict(simulation.dead_letters(START_NS + 60 * MINUTE_NS))
    assert Counter(str(letter.reason) for letter in result.dead_letters) == refused
    assert counts["received"] == counts["stored"] + counts["duplicates"] + sum(refused.values())
    assert counts["duplicates"] > 10


def test_blocks_readings_and_stops_become_events_of_their_machines() -> None:
    events = decoded(Simulation(7, START_NS), 5).events
    waveforms = [e for e in events if isinstance(e, Waveform)]
    assert len({(e.asset, e.point) for e in waveforms}) == 12
    assert {e.samples.shape for e in waveforms} == {(8192, 1)}
    assert {e.speed_hz is None for e in waveforms} == {True, False}
    channels = {channel for e in events if isinstance(e, Readings) for channel in e.channels}
    assert channels == {"VEL/velocity_rms", "DE/temperature", "M/current", "state"}
    assert [(e.active, e.state.name) for e in events if isinstance(e, StopAlarm)][:1] == [(True, "STOPPED")]
