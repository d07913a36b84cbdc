"""The simulated plant is a function of seed and time, and its truth is that of its story."""

from collections import Counter
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Family, PackMLState
from simulators.chapters import SPOILED, cast
from simulators.messages import Item, MqttMessage, OpcuaEvent, OpcuaValue
from simulators.plant import Simulation
from simulators.streams import WaveformStream
from simulators.truth import Planted

START_NS = 1_790_000_000 * SECOND_NS
SEEDS = range(51)


def told(simulation: Simulation, from_min: float, to_min: float) -> list[Item]:
    return list(simulation.due(at(from_min), at(to_min)))


def slow(seed: int) -> Simulation:
    """A plant that makes no waveforms: they cost their time."""
    simulation = Simulation(seed, START_NS)
    simulation._streams = [one for one in simulation._streams if not isinstance(one, WaveformStream)]
    return simulation


def at(minute: float) -> int:
    return START_NS + round(minute * 60) * SECOND_NS


def key(item: Item) -> tuple[Any, ...]:
    return tuple(repr(getattr(item, name)) for name in type(item).__dataclass_fields__)


def bodies(items: list[Item]) -> list[dict[str, Any]]:
    """The JSON messages that can be read."""
    found = []
    for item in items:
        if isinstance(item, MqttMessage) and "/_wave/" not in item.topic:
            try:
                found.append(msgspec.json.decode(item.body))
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
    return found


def by_kind(planted: list[Planted]) -> Counter[str]:
    return Counter(f"{one.family.value} {one.expects}" for one in planted)


def test_the_same_seed_sends_the_same_bytes_and_another_seed_others() -> None:
    one, same, other = (told(Simulation(seed, START_NS), 0, 1) for seed in (7, 7, 8))
    assert list(map(key, one)) == list(map(key, same))
    assert list(map(key, one)) != list(map(key, other))


@settings(max_examples=15, deadline=None)
@given(st.lists(st.integers(0, 3 * 60_000), max_size=8), st.integers(0, 70))
def test_however_time_is_cut_the_same_messages_come_in_the_same_order(
    cuts_ms: list[int], minute: int
) -> None:
    simulation = slow(7)
    begin_ns, end_ns = at(minute), at(minute + 3)
    edges = sorted({begin_ns, end_ns, *(begin_ns + cut * 1_000_000 for cut in cuts_ms)})
    whole = [key(item) for item in simulation.due(begin_ns, end_ns)]
    assert [key(item) for low, high in pairwise(edges) for item in simulation.due(low, high)] == whole


def test_a_simulator_that_goes_on_sends_its_last_messages_again_with_the_same_ids() -> None:
    before, after = Simulation(7, START_NS), Simulation(7, START_NS)
    told(before, 36, 39)
    again = told(after, 39, 40)
    assert list(map(key, told(before, 39, 40))) == list(map(key, again))
    assert len({body["id"] for body in bodies(again)}) > 50


def test_messages_come_in_the_order_of_their_sending() -> None:
    items = told(Simulation(3, START_NS), 20, 25)
    assert [item.at_ns for item in items] == sorted(item.at_ns for item in items)
    assert {item.channel for item in items} == {"mqtt", "opcua"}


def test_twelve_points_and_twenty_machines_speak_every_ten_seconds() -> None:
    items = told(Simulation(4, START_NS, healthy=True), 10, 20)
    blocks = Counter(i.topic for i in items if isinstance(i, MqttMessage) and "/_wave/" in i.topic)
    assert len(blocks) == 12
    assert all(55 <= count <= 65 for count in blocks.values())
    values = Counter(i.node for i in items if isinstance(i, OpcuaValue) and not i.node.endswith("state"))
    assert len(values) == 30
    assert set(values.values()) == {60}
    gateways = Counter(b["producer"] for b in bodies(items) if "producer" in b)
    assert len(gateways) == 10


def test_about_one_in_a_hundred_mqtt_messages_comes_late_and_one_twice() -> None:
    items = [b for b in bodies(told(slow(7), 0, 50)) if "producer" in b]
    copies = Counter(body["id"] for body in items)
    assert 0.005 < sum(count > 1 for count in copies.values()) / len(copies) < 0.02
    last: dict[str, str] = {}
    late = 0
    for body in items:
        late += body["time"] < last.get(body["producer"], "")
        last[body["producer"]] = max(body["time"], last.get(body["producer"], ""))
    assert 0.008 < late / len(items) < 0.04  # late ones, and second copies that were overtaken


