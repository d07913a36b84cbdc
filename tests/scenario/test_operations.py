"""A valve is overhauled in eight operations: in their order, by whom, how long, with what was measured (rule 44)."""

from pathlib import Path

import pytest
from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError

from andon.database import reading, writing
from andon.events import MINUTE_NS
from andon.rules.operations import Measurement, Operation, OperationTemplate
from tests.scenario.story import PLANT, Story, photo, time_of
from ticketing.deeds import Doer
from ticketing.errors import DeedRefused, NoEdge, StepRefused
from ticketing.links import links
from ticketing.operations import deeds, work
from ticketing.operations.deeds import Said
from ticketing.operations.tables import measurement
from ticketing.service import By
from ticketing.ticket import SubState, TicketState

BORE = Measurement(name="bore", zh="阀孔直径", en="Bore", unit="mm", low=79.98, high=80.03)
HELD = Measurement(name="held", zh="保压压力", en="Pressure held", unit="MPa", low=31.5)
COUNT = Measurement(name="particles", zh="颗粒数", en="Particles", unit="1", high=200, instrument=False)
VALVE = OperationTemplate(
    code="valve_overhaul",
    zh="阀体大修",
    en="Valve overhaul",
    types=("equipment_repair",),
    operations=(
        Operation(code="dismantle", zh="拆解", en="Dismantle", minutes=40),
        Operation(code="clean", zh="清洗", en="Clean", minutes=20),
        Operation(code="flaw_detection", zh="探伤", en="Flaw detection", parallel=True),
        Operation(code="calibrate", zh="校准", en="Calibrate", measurements=(BORE,)),
        Operation(code="hone", zh="珩磨", en="Hone", optional=True),
        Operation(code="assemble", zh="装配", en="Assemble", minutes=60),
        Operation(code="flush", zh="冲洗", en="Flush", measurements=(COUNT,)),
        Operation(code="pressure_test", zh="压力测试", en="Pressure test", measurements=(HELD,)),
    ),
)


class Bench:
    """A ticket on the bench, in progress, with a clock that goes on a minute with every deed."""

    def __init__(self, story: Story) -> None:
        self.story = story
        story.plant = PLANT.model_copy(update={"operations": (VALVE,)})
        story.at("10:00").stops("M7", "E1")
        self.now_ns = time_of("10:05")
        story.tickets.assign(
            1, person="zhang", backup="li", plant=story.plant, reason="hydraulics", **self.by("chen")
        )
        story.tickets.accept(1, sub_state=SubState.SITE_SURVEY, **self.by("zhang"))

    def by(self, who: str) -> By:
        return By(actor=who, now_ns=self.now_ns, expected_version=self.story.ticket(1).version)

    def doer(self, who: str) -> Doer:
        self.now_ns += MINUTE_NS
        return Doer(self.story.tickets, who, self.now_ns)

    def does(self, seq: int, *values: Said, who: str = "zhang", minutes: float | None = 10.0) -> work.Step:
        return deeds.do(self.doer(who), 1, seq, self.story.plant, minutes=minutes, values=values)

    def corrects(self, seq: int, said: Said, reason: str = "read the wrong scale") -> work.Step:
        return deeds.correct(self.doer("li"), 1, seq, self.story.plant, said=said, reason=reason)

    @property
    def steps(self) -> tuple[work.Step, ...]:
        with reading(self.story.engine) as conn:
            return work.of_ticket(conn, 1)

    def resolves(self) -> None:
        said = {"summary": "overhauled", "cause": "3.4", "same_kind": False}
        self.story.tickets.resolve(1, plant=self.story.plant, **said, **self.by("zhang"))

    @property
    def tickets(self) -> int:
        return self.story.page().total


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(Story.begins(tmp_path))


def why(refused: pytest.ExceptionInfo[StepRefused]) -> dict[str, str]:
    return {str(one.demand): one.why for one in refused.value.missing}


