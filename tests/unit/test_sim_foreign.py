"""The simulated plant as a stranger's: nothing of Andon's words in it, and a mapping alone understands all that it says."""

import json
from pathlib import Path

import pytest

from andon.__main__ import main
from andon.events import HOUR_NS, SECOND_NS
from andon.plant import Plant
from ingest.discover_plant import propose
from ingest.discover_trial import dry_run
from simulators import outside
from simulators.foreign import foreign, standing
from simulators.messages import Item, MqttMessage, OpcuaEvent
from simulators.plant import Simulation

START_NS = 1_790_000_000 * SECOND_NS
PART = outside.part_of(["washer8", "L1-PRS-01"], ["mqtt"], is_foreign=True)


def told(minutes: int) -> list[MqttMessage]:
    simulation = Simulation(1, START_NS, only=PART.machines)
    items: list[Item] = list(simulation.due(START_NS, START_NS + minutes * 60 * SECOND_NS, "mqtt"))
    found = [one for item in items for one in foreign(item) if isinstance(one, MqttMessage)]
    return [*standing(PART.machines, START_NS, "2026-09-21T13:00:00.000Z"), *found]


def test_a_stranger_says_nothing_in_andons_words() -> None:
    messages = told(6)
    assert {message.topic.rpartition("/")[0] for message in messages} == {
        "acme/hall1/press9",
        "acme/hall1/washer8",
    }
    whole = b"".join(message.topic.encode() + message.body for message in messages)
    assert b"andon" not in whole
    assert b"L1-" not in whole
    assert b"specversion" not in whole


@pytest.mark.parametrize("by", ["its own document", "what discover proposes"])
def test_a_mapping_alone_understands_all_of_it(by: str) -> None:
    messages = told(6)
    samples = {message.topic: [] for message in messages}
    for message in messages:
        samples[message.topic].append((message.at_ns, message.body))
    heard = {topic: [bodies[0][1]] for topic, bodies in samples.items()}
    proposed = propose(heard, Plant(name="p"), START_NS)
    plant = outside.plant_of(PART) if by == "its own document" else proposed
    outcomes = list(dry_run(plant, samples))
    assert [one for one in outcomes if one.kind == "refused"] == []
    stops = [one.values[0][0] for one in outcomes if one.kind == "stop" and one.asset == "washer8"]
    assert "JAM_OUTFEED begins" in stops
    assert len([one for one in outcomes if one.kind == "readings"]) > 20


def test_the_truth_names_what_can_be_known_by_the_names_that_are_told() -> None:
    simulation = Simulation(1, START_NS, only=PART.machines)
    truth = outside.truth_of(simulation, PART, START_NS, START_NS + HOUR_NS)
    assert truth["machines"] == ["press9", "washer8"]
    assert {(one["asset"], one["component"]) for one in truth["planted"]} >= {("washer8", "JAM_OUTFEED")}
    assert {one["family"] for one in truth["planted"]} == {"stop"}
    later = outside.truth_of(simulation, PART, START_NS + HOUR_NS, START_NS + HOUR_NS)
    assert later["planted"] == []


def test_the_story_is_picked_up_before_its_first_stop() -> None:
    offset_ns = outside.first_stop_ns(1, PART.machines)
    simulation = Simulation(1, START_NS - offset_ns, only=PART.machines)
    messages = [
        one for one in simulation.due(START_NS - SECOND_NS, START_NS + SECOND_NS) if "_event" in str(one)
    ]
    assert len(messages) >= 1


def test_controllers_tell_their_stops_as_events_whoever_words_them() -> None:
    part = outside.part_of(["press17"], ["opcua"], is_foreign=True)
    offset_ns = outside.first_stop_ns(1, part.machines)
    simulation = Simulation(1, START_NS - offset_ns, only=part.machines)
    events = [one for one in simulation.due(START_NS, START_NS + SECOND_NS) if isinstance(one, OpcuaEvent)]
    assert [event.active for event in events] == [True]


@pytest.mark.parametrize(
    ("speed", "seconds", "past_s"), [(1.0, None, 0), (1.0, 9.0, 0), (30.0, 2.0, 58), (60.0, None, 3600)]
)
def test_more_than_real_time_begins_in_the_past(speed: float, seconds: float | None, past_s: int) -> None:
    assert outside.begins_ns(START_NS, speed, seconds) == START_NS - past_s * SECOND_NS


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "say where to"),
        (("--mqtt", "http://h"), "give mqtt://"),
        (("--mqtt", "mqtt://u:secret@h"), "a password comes from"),
        (("--mqtt", "mqtt://127.0.0.1:1", "--machines", "press17"), "no such machine here: press17"),
        (("--opcua", "opc.tcp://192.0.2.1:4840"), "on this machine alone"),
        (("--mqtt", "mqtt://h", "--password-env", "NOT_THERE"), "the environment has no NOT_THERE"),
    ],
)
def test_what_cannot_work_is_refused_with_what_to_do(
    words: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["simulate", *words]) == 1
    assert said in capsys.readouterr().err


def test_the_document_that_fits_is_written(tmp_path: Path) -> None:
    path = tmp_path / "plant.json"
    assert main(["simulate", "--foreign", "--plant", str(path)]) == 0
    plant = Plant.model_validate(json.loads(path.read_text("utf-8")))
    assert len(plant.assets) == 20
    assert [rule.payload for rule in plant.mappings] == ["json", "stop"]


def test_a_story_told_in_a_hurry_expects_nobody_to_notice_a_silence() -> None:
    simulation = Simulation(1, START_NS)
    families = {}
    for is_hurried in (False, True):
        part = outside.part_of([], ["mqtt"], is_foreign=False, is_hurried=is_hurried)
        truth = outside.truth_of(simulation, part, START_NS, START_NS + HOUR_NS)
        families[is_hurried] = {one["family"] for one in truth["planted"]}
    assert families[False] - families[True] == {"data_quality"}
