"""Preventive work: plans open one ticket at a time through the ordinary intake, by calendar and by meter."""

from collections.abc import Sequence
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS, SECOND_NS, Origin, Readings
from andon.plant import Plant
from andon.rules.plans import Machines, Meter, Plan, Rhythm, Usage
from tests.scenario.story import ALL_TICKED, PLANT, Story, photo, time_of
from ticketing import clockwork
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, FieldsRefused
from ticketing.plans.counting import Kind, Reading, counted
from ticketing.plans.readings import Feeding, tell
from ticketing.plans.store import readings_of, runs_of
from ticketing.plans.tables import meter_reading, plan_asset, plan_run
from ticketing.service import By
from ticketing.tables import failure
from ticketing.ticket import Closure, Outcome, SubState, Ticket

DAY_NS = 24 * HOUR_NS
WEEKLY = Plan(
    code="grease",
    zh="主轴润滑",
    en="Grease the spindle",
    machines=Machines(assets=("M7",)),
    rhythm=Rhythm(unit="week", starts=date(2026, 3, 3), at="08:00"),
)
HOURS = Meter(
    code="hours",
    zh="运行小时",
    en="Operating hours",
    machines=Machines(classes=("press",)),
    channel="PLC/operating_hours",
    every_min=60,
)
SERVICE = Plan(
    code="service",
    zh="保养",
    en="Service",
    machines=Machines(assets=("M7",)),
    usage=Usage(meter="hours", each=500, ahead=20),
    based_on="completed",
)


class Shop:
    """A plant with plans, whose clock is turned by hand."""

    def __init__(self, story: Story, *plans: Plan, meters: Sequence[Meter] = (HOURS,)) -> None:
        self.story = story
        self.plant(PLANT.model_copy(update={"plans": plans, "meters": tuple(meters)}))

    def plant(self, plant: Plant) -> None:
        self.story.plant = plant

    def turn(self, at: str) -> "Shop":
        self.now_ns = time_of(at)
        clockwork.turn(self.story.tickets, self.story.plant, self.now_ns, turn_s=60)
        return self

    @property
    def tickets(self) -> list[Ticket]:
        return list(self.story.page().tickets)

    def by(self, who: str) -> Doer:
        return Doer(self.story.tickets, who, self.now_ns)

    def reads(self, value: float, at: str, **how: object) -> Reading:
        said = {"asset": "M7", "meter": "hours", "value": value, "at_ns": time_of(at)} | how
        return tell(self.by("zhang"), self.story.plant, **said)

    def does(self, number: int, **said: object) -> Ticket:
        """Dispatch, accept, a photo and done, now."""
        service, plant = self.story.tickets, self.story.plant

        def by(who: str) -> By:
            return By(actor=who, now_ns=self.now_ns, expected_version=self.story.ticket(number).version)

        service.assign(number, person="zhang", backup="li", plant=plant, reason="greases", **by("chen"))
        service.accept(number, sub_state=SubState.SITE_SURVEY, **by("zhang"))
        service.add_photo(number, body=photo(number), stage="repair", actor="zhang", now_ns=self.now_ns)
        given = {"summary": "two strokes of grease", "cause": None, "same_kind": None} | said
        service.resolve(number, plant=plant, **given, **by("zhang"))
        return service.sign(number, ticks=ALL_TICKED, plant=plant, **by("chen"))


@pytest.fixture
def shop(tmp_path: Path) -> Shop:
    return Shop(Story.begins(tmp_path), WEEKLY)


def test_what_is_due_becomes_one_ticket_of_its_type_and_no_failure(shop: Shop) -> None:
    shop.turn("Mon 10:00").turn("Tue 07:59")
    assert shop.tickets == []
    shop.turn("Tue 08:00").turn("Tue 08:01").turn("Wed 08:00")
    (ticket,) = shop.tickets
    assert (ticket.type, ticket.asset, ticket.priority) == ("preventive_maintenance", "M7", "low")
    assert ticket.headline.text == {"message": "Grease the spindle", "message_zh": "主轴润滑"}
    shop.story.at("Wed 09:00").stops("M7", "E1")
    assert not shop.story.problems(), "a stop after preventive work is no repeat"
    assert len(shop.tickets) == 2, "and a ticket of its own"


def test_preventive_work_hides_no_repeat_of_the_machine(shop: Shop) -> None:
    shop.turn("Mon 08:00")
    shop.story.at("Mon 09:00").stops("M7", "E1")
    shop.story.at("Mon 10:00").runs("M7")
    shop.turn("Tue 08:00")
    assert len(shop.tickets) == 2
    shop.story.at("Wed 09:00").stops("M7", "E2")
    (rca,) = shop.story.problems()
    assert rca.asset == "M7"
    with reading(shop.story.engine) as conn:
        assert {row.finding[:5] for row in conn.execute(select(failure.c.finding))} == {"M7/E1", "M7/E2"}


