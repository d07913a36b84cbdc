"""Whether another common bearing explains the lines better: then the one in the plant document may be wrong.

With wrong geometry lines are left unexplained, or worse, given to the wrong element. That many bearings share
their orders, and one line fits several elements, makes the answer a hint for the person who looks at the
part, never a name.
"""

from functools import cache

from andon.bearings import COMMON
from andon.plant import Bearing
from detectors.bearing import FaultOrders, fault_orders
from detectors.comb import SLIP, strength
from detectors.envelope import Envelope

LEAST_Z = 8.0
CLEARLY = 2.0  # times the z of the stated bearing
ALIKE = 0.8  # of the best z: these explain the lines as well
MOST = 4


def better_bearings(envelope: Envelope, stated: FaultOrders, speed_hz: float) -> tuple[str, ...]:
    """Designations whose orders explain the lines clearly better than the stated bearing, best first; mostly none."""
    least = max(LEAST_Z, CLEARLY * strength(envelope, stated, speed_hz))
    others = {name: orders for name, orders in _common().items() if not _same(orders, stated)}
    found = {name: strength(envelope, orders, speed_hz) for name, orders in others.items()}
    best = max(found.values(), default=0.0)
    ranked = sorted(found, key=lambda name: -found[name])
    return tuple(name for name in ranked if best >= least and found[name] >= ALIKE * best)[:MOST]


def _same(one: FaultOrders, other: FaultOrders) -> bool:
    """Whether slip hides the difference."""
    pairs = ((one.outer, other.outer), (one.inner, other.inner))
    return all(abs(a - b) <= SLIP * b for a, b in pairs)


@cache
def _common() -> dict[str, FaultOrders]:
    return {name: fault_orders(Bearing.model_validate(name)) for name in COMMON}
