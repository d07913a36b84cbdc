"""Metrics as a page says them: values with their unit, bounds, and the months as a line."""

from collections.abc import Sequence
from dataclasses import dataclass

from api.catalogue import Words
from api.visit import Visit
from api.web.formats import MISSING, number, whole
from ticketing.metrics.measuring import bounds_of
from ticketing.metrics.metric import Bounds, Measured, Metric, Part, Question, Unit, Verdict

CHIPS = {Verdict.HEALTHY: "good", Verdict.WATCH: "high", Verdict.ACT: "critical", Verdict.NONE: ""}
WIDTH, HEIGHT = 120, 28
"""Of a line of months, in units of its picture."""


@dataclass(frozen=True, slots=True)
class Card:
    """A metric on a page, in the reader's language."""

    code: str
    group: str
    name: str
    formula: str
    value: str
    counts: str
    verdict: str
    chip: str
    bounds: str
    provisional: str
    beside: str
    spark: str
    said: str
    golden: bool


def name_of(metric: Metric, words: Words) -> str:
    """What a metric is called."""
    return metric.zh if words.language == "zh" else metric.en


def formula_of(metric: Metric, words: Words) -> str:
    """How it is reckoned."""
    return metric.formula_zh if words.language == "zh" else metric.formula_en


def value_text(value: float | None, metric: Metric, words: Words) -> str:
    """A value with its unit: 83.3 %, 12 min, 41."""
    if value is None:
        return MISSING
    if metric.unit is Unit.COUNT:
        return whole(round(value))
    signs = {Unit.PERCENT: "%", Unit.MINUTES: words("kpi.min"), Unit.SCORE: ""}
    text = "0" if abs(value) < 0.05 else number(round(value, 1))
    return f"{text}\N{NO-BREAK SPACE}{signs[metric.unit]}".rstrip()


def bounds_text(bounds: Bounds, metric: Metric, words: Words) -> str:
    """What is healthy and when to act; empty where nothing is said."""
    parts = []
    better, worse = ("≥", "<") if bounds.higher_is_better else ("≤", ">")
    if bounds.healthy is not None:
        parts.append(words("kpi.healthy", bound=f"{better} {value_text(bounds.healthy, metric, words)}"))
    if bounds.act is not None:
        parts.append(words("kpi.act", bound=f"{worse} {value_text(bounds.act, metric, words)}"))
    return words("list.and").join(parts)


def counts_text(found: Measured, metric: Metric, words: Words) -> str:
    """Of how many it is reckoned."""
    if metric.unit is Unit.MINUTES:
        return words("kpi.mean_of", n=found.denominator)
    if metric.unit is Unit.COUNT:
        return ""
    if metric.unit is Unit.SCORE:
        return words("kpi.answers", n=found.denominator)
    return words("kpi.counts", n=whole(found.numerator), of=whole(found.denominator))


def spark(months: Sequence[Measured]) -> str:
    """The points of a line through the months that have a value; empty of fewer than two."""
    known = [(place, one.value) for place, one in enumerate(months) if one.value is not None]
    if len(known) < 2:
        return ""
    values = [value for _, value in known]
    low, high = min(values), max(values)
    step, span = WIDTH / (len(months) - 1), (high - low) or 1.0
    return " ".join(
        f"{place * step:.0f},{HEIGHT - 3 - (value - low) / span * (HEIGHT - 6):.1f}" for place, value in known
    )


def card(metric: Metric, found: Measured, months: Sequence[Measured], visit: Visit, asked: Question) -> Card:
    """A metric as its card shows it."""
    words, bounds = visit.words, bounds_of(metric, asked.plant)
    verdict = bounds.verdict(found.value)
    beside = [(Part.UNDECIDED, found.undecided), (Part.LEFT_OUT, found.left_out)]
    said = [f"{one.span.name} {value_text(one.value, metric, words)}" for one in months]
    return Card(
        code=metric.code,
        group=metric.group,
        name=name_of(metric, words),
        formula=formula_of(metric, words),
        value=value_text(found.value, metric, words),
        counts=counts_text(found, metric, words),
        verdict="" if verdict is Verdict.NONE else words(f"kpi.is_{verdict}"),
        chip=CHIPS[verdict],
        bounds=bounds_text(bounds, metric, words),
        provisional=until(found, visit),
        beside=words("list.and").join(words(f"kpi.n_{part}", n=n) for part, n in beside if n),
        spark=spark(months),
        said=words("list.and").join(said),
        golden=metric.golden,
    )


def until(found: Measured, visit: Visit) -> str:
    """Until when a value may still change; empty once it is final."""
    if not found.provisional:
        return ""
    if found.matured_ns <= visit.time.now_ns:
        return visit.words("kpi.provisional")
    return visit.words("kpi.provisional_until", day=visit.time.day_of(found.matured_ns).isoformat())