def test_no_second_ticket_while_one_is_open_and_the_next_after_it_is_done(shop: Shop) -> None:
    shop.turn("Mon 10:00").turn("Tue 08:00").turn("+8 Tue 09:00").turn("+15 Tue 09:00")
    assert len(shop.tickets) == 1
    closed = shop.does(1)
    assert (closed.closure, closed.outcome, closed.cause) == (Closure.SIGNED, Outcome.PLANNED, None)
    shop.turn("+15 Tue 10:00")
    assert len(shop.tickets) == 1, "what passed while it was open was done with it"
    shop.turn("+22 Tue 08:00")
    assert [one.number for one in shop.tickets] == ["A-1", "A-2"]


def test_what_was_missed_while_nothing_ran_is_caught_up_by_one_ticket(plant: Story) -> None:
    shop = Shop(plant, WEEKLY)
    shop.turn("Mon 10:00").turn("+22 Wed 11:00")
    with reading(shop.story.engine) as conn:
        (run,) = conn.execute(select(plan_run)).all()
    assert (run.covers, run.first_due_ns, run.due_ns, run.ticket) == (
        *(4, time_of("Tue 08:00"), time_of("+22 Tue 08:00")),
        1,
    )
    with pytest.raises(IntegrityError), writing(shop.story.engine) as conn:
        conn.execute(update(plan_run).values(covers=1))


def test_a_ticket_that_is_given_up_or_merged_lets_the_plan_go_on(shop: Shop) -> None:
    shop.turn("Mon 10:00").turn("Tue 08:00")
    other = shop.story.at("Tue 09:00").stops("M7", "E1") and 2
    service, version = shop.story.tickets, shop.story.ticket(1).version
    merged = service.duplicate(
        1,
        of=other,
        reason="same visit",
        approver="chen",
        actor="chen",
        now_ns=time_of("Tue 09:30"),
        expected_version=version,
        plant=shop.story.plant,
    )
    assert merged.duplicate_of == other
    shop.turn("+8 Tue 08:00")
    assert len(shop.tickets) == 2, "open as long as the ticket that took it over is"
    shop.does(other, cause="3.4", same_kind=False)
    shop.turn("+8 Tue 15:00").turn("+15 Tue 08:00")
    assert len(shop.tickets) == 3


def test_work_that_is_not_done_after_all_keeps_the_next_back(shop: Shop) -> None:
    shop.turn("Mon 10:00").turn("Tue 08:00")
    shop.does(1)
    version = shop.story.ticket(1).version
    said = {"reason": "still dry", "evidence": ("note",), "plant": shop.story.plant}
    shop.story.tickets.reopen(1, actor="chen", now_ns=shop.now_ns, expected_version=version, **said)
    shop.turn("+8 Tue 08:00")
    assert len(shop.tickets) == 1


def test_another_plan_document_counts_from_then_on_and_one_that_is_gone_opens_nothing(shop: Shop) -> None:
    shop.turn("Mon 10:00")
    shop.plant(PLANT)
    shop.turn("Mon 10:05").turn("Tue 08:00")
    assert shop.tickets == []
    daily = WEEKLY.model_copy(update={"rhythm": Rhythm(unit="day", starts=date(2026, 3, 1))})
    shop.plant(PLANT.model_copy(update={"plans": (daily,)}))
    shop.turn("Tue 08:05")
    assert shop.tickets == [], "nothing is owed from while it was gone"
    shop.turn("Wed 08:00")
    with reading(shop.story.engine) as conn:
        (run,) = conn.execute(select(plan_run)).all()
        (known,) = conn.execute(select(plan_asset)).all()
    assert (run.covers, known.state, known.since_ns) == (1, "open", time_of("Tue 08:05"))


def test_whom_it_concerns_hears_once_that_its_time_is_over(shop: Shop) -> None:
    shop.turn("Mon 10:00").turn("Tue 08:00").turn("Wed 00:00").turn("Thu 00:00")
    deeds = [event.action for event in shop.story.detail(1).events]
    assert deeds.count("plan_overdue") == 1


