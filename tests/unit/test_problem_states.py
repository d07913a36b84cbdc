"""The states of a problem: every edge and demand, and any sequence of steps against a small model of the rules."""

from dataclasses import dataclass, field
from itertools import product

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from andon.events import SECOND_NS
from andon.rules.repeats import Repeats
from api.problem_deeds import DEEDS as BODIES
from api.web.problem_forms import FIELDS
from ticketing.errors import NoEdge, StepRefused
from ticketing.problem import ActionKind, Problem, ProblemKind, ProblemState
from ticketing.problem_deeds import DEEDS, applied
from ticketing.problem_states import CHECKS, EDGES, ProblemDemand, ProblemGiven, ProblemStep, lacks, possible

T = 1_772_445_600 * SECOND_NS
DAY_NS = 86_400 * SECOND_NS
PEOPLE = frozenset({"chen", "li", "qin"})
RULES = Repeats()


def problem(**changes: object) -> Problem:
    plain = {"id": 1, "number": "RCA-1", "kind": ProblemKind.RCA, "scope": "M7", "asset": "M7"}
    return Problem(**{**plain, "state": ProblemState.OPEN, "opened_ns": T, "due_ns": T, **changes})


def test_each_step_has_a_deed_a_body_and_a_form_and_each_demand_a_check():
    assert set(DEEDS) == set(ProblemStep)
    assert set(BODIES) == set(FIELDS) == set(ProblemStep) - {ProblemStep.RECUR}
    assert set(CHECKS) == set(ProblemDemand)
    for step, body in BODIES.items():
        assert set(FIELDS[step]) == set(body.model_fields) - {"version"}, step


def test_a_step_leads_to_one_state_and_every_state_can_be_left():
    for state in ProblemState:
        steps = [step for (source, _), some in EDGES.items() if source is state for step in some]
        assert len(steps) == len(set(steps))
        assert [to for source, to in EDGES if source is state and to is not state]


@pytest.mark.parametrize(("state", "step"), list(product(ProblemState, ProblemStep)))
def test_a_step_that_does_not_start_here_is_refused_with_what_can_be_done(state, step):
    found = problem(state=state)
    if step in possible(found):
        assert lacks(found, step, ProblemGiven())
        return
    with pytest.raises(NoEdge) as refused:
        applied(found, step, ProblemGiven(), RULES)
    assert set(refused.value.allowed) == {str(one) for one in possible(found)}


def test_a_person_is_one_of_the_plant_and_a_date_is_not_past():
    given = ProblemGiven(
        now_ns=T, known_people=PEOPLE, kind=ActionKind.CORRECTIVE, text="x", owner="dept", due_ns=T
    )
    missing = lacks(problem(), ProblemStep.ADD_ACTION, given)
    assert {one.demand: one.why for one in missing} == {"owner": "unknown", "due": "is_past"}


@dataclass
class Action:
    """An action as the model knows it."""

    owner: str
    ends_a_cause: bool
    state: str = "open"
    round: int = 0


@dataclass
class Model:
    """The rules of 4.7 said a second time, as shortly as they can be."""

    state: str = "open"
    what: bool = False
    causes: list[dict[str, bool | None]] = field(default_factory=list)
    actions: list[Action] = field(default_factory=list)
    checker: str | None = None
    until_ns: int = 0
    passed: bool | None = None
    round: int = 0

    def root(self) -> bool:
        return any(one["root"] and one["verified"] for one in self.causes)

    def done(self) -> bool:
        return any(a.state == "done" and a.ends_a_cause and a.round == self.round for a in self.actions)

    def owns(self, who: str) -> bool:
        return any(a.owner == who and a.state != "dropped" for a in self.actions)

    def reopened(self) -> None:
        self.state, self.round = "reopened", self.round + 1


person = st.sampled_from(sorted(PEOPLE))
WORK = {"open", "analysing", "actions", "reopened"}


