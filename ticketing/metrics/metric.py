"""The words of measuring: a metric with its formula and bounds, the question it is asked, and the answer."""

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sqlalchemy import ColumnElement, Select

from andon.events import MINUTE_NS
from andon.plant import Plant
from ticketing.monthly import Span

DAY_NS = 24 * 60 * MINUTE_NS


class Unit(StrEnum):
    """What a value is: PERCENT and SCORE are 100 x numerator / denominator, MINUTES a mean, COUNT the numerator itself."""

    PERCENT = "percent"
    SCORE = "score"
    MINUTES = "minutes"
    COUNT = "count"


class Verdict(StrEnum):
    """How a value stands to its bounds; NONE where there is no value or no bound."""

    HEALTHY = "healthy"
    WATCH = "watch"
    ACT = "act"
    NONE = "none"


class Part(StrEnum):
    """What can be listed of a metric: what it counts, what it counts it of, what is open yet, what it leaves out."""

    NUMERATOR = "numerator"
    DENOMINATOR = "denominator"
    UNDECIDED = "undecided"
    LEFT_OUT = "left_out"


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of a metric: over which time, as known at `now_ns`, of which tickets.

    `wheres` are conditions on columns of `ticketing.tables.ticket`: any field is a filter (rule 65).
    """

    span: Span
    now_ns: int
    plant: Plant
    wheres: tuple[ColumnElement[bool], ...] = ()


Rows = Callable[[Question], Select[Any]]
"""A metric as SQL: one row (`ticket`, `item`, `amount`, `aside`) for each thing that it looks at.

`ticket` and `item` together name the thing (`item` is 0 where a ticket is one). `amount` is what it adds to the
numerator, 0 or 1 of a share and nanoseconds of a mean; null: not decided yet. `aside` is 1 for a duplicate, a false alarm
and whatever else is out of the denominator. So a number and the list behind it cannot differ.
"""


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table of metrics: what it is called, how it is reckoned, what is healthy, when to act.

    `healthy` is the last value that is healthy, `act` the last that asks for no action; None: no such bound.
    `matures_ns` is how long after the period its value is provisional.
    """

    code: str
    group: str
    zh: str
    en: str
    formula_zh: str
    formula_en: str
    unit: Unit
    rows: Rows
    higher_is_better: bool = True
    healthy: float | None = None
    act: float | None = None
    matures_ns: int = 0
    golden: bool = field(default=False)

    def value(self, numerator: int, denominator: int) -> float | None:
        """The value of these counts; None of nothing, but for a count: none is 0."""
        if self.unit is Unit.COUNT:
            return float(numerator)
        if denominator == 0:
            return None
        return numerator / denominator * (1 / MINUTE_NS if self.unit is Unit.MINUTES else 100)


@dataclass(frozen=True, slots=True)
class Bounds:
    """What is healthy and when to act, of one metric at one plant."""

    healthy: float | None
    act: float | None
    higher_is_better: bool

    def verdict(self, value: float | None) -> Verdict:
        """How a value stands to them.

        >>> [str(Bounds(85, 75, True).verdict(value)) for value in (85, 80, 75, 74.9, None)]
        ['healthy', 'watch', 'watch', 'act', 'none']
        """
        if value is None or (self.healthy is None and self.act is None):
            return Verdict.NONE
        if self.act is not None and self._beyond(value, self.act):
            return Verdict.ACT
        return (
            Verdict.WATCH
            if self.healthy is not None and self._beyond(value, self.healthy)
            else Verdict.HEALTHY
        )

    def _beyond(self, value: float, bound: float) -> bool:
        return value < bound if self.higher_is_better else value > bound


@dataclass(frozen=True, slots=True)
class Measured:
    """What a metric came to over a time: `value` in its unit, None on an empty denominator, never 0 or 100 %.

    `numerator` is in nanoseconds where the metric is a mean. `provisional`: it may still change, because the period or
    the time of observation after it is not over (`matured_ns`), or because something is `undecided`. `left_out` are
    duplicates and false alarms, which stand beside it.
    """

    metric: str
    span: Span
    numerator: int
    denominator: int
    value: float | None
    provisional: bool
    matured_ns: int
    undecided: int = 0
    left_out: int = 0


@dataclass(frozen=True, slots=True)
class Counted:
    """One thing that a metric looked at, with the ticket it is of (None: a report that became none)."""

    ticket: int | None
    item: int
    amount: int | None
    number: str
    type: str
    asset: str
    line: str
    state: str
    opened_ns: int | None
    closed_ns: int | None
