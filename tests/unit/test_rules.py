"""docs/rules.toml holds every rule once, says honestly which are done, and docs/rules.md is what is written from it."""

from dataclasses import replace

import pytest

from tests import rules
from tests.rules import Rule, exists, faults, page, read

HERE = "tests/unit/test_rules.py"
DONE = Rule(
    "15", "one ticket", ("ticketing/dedup.py",), (f"{HERE}::test_no_rule_is_missing_none_is_twice",), "done"
)


def test_no_rule_is_missing_none_is_twice() -> None:
    assert list(faults(read())) == []


def test_the_page_is_what_make_rules_writes() -> None:
    assert rules.TABLE.read_text("utf-8") == page(read()), "run `make rules`"


def test_there_are_91_rules_with_two_more_between_ten_metrics_and_seventeen_decisions() -> None:
    assert sum(map(len, rules.PARTS.values())) == 91 + 2 + 10 + 17


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"where": ("ticketing/no_such.py",)}, "there is no file ticketing/no_such.py"),
        ({"tests": (f"{HERE}::test_no_such",)}, f"there is no test {HERE}::test_no_such"),
        ({"tests": ("tests/no_such.py::test_x",)}, "there is no test tests/no_such.py::test_x"),
        ({"tests": ()}, "is done without a file or without a test"),
        ({"where": ()}, "is done without a file or without a test"),
        ({"status": "open"}, "is open and names tests: set it to done, or take them out"),
        ({"status": "nearly"}, "status 'nearly' is neither open nor done"),
    ],
)
def test_a_claim_that_is_not_so_is_named(change: dict[str, object], said: str) -> None:
    others = [rule for rule in read() if rule.number != "15"]
    assert list(faults([*others, replace(DONE, **change)])) == [f"rule 15: {said}"]


def test_a_rule_left_out_put_in_twice_or_made_up_is_named() -> None:
    others = [rule for rule in read() if rule.number != "15"]
    assert list(faults(others)) == ["rule 15 is missing"]
    assert list(faults([*others, DONE, DONE])) == ["rule 15 is there twice"]
    assert "rule 92 is no rule's number" in list(faults([*others, DONE, replace(DONE, number="92")]))


def test_tests_are_found_as_pytest_names_them() -> None:
    assert exists(f"{HERE}::test_a_claim_that_is_not_so_is_named[change0-there is no file]")
    assert not exists(f"{HERE}::test_the_page_is_what_make_rules_writes[x]")
    assert exists("tests/unit/test_dedup.py::TestWindow::test_the_first_event_opens")
    assert not exists("tests/unit/test_dedup.py::test_the_first_event_opens")
    assert exists("tests/unit/test_dedup.py::TestInvariants")