def test_numbers_rise_by_one_per_producer_and_start_anew_after_a_reboot() -> None:
    simulation = slow(7)
    rebooting = cast(7).rebooting[1]
    numbers: dict[tuple[str, str], set[int]] = {}
    for body in bodies(told(simulation, 0, 60)):
        if "producer" in body:
            numbers.setdefault((body["producer"], body["boot"]), set()).add(body["seq"])
    assert all(min(seqs) == 0 for seqs in numbers.values())
    whole = [seqs for seqs in numbers.values() if len(seqs) > 20]
    assert all(len(set(range(max(seqs) + 1)) - seqs) <= 2 for seqs in whole)  # what is still held back
    assert len([boot for producer, boot in numbers if producer == rebooting]) == 2


@pytest.mark.parametrize("seed", SEEDS)
def test_every_seed_plants_every_kind_of_fault_within_the_hour(seed: int) -> None:
    simulation = Simulation(seed, START_NS)
    planted = simulation.truth(at(60))
    kinds = by_kind(planted)
    assert kinds["machine_condition ticket"] in {2, 3}
    assert kinds["stop ticket"] in {3, 4, 5}
    assert kinds["data_quality ticket"] == 1
    assert kinds["stop joins"] == 2  # the repeat, and the consequence of a bearing
    assert kinds["stop rca"] == 1
    assert sum(kinds.values()) == len(planted)
    assert max(one.due_ns for one in planted) <= at(57)
    assert simulation.dead_letters(at(60)) == Counter(SPOILED)


@pytest.mark.parametrize("seed", SEEDS)
def test_no_two_causes_that_expect_a_ticket_share_its_key(seed: int) -> None:
    keys = [one.key for one in Simulation(seed, START_NS).truth(at(60)) if one.expects == "ticket"]
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("seed", SEEDS)
def test_the_repeat_runs_a_quarter_of_an_hour_in_between_and_joins_its_own_ticket(seed: int) -> None:
    planted = Simulation(seed, START_NS).truth(at(60))
    rca = next(one for one in planted if one.expects == "rca")
    first = next(one for one in planted if one.key == rca.key and one.expects == "ticket")
    assert rca.onset_ns - first.onset_ns >= 17 * MINUTE_NS
    assert any(one.key == rca.key and one.expects == "joins" for one in planted)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_stop_joins_a_bearing_only_after_the_bearings_ticket_is_due(seed: int) -> None:
    planted = Simulation(seed, START_NS).truth(at(60))
    bearings = {one.asset: one for one in planted if one.family is Family.MACHINE_CONDITION}
    stops = [one for one in planted if one.family is Family.STOP and one.asset in bearings]
    assert len(stops) == 1
    assert stops[0].expects == "joins"
    assert stops[0].onset_ns >= bearings[stops[0].asset].due_ns


@pytest.mark.parametrize("seed", SEEDS)
def test_the_machines_stop_one_at_a_time_for_hours(seed: int) -> None:
    story = Simulation(seed, START_NS)._story
    story.until(START_NS + 12 * HOUR_NS)
    for asset, stops in story._stops.items():
        assert all(one.running_ns < other.at_ns for one, other in pairwise(stops)), asset
        for stop in stops:
            times = [since_ns for since_ns, _ in stop.states()]
            assert times == sorted(set(times))


@pytest.mark.parametrize("seed", SEEDS[:10])
def test_later_hours_plant_stops_and_bearings_and_do_not_change_what_was_told(seed: int) -> None:
    simulation = Simulation(seed, START_NS)
    first = simulation.truth(at(60))
    whole = simulation.truth(START_NS + 8 * HOUR_NS)
    assert whole[: len(first)] == first
    later = whole[len(first) :]
    assert sum(one.family is Family.STOP for one in later) >= 8
    assert sum(one.family is Family.MACHINE_CONDITION for one in later) >= 3
    tickets = Counter(one.key for one in whole if one.expects == "ticket")
    assert set(tickets.values()) == {1}


def test_a_healthy_plant_has_nothing_planted_and_still_restarts() -> None:
    simulation = Simulation(7, START_NS, healthy=True)
    items = told(simulation, 10, 18)
    assert simulation.truth(at(600)) == []
    assert not simulation.dead_letters(at(60))
    assert not [item for item in items if isinstance(item, OpcuaEvent)]
    states = {m["value"] for b in bodies(items) for m in b["data"]["metrics"] if m["name"] == "state"}
    states |= {item.value for item in items if isinstance(item, OpcuaValue) and item.node.endswith("/state")}
    assert states > {PackMLState.EXECUTE}


