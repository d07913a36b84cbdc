"""Whys, bones and disciplines as values: how deep a cause lies, on which bone it hangs, what an 8D still lacks."""

from dataclasses import replace

import pytest

from andon.plant import Plant
from andon.rules.repeats import Repeats
from ticketing.errors import StepRefused
from ticketing.problem import (
    ActionKind,
    Category,
    CauseKind,
    Check,
    EightD,
    Problem,
    ProblemKind,
    ProblemState,
    RootCause,
    Statement,
)
from ticketing.problem_deeds import applied
from ticketing.problem_states import ProblemGiven, ProblemStep
from ticketing.quality.eight_d import disciplines
from ticketing.quality.mandatory import with_mandatory
from ticketing.quality.whys import MOST, fishbone, tree

PEOPLE = frozenset({"chen", "li", "qin"})
T = 1_772_445_600_000_000_000


def problem(*causes: RootCause, **changes: object) -> Problem:
    plain = {"id": 1, "number": "RCA-1", "kind": ProblemKind.RCA, "scope": "M7", "asset": "M7"}
    plain |= {"state": ProblemState.OPEN, "opened_ns": T, "due_ns": T, "causes": causes}
    return Problem(**(plain | changes))


def step(before: Problem, what: str, **given: object) -> Problem:
    said = ProblemGiven(actor="chen", now_ns=T, known_people=PEOPLE, **given)
    return applied(before, ProblemStep(what), said, Repeats())


def refused(before: Problem, what: str, **given: object) -> dict[str, str]:
    with pytest.raises(StepRefused) as caught:
        step(before, what, **given)
    return {str(one.demand): one.why for one in caught.value.missing}


def cause(number: int, parent: int | None = None, bone: Category | None = None, **more: object) -> RootCause:
    return RootCause(number, f"cause {number}", "3.4", category=bone, parent=parent, **more)


def test_whys_branch_and_each_knows_how_deep_it_lies():
    found = tree(problem(cause(1), cause(2, 1), cause(3, 2, root=True), cause(4, 1), cause(5, root=True)))
    assert [one.cause.id for one in found] == [1, 5]
    assert [one.cause.id for one in found[0].because] == [2, 4]
    third = found[0].because[0].because[0]
    assert (third.depth, third.shallow) == (3, False)
    assert found[1].shallow  # a root after one why is mostly a symptom


def test_the_eighth_why_is_another_problem():
    found = problem()
    for number in range(MOST):
        found = step(found, "add_cause", text="why", code="3.4", parent=number or None)
    assert refused(found, "add_cause", text="why", code="3.4", parent=MOST) == {"parent": "too_deep"}
    assert (
        step(found, "add_cause", text="a branch", code="3.4", parent=MOST - 1).causes[-1].parent == MOST - 1
    )


def test_a_cause_hangs_on_its_bone_else_on_that_of_what_it_is_a_cause_of():
    found = fishbone(
        problem(
            cause(1, bone=Category.MATERIAL), cause(2, 1), cause(3, 2, Category.METHOD), cause(4, 3), cause(5)
        )
    )
    assert list(found) == [*Category, None]
    (material,) = found[Category.MATERIAL]
    assert [one.cause.id for one in material.because] == [2]
    assert material.because[0].because == ()  # its cause lies on another bone
    (method,) = found[Category.METHOD]
    assert (method.cause.id, [one.cause.id for one in method.because]) == (3, [4])
    assert [one.cause.id for one in found[None]] == [5]
    assert found[Category.MAN] == ()


def test_a_cause_of_an_escape_is_one_of_an_escape_too():
    found = step(problem(), "add_cause", text="no test at 350 bar", code="4.1", why=CauseKind.ESCAPE)
    found = step(found, "add_cause", text="the bench ends at 250 bar", code="1.1", parent=1)
    assert found.causes[1].kind == "escape"


def analysed(**changes: object) -> Problem:
    verified = cause(1, root=True, verified=True)
    said = Statement(what="it leaks")
    return problem(verified, state=ProblemState.ANALYSING, statement=said, leader="chen", **changes)


