"""Who is named for a ticket, and why: filter, then rank."""

from dataclasses import replace
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from andon.events import SECOND_NS
from andon.plant import Plant
from ticketing.duty import Presence, Roster
from ticketing.routing import Case, Loads, need_of, rule_for, suggest
from ticketing.ticket import Suggestion

NOW_NS = 1_773_300_000 * SECOND_NS  # Thursday 2026-03-12, 07:20 UTC


def person(name: str, **changes: Any) -> dict[str, Any]:
    return {"id": name, "name": name.title(), "role": "technician", "tags": ["bearing"], **changes}


def place(x: float, y: float = 0.0) -> dict[str, float]:
    return {"x_m": x, "y_m": y}


MACHINE = {
    "id": "M1",
    "name": "M1",
    "asset_class": "press",
    "path": "e/s/a/L1/c",
    "owner": "chen",
    "position": place(0),
}


def plant(*people: dict[str, Any], **more: Any) -> Plant:
    document = {
        "name": "p",
        "assets": [MACHINE],
        "people": people,
        "skills": {"machine_condition": "bearing"},
    }
    return Plant.model_validate({**document, **more})


NONE = Loads()
CASE = Case("equipment_repair", "M1", "high", kinds=("machine_condition",))
LINE_STOP = Case("equipment_repair", "M1", "critical", "line_stop", urgent=True, kinds=("machine_condition",))


def chosen(
    *people: dict[str, Any],
    case: Case = CASE,
    loads: Loads = NONE,
    presence: tuple[Presence, ...] = (),
    declined: tuple[str, ...] = (),
    **more: Any,
) -> Suggestion:
    found = plant(*people, **more)
    roster = Roster(found, NOW_NS, {one.person: one for one in presence})
    return suggest(need_of(case, found, frozenset(declined)), roster, loads)


def misses(suggestion: Suggestion) -> dict[str, tuple[str, ...]]:
    return {candidate.person: candidate.misses for candidate in suggestion.candidates}


class TestFilter:
    def test_nobody_without_the_skill_is_named_while_someone_has_it(self):
        found = chosen(person("wang", tags=["hydraulics"]), person("zhang", lines=["L2"], online=False))
        assert (found.person, found.rule) == ("zhang", "offline")
        assert misses(found) == {"zhang": ("offline", "other_line"), "wang": ("skill",)}

    def test_all_groups_are_asked_for_and_of_each_one_tag_is_enough(self):
        fault = {"code": "leak", "zh": "泄漏", "en": "Leak", "tags": ["hydraulics", "液压方向"]}
        rules = {"rules": [{"name": "hot", "tags": ["hot work"]}]}
        found = chosen(
            person("wang", tags=["hydraulics"]),
            person("zhang", tags=["液压方向", "hot work"]),
            person("li", tags=["bearing", "hot work"]),
            case=Case("equipment_repair", "M1", "high", "leak", kinds=("machine_condition",)),
            fault_types=[fault],
            routing=rules,
        )
        assert (found.person, found.routing) == ("zhang", "hot")
        assert found.skills == (("hydraulics", "液压方向"), ("hot work",))
        assert misses(found) == {"zhang": (), "wang": ("skill",), "li": ("skill",)}

    def test_a_fault_type_with_tags_says_more_than_what_the_machine_said(self):
        fault = {"code": "leak", "zh": "泄漏", "en": "Leak", "tags": ["hydraulics"]}
        need = need_of(
            Case("equipment_repair", "M1", "high", "leak", kinds=("machine_condition",)),
            plant(fault_types=[fault]),
        )
        assert need.skills == (("hydraulics",),)

    def test_a_line_stop_that_a_person_reports_asks_for_the_skill_of_stops(self):
        reported = replace(LINE_STOP, kinds=("", "reported_failure", "report"))
        assert need_of(reported, plant(skills={"stop": "mechanics"})).skills == (("mechanics",),)

    def test_the_business_type_asks_for_its_own_skill(self):
        skills = {"machine_condition": "bearing", "configuration_enquiry": "it"}
        need = need_of(Case("configuration_enquiry", "M1", "low"), plant(skills=skills))
        assert need.skills == (("it",),)

    def test_who_is_off_shift_on_leave_or_of_another_region_is_not_named(self):
        calendar = {"week": {"thu": ["14:00-22:00"]}}
        found = chosen(
            person("late", calendar="late"),
            person("away", absent_until="2026-03-13T00:00:00Z"),
            person("north", regions=["north"]),
            person("south", regions=["south"], max_load=1, tags=["bearing"]),
            case=Case("equipment_repair", "M1", "high", kinds=("machine_condition",), region="south"),
            loads=Loads({"south": 9}),
            calendars={"late": calendar},
        )
        assert found.person == "south"
        assert misses(found) == {
            "south": ("full",),
            "north": ("region",),
            "late": ("off_shift",),
            "away": ("on_leave",),
        }

    def test_who_declined_is_not_named_again(self):
        found = chosen(person("wang"), person("zhang"), loads=Loads({"zhang": 4}), declined=("wang",))
        assert (found.person, found.backup) == ("zhang", "wang")

    def test_a_line_stop_asks_only_those_who_are_online(self):
        found = chosen(
            person("wang", online=False, position=place(1)),
            person("zhang", position=place(50)),
            case=LINE_STOP,
        )
        assert found.offer_to == ("zhang",)
        assert misses(found)["wang"] == ("offline",)


