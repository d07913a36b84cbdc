"""Which element of a bearing is damaged: what must be true of its comb before it is named.

Naming the wrong element is worse than naming none, so every rule takes names away, and "unknown" is an answer.
Faint lines of cage and races belong to many bearings that roll: without bursts they are not damage of a race,
and faint damage of a ball looks like that of a race.
"""

import math
from dataclasses import dataclass

import numpy as np
from pydantic import Field

from andon.events import Float32
from detectors.bearing import FaultOrders
from detectors.comb import (
    HARMONICS,
    Score,
    elsewhere,
    heights,
    ranked,
    reach_of,
    scores_of,
)
from detectors.envelope import SIXTHS, SPEED_REVOLUTIONS, Envelope
from detectors.operating import OperatingParameters

LINES = {"outer": "BPFO", "inner": "BPFI", "element": "2×BSF", "cage": "FTF"}
_CAGE_RESOLVED = (
    0.025  # orders: blocks of 40 revolutions; coarser lines do not tell the cage from its neighbours
)
_SLIP_RESOLVED = 0.007  # at a refined speed: measured -0.5 to +0.5 %; a contact angle of 12° gives 0.6 %
_CAGE_OVER_COMBS = 1.25  # with the wrong races any strong comb leaves the cage as what is left to name


class CombParameters(OperatingParameters):
    """When an element is named. z is the number of robust standard deviations above the null."""

    name_z: float = Field(
        default=5.0, gt=0, le=50, description="z that an element's comb must reach to be named."
    )
    runner_up: float = Field(
        default=1.5, ge=1, le=10, description="Times the next element's z that the named one must reach."
    )
    each_axis_z: float = Field(
        default=2.0, ge=0, le=50, description="z that the comb must reach on each axis."
    )
    dominance: float = Field(
        default=0.75, ge=0, le=1, description="Part of the best unrelated comb's z that must be reached."
    )
    least_ratio: float = Field(
        default=1.85,
        ge=1,
        le=50,
        description="Amplitude of its tallest line over the background that a named element must reach.",
    )
    burst_flux: float = Field(
        default=1.06,
        ge=0.97,
        le=10,
        description="Variance of the log envelope of short windows, 0.97 for stationary noise, below which there "
        "are no bursts and an element is named only from `sure_z`.",
    )
    sure_z: float = Field(
        default=10.0, gt=0, le=50, description="z that names an element even where no bursts are heard."
    )
    cage_z: float = Field(
        default=5.5,
        gt=0,
        le=50,
        description="z of the cage comb that means a rolling element, without race lines.",
    )
    race_z: float = Field(
        default=3.5, gt=0, le=50, description="z of a race from which the cage rule is not used."
    )
    unknown_z: float = Field(
        default=4.0, gt=0, le=50, description="z that means damage of an unknown element."
    )
    unknown_flux: float = Field(
        default=1.003,
        ge=0.97,
        le=10,
        description="Variance of the log envelope over the whole band, 0.97 for stationary noise of any colour, "
        "that means damage of an unknown element.",
    )


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the lines say: `element` outer, inner, element, unknown or none, and how sure.

    `order` includes the slip that fits best; `ratio` is the amplitude of its tallest line over the background,
    `harmonics` how many of the first four stand out by a fifth. All 0 where nothing is named.
    """

    element: str
    z: float
    order: float = 0.0
    slip: float = 0.0
    ratio: float = 0.0
    harmonics: int = 0

    @property
    def line(self) -> str:
        """Whose comb named it: the element's own or the cage's; "" where nothing is named."""
        return "" if not self.order else "cage" if self.order < 1 else self.element

    @property
    def confidence(self) -> float:
        """How sure the name is, 0 to 1; of an unknown element at most a half.

        >>> [round(Verdict("outer", z).confidence, 2) for z in (5.5, 10, 20)]
        [0.87, 0.96, 1.0]
        """
        sure = 1 - math.exp(-max(0.0, self.z) / 4) / 2
        return sure if self.element not in {"unknown", "none"} else sure - 0.5


def explain(envelope: Envelope, orders: FaultOrders, speed_hz: float, p: CombParameters) -> Verdict:
    """Name the element whose comb stands out, or say unknown, or none.

    Parameters
    ----------
    envelope
        Of one block, or averaged over several.
    speed_hz
        Shaft speed, to leave out lines of the mains.

    Notes
    -----
    Source: the recipe and its measured thresholds of `detectors.md`, section 6 of Andon's design notes, with two
    windows, the bursts and the tighter slip; on the CWRU and MFPT recordings it names no wrong element.
    """
    step_order = envelope.step_order
    height = heights(envelope.power, step_order, speed_hz)
    scores = scores_of(height, step_order, orders)
    best, first = ranked(scores)[0]
    bursts = float(envelope.flux[:, :SIXTHS].mean()) >= p.burst_flux
    if first.z >= p.name_z:
        order = getattr(orders, best)
        verdict = _named(best, first, order, height, step_order)
        named = (bursts or first.z >= p.sure_z) and verdict.ratio >= p.least_ratio
        named = named and _stands_out(scores, step_order, p)
        named = named and first.z >= p.dominance * elsewhere(height, step_order, order)
        return verdict if named else Verdict("unknown", first.z)
    if bursts and _rolls(scores, height, step_order, orders, p):
        return _named("element", scores["cage"], orders.cage, height, step_order)
    strongest = max(first.z, scores["cage"].z)
    if float(envelope.flux[:, SIXTHS:].mean()) >= p.unknown_flux or strongest >= p.unknown_z:
        return Verdict("unknown", strongest)
    return Verdict("none", strongest)


def _stands_out(scores: dict[str, Score], step_order: float, p: CombParameters) -> bool:
    """Whether the best does so on each axis, over the next element, and at a slip that a bearing has."""
    (best, first), (_, second) = ranked(scores)[:2]
    family = [score for name, score in scores.items() if name.startswith(best)]
    each_axis = min(max(score.axes[i] for score in family) for i in range(len(first.axes)))
    most = _SLIP_RESOLVED if step_order <= 1 / SPEED_REVOLUTIONS else 0.92 * reach_of(step_order)
    slips = any(abs(slip) <= most for slip in first.slips)  # else the best fit lies outside: some other line
    over_cage = best != "outer" or first.z >= scores["cage"].z  # whose harmonics lie on the outer race's
    return slips and over_cage and each_axis >= p.each_axis_z and first.z >= p.runner_up * second.z


def _rolls(
    scores: dict[str, Score], height: Float32, step_order: float, orders: FaultOrders, p: CombParameters
) -> bool:
    """Whether the cage's lines are the strongest there are: damage that goes round with a rolling element."""
    races = dict(ranked(scores))
    cage, race = scores["cage"].z, max(races["outer"].z, races["inner"].z)
    if cage < p.cage_z or step_order > _CAGE_RESOLVED or race >= p.race_z:
        return False
    return cage >= _CAGE_OVER_COMBS * elsewhere(height, step_order, orders.element)


