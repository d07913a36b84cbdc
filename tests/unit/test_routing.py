"""Who is named for a ticket, and why."""

from andon.plant import Person
from ticketing.routing import Loads, Need, suggest


def person(name: str, **changes) -> Person:
    return Person(**{"id": name, "name": name.title(), "role": "technician", "tags": ("bearing",), **changes})


NEED = Need("bearing", "L1", owner="chen")


def test_the_lightest_load_is_named_and_the_next_is_the_backup():
    people = [person("wang"), person("zhang"), person("li")]
    chosen = suggest(NEED, people, Loads({"wang": 3, "zhang": 1, "li": 2}))
    assert (chosen.person, chosen.backup, chosen.rule) == ("zhang", "li", "lightest")
    assert [(c.person, c.load, c.score) for c in chosen.candidates] == [
        ("zhang", 1, 0.8),
        ("li", 2, 0.6),
        ("wang", 3, 0.4),
    ]


def test_load_is_a_share_of_what_one_can_carry():
    people = [person("wang", max_load=10), person("zhang", max_load=3)]
    assert suggest(NEED, people, Loads({"wang": 3, "zhang": 1})).person == "wang"


def test_nobody_without_the_skill_is_named_while_someone_has_it():
    people = [person("wang", tags=("hydraulics",)), person("zhang", lines=("L2",), online=False)]
    chosen = suggest(NEED, people, Loads({"zhang": 4}))
    assert chosen.person == "zhang"
    assert {c.person: c.misses for c in chosen.candidates} == {
        "zhang": ("offline", "other_line"),
        "wang": ("skill",),
    }
    assert chosen.rule == "offline"


def test_the_own_line_comes_before_a_lighter_load_elsewhere():
    people = [person("wang", lines=("L1",)), person("zhang", lines=("L2",))]
    assert suggest(NEED, people, Loads({"wang": 4})).person == "wang"


def test_who_is_there_comes_before_who_stands_on_the_line():
    people = [person("wang", lines=("L1",), online=False), person("zhang", lines=("L2",))]
    assert suggest(NEED, people, Loads()).person == "zhang"


def test_a_full_hand_is_passed_over():
    people = [person("wang", max_load=2), person("zhang", max_load=20)]
    chosen = suggest(NEED, people, Loads({"wang": 2, "zhang": 19}))
    assert chosen.person == "zhang"
    assert chosen.candidates[1].misses == ("full",)


def test_a_tie_goes_to_the_one_least_recently_given_work():
    people = [person("wang"), person("zhang")]
    assert suggest(NEED, people, Loads({}, {"wang": 200, "zhang": 100})).person == "zhang"


def test_if_nobody_has_the_skill_the_owner_of_the_machine_is_named_and_it_is_said():
    chosen = suggest(NEED, [person("wang", tags=())], Loads())
    assert (chosen.person, chosen.backup, chosen.rule) == ("chen", "wang", "owner")


def test_a_ticket_without_a_required_skill_takes_whoever_is_free():
    assert suggest(Need(None, "L1"), [person("wang", tags=())], Loads()).person == "wang"


def test_in_an_empty_plant_nobody_is_named():
    chosen = suggest(Need(None, "L1"), [], Loads())
    assert (chosen.person, chosen.backup, chosen.rule) == (None, None, "nobody")


def test_the_order_of_the_people_makes_no_difference():
    people = [person("wang"), person("zhang"), person("li", lines=("L9",))]
    assert suggest(NEED, people, Loads()) == suggest(NEED, people[::-1], Loads())
