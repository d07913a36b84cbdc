"""Tickets against what was planted: missing, doubled and false ones are each seen."""

from andon.events import MINUTE_NS, Family, Json
from simulators.truth import Planted, compare

BEARING = Planted(
    "p1",
    "M1",
    "bearing_de",
    Family.MACHINE_CONDITION,
    "bearing_outer_race",
    20 * MINUTE_NS,
    38 * MINUTE_NS,
    "ticket",
)
STOP = Planted("p2", "M2", "JAM", Family.STOP, "stop", 10 * MINUTE_NS, 14 * MINUTE_NS, "ticket")
AGAIN = Planted("p3", "M2", "JAM", Family.STOP, "stop", 40 * MINUTE_NS, 44 * MINUTE_NS, "joins")
RCA = Planted("p4", "M2", "JAM", Family.STOP, "stop", 40 * MINUTE_NS, 44 * MINUTE_NS, "rca")
CONSEQUENCE = Planted("p5", "M1", "TRIP", Family.STOP, "stop", 45 * MINUTE_NS, 49 * MINUTE_NS, "joins")
PLANTED = [BEARING, STOP, AGAIN, RCA, CONSEQUENCE]
END_NS = 60 * MINUTE_NS


def ticket(fault: Planted, minute: float) -> dict[str, Json]:
    return {
        "asset": fault.asset,
        "component": fault.component,
        "family": fault.family.value,
        "opened_ns": round(minute * MINUTE_NS),
    }


GOOD = [ticket(BEARING, 30), ticket(STOP, 10.2)]


def test_one_ticket_for_each_cause_is_all_found() -> None:
    assert compare(GOOD, PLANTED, END_NS) == {"planted": 2, "found": 2, "missed": [], "false": []}


def test_a_missing_ticket_is_missed_with_what_was_due() -> None:
    truth = compare(GOOD[1:], PLANTED, END_NS)
    assert (truth["planted"], truth["found"], truth["false"]) == (2, 1, [])
    assert [(one["id"], one["why"]) for one in truth["missed"]] == [("p1", "no ticket")]


def test_a_second_ticket_for_one_cause_is_false() -> None:
    truth = compare([*GOOD, ticket(BEARING, 50)], PLANTED, END_NS)
    assert truth["found"] == 2
    assert [(one["asset"], one["why"]) for one in truth["false"]] == [("M1", "a second ticket for one cause")]


def test_a_ticket_that_nothing_was_planted_for_is_false() -> None:
    truth = compare([*GOOD, ticket(BEARING, 30) | {"asset": "M9"}], PLANTED, END_NS)
    assert [(one["asset"], one["why"]) for one in truth["false"]] == [("M9", "nothing was planted for it")]


def test_a_ticket_before_the_onset_is_false_and_the_fault_is_missed() -> None:
    truth = compare([ticket(BEARING, 5), GOOD[1]], PLANTED, END_NS)
    assert [one["id"] for one in truth["missed"]] == ["p1"]
    assert [one["why"] for one in truth["false"]] == ["nothing was planted for it"]


def test_a_ticket_for_what_should_have_joined_another_is_false() -> None:
    truth = compare([*GOOD, ticket(CONSEQUENCE, 45.1)], PLANTED, END_NS)
    assert [one["why"] for one in truth["false"]] == ["should have joined the open ticket"]


def test_a_ticket_after_its_due_time_is_missed_and_says_how_late() -> None:
    truth = compare([ticket(BEARING, 39.5), GOOD[1]], PLANTED, END_NS)
    assert [(one["id"], one["why"]) for one in truth["missed"]] == [("p1", "1.5 min late")]
    assert truth["false"] == []


def test_what_is_not_due_yet_neither_counts_nor_makes_its_ticket_false() -> None:
    early = compare(GOOD, PLANTED, 35 * MINUTE_NS)
    assert early == {"planted": 1, "found": 1, "missed": [], "false": []}
    assert compare(GOOD[1:], PLANTED, 35 * MINUTE_NS)["missed"] == []


def test_problems_are_judged_where_they_are_given() -> None:
    problem = {"asset": "M2", "opened_ns": 40 * MINUTE_NS}
    assert compare(GOOD, PLANTED, END_NS, [problem])["found"] == 3
    assert [one["why"] for one in compare(GOOD, PLANTED, END_NS, [])["missed"]] == ["no rca"]
    assert compare(GOOD, PLANTED, END_NS, [problem | {"opened_ns": 55 * MINUTE_NS}])["missed"] == []
    other = compare(GOOD, PLANTED, END_NS, [problem, problem | {"asset": "M1"}])
    assert [(one["is"], one["asset"]) for one in other["false"]] == [("rca", "M1")]


def test_a_fault_that_comes_back_after_its_ticket_was_planted_twice_takes_one_ticket_each() -> None:
    later = Planted("p6", "M2", "JAM", Family.STOP, "stop", 50 * MINUTE_NS, 54 * MINUTE_NS, "ticket")
    tickets = [ticket(STOP, 10.2), ticket(STOP, 50.5)]
    assert compare(tickets, [STOP, later], END_NS)["found"] == 2
