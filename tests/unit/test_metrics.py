"""Every metric over a random history, beside what a person with pencil and paper makes of the same audit."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from itertools import zip_longest
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, Engine, insert, select

from andon.database import reading, writing
from andon.events import HOUR_NS, MINUTE_NS
from andon.rules.metrics import MetricBounds
from tests.department import DAY_NS, SITE, Department
from tests.stores import DATABASES, Shelf, Stores, opened
from ticketing import clock_tables, reports, tables
from ticketing.knowledge.tables import citation
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.measuring import bounds_of, measure, tickets_of
from ticketing.metrics.metric import Part, Question, Unit, Verdict
from ticketing.metrics.periods import month_at, months_before, period_of
from ticketing.monthly import Span
from ticketing.partners.tables import partner_sync
from ticketing.rows import event_of
from ticketing.search import ticket_words
from ticketing.sql import metadata
from ticketing.ticket import TicketEvent
from ticketing.voice.tables import acknowledgement, enquiry, nps_answer

BEGIN_NS = 1_772_323_200 * 10**9  # 2026-03-01T00:00Z
MARCH = month_at(BEGIN_NS, "UTC")
LATER_NS = MARCH.to_ns + 31 * DAY_NS
UNKNOWN = {"5.0", "5.1", "5.5"}
OPEN = {"pending_dispatch", "assigned", "in_progress"}
Amounts = dict[tuple[int, int], int | None]
"""What is counted: (ticket, item) -> amount, None while it is open."""


@pytest.fixture(scope="module")
def worked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Engine, int]:
    """Two months of a department, on SQLite; and when they end."""
    folder = tmp_path_factory.mktemp("department")
    engine = opened(folder / "andon.sqlite")
    department = Department(engine, folder, seed=7, from_ns=BEGIN_NS - 12 * DAY_NS)
    department.works(tickets=42, days=52)
    return engine, department.now_ns


@pytest.fixture(scope="module", params=DATABASES)
def history(
    request: pytest.FixtureRequest, worked: tuple[Engine, int], tmp_path_factory: pytest.TempPathFactory
) -> Iterator["History"]:
    """The same history on each database."""
    engine, now_ns = worked
    if request.param == "sqlite":
        yield History(engine, now_ns)
        return
    shelf: Shelf = request.getfixturevalue("postgresql")
    stores = Stores(tmp_path_factory.mktemp("shelf"), shelf)
    try:
        other = stores.open()
        with reading(engine) as source, writing(other) as target:
            for table in metadata.sorted_tables:
                rows = [dict(row) for row in source.execute(select(table)).mappings()]
                if rows and table is not ticket_words:  # each database indexes words in its own way
                    target.execute(insert(table), rows)
        yield History(other, now_ns)
    finally:
        stores.close()


@dataclass
class Told:
    """One ticket by its audit: what each line changed, folded."""

    row: Any
    lines: list[TicketEvent]

    @cached_property
    def now(self) -> dict[str, Any]:
        said: dict[str, Any] = {}
        for line in self.lines:
            said |= {name: change[1] for name, change in line.changes.items()}
        return said

    @property
    def opened_ns(self) -> int:
        return self.lines[0].at_ns

    @property
    def state(self) -> str:
        return str(self.lines[-1].to_state)

    def last(self, state: str) -> int | None:
        """When it last came into that state, if nothing was done anew since."""
        at_ns = None
        for line in self.lines:
            if line.to_state == state and line.from_state != state:
                at_ns = line.at_ns
            elif line.to_state in OPEN:
                at_ns = None
        return at_ns

    @cached_property
    def closed_ns(self) -> int | None:
        return self.last("closed") if self.state == "closed" else None

    @property
    def resolved_ns(self) -> int | None:
        return self.last("resolved")

    @property
    def aside(self) -> bool:
        never = {"duplicate", "false_alarm", "cancelled"}
        return self.now.get("closure") in never or self.now.get("outcome") == "false_alarm"

    @property
    def worked_on(self) -> bool:
        return self.state == "closed" and self.now.get("closure") in {"signed", "unsigned"} and not self.aside

    @property
    def subject(self) -> str | None:
        row = self.row
        if row["requester"] and (row["reporter"] or row["phone"]):
            return f"person {row['requester']}"
        return f"machine {row['asset']}" if row["asset"] else None

    @property
    def cause(self) -> str | None:
        return self.now.get("cause") if self.resolved_ns is not None else None

    def first(self, action: str) -> int:
        return next((line.at_ns for line in self.lines if line.action == action), -1)

    def did(self, *actions: str) -> int:
        return sum(line.action in actions for line in self.lines)


class History:
    """A store with what happened, and what pencil and paper make of it."""

    def __init__(self, engine: Engine, now_ns: int) -> None:
        self.engine, self.now_ns = engine, now_ns
        with reading(engine) as conn:
            lines = defaultdict(list)
            for row in conn.execute(
                select(tables.ticket_event).order_by(tables.ticket_event.c.seq)
            ).mappings():
                lines[row["ticket"]].append(event_of(row))
            rows = conn.execute(select(tables.ticket)).mappings()
            self.tickets = {row["id"]: Told(row, lines[row["id"]]) for row in rows}
            self.failures = conn.execute(select(tables.failure)).mappings().all()
            self.clocks = conn.execute(select(clock_tables.clock)).mappings().all()
            named = reports.intake.outerjoin(reports.fate, reports.fate.c.report == reports.intake.c.id)
            wanted = select(reports.intake.c.id, reports.intake.c.at_ns, reports.fate.c.report)
            self.reports = conn.execute(wanted.select_from(named)).all()
            others = (acknowledgement, partner_sync, citation, enquiry, nps_answer)
            self.of = {table.name: conn.execute(select(table)).mappings().all() for table in others}

    def those(self, counts: Callable[[Told], bool], amount: Callable[[Told], int | None]) -> Amounts:
        return {(number, 0): amount(one) for number, one in self.tickets.items() if counts(one)}

    def counts(self, code: str, span: Span, now_ns: int) -> Amounts:
        return getattr(self, code.lower())(span, now_ns)

    def opened(self, span: Span, amount: Callable[[Told], int | None]) -> Amounts:
        return self.those(lambda t: span.from_ns <= t.opened_ns < span.to_ns and not t.aside, amount)

    def closed(self, span: Span, amount: Callable[[Told], int | None]) -> Amounts:
        return self.those(lambda t: t.worked_on and span.from_ns <= (t.closed_ns or 0) < span.to_ns, amount)

    def k1(self, span: Span, now_ns: int) -> Amounts:
        def fixed(t: Told) -> int | None:
            if t.state != "closed":
                return None if now_ns < span.to_ns + 30 * DAY_NS else 0
            again = any(
                o.row["recurrence_of"] == t.row["id"] and o.opened_ns <= t.closed_ns + 30 * DAY_NS
                for o in self.tickets.values()
                if not o.aside
            )
            mine = any(f["ticket"] == t.row["id"] for f in self.failures)
            failed = mine and any(
                f["asset"] == t.row["asset"]
                and 0 < f["start_ns"] - t.resolved_ns <= 72 * HOUR_NS
                and not self.tickets[f["ticket"]].aside
                for f in self.failures
            )
            return int(not t.now.get("reopen_count") and t.did("arrive") <= 1 and not again and not failed)

        return self.those(lambda t: span.from_ns <= t.first("accept") < span.to_ns and not t.aside, fixed)

    def k2(self, span: Span, _now_ns: int) -> Amounts:
        return {
            (r["ticket"], r["seq"]): None
            if r["acknowledged_ns"] is None
            else r["acknowledged_ns"] - r["asked_ns"]
            for r in self.of["acknowledgement"]
            if span.from_ns <= r["asked_ns"] < span.to_ns
            and r["void_ns"] is None
            and not self.tickets[r["ticket"]].aside
        }

    def k3(self, span: Span, _now_ns: int) -> Amounts:
        return self.closed(span, lambda t: int(t.now["closure"] == "signed"))

    def k4(self, span: Span, _now_ns: int) -> Amounts:
        times = Counter(r["ticket"] for r in self.of["enquiry"] if r["counted"])
        return self.opened(span, lambda t: int(times[t.row["id"]] >= 2))

    def k5(self, span: Span, _now_ns: int) -> Amounts:
        told = defaultdict(list)
        for r in self.of["partner_sync"]:
            if span.from_ns <= r["changed_ns"] < span.to_ns:
                told[r["ticket"]].append(r)
        found: Amounts = {}
        for number, some in told.items():
            failed = any(r["failed_ns"] is not None for r in some)
            waits = any(r["confirmed_ns"] is None for r in some)
            found[number, 0] = 1 if failed else None if waits else 0
        return found

    def k6(self, span: Span, _now_ns: int) -> Amounts:
        citing = {r["ticket"] for r in self.of["citation"]}
        return self.closed(span, lambda t: int(t.row["id"] in citing))

    def k7(self, span: Span, _now_ns: int) -> Amounts:
        named = {
            (t.row["id"], 0): t.cause
            for t in self.tickets.values()
            if t.cause
            and span.from_ns <= t.resolved_ns < span.to_ns
            and t.cause not in UNKNOWN
            and not t.aside
        }
        often = Counter(named.values())
        top = sorted(often, key=lambda cause: (-often[cause], cause))[:3]
        return {key: int(cause in top) for key, cause in named.items()}

    def k8(self, span: Span, _now_ns: int) -> Amounts:
        def recurred(t: Told) -> int:
            return int(
                t.cause not in UNKNOWN
                and t.subject is not None
                and any(
                    (o.subject, o.cause) == (t.subject, t.cause)
                    and 0 < o.opened_ns - t.closed_ns <= 30 * DAY_NS
                    and not o.aside
                    for o in self.tickets.values()
                )
            )

        return self.closed(span, recurred)

    def k9(self, span: Span, now_ns: int) -> Amounts:
        found: Amounts = {}
        for number, t in self.tickets.items():
            steps = [
                e
                for e in t.lines
                if e.action in {"resolve", "sign", "close_unsigned", "reject", "fail_again"}
            ]
            asked = [(e, a) for e, a in zip_longest(steps, steps[1:]) if e.action == "resolve"]
            asked = [(e, a) for e, a in asked if a is None or a.action != "fail_again"]
            if asked and span.from_ns <= asked[0][0].at_ns < span.to_ns and not t.aside:
                answer = asked[0][1]
                waits = answer is None and now_ns < span.to_ns + 30 * DAY_NS
                found[number, 0] = None if waits else int(answer is not None and answer.action == "sign")
        return found

    def first_response(self, span: Span, _now_ns: int) -> Amounts:
        clocks = {(c["ticket"], c["from_ns"]): c["state"] for c in self.clocks if c["kind"] == "response"}
        known = {"met": 1, "breached": 0}
        found = self.opened(span, lambda t: known.get(clocks.get((t.row["id"], t.opened_ns), "void")))
        state = {key: clocks.get((key[0], self.tickets[key[0]].opened_ns), "void") for key in found}
        return {key: amount for key, amount in found.items() if state[key] != "void"}

    def mean_response(self, span: Span, _now_ns: int) -> Amounts:
        def answered(t: Told) -> int | None:
            for line in t.lines[1:]:
                row = t.row
                remark = line.action in {"comment", "photo"} and line.actor in {
                    row["requester"],
                    row["reporter"],
                }
                remark = remark and line.actor != row["assignee"]
                passive = line.action in {"joined", "joined_many", "returned", "snoozed", "woken"}
                if line.channel != "engine" and "/" not in line.actor and not remark and not passive:
                    return line.at_ns - t.opened_ns
            return None

        return self.opened(span, answered)

    def closing_rate(self, span: Span, _now_ns: int) -> Amounts:
        return self.opened(span, lambda t: int(t.state == "closed"))

    def dispatch_accuracy(self, span: Span, _now_ns: int) -> Amounts:
        def right(t: Told) -> int | None:
            if t.did("decline", "transfer"):
                return 0
            return None if t.state in {"assigned", "pending_dispatch"} else 1

        return self.those(lambda t: span.from_ns <= t.first("assign") < span.to_ns and not t.aside, right)

    def duplicates(self, span: Span, _now_ns: int) -> Amounts:
        merged: Callable[[Told], int] = lambda t: int(t.now.get("closure") == "duplicate")  # noqa: E731
        return self.those(lambda t: span.from_ns <= t.opened_ns < span.to_ns, merged)

    def duplicate_dispatch(self, span: Span, _now_ns: int) -> Amounts:
        merged: Callable[[Told], int] = lambda t: int(t.now.get("closure") == "duplicate")  # noqa: E731
        return self.those(lambda t: span.from_ns <= t.first("assign") < span.to_ns, merged)

    def lost(self, span: Span, now_ns: int) -> Amounts:
        return {
            (0, number): 0 if fate else None if at_ns > now_ns - MINUTE_NS else 1
            for number, at_ns, fate in self.reports
            if span.from_ns <= at_ns < span.to_ns
        }

    def complaint_repeat(self, span: Span, _now_ns: int) -> Amounts:
        told = [t for t in self.tickets.values() if t.row["type"] == "customer_complaint" and not t.aside]

        def again(t: Told) -> int:
            return int(
                any(
                    (o.subject, o.row["fault_type"]) == (t.subject, t.row["fault_type"])
                    and 0 < t.opened_ns - o.opened_ns <= 30 * DAY_NS
                    for o in told
                )
            )

        return {k: again(self.tickets[k[0]]) for k in self._complaints(span)}

    def complaints_no_progress(self, span: Span, _now_ns: int) -> Amounts:
        return {k: int(self.tickets[k[0]].row["fault_type"] == "no_progress") for k in self._complaints(span)}

    def _complaints(self, span: Span) -> Amounts:
        of_type = "customer_complaint"
        return {
            k: v
            for k, v in self.opened(span, lambda _: 0).items()
            if self.tickets[k[0]].row["type"] == of_type
        }

    def enquiries(self, span: Span, _now_ns: int) -> Amounts:
        asked = self.of["enquiry"]
        return {
            (r["ticket"], r["id"]): 1
            for r in asked
            if r["counted"] and span.from_ns <= r["at_ns"] < span.to_ns
        }

    def nps(self, span: Span, _now_ns: int) -> Amounts:
        return {
            (r["ticket"], r["cycle"]): (r["score"] >= 9) - (r["score"] <= 6)
            for r in self.of["nps_answer"]
            if span.from_ns <= r["at_ns"] < span.to_ns
        }


def asked(span: Span = MARCH, now_ns: int = LATER_NS, *wheres: Any) -> Question:
    return Question(span, now_ns, SITE, wheres)


def listed(conn: Connection, code: str, question: Question, part: Part) -> dict[tuple[int, int], int | None]:
    return {
        (one.ticket or 0, one.item): one.amount for one in tickets_of(conn, METRICS[code], question, part)
    }


class TestHistory:
    @pytest.mark.parametrize("code", METRICS)
    def test_a_metric_is_what_the_audit_says(self, history: History, code: str):
        """In March, in February, in the last 30 days; while it is observed, and when it has matured."""
        february = months_before(MARCH, 1, "UTC")[0]
        rolling = period_of("rolling", history.now_ns, "UTC")
        with reading(history.engine) as conn:
            for span in (MARCH, february, rolling):
                for now_ns in (history.now_ns, LATER_NS):
                    wanted = history.counts(code, span, now_ns)
                    decided = {key: amount for key, amount in wanted.items() if amount is not None}
                    question = asked(span, now_ns)
                    found = measure(conn, METRICS[code], question)
                    assert listed(conn, code, question, Part.DENOMINATOR) == decided
                    hits = listed(conn, code, question, Part.NUMERATOR)
                    assert hits == {key: amount for key, amount in decided.items() if amount}
                    assert (found.numerator, found.denominator) == (sum(hits.values()), len(decided))
                    assert found.undecided == len(wanted) - len(decided)
                    assert (
                        listed(conn, code, question, Part.UNDECIDED).keys() == wanted.keys() - decided.keys()
                    )
                    assert found.left_out == len(listed(conn, code, question, Part.LEFT_OUT))

    @pytest.mark.parametrize("code", METRICS)
    def test_parts_by_any_field_add_up_to_the_whole(self, history: History, code: str):
        type_ = tables.ticket.c.type == "customer_complaint"
        lost = code == "lost"  # a report that became no ticket is of no type
        with reading(history.engine) as conn:
            whole = measure(conn, METRICS[code], asked())
            parts = [measure(conn, METRICS[code], asked(MARCH, LATER_NS, one)) for one in (type_, ~type_)]
        assert sum(p.denominator for p in parts) + (lost and whole.denominator) >= whole.denominator
        if not lost:
            assert sum(p.denominator for p in parts) == whole.denominator

    def test_the_history_has_something_of_every_kind(self, history: History):
        """Else the others prove little."""
        with reading(history.engine) as conn:
            found = {code: measure(conn, METRICS[code], asked()) for code in METRICS}
        assert {code for code, one in found.items() if not one.denominator} == set()
        few = {code for code, one in found.items() if not one.numerator}
        assert few <= {"lost", "K8", "duplicate_dispatch"}

    def test_a_list_is_paged_by_what_it_ended_with(self, history: History):
        with reading(history.engine) as conn:
            whole = tickets_of(conn, METRICS["closing_rate"], asked())
            first = tickets_of(conn, METRICS["closing_rate"], asked(), limit=5)
            place = (first[-1].ticket or 0, first[-1].item)
            rest = tickets_of(conn, METRICS["closing_rate"], asked(), after=place)
        assert [*first, *rest] == list(whole)


class TestValue:
    def test_nothing_to_count_is_no_value_and_never_zero_or_all(self, tmp_path: Path):
        with reading(opened(tmp_path / "empty.sqlite")) as conn:
            found = [measure(conn, one, asked()) for one in METRICS.values()]
        assert {one.metric: one.value for one in found if one.value is not None} == {"enquiries": 0.0}

    def test_a_share_is_in_percent_and_a_mean_in_minutes(self):
        assert METRICS["K1"].value(3, 4) == 75.0
        assert METRICS["K2"].value(90 * MINUTE_NS, 4) == 22.5
        assert METRICS["nps"].value(-3, 4) == -75.0

    @pytest.mark.parametrize(
        ("code", "value", "verdict"),
        [
            *(("K1", 85.0, Verdict.HEALTHY), ("K1", 84.9, Verdict.WATCH), ("K1", 74.9, Verdict.ACT)),
            *(("K2", 15.0, Verdict.HEALTHY), ("K2", 15.1, Verdict.WATCH)),
            *(("K4", 5.0, Verdict.HEALTHY), ("K4", 5.1, Verdict.ACT)),
            *(("K5", 0.0, Verdict.HEALTHY), ("K5", 0.1, Verdict.ACT)),
            *(("K6", 40.0, Verdict.HEALTHY), ("K6", 30.0, Verdict.WATCH), ("K6", 29.9, Verdict.ACT)),
            *(("K7", 60.0, Verdict.HEALTHY), ("K7", 70.0, Verdict.WATCH), ("K7", 70.1, Verdict.ACT)),
            *(("K8", 2.0, Verdict.HEALTHY), ("K8", 2.1, Verdict.ACT), ("K9", 1.0, Verdict.NONE)),
        ],
    )
    def test_bounds_are_those_of_the_rules(self, code: str, value: float, verdict: Verdict):
        assert bounds_of(METRICS[code], SITE).verdict(value) is verdict

    def test_a_site_has_bounds_of_its_own(self):
        own = SITE.metrics.model_copy(update={"bounds": {"K1": MetricBounds(healthy=90, act=80)}})
        plant = SITE.model_copy(update={"metrics": own})
        assert bounds_of(METRICS["K1"], plant).verdict(79) is Verdict.ACT

    def test_only_a_count_has_no_denominator(self):
        assert [one.code for one in METRICS.values() if one.unit is Unit.COUNT] == ["enquiries"]


class TestPeriod:
    def test_a_month_is_that_of_the_plant_and_not_of_utc(self):
        assert period_of("", BEGIN_NS - 1, "UTC").name == "2026-02"
        assert period_of("", BEGIN_NS - 1, "Asia/Shanghai").name == "2026-03"
        assert period_of("2026-02", BEGIN_NS, "Asia/Shanghai").to_ns == BEGIN_NS - 8 * HOUR_NS

    def test_the_last_30_days_can_be_chosen(self):
        assert period_of("rolling", BEGIN_NS, "UTC").from_ns == BEGIN_NS - 30 * DAY_NS

    @pytest.mark.parametrize("name", ["2026-04", "2026-13", "0000-01", "March", "2026-3", "9999-12"])
    def test_there_is_no_other_period(self, name: str):
        with pytest.raises(ValueError, match="there is no period"):
            period_of(name, BEGIN_NS, "UTC")
