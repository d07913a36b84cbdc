"""More than ten alarms of an area in ten minutes: one ticket that stands for them, and every one of them is kept."""

from pathlib import Path

import msgspec
import pytest
from sqlalchemy import select

from andon.database import reading
from andon.plant import Plant
from andon.rules.suppression import Flood, Suppressing
from tests.scenario.story import PLANT, Story
from tests.scenario.test_suppressed import asks, messages, passes
from tests.stores import Stores
from ticketing.floods import CONDITION
from ticketing.message_tables import outbox
from ticketing.suppression import SuppressionKind
from ticketing.tables import occurrence
from ticketing.ticket import Ticket


@pytest.fixture
def plant(tmp_path: Path) -> Story:
    """On SQLite: what is asked of the database is asked of both where it says so."""
    return Story.begins(tmp_path)


def stops(plant: Story, first: int, last: int, *, hour: str = "10", reason: str = "E1") -> None:
    """Machine n stops at minute n % 10, second n, in that hour."""
    for n in range(first, last + 1):
        plant.at(f"{hour}:00:{n:02}").stops(f"M{n}", reason)


def flood_of(plant: Story) -> Ticket | None:
    found = [one for one in plant.page().tickets if one.headline.condition == CONDITION]
    assert len(found) <= 1
    return found[0] if found else None


def children(plant: Story) -> list[int]:
    flood = flood_of(plant)
    return [one.id for one in plant.page().tickets if flood is not None and one.parent == flood.id]


def test_ten_alarms_are_no_flood_and_the_eleventh_is(plant: Story) -> None:
    stops(plant, 1, 10)
    assert flood_of(plant) is None
    stops(plant, 11, 11)
    flood = flood_of(plant)
    assert flood is not None
    assert (flood.asset, flood.alarm_active, flood.state) == ("acme/north/forming", True, "pending_dispatch")
    assert flood.headline.text["first_asset"] == "M1"
    assert len(children(plant)) == 11


def test_the_eleventh_exactly_ten_minutes_after_the_first_begins_none(plant: Story) -> None:
    stops(plant, 1, 10)
    plant.at("10:10:01").stops("M11", "E1")
    assert flood_of(plant) is None
    plant.at("10:10:01").stops("M12", "E1")
    assert flood_of(plant).headline.text["first_asset"] == "M2"


def test_one_alarm_that_comes_and_goes_is_one(plant: Story) -> None:
    for second in range(0, 40, 2):
        plant.at(f"10:00:{second:02}").stops("M1", "E1")
        plant.at(f"10:00:{second + 1:02}").runs("M1")
    assert flood_of(plant) is None


def test_what_comes_while_it_floods_is_a_child_that_only_the_flood_tells_of(
    tmp_path: Path, stores: Stores
) -> None:
    plant = Story.begins(tmp_path, stores.open())
    stops(plant, 1, 11)
    before = messages(plant).count("ticket.opened")
    stops(plant, 12, 15)
    assert len(children(plant)) == 15
    assert messages(plant).count("ticket.opened") == before
    passes(plant, "10:05")
    assert "ticket.flood" not in messages(plant)
    passes(plant, "10:11")
    with reading(plant.engine) as conn:
        said = conn.execute(select(outbox.c.content).where(outbox.c.kind == "ticket.flood")).scalars().all()
    (told,) = [msgspec.json.decode(one) for one in said]
    quiet = [one.number for one in plant.page().tickets if one.asset in {"M12", "M13", "M14", "M15"}]
    assert set(told["children"]) >= set(quiet)
    assert told["over"] is True


def test_critical_ones_speak_for_themselves(plant: Story) -> None:
    stops(plant, 1, 11)
    before = messages(plant).count("ticket.opened")
    plant.plant = PLANT.model_copy(update={"priorities": {"stop": "critical"}})
    stops(plant, 12, 12)
    assert messages(plant).count("ticket.opened") == before + 1
    assert len(children(plant)) == 12


def test_exactly_five_do_not_end_it_and_four_do(plant: Story) -> None:
    stops(plant, 1, 11)
    for n in range(12, 17):
        plant.at(f"10:0{n - 11}:30").stops(f"M{n}", "E1")  # 10:01:30 .. 10:05:30
    passes(plant, "10:11")
    assert flood_of(plant).alarm_active, "five in the last ten minutes"
    passes(plant, "10:12")
    assert not flood_of(plant).alarm_active
    stops(plant, 17, 17, hour="11")
    assert plant.page().tickets[-1].parent is None


def test_a_second_flood_joins_the_ticket_that_is_open(tmp_path: Path, stores: Stores) -> None:
    plant = Story.begins(tmp_path, stores.open())
    stops(plant, 1, 11)
    passes(plant, "10:30")
    stops(plant, 1, 11, hour="12", reason="E2")
    flood = flood_of(plant)
    assert (flood.occurrence_count, flood.alarm_active) == (2, True)
    passes(plant, "12:30")
    assert not flood_of(plant).alarm_active


def test_nothing_that_was_heard_is_put_away(plant: Story) -> None:
    stops(plant, 1, 20)
    with reading(plant.engine) as conn:
        heard = conn.execute(select(occurrence.c.asset, occurrence.c.ticket)).all()
    by_asset = {asset: ticket for asset, ticket in heard if asset.startswith("M")}
    assert len(by_asset) == 20
    assert None not in by_asset.values()
    assert len(set(by_asset.values())) == 20


def test_a_child_is_worked_on_like_any_other(plant: Story) -> None:
    stops(plant, 1, 11)
    plant.at("10:05").repairs(children(plant)[0]).signs(children(plant)[0])
    assert plant.page().counts["closed"] == 1


def test_what_a_window_holds_is_no_part_of_a_flood_until_it_is_let_go(plant: Story) -> None:
    asks(plant, "09:00", "11:00", SuppressionKind.MAINTENANCE_WINDOW, under="acme/north")
    stops(plant, 1, 15)
    assert plant.page().total == 0
    passes(plant, "11:00")
    assert flood_of(plant) is not None
    assert len(children(plant)) == 15


@pytest.mark.parametrize("rule", [Flood(on=False), Flood(more_than=11)])
def test_the_numbers_are_the_plants(plant: Story, rule: Flood) -> None:
    plant.plant = PLANT.model_copy(update={"suppression": Suppressing(flood=rule)})
    stops(plant, 1, 11)
    assert flood_of(plant) is None


def test_each_area_has_its_own(plant: Story) -> None:
    other = [
        one.model_copy(update={"path": one.path.replace("forming", "casting")}) if one.id == "M11" else one
        for one in PLANT.assets
    ]
    plant.plant = Plant.model_validate(PLANT.model_dump() | {"assets": tuple(other)})
    stops(plant, 1, 11)
    assert flood_of(plant) is None
