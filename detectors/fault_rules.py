"""Which machine fault adds such lines: one row per fault, no two of which can hold of the same gain but the first."""

from dataclasses import dataclass

import numpy as np

from andon.events import Float64
from detectors.shaft_lines import GROUPS, LINES


@dataclass(frozen=True, slots=True)
class Rule:
    """`lead` must have grown and be at least `least_share` of what was gained, `but` at most `most_share`."""

    fault: str
    lead: tuple[str, ...]
    least_share: float
    but: tuple[str, ...] = ()
    most_share: float = 1.0


RULES = (
    Rule("electrical", ("mains",), 0.5),
    Rule("misalignment", ("axial",), 0.25, but=("half", "high"), most_share=0.3),
    Rule("imbalance", ("x1",), 0.8),
    Rule("misalignment", ("x2",), 0.45, but=("half", "high"), most_share=0.3),
    Rule("looseness", ("half", "high"), 0.3),
)
"""The first that fits. Shares are of the mean square velocity that was added across the shaft; twice the line
frequency counts for the electrical rule alone, 1x and 2x along the shaft for the second: half as much as across
it. Without an axis along the shaft an angular misalignment looks like imbalance; an overhung rotor's imbalance
shakes along it as well, and wants a look at the phase. Source: the usual diagnostic charts (ISO 13373-3:2015:
1x; 2x, and axial; many multiples and halves; twice the line frequency); shares measured on simulated truth."""


def fault_of(baseline: Float64, level: Float64, grown: Float64) -> str:
    """The fault whose rule the growth from `baseline` to `level` fulfils, "" for none; one value each of `LINES`.

    >>> healthy = np.array([0.1, 1.0, 0.3, 0.3, 0.2, np.nan])
    >>> fault_of(healthy, np.array([0.1, 3.0, 0.5, 0.3, 0.2, np.nan]), np.array([0, 1, 0, 0, 0, 0]))
    'imbalance'
    >>> fault_of(healthy, np.array([0.1, 1.5, 2.5, 0.6, 0.2, np.nan]), np.array([0, 0, 1, 0, 0, 0]))
    'misalignment'
    >>> healthy[-1] = 0.4
    >>> fault_of(healthy, np.array([0.1, 3.0, 0.5, 0.3, 0.2, 2.0]), np.array([0, 1, 0, 0, 0, 1]))
    'misalignment'
    """
    added = np.maximum(level**2 - baseline**2, 0.0)
    gained: dict[str, float] = dict(
        zip(LINES, np.where(np.isfinite(added), added, 0.0).tolist(), strict=True)
    )
    has_grown = dict(zip(LINES, grown.tolist(), strict=True))
    across = sum(gained[line] for line in GROUPS)
    for rule in RULES:
        lead, but = (sum(gained[line] for line in lines) for lines in (rule.lead, rule.but))
        shared = across + gained["mains"] if "mains" in rule.lead else across
        fits = lead >= rule.least_share * shared and but <= rule.most_share * shared
        if fits and any(has_grown[line] for line in rule.lead):
            return rule.fault
    return ""