class TestRank:
    def test_the_lightest_load_is_named_and_the_next_is_the_backup(self):
        people = [person("wang"), person("zhang"), person("li")]
        found = chosen(*people, loads=Loads({"wang": 3, "zhang": 1, "li": 2}))
        assert (found.person, found.backup, found.rule) == ("zhang", "li", "best")
        assert [(c.person, c.load, c.parts["load"]) for c in found.candidates] == [
            ("zhang", 1, 0.4),
            ("li", 2, 0.3),
            ("wang", 3, 0.2),
        ]

    def test_load_is_a_share_of_what_one_can_carry(self):
        people = [person("wang", max_load=10), person("zhang", max_load=3)]
        assert chosen(*people, loads=Loads({"wang": 3, "zhang": 1})).person == "wang"

    def test_experience_nearness_and_seniority_count_by_their_weights(self):
        people = [person("wang", position=place(100)), person("zhang", seniority=10), person("li")]
        found = chosen(*people, loads=Loads(done_here={"li": 5}))
        parts = {c.person: c.parts for c in found.candidates}
        assert parts["li"] == {"load": 0.5, "distance": 0.0, "experience": 0.2, "seniority": 0.0}
        assert parts["wang"] == {"load": 0.5, "distance": 0.1, "experience": 0.0, "seniority": 0.0}
        assert parts["zhang"] == {"load": 0.5, "distance": 0.0, "experience": 0.0, "seniority": 0.1}
        assert [c.score for c in found.candidates] == [0.7, 0.6, 0.6]
        weights = {"load": 0, "distance": 0, "experience": 0, "seniority": 3}
        only = {"rules": [{"name": "old hands", "weights": weights}]}
        assert chosen(*people, loads=Loads(done_here={"li": 5}), routing=only).person == "zhang"

    def test_the_own_line_comes_before_a_lighter_load_elsewhere(self):
        people = [person("wang", lines=["L1"]), person("zhang", lines=["L2"])]
        assert chosen(*people, loads=Loads({"wang": 4})).person == "wang"

    def test_who_is_there_comes_before_who_stands_on_the_line(self):
        people = [person("wang", lines=["L1"], online=False), person("zhang", lines=["L2"])]
        assert chosen(*people).person == "zhang"

    def test_a_full_hand_is_passed_over(self):
        people = [person("wang", max_load=2), person("zhang", max_load=20)]
        found = chosen(*people, loads=Loads({"wang": 2, "zhang": 19}))
        assert found.person == "zhang"
        assert misses(found)["wang"] == ("full",)

    def test_where_all_are_full_the_least_loaded_is_named_and_it_is_said(self):
        people = [person("wang", max_load=2), person("zhang", max_load=4)]
        found = chosen(*people, loads=Loads({"wang": 2, "zhang": 8}, {"wang": 5, "zhang": 9}))
        assert (found.person, found.rule) == ("wang", "full")

    def test_a_tie_goes_to_the_one_least_recently_given_work(self):
        people = [person("wang"), person("zhang")]
        assert chosen(*people, loads=Loads({}, {"wang": 200, "zhang": 100})).person == "zhang"

    def test_equal_shares_of_load_are_a_tie_whatever_the_numbers(self):
        people = [person("wang", max_load=10), person("zhang", max_load=30)]
        loads = Loads({"wang": 1, "zhang": 3}, {"wang": 200, "zhang": 100})
        assert chosen(*people, loads=loads).person == "zhang"

    def test_the_order_of_the_people_makes_no_difference(self):
        people = [person("wang"), person("zhang"), person("li", lines=["L9"])]
        assert chosen(*people) == chosen(*people[::-1])


