"""Which levels an amount needs, who may decide them, and what a type of ticket is put together from."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from andon import assembly
from andon.assembly import ModuleKind, UnknownModule, Wanted
from andon.plant import Person, Plant
from andon.rules.approvals import LEVELS, Approvals, Level, Who
from andon.rules.types import CustomField
from ticketing.approving.deciders import Via, deciders, present
from ticketing.approving.delegations import Delegation
from ticketing.duty import Roster

RULES = Approvals()
AT = 1_773_300_000_000_000_000
HOUR = 3_600_000_000_000
DIRECTOR = LEVELS[1]


@pytest.mark.parametrize(
    ("cents", "levels"),
    [
        (0, []),
        (1, ["team_leader"]),
        (499_999, ["team_leader"]),
        (500_000, ["team_leader", "equipment_director"]),
        (500_001, ["team_leader", "equipment_director"]),
    ],
)
def test_from_5000_yuan_on_the_equipment_director_is_asked_as_well(cents: int, levels: list[str]) -> None:
    assert [one.code for one in RULES.asked("equipment_repair", "B", cents)] == levels


def test_a_level_may_be_for_some_types_and_criticalities_alone() -> None:
    who = Who(role="quality")
    rules = Approvals(
        levels=(
            Level(code="a", zh="甲", en="A", who=who, criticality=("A",)),
            Level(code="b", zh="乙", en="B", who=who, types=("customer_complaint",)),
        )
    )
    assert [one.code for one in rules.asked("equipment_repair", "A", 1)] == ["a"]
    assert [one.code for one in rules.asked("customer_complaint", "C", 1)] == ["b"]
    assert [one.code for one in rules.asked("customer_complaint", None, 1)] == ["b"]


def test_a_dearer_repair_asks_the_further_level_and_within_one_level_that_one_again() -> None:
    def lacking(cents: int, **granted: int) -> list[str]:
        return [one.code for one in RULES.lacking(RULES.asked("x", "B", cents), granted, cents)]

    assert lacking(600_000, team_leader=400_000) == ["equipment_director"]
    assert lacking(450_000, team_leader=400_000) == ["team_leader"]
    assert lacking(400_000, team_leader=400_000) == []
    assert lacking(700_000, team_leader=400_000, equipment_director=600_000) == ["equipment_director"]
    assert lacking(450_000, equipment_director=600_000) == ["team_leader"]


@given(
    cents=st.integers(1, 10**9),
    granted=st.dictionaries(st.sampled_from([one.code for one in LEVELS]), st.integers(0, 10**9)),
)
def test_when_all_that_lack_agree_to_an_amount_nobody_lacks_any_more(
    cents: int, granted: dict[str, int]
) -> None:
    asked = RULES.asked("x", "B", cents)
    now = granted | {one.code: cents for one in RULES.lacking(asked, granted, cents)}
    assert RULES.lacking(asked, now, cents) == ()


@pytest.mark.parametrize(
    "wrong",
    [
        {"levels": [{"code": "a", "zh": "甲", "en": "A", "who": {}}]},
        {"levels": [{"code": "a", "zh": "甲", "en": "A", "who": {"role": "x"}, "from_amount": 1.005}]},
        {"levels": [LEVELS[0].model_dump(), LEVELS[0].model_dump()]},
    ],
)
def test_a_level_without_anybody_with_mills_or_there_twice_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        Approvals.model_validate(wrong)


PEOPLE = (
    Person(id="gao", name="Gao", role="equipment director", backup="lin"),
    Person(id="lin", name="Lin", role="technician"),
    Person(id="chen", name="Chen", role="line leader", lines=("L1",)),
    Person(id="sun", name="Sun", role="line leader", lines=("L2",)),
    Person(id="wu", name="Wu", role="planner"),
)


def may(level: Level, *given: Delegation, without: tuple[str, ...] = (), **people: object) -> dict[str, str]:
    plant = Plant(name="p", people=tuple(one.model_copy(update=people.get(one.id, {})) for one in PEOPLE))
    found = deciders(level, "L1", Roster(plant, AT), given, without)
    assert found is not None
    return {person: str(how.via) for person, how in found.items()}


def to_lin(from_h: float, until_h: float, **changes: object) -> Delegation:
    span = AT + round(from_h * HOUR), AT + round(until_h * HOUR)
    return Delegation(1, "gao", "lin", *span, "trade fair", "gao", AT, **changes)  # type: ignore[arg-type]


def test_the_lines_own_leader_is_asked_before_those_of_other_lines() -> None:
    assert may(LEVELS[0]) == {"chen": Via.OWN}


def test_a_delegation_holds_from_its_beginning_until_just_before_its_end() -> None:
    assert may(DIRECTOR, to_lin(0, 1)) == {"gao": Via.OWN, "lin": Via.DELEGATED}
    for other in (to_lin(-1, 0), to_lin(1, 2), to_lin(-1, 1, revoked_ns=AT)):
        assert may(DIRECTOR, other) == {"gao": Via.OWN}


def test_on_leave_the_backup_stands_in_and_is_the_one_who_is_told() -> None:
    away = {"absent_until": "2026-03-20T00:00:00Z"}
    plant = Plant.model_validate(
        {"name": "p", "people": [one.model_dump() | (away if one.id == "gao" else {}) for one in PEOPLE]}
    )
    roster = Roster(plant, AT)
    found = deciders(DIRECTOR, "L1", roster)
    assert found is not None
    assert {one: str(how.via) for one, how in found.items()} == {"gao": Via.OWN, "lin": Via.STANDS_IN}
    assert present(found, roster) == ["lin"]


def test_where_nobody_is_left_the_administrators_of_closing_decide() -> None:
    assert may(DIRECTOR, without=("gao",)) == {"wu": Via.ADMINISTRATOR}
    nobody = deciders(DIRECTOR, "L1", Roster(Plant(name="p"), AT))
    assert nobody is None


REPAIR = "equipment_repair"


def used(plant: Plant, kind: ModuleKind, type_code: str = REPAIR) -> set[str]:
    return {one.code for one in assembly.modules_of(plant, type_code) if one.kind is kind and one.used}


def test_a_type_is_put_together_by_ticking_and_the_others_stay_as_they_are() -> None:
    plant = Plant(name="p")
    assert used(plant, ModuleKind.APPROVAL) == {"team_leader", "equipment_director"}
    wanted = Wanted(
        modules={
            ModuleKind.SAFETY: frozenset({"lock_out_tag_out"}),
            ModuleKind.APPROVAL: frozenset({"team_leader"}),
        },
        limits={"equipment_director": 8000.0},
        more=CustomField(name="seal_brand", zh="密封圈品牌", en="Seal brand", mandatory=("resolving",)),
    )
    after = assembly.assembled(plant, REPAIR, wanted)
    assert used(after, ModuleKind.SAFETY) == {"lock_out_tag_out"}
    assert used(after, ModuleKind.APPROVAL) == {"team_leader"}
    assert used(after, ModuleKind.APPROVAL, "hardware_fault") == {"team_leader", "equipment_director"}
    assert used(after, ModuleKind.SAFETY, "hardware_fault") == set()
    assert [one.what for one in assembly.changes(plant, after, REPAIR)] == [
        *("with_safety", "without_approval", "limit", "field"),
    ]
    assert assembly.changes(after, assembly.assembled(after, REPAIR, Wanted()), REPAIR) == []
    back = assembly.assembled(after, REPAIR, Wanted(mandatory={"seal_brand": ()}))
    assert [(one.what, one.after) for one in assembly.changes(after, back, REPAIR)] == [("mandatory", [])]


def test_what_there_is_not_is_refused_by_its_name() -> None:
    plant = Plant(name="p")
    for wanted in (
        Wanted(modules={ModuleKind.SAFETY: frozenset({"hot_work"})}),
        Wanted(mandatory={"hot_work": ()}),
        Wanted(limits={"hot_work": 1.0}),
    ):
        with pytest.raises(UnknownModule, match="hot_work"):
            assembly.assembled(plant, REPAIR, wanted)