class Steps(RuleBasedStateMachine):
    """Any steps in any order: taken where the model takes them, refused where it refuses them."""

    def __init__(self) -> None:
        super().__init__()
        self.problem, self.model, self.now_ns = problem(), Model(), T

    def take(self, step: str, *, allowed: bool, **given: object) -> bool:
        said = ProblemGiven(now_ns=self.now_ns, known_people=PEOPLE, **given)
        before = self.problem
        try:
            self.problem = applied(before, ProblemStep(step), said, RULES)
        except (NoEdge, StepRefused):
            assert not allowed, (step, self.model)
            assert self.problem is before
            return False
        assert allowed, (step, self.model)
        return True

    @rule(days=st.sampled_from([1, 29, 30]))
    def time_goes_by(self, days: int) -> None:
        self.now_ns += days * DAY_NS

    @rule(leader=person)
    def start(self, leader: str) -> None:
        if self.take("start", allowed=self.model.state in {"open", "reopened"}, leader=leader):
            self.model.state = "analysing"

    @rule()
    def describe(self) -> None:
        if self.take("describe", allowed=self.model.state in WORK, statement={"what": "it stops"}):
            self.model.what = True

    @rule(root=st.booleans())
    def add_cause(self, root: bool) -> None:
        if self.take("add_cause", allowed=self.model.state in WORK, text="wear", code="3.4", root=root):
            self.model.causes.append({"root": root, "verified": None})

    @rule(number=st.integers(1, 3), verified=st.booleans())
    def judge_cause(self, number: int, verified: bool) -> None:
        allowed = self.model.state in WORK and number <= len(self.model.causes)
        if self.take("judge_cause", allowed=allowed, cause=number, verified=verified, evidence=("photo",)):
            self.model.causes[number - 1]["verified"] = verified

    @rule()
    def decide(self) -> None:
        allowed = self.model.state == "analysing" and self.model.what and self.model.root()
        if self.take("decide", allowed=allowed):
            self.model.state = "actions"

    @rule(owner=person, kind=st.sampled_from(ActionKind))
    def add_action(self, owner: str, kind: ActionKind) -> None:
        due_ns = self.now_ns + DAY_NS
        if self.take(
            "add_action", allowed=self.model.state in WORK, owner=owner, kind=kind, text="x", due_ns=due_ns
        ):
            self.model.actions.append(Action(owner, kind is not ActionKind.CONTAINMENT))

    @rule(number=st.integers(1, 3), approver=person, drops=st.booleans())
    def end_action(self, number: int, approver: str, drops: bool) -> None:
        action = self.model.actions[number - 1] if number <= len(self.model.actions) else None
        allowed = self.model.state in WORK | {"verifying"} and action is not None and action.state == "open"
        if drops:
            done = self.take("drop_action", allowed=allowed, action=number, reason="no use")
        else:
            allowed = allowed and action is not None and approver != action.owner
            done = self.take(
                "finish_action", allowed=allowed, action=number, approver=approver, evidence=("list",)
            )
        if done and action is not None:
            action.state, action.round = "dropped" if drops else "done", self.model.round

    @rule(checker=person)
    def plan_check(self, checker: str) -> None:
        model = self.model
        allowed = model.state == "actions" and model.root() and model.done() and not model.owns(checker)
        if self.take("plan_check", allowed=allowed, checker=checker, metric="stops", target="0"):
            model.state, model.checker, model.passed = "verifying", checker, None
            model.until_ns = self.now_ns + 30 * DAY_NS

    @rule()
    def goes_on_to_the_check(self) -> None:
        """Without it few sequences would get that far."""
        self.describe()
        self.start("chen")
        self.add_cause(root=True)
        self.judge_cause(len(self.model.causes), verified=True)
        self.decide()
        self.add_action("li", ActionKind.CORRECTIVE)
        self.end_action(len(self.model.actions), "chen", drops=False)
        self.plan_check("qin")

    @rule(actor=person, passed=st.booleans())
    def record_check(self, actor: str, passed: bool) -> None:
        model = self.model
        allowed = model.state == "verifying" and actor == model.checker and not model.owns(actor)
        if passed:
            allowed = allowed and self.now_ns >= model.until_ns
        step = "pass_check" if passed else "fail_check"
        if self.take(step, allowed=allowed, actor=actor, measured="3 stops"):
            model.passed = passed
            if not passed:
                model.reopened()

    @rule()
    def recurs(self) -> None:
        if self.take("recur", allowed=self.model.state == "verifying", evidence=("f",), measured="recurred"):
            self.model.reopened()

    @rule()
    def revise(self) -> None:
        before = {"actions": "analysing", "verifying": "actions"}.get(self.model.state)
        if self.take("revise", allowed=before is not None, reason="not enough") and before:
            self.model.state, self.model.passed = before, None

    @rule()
    def close(self) -> None:
        model = self.model
        settled = all(a.state != "open" for a in model.actions)
        allowed = model.state == "verifying" and model.passed is True and settled
        if self.take("close", allowed=allowed and model.root() and model.done()):
            model.state = "closed"

    @rule(approver=person)
    def reopen(self, approver: str) -> None:
        allowed = self.model.state == "closed"
        if self.take("reopen", allowed=allowed, reason="back", evidence=("f",), approver=approver):
            self.model.reopened()

    @rule(approver=person)
    def withdraw_what_nobody_flagged(self, approver: str) -> None:
        self.take("withdraw", allowed=False, reason="no ground", approver=approver)

    @invariant()
    def it_stands_where_the_model_does(self) -> None:
        assert (self.problem.state, self.problem.cycle) == (self.model.state, self.model.round)

    @invariant()
    def what_is_closed_was_judged_by_someone_who_owns_no_action(self) -> None:
        if self.problem.state is ProblemState.CLOSED:
            check = self.problem.check
            assert check is not None
            assert check.passed
            assert check.checked_by not in {
                one.owner for one in self.problem.actions if one.state != "dropped"
            }
            assert any(one.root and one.verified for one in self.problem.causes)


TestSteps = Steps.TestCase
TestSteps.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


def test_the_model_gets_as_far_as_a_closed_problem():
    steps = Steps()
    steps.describe()
    steps.start("chen")
    steps.add_cause(root=True)
    steps.judge_cause(1, verified=True)
    steps.decide()
    steps.add_action("li", ActionKind.CORRECTIVE)
    steps.end_action(1, "chen", drops=False)
    steps.plan_check("qin")
    steps.time_goes_by(30)
    steps.record_check("qin", passed=True)
    steps.close()
    assert steps.problem.state is ProblemState.CLOSED
    steps.reopen("chen")
    assert (steps.problem.state, steps.problem.cycle, steps.problem.outcome) == ("reopened", 1, None)