class TestNearest:
    def test_a_line_stop_goes_to_the_nearest_three_whatever_they_carry(self):
        people = [person(f"p{n}", position=place(10.0 * n)) for n in range(5, 0, -1)]
        found = chosen(*people, case=LINE_STOP, loads=Loads({"p1": 9}))
        assert found.offer_to == ("p1", "p2", "p3")
        assert (found.person, found.backup, found.routing) == ("p1", "p2", "line_stop")

    def test_an_unknown_position_is_farthest(self):
        people = [
            person("nowhere"),
            person("moon", position=place(900_000)),
            person("globe", position={"lat": 1, "lon": 1}),
        ]
        assert [c.person for c in chosen(*people, case=LINE_STOP).candidates] == ["moon", "globe", "nowhere"]

    def test_a_stale_position_and_a_stale_online_are_unknown_again(self):
        desk = person("wang", position=place(500))
        said = Presence("wang", NOW_NS - 900 * SECOND_NS, online=False, position=None)
        assert misses(chosen(desk, case=LINE_STOP, presence=(said,)))["wang"] == ("offline",)
        stale = Presence("wang", said.at_ns - 1, online=False)
        found = chosen(desk, case=LINE_STOP, presence=(stale,)).candidates[0]
        assert (found.misses, found.distance_m) == ((), 500.0)

    def test_a_line_stop_that_is_not_urgent_is_routed_as_usual(self):
        calm = Case("equipment_repair", "M1", "critical", "line_stop", kinds=("machine_condition",))
        found = chosen(person("wang"), case=calm)
        assert (found.routing, found.offer_to) == ("usual", ())

    def test_degrees_and_metres_on_a_plan_cannot_be_compared(self):
        paris, lyon = ({"lat": 48.8566, "lon": 2.3522}, {"lat": 45.764, "lon": 4.8357})
        asset = {**MACHINE, "position": paris}
        near = person("lyon", position=lyon)
        found = chosen(near, person("plan", position=place(1)), case=LINE_STOP, assets=[asset])
        far_m = {c.person: c.distance_m for c in found.candidates}
        assert far_m["lyon"] == pytest.approx(391_500, rel=0.005)  # great circle Paris - Lyon
        assert far_m["plan"] is None


class TestNobody:
    def test_line_leader_and_person_on_duty_are_named_where_nobody_passes(self):
        found = chosen(
            person("wang", tags=[]),
            person("leader", role="line leader", lines=["L1"], tags=[]),
            person("duty", role="duty manager", tags=[]),
        )
        assert (found.person, found.backup, found.rule) == ("leader", "duty", "line_leader")

    def test_without_them_the_owner_of_the_machine_is_named_and_it_is_said(self):
        found = chosen(person("wang", tags=[]))
        assert (found.person, found.backup, found.rule) == ("chen", "wang", "owner")

    def test_a_ticket_without_a_required_skill_takes_whoever_is_free(self):
        assert chosen(person("wang", tags=[]), skills={}).person == "wang"

    def test_in_an_empty_plant_nobody_is_named(self):
        found = chosen(assets=[])
        assert (found.person, found.backup, found.rule) == (None, None, "nobody")

    def test_nobody_is_their_own_backup(self):
        found = chosen(person("wang"), assets=[])
        assert (found.person, found.backup) == ("wang", None)