def test_a_silent_point_says_nothing_after_its_time_and_the_rest_of_its_machine_goes_on() -> None:
    seed = next(s for s in SEEDS if cast(s).silent[1] == "VEL" and cast(s).silent[0].startswith("L1"))
    asset = cast(seed).silent[0]
    after = [b for b in bodies(told(slow(seed), 30, 32)) if b.get("producer") == asset]
    names = {m["name"] for body in after for m in body["data"]["metrics"]}
    assert names == {"DE/temperature", "M/current", "state"}


def test_states_walk_through_packml_and_the_alarm_is_raised_and_cleared_within() -> None:
    simulation = Simulation(7, START_NS)
    stop = next(
        one for one in simulation.truth(at(60)) if one.expects == "ticket" and one.asset.startswith("L2-SHB")
    )
    minute = (stop.onset_ns - START_NS) / MINUTE_NS
    items = told(simulation, minute - 2, minute + 8)
    walk = [
        PackMLState(int(i.value)).name
        for i in items
        if isinstance(i, OpcuaValue) and i.node == f"{stop.asset}/state"
    ]
    assert walk == ["STOPPING", "STOPPED", "RESETTING", "IDLE", "STARTING", "EXECUTE"]
    alarms = [(i.state, i.active) for i in items if isinstance(i, OpcuaEvent) and i.asset == stop.asset]
    assert alarms == [("Stopped", True), ("Resetting", False)]


def test_the_state_known_after_a_restart_is_the_one_of_the_last_change() -> None:
    simulation = Simulation(7, START_NS)
    stop = next(one for one in simulation.truth(at(60)) if one.asset.startswith("L2-SHB"))
    states = {value.node: value for value in simulation.values(stop.onset_ns + 5 * SECOND_NS)}
    assert len(states) == 40
    assert states[f"{stop.asset}/state"].value == PackMLState.STOPPED
    assert states[f"{stop.asset}/state"].source_ns == stop.onset_ns
    assert states["L2-CWP-01/state"].source_ns == START_NS


def test_values_known_after_a_restart_are_the_last_ones_that_were_written() -> None:
    seed = next(s for s in SEEDS if cast(s).silent[1] == "VEL" and cast(s).silent[0].startswith("L2"))
    simulation = slow(seed)
    written = {item.node: item for item in told(simulation, 0, 30) if isinstance(item, OpcuaValue)}
    assert {value.node: value for value in simulation.values(at(30) - 1)} == written
    assert written[f"{cast(seed).silent[0]}/VEL/velocity_rms"].source_ns < at(23)


def test_a_start_shakes_hard_and_the_load_step_hardly() -> None:
    simulation = Simulation(7, START_NS, healthy=True)
    restart = simulation._story.stops(cast(7).restarting[0], at(60))[0]
    body = simulation._bodies[restart.asset]
    starting = max(body.velocity_mm_s(restart.starting_ns + s * SECOND_NS) for s in range(30))
    assert starting > 3.5
    assert body.velocity_mm_s(restart.running_ns + 60 * SECOND_NS) < 1.4
    loaded = simulation._bodies[cast(7).loaded]
    step = simulation._story.load_steps(cast(7).loaded, at(60))[0]
    before, after = (loaded.velocity_mm_s(step.from_ns + s * SECOND_NS) for s in (-1, 1))
    assert 1.03 < after / before < 1.09


@pytest.mark.parametrize("seed", SEEDS[:20])
def test_one_bearing_of_each_seed_gets_into_zone_d_and_the_healthy_stay_below_c(seed: int) -> None:
    simulation = Simulation(seed, START_NS)
    times = [at(minute) for minute in (36, 40, 44, 48, 52)]
    worst = {
        asset: sorted(map(body.velocity_mm_s, times))[3]  # one of them may fall into a start
        for asset, body in simulation._bodies.items()
    }
    parts = cast(seed)
    assert worst[parts.degrading[0]] > 4.5
    assert all(value < 2.8 for asset, value in worst.items() if asset != parts.degrading[0])


def test_the_plant_document_is_valid_and_says_where_everything_stands() -> None:
    plant = Simulation(1, START_NS).plant
    assert len(plant.assets) == 20
    assert {asset.line for asset in plant.assets} == {"L1", "L2"}
    assert sum(point.kind == "waveform" for asset in plant.assets for point in asset.points) == 12
    for asset in plant.assets:
        assert asset.name_zh
        assert 30 <= (asset.power_kw or 0) <= 90
        velocity, drive_end = asset.point("VEL"), asset.point("DE")
        assert velocity is not None
        assert drive_end is not None
        assert velocity.component == drive_end.component
        assert plant.detectors_of(asset)
        assert any(person.id == asset.owner for person in plant.people)