def test_eight_operations_each_with_who_when_and_minutes_and_no_end_before_the_last(bench: Bench) -> None:
    assert [step.code for step in bench.steps] == [one.code for one in VALVE.operations]
    for seq, values in enumerate(
        ((), (), (), (Said("bore", 80.0, "BG-7"),), (), (), (Said("particles", 12),)), 1
    ):
        with pytest.raises(StepRefused) as refused:
            bench.resolves()
        assert why(refused)["operations"] == "open"
        bench.does(seq, *values, who="li" if seq == 3 else "zhang", minutes=5.0 * seq)
    bench.does(8, Said("held", 31.5, "PG-0412"))
    assert bench.steps[2].done_by == "li"
    assert [step.minutes for step in bench.steps] == [5, 10, 15, 20, 25, 30, 35, 10]
    assert all(step.done_ns is not None for step in bench.steps)
    assert bench.tickets == 1, "a limit itself is allowed"
    bench.story.tickets.add_photo(1, body=photo(), stage="repair", actor="zhang", now_ns=bench.now_ns)
    bench.resolves()
    assert bench.story.ticket(1).state is TicketState.RESOLVED
    told = [event for event in bench.story.detail(1).events if event.action == "operation_done"]
    assert [event.evidence[0] for event in told] == [one.code for one in VALVE.operations]
    assert told[3].evidence[1] == "bore=80 mm"


def test_the_order_holds_but_for_what_may_be_done_beside(bench: Bench) -> None:
    for early in (2, 3, 4, 8):
        with pytest.raises(DeedRefused) as refused:
            bench.does(early)
        assert refused.value.code == "operation_too_early"
    bench.does(1)
    bench.does(3)
    with pytest.raises(DeedRefused, match="first clean"):
        bench.does(4, Said("bore", 80.0, "BG-7"))
    bench.does(2)
    bench.does(4, Said("bore", 80.0, "BG-7"))
    with pytest.raises(DeedRefused) as again:
        bench.does(4, Said("bore", 80.0, "BG-7"))
    assert again.value.code == "operation_settled"
    with pytest.raises(DeedRefused) as missing:
        bench.does(9)
    assert missing.value.code == "operation_not_found"


def test_what_is_asked_for_has_to_be_said_with_its_instrument(bench: Bench) -> None:
    for seq in (1, 2, 3):
        bench.does(seq)
    for values, minutes, expected in (
        ((), 10.0, {"measurement.bore": "absent"}),
        ((Said("bore", 80.0),), 10.0, {"instrument.bore": "absent"}),
        ((Said("bore", float("nan"), "BG-7"),), 10.0, {"measurement.bore": "not_a_number"}),
        ((Said("bore", 80.0, "BG-7"),) * 2, 10.0, {"measurement.bore": "twice"}),
        ((Said("bore", 80.0, "BG-7"), Said("x", 1.0)), 10.0, {"measurement.x": "unknown"}),
        ((Said("bore", 80.0, "BG-7"),), None, {"minutes": "absent"}),
        ((Said("bore", 80.0, "BG-7"),), 0.0, {"minutes": "not_positive"}),
    ):
        with pytest.raises(StepRefused) as refused:
            bench.does(4, *values, minutes=minutes)
        assert expected.items() <= why(refused).items()
    assert bench.steps[3].values == ()
    bench.does(4, Said("bore", 80.01, "BG-7"))
    assert bench.steps[3].measured["bore"].instrument == "BG-7"


