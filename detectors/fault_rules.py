"""Which machine fault adds such lines: one row per fault, no two of which can hold of the same gain but the first."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from andon.events import Float64
from detectors.shaft_lines import LINES


@dataclass(frozen=True, slots=True)
class Rule:
    """`lead` must have grown and be at least `least_share` of what was gained, `but` at most `most_share`."""

    lead: tuple[str, ...]
    least_share: float
    but: tuple[str, ...] = ()
    most_share: float = 1.0


RULES: Mapping[str, Rule] = {
    "electrical": Rule(("mains",), 0.5),
    "imbalance": Rule(("x1",), 0.8),
    "misalignment": Rule(("x2",), 0.45, but=("half", "high"), most_share=0.3),
    "looseness": Rule(("half", "high"), 0.3),
}
"""Shares are of the added mean square velocity; twice the line frequency counts for the electrical rule alone.
Source: the usual diagnostic charts (ISO 13373-3:2015: 1x; 2x; many multiples and halves; twice the line
frequency), reduced to what one sensor can show; shares measured on simulated truth."""


def fault_of(baseline: Float64, level: Float64, grown: Float64) -> str:
    """The fault whose rule the growth from `baseline` to `level` fulfils, "" for none; one value each of `LINES`.

    >>> healthy = np.array([0.1, 1.0, 0.3, 0.3, 0.2])
    >>> fault_of(healthy, np.array([0.1, 3.0, 0.5, 0.3, 0.2]), np.array([0, 1, 0, 0, 0]))
    'imbalance'
    >>> fault_of(healthy, np.array([0.1, 1.5, 2.5, 0.6, 0.2]), np.array([0, 0, 1, 0, 0]))
    'misalignment'
    """
    added = np.maximum(level**2 - baseline**2, 0.0)
    gained: dict[str, float] = dict(
        zip(LINES, np.where(np.isfinite(added), added, 0.0).tolist(), strict=True)
    )
    has_grown = dict(zip(LINES, grown.tolist(), strict=True))
    whole = sum(gained.values())
    for fault, rule in RULES.items():
        lead, but = (sum(gained[line] for line in lines) for lines in (rule.lead, rule.but))
        shared = whole if "mains" in rule.lead else whole - gained["mains"]
        fits = lead >= rule.least_share * shared and but <= rule.most_share * shared
        if fits and any(has_grown[line] for line in rule.lead):
            return fault
    return ""
