"""What a back-test counts: events of two variants beside each other, and what labels make of them."""

import pytest

from andon.backtests.compare import Told, by_week, paired, rows, summary
from andon.events import HOUR_NS, MINUTE_NS
from ticketing.labels import Label, What

DAY_NS = 24 * HOUR_NS
T0 = 1_790_000_000 * 10**9


def event(from_min: float, to_min: float, asset: str = "M1", component: str = "de") -> Told:
    times = (T0 + int(from_min * MINUTE_NS), T0 + int(to_min * MINUTE_NS))
    return Told(asset, component, "machine_condition", "band_energy_rise", *times)


def label(what: What, from_min: float, to_min: float, component: str | None = "de") -> Label:
    times = (T0 + int(from_min * MINUTE_NS), T0 + int(to_min * MINUTE_NS))
    return Label("M1", component, *times, what, "li", "", 0)


@pytest.mark.parametrize(
    ("active", "changed", "verdicts"),
    [
        ([event(5, 9)], [event(5, 20)], ["same"]),
        ([event(5, 9)], [event(7, 20)], ["later"]),
        ([event(5, 9)], [event(1, 20)], ["earlier"]),
        ([event(5, 9)], [], ["only_active"]),
        ([], [event(5, 9)], ["only_changed"]),
        ([event(5, 9)], [event(10, 20)], ["only_active", "only_changed"]),
        ([event(5, 9)], [event(5, 9, component="nde")], ["only_active", "only_changed"]),
        ([event(0, 60)], [event(5, 9), event(20, 30)], ["later", "only_changed"]),
    ],
)
def test_an_event_is_matched_once_by_cause_and_time(
    active: list[Told], changed: list[Told], verdicts: list[str]
) -> None:
    assert [pair.verdict for pair in paired(active, changed)] == verdicts


def test_a_known_fault_is_caught_with_the_lead_of_its_first_ticket() -> None:
    faults = [label(What.FAULT, 60, 120), label(What.FAULT, 600, 700)]
    said = summary([], [event(70, 130), event(90, 130)], 0, faults, weeks=2.0)
    assert (said["known_faults"], said["caught"], len(said["missed"])) == (2, 1, 1)
    assert said["lead_s"] == {"median": 50 * 60, "least": 50 * 60}
    assert said["tickets_per_week"] == 1.0


@pytest.mark.parametrize("what", [What.FALSE_ALARM, What.PLANNED, What.OPERATING_CHANGE, What.HEALTHY])
def test_a_ticket_where_nothing_was_wrong_is_false(what: What) -> None:
    said = summary([], [event(70, 130), event(500, 510)], 0, [label(what, 60, 120)], weeks=1.0)
    assert (said["false_tickets"], said["unlabelled_tickets"]) == (1, 1)


def test_a_fault_explains_what_a_wider_word_would_call_false() -> None:
    labels = [label(What.OPERATING_CHANGE, 0, 500, component=None), label(What.FAULT, 60, 120)]
    said = summary([], [event(70, 130)], 0, labels, weeks=1.0)
    assert (said["caught"], said["false_tickets"]) == (1, 0)


def test_what_is_known_of_one_side_is_known_of_the_pair() -> None:
    pair = paired([event(70, 130)], [event(121, 130)])
    (row,) = rows(pair, [label(What.FALSE_ALARM, 60, 120)])
    assert (row["verdict"], row["known"], row["shift_s"]) == ("later", "false_alarm", 51 * 60)


def test_tickets_are_counted_by_machine_and_week() -> None:
    week = 7 * 24 * 60
    counted = by_week([event(0, 1), event(week, week + 1)], [event(0, 1)])
    assert [(row["active"], row["changed"]) for row in counted] == [(1, 1), (1, 0)]
