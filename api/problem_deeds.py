"""What can be done to a problem over the web: each deed is a checked body that becomes one step of the service."""

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from andon.access.roles import Right
from andon.events import SECOND_NS
from api.moments import Moment
from api.steps import Evidence, Name, Text
from api.visit import Visit
from ticketing.problem import ActionKind, Category, CauseKind, Problem
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.rca import ProblemBy, take

Id = Annotated[int, Field(ge=1, le=10_000)]
Word = Annotated[Text, Field(max_length=200)]
Empty = BeforeValidator(lambda value: None if value == "" else value)


class ProblemDeed(BaseModel):
    """A step with what it needs. `version` is the problem's version that the caller looked at (or header If-Match)."""

    model_config = ConfigDict(extra="forbid")
    version: int | None = None

    def given(self) -> ProblemGiven:
        """What comes with the step, without who takes it."""
        said = {name: getattr(self, name) for name in type(self).model_fields if name != "version"}
        due_at = said.pop("due_at", None)
        if due_at is not None:
            said["due_ns"] = int(due_at.timestamp()) * SECOND_NS
        if "evidence" in said:
            said["evidence"] = tuple(said["evidence"])
        return ProblemGiven(**said)


class Start(ProblemDeed):
    """The analysis begins; one person leads it."""

    leader: Name = ""


class Describe(ProblemDeed):
    """What is wrong, in 5W2H; the failure's mode, mechanism and cause (ISO 14224); what it led to."""

    what: Text | None = None
    where: Text | None = None
    when: Text | None = None
    who: Text | None = None
    how_found: Text | None = None
    how_many: Text | None = None
    failure_mode: Word | None = None
    failure_mechanism: Word | None = None
    failure_cause: Word | None = None
    downtime_min: Annotated[Annotated[float, Field(ge=0, le=1e7)] | None, Empty] = None
    cost: Annotated[Annotated[float, Field(ge=0, le=1e12)] | None, Empty] = None
    safety: Text | None = None

    def given(self) -> ProblemGiven:
        """The statement as it was said; what was left out stays."""
        return ProblemGiven(statement=self.model_dump(exclude={"version"}, exclude_none=True))


class WorkAsEightD(ProblemDeed):
    """The task is worked as an 8D report: what it says beside the task itself; what was left out stays.

    From then on its escape is looked into too, and it closes with all disciplines done.
    """

    team: Annotated[list[Name], Field(max_length=50)] | None = None
    emergency: Text | None = None
    chosen_because: Text | None = None
    standards: Text | None = None
    recognition: Text | None = None

    def given(self) -> ProblemGiven:
        """What was said of it."""
        said = self.model_dump(exclude={"version"}, exclude_none=True)
        team = {"team": tuple(dict.fromkeys(said["team"]))} if "team" in said else {}
        return ProblemGiven(eight_d=said | team)


class AddCause(ProblemDeed):
    """A cause that might be: `parent` is the cause that it is the cause of, `root` ends the chain of whys.

    `why` says whether it is why it happened or why it escaped notice; left out, it is as its `parent`.
    """

    text: Text = ""
    code: Word = ""
    category: Annotated[Category | None, Empty] = None
    why: Annotated[CauseKind | None, Empty] = None
    parent: Annotated[Id | None, Empty] = None
    root: bool = False


class JudgeCause(ProblemDeed):
    """A cause was looked into: it is one, or it is none, and what shows it."""

    cause: Id
    verified: bool | None = None
    root: bool = False
    evidence: Evidence = []


class AddAction(ProblemDeed):
    """Something that a person does about it until a date."""

    kind: Annotated[ActionKind | None, Empty] = None
    text: Text = ""
    owner: Name = ""
    due_at: Annotated[Moment | None, Empty] = None


class OnAction(ProblemDeed):
    """One of the problem's actions."""

    action: Id


class MoveAction(OnAction):
    """An action gets another date or owner, and why."""

    owner: Name = ""
    due_at: Annotated[Moment | None, Empty] = None
    reason: Text = ""


class FinishAction(OnAction):
    """An action is done: what shows it, and who else approved it."""

    evidence: Evidence = []
    approver: Name = ""


class DropAction(OnAction):
    """An action is not done after all, and why."""

    reason: Text = ""


class PlanCheck(ProblemDeed):
    """How the effect is judged, and by whom: someone who owns none of the actions."""

    metric: Text = ""
    target: Text = ""
    checker: Name = ""


class RecordCheck(ProblemDeed):
    """What the checker measured."""

    measured: Text = ""


class Because(ProblemDeed):
    """A step that needs a reason."""

    reason: Text = ""


class Withdraw(Because):
    """Closed because its ground has gone: why, and who approved it."""

    approver: Name = ""


class Reopen(Withdraw):
    """A closed problem goes on: why, what shows it, and who approved it."""

    evidence: Evidence = []


DEEDS: Mapping[ProblemStep, type[ProblemDeed]] = {
    ProblemStep.START: Start,
    ProblemStep.DESCRIBE: Describe,
    ProblemStep.EIGHT_D: WorkAsEightD,
    ProblemStep.ADD_CAUSE: AddCause,
    ProblemStep.JUDGE_CAUSE: JudgeCause,
    ProblemStep.DECIDE: ProblemDeed,
    ProblemStep.ADD_ACTION: AddAction,
    ProblemStep.MOVE_ACTION: MoveAction,
    ProblemStep.FINISH_ACTION: FinishAction,
    ProblemStep.DROP_ACTION: DropAction,
    ProblemStep.PLAN_CHECK: PlanCheck,
    ProblemStep.PASS_CHECK: RecordCheck,
    ProblemStep.FAIL_CHECK: RecordCheck,
    ProblemStep.REVISE: Because,
    ProblemStep.CLOSE: ProblemDeed,
    ProblemStep.WITHDRAW: Withdraw,
    ProblemStep.REOPEN: Reopen,
    ProblemStep.REVIEW: Because,
}
"""Every step that people take; RECUR is the machine's own."""

RIGHT_OF: Mapping[ProblemStep, Right] = {
    **dict.fromkeys(DEEDS, Right.ANALYSE),
    ProblemStep.FINISH_ACTION: Right.REPORT,
}
"""What each step asks for: an action is anybody's of the staff, who says when it is done."""


def do(
    visit: Visit,
    problem_id: int,
    step: ProblemStep,
    given: ProblemGiven,
    *,
    version: int,
    channel: Literal["api", "console"],
) -> Problem:
    """One call of the service; gives the problem as it then is."""
    by = ProblemBy(actor=visit.actor, now_ns=visit.context.now(), expected_version=version, channel=channel)
    return take(visit.context.tickets, problem_id, step, given, plant=visit.plant, by=by)
