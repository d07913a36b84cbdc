"""Priority and headline: what rises, and what stands at the head."""

from dataclasses import replace
from itertools import permutations

import pytest

from andon.events import SECOND_NS, Action, Family, Finding, Number, Origin
from andon.own_findings import OWN_ASSET
from andon.plant import Asset
from ticketing.urgency import graver, headline_of, higher, priority_of

T = 1_750_000_000 * SECOND_NS
HEARD = Finding(
    id="f1",
    asset="M7",
    component="DE",
    family=Family.MACHINE_CONDITION,
    condition="zone_c",
    action=Action.RAISE,
    at_ns=T,
    onset_ns=T,
    severity=500,
    confidence=1.0,
    numbers=(Number("velocity_rms", 5.2, "mm/s", 4.5, "ISO 20816-3"), Number("odd", float("nan"), "")),
    evidence={},
    detector="velocity_zones",
    version="1",
    parameters_hash="",
    origin=Origin("mqtt", 0, T),
    text={"category": "mechanical"},
)


def machine(criticality: str) -> Asset:
    return Asset(id="M7", name="Press", asset_class="press", path="e/s/a/L1/c", criticality=criticality)


@pytest.mark.parametrize(
    ("severity", "priority"),
    [(1, "low"), (333, "low"), (334, "medium"), (666, "medium"), (667, "high"), (1000, "high")],
)
def test_severity_makes_the_priority(severity, priority):
    assert priority_of(replace(HEARD, severity=severity), machine("B"), {}) == priority


def test_high_on_a_critical_machine_is_critical():
    assert priority_of(replace(HEARD, severity=800), machine("A"), {}) == "critical"
    assert priority_of(HEARD, machine("A"), {}) == "medium"


def test_the_plants_own_word_comes_first_condition_before_category_before_family():
    own = {"machine_condition": "low", "mechanical": "high", "zone_c": "critical"}
    assert priority_of(HEARD, None, own) == "critical"
    del own["zone_c"]
    assert priority_of(HEARD, None, own) == "high"


def test_priority_never_falls():
    assert higher("high", "low") == higher("low", "high") == "high"


def test_the_headline_names_the_cause_whatever_the_order_it_was_heard_in():
    words = [
        replace(HEARD, id="stop", family=Family.STOP, condition="stop", severity=900),
        HEARD,
        replace(HEARD, id="d", condition="zone_d", severity=800),
        replace(HEARD, id="u", condition="bearing_unknown", severity=600),
        replace(HEARD, id="b", condition="bearing_outer_race", severity=600),
    ]
    heads = [headline_of(word, T) for word in words]
    for order in permutations(heads):
        head = order[0]
        for other in order[1:]:
            head = graver(head, other)
        assert head.condition == "bearing_outer_race"
    assert graver(heads[1], heads[2]).condition == "zone_d"


def test_a_number_that_is_none_is_left_out():
    assert [number.name for number in headline_of(HEARD, T).numbers] == ["velocity_rms"]


def test_only_what_andon_says_of_itself_is_critical_by_severity_alone() -> None:
    own = replace(HEARD, asset=OWN_ASSET, severity=950)
    assert priority_of(own, None, {}) == "critical"
    assert priority_of(replace(own, severity=600), None, {}) == "medium"
    assert priority_of(replace(HEARD, severity=950), None, {}) == "high"


def test_of_what_people_say_the_first_words_stand_at_the_head() -> None:
    first, later = (
        headline_of(replace(HEARD, id=f"r{n}", family=Family.REPORT, text={"message": said}), T + n)
        for n, said in enumerate(("strange noise", "any news?"))
    )
    assert graver(first, later).text["message"] == graver(later, first).text["message"] == "strange noise"
