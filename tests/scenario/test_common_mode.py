"""A load step on a machine with eight points is one ticket that proposes a declaration; a real fault names its bearing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from andon.events import SECOND_NS, Float64, Number, Origin, Readings
from andon.plant import Asset, DetectorSettings, Plant, Point
from detectors import build
from tests.scenario.story import Story, stop, time_of
from ticketing.ticket import FoldRule, TicketState

N, PERIOD_S, T0 = 8, 10, time_of("06:00")
BANDS = (
    "band_20_300",
    "band_300_1000",
    "band_1000_2500",
    "band_2500_5000",
    "band_5000_7500",
    "band_7500_10000",
)
POINTS = tuple(
    Point(id=f"P{i}", component=f"bearing_{i // 2}", kind="waveform", period_s=PERIOD_S) for i in range(N)
)
SETTINGS = (
    DetectorSettings(kind="neighbour_trend", parameters={"clear_rows": 720}),
    DetectorSettings(kind="band_energy", parameters={"settle_blocks": 0, "learn_blocks": 45}),
)
M1 = Asset(
    id="M1", name="", asset_class="mill", path="acme/north/forming/L2/c1", points=POINTS, detectors=SETTINGS
)
Gain = Callable[[int], Float64 | float]
"""From the row to how loud each point is against before."""


def rows(gain: Gain, count: int) -> Iterator[Readings]:
    """What the features of eight points say every ten seconds: levels of each and of its bands."""
    rng = np.random.default_rng(7)
    names = tuple(f"{p.id}/{q}" for p in POINTS for q in ("acceleration_rms", *BANDS))
    for k in range(count):
        level = 0.1 * np.outer(np.ones(N) * gain(k), [1.0] + [0.4] * len(BANDS))
        value = (level * np.exp(0.02 * rng.standard_normal(level.shape))).ravel()
        at_ns = T0 + k * PERIOD_S * SECOND_NS
        every = np.full(value.size, at_ns, np.int64), np.arange(value.size, dtype=np.int32)
        origin = Origin("gw", k, at_ns + SECOND_NS)
        yield Readings(
            "M1", names, ("g",) * len(names), *every, value, np.zeros(value.size, np.uint32), origin
        )


def told(folder: Path, gain: Gain, count: int = 700) -> Story:
    plant = Plant(name="Story", assets=(M1,))
    story = Story.begins(folder)
    detectors = build(M1, plant)
    for event in rows(gain, count):
        found = [f for detector in detectors for f in detector.update(event)]
        if found:
            story.hears(found, event.origin.received_ns)
    return story


def only(i: int, factor: float, others: float) -> Float64:
    return np.where(np.arange(N) // 2 == i // 2, factor, others)


def heads(story: Story) -> list[tuple[str, str]]:
    """Component and condition of the tickets that were not merged into others."""
    found = [ticket for ticket in story.page().tickets if ticket.state is not TicketState.CLOSED]
    return [(ticket.headline.component, ticket.headline.condition) for ticket in found]


@pytest.mark.parametrize("step", [1.25, 1.5, 2.2])
def test_a_load_step_on_eight_points_is_one_ticket_that_proposes_a_declaration(
    tmp_path: Path, step: float
) -> None:
    story = told(tmp_path, lambda k: step if k >= 300 else 1.0)
    assert heads(story) == [("machine", "operating_change")]
    assert not story.problems()
    parts = [o for o in story.detail(1).occurrences if o.condition == "band_energy_rise"]
    assert (len(parts) == N) == (step >= 1.5)
    ticket = next(t for t in story.page().tickets if t.headline.condition == "operating_change")
    assert ticket.headline.text["proposes"] == "operating_change"
    assert ticket.first_event_ns < T0 + (300 * PERIOD_S + 600) * SECOND_NS


@pytest.mark.parametrize("heard", [1.0, 1.12])
def test_a_fault_of_one_bearing_that_the_others_hear_names_that_bearing(tmp_path: Path, heard: float) -> None:
    def wear(k: int) -> Float64:
        worn = min(1.0, max(0.0, (k - 300) / 100))
        return only(4, 1 + 3 * worn, 1 + (heard - 1) * worn)

    assert [component for component, _ in heads(told(tmp_path, wear))] == ["bearing_2"]


def test_damage_that_comes_at_one_stroke_is_not_swallowed_by_what_the_others_hear(tmp_path: Path) -> None:
    found = heads(told(tmp_path, lambda k: only(4, 4.0, 1.15) if k >= 300 else 1.0))
    assert "bearing_2" in {component for component, _ in found}
    assert {component for component, _ in found} <= {"bearing_2", "machine"}


def changed(step: float = 40.0) -> dict[str, object]:
    return {"component": "machine", "numbers": (Number("step", step, "%", 8.0),), "severity": 300}


def risen(ratio: float) -> dict[str, object]:
    return {"numbers": (Number("ratio", ratio, "× baseline", 1.3),)}


class TestTicketsOfAnOperatingChange:
    def test_in_either_order_a_rise_as_far_as_the_common_step_is_part_of_it(self, plant: Story) -> None:
        plant.at("10:00").shows("M7", "band_energy_rise", component="A", **risen(1.5))
        plant.at("10:03").shows("M7", "operating_change", **changed())
        plant.at("10:05").shows("M7", "band_energy_rise", component="B", **risen(1.6))
        assert heads(plant) == [("machine", "operating_change")]
        folds = {o.fold.rule for o in plant.detail(2).occurrences}
        assert FoldRule.OPERATING_CHANGE in folds

    def test_what_goes_farther_began_earlier_or_names_its_cause_stays_its_own(self, plant: Story) -> None:
        plant.at("09:00").shows("M7", "band_energy_rise", component="A", **risen(1.5))
        plant.at("10:00").shows("M7", "operating_change", **changed())
        plant.at("10:02").shows("M7", "band_energy_rise", component="B", **risen(3.0))
        plant.at("10:03").shows("M7", "bearing_outer_race", component="C")
        assert len(heads(plant)) == 4

    def test_a_bearing_that_is_named_later_heads_the_ticket(self, plant: Story) -> None:
        plant.at("10:00").shows("M7", "operating_change", **changed())
        plant.at("10:02").shows("M7", "band_energy_rise", component="B", **risen(1.5))
        plant.at("10:40").shows("M7", "bearing_outer_race", component="B")
        assert heads(plant) == [("B", "bearing_outer_race")]

    def test_a_stop_is_no_consequence_of_an_operating_change_and_it_is_no_failure(self, plant: Story) -> None:
        plant.at("10:00").shows("M7", "operating_change", **changed())
        plant.at("11:00").stops("M7", "E1").expects(tickets=2, problems=0)

    def test_a_pattern_lies_on_the_ticket_of_its_stop_and_hides_no_repeat(self, plant: Story) -> None:
        plant.at("10:00").stops("M7", "E1")
        plant.at("10:05").runs("M7")
        pattern = stop("M7", "E1", time_of("10:30"), condition="stop_rate", detector="stop_pattern")
        plant.at("10:30").says(pattern).expects(tickets=1, problems=0)
        assert plant.ticket(1).headline.condition == "stop_rate"
        plant.at("12:00").stops("M7", "E1").expects(tickets=1, problems=1)
