"""An RCA from the second failure to the check of its effect, on both databases: refused, reminded, escalated, on record."""

import json

import pytest

from andon.database import reading
from andon.events import HOUR_NS
from andon.plant import Person
from tests.scenario.story import PLANT, Story, time_of
from ticketing import audit
from ticketing.clockwork import turn
from ticketing.errors import NoEdge, ScopeTaken, StaleVersion, StepRefused
from ticketing.message_tables import outbox
from ticketing.problem import ActionKind, Category, Problem
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.problem_store import events, look
from ticketing.rca import ProblemBy, take

DAY_NS = 24 * HOUR_NS
QUALITY = Person(id="qin", name="Qin", role="quality")


@pytest.fixture
def failed(tmp_path):
    """A machine that failed twice on a Monday, and so has an RCA; the plant has someone for quality."""
    return failed_twice(Story.begins(tmp_path))


def failed_twice(plant):
    plant.plant = PLANT.model_copy(update={"people": (*PLANT.people, QUALITY)})
    plant.at("10:00").stops("M7", "E1")
    plant.at("10:05").runs("M7")
    plant.at("10:25").stops("M7", "E1").expects(problems=1)
    return Rca(plant, time_of("11:00"))


class Rca:
    """One problem and the time of day; each step is taken on the version that it has."""

    def __init__(self, story, now_ns: int, number: int = 1) -> None:
        self.story, self.now_ns, self.number = story, now_ns, number

    def now(self) -> Problem:
        with reading(self.story.engine) as conn:
            return look(conn, self.number)

    def does(self, step: str, *, who: str = "chen", version: int | None = None, **given: object) -> Problem:
        by = ProblemBy(who, self.now_ns, self.now().version if version is None else version)
        return take(
            self.story.tickets,
            self.number,
            ProblemStep(step),
            ProblemGiven(**given),
            plant=self.story.plant,
            by=by,
        )

    def lacks(self, step: str, **given: object) -> dict[str, str]:
        before = self.now()
        with pytest.raises(StepRefused) as refused:
            self.does(step, **given)
        assert self.now() == before  # nothing half-written
        return {str(one.demand): one.why for one in refused.value.missing}

    def later(self, ns: int) -> "Rca":
        """The clock goes on, and what is due is done."""
        self.now_ns += ns
        while turn(self.story.tickets, self.story.plant, self.now_ns, turn_s=60):
            pass
        return self

    def news(self) -> list[tuple[str, list[str]]]:
        """The messages about problems, with the people that they name."""
        with reading(self.story.engine) as conn:
            rows = conn.execute(outbox.select().order_by(outbox.c.id)).mappings().all()
        return [
            (row["kind"], json.loads(row["content"])["people"])
            for row in rows
            if not row["kind"].startswith("ticket.")
        ]

    def told(self) -> list[str]:
        return [kind for kind, _ in self.news()]

    def until_verifying(self) -> "Rca":
        """Analysed, one action done, the check planned for 30 days later."""
        self.does("start", leader="chen")
        self.does("describe", statement={"what": "the outer race spalls"})
        self.does("add_cause", text="grease washed out", code="3.3", category=Category.METHOD, root=True)
        self.does("judge_cause", cause=1, verified=True, evidence=("photo 3",))
        self.does("decide")
        due_ns = self.now_ns + 3 * DAY_NS
        self.does("add_action", kind=ActionKind.CORRECTIVE, text="other grease", owner="zhang", due_ns=due_ns)
        self.does("finish_action", action=1, evidence=("work order",), approver="chen")
        self.does("plan_check", metric="failures", target="none", checker="qin")
        return self


def test_an_rca_goes_from_the_failures_to_an_effect_that_someone_else_checked(plant):
    failed = failed_twice(plant)
    failed.until_verifying()
    due_ns = failed.now().check.due_ns
    assert due_ns - failed.now_ns == 30 * DAY_NS
    failed.later(30 * DAY_NS)
    failed.does("pass_check", who="qin", measured="no failure in 30 days")
    closed = failed.does("close")
    assert (closed.state, closed.outcome) == ("closed", "effective")
    assert failed.told() == [
        *("problem.opened", "problem.assigned", "action.given", "problem.check", "problem.effective"),
    ]
    with reading(failed.story.engine) as conn:
        lines = events(conn, 1)
        assert audit.verify(conn) == []
    assert [line.action for line in lines][:3] == ["opened", "start", "describe"]
    judged = next(line for line in lines if line.action == "judge_cause")
    assert judged.changes["cause/1"]["verified"] == [None, True]
    assert (judged.actor, judged.at_ns, judged.evidence) == ("chen", time_of("11:00"), ("photo 3",))


