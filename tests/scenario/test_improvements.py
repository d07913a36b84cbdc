"""Three of one cause a month: what counts, in whose month, and what a recode, a reopening or an open task make of it."""

from collections.abc import Sequence

import pytest

from andon.database import reading
from andon.plant import Person
from andon.rules.repeats import Repeats
from tests.scenario.story import PLANT, Story, time_of
from ticketing.clockwork import turn
from ticketing.errors import NoEdge, StepRefused
from ticketing.message_tables import outbox
from ticketing.problem import ActionKind, Problem
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.problem_store import problems
from ticketing.rca import ProblemBy, take
from ticketing.recoding import recode

MODELS = {"M1": "V8000", "M2": "V8000", "M3": "V8000", "M4": "V8000", "M5": "V9", "M6": "V8000"}
CONTACT, WEAR = "6.1", "3.4"


class Month:
    """A plant whose machines fail now and then; each repair names a cause, and what is due is done at once."""

    def __init__(self, story: Story) -> None:
        self.story = story
        story.plant = PLANT.model_copy(
            update={
                "assets": tuple(
                    one.model_copy(update={"model": MODELS.get(one.id, "X1")}) for one in PLANT.assets
                ),
                "people": (*PLANT.people, Person(id="qin", name="Qin", role="quality")),
            }
        )
        self.opened = 0

    def rules(self, *, zone: str = "UTC", **changes: object) -> "Month":
        repeats = Repeats(**changes)
        self.story.plant = self.story.plant.model_copy(update={"repeats": repeats, "time_zone": zone})
        return self

    def repairs(self, asset: str, clock: str, cause: str = CONTACT, *, signed: bool = True) -> int:
        """The machine stops and is repaired in the same second; gives the ticket."""
        self.opened += 1
        moment = self.story.at(clock).stops(asset, "E1").repairs(self.opened, cause=cause)
        if signed:
            moment.signs(self.opened)
        self.turns(clock)
        return self.opened

    def turns(self, clock: str) -> None:
        while turn(self.story.tickets, self.story.plant, time_of(clock) + 2 * 10**9, turn_s=60):
            pass

    def recodes(self, ticket: int, cause: str, clock: str, *, reason: str = "looked again") -> None:
        recode(
            self.story.tickets,
            ticket,
            cause=cause,
            reason=reason,
            plant=self.story.plant,
            actor="chen",
            now_ns=time_of(clock),
            expected_version=self.story.ticket(ticket).version,
        )
        self.turns(clock)

    def tasks(self) -> Sequence[Problem]:
        with reading(self.story.engine) as conn:
            return tuple(reversed(problems(conn, kind="improvement")))

    def rests_on(self, number: int = 0) -> list[int]:
        return sorted(one.ticket for one in self.tasks()[number].counted if one.left_ns is None)

    def told(self) -> list[str]:
        with reading(self.story.engine) as conn:
            kinds = conn.execute(outbox.select().order_by(outbox.c.id)).mappings()
            return [row["kind"] for row in kinds if not row["kind"].startswith(("ticket.", "problem.opened"))]


@pytest.fixture
def month(tmp_path) -> Month:
    return Month(Story.begins(tmp_path))


@pytest.fixture
def month_on_both(plant) -> Month:
    """The same, once on each database."""
    return Month(plant)


def test_the_third_of_one_cause_and_model_opens_a_task_that_the_next_ones_join(month_on_both):
    month = month_on_both
    month.repairs("M1", "Mon 10:00")
    month.repairs("M2", "Tue 10:00")
    assert month.tasks() == ()
    month.repairs("M3", "Wed 10:00")
    (task,) = month.tasks()
    assert (task.number, task.kind, task.scope, task.period) == (
        "IMP-1",
        "improvement",
        "6.1/V8000",
        "2026-03",
    )
    month.repairs("M4", "Thu 10:00")
    month.repairs("M6", "Fri 10:00")
    assert month.rests_on() == [1, 2, 3, 4, 5]
    assert len(month.tasks()) == 1
    assert month.told() == ["improvement.opened"]
    assert month.story.detail(5).problems[0].number == "IMP-1"


def test_another_model_another_cause_and_what_was_not_repaired_do_not_count(month):
    month.repairs("M1", "Mon 10:00")
    month.repairs("M2", "Mon 11:00", WEAR)
    month.repairs("M5", "Tue 10:00")
    month.repairs("M3", "Wed 10:00")
    month.story.at("Thu 10:00").stops("M4", "E1")
    month.turns("Thu 11:00")
    assert month.tasks() == ()


