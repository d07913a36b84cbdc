"""When a machine stopped, and for how long: what one reason's stops are compared with later, and the latest of them."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from andon.events import SECOND_NS, Json
from detectors.episode import Episode
from detectors.rates import BIN_S, SPANS, Usual

MOST_MARKS = SPANS[-1]
_LASTED, _LEARN_LASTED = 8, 20
_SPREAD_FLOOR = 0.35  # ln: no reason's stops are so much alike that a third longer is a change
_MEDIAN_COSTS = 1.2533  # standard error of a median against that of a mean
_CLIP = 3.0


@dataclass(slots=True)
class Stops:
    """The stops of one reason, or of the machine. Marks are running seconds, times Unix seconds, both latest 64."""

    active: bool = False
    last_ns: int = -1
    began_ns: int = -1
    ended_ns: int = -1
    events: int = 0
    bin: int = -1
    in_bin: int = 0
    squares: int = 0
    marks: list[int] = field(default_factory=list)
    times: list[int] = field(default_factory=list)
    lasted_s: list[int] = field(default_factory=list)
    usual_ln: list[float] = field(default_factory=list)
    said: float = 0.0
    message: str = ""
    severity: int = 1
    episode: Episode = field(default_factory=Episode)

    def begins(self, at_ns: int, running_s: int) -> None:
        """A stop begins after so much running."""
        self.began_ns = at_ns
        self.marks = [*self.marks[1 - MOST_MARKS :], running_s]
        self.times = [*self.times[1 - MOST_MARKS :], at_ns // SECOND_NS]

    def goes_on(self) -> None:
        """The stop that had seemed to be over is not: its length is not known yet."""
        if self.lasted_s:
            self.lasted_s = self.lasted_s[:-1]
        else:
            self.usual_ln = self.usual_ln[:-1]

    def learns(self, running_s: int) -> None:
        """The stop that begins belongs to the baseline."""
        if running_s // BIN_S != self.bin:
            self.bin, self.in_bin = running_s // BIN_S, 0
        self.events, self.in_bin = self.events + 1, self.in_bin + 1
        self.squares += 2 * self.in_bin - 1  # the square of the bin's count grows by this

    def ends(self, at_ns: int) -> None:
        """The stop is over; the first twenty say what is usual for its length."""
        self.ended_ns = at_ns
        lasted_s = max(1, (at_ns - self.began_ns) // SECOND_NS)
        if len(self.usual_ln) < _LEARN_LASTED:
            self.usual_ln = [*self.usual_ln, round(math.log(lasted_s), 3)]
        else:
            self.lasted_s = [*self.lasted_s[1 - _LASTED :], lasted_s]

    def median_s(self, count: int) -> float:
        """The median length of so many latest stops; of the first ones while no others are known; 0 if none is."""
        lengths = [float(s) for s in self.lasted_s[-count:]] or [
            math.exp(ln) for ln in self.usual_ln[-_LASTED:]
        ]
        return _median(lengths) if lengths else 0.0

    def usual(self, running_s: float) -> Usual:
        """The baseline of so many running seconds."""
        return Usual(self.events, running_s, self.squares)

    def shape(self, name: str, count: int) -> dict[str, Json]:
        """The latest stops as a trend that counts them; `count` of them are what is spoken of, eight came before."""
        times = sorted(self.times[-(count + 8) :])
        trend = {
            "channel": f"{name}/stops",
            "unit": "1",
            "at_ns": [at_s * SECOND_NS for at_s in times],
            "value": [float(n) for n in range(1, len(times) + 1)],
            "baseline": None,
            "limit": None,
            "zones": None,
        }
        return {"trend": trend}

    def longer(self) -> "Longer | None":
        """How much longer the latest eight stops took than the first twenty; None until both are known."""
        if len(self.lasted_s) < _LASTED:
            return None
        usual = _median(self.usual_ln)
        spread = max(1.4826 * _median([abs(x - usual) for x in self.usual_ln]), _SPREAD_FLOOR)
        latest = [math.log(s) - usual for s in self.lasted_s]
        mean = sum(min(max(x, -_CLIP * spread), _CLIP * spread) for x in latest) / _LASTED
        error = spread * math.sqrt(1 / _LASTED + _MEDIAN_COSTS**2 / _LEARN_LASTED)
        return Longer(math.exp(mean), math.exp(usual), mean / error)


@dataclass(frozen=True, slots=True)
class Longer:
    """The geometric mean of the latest stops over the usual one, `ratio`, and its distance in standard errors."""

    ratio: float
    usual_s: float
    errors: float


def _median(values: Sequence[float]) -> float:
    order, half = sorted(values), len(values) // 2
    return order[half] if len(order) % 2 else (order[half - 1] + order[half]) / 2
