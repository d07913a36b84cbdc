"""What a machine does at a moment: how fast it turns, how it shakes, how warm it is and what it draws.

Closed forms of the story's time, with no state of their own: any moment can be asked for, in any order.
"""

from dataclasses import dataclass
from math import exp, pi, sin

from andon.events import MINUTE_NS, SECOND_NS, PackMLState
from andon.plant import Bearing
from simulators.bearing import Vibration, resonances_of
from simulators.chance import between, fraction
from simulators.machines import Machine
from simulators.mes import STARTING_S, STOPPING_S, Stop
from simulators.story import Story

WARMING_NS = 25 * MINUTE_NS  # time constant of the bearing's temperature
AMBIENT_C = 24.0
NOISY = 3.0  # a loud but healthy bearing, against others
STANDING_G, STANDING_MM_S = 0.006, 0.03  # what the floor passes on to a machine that stands


@dataclass(frozen=True, slots=True)
class Body:
    """The behaviour of one machine in one story. Times are story nanoseconds."""

    machine: Machine
    story: Story

    def state(self, at_ns: int) -> PackMLState:
        """Its PackML state."""
        stop = self._stop(at_ns)
        return PackMLState.EXECUTE if stop is None else stop.state(at_ns)

    def load(self, at_ns: int) -> float:
        """Its load, 1 at nominal; it breathes by 2 %."""
        steps = self.story.load_steps(self.machine.id, at_ns)
        factor = next((step.factor for step in steps if step.from_ns <= at_ns < step.to_ns), 1.0)
        return factor * (1 + 0.02 * self._swing(at_ns, 11, "load"))

    def speed_hz(self, at_ns: int) -> float:
        """Its shaft speed; within 2 % of nominal while it runs."""
        swing = 0.012 * self._swing(at_ns, 17, "speed") + 0.006 * self._swing(at_ns, 5, "hunting")
        return self.machine.speed_hz * (1 + swing) * self._turning(at_ns)

    def severity(self, at_ns: int) -> float:
        """How damaged its drive-end bearing is, 0 to 1."""
        return max(
            (bad.severity(at_ns) for bad in self.story.degradations(self.machine.id, at_ns)), default=0.0
        )

    def velocity_mm_s(self, at_ns: int) -> float:
        """Its velocity RMS at the drive end, 10-1000 Hz."""
        healthy = between(0.8, 1.25, *self._key, "velocity")
        rise = sum(
            bad.severity(at_ns) * bad.velocity_rise_mm_s
            for bad in self.story.degradations(self.machine.id, at_ns)
        )
        return STANDING_MM_S + (healthy * self.load(at_ns) + rise) * self._shaking(at_ns)

    def temperature_c(self, at_ns: int) -> float:
        """The temperature of its drive-end bearing; follows load and stops slowly."""
        rise = between(18, 32, *self._key, "temperature") * self.load(at_ns) + 14 * self.severity(at_ns)
        return AMBIENT_C + rise * self._warmth(at_ns)

    def current_a(self, at_ns: int) -> float:
        """What its motor draws at 400 V; more than twice the nominal while the shaft is brought up."""
        nominal = self.machine.power_kw * 1.2 * self.load(at_ns)
        match self.state(at_ns):
            case PackMLState.EXECUTE:
                return nominal
            case PackMLState.STARTING:
                return nominal * 2.3
            case _:
                return 0.0

    def vibration(self, point: str, bearing: Bearing | None, at_ns: int) -> Vibration:
        """How the point shakes; only the drive end ever wears."""
        turning = self._turning(at_ns)
        noise_g = between(0.045, 0.075, *self._key, point, "noise") * (1 + 0.5 * (self.load(at_ns) - 1))
        if self.machine.id == self.story.cast.noisy:
            noise_g *= NOISY
        bad = next(
            (b for b in self.story.degradations(self.machine.id, at_ns) if b.severity(at_ns) > 0), None
        )
        return Vibration(
            speed_hz=self.speed_hz(at_ns),
            velocity_mm_s=self.velocity_mm_s(at_ns) - STANDING_MM_S,
            noise_g=STANDING_G + noise_g * min(self._shaking(at_ns), 3.0),
            load=self.load(at_ns),
            bearing=bearing,
            element=bad.element if bad is not None and point == "DE" else None,
            severity=bad.severity(at_ns) * turning if bad is not None else 0.0,
            slip=between(-0.006, 0.006, *self._key, "slip"),
            resonances_hz=resonances_of(*self._key, point),
        )

    @property
    def _key(self) -> tuple[int, str]:
        return self.story.seed, self.machine.id

    def _swing(self, at_ns: int, period_min: int, what: str) -> float:
        """A slow sine of its own phase and a period near the given one."""
        period_ns = period_min * MINUTE_NS * between(0.8, 1.25, *self._key, what, "period")
        return sin(2 * pi * (at_ns / period_ns + fraction(*self._key, what)))

    def _stop(self, at_ns: int) -> Stop | None:
        """The last stop that has begun."""
        begun = [stop for stop in self.story.stops(self.machine.id, at_ns) if stop.at_ns <= at_ns]
        return begun[-1] if begun else None

    def _turning(self, at_ns: int) -> float:
        """The part of its speed that the shaft has: runs down while Stopping, up while Starting."""
        stop = self._stop(at_ns)
        if stop is None or at_ns >= stop.running_ns:
            return 1.0
        if at_ns < stop.stopped_ns:
            return 1 - (at_ns - stop.at_ns) / (STOPPING_S * SECOND_NS)
        return max(0.0, (at_ns - stop.starting_ns) / (STARTING_S * SECOND_NS))

    def _shaking(self, at_ns: int) -> float:
        """How much it shakes, 1 in steady running: a start passes the resonance of the foundation."""
        stop = self._stop(at_ns)
        if stop is None:
            return 1.0
        if at_ns >= stop.running_ns:
            return 1 + 0.5 * exp(-(at_ns - stop.running_ns) / (7 * SECOND_NS))
        turning = self._turning(at_ns)
        passing = 4 * exp(-(((turning - 0.6) / 0.15) ** 2)) if at_ns >= stop.starting_ns else 0.0
        return turning**2 + passing

    def _warmth(self, at_ns: int) -> float:
        """1 when it has run for long; falls while it stands and comes back after."""
        warmth, ran_ns = 1.0, self.story.start_ns
        for stop in self.story.stops(self.machine.id, at_ns):
            if stop.at_ns > at_ns:
                break
            warmth = 1 - (1 - warmth) * exp(-(stop.at_ns - ran_ns) / WARMING_NS)
            ran_ns = min(stop.running_ns, at_ns)
            warmth *= exp(-(ran_ns - stop.at_ns) / WARMING_NS)
        return 1 - (1 - warmth) * exp(-(at_ns - ran_ns) / WARMING_NS)
