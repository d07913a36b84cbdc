"""What is made of topics and payloads that nobody has described: kinds, templates, roles, rules, and a dry run."""

import json
from collections.abc import Mapping, Sequence

import pytest

from andon.events import SECOND_NS, Json
from andon.plant import Asset, Plant
from ingest import discover_mqtt
from ingest.discover_payloads import channel_of, shape_of
from ingest.discover_plant import propose
from ingest.discover_topics import groups_of
from ingest.discover_trial import dry_run
from simulators.sparkplug import EdgeNode, Metric

T0 = 1_700_000_000 * SECOND_NS
MS = T0 // 1_000_000


def made(samples: Mapping[str, bytes | Json], plant: Plant | None = None) -> Plant:
    return propose({topic: [body_of(body)] for topic, body in samples.items()}, plant or Plant(name="p"), T0)


def body_of(body: bytes | Json) -> bytes:
    return body if isinstance(body, bytes) else json.dumps(body).encode()


def becomes(plant: Plant, samples: Mapping[str, bytes | Json]) -> dict[str, tuple[str, str, list[Json]]]:
    outcomes = dry_run(plant, {topic: [(T0, body_of(body))] for topic, body in samples.items()})
    return {one.topic: (one.kind, one.asset, [value[0] for value in one.values]) for one in outcomes}


def rules(plant: Plant) -> list[tuple[str, str]]:
    return [(rule.topic, rule.payload) for rule in plant.mappings]


@pytest.mark.parametrize(
    ("body", "form"),
    [
        (b"21.5", "number"),
        (b"-3 bar", "number"),
        (b'"7"', "number"),
        (b"true", "number"),
        (b"AWB1....", "waveform"),
        (b"", "empty"),
        (b"\xff\xfe", "binary"),
        (b"hello", "text"),
        (b"2023-11-14", "text"),
        (b'{"a": 1}', "json"),
        (b'{"type": "andon.telemetry.v1", "data": 7}', "envelope"),
        (b'{"alarm_id": 7, "active": true}', "stop"),
        (b"[" * 5000, "text"),
    ],
)
def test_every_payload_has_a_form(body: bytes, form: str) -> None:
    assert shape_of("t", body, T0).form == form


@pytest.mark.parametrize(
    ("stamp", "written"),
    [
        (MS, "unix_ms"),
        (T0 // SECOND_NS, "unix_s"),
        (T0, "unix_ns"),
        ("2023-11-14T22:13:20Z", "rfc3339"),
        (7, ""),
    ],
)
def test_a_time_is_told_by_how_near_it_is(stamp: Json, written: str) -> None:
    assert shape_of("t", body_of({"ts": stamp, "x": 1}), T0).time_format == written


@pytest.mark.parametrize(
    ("name", "channel", "unit"),
    [
        ("motorTemp", "motor/temperature", "Cel"),
        ("Öldruck_bar", "machine/ldruck", "bar"),
        ("VEL.velocity_rms", "VEL/velocity_rms", "mm/s"),
        ("StateCurrent", "state", ""),
        ("x", "machine/x", ""),
    ],
)
def test_a_name_says_point_quantity_and_unit(name: str, channel: str, unit: str) -> None:
    assert channel_of(name) == (channel, unit)


def test_topics_alike_behind_a_level_are_machines_and_others_are_not() -> None:
    topics = [f"fab/{line}/m{n}/{q}" for line in ("a", "b") for n in (1, 2) for q in ("temp", "rpm")]
    shapes = {topic: shape_of(topic, b"1", T0) for topic in [*topics, "fab/energy/total/kwh", "other/1/2/3"]}
    patterns = {group.pattern for group in groups_of(shapes)}
    assert ("fab", None, None, None) in patterns
    assert ("other", "1", "2", "3") in patterns


def test_names_that_are_not_unique_are_joined_to_their_parent() -> None:
    samples = {f"fab/{line}/m{n}/temp": b"1" for line in ("L1", "L2") for n in (1, 2)}
    plant = made(samples)
    assert {asset.id for asset in plant.assets} == {"L1-m1", "L1-m2", "L2-m1", "L2-m2"}
    assert becomes(plant, samples)["fab/L2/m1/temp"] == ("readings", "L2-m1", ["machine/temperature"])


def test_points_that_come_again_below_every_machine_are_points() -> None:
    samples = {
        f"fab/{m}/{p}/{q}": b"1"
        for m in ("press-1", "press-2")
        for p in ("DE", "NDE")
        for q in ("temp", "rms")
    }
    plant = made(samples)
    assert {asset.id for asset in plant.assets} == {"press-1", "press-2"}
    assert becomes(plant, samples)["fab/press-2/NDE/rms"] == ("readings", "press-2", ["NDE/velocity_rms"])


def test_names_with_signs_become_ids_by_a_table() -> None:
    samples = {"halle/Säge 1/temp": b"1", "halle/Säge 2/temp": b"1"}
    plant = made(samples)
    assert plant.mappings[0].assets == {"Säge 1": "Sage-1", "Säge 2": "Sage-2"}
    assert becomes(plant, samples)["halle/Säge 2/temp"][:2] == ("readings", "Sage-2")


def test_a_gateways_list_and_a_foreign_stop_name_their_machines_themselves() -> None:
    samples: Mapping[str, Json] = {
        "gateway": {"timestamp": MS, "values": [{"device": "M1", "id": "T.temp", "v": 4}]},
        "mes/stops": {
            "machine": "M1",
            "code": "E1",
            "phase": "GONE",
            "text": "x",
            "at": "2023-11-14T22:13:20Z",
        },
    }
    plant = made(samples)
    found = becomes(plant, samples)
    assert found["mes/stops"] == ("stop", "M1", ["E1 is over"])
    assert found["gateway"] == ("readings", "M1", ["T/temperature"])


def test_our_own_layout_needs_machines_and_no_rules() -> None:
    topic = "andon/v1/e/s/a/L1/c/M9/_telemetry/process"
    metric = {"name": "DE/temperature", "value": 4, "unit": "Cel"}
    samples = {topic: {"type": "andon.telemetry.v1", "data": {"metrics": [metric]}}}
    plant = made(samples)
    assert plant.mappings == ()
    assert plant.assets[0].path == "e/s/a/L1/c"
    assert becomes(plant, samples)[topic] == ("readings", "M9", ["DE/temperature"])


def test_a_rule_that_would_not_be_clear_is_written_out_topic_by_topic() -> None:
    before = Plant.model_validate({"name": "p", "mappings": [{"topic": "+/m1/temp", "payload": "ignore"}]})
    samples = {
        f"fab/{m}/{q}": b"1" for m in ("m1", "m2") for q in ("temp", "rpm") if (m, q) != ("m1", "temp")
    }
    plant = made(samples, before)
    assert ("+/m1/temp", "ignore") in rules(plant)
    assert {kind for kind, _, _ in becomes(plant, samples).values()} == {"readings"}


def test_what_a_person_has_written_stays() -> None:
    document = {
        "name": "p",
        "assets": [
            {
                "id": "press-1",
                "name": "Our press",
                "asset_class": "press",
                "path": "e/s",
                "points": [{"id": "machine", "component": "spindle", "quantities": {"temperature": "K"}}],
            }
        ],
    }
    plant = made({"fab/press-1/temp": b"1", "fab/press-1/p": b"1"}, Plant.model_validate(document))
    (asset,) = plant.assets
    assert (asset.name, asset.points[0].component) == ("Our press", "spindle")
    assert asset.points[0].quantities == {"temperature": "K", "p": ""}


@pytest.mark.parametrize("topic", ["a{b/c", "x/#/y", "", "a//b", "spBv1.0/x", "\x00"])
def test_no_topic_makes_it_raise(topic: str) -> None:
    assert made({topic: b"1", "fab/m1/temp": b"1"}).assets


def test_what_is_kept_is_bounded_and_what_is_beyond_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discover_mqtt, "MAX_TOPICS", 10)
    monkeypatch.setattr(discover_mqtt, "MAX_BYTES", 100)
    minute = discover_mqtt.Minute()
    bodies: Sequence[bytes] = [b"%02d" % n * 20 for n in range(30)]
    for n, body in enumerate(bodies):
        minute.hear(f"t/{n % 15}", body, T0, retained=False)
    assert (len(minute.topics), minute.messages, minute.beyond) == (10, 30, 10)
    assert sum(len(body) for heard in minute.topics.values() for body in heard.samples) <= 100


