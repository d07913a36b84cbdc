"""Months that are kept, and what they ask for: thresholds, sustained, long, soaring, once a month, and the freeze."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy import func, insert, select

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS
from andon.plant import Plant
from tests.scenario.story import PLANT, Story, time_of
from tests.stores import Stores, opened
from ticketing.clockwork import turn
from ticketing.errors import DeedRefused, StepRefused
from ticketing.message_tables import outbox
from ticketing.metrics import actions, snapshots
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.measuring import measure
from ticketing.metrics.metric import Measured, Question
from ticketing.metrics.periods import month_at, months_before
from ticketing.metrics.readings import joint, rises, soars
from ticketing.metrics.tables import metric_snapshot
from ticketing.parts.tables import part, part_lot, part_use
from ticketing.problem_store import problem
from ticketing.quality.batches import of_problem
from ticketing.recoding import recode
from ticketing.service import Tickets

DAY_NS = 24 * HOUR_NS
JULY_NS = int(datetime(2026, 7, 20, tzinfo=UTC).timestamp()) * 10**9
SITE: Plant = PLANT
BEFORE = months_before(month_at(JULY_NS, "UTC"), 6, "UTC")  # January to June


class Shelf:
    """A store with months as they were kept."""

    def __init__(self, folder: Path) -> None:
        self.engine = opened(folder / "andon.sqlite")
        self.tickets = Tickets(self.engine)

    def keeps(self, code: str, *values: float | None, final: bool = True, end: int = 6) -> "Shelf":
        """Months of a metric in percent, the last of them June (or the `end`-th of the year)."""
        with writing(self.engine) as conn:
            for span, value in zip(BEFORE[end - len(values) : end], values, strict=True):
                row = dict.fromkeys(("undecided", "left_out", "taken_ns"), 0)
                row |= {"metric": code, "period": span.name, "final": final, "tickets": ""}
                row |= {"numerator": round(10 * (value or 0)), "denominator": 0 if value is None else 1000}
                conn.execute(insert(metric_snapshot).values(**row))
        return self

    def asks(self, plant: Plant = SITE) -> set[str]:
        with self.tickets.transaction(JULY_NS) as book:
            return {one.rule for one in actions.judge(book, plant)}


@pytest.fixture
def shelf(tmp_path: Path) -> Shelf:
    return Shelf(tmp_path)


class TestThresholds:
    @pytest.mark.parametrize(
        ("code", "values", "asked"),
        [
            ("K1", [75.0], set()),
            ("K1", [74.9], {"first_time_fix"}),
            ("K1", [None], set()),
            ("K4", [5.0], set()),
            ("K4", [5.1], {"chase_audit"}),
            ("K6", [29.9], set()),
            ("K6", [29.9, 29.9], {"knowledge_review"}),
            ("K6", [29.9, 30.0], set()),
            ("K6", [30.0, 29.9], set()),
            ("K7", [70.0], set()),
            ("K7", [70.1], {"top_causes"}),
            ("K7", [76.0, 76.0], {"top_causes"}),
            ("K7", [76.0, 75.0, 76.0], {"top_causes"}),
            ("K7", [76.0, 76.0, 76.0], {"top_causes", "top_cause_first"}),
            ("K8", [2.0], set()),
            ("K8", [2.1], {"recurrence"}),
        ],
    )
    def test_a_month_beyond_its_bound_asks(
        self, shelf: Shelf, code: str, values: list[float], asked: set[str]
    ):
        assert shelf.keeps(code, *values).asks() == asked

    def test_a_month_that_has_not_matured_asks_nothing(self, shelf: Shelf):
        assert shelf.keeps("K1", 10.0, final=False).asks() == set()

    def test_months_with_a_gap_are_not_running(self, shelf: Shelf):
        assert shelf.keeps("K6", 20.0, end=4).keeps("K6", 20.0).asks() == set()

    def test_a_month_asks_once_and_not_while_it_waits_to_be_done(self, shelf: Shelf):
        shelf.keeps("K4", 9.0, 9.0, end=5)
        assert shelf.asks() == {"chase_audit"}
        assert shelf.asks() == set()
        shelf.keeps("K4", 9.0)
        assert shelf.asks() == set()
        with shelf.tickets.transaction(JULY_NS) as book:
            (waiting,) = actions.actions(book.conn, open_only=True)
            with pytest.raises(StepRefused):
                actions.finish(book, waiting.id, note=" ", actor="chen")
            done = actions.finish(book, waiting.id, note="scripts rewritten", actor="chen")
            with pytest.raises(DeedRefused):
                actions.finish(book, waiting.id, note="scripts rewritten", actor="chen")
        assert (done.done_by, done.value, done.period) == ("chen", 9.0, "2026-05")
        assert shelf.asks() == {"chase_audit"}

    def test_chases_and_failures_of_systems_that_rise_together_are_an_integration_fault(self, shelf: Shelf):
        shelf.keeps("K4", 2.0, 3.0).keeps("K5", 0.0, 0.4)
        assert shelf.asks() == {"integration_fault"}

    def test_a_site_says_what_sustained_means(self, shelf: Shelf):
        rules = SITE.metrics.model_copy(update={"sustained_months": 1})
        assert shelf.keeps("K6", 20.0).asks(SITE.model_copy(update={"metrics": rules})) == {
            "knowledge_review"
        }


def months(*values: float | None) -> Sequence[Measured]:
    return [
        Measured("K4", span, 0, 0, value, provisional=False, matured_ns=0)
        for span, value in zip(BEFORE, values, strict=False)
    ]


class TestReading:
    @pytest.mark.parametrize(
        ("values", "soaring"),
        [
            ((2.0, 4.0, 6.0, 6.0), True),
            ((2.0, 4.0, 6.0, 5.99), False),
            ((4.0, 6.0, 9.0), False),
            ((0.0, 0.0, 0.0, 0.1), True),
            ((0.0, 0.0, 0.0, 0.0), False),
            ((None, 4.0, 6.0, 9.0), False),
            ((2.0, 4.0, 6.0, None), False),
        ],
    )
    def test_soaring_is_one_and_a_half_times_the_mean_of_the_three_months_before(self, values, soaring: bool):
        assert soars(months(*values), SITE) is soaring

    def test_two_metrics_say_together_what_neither_says_alone(self):
        trends = dict.fromkeys(METRICS, months(3.0, 3.0)) | {"K4": months(3.0, 4.0), "K5": months(0.0, 1.0)}
        assert [one.code for one in joint(trends, SITE) if one.holds] == ["integration_fault"]
        trends |= {"K4": months(3.0, 2.0), "K1": months(80.0, 90.0), "K9": months(90.0, 80.0)}
        assert [one.code for one in joint(trends, SITE) if one.holds] == ["closing_standard"]
        assert not rises(months(None, 3.0))


class TestMonths:
    def test_what_comes_back_is_kept_judged_looked_into_and_its_lots_are_to_be_frozen(
        self, stores: Stores, tmp_path: Path
    ):
        """Two machines mended for one cause in March; one fails of it again in 20 days. K8 is 50 %: rule 56."""
        story = Story.begins(tmp_path, stores.open())
        for number, (machine, clock) in enumerate((("M1", "10:00"), ("M2", "11:00"), ("M1", "+21 10:00")), 1):
            story.at(clock).stops(machine, f"E{number}").repairs(number).signs(number)
        with writing(story.engine) as conn:
            named = {"name_zh": "密封", "name_en": "seal", "unit": "pcs", "price_cents": 100}
            values = {"code": "SEAL", **named, "min_stock": 0.0, "fits": "[]", "barcode": "", "changed_ns": 1}
            known = {name: value for name, value in values.items() if name in part.c}
            known |= {
                c.name: "" for c in part.c if c.name not in known and not c.nullable and not c.server_default
            }
            conn.execute(insert(part).values(**known))
            conn.execute(insert(part_lot).values(part="SEAL", lot="L7", received_ns=1))
            used = {"ticket": 1, "part": "SEAL", "lot": "L7", "asset": "M1", "quantity": 1.0, "at_ns": 1}
            conn.execute(insert(part_use).values(**used))
        begin_ns = time_of("10:00")
        now_ns = begin_ns + 75 * DAY_NS  # March has matured
        for days in (22, 32, 75):
            for minutes in (0, 2):
                while turn(
                    story.tickets, story.plant, begin_ns + days * DAY_NS + minutes * MINUTE_NS, turn_s=60
                ):
                    pass
        march = month_at(begin_ns, "UTC")
        with reading(story.engine) as conn:
            kept = snapshots.of_month(conn, METRICS["K8"], march)
            found = [one for one in actions.actions(conn) if one.rule == "recurrence"]
            hashes = _hashes(conn, march.name)
            now = Question(march, now_ns, story.plant)
            again = {code: snapshots.hash_of(conn, METRICS[code], now) for code in METRICS}
            first = conn.execute(select(func.min(metric_snapshot.c.period))).scalar()
            messages = conn.execute(select(outbox.c.kind)).scalars().all()
        assert (kept.numerator, kept.denominator, kept.provisional) == (1, 3, False)
        assert first == march.name, "nothing is kept of months before the first ticket"
        (action,) = found
        assert (action.period, action.numerator, action.denominator) == ("2026-03", 1, 3)
        assert "metric.action" in messages
        assert hashes == again
        assert action.problem is not None
        with reading(story.engine) as conn:
            task = problem(conn, action.problem)
            (batch,) = of_problem(conn, action.problem)
        assert [one.ticket for one in task.counted] == [1]
        assert (batch.state, [(one.part, one.lot) for one in batch.lots]) == (
            "freeze_asked",
            [("SEAL", "L7")],
        )
        self._stays(story, march, now_ns, hashes)

    def _stays(self, story: Story, march, now_ns: int, hashes: dict[str, str]) -> None:
        """What is named anew later changes the figure of today; the month as it was told stays, and the hash says so."""
        version = story.ticket(3).version
        said = {"cause": "2.1", "reason": "looked again", "plant": story.plant, "actor": "chen"}
        recode(story.tickets, 3, **said, now_ns=now_ns, expected_version=version)
        with writing(story.engine) as conn:
            question = Question(march, now_ns + DAY_NS, story.plant)
            assert measure(conn, METRICS["K8"], question).numerator == 0
            assert snapshots.take(conn, METRICS["K8"], question).numerator == 1
            assert snapshots.hash_of(conn, METRICS["K8"], question) != hashes["K8"]


def _hashes(conn, period: str | None) -> dict[str, str]:
    c = metric_snapshot.c
    return {
        row.metric: row.tickets for row in conn.execute(select(metric_snapshot).where(c.period == period))
    }
