"""Whether a good number is a good one: people compared on the same work, requesters on the rise, how tickets are closed."""

from pathlib import Path

from sqlalchemy import insert

from andon.database import reading, writing
from andon.events import MINUTE_NS
from tests.department import DAY_NS, SITE
from tests.stores import opened
from ticketing import tables
from ticketing.metrics import gaming
from ticketing.metrics.metric import Question
from ticketing.metrics.periods import month_at

MARCH = month_at(1_773_000_000 * 10**9, "UTC")
LOW, HIGH = 0, 2


class Shelf:
    """Closed tickets as rows, each with what the comparison looks at."""

    def __init__(self, folder: Path) -> None:
        self.engine = opened(folder / "andon.sqlite")
        self.number = 0

    def closes(self, person: str, times: int, minutes: int, *, days: int = 5, **more: object) -> "Shelf":
        at_ns = MARCH.from_ns + days * DAY_NS
        with writing(self.engine) as conn:
            for _ in range(times):
                self.number += 1
                filled = {
                    c.name: "" if c.type.python_type is str else 0
                    for c in tables.ticket.columns
                    if not c.nullable
                }
                row = filled | {
                    "id": self.number,
                    "number": f"A-{self.number}",
                    "asset": "M1",
                    "type": "repair",
                }
                row |= {"state": "closed", "closure": "signed", "outcome": "fixed", "priority": LOW}
                row |= {
                    "opened_ns": at_ns,
                    "accepted_ns": at_ns,
                    "handler": person,
                    "summary": "ring replaced",
                }
                done_ns = at_ns + minutes * MINUTE_NS
                row |= {"resolved_ns": done_ns, "closed_ns": done_ns, "headline": "{}", "alarm_active": False}
                conn.execute(insert(tables.ticket).values(**row | more))
        return self

    def asked(self) -> Question:
        return Question(MARCH, MARCH.to_ns, SITE)

    def handlers(self) -> dict[str, gaming.Handler]:
        with reading(self.engine) as conn:
            return {one.person: one for one in gaming.handlers(conn, self.asked())}


def test_who_is_much_faster_with_the_easy_ones_is_asked_about(tmp_path: Path) -> None:
    """A takes 36 min for what takes the others 60: 40 % shorter, and none of it urgent."""
    shelf = Shelf(tmp_path).closes("a", 5, 36).closes("b", 4, 60).closes("b", 4, 60, priority=HIGH)
    found = shelf.handlers()
    assert (found["a"].shorter, found["a"].cherries, found["a"].hasty) == (40.0, True, False)
    assert (found["a"].urgent, found["a"].others_urgent) == (0.0, 50.0)
    assert not found["b"].suspicious


def test_who_is_less_than_40_percent_shorter_is_not(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path).closes("a", 5, 37).closes("b", 8, 60, priority=HIGH)
    assert not shelf.handlers()["a"].suspicious


def test_fast_on_other_kinds_of_work_is_no_comparison(tmp_path: Path) -> None:
    """A answers enquiries in 10 min, which nobody else does; on repairs both take as long."""
    shelf = Shelf(tmp_path).closes("a", 20, 10, type="enquiry").closes("a", 5, 60).closes("b", 5, 60)
    found = shelf.handlers()["a"]
    assert (found.shorter, found.others_minutes) == (0.0, 60.0)


def test_fast_work_that_comes_back_is_hasty(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path).closes("a", 6, 10, reopen_count=1).closes("b", 6, 60)
    found = shelf.handlers()["a"]
    assert (found.hasty, found.cherries, found.reopened) == (True, False, 100.0)


def test_too_few_tickets_are_not_compared(tmp_path: Path) -> None:
    assert Shelf(tmp_path).closes("a", 4, 1).closes("b", 50, 60).handlers()["a"].shorter is None


def test_false_alarms_make_nobody_fast(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path).closes("a", 9, 1, closure="false_alarm", outcome="false_alarm").closes("b", 9, 60)
    assert list(shelf.handlers()) == ["b"]


def test_a_requester_whose_tickets_rise_is_named_with_the_months_before(tmp_path: Path) -> None:
    """Six before, two a month: three now are half as many again; steady ones and the asset's owner are not named."""
    shelf = Shelf(tmp_path)
    for person, before, now in (("acme", 6, 3), ("steady", 9, 4), ("few", 0, 2)):
        said = {"requester": person, "reporter": person}
        shelf.closes("a", before, 60, days=-40, **said).closes("a", now, 60, **said)
    shelf.closes("a", 9, 60, requester="chen")
    with reading(shelf.engine) as conn:
        assert gaming.rising(conn, shelf.asked()) == [gaming.Rising("acme", 3, 2.0)]


def test_the_standard_of_closing_is_shown_month_by_month(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path).closes("a", 3, 60).closes("a", 1, 60, closure="unsigned", summary="ok")
    with reading(shelf.engine) as conn:
        found = gaming.standard(conn, shelf.asked())
    assert [one.period for one in found] == ["2025-12", "2026-01", "2026-02", "2026-03"]
    assert (found[0].tickets, found[0].unsigned) == (0, None)
    assert (found[-1].tickets, found[-1].unsigned, found[-1].summary_length) == (4, 25.0, 10.25)