class TestClosing:
    def test_without_a_verified_root_cause_no_action_is_decided_on(self, failed):
        failed.does("start", leader="chen")
        failed.does("describe", statement={"what": "it stops"})
        failed.does("add_cause", text="grease", code="3.3", root=True)
        assert failed.lacks("decide") == {"root_cause": "absent"}
        failed.does("judge_cause", cause=1, verified=False, evidence=("grease analysis",))
        assert failed.lacks("decide") == {"root_cause": "absent"}

    def test_a_containment_alone_is_no_action_that_ends_a_cause(self, failed):
        failed.does("start", leader="chen")
        failed.does("describe", statement={"what": "it stops"})
        failed.does("add_cause", text="grease", code="3.3", root=True)
        failed.does("judge_cause", cause=1, verified=True, evidence=("grease analysis",))
        failed.does("decide")
        due_ns = failed.now_ns + DAY_NS
        failed.does("add_action", kind=ActionKind.CONTAINMENT, text="look daily", owner="li", due_ns=due_ns)
        failed.does("finish_action", action=1, evidence=("list",), approver="chen")
        plan = {"metric": "stops", "target": "0", "checker": "qin"}
        assert failed.lacks("plan_check", **plan) == {"action_done": "absent"}

    def test_nobody_judges_the_effect_of_their_own_action(self, failed):
        failed.until_verifying()
        failed.does("revise", reason="another checker")
        plan = {"metric": "stops", "target": "0"}
        assert failed.lacks("plan_check", checker="zhang", **plan) == {"checker": "owns_an_action"}
        assert failed.lacks("plan_check", checker="maintenance dept", **plan) == {"checker": "unknown"}
        failed.does("plan_check", checker="qin", **plan)
        assert failed.lacks("fail_check", who="zhang", measured="bad") == {"actor_checks": "not_the_checker"}

    def test_an_effect_is_not_judged_before_its_window_is_over_and_not_closed_before_it_is_judged(
        self, failed
    ):
        failed.until_verifying()
        assert failed.lacks("pass_check", who="qin", measured="none") == {"window_over": "too_early"}
        assert failed.lacks("close") == {"effective": "absent"}
        failed.later(30 * DAY_NS - 10**9)
        assert failed.lacks("pass_check", who="qin", measured="none") == {"window_over": "too_early"}
        failed.later(10**9)
        failed.does("pass_check", who="qin", measured="none")
        failed.does("close")

    def test_an_action_that_is_still_open_keeps_it_open(self, failed):
        failed.does(
            "add_action", kind=ActionKind.PREVENTIVE, text="SOP", owner="li", due_ns=failed.now_ns + DAY_NS
        )
        failed.does("start", leader="chen")
        failed.does("describe", statement={"what": "it stops"})
        failed.does("add_cause", text="grease", code="3.3", root=True)
        failed.does("judge_cause", cause=1, verified=True, evidence=("grease analysis",))
        failed.does("decide")
        failed.does(
            "add_action", kind=ActionKind.CORRECTIVE, text="grease", owner="li", due_ns=failed.now_ns + DAY_NS
        )
        failed.does("finish_action", action=2, evidence=("list",), approver="chen")
        failed.does("plan_check", metric="stops", target="0", checker="qin")
        failed.later(30 * DAY_NS)
        failed.does("pass_check", who="qin", measured="none")
        assert failed.lacks("close") == {"actions_settled": "still_open"}
        failed.does("drop_action", action=1, reason="the SOP says it already")
        failed.does("close")

    def test_a_stale_version_and_a_step_that_does_not_start_here_are_refused(self, failed):
        failed.does("start", leader="chen")
        with pytest.raises(StaleVersion):
            failed.does("decide", version=1)
        with pytest.raises(NoEdge) as refused:
            failed.does("close")
        assert "decide" in refused.value.allowed