def test_the_documents_backup_stands_behind_the_person_if_nothing_bars_it():
    people = [person("wang", backup="li"), person("zhang"), person("li")]
    loads = Loads({"zhang": 1, "li": 4})
    assert chosen(*people, loads=loads).backup == "li"
    people[2]["absent_until"] = "2026-03-13T00:00:00Z"
    assert chosen(*people, loads=loads).backup == "zhang"


def test_the_first_rule_that_fits_decides():
    rules = [
        {"name": "night", "when": {"lines": ["L9"]}},
        {"name": "high", "when": {"priorities": ["high"], "types": ["equipment_repair"]}},
        {"name": "any"},
    ]
    found = plant(routing={"rules": rules})
    assert rule_for(CASE, found).name == "high"
    assert rule_for(LINE_STOP, found).name == "any"
    assert rule_for(CASE, plant(routing={"rules": []})).name == "usual"


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"calendar": "night"}, "no calendar 'night'"),
        ({"backup": "wang"}, "nobody else"),
        ({"backup": "x"}, "nobody else"),
    ],
)
def test_a_person_who_does_not_fit_the_document_is_refused_with_the_reason(changes, why):
    with pytest.raises(ValidationError, match=why):
        plant(person("wang", **changes))


@pytest.mark.parametrize("position", [{"x_m": 1}, {"lat": 1}, {}])
def test_half_a_position_is_refused(position):
    with pytest.raises(ValidationError, match="position"):
        plant(person("wang", position=position))


def test_a_rule_for_a_type_that_there_is_not_is_refused_with_its_name():
    rules = [{"name": "leaks", "when": {"fault_types": ["hydraulic_leek"]}}]
    with pytest.raises(ValidationError, match="'leaks': there is no type hydraulic_leek"):
        plant(routing={"rules": rules})


PEOPLE = st.lists(
    st.builds(
        dict,
        tags=st.sampled_from([[], ["bearing"], ["bearing", "hot work"]]),
        lines=st.sampled_from([[], ["L1"], ["L2"]]),
        online=st.booleans(),
        regions=st.sampled_from([[], ["north"], ["south"]]),
        max_load=st.integers(1, 4),
        seniority=st.integers(0, 20),
        position=st.sampled_from([None, place(1), place(80), {"lat": 1, "lon": 1}]),
        absent_until=st.sampled_from([None, "2026-03-13T00:00:00Z", "2026-03-01T00:00:00Z"]),
    ),
    max_size=7,
)


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(PEOPLE, st.lists(st.integers(0, 5), min_size=7, max_size=7), st.booleans(), st.randoms())
def test_laws_of_every_choice(
    people: list[dict[str, Any]], loads: list[int], urgent: bool, chance: Random
) -> None:
    """Nobody barred is named while somebody passes; the rank is by must, then prefer, then score; order means nothing."""
    named = [person(f"p{n}", **one) for n, one in enumerate(people)]
    carried = Loads({f"p{n}": load for n, load in enumerate(loads)})
    case = replace(LINE_STOP if urgent else CASE, region="north")
    found = chosen(*named, case=case, loads=carried)
    rule = rule_for(case, plant())
    barred = [bool(set(one.misses) & set(rule.must)) for one in found.candidates]
    assert barred == sorted(barred)
    passing = [one for one, out in zip(found.candidates, barred, strict=True) if not out]
    assert [one.person for one in passing[: rule.offer_to]] == list(found.offer_to)
    if passing:
        assert found.person == passing[0].person
    flawless = [one.score for one in passing if not set(one.misses) & set(rule.prefer)]
    assert flawless == sorted(flawless, reverse=True)
    assert found.backup is None or found.backup != found.person
    for one in found.candidates:
        assert one.score == pytest.approx(sum(one.parts.values()), abs=0.003)
        assert 0 <= one.score <= 1
    chance.shuffle(named)
    assert chosen(*named, case=case, loads=carried) == found
