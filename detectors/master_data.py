"""Whether another common bearing explains the lines better: then the one in the plant document may be wrong.

With wrong geometry lines are left unexplained, or worse, given to the wrong element. That many bearings share
their orders, and one line fits several elements, makes the answer a hint for the person who looks at the
part, never a name.
"""

from functools import cache

import numpy as np

from andon.bearings import COMMON
from andon.events import Float32, Float64
from andon.plant import Bearing
from detectors.bearing import FaultOrders, fault_orders
from detectors.comb import SLIP, heights, landscape, with_sidebands
from detectors.envelope import Envelope

LEAST_Z = 8.0
CLEARLY = 2.0  # times the z of the stated bearing
ALIKE = 0.8  # of the best z: these explain the lines as well
MOST = 4
CLOSE = 0.003  # slip that ranks those that are alike: the nearer the better
HIGHEST_ORDER = 12.0  # of the inner race of common bearings


def better_bearings(envelope: Envelope, stated: FaultOrders, speed_hz: float) -> tuple[str, ...]:
    """Designations whose orders explain the lines clearly better than the stated bearing, best first; mostly none."""
    height = heights(envelope.power, envelope.step_order, speed_hz)
    q, alone = landscape(height, envelope.step_order, HIGHEST_ORDER)
    beside = with_sidebands(height, envelope.step_order, 1.0, 3)
    z = np.maximum(alone, landscape(beside, envelope.step_order, HIGHEST_ORDER)[1])
    least = max(LEAST_Z, CLEARLY * _strength(q, z, stated))
    found = {name: _strength(q, z, orders) for name, orders in _common().items() if not _same(orders, stated)}
    best = max(found.values(), default=0.0)
    if best < least:
        return ()
    close = landscape(height, envelope.step_order, HIGHEST_ORDER, reach=CLOSE)
    alike = [name for name in found if found[name] >= ALIKE * best]
    return tuple(sorted(alike, key=lambda name: -_strength(*close, _common()[name]))[:MOST])


def _strength(q: Float64, z: Float32, orders: FaultOrders) -> float:
    """How well these orders explain the lines: z of the best of the three combs, each at its place among all orders."""
    at = np.searchsorted(q, (orders.outer, orders.inner, orders.element)).clip(0, q.size - 1)
    return float(z[at].max())


def _same(one: FaultOrders, other: FaultOrders) -> bool:
    """Whether slip hides the difference."""
    pairs = ((one.outer, other.outer), (one.inner, other.inner))
    return all(abs(a - b) <= SLIP * b for a, b in pairs)


@cache
def _common() -> dict[str, FaultOrders]:
    return {name: fault_orders(Bearing.model_validate(name)) for name in COMMON}