class TestRecurrence:
    def test_a_failure_in_the_window_reopens_it_by_itself_and_the_check_failed(self, plant):
        failed = failed_twice(plant)
        failed.until_verifying()
        failed.story.at("+8 Wed 10:00").runs("M7")
        failed.story.at("+22 Wed 10:00").stops("M7", "E1")
        again = failed.now()
        assert (again.state, again.cycle, again.check.passed) == ("reopened", 1, False)
        assert again.links[-1].counted_from == "watched"
        assert failed.told()[-1] == "problem.ineffective"

    def test_what_was_done_before_does_not_count_for_the_new_round(self, failed):
        failed.until_verifying()
        failed.does("fail_check", who="qin", measured="two stops")
        failed.does("start", leader="chen")
        failed.does("decide")
        plan = {"metric": "stops", "target": "0", "checker": "qin"}
        assert failed.lacks("plan_check", **plan) == {"action_done": "absent"}

    def test_a_failure_before_the_window_began_does_not_fail_it(self, failed):
        failed.until_verifying()
        failed.story.at("10:35").runs("M7", arrives="11:20")
        failed.story.at("10:55").stops("M7", "E1", arrives="11:21")
        assert failed.now().state == "verifying"
        assert len(failed.now().links) == 3

    def test_a_closed_one_is_not_reopened_beside_an_open_one(self, failed):
        failed.until_verifying().later(30 * DAY_NS)
        failed.does("pass_check", who="qin", measured="none")
        failed.does("close")
        failed.story.at("+36 Mon 10:00").runs("M7")
        failed.story.at("+36 Mon 12:00").stops("M7", "E1")
        failed.story.at("+36 Mon 12:10").runs("M7")
        failed.story.at("+36 Mon 14:00").stops("M7", "E1").expects(problems=2)
        back = {"reason": "it came back", "evidence": ("A-1",), "approver": "chen"}
        with pytest.raises(ScopeTaken):
            failed.does("reopen", **back)


class TestDue:
    def test_nobody_leads_it_so_quality_hears_before_it_is_due_and_when_it_is_overdue(self, failed):
        failed.later(6 * DAY_NS)
        assert failed.told()[1:] == ["problem.due"]
        failed.later(DAY_NS)
        assert failed.told()[1:] == ["problem.due", "problem.overdue"]
        failed.later(2 * DAY_NS)
        assert failed.told()[1:] == ["problem.due", "problem.overdue", "problem.overdue"]
        failed.later(60 * DAY_NS)
        assert len(failed.told()) == 4
        assert [people for _, people in failed.news()][-3:] == [["qin"], ["qin"], ["qin"]]

    def test_an_action_is_reminded_of_told_when_overdue_and_escalated_and_a_new_date_begins_anew(
        self, failed
    ):
        due_ns = failed.now_ns + 3 * DAY_NS
        failed.does("start", leader="chen")
        failed.does("add_action", kind=ActionKind.CORRECTIVE, text="grease", owner="li", due_ns=due_ns)
        failed.later(2 * DAY_NS)
        assert failed.told()[-1] == "action.due"
        failed.does("move_action", action=1, owner="wang", due_ns=due_ns + 10 * DAY_NS, reason="no grease")
        failed.later(3 * DAY_NS)
        assert "action.overdue" not in failed.told()
        failed.later(9 * DAY_NS)
        told = [kind for kind in failed.told() if kind.startswith("action")]
        assert told == ["action.given", "action.due", "action.given", "action.due", "action.overdue"]

    def test_a_finished_action_is_not_reminded_of(self, failed):
        due_ns = failed.now_ns + 3 * DAY_NS
        failed.does("add_action", kind=ActionKind.CORRECTIVE, text="grease", owner="li", due_ns=due_ns)
        failed.does("finish_action", action=1, evidence=("done",), approver="chen")
        failed.later(20 * DAY_NS)
        assert [kind for kind in failed.told() if kind.startswith("action")] == ["action.given"]


def test_a_ground_that_has_gone_is_flagged_and_may_be_withdrawn_never_deleted(failed):
    withdrawn = {"reason": "false alarm", "approver": "chen"}
    assert failed.lacks("withdraw", **withdrawn) == {"flagged": "absent"}
    tickets = failed.story.tickets
    tickets.false_alarm(
        1,
        reason="nothing broken",
        approver="chen",
        plant=failed.story.plant,
        actor="chen",
        now_ns=failed.now_ns,
        expected_version=failed.story.ticket(1).version,
    )
    assert failed.now().review == "false_alarm"
    with reading(failed.story.engine) as conn:
        assert [line.action for line in events(conn, 1)][-1] == "flagged"
    closed = failed.does("withdraw", **withdrawn)
    assert (closed.state, closed.outcome) == ("closed", "withdrawn")
    assert len(failed.story.problems()) == 1
