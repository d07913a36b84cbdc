"""Shares with how sure they are: Wilson's interval, and whether one stands out from the others or chance made it so.

Several comparisons at once are held to one promise (Holm, 1979): that chance makes any of them stand out is no likelier
than the significance asked for, however many are looked at. So 2 of 5 against 12 % of many is no finding.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import special

from andon.events import Float64
from andon.rules.quality import Quality

# its `stats` would take 58 MB and a second of the web's process for three formulas

_Z = float(special.ndtri(0.975))
"""Of a 95 % interval."""
Verdict = Literal["stands_out", "chance", "too_few", "no_others", "not_much_more"]
"""Why a share is a finding ("stands_out"), or why it is none."""


@dataclass(frozen=True, slots=True)
class Share:
    """`count` of `of`, with the ends of the 95 % interval of Wilson (1927); all None where there is nothing to count."""

    count: int
    of: int
    value: float | None
    low: float | None
    high: float | None


@dataclass(frozen=True, slots=True)
class Contrast:
    """A share beside that of all the others. `p` is the adjusted chance of at least so much without any cause.

    `times` is how much more it is, by share or by exposure; None where the others have none of it.
    """

    here: Share
    others: Share
    p: float | None
    times: float | None
    verdict: Verdict

    @property
    def stands_out(self) -> bool:
        """Whether it is a finding."""
        return self.verdict == "stands_out"


@dataclass(frozen=True, slots=True)
class Counted:
    """What one group counts: `count` of `of`, in `exposure` (days of work, say; None: each of `of` stands for itself)."""

    count: int
    of: int
    exposure: float | None = None


def share(count: int, of: int) -> Share:
    """The share with its interval.

    >>> share(41, 100)
    Share(count=41, of=100, value=0.41, low=0.3187, high=0.508)
    >>> share(0, 0).value is None
    True
    """
    if of == 0:
        return Share(count, of, None, None, None)
    value, wide = count / of, 1 + _Z**2 / of
    middle = (value + _Z**2 / (2 * of)) / wide
    half = _Z / wide * ((value * (1 - value) + _Z**2 / (4 * of)) / of) ** 0.5
    return Share(count, of, value, round(max(0.0, middle - half), 4), round(min(1.0, middle + half), 4))


def contrasts(groups: Sequence[tuple[Counted, Counted]], rules: Quality) -> tuple[Contrast, ...]:
    """Each group beside its others, all of them one family of comparisons.

    Without exposures the chance is Fisher's exact test (one-sided); with them that of two Poisson rates given their sum
    (Przyborowski and Wilenski, 1940), so that what was watched for longer is not blamed for it.
    """
    chances = [_chance(here, others) for here, others in groups]
    adjusted = holm(chances)
    return tuple(
        Contrast(
            share(here.count, here.of),
            share(others.count, others.of),
            p,
            _times(here, others),
            _verdict(here, others, p, rules),
        )
        for (here, others), p in zip(groups, adjusted, strict=True)
    )


def holm(chances: Sequence[float | None]) -> tuple[float | None, ...]:
    """Chances adjusted for being many, in their order; None stays None and counts for nothing.

    >>> holm([0.01, None, 0.04, 0.03])
    (0.03, None, 0.06, 0.06)
    """
    known = sorted((p, place) for place, p in enumerate(chances) if p is not None)
    adjusted: list[float | None] = [None] * len(chances)
    worst = 0.0
    for rank, (p, place) in enumerate(known):
        worst = max(worst, min(1.0, p * (len(known) - rank)))
        adjusted[place] = worst
    return tuple(adjusted)


def _chance(here: Counted, others: Counted) -> float | None:
    """The chance of at least so many here if nothing made a difference; None where nothing can be compared."""
    if here.of == 0 or others.of == 0:
        return None
    together = here.count + others.count
    if here.exposure is not None and others.exposure is not None:
        whole = here.exposure + others.exposure
        return _binomial(here.count, together, here.exposure / whole) if whole > 0 else None
    return _fisher(here, others)


def _binomial(count: int, of: int, chance: float) -> float:
    """The chance of `count` or more of `of`."""
    return 1.0 if count == 0 else float(special.bdtrc(count - 1, of, chance))


def _fisher(here: Counted, others: Counted) -> float:
    """The chance of `here.count` or more among `here.of` that were drawn from all: the hypergeometric tail."""
    drawn, marked, whole = here.of, here.count + others.count, here.of + others.of
    k = np.arange(here.count, min(drawn, marked) + 1, dtype=np.float64)
    ways = _log_ways(marked, k) + _log_ways(whole - marked, drawn - k)
    tail = ways - _log_ways(whole, np.array([drawn], np.float64))
    return min(1.0, float(np.exp(special.logsumexp(tail))))


def _log_ways(of: int, some: Float64) -> Float64:
    """The logarithm of the ways to choose `some` of `of`."""
    return np.asarray(-np.log(of + 1.0) - special.betaln(of - some + 1.0, some + 1.0))


def _times(here: Counted, others: Counted) -> float | None:
    """How many times the others' share, or their rate, it is."""
    by_time = here.exposure is not None and others.exposure is not None
    size, others_size = (here.exposure, others.exposure) if by_time else (here.of, others.of)
    return here.count * (others_size or 0) / (others.count * size) if others.count and size else None


def _verdict(here: Counted, others: Counted, p: float | None, rules: Quality) -> Verdict:
    if p is None:
        return "no_others"
    if here.count < rules.fewest:
        return "too_few"
    times = _times(here, others)
    if times is not None and times < rules.times:
        return "not_much_more"
    return "stands_out" if p < rules.significance else "chance"
