"""Those who wait are heard: where is it, would you recommend us, and departments that wait for another one."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine, select
from sqlalchemy.exc import IntegrityError

from andon.database import reading, writing
from andon.events import MINUTE_NS
from andon.plant import Plant
from tests.scenario.story import PLANT, Story, time_of
from tests.stores import Stores
from ticketing import clockwork, collaborators, sla
from ticketing.clocks import ClockKind
from ticketing.deeds import Doer, rate
from ticketing.errors import DeedRefused, NoEdge, StepRefused
from ticketing.message_tables import outbox
from ticketing.raci import Role
from ticketing.ticket import SubState
from ticketing.voice import acknowledgements, enquiries, nps
from ticketing.voice.acknowledgements import Acknowledgement, acknowledge, waiting
from ticketing.voice.tables import enquiry, nps_answer

OF = {"chen": "Production", "zhang": "Maintenance", "li": "Maintenance", "wang": "Electrics"}
IN_DEPARTMENTS = PLANT.model_copy(
    update={"people": tuple(one.model_copy(update={"department": OF[one.id]}) for one in PLANT.people)}
)
T = time_of("10:00")


def begun(folder: Path, engine: Engine | None = None, plant: Plant = IN_DEPARTMENTS) -> Story:
    """M7 has stopped at 10:00; chen of production asks for it, and it is given to zhang of maintenance at 10:01."""
    story = replace(Story.begins(folder, engine), plant=plant)
    story.at("10:00").stops("M7", "E1")
    story.tickets.assign(
        1, person="zhang", backup="li", plant=plant, reason="bearing", **by(story, "chen", 1)
    )
    return story


@pytest.fixture
def plant(tmp_path: Path) -> Story:
    return begun(tmp_path)


@pytest.fixture
def on_both(stores: Stores) -> Story:
    return begun(stores.folder, stores.open())


def by(story: Story, actor: str, minute: float) -> dict[str, object]:
    return {
        "actor": actor,
        "now_ns": T + round(minute * MINUTE_NS),
        "expected_version": story.ticket(1).version,
    }


def doer(story: Story, actor: str, minute: float, channel: str = "console") -> Doer:
    return Doer(story.tickets, actor, T + round(minute * MINUTE_NS), channel)


def turns(story: Story, minute: float) -> None:
    """Everything that is due by then is done."""
    while clockwork.turn(story.tickets, story.plant, T + round(minute * MINUTE_NS)):
        pass


def asked(story: Story) -> tuple[Acknowledgement, ...]:
    with reading(story.engine) as conn:
        return acknowledgements.of_ticket(conn, 1)


def told(story: Story, kind: str) -> list[list[str]]:
    with reading(story.engine) as conn:
        rows = conn.execute(select(outbox.c.content).where(outbox.c.kind == kind).order_by(outbox.c.key))
        return [json.loads(one)["people"] for one in rows.scalars()]


class TestDepartments:
    def test_what_production_hands_to_maintenance_is_acknowledged_by_accepting_it(
        self, on_both: Story
    ) -> None:
        turns(on_both, 1)
        (one,) = asked(on_both)
        assert (one.from_department, one.to_department, one.person) == ("Production", "Maintenance", "zhang")
        assert (one.asked_ns, one.due_ns) == (T + MINUTE_NS, T + 16 * MINUTE_NS)
        with reading(on_both.engine) as conn:
            assert [one.seq for one in waiting(conn)] == [one.seq]
            assert waiting(conn, "Electrics") == ()
            assert waiting(conn, machines=frozenset({"M1"})) == ()
        on_both.tickets.accept(1, sub_state=SubState.SITE_SURVEY, **by(on_both, "zhang", 9.2))
        turns(on_both, 9.2)
        (one,) = asked(on_both)
        assert (one.by, one.acknowledged_ns) == ("zhang", T + round(9.2 * MINUTE_NS))
        turns(on_both, 60)
        assert told(on_both, "ticket.unacknowledged") == []

    def test_to_the_very_end_of_15_minutes_is_in_time_and_a_moment_later_a_leader_hears_of_it(
        self, plant: Story
    ) -> None:
        turns(plant, 16)
        assert told(plant, "ticket.unacknowledged") == []
        turns(plant, 16 + 1 / 60)
        (people,) = told(plant, "ticket.unacknowledged")
        assert {"chen"} <= set(people)
        turns(plant, 120)
        assert len(told(plant, "ticket.unacknowledged")) == 1
        line = next(one for one in plant.detail(1).events if one.action == "unacknowledged")
        assert (line.reason, line.numbers) == ("Production → Maintenance", {"limit_min": 15})

    def test_anybody_of_the_department_acknowledges_and_nobody_else(self, on_both: Story) -> None:
        with pytest.raises(DeedRefused) as refused:
            acknowledge(doer(on_both, "wang", 3), on_both.plant, 1)
        assert refused.value.code == "nothing_to_acknowledge"
        acknowledge(doer(on_both, "li", 4), on_both.plant, 1)
        turns(on_both, 30)
        (one,) = asked(on_both)
        assert (one.by, one.acknowledged_ns) == ("li", T + 4 * MINUTE_NS)
        with pytest.raises(DeedRefused, match="nothing is asked"):
            acknowledge(doer(on_both, "li", 31), on_both.plant, 1)

    def test_who_declines_or_remarks_has_not_acknowledged_and_what_goes_elsewhere_is_asked_there(
        self, plant: Story
    ) -> None:
        plant.tickets.comment(1, text="where is the key?", actor="zhang", now_ns=T + 2 * MINUTE_NS)
        plant.tickets.transfer(
            1,
            person="wang",
            backup="li",
            plant=plant.plant,
            reason="no hydraulics",
            evidence=("note",),
            **by(plant, "zhang", 3),
        )
        turns(plant, 4)
        first, second = asked(plant)
        assert (first.acknowledged_ns, first.void_ns) == (None, T + 3 * MINUTE_NS)
        assert (second.from_department, second.to_department, second.waits) == (
            "Maintenance",
            "Electrics",
            True,
        )

    def test_the_backup_of_the_same_department_goes_on_with_what_was_asked(self, plant: Story) -> None:
        turns(plant, 8)  # zhang has not accepted within 5 min: li
        assert plant.ticket(1).assignee == "li"
        assert [(one.person, one.waits) for one in asked(plant)] == [("zhang", True)]

    def test_a_collaborator_of_another_department_is_asked_one_who_is_only_informed_is_not(
        self, plant: Story
    ) -> None:
        plant.tickets.accept(1, sub_state=SubState.SITE_SURVEY, **by(plant, "zhang", 2))
        common = {"plant": plant.plant, "reason": "drive", "actor": "zhang"}
        collaborators.join(
            plant.tickets, 1, person="wang", role=Role.INFORMED, now_ns=T + 3 * MINUTE_NS, **common
        )
        turns(plant, 3)
        assert len(asked(plant)) == 1
        collaborators.join(
            plant.tickets, 1, person="wang", role=Role.CONSULTED, now_ns=T + 5 * MINUTE_NS, **common
        )
        turns(plant, 5)
        assert [(one.from_department, one.to_department) for one in asked(plant)][1:] == [
            ("Maintenance", "Electrics")
        ]

    def test_a_ticket_that_is_done_waits_for_nobody(self, plant: Story) -> None:
        plant.tickets.false_alarm(
            1, reason="test run", approver="chen", plant=plant.plant, **by(plant, "chen", 5)
        )
        turns(plant, 60)
        assert [one.void_ns for one in asked(plant)] == [T + 5 * MINUTE_NS]
        assert told(plant, "ticket.unacknowledged") == []

    def test_without_departments_nothing_is_asked(self, tmp_path: Path) -> None:
        plant = begun(tmp_path, plant=PLANT)
        turns(plant, 60)
        assert asked(plant) == ()


class TestEnquiries:
    def test_one_in_ten_minutes_is_counted_and_told_and_every_one_is_on_record(self, on_both: Story) -> None:
        marks = [(2, True), (11 + 59 / 60, False), (12, True), (13, False), (21.9, False), (22, True)]
        for minute, _ in marks:
            enquiries.enquire(doer(on_both, "chen", minute), on_both.plant, 1)
        with reading(on_both.engine) as conn:
            found = enquiries.of_ticket(conn, 1)
        assert [(one.at_ns, one.counted) for one in reversed(found)] == [
            (T + round(minute * MINUTE_NS), counted) for minute, counted in marks
        ]
        assert told(on_both, "ticket.enquiry") == [["zhang", "li"]] * 3
        with pytest.raises(IntegrityError), writing(on_both.engine) as conn:
            conn.execute(enquiry.update().values(counted=False))

    def test_a_call_is_taken_down_by_whoever_took_it_and_who_works_on_it_does_not_chase_themselves(
        self, plant: Story
    ) -> None:
        with pytest.raises(StepRefused, match="works_on_it"):
            enquiries.enquire(doer(plant, "zhang", 2), plant.plant, 1)
        taken = enquiries.enquire(
            doer(plant, "zhang", 3),
            plant.plant,
            1,
            caller="王经理 13800138000",
            channel="phone",
            note="哪天能好",
        )
        assert (taken.by, taken.channel, taken.counted) == ("王经理 13800138000", "phone", True)

    def test_to_be_chased_is_no_response(self, tmp_path: Path) -> None:
        plant = Story.begins(tmp_path)
        plant.at("10:00").stops("M7", "E1")
        enquiries.enquire(doer(plant, "chen", 2), plant.plant, 1)
        turns(plant, 2)
        with reading(plant.engine) as conn:
            (response,) = [one for one in sla.clocks_of(conn, [1])[1] if one.kind is ClockKind.RESPONSE]
        assert response.ended_ns is None

    def test_of_what_is_closed_nobody_asks_where_it_is(self, plant: Story) -> None:
        plant.tickets.false_alarm(
            1, reason="test run", approver="chen", plant=plant.plant, **by(plant, "chen", 5)
        )
        with pytest.raises(NoEdge):
            enquiries.enquire(doer(plant, "chen", 6), plant.plant, 1)


class TestNps:
    def test_the_answer_lies_beside_the_stars_of_its_round(self, on_both: Story) -> None:
        on_both.at("11:00").repairs(1).signs(1)
        rate(doer(on_both, "chen", 61), 1, on_both.plant, stars=4, nps=9)
        with reading(on_both.engine) as conn:
            row = conn.execute(select(nps_answer)).mappings().one()
            assert nps.of_round(conn, on_both.ticket(1)) == 9
        assert dict(row) == {"ticket": 1, "cycle": 0, "score": 9, "by": "chen", "at_ns": T + 61 * MINUTE_NS}

    @pytest.mark.parametrize("score", [-1, 11])
    def test_what_is_not_on_the_scale_leaves_neither_answer_nor_stars(self, plant: Story, score: int) -> None:
        plant.at("11:00").repairs(1).signs(1)
        with pytest.raises(StepRefused, match="not_0_to_10"):
            rate(doer(plant, "chen", 61), 1, plant.plant, stars=4, nps=score)
        assert plant.detail(1).rating is None

    def test_stars_alone_are_no_answer(self, plant: Story) -> None:
        plant.at("11:00").repairs(1).signs(1)
        rate(doer(plant, "chen", 61), 1, plant.plant, stars=4)
        with reading(plant.engine) as conn:
            assert nps.of_round(conn, plant.ticket(1)) is None
