"""What is told once a month: how well tickets were closed, where the machines fail, which causes are commonest."""

from collections.abc import Callable, Mapping, Sequence

from sqlalchemy import Connection, func, select

from api.reporting import sheet
from api.reporting.sheet import Block, Sheet
from api.visit import Visit
from api.web.formats import MISSING, number, whole
from api.web.keys import dimension_name, key_name
from api.web.wording import asset_name, person_name
from ticketing.analysis.crosstab import OTHERS, Cross, cross
from ticketing.analysis.dimensions import dimension
from ticketing.knowledge.tables import citation
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.cohorts import within
from ticketing.metrics.measuring import bounds_of, measure
from ticketing.metrics.metric import Bounds, Measured, Question, Unit
from ticketing.metrics.periods import period_of
from ticketing.metrics.snapshots import trend
from ticketing.tables import ticket
from ticketing.ticket import Closure

Step = Callable[[int, int], None]
QUALITY = ("K1", "K9", "K6", "K8", "K4", "K7")
"""What the report on closing shows: what was fixed at once and signed at once, knowledge used, and what spoils it."""
_UNITS: Mapping[Unit, str] = {Unit.PERCENT: "\N{NO-BREAK SPACE}%", Unit.MINUTES: "\N{NO-BREAK SPACE}min"}
_LISTED = 200


def _asked(visit: Visit, period: str) -> Question:
    return Question(
        period_of(period, visit.time.now_ns, visit.plant.time_zone), visit.time.now_ns, visit.plant
    )


def _named(asked: Question, visit: Visit) -> str:
    name = asked.span.name or visit.words("paper.rolling")
    return visit.words("paper.period", period=name, plant=visit.plant.name)


def closing_quality(conn: Connection, visit: Visit, period: str, step: Step) -> Sheet:
    """Closing quality of a month (闭环质量报告, rule 73): K1, K9 and what belongs to them, twelve months, closed unsigned."""
    asked, words = _asked(visit, period), visit.words
    parts = 2 * len(QUALITY) + 2
    found: list[tuple[str, str, str, str]] = []
    for done, code in enumerate(QUALITY):
        found.append(_figure(measure(conn, METRICS[code], asked), visit))
        step(done + 1, parts)
    months: dict[str, Sequence[Measured]] = {}
    for done, code in enumerate(QUALITY):
        months[code] = trend(conn, METRICS[code], asked)
        step(len(QUALITY) + done + 1, parts)
    cited = conn.execute(
        select(func.count(), func.count(citation.c.article.distinct())).where(
            citation.c.at_ns >= asked.span.from_ns, citation.c.at_ns < asked.span.to_ns
        )
    ).one()
    unsigned = _unsigned(conn, asked, visit)
    step(parts, parts)
    return Sheet(
        title=words("paper.closing_quality"),
        subtitle=_named(asked, visit),
        blocks=[
            sheet.figures("", found, words("paper.provisional")),
            sheet.text(words("paper.cited", times=whole(cited[0]), articles=whole(cited[1]))),
            _course(months, visit),
            unsigned,
            sheet.facts(
                words("paper.formulas"), [(_name(code, visit), _formula(code, visit)) for code in QUALITY]
            ),
        ],
    )


def heat_map(conn: Connection, visit: Visit, period: str, step: Step) -> Sheet:
    """Where the machines fail (设备健康热力图, rules 64 and 75): model by type of fault, and what is behind it."""
    asked, words = _asked(visit, period), visit.words
    step(0, 3)
    by_fault = _heat(conn, "fault_type", "model", asked, visit)
    step(1, 3)
    by_cause = _heat(conn, "cause", "model", asked, visit)
    step(2, 3)
    machines = _bars(conn, "asset", asked, visit, 10)
    step(3, 3)
    return Sheet(
        title=words("paper.heat_map"),
        subtitle=_named(asked, visit),
        blocks=[by_fault, by_cause, machines],
        wide=True,
    )


def top10(conn: Connection, visit: Visit, period: str, step: Step) -> Sheet:
    """The ten commonest causes, faults and scene tags (TOP10, rules 55 and 76)."""
    asked, words = _asked(visit, period), visit.words
    codes = ("cause", "fault_type", "scene_tag", "asset")
    blocks: list[Block] = []
    for done, code in enumerate(codes):
        step(done, len(codes))
        blocks.append(_bars(conn, code, asked, visit, 10))
    step(len(codes), len(codes))
    return Sheet(title=words("paper.top10"), subtitle=_named(asked, visit), blocks=blocks)