def test_a_value_out_of_its_limits_opens_one_ticket_of_its_own_however_often_it_is_said(plant: Story) -> None:
    bench = Bench(plant)
    for seq in (1, 2, 3):
        bench.does(seq)
    bench.does(4, Said("bore", 80.04, "BG-7"))
    assert bench.tickets == 2
    own = bench.story.ticket(2)
    assert (own.type, own.asset, own.headline.condition) == (
        "equipment_repair",
        "M7",
        "measured_out_of_limit",
    )
    assert own.headline.text["message"] == "Calibrate, Bore: 80.04 mm (79.98 … 80.03)"
    assert own.headline.text["message_zh"] == "校准，阀孔直径: 80.04 mm (79.98 … 80.03)"
    with reading(bench.story.engine) as conn:
        assert [(one.kind, one.number) for one in links(conn, 1)] == [("split_into", "A-2")]
    for value in (80.05, 80.0, 80.06):
        bench.corrects(4, Said("bore", value))
    deeds.take_back(bench.doer("zhang"), 1, 4, reason="honed, to be measured again")
    bench.does(4, Said("bore", 80.07, "BG-7"))
    assert bench.tickets == 2, "exactly one"
    assert bench.story.ticket(2).state is TicketState.PENDING_DISPATCH
    assert not bench.story.problems(), "a fault that was found is no failure"
    assert [one.value for one in bench.steps[3].values] == [80.04, 80.05, 80.0, 80.06, 80.07]
    assert bench.steps[3].measured["bore"].value == 80.07


def test_a_correction_that_leaves_the_limits_opens_the_ticket_and_all_that_was_said_stays(
    bench: Bench,
) -> None:
    for seq in (1, 2, 3):
        bench.does(seq)
    bench.does(4, Said("bore", 80.0, "BG-7"))
    for reason in ("", "稍后处理"):
        with pytest.raises(StepRefused):
            bench.corrects(4, Said("bore", 80.04), reason=reason)
    with pytest.raises(DeedRefused):
        bench.corrects(4, Said("length", 80.04))
    bench.corrects(4, Said("bore", 80.04))
    assert bench.tickets == 2
    line = next(e for e in bench.story.detail(1).events if e.action == "measurement_corrected")
    assert (line.actor, line.reason) == ("li", "read the wrong scale")
    assert line.evidence == ("calibrate", "bore: 80 → 80.04 mm")
    with pytest.raises(IntegrityError), writing(bench.story.engine) as conn:
        conn.execute(update(measurement).values(value=80.0))


def test_only_what_is_optional_is_left_out_and_what_was_done_can_be_taken_back(bench: Bench) -> None:
    with pytest.raises(DeedRefused) as refused:
        deeds.leave_out(bench.doer("zhang"), 1, 1, reason="not needed on this valve")
    assert refused.value.code == "operation_needed"
    left = deeds.leave_out(bench.doer("zhang"), 1, 5, reason="the bore is as new")
    assert (left.state, left.note) == ("left_out", "the bore is as new")
    bench.does(1)
    bench.does(2)
    back = deeds.take_back(bench.doer("zhang"), 1, 1, reason="a screw was forgotten")
    assert (back.state, back.done_by, back.minutes) == ("open", None, None)
    with pytest.raises(DeedRefused, match="first dismantle"):
        bench.does(4, Said("bore", 80.0, "BG-7"))


def test_a_ticket_takes_a_template_by_hand_once_and_none_before_work_begins(tmp_path: Path) -> None:
    plant = Story.begins(tmp_path)
    by_hand = VALVE.model_copy(update={"types": (), "code": "by_hand"})
    plant.plant = PLANT.model_copy(update={"operations": (by_hand,)})
    plant.at("10:00").stops("M7", "E1")
    by = Doer(plant.tickets, "chen", time_of("10:05"))
    with reading(plant.engine) as conn:
        assert work.of_ticket(conn, 1) == ()
    with pytest.raises(StepRefused):
        deeds.take_template(by, 1, plant.plant, "no_such")
    assert len(deeds.take_template(by, 1, plant.plant, "by_hand")) == 8
    with pytest.raises(DeedRefused) as again:
        deeds.take_template(by, 1, plant.plant, "by_hand")
    assert again.value.code == "operations_there"
    with pytest.raises(NoEdge):
        deeds.do(by, 1, 1, plant.plant, minutes=5.0)
    with reading(plant.engine) as conn:
        assert conn.execute(select(measurement)).all() == []
