"""`andon bench quality`: a wrong name is counted as such, whatever right ones stand beside it."""

import pytest

from andon.benches import quality
from andon.benches.quality import Case, Told
from simulators.bearing import Element, Fault

INNER = Case(Element.INNER_RACE, 0.5, 1.0, 0.0)


@pytest.mark.parametrize(
    ("truth", "said"),
    [
        (None, "none"),
        (Element.OUTER_RACE, "bearing_outer_race"),
        (Fault.IMBALANCE, "imbalance"),
        (Fault.ANGULAR_MISALIGNMENT, "misalignment"),
    ],
)
def test_a_clear_case_is_told_as_what_it_is(truth: Element | Fault | None, said: str) -> None:
    told = quality.told_of(Case(truth, 0.5, 1.0, 0.01))
    assert (told.said, told.right, told.false) == (said, True, False)


def test_only_a_wrong_name_is_a_false_naming() -> None:
    told = [Told(INNER, said) for said in ("none", "bearing_unknown", "bearing_inner_race", "looseness")]
    assert [one.false for one in told] == [False, False, False, True]
    rows = {row.name: row for row in quality.rows(told)}
    assert (rows["false namings"].value, rows["false namings"].met) == (1, False)
    assert rows["right: bearing_inner_race"].value == 25
    assert rows["bearing_inner_race, told as looseness"].value == 1
    head, *lines = quality.confusion(told)
    assert dict(zip(head, lines[2], strict=True))["looseness"] == "1"


def test_every_truth_is_tried_at_every_severity_noise_and_speed_error() -> None:
    cases = quality.cases()
    assert {case.truth for case in cases} == {None, *Element, *Fault}
    assert len(set(cases)) == len(cases) == 9 * 3 * 2 * 3