def test_sparkplug_births_become_machines_and_one_rule_for_all_devices() -> None:
    devices = {
        name: [Metric("Motor/Temp", 61.5, MS, alias=1, unit="°C"), Metric("Motor/Note", "text", MS, alias=2)]
        for name in ("Press 1", "Press 2")
    }
    node = EdgeNode("Fab", "Edge1", devices)
    births = dict(node.births(MS))
    data = dict([node.data("Press 2", MS + 5, Metric("", 62.0, MS + 5, alias=1))])
    plant = made(births)
    assert rules(plant) == [("spBv1.0/{group}/+/{edge}/{device}", "sparkplug")]
    assert {(asset.id, asset.path) for asset in plant.assets} == {
        ("Press-1", "Fab/Edge1"),
        ("Press-2", "Fab/Edge1"),
    }
    received = {topic: [(T0 + n, body)] for n, (topic, body) in enumerate((births | data).items())}
    outcomes = [outcome for outcome in dry_run(plant, received) if outcome.kind == "readings"]
    assert [(one.asset, one.values) for one in outcomes] == [
        ("Press-1", (("Motor/temperature", 61.5, "Cel"),)),
        ("Press-2", (("Motor/temperature", 61.5, "Cel"),)),
        ("Press-2", (("Motor/temperature", 62.0, "Cel"),)),
    ]


@pytest.mark.parametrize(
    ("topic", "machine"),
    [
        ("acme/press7/state", "press7"),
        ("acme/hall1/press7/alarm", "press7"),
        ("acme/press7", "press7"),
        ("status", "status"),
    ],
)
def test_a_topic_that_is_like_no_other_names_a_machine_and_not_what_it_says_of_it(
    topic: str, machine: str
) -> None:
    proposed = propose({topic: [b'{"code": "E7", "phase": "on"}']}, Plant(name="p"), T0)
    assert [asset.id for asset in proposed.assets] == [machine]


def test_a_lone_topic_of_a_known_machine_is_that_machines() -> None:
    known = Asset(id="acme", name="Acme", asset_class="machine", path="p")
    topics = {"x/acme/line": [b'{"code": "E7", "phase": "on"}']}
    proposed = propose(topics, Plant(name="p", assets=(known,)), T0)
    assert [asset.id for asset in proposed.assets] == ["acme"]


def test_who_was_only_heard_to_end_a_stop_is_understood_when_it_begins_one() -> None:
    over = {"code": "E7", "phase": "GOING", "ts": "2023-11-14T22:13:20Z"}
    plant = made({"acme/hall1/press7/alarm": over})
    heard = becomes(plant, {"acme/hall1/press7/alarm": over | {"phase": "COMING"}})
    assert heard["acme/hall1/press7/alarm"] == ("stop", "press7", ["E7 begins"])
