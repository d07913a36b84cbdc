"""Weeks of a plant on a virtual clock: whatever happens in them, in whatever order, every law of ticketing holds.

`PLANT_WEEKS=5000` lives so many, `PLANT_WEEK=17` that one alone, `PLANT_WEEK_DEEDS=200` fuller ones.
"""

import os

import pytest

from tests.stores import Stores
from tests.weeks.invent import invent
from tests.weeks.runs import Stage, Verdict, shrunk, verdict

WEEKS = int(os.environ.get("PLANT_WEEKS", "40"))
DEEDS = int(os.environ.get("PLANT_WEEK_DEEDS", "20"))
TOGETHER = 10
"""Weeks in one test."""
SEEDS = [int(os.environ["PLANT_WEEK"])] if "PLANT_WEEK" in os.environ else range(WEEKS)


@pytest.mark.timeout(1200)
@pytest.mark.parametrize("seeds", [SEEDS[n : n + TOGETHER] for n in range(0, len(SEEDS), TOGETHER)], ids=str)
def test_a_week_keeps_every_law(tmp_path, seeds):
    stores = Stores(tmp_path)
    stage = Stage(stores)
    broken = [found for seed in seeds if (found := verdict(stage, seed, DEEDS)) is not None]
    stores.close()
    assert not broken, "\n".join(map(str, broken))


@pytest.mark.timeout(600)
@pytest.mark.parametrize("seed", SEEDS[:4])
def test_on_the_other_database_too(postgresql, tmp_path, seed):
    stores = Stores(tmp_path, postgresql)
    found = verdict(Stage(stores), seed, DEEDS)
    stores.close()
    assert found is None, str(found)


def test_a_week_that_breaks_a_law_is_told_by_the_events_it_takes():
    week = invent(1)
    guilty = [week.events[5], week.events[40]]

    def lives(week):
        return (
            Verdict(week, "law", "law: broken", 0, ()) if all(one in week.events for one in guilty) else None
        )

    assert list(shrunk(lives(week), lives).week.events) == guilty


def test_a_seed_is_one_week():
    assert invent(7) == invent(7)
    assert invent(7).events != invent(8).events
