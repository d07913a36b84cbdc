"""What a Sparkplug host does: births, aliases, the sequence and its holes, deaths, what is historical."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from andon.events import Event, Gap, Json, Readings, StopAlarm, Waveform
from andon.ports import Decoded, Record
from ingest.decode import MessageDecoder
from simulators.sparkplug import EdgeNode, Metric, Said, payload
from tests.unit.decoder_words import PLANT, T0, block, config, decoder, is_balanced, message, rows, stop, tick

MS = 1_000_000
START = T0 // MS
STALE = 0x40900000
Gaps = list[tuple[str | None, str, int, int | None, bool]]


def at(ms: int) -> int:
    """That many milliseconds into the story, as Sparkplug tells the time."""
    return START + ms


def machine(**more: Json) -> EdgeNode:
    temperature = Metric("DE/temperature", 20.0, at(0), alias=1, unit="Cel")
    return EdgeNode("Plant", "Gateway", {"M1": [temperature]}, **more)


@dataclass
class Story:
    """An edge node and the decoder that hears it; `hears` gives what became of the messages."""

    node: EdgeNode = field(default_factory=machine)
    decoder: MessageDecoder = field(default_factory=decoder)
    position: int = 0
    now: int = 0

    def hears(self, *said: Said, ms: int | None = None) -> Decoded:
        self.now = self.now + 1 if ms is None else ms
        records = [message(topic.encode(), body, T0 + self.now * MS) for topic, body in said]
        return self._decode("s", records)

    def ticks(self, ms: int) -> Decoded:
        self.now = ms
        return self._decode("engine", [tick(T0 + ms * MS)])

    def _decode(self, source: str, records: Sequence[Record]) -> Decoded:
        decoded = self.decoder.decode(source, self.position, records)
        self.position += len(records)
        assert is_balanced(decoded)
        return decoded

    def is_born(self, ms: int = 0) -> Decoded:
        return self.hears(*self.node.births(at(ms)), ms=ms)

    def temperature(self, value: float, ms: int, **more: Json) -> Said:
        metric = Metric("DE/temperature", value, at(ms), alias=1, **more)
        return self.node.data("M1", at(ms), metric)


def read(decoded: Decoded, *, historical: bool = False) -> list[tuple[Json, ...]]:
    """(channel, ms, value, quality) of each reading."""
    blocks = [event for event in decoded.events if isinstance(event, Readings)]
    return [
        (channel, (at_ns - T0) // MS, float(value), quality)
        for block in blocks
        if block.historical is historical
        for channel, _, at_ns, value, quality in rows(block)
    ]


def gaps(*heard: Decoded) -> Gaps:
    """(asset, cause, from, to, backfilled) of each gap, in ms."""
    found = [event for decoded in heard for event in decoded.events if isinstance(event, Gap)]
    return [
        (g.asset, g.cause, (g.from_ns - T0) // MS, g.to_ns and (g.to_ns - T0) // MS, g.backfilled)
        for g in found
    ]


def reasons(decoded: Decoded) -> list[str]:
    return [letter.reason for letter in decoded.dead_letters]


# Births and aliases


def test_invented_names_cost_no_memory_and_keep_no_edge_node_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ingest.sparkplug_host.MAX_EDGES", 8)
    monkeypatch.setattr("ingest.sparkplug_host.MAX_MEMBERS", 16)
    story = Story()
    story.is_born()
    body = story.temperature(1.0, 1)[1]
    for number in range(100):
        invented = [(f"spBv1.0/G/DDATA/E{number}/D", body), ("spBv1.0/G/NDATA/J", b"junk")]
        invented += [(f"spBv1.0/Plant/DDATA/Gateway/D{number}", body)]
        assert len(reasons(story.hears(*invented))) == 3
    sparkplug = story.decoder.snapshot()["sparkplug"]
    assert len(sparkplug["edges"]) <= 8
    assert [list(e["members"]) for e in sparkplug["edges"] if e["alive"]] == [["", "M1"]]
    assert read(story.hears(story.temperature(22.0, 900), ms=900)) == [("DE/temperature", 900, 22.0, 0)]
    for number in range(20):  # born, and without a single metric
        birth = payload(at(1000 + number), number, ())
        last = reasons(story.hears((story.node.topic("DBIRTH", f"B{number}"), birth), ms=1000 + number))
    assert last == ["too_large"]


def test_a_birth_gives_the_values_as_they_stand_and_the_meaning_of_its_aliases() -> None:
    story = Story()
    assert read(story.is_born()) == [("DE/temperature", 0, 20.0, 0)]
    topic, body = story.temperature(21.0, 10)
    assert b"DE/temperature" not in body, "only the alias travels"
    (event,) = story.hears((topic, body)).events
    assert isinstance(event, Readings)
    assert (event.asset, event.units, event.value.tolist()) == ("M1", ("Cel",), [21.0])


def test_data_before_any_birth_is_refused_and_a_birth_is_wanted() -> None:
    story = Story()
    heard = story.hears(story.temperature(21.0, 5), ms=5)
    assert reasons(heard) == ["sparkplug_no_birth"]
    assert gaps(heard) == [("M1", "sparkplug_no_birth", 5, None, False)]
    assert story.ticks(10).rebirths == [("s", "Plant/Gateway")]
    assert gaps(story.is_born(20)) == [("M1", "sparkplug_no_birth", 5, 20, False)]
    assert not story.ticks(60_000).rebirths, "it has come"


def test_a_wanted_birth_is_asked_for_again_but_not_at_every_message() -> None:
    story = Story()
    for ms in range(10):
        story.hears(story.temperature(21.0, ms), ms=ms)
    asked = [bool(story.ticks(ms).rebirths) for ms in range(1000, 25_000, 1000)]
    assert asked == [ms in {0, 10, 20} for ms in range(24)]


def test_data_of_a_device_without_birth_is_refused_though_its_edge_node_is_born() -> None:
    story = Story()
    nbirth, _dbirth = story.node.births(at(0))
    assert not reasons(story.hears(nbirth))
    story.node.seq = 1
    assert reasons(story.hears(story.temperature(21.0, 1))) == ["sparkplug_no_birth"]


def test_the_birth_of_an_edge_node_ends_the_births_of_its_devices() -> None:
    story = Story()
    story.is_born()
    nbirth, _dbirth = story.node.births(at(5))
    story.hears(nbirth, ms=5)
    story.node.seq = 1
    assert reasons(story.hears(story.temperature(21.0, 6))) == ["sparkplug_no_birth"]


def test_an_alias_that_no_birth_named_is_refused_with_its_own_reason() -> None:
    story = Story()
    story.is_born()
    unknown = story.node.data("M1", at(1), Metric("", 1.0, at(1), alias=77))
    heard = story.hears(unknown)
    assert reasons(heard) == ["sparkplug_unknown_alias"]
    assert story.ticks(100).rebirths == [("s", "Plant/Gateway")]


def test_a_new_birth_gives_old_aliases_new_meanings() -> None:
    story = Story()
    story.is_born()
    story.node.devices["M1"] = [Metric("DE/current", 3.0, at(5), alias=1)]
    story.is_born(5)
    heard = story.hears(story.node.data("M1", at(6), Metric("", 4.0, at(6), alias=1)))
    assert read(heard) == [("DE/current", 6, 4.0, 0)]


def test_a_device_that_is_no_machine_of_the_plant_is_refused_and_its_neighbours_are_not() -> None:
    story = Story()
    story.node.devices["M9"] = [Metric("DE/temperature", 1.0, at(0), alias=2)]
    born = story.is_born()
    assert reasons(born) == ["unknown_asset"]
    heard = story.hears(
        story.node.data("M9", at(1), Metric("", 1.0, at(1), alias=2)), story.temperature(21.0, 2)
    )
    assert reasons(heard) == ["unknown_asset"]
    assert read(heard) == [("DE/temperature", 2, 21.0, 0)]
    assert not gaps(heard), "what was refused had come: no number is missing"


def test_what_is_sparkplugs_own_is_no_reading_and_what_the_plant_does_not_know_is_counted() -> None:
    story = Story()
    story.node.devices["M1"] += [
        Metric("Device Control/Reboot", False, at(0)),
        Metric("Properties/Model", "x", at(0)),
        Metric("XX/temperature", 1.0, at(0)),
    ]
    born = story.is_born()
    assert read(born) == [("DE/temperature", 0, 20.0, 0)]
    assert born.counts["sparkplug_passed_over"] == 2
    unknown = story.node.data("M1", at(1), Metric("XX/temperature", 1.0, at(1)))
    assert reasons(story.hears(unknown)) == ["unknown_point"], (
        "where nothing else is in it, it is a dead letter"
    )


def test_a_command_and_a_host_state_are_taken_and_counted() -> None:
    story = Story()
    state = ("spBv1.0/STATE/scada", b'{"online":true,"timestamp":1}')
    command = ("spBv1.0/Plant/NCMD/Gateway", b"\xff\xff")
    heard = story.hears(state, command)
    assert (heard.counts["sparkplug_commands"], heard.counts["stored"]) == (2, 2)
    assert not heard.dead_letters


@pytest.mark.parametrize(
    ("topic", "reason"),
    [
        ("spBv1.0/Plant/NDATA", "unknown_topic"),
        ("spBv1.0/Plant/XDATA/Gateway", "unknown_topic"),
        ("spBv1.0/Plant/NDATA/Gateway/M1", "unknown_topic"),
        ("spBv1.0/Plant/DDATA/Gateway", "unknown_topic"),
        ("spBv1.0/Plant/DDATA/Gateway/M1/x", "unknown_topic"),
        ("spCv4.0/Plant/NDATA/Gateway", "unknown_topic"),
        ("spBv1.0/Plant/DDATA/Gateway/M1", "schema"),
    ],
)
def test_a_topic_or_payload_that_is_none_of_sparkplug_b_is_a_dead_letter(topic: str, reason: str) -> None:
    heard = Story().hears((topic, b"\x0a\xff"))
    assert reasons(heard) == [reason]


def test_a_mapping_rule_names_asset_and_channel_of_a_foreign_device() -> None:
    rule = {
        "topic": "spBv1.0/{group}/{type}/{edge}/{device}",
        "payload": "sparkplug",
        "asset": "{device}",
        "assets": {"PumpA": "M2"},
        "channels": {
            "Motor/Temp F": {"channel": "DE/temperature", "unit": "Cel", "scale": 0.5, "offset": 1.0}
        },
    }
    story = Story(
        node=EdgeNode("Plant", "Gateway", {"PumpA": [Metric("Motor/Temp F", 20.0, at(0), alias=1)]})
    )
    story.decoder.decode("engine", 0, [config({**PLANT, "mappings": [rule]})])
    story.hears(*story.node.births(at(0)), ms=0)
    records = [message(*_encoded(said), T0, connection=1) for said in story.node.births(at(3))]
    heard = story.decoder.decode("s", 9, records)
    (event,) = [event for event in heard.events if isinstance(event, Readings)]
    assert (event.asset, event.channels, event.units, event.value.tolist()) == (
        "M2",
        ("DE/temperature",),
        ("Cel",),
        [11.0],
    )


def _encoded(said: Said) -> tuple[bytes, bytes]:
    return said[0].encode(), said[1]


# The sequence


def test_a_number_that_never_comes_becomes_a_gap_after_the_time_to_reorder() -> None:
    story = Story()
    story.is_born()
    story.temperature(21.0, 10)  # lost on the way
    early = story.hears(story.temperature(22.0, 20), ms=20)
    assert read(early) == [("DE/temperature", 20, 22.0, 0)], "what follows a hole is not held back"
    assert not gaps(early)
    assert not gaps(story.ticks(5_000))
    late = story.ticks(5_020)
    assert gaps(late) == [("M1", "sparkplug_seq", 0, 20, False)]
    assert late.rebirths == [("s", "Plant/Gateway")]
    assert not gaps(story.ticks(9_000)), "once"


def test_a_hole_is_noticed_by_the_next_messages_too_not_only_by_ticks() -> None:
    story = Story()
    story.is_born()
    story.temperature(21.0, 10)
    story.hears(story.temperature(22.0, 20), ms=20)
    assert gaps(story.hears(story.temperature(23.0, 6_000), ms=6_000)) == [
        ("M1", "sparkplug_seq", 0, 20, False)
    ]


def test_messages_out_of_order_are_put_right_within_the_time() -> None:
    story = Story()
    story.is_born()
    first, second, third = (story.temperature(float(ms), ms) for ms in (10, 20, 30))
    heard = story.hears(third, first, second)
    assert [row[2] for row in read(heard)] == [30.0, 10.0, 20.0]
    after = story.ticks(60_000)
    assert not gaps(heard, after)
    assert not after.rebirths


def test_a_late_message_fills_the_gap_that_was_told() -> None:
    story = Story()
    story.is_born()
    lost = story.temperature(21.0, 10)
    story.hears(story.temperature(22.0, 20), ms=20)
    story.ticks(6_000)
    assert gaps(story.hears(lost, ms=6_001)) == [("M1", "sparkplug_seq", 0, 20, True)]


def test_the_sequence_wraps_from_255_to_0_without_a_gap() -> None:
    story = Story()
    story.is_born()
    heard = [story.hears(story.temperature(float(ms), ms), ms=ms) for ms in range(1, 700)]
    assert not gaps(*heard, story.ticks(60_000))
    assert sum(len(read(decoded)) for decoded in heard) == 699


@pytest.mark.parametrize("lost", [1, 100, 127, 128, 200, 255])
def test_a_loss_of_any_length_below_a_lap_is_one_gap_and_no_data_is_taken_for_a_duplicate(lost: int) -> None:
    story = Story()
    story.is_born()
    for ms in range(1, 1 + lost):
        story.temperature(0.0, ms)
    heard = story.hears(story.temperature(9.0, 500), ms=500)
    assert [row[2] for row in read(heard)] == [9.0]
    assert gaps(heard, story.ticks(9_000)) == [("M1", "sparkplug_seq", 0, 500, False)]


def test_two_holes_are_two_gaps() -> None:
    story = Story()
    story.is_born()
    for ms in (10, 20, 30, 40, 50):
        said = story.temperature(1.0, ms)
        if ms not in {20, 40}:
            story.hears(said, ms=ms)
    assert gaps(story.ticks(9_000)) == [
        ("M1", "sparkplug_seq", 10, 30, False),
        ("M1", "sparkplug_seq", 30, 50, False),
    ]


def test_the_same_message_twice_is_one_and_equal_values_of_two_moments_are_two() -> None:
    story = Story()
    story.is_born()
    first, second = story.temperature(21.0, 10), story.temperature(21.0, 20)
    heard = story.hears(first, first, second, second)
    assert (heard.counts["duplicates"], len(read(heard))) == (2, 2)
    births = list(story.node.births(at(30)))
    story.hears(*births)
    assert story.hears(*births).counts["duplicates"] == 2


def test_a_number_used_again_for_another_payload_of_the_same_moment_is_a_conflict() -> None:
    story = Story()
    story.is_born()
    story.hears(story.temperature(21.0, 10))
    story.node.seq = 2
    assert reasons(story.hears(story.temperature(22.0, 10))) == ["id_conflict"]


def test_a_birth_ends_the_wait_for_what_was_missing_before_it() -> None:
    story = Story()
    story.is_born()
    story.temperature(21.0, 10)
    story.hears(story.temperature(22.0, 20), ms=20)
    assert gaps(story.is_born(30)) == [("M1", "sparkplug_seq", 0, 20, False)]
    assert not story.ticks(60_000).rebirths


def test_a_message_without_seq_is_refused() -> None:
    story = Story()
    story.is_born()
    unnumbered = (story.node.topic("DDATA", "M1"), payload(at(1), None, []))
    assert reasons(story.hears(unnumbered)) == ["schema"]


# Deaths


def test_the_death_of_an_edge_node_makes_its_values_stale_and_opens_a_gap_until_the_next_birth() -> None:
    story = Story()
    story.is_born()
    story.hears(story.temperature(21.5, 10), ms=10)
    dead = story.hears(story.node.will(at(0)), ms=400)
    assert read(dead) == [("DE/temperature", 400, 21.5, STALE)], (
        "not at the will's own time, which is its birth's"
    )
    assert gaps(dead) == [("M1", "sparkplug_death", 10, None, False)]
    refused = story.hears(story.temperature(22.0, 410))
    assert reasons(refused) == ["sparkplug_no_birth"]
    story.node.bd_seq = 1
    assert gaps(story.is_born(900)) == [("M1", "sparkplug_death", 10, 900, False)]
    assert read(story.hears(story.temperature(23.0, 910))) == [("DE/temperature", 910, 23.0, 0)]


def test_a_death_of_an_earlier_session_kills_nobody() -> None:
    story = Story()
    old = story.node.will(at(0))
    story.node.bd_seq = 1
    story.is_born()
    heard = story.hears(old)
    assert (heard.counts["sparkplug_old_deaths"], heard.events) == (1, [])
    assert read(story.hears(story.temperature(21.0, 10))) == [("DE/temperature", 10, 21.0, 0)]


def test_a_death_told_twice_is_one() -> None:
    story = Story()
    story.is_born()
    story.hears(story.node.will(at(0)))
    again = story.hears(story.node.will(at(0)))
    assert (again.counts["duplicates"], again.events) == (1, [])


def test_the_death_of_a_device_leaves_the_others_alive() -> None:
    story = Story()
    story.node.devices["M2"] = [Metric("DE/temperature", 30.0, at(0), alias=2)]
    story.is_born()
    dead = story.hears(story.node.device_death("M1", at(10)), ms=10)
    assert gaps(dead) == [("M1", "sparkplug_death", 10, None, False)], (
        "in sequence: nothing before it is missing"
    )
    other = story.node.data("M2", at(20), Metric("", 31.0, at(20), alias=2))
    assert read(story.hears(other, ms=20)) == [("DE/temperature", 20, 31.0, 0)]
    back = story.hears(story.node.device_birth("M1", at(30)), ms=30)
    assert gaps(back) == [("M1", "sparkplug_death", 10, 30, False)]


def test_a_new_session_whose_predecessors_death_was_not_heard_leaves_a_gap() -> None:
    story = Story()
    story.is_born()
    story.node.bd_seq = 1
    assert gaps(story.is_born(50)) == [
        ("M1", "sparkplug_death", 0, None, False),
        ("M1", "sparkplug_death", 0, 50, False),
    ]


# Historical values


def test_historical_values_are_kept_apart_and_fill_the_gap_they_lie_in() -> None:
    story = Story()
    story.is_born()
    story.hears(story.node.will(at(0)), ms=100)
    story.node.bd_seq = 1
    story.is_born(900)
    flushed = story.hears(story.temperature(5.0, 50, is_historical=True), ms=910)
    assert read(flushed) == []
    assert read(flushed, historical=True) == [("DE/temperature", 50, 5.0, 0)]
    assert not gaps(flushed), "more of them may come"
    assert gaps(story.hears(story.temperature(6.0, 920))) == [("M1", "sparkplug_death", 0, 900, True)]
    assert not gaps(story.hears(story.temperature(7.0, 930))), "once"


def test_a_historical_stop_raises_nothing_however_new_it_is() -> None:
    story = Story()
    story.is_born()
    told = json.dumps(json.loads(stop().body)["data"])
    metric = Metric("stop", told, at(10), is_historical=True)
    heard = story.hears(story.node.data("M1", at(10), metric))
    assert not [event for event in heard.events if isinstance(event, StopAlarm)]
    assert heard.counts["historical"] == 1


def test_a_historical_waveform_says_so() -> None:
    story = Story()
    story.is_born()
    metric = Metric("vib", block(), at(10), is_historical=True)
    (wave,) = story.hears(story.node.data("M1", at(10), metric)).events
    assert isinstance(wave, Waveform)
    assert wave.historical


# Stops and waveforms


def test_a_stop_in_a_birth_is_news_only_if_it_changed() -> None:
    story = Story()
    told = stop().body.decode()
    story.node.devices["M1"].append(Metric("stop", told, at(0)))
    alarms = [
        [event for event in story.is_born(ms).events if isinstance(event, StopAlarm)] for ms in (0, 100)
    ]
    assert [len(found) for found in alarms] == [1, 0], "a rebirth tells how things stand"
    assert (alarms[0][0].reason_id, alarms[0][0].active) == ("E1", True)
    cleared = story.node.data("M1", at(200), Metric("stop", stop(active=False).body.decode(), at(200)))
    (event,) = story.hears(cleared).events
    assert isinstance(event, StopAlarm)
    assert not event.active


def test_the_same_waveform_block_in_two_births_is_one() -> None:
    story = Story()
    story.node.devices["M1"].append(Metric("vib", block(), at(0)))
    waves = [[e for e in story.is_born(ms).events if isinstance(e, Waveform)] for ms in (0, 100)]
    assert [len(found) for found in waves] == [1, 0]


# The state


def _same(first: Sequence[Event], second: Sequence[Event]) -> bool:
    return [_told(event) for event in first] == [_told(event) for event in second]


def _told(event: Event) -> Json:
    if isinstance(event, Readings):
        return (event.asset, rows(event), event.historical, event.origin)
    return repr(event)


@given(
    steps=st.lists(
        st.sampled_from(["data", "lost", "dup", "birth", "death", "device", "old", "tick", "late"]),
        max_size=40,
    ),
    cut=st.integers(0, 40),
)
def test_a_snapshot_in_the_middle_changes_nothing(steps: list[str], cut: int) -> None:
    records = _wild(steps)
    straight, before, after = decoder(), decoder(), decoder()
    whole = [straight.decode(source, place, [record]) for place, (source, record) in enumerate(records)]
    parts = [before.decode(source, place, [record]) for place, (source, record) in enumerate(records[:cut])]
    after.restore(json.loads(json.dumps(_plain(before.snapshot())), object_hook=_arrays))
    for place, (source, record) in enumerate(records[cut:], len(parts)):
        parts.append(after.decode(source, place, [record]))
    assert all(is_balanced(decoded) for decoded in whole)
    assert _same([e for d in whole for e in d.events], [e for d in parts for e in d.events])
    assert [d.rebirths for d in whole] == [d.rebirths for d in parts]
    assert [d.counts for d in whole] == [d.counts for d in parts]


def _plain(state: Json) -> Json:
    return {
        key: {"array": value.tolist(), "type": value.dtype.str, "shape": value.shape}
        if hasattr(value, "dtype")
        else value
        for key, value in state.items()
    }


def _arrays(found: dict[str, Json]) -> Json:
    if set(found) == {"array", "type", "shape"}:
        return np.array(found["array"], found["type"]).reshape(found["shape"])
    return found


def _wild(steps: Sequence[str]) -> list[tuple[str, Record]]:
    """A session with everything that can go wrong, as records."""
    node, records, kept = machine(), list[tuple[str, Record]](), list[Said]()
    for place, step in enumerate(steps):
        ms = place * 1500
        if step == "dup":
            records += records[-1:]
        elif step == "tick":
            records.append(("engine", tick(T0 + ms * MS)))
        else:
            said = _said_at(step, node, kept, place, ms)
            records += [("s", message(topic.encode(), body, T0 + ms * MS)) for topic, body in said]
    return records


def _said_at(step: str, node: EdgeNode, kept: list[Said], place: int, ms: int) -> list[Said]:
    if step == "birth":
        node.bd_seq += place % 2
        return list(node.births(at(ms)))
    if step in {"data", "lost"}:
        said = node.data("M1", at(ms), Metric("", float(place), at(ms), alias=1))
        kept += [said] * (step == "lost")
        return [said] * (step == "data")
    if step == "late":
        return kept[:1]
    if step == "device":
        return [node.device_death("M1", at(ms))]
    return [(node if step == "death" else EdgeNode("Plant", "Gateway", bd_seq=99)).will(at(ms))]