def test_worked_as_an_8d_it_needs_the_cause_of_the_escape_before_actions():
    assert step(analysed(), "decide").state == "actions"
    eight = step(analysed(), "eight_d", eight_d={"team": ("chen", "li")})
    assert refused(eight, "decide") == {"escape_cause": "absent"}
    found = step(eight, "add_cause", text="not tested", code="4.1", why=CauseKind.ESCAPE, root=True)
    assert refused(found, "decide") == {"escape_cause": "absent"}
    found = step(found, "judge_cause", cause=2, verified=True, evidence=("test plan",))
    assert step(found, "decide").state == "actions"


def test_a_team_is_of_people_of_the_plant_and_stays_when_more_is_said():
    assert refused(problem(), "eight_d", eight_d={"emergency": "stop"}) == {"team": "absent"}
    assert refused(problem(), "eight_d", eight_d={"team": ("chen", "dept")}) == {"team": "unknown"}
    found = step(problem(), "eight_d", eight_d={"team": ("chen",)})
    found = step(found, "eight_d", eight_d={"emergency": "all of lot C7 set aside"})
    assert found.eight_d == EightD(team=("chen",), emergency="all of lot C7 set aside")


def test_it_closes_when_all_disciplines_are_done_and_says_which_are_not():
    check = Check("leaks", "none", "qin", T, T, passed=True)
    found = analysed(check=check, eight_d=EightD(team=("li",)))
    found = step(found, "add_action", kind=ActionKind.CORRECTIVE, text="lot out", owner="li", due_ns=T + 1)
    found = step(found, "finish_action", action=1, evidence=("list",), approver="chen")
    lacking = {one.code: one.missing for one in disciplines(found) if not one.done}
    assert lacking == {
        "d0": ("emergency",),
        "d2": ("where", "when", "how_many"),
        "d3": ("containment",),
        "d4": ("escape",),
        "d5": ("chosen_because",),
        "d7": ("preventive",),
        "d8": ("recognition",),
    }
    watched = replace(found, state=ProblemState.VERIFYING)
    assert refused(watched, "close") == {"disciplines": "d0,d2,d3,d4,d5,d7,d8"}
    assert step(replace(watched, eight_d=None), "close").state == "closed"


class TestMandatory:
    PLANT = Plant(name="p", version=4)

    def test_a_field_that_is_there_is_asked_for_at_one_more_moment_and_keeps_its_label(self):
        part = {"type_code": "spare_part_requisition", "name": "part"}
        found = with_mandatory(self.PLANT, **part, moments=("resolving",))
        field = found.ticket_type("spare_part_requisition").field("part")
        assert (found.version, field.en, field.mandatory) == (5, "Part code", ("opening", "resolving"))
        assert [one.code for one in found.ticket_types] == [one.code for one in self.PLANT.ticket_types]

    @pytest.mark.parametrize(
        ("changes", "missing"),
        [
            ({"type_code": "no_such"}, {"type": "unknown"}),
            ({"en": ""}, {"label": "absent"}),
            ({"moments": ("closing",)}, {"moment": "unknown"}),
            (
                {"type_code": "spare_part_requisition", "name": "part", "moments": ("opening",)},
                {"field": "is_mandatory"},
            ),
        ],
    )
    def test_what_cannot_be_made_mandatory_is_refused(self, changes, missing):
        said = {"type_code": "equipment_repair", "name": "seal_brand", "zh": "密封圈品牌", "en": "Seal brand"}
        with pytest.raises(StepRefused) as caught:
            with_mandatory(self.PLANT, **(said | changes))
        assert {one.demand: one.why for one in caught.value.missing} == missing

    def test_a_name_that_is_none_is_refused_in_words(self):
        with pytest.raises(StepRefused, match="field"):
            with_mandatory(self.PLANT, type_code="equipment_repair", name="a b", zh="x", en="x")