@pytest.mark.parametrize(
    ("key", "scope"), [("code", "6.1"), ("code_component", "6.1/E1"), ("code_model", None)]
)
def test_what_is_one_kind_is_the_plants_to_say(month, key, scope):
    month.rules(cause_key=key)
    for asset, clock in (("M1", "Mon 10:00"), ("M5", "Tue 10:00"), ("M7", "Wed 10:00")):
        month.repairs(asset, clock)
    assert [task.scope for task in month.tasks()] == ([scope] if scope else [])


class TestWhichMonth:
    """The story's Monday is 2 March 2026: +30 is 31 March, +31 is 1 April; -0 stays in March."""

    def test_the_third_at_the_last_second_of_the_month_counts_and_a_second_later_it_does_not(self, month):
        month.repairs("M1", "Mon 10:00")
        month.repairs("M2", "Tue 10:00")
        month.repairs("M3", "+30 23:59:59")
        assert [task.period for task in month.tasks()] == ["2026-03"]

    def test_a_second_later_it_is_the_next_months_first(self, month):
        month.repairs("M1", "Mon 10:00")
        month.repairs("M2", "Tue 10:00")
        month.repairs("M3", "+31 00:00:00")
        assert month.tasks() == ()

    def test_the_month_is_that_of_the_plants_time_zone(self, month):
        month.rules(zone="Asia/Shanghai")
        month.repairs("M1", "Mon 10:00")
        month.repairs("M2", "Tue 10:00")
        month.repairs("M3", "+30 16:00:00")  # 1 April 00:00 in Shanghai
        assert month.tasks() == ()
        month.repairs("M4", "+30 15:59:59")  # 31 March 23:59:59 there, and told later
        assert [task.period for task in month.tasks()] == ["2026-03"]
        assert month.rests_on() == [1, 2, 4]

    def test_thirty_days_may_be_counted_across_months(self, month):
        month.rules(period="rolling_30_d")
        month.repairs("M1", "+10 10:00:00")
        month.repairs("M2", "+31 10:00")
        month.repairs("M3", "+40 10:00:00")  # the first is 30 days old to the second: it is out
        assert month.tasks() == ()
        month.repairs("M4", "+40 09:59:59")
        assert len(month.tasks()) == 1
        assert (month.tasks()[0].period, month.rests_on()) == (None, [1, 2, 3, 4])


class TestAnOpenTask:
    def test_of_an_earlier_month_is_joined_instead_of_opening_another(self, month):
        for asset, clock in (("M1", "Mon 10:00"), ("M2", "Tue 10:00"), ("M3", "Wed 10:00")):
            month.repairs(asset, clock)
        for asset, clock in (("M1", "+40 10:00"), ("M2", "+41 10:00")):
            month.repairs(asset, clock)
        assert month.rests_on() == [1, 2, 3]
        month.repairs("M3", "+42 10:00")
        assert len(month.tasks()) == 1
        assert month.rests_on() == [1, 2, 3, 4, 5, 6]

    def test_what_comes_back_while_its_effect_is_watched_reopens_it(self, month):
        for asset, clock in (("M1", "Mon 10:00"), ("M2", "Tue 10:00"), ("M3", "Wed 10:00")):
            month.repairs(asset, clock)
        verify(month, time_of("Thu 10:00"))
        month.repairs("M4", "+40 10:00")
        (task,) = month.tasks()
        assert (task.state, task.check.passed, task.cycle) == ("reopened", False, 1)
        assert month.rests_on() == [1, 2, 3, 4]
        assert month.told()[-1] == "problem.ineffective"

    def test_of_the_month_that_was_closed_is_joined_and_not_opened_twice(self, month):
        for asset, clock in (("M1", "Mon 10:00"), ("M2", "Tue 10:00"), ("M3", "Wed 10:00")):
            month.repairs(asset, clock)
        month.recodes(3, WEAR, "Wed 11:00")
        step(month, "withdraw", time_of("Wed 12:00"), reason="two are left", approver="qin")
        month.repairs("M4", "Thu 10:00")
        assert [(one.state, one.outcome) for one in month.tasks()] == [("closed", "withdrawn")]
        assert month.rests_on() == [1, 2, 4]


def step(month: Month, name: str, now_ns: int, who: str = "chen", **given: object) -> Problem:
    by = ProblemBy(who, now_ns, month.tasks()[0].version)
    number = month.tasks()[0].id
    return take(
        month.story.tickets,
        number,
        ProblemStep(name),
        ProblemGiven(**given),
        plant=month.story.plant,
        by=by,
    )


