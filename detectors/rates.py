"""Whether so many events in so much running time are more than usual: counts against a frozen baseline of their own.

The baseline is itself a count, so its rate is not known exactly; and events come in packs: a jam is cleared three
times before it is gone. Both are in the probability: a Poisson count alone calls every pack a change.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

HOUR_S = 3600
BIN_S = 4 * HOUR_S
SPANS = (4, 5, 6, 8, 11, 16, 23, 32, 45, 64)
"""So many latest events are looked at together: few tell of a sudden change, many of a small one."""

_WORTH = 1.5  # times the usual: fewer are not worth the sum
_PRIOR_EVENTS, _PRIOR_S = 1.0, 2.0 * HOUR_S  # weighs little: one event in two hours
_UNEVEN, _UNEVEN_BINS = 2.0, 10.0  # variance over mean before anything is known, and what that is worth


@dataclass(frozen=True, slots=True)
class Usual:
    """What was counted while the baseline was learned: events, running seconds, and squares of the counts per bin.

    `at_least_uneven` is how unevenly others like them came: few events of their own say little of that.
    """

    events: int
    running_s: float
    squares: int = 0
    at_least_uneven: float = 1.0

    @property
    def uneven(self) -> float:
        """Variance over mean of the counts per four running hours, at least 1 (Poisson)."""
        bins = self.running_s / BIN_S
        mean = self.events / bins if bins else 0.0
        seen = (self.squares / bins - mean**2) / mean if mean else 1.0
        return min(
            max((_UNEVEN * _UNEVEN_BINS + seen * bins) / (_UNEVEN_BINS + bins), self.at_least_uneven), 10.0
        )

    def expected(self, span_s: float) -> float:
        """How many events such a span usually has."""
        return (self.events + _PRIOR_EVENTS) / (self.running_s + _PRIOR_S) * span_s


def tail(count: int, span_s: float, usual: Usual) -> float:
    """The probability of `count` events or more in `span_s` running seconds if nothing has changed.

    Nine stops in eight hours where 18 in 120 hours are usual (1.2 in eight hours):

    >>> usual = Usual(events=18, running_s=120 * HOUR_S, squares=30)
    >>> round(usual.expected(8 * HOUR_S), 2), tail(9, 8 * HOUR_S, usual) < 1e-3 < tail(6, 8 * HOUR_S, usual)
    (1.25, True)

    Source: packs arrive as a Poisson count whose rate has a gamma posterior (Gelman et al., Bayesian Data Analysis,
    3rd ed., 2.6), their sizes are geometric (Polya-Aeppli); summed by the recursion of Panjer (ASTIN 12, 1981).
    """
    if count <= 0:
        return 1.0
    size = (usual.uneven + 1) / 2
    packs = usual.events / size + _PRIOR_EVENTS
    share = span_s / (span_s + usual.running_s + _PRIOR_S)
    sizes = (1 / size) * (1 - 1 / size) ** np.arange(count)  # of 1, 2, ... events
    number = np.arange(1, count + 1)
    chances = np.zeros(count)
    chances[0] = (1 - share) ** packs
    for n in range(1, count):
        j = number[:n]
        chances[n] = float(
            ((share + (packs - 1) * share * j / n) * sizes[:n] * chances[n - 1 :: -1][:n]).sum()
        )
    return float(max(1 - chances.sum(), 0.0))


@dataclass(frozen=True, slots=True)
class Crowd:
    """The latest events that are least likely together: how many, in which running seconds, and how likely."""

    count: int
    span_s: float
    expected: float
    p: float


def crowd(marks: Sequence[int], now_s: float, usual: Usual, *, learning: bool) -> Crowd | None:
    """The least likely of the latest spans; None if there are too few events.

    `marks` are the running seconds at which events came, oldest first. While the baseline is still being learned,
    what lies in the span does not count for it.
    """
    found = None
    for count in SPANS:
        if count > len(marks):
            break
        span_s = max(now_s - marks[-count], 1.0)
        against = usual
        if learning:
            events, running_s = max(usual.events - count, 0), max(usual.running_s - span_s, 0.0)
            against = Usual(events, running_s, at_least_uneven=usual.at_least_uneven)
        if count < _WORTH * against.expected(span_s):
            continue
        p = tail(count, span_s, against)
        if found is None or p < found.p:
            found = Crowd(count, span_s, against.expected(span_s), p)
    return found
