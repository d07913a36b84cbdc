"""Metrics read together: what soars, and what two of them say that neither says alone (rules 56, 57, 58)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from andon.plant import Plant
from ticketing.metrics.catalogue import METRICS
from ticketing.metrics.metric import Measured

BEFORE = 3
"""So many months before are the measure of a rise."""


def soars(months: Sequence[Measured], plant: Plant) -> bool:
    """Whether the last of these months is at least 1.5 x the mean of the three before （飙升）; from none, any rise is.

    A month without a value, or fewer than three before, say nothing.
    """
    if len(months) <= BEFORE:
        return False
    *before, last = [one.value for one in months[-BEFORE - 1 :]]
    known = [value for value in before if value is not None]
    if last is None or len(known) < BEFORE:
        return False
    return last > 0 and last >= plant.metrics.soaring * sum(known) / BEFORE


def integration_fault(trends: Mapping[str, Sequence[Measured]], plant: Plant) -> bool:
    """Requesters ask and systems fail to agree, both more than before (rule 57)."""
    both = [trends["K4"], trends["K5"]]
    return all(rises(one) for one in both) or all(soars(one, plant) for one in both)


def rises(months: Sequence[Measured]) -> bool:
    """Whether the last month is above the one before."""
    return _change(months) > 0


def falls(months: Sequence[Measured]) -> bool:
    """Whether the last month is below the one before."""
    return _change(months) < 0


def _change(months: Sequence[Measured]) -> float:
    values = [one.value for one in months[-2:] if one.value is not None]
    return values[1] - values[0] if len(values) == 2 else 0.0


@dataclass(frozen=True, slots=True)
class Reading:
    """Two metrics read together: `holds` if what they say together is the case."""

    code: str
    metrics: tuple[str, str]
    zh: str
    en: str
    holds: bool


def joint(trends: Mapping[str, Sequence[Measured]], plant: Plant) -> Sequence[Reading]:
    """What the metrics say together, by the last two months of each."""
    return (
        Reading(
            "integration_fault",
            ("K4", "K5"),
            "追问率与跨系统失败率同时上升：系统集成故障",
            "chases and cross-system failures rise together: a fault of the integration",
            integration_fault(trends, plant),
        ),
        Reading(
            "closing_standard",
            ("K1", "K9"),
            "首次解决率上升而二次确认通过率下降：关单标准可能被降低",
            "first-time fix rises while fewer requesters confirm: the standard of closing may have been lowered",
            rises(trends["K1"]) and falls(trends["K9"]),
        ),
        Reading(
            "closed_too_early",
            ("closing_rate", "K8"),
            "关闭率上升而30天复发率上升：可能为关单而关单",
            "more is closed and more comes back: tickets may be closed for the sake of closing",
            rises(trends["closing_rate"]) and rises(trends["K8"]),
        ),
    )


READ = frozenset({"K1", "K4", "K5", "K8", "K9", "closing_rate"}) & METRICS.keys()
"""The metrics that are read together."""
