"""How often each part of a rolling bearing strikes, in multiples of the shaft speed."""

import math
from dataclasses import dataclass

from andon.plant import Bearing


@dataclass(frozen=True, slots=True)
class FaultOrders:
    """Fault frequencies as orders of the shaft speed, the outer ring standing still.

    `cage` (FTF), `outer` (BPFO), `inner` (BPFI), and `element` (2×BSF: a damaged rolling element strikes both
    races in each of its turns). Slip lets real ones lie 1-2 % beside these.
    """

    cage: float
    outer: float
    inner: float
    element: float


def fault_orders(bearing: Bearing) -> FaultOrders:
    """Orders of the four fault frequencies from the bearing's geometry.

    With n elements of diameter d on pitch diameter D and contact angle φ, r = (d/D) cos φ:
    FTF = (1 - r)/2, BPFO = n FTF, BPFI = n (1 + r)/2, 2 BSF = (D/d)(1 - r²).
    ValueError if the elements are not smaller than the pitch circle.
    Source: R. B. Randall and J. Antoni, Rolling element bearing diagnostics, MSSP 25 (2011), eq. 1-4.

    SKF 6205-2RS as published for the CWRU rig (drive end), and its fan end bearing 6203-2RS:

    >>> o = fault_orders(Bearing(designation="6205", rolling_elements=9, element_diameter=0.3126,
    ...                          pitch_diameter=1.537))
    >>> print(f"{o.cage:.4f} {o.outer:.4f} {o.inner:.4f} {o.element:.4f}")
    0.3983 3.5848 5.4152 4.7135
    >>> o = fault_orders(Bearing(designation="6203", rolling_elements=8, element_diameter=0.2656,
    ...                          pitch_diameter=1.122))
    >>> print(f"{o.cage:.3f} {o.outer:.3f} {o.inner:.3f} {o.element:.3f}")
    0.382 3.053 4.947 3.988

    The MFPT rig turns at 25 Hz, PRONOSTIA's bearing and the IMS rig (Rexnord ZA-2115, 2000 rpm; BSF, not 2×BSF):

    >>> o = fault_orders(Bearing(designation="MFPT", rolling_elements=8, element_diameter=0.235,
    ...                          pitch_diameter=1.245))
    >>> print(f"{25 * o.outer:.1f} Hz, {25 * o.inner:.1f} Hz")
    81.1 Hz, 118.9 Hz
    >>> o = fault_orders(Bearing(designation="PRONOSTIA", rolling_elements=13, element_diameter=3.5,
    ...                          pitch_diameter=25.6))
    >>> print(f"{o.outer:.3f} {o.inner:.3f}")
    5.611 7.389
    >>> o = fault_orders(Bearing(designation="ZA-2115", rolling_elements=16, element_diameter=0.331,
    ...                          pitch_diameter=2.815, contact_angle_deg=15.17))
    >>> print(f"{o.outer * 2000 / 60:.1f} {o.inner * 2000 / 60:.1f} {o.element * 1000 / 60:.1f} Hz")
    236.4 296.9 139.9 Hz
    """
    if bearing.element_diameter >= bearing.pitch_diameter:
        raise ValueError(f"{bearing.designation}: the rolling elements must be smaller than the pitch circle")
    ratio = (
        bearing.element_diameter / bearing.pitch_diameter * math.cos(math.radians(bearing.contact_angle_deg))
    )
    cage = (1 - ratio) / 2
    return FaultOrders(
        cage=cage,
        outer=bearing.rolling_elements * cage,
        inner=bearing.rolling_elements * (1 - cage),
        element=bearing.pitch_diameter / bearing.element_diameter * (1 - ratio**2),
    )