class TestByMeter:
    def test_readings_by_hand_open_it_ahead_and_the_next_counts_from_what_was_done(
        self, tmp_path: Path
    ) -> None:
        plant = Story.begins(tmp_path)
        shop = Shop(plant, SERVICE).turn("Mon 10:00")
        shop.reads(12_000, "Mon 10:00")
        shop.turn("Tue 10:00")
        shop.reads(12_100, "Tue 10:00")
        shop.turn("Tue 10:01")
        with reading(plant.engine) as conn:
            (known,) = conn.execute(select(plan_asset)).all()
        assert (known.state, known.due_ns) == ("waits", time_of("Sat 10:00")), "100 h a day: on Saturday"
        shop.turn("Fri 22:00")
        shop.reads(12_485, "Fri 22:00")
        shop.turn("Fri 22:01")
        assert len(shop.tickets) == 1
        shop.turn("Sat 12:00")
        shop.reads(12_550, "Sat 12:00")
        shop.does(1)
        shop.turn("Sat 12:01")
        with reading(plant.engine) as conn:
            (run,) = runs_of(conn, "service", "M7")
            (known,) = conn.execute(select(plan_asset)).all()
        assert run.settled_ns == time_of("Sat 12:00")
        assert known.state == "waits"
        assert known.due_ns is not None
        assert known.due_ns > time_of("Sat 12:00")
        shop.reads(13_035, "Sat 12:01")
        shop.turn("Sat 12:02")
        assert len(shop.tickets) == 2, "13,050 less 20"

    def test_a_reading_that_falls_is_refused_until_it_is_said_to_be_a_reset_and_mistakes_are_corrected(
        self, plant: Story
    ) -> None:
        shop = Shop(plant, SERVICE).turn("Mon 12:00")
        shop.reads(100, "Mon 10:00")
        wrong = shop.reads(9_000, "Mon 11:00")
        for value, how in ((200, {}), (-1, {}), (float("nan"), {}), (5, {"at_ns": time_of("Tue 10:00")})):
            with pytest.raises(FieldsRefused):
                shop.reads(value, "Mon 12:00", **how)
        with pytest.raises(FieldsRefused):
            shop.reads(110, "Mon 11:00", replaces=wrong.id)
        shop.reads(110, "Mon 11:00", replaces=wrong.id, note="misread a digit")
        with pytest.raises(DeedRefused):
            shop.reads(111, "Mon 11:00", replaces=wrong.id, note="twice")
        with pytest.raises(DeedRefused):
            shop.reads(1, "Mon 11:00", meter="strokes")
        shop.reads(3, "Mon 12:00", kind=Kind.RESET)
        shop.turn("Mon 14:00")
        shop.reads(5, "Mon 13:00")
        shop.reads(105, "Mon 10:30")
        with reading(plant.engine) as conn:
            known = readings_of(conn, "M7", "hours")
        assert counted(known).total == (100, 105, 110, 110, 112), (
            "late ones take their place, the total goes on"
        )
        assert len(known) == 6, "what was wrong stays on record"
        with pytest.raises(IntegrityError), writing(plant.engine) as conn:
            conn.execute(update(meter_reading).values(value=0))

    def test_a_channel_feeds_it_now_and_then_over_a_counter_that_begins_anew(self, tmp_path: Path) -> None:
        plant = Story.begins(tmp_path)
        shop = Shop(plant, SERVICE).turn("Mon 00:00")
        feeding = Feeding()
        minutes = np.arange(0, 360, 10)
        hours = np.where(minutes < 180, 7_000 + minutes / 60, (minutes - 180) / 60)
        block = channel_block("M7", time_of("Mon 00:00") + minutes * MINUTE_NS, hours)
        with plant.engine.connect() as conn, conn.begin() as failing:
            feeding.take(conn, block, plant.plant, time_of("Mon 06:00"))
            failing.rollback()  # the same blocks come again, and then no more
        for blocks in (block, [*block]):
            with writing(plant.engine) as conn:
                feeding.take(conn, blocks, plant.plant, time_of("Mon 06:00"))
        with reading(plant.engine) as conn:
            known = readings_of(conn, "M7", "hours")
        assert [one.value for one in known] == [7_000, 7_001, 7_002, 0, 1, 2]
        assert counted(known).total == pytest.approx((7_000, 7_001, 7_002, 7_002, 7_003, 7_004))
        assert {one.source for one in known} == {"channel"}
        shop.turn("Mon 06:00")
        with reading(plant.engine) as conn:
            assert conn.execute(select(plan_asset.c.state)).scalar() == "waits"


def channel_block(asset: str, at_ns: np.ndarray, value: np.ndarray) -> list[Readings]:
    n = len(at_ns)
    return [
        Readings(
            asset=asset,
            channels=("PLC/speed", "PLC/operating_hours"),
            units=("Hz", "h"),
            at_ns=at_ns.astype(np.int64),
            channel=np.ones(n, np.int32),
            value=value.astype(np.float64),
            quality=np.zeros(n, np.uint32),
            origin=Origin("plc", 1, int(at_ns[-1]) + SECOND_NS),
        )
    ]