def _named(element: str, score: Score, order: float, height: Float32, step_order: float) -> Verdict:
    slip = float(np.mean(score.slips))
    order *= 1 + slip
    at = np.rint(order * np.arange(1, HARMONICS + 1) / step_order).astype(np.intp)
    lines = height[..., at[at < height.shape[2]]].max(axis=(0, 1)) / 2  # power to amplitude
    return Verdict(
        element=element,
        z=score.z,
        order=order,
        slip=slip,
        ratio=float(np.exp(lines.max())),
        harmonics=int((lines > np.log(1.2)).sum()),
    )


def markers_of(orders: FaultOrders, verdict: Verdict, speed_hz: float) -> list[tuple[str, float]]:
    """Where the geometry has its lines, those of the named element where they were found, with their sidebands."""
    markers = [("1x", speed_hz)]
    for element, name in LINES.items():
        order = verdict.order if element == verdict.line else getattr(orders, element)
        markers.append((name, order * speed_hz))
        markers += [(f"{k}×{name}", k * order * speed_hz) for k in (2, 3) if element in {"outer", "inner"}]
        by = {"inner": ("1x", 1.0), "element": ("FTF", orders.cage)}.get(element)
        if element == verdict.line and by is not None:
            markers += [
                (f"{name}{sign}{by[0]}", (order + way * by[1]) * speed_hz)
                for sign, way in (("-", -1), ("+", 1))
            ]
    return markers