def verify(month: Month, now_ns: int) -> None:
    step(month, "start", now_ns, leader="qin")
    step(month, "describe", now_ns, statement={"what": "plugs work loose"})
    step(month, "add_cause", now_ns, text="no locking", code="1.2", root=True)
    step(month, "judge_cause", now_ns, cause=1, verified=True, evidence=("shaker test",))
    step(month, "decide", now_ns)
    action = {"kind": ActionKind.CORRECTIVE, "text": "locking plugs", "owner": "li", "due_ns": now_ns + 10**9}
    step(month, "add_action", now_ns, **action)
    step(month, "finish_action", now_ns, action=1, evidence=("list",), approver="chen")
    step(month, "plan_check", now_ns, metric="contact faults", target="none", checker="qin")


class TestRecoding:
    def test_from_three_to_two_flags_and_back_to_three_takes_the_flag_off_and_nothing_is_deleted(
        self, month_on_both
    ):
        month = month_on_both
        for asset, clock in (("M1", "Mon 10:00"), ("M2", "Tue 10:00"), ("M3", "Wed 10:00")):
            month.repairs(asset, clock)
        month.recodes(3, WEAR, "Thu 10:00")
        (task,) = month.tasks()
        assert (task.review, month.rests_on(), len(task.counted)) == ("below", [1, 2], 3)
        month.recodes(3, CONTACT, "Thu 11:00")
        (task,) = month.tasks()
        assert (task.review, month.rests_on(), len(task.counted)) == ("", [1, 2, 3], 3)

    def test_both_keys_are_counted_anew(self, month):
        month.repairs("M1", "Mon 10:00", WEAR)
        month.repairs("M2", "Mon 11:00", WEAR)
        for asset, clock in (("M3", "Tue 10:00"), ("M4", "Wed 10:00"), ("M6", "Thu 10:00")):
            month.repairs(asset, clock)
        assert [task.scope for task in month.tasks()] == ["6.1/V8000"]
        month.recodes(3, WEAR, "Fri 10:00")
        assert [(task.scope, task.review) for task in month.tasks()] == [
            ("6.1/V8000", "below"),
            ("3.4/V8000", ""),
        ]
        assert month.rests_on(1) == [1, 2, 3]

    def test_it_needs_a_repaired_ticket_another_cause_of_the_list_and_a_reason(self, month):
        month.repairs("M1", "Mon 10:00")
        with pytest.raises(StepRefused) as refused:
            month.recodes(1, CONTACT, "Mon 11:00", reason=" ")
        assert {one.demand: one.why for one in refused.value.missing} == {"cause": "same", "reason": "absent"}
        with pytest.raises(StepRefused) as refused:
            month.recodes(1, "9.9", "Mon 11:00")
        assert {one.demand: one.why for one in refused.value.missing} == {"cause": "unknown"}
        month.story.at("Mon 12:00").stops("M2", "E1")
        with pytest.raises(NoEdge):
            month.recodes(2, WEAR, "Mon 13:00")

    def test_a_ticket_that_is_reopened_counts_once_and_in_the_month_of_its_last_repair(self, month):
        for asset, clock in (("M1", "Mon 10:00"), ("M2", "Tue 10:00"), ("M3", "Wed 10:00")):
            month.repairs(asset, clock, signed=False)
        month.story.at("Wed 12:00").stops("M3", "E1")  # it was not repaired after all
        month.turns("Wed 12:00")
        assert (month.tasks()[0].review, month.rests_on()) == ("below", [1, 2])
        month.story.at("Wed 14:00").repairs(3, cause=CONTACT)
        month.turns("Wed 14:00")
        assert (month.tasks()[0].review, month.rests_on()) == ("", [1, 2, 3])
        month.story.at("Wed 16:00").stops("M3", "E1")
        month.story.at("+31 10:00").repairs(3, cause=CONTACT)
        month.turns("+31 10:00")
        assert (month.tasks()[0].review, month.rests_on()) == ("below", [1, 2])


def test_causes_that_name_none_open_no_task_but_too_many_of_them_are_told_once_a_month(month_on_both):
    month = month_on_both
    for n, clock in enumerate(("Mon 10:00", "Mon 12:00", "Tue 10:00", "Wed 10:00"), 1):
        month.repairs(f"M{n}", clock, "5.5")
    assert month.tasks() == ()
    assert month.told() == ["causes.unknown"]