def value_of(one: Measured, visit: Visit) -> str:
    """A measured value with its unit; a dash where there is none."""
    return value_text(one.value, METRICS[one.metric].unit) + (
        visit.words("paper.mark") if one.provisional else ""
    )


def value_text(value: float | None, unit: Unit) -> str:
    """A value of that unit."""
    return MISSING if value is None else f"{number(value)}{_UNITS.get(unit, '')}"


def _name(code: str, visit: Visit) -> str:
    metric = METRICS[code]
    return f"{metric.group} {getattr(metric, visit.words.language)}"


def _formula(code: str, visit: Visit) -> str:
    return str(getattr(METRICS[code], f"formula_{visit.words.language}"))


def _figure(one: Measured, visit: Visit) -> tuple[str, str, str, str]:
    metric = METRICS[one.metric]
    bounds = bounds_of(metric, visit.plant)
    verdict = str(bounds.verdict(one.value))
    of = visit.words("paper.counts", n=whole(one.numerator), of=whole(one.denominator))
    note = "\N{MIDDLE DOT} ".join(filter(None, (of, _healthy(bounds, metric.unit, visit))))
    return _name(one.metric, visit), value_of(one, visit), note, "plain" if verdict == "none" else verdict


def _healthy(bounds: Bounds, unit: Unit, visit: Visit) -> str:
    if bounds.healthy is None:
        return ""
    sign = "\N{GREATER-THAN OR EQUAL TO}" if bounds.higher_is_better else "\N{LESS-THAN OR EQUAL TO}"
    return visit.words("paper.healthy", bound=f"{sign} {value_text(bounds.healthy, unit)}")


def _course(months: Mapping[str, Sequence[Measured]], visit: Visit) -> Block:
    """The last twelve months of each figure, a month in a row."""
    rows = [
        [str(one[0].span.name), *(value_of(each, visit) for each in one)]
        for one in zip(*months.values(), strict=True)
        if any(each.denominator for each in one)
    ]
    heads = [visit.words("dimension.month"), *(METRICS[code].group for code in months)]
    return sheet.listing(visit.words("paper.trend"), heads, rows, numbers=range(1, len(heads)))


def _unsigned(conn: Connection, asked: Question, visit: Visit) -> Block:
    """What was closed without a signature: who did, and why."""
    t, words = ticket.c, visit.words
    wanted = select(t.number, t.asset, t.approver, t.closure_note).where(
        t.closure == str(Closure.UNSIGNED), within(t.closed_ns, asked)
    )
    rows = [
        [
            row.number,
            asset_name(visit.plant.asset(row.asset), row.asset, words),
            person_name(row.approver, visit.plant),
            row.closure_note,
        ]
        for row in conn.execute(wanted.order_by(t.id).limit(_LISTED))
    ]
    if not rows:
        return sheet.text(words("paper.none_unsigned"), words("closure.unsigned"))
    heads = [words(f"paper.{name}") for name in ("ticket", "machine", "approver", "why")]
    return sheet.listing(words("closure.unsigned"), heads, rows, wide=3)


def _heat(conn: Connection, rows: str, columns: str, asked: Question, visit: Visit) -> Block:
    down, across = dimension(rows), dimension(columns)
    table = cross(conn, down, across, asked, most=(20, 12))
    title = visit.words("paper.by", rows=dimension_name(rows, visit), columns=dimension_name(columns, visit))
    if not table.total:
        return sheet.text(visit.words("paper.none"), title)
    return sheet.heat(
        title,
        [key_name(across, key, visit) for key in table.columns],
        [
            (
                key_name(down, row, visit),
                [table.counts.get((row, column), 0) for column in table.columns],
                table.of_row[row],
            )
            for row in table.rows
        ],
        total=visit.words("paper.sum"),
        note=_counted(table, visit),
    )


def _bars(conn: Connection, code: str, asked: Question, visit: Visit, most: int) -> Block:
    one = dimension(code)
    table = cross(conn, one, None, asked, most=(most + 1, 1))
    named = [key for key in table.rows if key not in {None, OTHERS}]
    items = [
        (
            key_name(one, key, visit),
            float(table.of_row[key]),
            f"{whole(table.of_row[key])} ({number(100 * table.of_row[key] / table.total)} %)",
        )
        for key in named
    ]
    title = visit.words("paper.commonest", what=dimension_name(code, visit))
    return (
        sheet.bars(title, items, _counted(table, visit))
        if items
        else sheet.text(visit.words("paper.none"), title)
    )


def _counted(table: Cross, visit: Visit) -> str:
    return visit.words("paper.counted", n=whole(table.total), out=whole(table.left_out))
