"""What a person needs to see to believe a finding: plot-ready shapes of bounded size.

    {"trend":    {"channel", "unit", "at_ns": [<= 240], "value": [...], "baseline": float | null,
                  "limit": float | null, "zones": [{"name", "to"}, ...] | null},
     "spectrum": {"unit", "dx_hz", "value": [<= 800], "markers": [{"name", "hz"}]},
     "envelope": {the same},
     "forecast": {"limit", "confidence", "at_ns": {"low", "median", "high"}} or {..., "at_ns": "unknown", "reason"},
     "baseline": {"version", "from_ns", "to_ns", "blocks"}}

Numbers carry five significant digits; parts that make no sense are left out.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

from andon.events import Float32, Float64, Int64, Json

LIFE, RECENT = 144, 96
MOST_LINES = 800


@dataclass(slots=True)
class Trend:
    """A trend that keeps both the whole life, thinned, and the recent past as it was, in 240 points.

    The life keeps the largest of every `stride` values, and `stride` doubles each time it is full; `oldest` is where
    the ring of the recent past begins. `short()` does with half the points: 2 KB.
    """

    life_at_ns: Int64 = field(default_factory=lambda: np.zeros(LIFE, np.int64))
    life: Float64 = field(default_factory=lambda: np.zeros(LIFE))
    lived: int = 0
    stride: int = 1
    waiting: int = 0
    recent_at_ns: Int64 = field(default_factory=lambda: np.zeros(RECENT, np.int64))
    recent: Float64 = field(default_factory=lambda: np.zeros(RECENT))
    held: int = 0
    oldest: int = 0

    @classmethod
    def short(cls) -> Self:
        """A trend of 120 points."""
        life, recent = LIFE // 2, RECENT // 2
        return cls(
            life_at_ns=np.zeros(life, np.int64),
            life=np.zeros(life),
            recent_at_ns=np.zeros(recent, np.int64),
            recent=np.zeros(recent),
        )

    def add(self, at_ns: int, value: float) -> None:
        """Take the next value; times must not go back."""
        if self.held < self.recent.size:
            at = self.held
            self.held += 1
        else:
            at = self.oldest
            self._age(int(self.recent_at_ns[at]), float(self.recent[at]))
            self.oldest = (at + 1) % self.held
        self.recent_at_ns[at], self.recent[at] = at_ns, value

    def extend(self, at_ns: Int64, value: Float64) -> None:
        """Take many values, as `add` would one by one; times must not go back."""
        room, size = self.recent.size - self.held, self.recent.size
        ring = (self.oldest + np.arange(self.held)) % size
        times = np.concatenate([self.recent_at_ns[ring], at_ns])
        values = np.concatenate([self.recent[ring], value])
        aged = max(0, values.size - size)
        self._age_all(times[:aged], values[:aged])
        self.held, self.oldest = values.size - aged, (self.oldest + max(0, at_ns.size - room)) % size
        ring = (self.oldest + np.arange(self.held)) % size
        self.recent_at_ns[ring], self.recent[ring] = times[aged:], values[aged:]

    def _age(self, at_ns: int, value: float) -> None:
        if self.waiting and value <= self.life[self.lived - 1]:
            pass
        elif self.waiting:
            self.life_at_ns[self.lived - 1], self.life[self.lived - 1] = at_ns, value
        else:
            if self.lived == self.life.size:
                self._thin()
            self.life_at_ns[self.lived], self.life[self.lived] = at_ns, value
            self.lived += 1
        self.waiting = (self.waiting + 1) % self.stride

    def _age_all(self, at_ns: Int64, value: Float64) -> None:
        """Stride by stride, the largest of each; the last one may go on with what ages next."""
        at = 0
        while at < value.size:
            if not self.waiting and self.lived == self.life.size:
                self._thin()
            upto = at + self.stride - self.waiting
            largest = at + int(value[at:upto].argmax())
            waiting = (self.waiting + value[at:upto].size) % self.stride
            self._age(int(at_ns[largest]), float(value[largest]))
            self.waiting, at = waiting, upto

    def _thin(self) -> None:
        pairs, half = self.life.reshape(-1, 2), self.life.size // 2
        larger = np.arange(0, self.life.size, 2) + pairs.argmax(axis=1)
        self.life_at_ns[:half], self.life[:half] = self.life_at_ns[larger], self.life[larger]
        self.lived, self.stride = half, self.stride * 2

    def since(self, from_ns: int) -> tuple[Int64, Float64]:
        """Times and values from `from_ns` on."""
        at_ns, value = self._points()
        later = at_ns >= from_ns
        return at_ns[later], value[later]

    def _points(self) -> tuple[Int64, Float64]:
        ring = (self.oldest + np.arange(self.held)) % self.recent.size
        at_ns = np.concatenate([self.life_at_ns[: self.lived], self.recent_at_ns[ring]])
        return at_ns, np.concatenate([self.life[: self.lived], self.recent[ring]])

    def shape(
        self,
        channel: str,
        unit: str,
        *,
        baseline: float | None = None,
        limit: float | None = None,
        zones: Sequence[Mapping[str, Json]] | None = None,
    ) -> dict[str, Json]:
        """The trend as evidence: times in ns, values, and the lines to draw beside them."""
        at_ns, value = self._points()
        return {
            "channel": channel,
            "unit": unit,
            "at_ns": at_ns.tolist(),
            "value": significant(value),
            "baseline": None if baseline is None else significant(baseline),
            "limit": None if limit is None else significant(limit),
            "zones": None if zones is None else [dict(zone) for zone in zones],
        }


def significant(value: float | NDArray[Json]) -> Json:
    """Rounded to five significant digits: a float, or a list of them.

    >>> significant(0.0123456), significant(np.array([123456.0, 0.0]))
    (0.012346, [123460.0, 0.0])
    """
    if isinstance(value, np.ndarray):
        return [float(f"{x:.5g}") for x in value.tolist()]
    return float(f"{value:.5g}")


def thinned(amplitude: NDArray[np.floating], most: int = MOST_LINES) -> tuple[Float32, int]:
    """At most `most` lines, each the largest of as many neighbours as needed (second value), so peaks stay.

    >>> thinned(np.array([0.0, 3.0, 1.0, 2.0, 5.0]), most=3)
    (array([3., 2., 5.], dtype=float32), 2)
    """
    each = -(-amplitude.size // most)
    whole = np.zeros(-(-amplitude.size // each) * each, np.float32)
    whole[: amplitude.size] = amplitude
    return whole.reshape(-1, each).max(axis=1), each


def spectrum_shape(
    amplitude: NDArray[np.floating], step_hz: float, unit: str, markers: Sequence[tuple[str, float]]
) -> dict[str, Json]:
    """An amplitude spectrum as evidence, with named frequencies that lie inside it."""
    value, each = thinned(amplitude)
    end_hz = amplitude.size * step_hz
    return {
        "unit": unit,
        "dx_hz": significant(step_hz * each),
        "value": significant(value),
        "markers": [{"name": name, "hz": significant(hz)} for name, hz in markers if 0 < hz < end_hz],
    }
