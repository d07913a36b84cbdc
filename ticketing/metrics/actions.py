"""What a metric beyond its bounds asks for (rule 56): judged on months that have matured, once a month, with an owner.

A cross-system failure (K5) needs no such rule: it is told at once, as the one priority-1 ticket of its partner.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, insert, select, update

from andon.plant import Plant
from ticketing.book import Book
from ticketing.duty import who
from ticketing.errors import DeedRefused, Missing, StepRefused
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.freezing import look_into
from ticketing.metrics.measuring import bounds_of, tickets_of
from ticketing.metrics.metric import DAY_NS, Measured, Part, Question, Verdict
from ticketing.metrics.periods import month_at, months_before
from ticketing.metrics.readings import BEFORE, integration_fault
from ticketing.metrics.snapshots import of_months
from ticketing.metrics.tables import metric_action
from ticketing.vague import is_vague

History = Mapping[str, Sequence[Measured]]
"""Metric -> its matured months in a row, the newest last."""


@dataclass(frozen=True, slots=True)
class Rule:
    """When a metric asks for what: `months` are looked at, and all of them must hold."""

    code: str
    metric: str
    zh: str
    en: str
    holds: Callable[[History, Plant], bool]


def _acts(code: str, months: Callable[[Plant], int] = lambda _: 1) -> Callable[[History, Plant], bool]:
    """The metric is beyond its bound, so many months running."""

    def holds(history: History, plant: Plant) -> bool:
        bounds, last = bounds_of(METRICS[code], plant), history[code][-months(plant) :]
        return len(last) == months(plant) and all(bounds.verdict(one.value) is Verdict.ACT for one in last)

    return holds


def _lasts(history: History, plant: Plant) -> bool:
    """The three most frequent causes have made up too much for long （长期）."""
    months = plant.metrics.long_months
    last = history["K7"][-months:]
    return len(last) == months and all((one.value or 0) > plant.metrics.long_share for one in last)


RULES: Sequence[Rule] = (
    Rule(
        "first_time_fix",
        "K1",
        "复盘处理话术、工具与权限",
        "Review scripts, tools and rights: too little is fixed the first time",
        _acts("K1"),
    ),
    Rule(
        "chase_audit",
        "K4",
        "服务流程审计：客户追问过多",
        "Audit the service process: too many requesters ask twice where it is",
        _acts("K4"),
    ),
    Rule(
        "knowledge_review",
        "K6",
        "复盘知识内容与检索：知识复用率持续偏低",
        "Review the content and the search of the knowledge base: its reuse stays low",
        _acts("K6", lambda plant: plant.metrics.sustained_months),
    ),
    Rule(
        "top_causes",
        "K7",
        "前三大根因过于集中：列入管理改进事项",
        "Make the three most frequent causes a matter of the management",
        _acts("K7"),
    ),
    Rule(
        "top_cause_first",
        "K7",
        "停止常规分析，集中攻克第一大根因",
        "Stop the routine analysis and attack the most frequent cause",
        _lasts,
    ),
    Rule(
        "recurrence",
        "K8",
        "冻结相关产品批次并启动根本原因分析",
        "Freeze the product batch and analyse the root cause: what was closed comes back",
        _acts("K8"),
    ),
    Rule(
        "integration_fault",
        "K5",
        "追问率与跨系统失败率同时上升：排查系统集成故障",
        "Chases and cross-system failures rise together: look for a fault of the integration",
        integration_fault,
    ),
)
OF_CODE: Mapping[str, Rule] = {rule.code: rule for rule in RULES}


@dataclass(frozen=True, slots=True)
class Action:
    """What somebody has to do since a metric of a month was beyond its bound; `problem` is the task it opened."""

    id: int
    rule: str
    metric: str
    period: str
    numerator: int
    denominator: int
    owner: str
    opened_ns: int
    due_ns: int
    problem: int | None = None
    done_ns: int | None = None
    done_by: str | None = None
    note: str = ""

    @property
    def value(self) -> float | None:
        """What the metric came to."""
        return METRICS[self.metric].value(self.numerator, self.denominator)


def judge(book: Book, plant: Plant) -> Sequence[Action]:
    """Open what the newest matured month of each metric asks for; gives what was opened.

    A rule asks once for a month, and not while what it asked for before is not done.
    """
    opened: list[Action] = []
    history = _matured(book.conn, plant, book.now_ns)
    for rule in RULES:
        last = history[rule.metric][-1:]
        if last and not _asked(book.conn, rule, str(last[0].span.name)) and rule.holds(history, plant):
            opened.append(_open(book, plant, rule, last[0]))
    return opened


def _matured(conn: Connection, plant: Plant, now_ns: int) -> History:
    """The newest months in a row that are kept for good, of each metric that has a rule."""
    zone = plant.time_zone
    rules = plant.metrics
    number = max(BEFORE + 1, rules.sustained_months, rules.long_months) + 2
    spans = months_before(month_at(now_ns, zone), number, zone)
    found: dict[str, Sequence[Measured]] = {}
    for code in {"K4", "K5", *(rule.metric for rule in RULES)}:
        kept = {one.span.name: one for one in of_months(conn, METRICS[code], spans) if not one.provisional}
        newest = max((place for place, span in enumerate(spans) if span.name in kept), default=-1)
        row: list[Measured] = []
        for span in reversed(spans[: newest + 1]):
            if span.name not in kept:
                break
            row.append(kept[span.name])
        found[code] = row[::-1]
    return found


def _asked(conn: Connection, rule: Rule, period: str) -> bool:
    c = metric_action.c
    before = select(c.id).where(c.rule == rule.code, (c.period == period) | c.done_ns.is_(None))
    return conn.execute(before.limit(1)).first() is not None


def _open(book: Book, plant: Plant, rule: Rule, measured: Measured) -> Action:
    question = Question(measured.span, book.now_ns, plant)
    counted = tickets_of(book.conn, METRICS[rule.metric], question, Part.DENOMINATOR)
    newest = max((one.ticket for one in counted if one.ticket), default=None)
    hits = [one.ticket for one in counted if one.ticket and one.amount]
    problem = look_into(book, plant, hits, measured.span) if rule.metric == "K8" else None
    line = book.ticket(newest).line if newest is not None else ""
    duty = who(plant.metrics.review_by, line, book.now_ns, plant, {})
    row = {
        "rule": rule.code,
        "metric": rule.metric,
        "period": measured.span.name,
        "numerator": measured.numerator,
        "denominator": measured.denominator,
        "owner": duty.person or "",
        "opened_ns": book.now_ns,
        "due_ns": book.now_ns + round(plant.metrics.review_d * DAY_NS),
        "problem": problem,
        "note": "",
    }
    number = book.conn.execute(insert(metric_action).returning(metric_action.c.id), row).scalar_one()
    book.counts["metric_actions_opened"] += 1
    if newest is not None:
        _tell(book, rule, measured, newest, (duty.person or "dispatch", duty.backup))
    return numbered(book.conn, number)


def _tell(book: Book, rule: Rule, measured: Measured, ticket: int, people: Sequence[str | None]) -> None:
    said = {
        "metric": rule.metric,
        "rule": rule.code,
        "period": measured.span.name,
        "value": measured.value,
        "tickets": measured.numerator,
        "of": measured.denominator,
    }
    step = f"metric-{rule.code}-{measured.span.name}"
    book.tell(book.ticket(ticket), "metric.action", people, said, step=step)


def finish(book: Book, action_id: int, *, note: str, actor: str) -> Action:
    """It is done, and the note says what was; StepRefused without one, DeedRefused if it is not open."""
    if not note.strip() or is_vague(note):
        raise StepRefused("action", "open", [Missing("note", "vague" if note.strip() else "absent")])
    c = metric_action.c
    changed = book.conn.execute(
        update(metric_action)
        .where(c.id == action_id, c.done_ns.is_(None))
        .values(done_ns=book.now_ns, done_by=actor, note=note.strip())
    )
    found = numbered(book.conn, action_id)
    if changed.rowcount != 1:
        raise DeedRefused("metric_action_done", f"action {action_id} has been done already")
    return found


def numbered(conn: Connection, action_id: int) -> Action:
    """That action; DeedRefused if there is none."""
    row = conn.execute(select(metric_action).where(metric_action.c.id == action_id)).mappings().first()
    if row is None:
        raise DeedRefused("metric_action_not_found", f"there is no action {action_id}")
    return Action(**row)


def actions(
    conn: Connection, *, open_only: bool = False, limit: int = 200, after: int | None = None
) -> Sequence[Action]:
    """What metrics asked for, the newest first."""
    c = metric_action.c
    wanted = select(metric_action).order_by(c.id.desc()).limit(limit)
    if open_only:
        wanted = wanted.where(c.done_ns.is_(None))
    if after is not None:
        wanted = wanted.where(c.id < after)
    return [Action(**row) for row in conn.execute(wanted).mappings()]
